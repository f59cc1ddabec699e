"""Interval algebra over spans of videos (Allen 1983): what follows, coincides, adjoins, merges or lies in a window."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ingest.schema import check_span

Relation = Literal[
    "before", "meets", "overlaps", "starts", "during", "finishes", "equals",
    "after", "met by", "overlapped by", "started by", "contains", "finished by",
]  # fmt: skip
APART: tuple[Relation, ...] = ("before", "meets", "met by", "after")
# A pause: two spans closer than this say the same thing once.
SAME_MENTION_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video that is about something, as sure as `score` says (0..1), found through `channel`."""

    video_id: str
    start_seconds: float
    end_seconds: float
    score: float = 0.0
    channel: str = "speech"

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a span's score is 0..1, got {self.score}")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two spans of one video that stand in the relation asked for; both must be sure for the pair to be."""

    first: Span
    second: Span

    def __post_init__(self) -> None:
        if self.first.video_id != self.second.video_id:
            raise ValueError(f"a pair lies in one video, got {self.first.video_id} and {self.second.video_id}")

    @property
    def score(self) -> float:
        """The product of both scores."""
        return self.first.score * self.second.score


def relation(first: Span, second: Span) -> Relation:
    """How the first span lies to the second: exactly one of Allen's thirteen relations, for spans without length too."""
    (a, b), (c, d) = (first.start_seconds, first.end_seconds), (second.start_seconds, second.end_seconds)
    if b < c or d < a:
        return "before" if b < c else "after"
    if (a, b) == (c, d):
        return "equals"
    if b == c or d == a:
        return "meets" if b == c else "met by"
    if a == c:
        return "starts" if b < d else "started by"
    if b == d:
        return "finishes" if c < a else "finished by"
    if a < c:
        return "overlaps" if b < d else "contains"
    return "during" if b < d else "overlapped by"


def followed(firsts: Iterable[Span], seconds: Iterable[Span], most_seconds: float) -> list[Pair]:
    """Pairs in which the second span begins at the first one's end or up to `most_seconds` later; best first, no span twice."""
    found = [
        pair
        for pair in _pairs(firsts, seconds)
        if relation(pair.first, pair.second) in ("before", "meets") and _gap(pair) <= most_seconds
    ]
    return _each_once(sorted(found, key=lambda pair: (-pair.score, _gap(pair), *_place(pair.first))))


def together(firsts: Iterable[Span], seconds: Iterable[Span]) -> list[Pair]:
    """Pairs that share time, best first, no span twice."""
    found = [pair for pair in _pairs(firsts, seconds) if relation(pair.first, pair.second) not in APART]
    return _each_once(sorted(found, key=lambda pair: (-pair.score, *_place(pair.first), *_place(pair.second))))


def shared(pair: Pair) -> Span:
    """The time that both spans of a pair share, as sure as the pair; ValueError for a pair that shares none."""
    start = max(pair.first.start_seconds, pair.second.start_seconds)
    end = min(pair.first.end_seconds, pair.second.end_seconds)
    return replace(pair.first, start_seconds=start, end_seconds=end, score=pair.score)


def merged(spans: Iterable[Span], gap_seconds: float = SAME_MENTION_SECONDS) -> list[Span]:
    """Spans of one video that overlap or lie at most `gap_seconds` apart as one, with the better score; in order of time."""
    joined: list[Span] = []
    for span in sorted(spans, key=_place):
        last = joined[-1] if joined else None
        if last and last.video_id == span.video_id and span.start_seconds - last.end_seconds <= gap_seconds:
            better = max(last, span, key=lambda one: one.score)
            end = max(last.end_seconds, span.end_seconds)
            joined[-1] = replace(better, start_seconds=last.start_seconds, end_seconds=end)
        else:
            joined.append(span)
    return joined


def by_video(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """The spans of each video, in order of time."""
    ordered = sorted(spans, key=_place)
    return {video_id: list(own) for video_id, own in itertools.groupby(ordered, lambda span: span.video_id)}


def adjoining(
    span: Span, side: Literal["before", "after"], length_seconds: float, duration_seconds: float
) -> Span | None:
    """The seconds that end where a span begins, or begin where it ends; None where the video has none left."""
    if side == "before":
        start, end = max(0.0, span.start_seconds - length_seconds), span.start_seconds
    else:
        start, end = span.end_seconds, min(duration_seconds, span.end_seconds + length_seconds)
    return replace(span, start_seconds=start, end_seconds=end) if start < end else None


def lies_in(start: float, end: float, window: tuple[float, float]) -> bool:
    """Whether half of a span, or of a shorter window, lies in the window; all values in seconds."""
    first, last = window
    common = min(end, last) - max(start, first)
    return common >= 0.5 * min(end - start, last - first) and common >= 0.0


def _pairs(firsts: Iterable[Span], seconds: Iterable[Span]) -> Iterable[Pair]:
    others = by_video(seconds)
    return (Pair(first, second) for first in firsts for second in others.get(first.video_id, ()))


def _each_once(pairs: Sequence[Pair]) -> list[Pair]:
    kept: list[Pair] = []
    used: set[tuple[int, Span]] = set()
    for pair in pairs:
        names = {(1, pair.first), (2, pair.second)}
        if not names & used:
            used |= names
            kept.append(pair)
    return kept


def _gap(pair: Pair) -> float:
    return pair.second.start_seconds - pair.first.end_seconds


def _place(span: Span) -> tuple[str, float, float]:
    return span.video_id, span.start_seconds, span.end_seconds
