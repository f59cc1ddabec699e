"""Ranking metrics as pure functions: of the moments returned for one question and its gold, or of many questions' ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_HIT_SECONDS = 60.0
MRR_DEPTH = 10

Span = tuple[float, float]
"""Start and end in seconds."""


@dataclass(frozen=True, slots=True)
class ReturnedSpan:
    """One returned moment: which video, from when to when."""

    video: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Gold:
    """Where a question is answered: in any window of one video; the start of an answer is a window of no length.

    `segments` is what a returned moment should cover, no more and no less; empty where nobody marked it.
    """

    video: str
    windows: tuple[Span, ...]
    tolerance_seconds: float = 0.0
    segments: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError(f"gold needs at least one window, got none for {self.video!r}")
        if not (math.isfinite(self.tolerance_seconds) and self.tolerance_seconds >= 0.0):
            raise ValueError(f"a tolerance is 0 s or more, got {self.tolerance_seconds}")
        for start, end in (*self.windows, *self.segments):
            if not (math.isfinite(start) and math.isfinite(end) and 0.0 <= start <= end):
                raise ValueError(f"a window needs 0 <= start <= end in seconds, got {start}..{end}")


def first_hit(returned: Sequence[ReturnedSpan], video: str, answer_start_seconds: float) -> int | None:
    """The rank, from 1, of the first moment of at most 60 s that holds the answer's start; None when none does."""
    start = (answer_start_seconds, answer_start_seconds)
    return next(iter(hit_ranks(returned, Gold(video, (start,)))), None)


def hit_ranks(returned: Sequence[ReturnedSpan], gold: Gold) -> list[int]:
    """The ranks, from 1, of the moments of at most 60 s that share time with a gold window, give or take the tolerance."""
    return [rank for rank, moment in enumerate(returned, start=1) if _held(moment, gold, gold.windows)]


def _held(moment: ReturnedSpan, gold: Gold, windows: Sequence[Span]) -> bool:
    short = moment.end_seconds - moment.start_seconds <= MAX_HIT_SECONDS + 0.001
    earliest, latest = moment.start_seconds - gold.tolerance_seconds, moment.end_seconds + gold.tolerance_seconds
    return moment.video == gold.video and short and any(start <= latest and earliest <= end for start, end in windows)


def precision_at(k: int, hits: Sequence[int]) -> float:
    """The share of the first k places that hold an answer, 0..1; k counts in full where fewer were returned."""
    return sum(rank <= k for rank in hits) / k


def reciprocal_rank(k: int, hits: Sequence[int]) -> float:
    """1/rank of the first hit within k, else 0."""
    return 1.0 / hits[0] if hits and hits[0] <= k else 0.0


def ndcg_at(k: int, returned: Sequence[ReturnedSpan], gold: Gold) -> float:
    """Normalised discounted gain of the first k (Järvelin and Kekäläinen 2002), 0..1.

    What is to be found is each place of the answer, once: a second moment on the same place gains nothing, and windows
    that fit into one moment are one place.
    """
    places = answer_places(gold)
    missing, gained = list(places), 0.0
    for rank, moment in enumerate(returned[:k], start=1):
        found = next((place for place in missing if _held(moment, gold, place)), None)
        if found is not None:
            missing.remove(found)
            gained += 1.0 / math.log2(rank + 1)
    return gained / sum(1.0 / math.log2(rank + 1) for rank in range(1, min(k, len(places)) + 1))


def answer_places(gold: Gold) -> list[list[Span]]:
    """The windows in order of time, those together that one moment of 60 s can hold."""
    places: list[list[Span]] = []
    for window in sorted(gold.windows):
        if places and window[1] - places[-1][0][0] <= MAX_HIT_SECONDS:
            places[-1].append(window)
        else:
            places.append([window])
    return places


def temporal_iou(moment: ReturnedSpan, gold: Gold) -> float:
    """Shared over covered seconds of a moment and the gold segment it fits best, 0..1; 0 in another video."""
    if moment.video != gold.video:
        return 0.0
    return max((_overlap(moment, start, end) for start, end in gold.segments), default=0.0)


def _overlap(moment: ReturnedSpan, start: float, end: float) -> float:
    shared = min(moment.end_seconds, end) - max(moment.start_seconds, start)
    covered = max(moment.end_seconds, end) - min(moment.start_seconds, start)
    return max(0.0, shared) / covered if covered > 0.0 else 1.0


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
