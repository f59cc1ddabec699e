"""Cuts a video into overlapping moments, so that every second belongs to one and none runs over a chapter's start."""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from ingest.schema import Chapter, Description, Moment, ScreenText, Timeline, TranscriptSegment, Video

Span = TypeVar("Span", ScreenText, Description)

# A moment is three consecutive blocks. Overlap pays: on 16.9 h of speech, 60 s windows every 20 s find the answer first
# for 0.70 of questions against 0.61 for windows side by side (hybrid, before reranking).
BLOCKS_PER_MOMENT = 3
MAX_BLOCK_SECONDS = 20.0
MIN_BLOCK_SECONDS = 10.0  # at most half of the longest, so that what is left of a chapter can always be shared out
PAUSE_SECONDS = 0.7
SENTENCE_END = re.compile(r"[.?!…。？！][\"'”’)\]]*$")


def cut_moments(video: Video, timeline: Timeline) -> list[Moment]:
    """The moments of one video, in order, 10 to 60 s long; together they cover 0..duration without a gap.

    A video shorter than 10 s is one moment. What is said or shown at the very end belongs to the last moment.
    """
    timeline = with_short_segments(timeline)
    spans = moment_spans(video.duration_seconds, timeline.transcript, timeline)
    return [cut_moment(video, timeline, start, end) for start, end in spans]


def with_short_segments(timeline: Timeline) -> Timeline:
    """The timeline with long segments split, as moments hold them."""
    pieces = (piece for segment in timeline.transcript for piece in split_long(segment))
    return replace(timeline, transcript=tuple(pieces))


def cut_moment(video: Video, timeline: Timeline, start_seconds: float, end_seconds: float) -> Moment:
    """What is said and shown from one second to another; up to the end of the video also what lies behind it."""
    until = math.inf if end_seconds >= video.duration_seconds else end_seconds
    middles = ((segment, (segment.start_seconds + segment.end_seconds) / 2) for segment in timeline.transcript)
    described = (d.text for d in _overlapping(timeline.descriptions, start_seconds, until))
    seen = (keyframe.time_seconds for keyframe in timeline.keyframes)
    return Moment(
        tenant=video.tenant,
        video_id=video.video_id,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        transcript=tuple(segment for segment, middle in middles if start_seconds <= middle < until),
        screen_text=_overlapping(timeline.screen_text, start_seconds, until),
        description=" ".join(dict.fromkeys(described)),
        chapter=chapter_titles(timeline.chapters, start_seconds, until),
        keyframe_seconds=tuple(seconds for seconds in seen if start_seconds <= seconds < until),
    )


def moment_spans(
    duration_seconds: float, segments: Sequence[TranscriptSegment], timeline: Timeline
) -> list[tuple[float, float]]:
    """(start, end) of each moment: all runs of three blocks inside one section, or the whole section when it has fewer."""
    changes = [*(shot.start_seconds for shot in timeline.shots), *screen_changes(timeline.screen_text)]
    good, plain = candidate_edges(segments, changes)
    spans = []
    for section_start, section_end in itertools.pairwise(section_edges(duration_seconds, timeline.chapters)):
        edges = block_edges(section_start, section_end, good, plain)
        size = min(BLOCKS_PER_MOMENT, len(edges) - 1)
        spans += list(zip(edges, edges[size:], strict=False))
    return spans


def section_edges(duration_seconds: float, chapters: Sequence[Chapter]) -> list[float]:
    """0, the chapters' starts and the duration; a chapter shorter than 10 s is joined to the next, the last to the one before."""
    end = math.ceil(duration_seconds * 1000) / 1000
    edges = [0.0]
    for start in sorted(round(chapter.start_seconds, 3) for chapter in chapters):
        if edges[-1] + MIN_BLOCK_SECONDS <= start <= end - MIN_BLOCK_SECONDS:
            edges.append(start)
    return [*edges, end]


