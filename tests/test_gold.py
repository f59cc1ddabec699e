"""Gold of a questions file: what counts, what is refused with its line, and which video a name means."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.gold import read_gold, videos_named
from evaluation.ranking import Gold
from ingest.schema import Video, WrongCallError


@pytest.mark.parametrize(
    ("fields", "gold"),
    [
        ({"video": "a", "answer_start_seconds": 3}, Gold("a", ((3.0, 3.0),))),
        (
            {"video": "a", "answer_start_seconds": 3, "start_seconds": 1, "end_seconds": 9.5},
            Gold("a", ((3.0, 3.0),), segments=((1.0, 9.5),)),
        ),
        (
            {"video": "a", "windows": [[1, 2.5], [7, 8]]},
            Gold("a", ((1.0, 2.5), (7.0, 8.0)), 0.0, ((1.0, 2.5), (7.0, 8.0))),
        ),
        ({"video": "a", "windows": [[1, 2]], "tolerance_s": 0.5}, Gold("a", ((1.0, 2.0),), 0.5, ((1.0, 2.0),))),
        ({"video": "a", "windows": [[1, 2]], "answer_start_seconds": 1.5}, Gold("a", ((1.5, 1.5),))),
        ({"video": None, "windows": [], "answerable": False}, None),
        ({"answerable": False}, None),
    ],
)
def test_the_gold_of_a_line(fields: dict[str, Any], gold: Gold | None) -> None:
    assert read_gold(fields, "q.jsonl line 1").gold == gold


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "has no gold"),
        ({"video": "a"}, "has no gold"),
        ({"video": "a", "windows": []}, "has no gold"),
        ({"video": None, "answer_start_seconds": 1}, "has no gold"),
        ({"video": "a", "windows": [[9, 3]]}, "9..3 ends before it begins"),
        ({"video": "a", "windows": [[1]]}, r"a window is \[1\]"),
        ({"video": "a", "windows": [[-1, 3]]}, "a window is"),
        ({"video": "a", "windows": [["1", "3"]]}, "a window is"),
        ({"video": "a", "windows": {"start": 1}}, '"windows" is'),
        ({"video": "a", "windows": [[1, 2]], "tolerance_s": -1}, '"tolerance_s" is -1'),
        ({"video": "a", "answer_start_seconds": "12"}, "\"answer_start_seconds\" is '12'"),
        ({"video": "a", "answer_start_seconds": float("nan")}, '"answer_start_seconds" is nan'),
        ({"video": "a", "answer_start_seconds": True}, '"answer_start_seconds" is True'),
        ({"video": "a", "answer_start_seconds": 1, "start_seconds": 5, "end_seconds": 2}, "5.0..2.0 ends before"),
        ({"video": "a", "answer_start_seconds": 1, "modality": [3]}, '"modality" is'),
        ({"video": "a", "answer_start_seconds": 1, "answerable": "no"}, '"answerable" is'),
    ],
)
def test_odd_gold_is_refused_with_its_line(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(WrongCallError, match=f"^q.jsonl line 4.*{told}"):
        read_gold(fields, "q.jsonl line 4")


def test_slices_and_answers_are_texts_or_lists_of_them() -> None:
    line = read_gold({"answerable": False, "modality": "ocr", "answers": ["a", "", "b"]}, "here")
    assert (line.slices, line.answers) == (("ocr",), ("a", "b"))


VIDEOS = [
    Video("local", "0a1b", "Warsaw", 10.0, "f", ("/lib/captions/warsaw.vtt",)),
    Video("local", "2c3d", "Example", 10.0, "f", ("/media/auto-editor/example.mp4", "/copy/film.mp4")),
    Video("local", "4e5f", "another", 10.0, "f", ("/media/moviepy/example.webm",)),
    Video("local", "6a7b", "Talk", 10.0, "f", ("/media/warsaw talk.mp4",)),
]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("warsaw", ["0a1b"]),
        ("Warsaw", ["0a1b"]),
        ("captions/warsaw.vtt", ["0a1b"]),
        ("warsaw.srt", ["0a1b"]),
        ("0a1b", ["0a1b"]),
        ("0a", []),
        ("auto-editor/example.mp4", ["2c3d"]),
        ("example.mp4", ["2c3d"]),
        ("editor/example.mp4", ["2c3d", "4e5f"]),  # no such path: the stem means two
        ("/media/moviepy/example.webm", ["4e5f"]),
        ("film", ["2c3d"]),
        ("talk", ["6a7b"]),
        ("nowhere", []),
        ("nowhere/example", ["2c3d", "4e5f"]),
    ],
)
def test_which_video_a_name_means(name: str, ids: list[str]) -> None:
    assert [video.video_id for video in videos_named(VIDEOS, name)] == ids
