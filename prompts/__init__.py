"""Turns evidence into a prompt and a reply into a draft; untrusted text is fenced and marked here."""
