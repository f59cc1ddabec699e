"""The list of videos and the timeline of one, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from app.text_forms import safe
from ingest.schema import Job, Timeline, TranscriptSegment, Video, timecode

UNCOVERED_SECONDS = 20.0
MAP_COLUMNS = 60
MIN_GAP_SECONDS = 1.0

Span = tuple[float, float]


def videos_json(videos: Sequence[Video], jobs: Sequence[Job] = ()) -> dict[str, Any]:
    """The videos, and the files whose reading goes on, was interrupted or failed."""
    return {
        "videos": [video_json(video) for video in videos],
        "unfinished": [{"path": job.path, "status": _status(job), "error": job.reason} for job in jobs],
    }


def videos_text(videos: Sequence[Video], jobs: Sequence[Job] = ()) -> str:
    """One line a video, then one for each file that is not in the library yet."""
    if not videos and not jobs:
        return "The library is empty. Run: playhead ingest ~/Videos"
    lines = [f"{v.video_id[:8]}  {timecode(v.duration_seconds):>8}  {safe(v.title)}{_copy_of(v)}" for v in videos]
    return "\n".join([*lines, *(f"{_status(job)}: {safe(job.path)}{_why(job)}" for job in jobs)])


def video_json(video: Video) -> dict[str, Any]:
    """What the catalog knows of a video, without its timeline."""
    return {
        "video_id": video.video_id,
        "title": video.title,
        "duration_seconds": video.duration_seconds,
        "paths": list(video.paths),
        "url": video.url,
        "language": video.language,
        "tags": list(video.tags),
        "published_at": video.published_at,
        "duplicate_of": video.duplicate_of,
        "warnings": list(video.warnings),
    }


def timeline_json(video: Video, timeline: Timeline) -> dict[str, Any]:
    """Everything the catalog knows of one video, the share of it that each channel covers, and the gaps of each."""
    spans = channel_spans(timeline)
    return {
        **video_json(video),
        "channels": dict(timeline.channels),
        "coverage": {channel: coverage(found, video.duration_seconds) for channel, found in spans.items()},
        "gaps": {channel: gaps(found, video.duration_seconds) for channel, found in spans.items()},
        "shots": [[shot.start_seconds, shot.end_seconds] for shot in timeline.shots],
        "keyframe_seconds": [frame.time_seconds for frame in timeline.keyframes],
        "chapters": [asdict(chapter) for chapter in timeline.chapters],
        "transcript": [asdict(segment) for segment in timeline.transcript],
        "other_transcripts": [asdict(segment) for segment in timeline.other_transcripts],
        "screen_text": [asdict(span) for span in timeline.screen_text],
        "descriptions": [asdict(description) for description in timeline.descriptions],
    }


def timeline_text(video: Video, timeline: Timeline) -> str:
    """The facts of one video, a map of what each channel covers, and what is said, written and shown when."""
    tiers = dict(timeline.channels)
    duration = video.duration_seconds
    lines = [
        f"{safe(video.title)}  ({video.video_id}, {timecode(duration)})",
        *(f"  path         {safe(path)}" for path in video.paths),
        *([f"  url          {safe(video.url)}"] if video.url else []),
        *([f"  copy of      {video.duplicate_of}"] if video.duplicate_of else []),
        *(f"  also kept    {count}" for count in _counts(timeline.other_transcripts)),
        f"  pictures     {len(timeline.keyframes)} keyframes, {len(timeline.shots)} shots",
        *(f"  warning      {safe(warning)}" for warning in video.warnings),
        *(
            f"  {channel:12} {coverage_map(spans, duration)} {coverage(spans, duration):4.0%}  {tiers.get(channel, '')}"
            for channel, spans in channel_spans(timeline).items()
            if spans
        ),
        "",
    ]
    told = [(c.start_seconds, 0, f"## {c.title}") for c in timeline.chapters]
    told += [(s.start_seconds, 1, f"{s.speaker}: {s.text}" if s.speaker else s.text) for s in timeline.transcript]
    told += [(s.start_seconds, 2, f"[screen] {s.text}") for s in timeline.screen_text]
    told += [(d.start_seconds, 3, f"[{d.source}] {d.text}") for d in timeline.descriptions]
    return "\n".join([*lines, *(f"{timecode(start):>8}  {safe(text)}" for start, _, text in sorted(told))])


def channel_spans(timeline: Timeline) -> Mapping[str, list[Span]]:
    """For each channel the spans in which it heard, read or told something, or has a keyframe near."""
    return {
        "speech": [(s.start_seconds, s.end_seconds) for s in timeline.transcript],
        "screen": [(s.start_seconds, s.end_seconds) for s in timeline.screen_text],
        "description": [(d.start_seconds, d.end_seconds) for d in timeline.descriptions],
        "visual": [(f.time_seconds, f.time_seconds + UNCOVERED_SECONDS) for f in timeline.keyframes],
    }


def coverage(spans: Sequence[Span], duration_seconds: float) -> float:
    """The share of the video, 0..1, that lies in one of the spans."""
    left_out = sum(end - start for start, end in _holes(spans, duration_seconds))
    return round(1.0 - left_out / duration_seconds, 3) if duration_seconds else 0.0


def gaps(spans: Sequence[Span], duration_seconds: float) -> list[Span]:
    """The spans of a second or more that lie in none of the spans."""
    holes = _holes(spans, duration_seconds)
    return [(round(start, 3), round(end, 3)) for start, end in holes if end - start >= MIN_GAP_SECONDS]


def coverage_map(spans: Sequence[Span], duration_seconds: float) -> str:
    """The video as a row of characters: # where most of that part is covered, . where not."""
    step = duration_seconds / MAP_COLUMNS
    holes = _holes(spans, duration_seconds)

    def uncovered(start: float) -> float:
        return sum(max(0.0, min(end, start + step) - max(begin, start)) for begin, end in holes)

    return "".join("." if uncovered(column * step) > step / 2 else "#" for column in range(MAP_COLUMNS))


def _holes(spans: Sequence[Span], duration_seconds: float) -> list[Span]:
    """What lies between the spans, in order."""
    holes, reached = [], 0.0
    for start, end in sorted(spans):
        if reached < min(start, duration_seconds):
            holes.append((reached, min(start, duration_seconds)))
        reached = max(reached, end)
    return [*holes, (reached, duration_seconds)] if reached < duration_seconds else holes


def _counts(segments: Sequence[TranscriptSegment]) -> list[str]:
    """How much is kept of each source and language."""
    kinds = [(segment.source, segment.language or "language unknown") for segment in segments]
    return [
        f"{source}, {language}: {kinds.count((source, language))} segments" for source, language in dict.fromkeys(kinds)
    ]


def _status(job: Job) -> str:
    return "failed" if job.reason else "unfinished"


def _why(job: Job) -> str:
    return f"  ({safe(job.reason)})" if job.reason else "  (being read, or interrupted: ingest it again to go on)"


def _copy_of(video: Video) -> str:
    return f"  (a copy of {video.duplicate_of[:8]})" if video.duplicate_of else ""
