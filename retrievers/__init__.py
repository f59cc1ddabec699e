"""Finds the moments of the library that may answer a question, as numbered evidence."""
