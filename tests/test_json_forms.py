"""The JSON of answers and searches: the fields of the contract, in plain values."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
from playable_library import cite, make_answer, make_evidence, make_video

from app.json_forms import answer_json, hit_json, search_json, thumbnail_url
from retrievers.evidence import SearchResult

VIDEO = make_video("ab" * 16, "Knots", paths=("/videos/knots.mp4",))
HIT_KEYS = [
    "rank", "moment_id", "video_id", "video_title", "video_path", "video_url", "start_seconds", "end_seconds", "text", "score",
    "channels", "thumbnail",
]  # fmt: skip


def test_a_hit_has_the_fields_of_the_contract() -> None:
    evidence = make_evidence(2, VIDEO, 20.0, "The bowline does not slip.")
    hit = hit_json(evidence, 1)
    assert list(hit) == HIT_KEYS
    assert hit == {
        "rank": 1,
        "moment_id": evidence.moment.moment_id,
        "video_id": VIDEO.video_id,
        "video_title": "Knots",
        "video_path": "/videos/knots.mp4",
        "video_url": None,
        "start_seconds": 20.0,
        "end_seconds": 30.0,
        "text": "The bowline does not slip.",
        "score": 0.5,
        "channels": {"speech": {"rank": 2, "score": 9.5}, "visual": {"rank": 3, "score": 0.3}},
        "thumbnail": f"/api/v1/thumbnails/{VIDEO.video_id}?t=20.000",
    }


def test_captions_alone_have_no_path_and_no_picture() -> None:
    evidence = make_evidence(1, make_video("cd", "Talk", url="https://videos.example/1"), 5.0, "Hello.")
    bare = dataclasses.replace(evidence, moment=dataclasses.replace(evidence.moment, keyframe_seconds=()))
    hit = hit_json(bare, 1)
    assert (hit["video_path"], hit["video_url"], hit["thumbnail"]) == (None, "https://videos.example/1", None)


def test_an_answer_has_the_fields_of_the_contract() -> None:
    evidence = make_evidence(1, VIDEO, 20.0, "The bowline does not slip.")
    answer = make_answer("Which knot?", "The bowline. [1]", [cite(evidence, "The bowline", 21.5)], [evidence])
    form = answer_json(answer)
    assert list(form) == [
        "id", "question", "route", "topic", "status", "answer", "citations", "evidence", "confidence", "reason", "tiers", "timings_ms",
        "removed_by_rules", "masked", "kind", "prompt_version", "asked_as", "asked_in", "usage",
    ]  # fmt: skip
    assert form["citations"] == [
        {
            "number": 1,
            "moment_id": evidence.moment.moment_id,
            "video_id": VIDEO.video_id,
            "video_title": "Knots",
            "start_seconds": 20.0,
            "end_seconds": 30.0,
            "play_seconds": 21.5,
            "quote": "The bowline",
            "url": "file:///videos/knots.mp4#t=21.5",
        }
    ]
    assert [list(hit) for hit in form["evidence"]] == [HIT_KEYS]


def test_scores_of_numpy_become_json() -> None:
    evidence = dataclasses.replace(make_evidence(1, VIDEO, 0.0, "x"), score=np.float32(0.25))
    form = search_json(SearchResult("q", (evidence,), {"rerank": "off"}, {"total": np.float64(2.0)}))
    assert json.loads(json.dumps(form))["hits"][0]["score"] == 0.25
    assert list(form) == ["id", "query", "hits", "tiers", "timings_ms", "removed_by_rules", "masked"]


def test_an_id_cannot_leave_its_place_in_an_address() -> None:
    assert thumbnail_url("../a b?c", 1.0) == "/api/v1/thumbnails/..%2Fa%20b%3Fc?t=1.000"
