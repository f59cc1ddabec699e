"""Similar videos, for programs and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.text_forms import safe
from ingest.schema import Video, timecode
from retrievers.likeness import SharedRange
from retrievers.similar import SimilarVideo

SHOWN_SCORE = 0.1


def similar_json(video: Video, found: Sequence[SimilarVideo]) -> dict[str, Any]:
    """The fields of `playhead similar --json`; `start_seconds` and `end_seconds` are those of the video asked about."""
    return {
        "video_id": video.video_id,
        "title": video.title,
        "similar": [
            {
                "video_id": item.video.video_id,
                "title": item.video.title,
                "score": round(item.score, 4),
                "label": item.label,
                "reasons": {
                    name: {"score": round(reason.score, 4), "because": reason.because}
                    for name, reason in item.reasons.items()
                },
                "ranges": [range_json(shared) for shared in item.ranges],
            }
            for item in found
        ],
    }


def range_json(shared: SharedRange) -> dict[str, Any]:
    """One aligned range; `speech` and `look` are the shares of it that agree, None where one of the two has none."""
    aligned = shared.aligned
    return {
        "start_seconds": aligned.start_seconds,
        "end_seconds": aligned.end_seconds,
        "other_start_seconds": aligned.other_start_seconds,
        "other_end_seconds": aligned.other_end_seconds,
        "kind": shared.kind,
        "speech": None if aligned.speech is None else round(aligned.speech, 3),
        "look": None if aligned.look is None else round(aligned.look, 3),
    }


def similar_text(video: Video, found: Sequence[SimilarVideo]) -> str:
    """One block a video: what it is to the one asked about, the ranges that both share, and the reasons."""
    if not found:
        return f"No other video is like {safe(video.title)}."
    return "\n".join(line for number, item in enumerate(found, 1) for line in _block(number, item))


def _block(number: int, item: SimilarVideo) -> list[str]:
    head = f"{number:2}. {safe(item.video.title)}  ({item.video.video_id[:8]}): {item.label}  {item.score:.2f}"
    why = [
        f"      {name.replace('_', ' '):12} {reason.score:.2f}  {safe(reason.because)}"
        for name, reason in item.reasons.items()
        if reason.score >= SHOWN_SCORE
    ]
    return [head, *(f"      {_range_text(shared)}" for shared in item.ranges), *why]


def _range_text(shared: SharedRange) -> str:
    aligned = shared.aligned
    here = f"{timecode(aligned.start_seconds)}-{timecode(aligned.end_seconds)}"
    there = f"{timecode(aligned.other_start_seconds)}-{timecode(aligned.other_end_seconds)}"
    return f"{here} here is {there} there{'' if shared.kind == 'part' else f' ({shared.kind})'}"
