"""Keeps one of several moments that show the same minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

# Moments overlap by two thirds with their neighbours; two that share more than this part say the same thing twice.
MAX_SHARED_PART = 0.3

T = TypeVar("T")


class SpanOfVideo(Protocol):
    """A moment, or any other part of a video."""

    @property
    def video_id(self) -> str: ...
    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...


S = TypeVar("S", bound=SpanOfVideo)


def drop_overlaps(ranked: Sequence[tuple[T, S]], limit: int) -> list[tuple[T, S]]:
    """The first `limit` of a ranking, leaving out moments that overlap a better one of the same video."""
    kept: list[tuple[T, S]] = []
    for item, moment in ranked:
        if len(kept) == limit:
            break
        if all(shared_part(moment, other) <= MAX_SHARED_PART for _, other in kept):
            kept.append((item, moment))
    return kept


def shared_part(first: SpanOfVideo, second: SpanOfVideo) -> float:
    """The shared seconds as a part of the shorter moment, 0..1; 0 for two videos."""
    if first.video_id != second.video_id:
        return 0.0
    shared = shared_seconds(first, second)
    shorter = min(first.end_seconds - first.start_seconds, second.end_seconds - second.start_seconds)
    return max(0.0, shared) / shorter if shorter > 0 else float(shared >= 0)


def shared_seconds(first: SpanOfVideo, second: SpanOfVideo) -> float:
    """How long two spans of one video overlap; less than 0 for the gap between them."""
    return min(first.end_seconds, second.end_seconds) - max(first.start_seconds, second.start_seconds)
