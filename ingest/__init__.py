"""Turns files into videos, transcripts, keyframes and moments, and keeps them in the index and the catalog."""
