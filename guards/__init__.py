"""Verdicts: whether a question may be answered, whether the evidence suffices, whether a draft is cited."""
