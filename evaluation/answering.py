"""Measures of answers as pure functions: accepted words, cited moments, abstention, and whether confidence tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.ranking import Gold, ReturnedSpan, hit_ranks
from evaluation.scoring import Scored
from evaluation.word_errors import comparable_words

ARTICLES = {"a", "an", "the"}


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What was answered, as plain values; `answered` is False for an abstention or refusal, confidence is 0..1."""

    text: str
    answered: bool
    confidence: float
    cited: tuple[ReturnedSpan, ...]


def score_answer(given: GivenAnswer, gold: Gold | None, accepted: Sequence[str], recording: str) -> Scored:
    """One question's values; `gold` is None where no video holds the answer, and then only abstaining is right.

    `right_words` (an accepted answer is in the text) is there where accepted answers are known.
    """
    if gold is None:
        return Scored(recording, (), {"rightly_abstained": float(not given.answered)})
    values = {"answered": float(given.answered), "right_moment": float(bool(hit_ranks(given.cited, gold)))}
    if accepted:
        values["right_words"] = float(given.answered and any(holds_words(given.text, answer) for answer in accepted))
    return Scored(recording, (), values)


def holds_words(text: str, answer: str) -> bool:
    """Whether the words of an answer stand in the text in this order, whatever the case, punctuation and articles."""
    wanted = _plain(answer)
    return bool(wanted.strip()) and wanted in _plain(text)


def _plain(text: str) -> str:
    return f" {' '.join(word for word in comparable_words(text) if word not in ARTICLES)} "


def auroc(answerable: Sequence[float], unanswerable: Sequence[float]) -> float | None:
    """The chance that an answerable question has the higher confidence, ties half (Mann and Whitney 1947); None without both."""
    if not answerable or not unanswerable:
        return None
    gaps = np.sign(np.subtract.outer(np.asarray(answerable), np.asarray(unanswerable)))
    return float((gaps.mean() + 1) / 2)
