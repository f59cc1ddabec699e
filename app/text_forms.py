"""Results as people read them in a terminal, and the JSON of the commands that list things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.answer import Answer, Citation
from ingest.schema import Timeline, Video, timecode
from retrievers.evidence import Evidence, SearchResult
from retrievers.search import spoken_and_seen

SNIPPET_CHARACTERS = 160
CLOSEST_MOMENTS = 3
UNCOVERED_SECONDS = 20.0


def answer_text(answer: Answer) -> str:
    """The answer, its citations with the second to play from, and one line on how it came about."""
    lines = [safe(answer.text), ""]
    lines += [line for citation in answer.citations for line in _citation_lines(citation)]
    if answer.status == "abstained" and answer.evidence:
        lines.append("Closest moments:")
        lines += [f"  {place(item)}" for item in answer.evidence[:CLOSEST_MOMENTS]]
    by = f", by {safe(answer.tiers['answer'])}" if answer.citations else ""
    lines.append(f"({answer.status}, confidence {answer.confidence:.2f}{by}: {safe(answer.reason)})")
    return "\n".join(lines)


def search_text(result: SearchResult) -> str:
    """One line and a snippet for every hit."""
    if result.error:
        return safe(result.error)
    if not result.evidence:
        return "Nothing in the library matches."
    lines = []
    for item in result.evidence:
        text = spoken_and_seen(item.video, item.moment).removeprefix(f"{item.video.title}. ")
        lines.append(f"{item.number:2}. {place(item)}  ({', '.join(item.channels)})")
        lines.append(f"      {safe(shortened(text))}")
    return "\n".join(lines)


def videos_text(videos: Sequence[Video]) -> str:
    """One line a video."""
    if not videos:
        return "The library is empty. Run: playhead ingest ~/Videos"
    return "\n".join(f"{v.video_id[:8]}  {timecode(v.duration_seconds):>8}  {safe(v.title)}" for v in videos)


def videos_json(videos: Sequence[Video]) -> dict[str, Any]:
    """The list of videos for programs."""
    return {"videos": [video_json(video) for video in videos]}


def video_json(video: Video) -> dict[str, Any]:
    return {
        "video_id": video.video_id,
        "title": video.title,
        "duration_seconds": video.duration_seconds,
        "paths": list(video.paths),
        "url": video.url,
        "language": video.language,
        "tags": list(video.tags),
        "published_at": video.published_at,
        "warnings": list(video.warnings),
    }


def timeline_json(video: Video, timeline: Timeline) -> dict[str, Any]:
    """Everything the catalog knows of one video, with the share of it that each channel covers."""
    return {
        **video_json(video),
        "channels": dict(timeline.channels),
        "coverage": coverage(video, timeline),
        "shots": [[shot.start_seconds, shot.end_seconds] for shot in timeline.shots],
        "keyframe_seconds": [frame.time_seconds for frame in timeline.keyframes],
        "transcript": [
            {"start_seconds": s.start_seconds, "end_seconds": s.end_seconds, "text": s.text, "source": s.source,
             "language": s.language, "confidence": s.confidence, "speaker": s.speaker}
            for s in timeline.transcript
        ],
        "screen_text": [
            {"start_seconds": s.start_seconds, "end_seconds": s.end_seconds, "text": s.text, "confidence": s.confidence}
            for s in timeline.screen_text
        ],
    }  # fmt: skip


def timeline_text(video: Video, timeline: Timeline) -> str:
    """The facts of one video, its coverage, and what is said and written when."""
    covered = coverage(video, timeline)
    lines = [
        f"{safe(video.title)}  ({video.video_id}, {timecode(video.duration_seconds)})",
        *(f"  path      {safe(path)}" for path in video.paths),
        *([f"  url       {safe(video.url)}"] if video.url else []),
        *(f"  {channel:9} {tier}, covers {covered.get(channel, 0.0):.0%}" for channel, tier in timeline.channels),
        f"  pictures  {len(timeline.keyframes)} keyframes, {len(timeline.shots)} shots",
        *(f"  warning   {safe(warning)}" for warning in video.warnings),
        "",
    ]
    spoken = [(s.start_seconds, s.text) for s in timeline.transcript]
    written = [(s.start_seconds, f"[screen] {s.text}") for s in timeline.screen_text]
    return "\n".join([*lines, *(f"{timecode(start):>8}  {safe(text)}" for start, text in sorted(spoken + written))])


def coverage(video: Video, timeline: Timeline) -> dict[str, float]:
    """For each channel the share of the video, 0..1, in which it heard or read something, or has a keyframe near."""
    spans = {
        "speech": [(s.start_seconds, s.end_seconds) for s in timeline.transcript],
        "screen": [(s.start_seconds, s.end_seconds) for s in timeline.screen_text],
        "visual": [(f.time_seconds, f.time_seconds + UNCOVERED_SECONDS) for f in timeline.keyframes],
    }
    return {channel: round(_union_seconds(found, video.duration_seconds) / (video.duration_seconds or 1.0), 3)
            for channel, found in spans.items()}  # fmt: skip


def _union_seconds(spans: Sequence[tuple[float, float]], duration_seconds: float) -> float:
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        end = min(end, duration_seconds)
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def place(evidence: Evidence) -> str:
    """Where a moment lies: title and timecodes."""
    moment = evidence.moment
    return f"{safe(evidence.video.title)}  {timecode(moment.start_seconds)}-{timecode(moment.end_seconds)}"


def _citation_lines(citation: Citation) -> list[str]:
    title = safe(citation.evidence.video.title)
    return [f"  [{citation.number}] {title} at {timecode(citation.play_seconds)}", f"      {safe(citation.url)}"]


def shortened(text: str) -> str:
    """The beginning of a text, cut at a word."""
    return text if len(text) <= SNIPPET_CHARACTERS else text[:SNIPPET_CHARACTERS].rsplit(" ", 1)[0] + " ..."


def safe(text: str) -> str:
    """Text from a video without what could steer a terminal: control characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
