"""Answers and search results as JSON: the one form that the command line and the HTTP API both give to programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from app.answer import Answer, Citation
from guards.privacy import masked_counts
from ingest.schema import Moment
from retrievers.evidence import Evidence, SearchResult
from retrievers.planned_search import PlannedResult


def answer_json(answer: Answer) -> dict[str, Any]:
    """The fields of `playhead ask --json`; `id` is the caller's to fill, None without a questions file."""
    return {
        "id": None,
        "question": answer.question,
        "route": answer.route,
        "topic": answer.topic,
        "status": answer.status,
        "answer": answer.text,
        "citations": [citation_json(citation) for citation in answer.citations],
        "evidence": [hit_json(evidence, rank) for rank, evidence in enumerate(answer.evidence, 1)],
        "confidence": float(answer.confidence),
        "reason": answer.reason,
        "tiers": dict(answer.tiers),
        "timings_ms": {stage: float(spent) for stage, spent in answer.timings_ms.items()},
        "removed_by_rules": dict(answer.removed_by_rules),
        "masked": masked_in(answer.evidence, answer.text),
        "kind": answer.kind,
        "prompt_version": answer.prompt_version,
        "asked_as": answer.asked_as,
        "asked_in": answer.asked_in,
        "usage": dataclasses.asdict(answer.usage) if answer.usage else None,
    }


def search_json(result: SearchResult) -> dict[str, Any]:
    """The fields of `playhead search --json`; `id` as in `answer_json`."""
    return {
        "id": None,
        "query": result.query,
        "hits": [hit_json(evidence, rank) for rank, evidence in enumerate(result.evidence, 1)],
        "tiers": dict(result.tiers),
        "timings_ms": {stage: float(spent) for stage, spent in result.timings_ms.items()},
        "removed_by_rules": dict(result.removed_by_rules),
        "masked": masked_in(result.evidence),
        **({"error": result.error} if result.error else {}),
        **({"reason": result.reason} if result.reason else {}),
        **({"plan": plan_json(result)} if isinstance(result, PlannedResult) else {}),
    }


def plan_json(result: PlannedResult) -> dict[str, Any]:
    """How the query was understood and what the hits do not tell; of a time operator each hit's spans, and the counts."""
    plan = result.plan
    return {
        "description": plan.describe(),
        "plain": plan.plain,
        "operator": plan.operator,
        "sought": [dataclasses.asdict(one) for one in (plan.sought, plan.second) if one],
        "times": [window.name for window in plan.windows],
        "filters": [f"{key}={value}" for key, value in plan.labels],
        "videos": list(plan.titles),
        "notes": list(result.notes),
        "spans": [[dataclasses.asdict(span) for span in parts] for parts in result.spans],
        "counts": [
            {"video_id": one.video.video_id, "video_title": one.video.title, "times": one.times}
            for one in result.counts
        ],
    }


def hit_json(evidence: Evidence, rank: int) -> dict[str, Any]:
    """One moment with its video; `thumbnail` is a path of the HTTP API, None where no picture was kept.

    Of a search by a picture, `seen_seconds` is the second that shows it, and `match` "same picture" or "looks like".
    """
    moment, video = evidence.moment, evidence.video
    shown = (evidence.seen.seconds,) if evidence.seen else moment.keyframe_seconds
    return {
        "rank": rank,
        "moment_id": moment.moment_id,
        "video_id": video.video_id,
        "video_title": video.title,
        "video_path": video.paths[0] if video.paths else None,
        "video_url": video.url,
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "text": moment_text(moment),
        "score": float(evidence.score),
        "channels": {
            name: {"rank": channel.rank, "score": float(channel.score)} for name, channel in evidence.channels.items()
        },
        "thumbnail": thumbnail_url(video.video_id, shown[0]) if shown else None,
        **({"match": evidence.seen.match, "seen_seconds": evidence.seen.seconds} if evidence.seen else {}),
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """One citation: start and end are the moment's, `play_seconds` is where the quote begins."""
    moment, video = citation.evidence.moment, citation.evidence.video
    return {
        "number": citation.number,
        "moment_id": moment.moment_id,
        "video_id": video.video_id,
        "video_title": video.title,
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "play_seconds": citation.play_seconds,
        "quote": citation.quote,
        "url": citation.url,
    }


def masked_in(evidence: Sequence[Evidence], *more: str) -> dict[str, int]:
    """How many values of each kind are masked in what these moments, and other texts, show."""
    return masked_counts([*more, *(f"{item.video.title} {moment_text(item.moment)}" for item in evidence)])


def moment_text(moment: Moment) -> str:
    """Everything said, written and described in a moment, as one line."""
    return " ".join(part for part in (moment.speech, moment.screen, moment.description) if part)


def thumbnail_url(video_id: str, seconds: float) -> str:
    """Where the HTTP API serves the picture at a second of a video."""
    return f"/api/v1/thumbnails/{quote(video_id, safe='')}?t={seconds:.3f}"