def block_edges(start_seconds: float, end_seconds: float, good: Sequence[float], plain: Sequence[float]) -> list[float]:
    """Edges of blocks of 10 to 20 s: the last good edge in reach, else the last plain one, else as late as can be."""
    edges = [start_seconds]
    while end_seconds - edges[-1] > MAX_BLOCK_SECONDS:
        low, high = edges[-1] + MIN_BLOCK_SECONDS, min(edges[-1] + MAX_BLOCK_SECONDS, end_seconds - MIN_BLOCK_SECONDS)
        edge = _last_between(good, low, high) or _last_between(plain, low, high) or high
        edges.append(round(edge, 3))
    return [*edges, end_seconds]


def split_long(segment: TranscriptSegment) -> list[TranscriptSegment]:
    """A segment longer than a block's minimum in pieces, words shared out evenly over its time."""
    seconds = segment.end_seconds - segment.start_seconds
    words = segment.text.split()
    pieces = min(math.ceil(seconds / MIN_BLOCK_SECONDS), len(words))
    if pieces <= 1:
        return [segment]
    bounds = [round(index * len(words) / pieces) for index in range(pieces + 1)]
    return [
        replace(
            segment,
            start_seconds=segment.start_seconds + seconds * first / len(words),
            end_seconds=segment.start_seconds + seconds * last / len(words),
            text=" ".join(words[first:last]),
        )
        for first, last in itertools.pairwise(bounds)
    ]


def candidate_edges(
    segments: Sequence[TranscriptSegment], change_seconds: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Good edges (sentence ends, pauses, changes of the picture while nobody speaks) and plain ones (any segment end), sorted."""
    good: list[float] = []
    plain: list[float] = []
    next_starts = [*(segment.start_seconds for segment in segments[1:]), math.inf]
    for segment, next_start in zip(segments, next_starts, strict=False):
        pause = next_start - segment.end_seconds >= PAUSE_SECONDS
        (good if pause or SENTENCE_END.search(segment.text) else plain).append(segment.end_seconds)
    starts = [segment.start_seconds for segment in segments]
    for change in change_seconds:
        before = bisect.bisect_right(starts, change) - 1
        if before < 0 or segments[before].end_seconds <= change:
            good.append(change)
    return sorted(good), sorted(plain)


def screen_changes(spans: Sequence[ScreenText]) -> Iterator[float]:
    """When new text comes up and most of what was shown before is gone: a new slide, but not one more line of it."""
    shown: list[ScreenText] = []
    for start, new in itertools.groupby(sorted(spans, key=lambda span: span.start_seconds), lambda s: s.start_seconds):
        kept = [span for span in shown if span.end_seconds > start]
        if 2 * _letters(kept) <= _letters(shown):
            yield start
        shown = [*kept, *new]


def chapter_titles(chapters: Sequence[Chapter], start: float, until: float) -> str:
    """The titles of what begins at the last chapter's start up to `start`, and of chapters that begin before `until`."""
    titled = sorted((round(chapter.start_seconds, 3), chapter.title) for chapter in chapters if chapter.title)
    running = max((begins for begins, _ in titled if begins <= start), default=start)
    return " / ".join(dict.fromkeys(title for begins, title in titled if running <= begins < until))


def _letters(spans: Sequence[ScreenText]) -> int:
    return sum(len(span.text) for span in spans)


def _overlapping(spans: Sequence[Span], start: float, until: float) -> tuple[Span, ...]:
    """The spans with a part inside start..until; a span without length counts where it lies."""
    return tuple(s for s in spans if s.start_seconds < until and max(s.start_seconds, s.end_seconds - 0.001) >= start)


def _last_between(edges: Sequence[float], low: float, high: float) -> float | None:
    """The last edge in low..high, or None."""
    position = bisect.bisect_right(edges, high) - 1
    return edges[position] if position >= 0 and edges[position] >= low else None
