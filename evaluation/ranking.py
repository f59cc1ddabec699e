"""Ranking metrics as pure functions of the ranks at which questions were first answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_HIT_SECONDS = 60.0
MRR_DEPTH = 10


@dataclass(frozen=True, slots=True)
class ReturnedSpan:
    """One returned moment: which video, from when to when."""

    video: str
    start_seconds: float
    end_seconds: float


def first_hit(returned: Sequence[ReturnedSpan], video: str, answer_start_seconds: float) -> int | None:
    """The rank, from 1, of the first moment of at most 60 s that holds the answer's start; None when none does."""
    for rank, span in enumerate(returned, start=1):
        short = span.end_seconds - span.start_seconds <= MAX_HIT_SECONDS + 0.001
        if span.video == video and short and span.start_seconds <= answer_start_seconds <= span.end_seconds:
            return rank
    return None


def recall_at(k: int, ranks: Sequence[int | None]) -> float:
    """The share of questions whose first hit is among the first k, 0..1."""
    if not ranks:
        raise ValueError("recall needs at least one question, got none")
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def mean_reciprocal_rank(ranks: Sequence[int | None]) -> float:
    """The mean of 1/rank of the first hit within ten, 0 where there is none, 0..1."""
    if not ranks:
        raise ValueError("a mean rank needs at least one question, got none")
    return sum(1.0 / rank for rank in ranks if rank is not None and rank <= MRR_DEPTH) / len(ranks)


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"a share needs 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, middle - half), min(1.0, middle + half)
