"""Word error rate of a speech recogniser against a reference text."""

from __future__ import annotations

import re
from collections.abc import Sequence


def word_error_rate(reference: str, heard: str) -> float:
    """Substituted, missing and invented words over the words of the reference; above 1 when much is invented.

    Both texts are compared in lower case, without punctuation and apostrophes. Raises ValueError when the reference has
    no word.
    """
    truth = comparable_words(reference)
    if not truth:
        raise ValueError(f"the reference needs at least one word, got {reference!r}")
    return word_errors(truth, comparable_words(heard)) / len(truth)


def comparable_words(text: str) -> list[str]:
    """The words of a text as word error rate compares them."""
    return re.sub(r"[^\w\s]|_", "", text.lower()).split()


def word_errors(truth: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest substitutions, deletions and insertions between two lists of words (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for count, expected in enumerate(truth, start=1):
        diagonal, row[0] = row[0], count
        for column, word in enumerate(heard, start=1):
            cheapest = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != expected))
            diagonal, row[column] = row[column], cheapest
    return row[-1]
