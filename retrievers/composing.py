"""Makes one moment of a span of seconds and the stored moments that it touches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ingest.schema import MAX_MOMENT_SECONDS, Moment, ScreenText, TranscriptSegment
from retrievers.evidence import ChannelScore

SNAP_SECONDS = 3.0  # an edge moves this far to where an utterance begins or ends

Part = TypeVar("Part", TranscriptSegment, ScreenText)


def compose_moment(start_seconds: float, end_seconds: float, parts: Sequence[Moment]) -> Moment:
    """What is said and shown from start to end, an utterance whole where it can be, 60 s at most.

    `parts` are stored moments of one video that cover the span, the one that covers most of it first. Chapter and
    description, which have no times of their own, are those of that one.
    """
    segments = _merged(parts, lambda part: part.transcript)
    start = _snapped(start_seconds, [segment.start_seconds for segment in segments])
    end = _snapped(end_seconds, [s.end_seconds for s in segments if s.end_seconds <= start + MAX_MOMENT_SECONDS])
    end = min(end, start + MAX_MOMENT_SECONDS)
    return replace(
        parts[0],
        start_seconds=start,
        end_seconds=end,
        transcript=tuple(s for s in segments if start <= (s.start_seconds + s.end_seconds) / 2 <= end),
        screen_text=tuple(
            span
            for span in _merged(parts, lambda part: part.screen_text)
            if span.start_seconds <= end and span.end_seconds >= start
        ),
        keyframe_seconds=tuple(
            sorted({seconds for part in parts for seconds in part.keyframe_seconds if start <= seconds <= end})
        ),
    )


def best_channels(channels: Sequence[Mapping[str, ChannelScore]]) -> dict[str, ChannelScore]:
    """For each channel the best rank that it gave one of several moments."""
    best: dict[str, ChannelScore] = {}
    for found in channels:
        for channel, place in found.items():
            if channel not in best or place.rank < best[channel].rank:
                best[channel] = place
    return best


def _merged(parts: Sequence[Moment], of: Callable[[Moment], Sequence[Part]]) -> list[Part]:
    """What several moments hold, once, in order of time."""
    held = dict.fromkeys(item for part in parts for item in of(part))
    return sorted(held, key=lambda item: (item.start_seconds, item.end_seconds))


def _snapped(seconds: float, edges: Sequence[float]) -> float:
    """The nearest of the edges that are in reach, else the second itself."""
    near = min(edges, key=lambda edge: abs(edge - seconds), default=seconds)
    return near if abs(near - seconds) <= SNAP_SECONDS else seconds
