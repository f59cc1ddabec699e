"""`playhead evaluate`: its figures are those of the rankings, gold stays away from the searcher, bad lines are named."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import TALKS, Playhead, write_talk

from app.evaluating import own_methods
from app.ingesting import ingest_paths
from app.questions import AskedQuestion
from app.settings import read_settings
from guards.sufficiency import read_calibration
from ingest.index import Scope
from retrievers.evidence import SearchResult
from retrievers.search import Searcher

QUESTIONS: list[dict[str, Any]] = [
    {"id": "q1", "question": "Who built a lens of rings?", "video": "lighthouses", "answer_start_seconds": 2.0,
     "start_seconds": 0.0, "end_seconds": 16.0, "modality": ["speech"]},
    {"id": "q2", "question": "What does the angle of the dance give?", "video": "bees", "windows": [[8.0, 16.0]],
     "tolerance_s": 1.0, "modality": ["speech", "subtitle"]},
    {"id": "q3", "question": "How hot should it be baked?", "video": "talks/bread.vtt", "answer_start_seconds": 25.0,
     "scope": "video", "modality": "subtitle"},
    {"id": "q4", "question": "Who won the world cup?", "video": None, "answerable": False},
]  # fmt: skip


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A library of the three talks and, in two folders, different files of one name."""
    folder = tmp_path_factory.mktemp("evaluated")
    for name, sentences in {**TALKS, "owls": ["An owl turns its head."]}.items():
        (folder / "talks").mkdir(exist_ok=True)
        write_talk(folder / "talks", name, sentences)
    (folder / "copy").mkdir()
    write_talk(folder / "copy", "owls", ["Owls hunt at night."])
    settings = read_settings({"PLAYHEAD_CACHE": str(model_cache)}, library=folder / "library")
    assert not ingest_paths(settings, [folder / "talks", folder / "copy"]).failed
    return folder / "library"


@pytest.fixture
def evaluate(playhead: Playhead, library: Path) -> Playhead:
    """Runs `playhead evaluate` on that library."""
    return lambda *arguments: playhead("--library", library, "evaluate", *arguments)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write(tmp_path / "questions.jsonl", QUESTIONS)


def test_figures_slices_and_intervals(evaluate: Playhead, questions: Path) -> None:
    ran = evaluate(questions, "--json")
    assert (ran.status, ran.err) == (0, "")
    asked = ran.json["questions"]
    assert (asked["lines"], asked["ranked"], asked["videos"], asked["unanswerable"]) == (4, 3, 3, 1)
    methods = {method["name"]: method for method in ran.json["methods"]}
    assert list(methods) == ["playhead", "playhead --no-rerank", "speech alone"]
    assert ran.json["nothing_found"] == ["screen alone", "description alone", "visual alone"]
    slices = methods["playhead"]["slices"]
    assert {name: found["recall_at_1"]["questions"] for name, found in slices.items()} == {
        "all": 3,
        "speech": 2,
        "subtitle": 2,
    }
    recall = slices["all"]["recall_at_1"]
    assert recall["value"] == 1.0
    assert recall["low"] == pytest.approx(0.4385, abs=1e-4)  # Wilson, 3 of 3
    assert slices["all"]["first_hit_iou"]["questions"] == 2
    assert set(methods["playhead"]["latency_ms"]) == {"p50", "p95", "p99"}
    assert ran.json["lead"] is None


def test_the_searcher_sees_the_question_and_its_scope_only(
    playhead: Playhead, evaluate: Playhead, library: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, tuple[str, ...]]] = []
    real = Searcher.search

    def spy(self: Searcher, question: str, scope: Any, *rest: Any, **options: Any) -> Any:
        seen.append((question, scope.video_ids))
        return real(self, question, scope, *rest, **options)

    videos = playhead("--library", library, "videos", "--json").json["videos"]
    (bread,) = (video["video_id"] for video in videos if video["title"] == "bread")
    monkeypatch.setattr(Searcher, "search", spy)
    assert evaluate(questions).status == 0
    assert {item for item in seen if item[0] != "playhead"} == {
        ("Who built a lens of rings?", ()),
        ("What does the angle of the dance give?", ()),
        ("How hot should it be baked?", (bread,)),
    }


def test_baselines_control_lead_and_plots(evaluate: Playhead, questions: Path, tmp_path: Path) -> None:
    ran = evaluate(questions, "--baselines", "--plots", tmp_path / "new" / "plots")
    assert ran.status == 0
    for name in ("playhead", "bm25s", "dense all-MiniLM-L6-v2", "LlamaIndex fusion", "Qdrant RRF", "titles only"):
        assert any(line.startswith(f"{name}  ") for line in ran.out.splitlines()), name
    assert "points [" in ran.out
    assert "3 questions about 3 videos" in ran.out
    assert "1 more that no video answers" in ran.out
    assert "subtitle: 2 questions" in ran.out
    for name in ("recall.png", "latency.png", "slices.png"):
        assert (tmp_path / "new" / "plots" / name).read_bytes().startswith(b"\x89PNG")
        assert f"{name}\n" in ran.out


def test_answers_are_judged_where_asked(evaluate: Playhead, tmp_path: Path) -> None:
    nobel = {"question": "Who won the Nobel Prize for reading the dance?", "video": "bees", "windows": [[24, 32]]}
    lines = [{**nobel, "answers": ["Karl von Frisch"]}, QUESTIONS[3]]
    ran = evaluate(write(tmp_path / "two.jsonl", lines), "--answers", "--json")
    assert ran.status == 0
    answers = ran.json["answers"]
    shares = ("answered", "right_moment", "right_words", "rightly_abstained")
    assert {name: answers[name]["value"] for name in shares} == dict.fromkeys(shares, 1.0)
    assert answers["confidence_auroc"] == 1.0
    only_unanswerable = evaluate(write(tmp_path / "one.jsonl", lines[1:]), "--answers")
    assert only_unanswerable.status == 0
    assert "Abstained, where no video holds the answer: 1.000" in only_unanswerable.out


def test_a_sample_is_the_same_again(evaluate: Playhead, tmp_path: Path) -> None:
    lines = [{"id": n, "question": "a honey bee", "video": "bees", "answer_start_seconds": float(n)} for n in range(30)]
    file = write(tmp_path / "many.jsonl", lines)
    first, again, other = (evaluate(file, "--limit", "5", "--seed", seed, "--json").json for seed in ("7", "7", "8"))
    assert (first["questions"]["ranked"], first["questions"]["seed"], other["questions"]["seed"]) == (5, 7, 8)
    slices = [found["methods"][0]["slices"] for found in (first, again, other)]
    assert slices[0] == slices[1]
    assert evaluate(file, "--limit", "99", "--json").json["questions"]["seed"] is None


def test_questions_about_other_videos_are_left_out_and_named(evaluate: Playhead, tmp_path: Path) -> None:
    lines = [
        {**QUESTIONS[0], "id": "here"},
        {**QUESTIONS[0], "id": "gone", "video": "whales"},
        {**QUESTIONS[1], "id": "two", "video": "owls"},
    ]
    file = write(tmp_path / "some.jsonl", lines)
    text = evaluate(file).out
    assert "Left out: 1 questions that name a video that the library does not hold: gone (whales)." in text
    assert "Left out: 1 questions that name several videos: two (owls)." in text
    asked = evaluate(file, "--json").json["questions"]
    assert asked["ranked"] == 1
    assert [(item["id"], item["videos_meant"]) for item in asked["left_out"]] == [("gone", 0), ("two", 2)]
    ran = evaluate(write(tmp_path / "none.jsonl", lines[1:2]))
    assert (ran.status, ran.out) == (2, "")
    assert "does not hold its videos (whales)" in ran.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "bad.jsonl holds no question"),
        ("\n \n", "bad.jsonl holds no question"),
        (
            '{"question": "a", "video": "bees", "answer_start_seconds": 1}\n{"question": ',
            "bad.jsonl line 2 is not JSON",
        ),
        ('["question"]', 'bad.jsonl line 1 has no "question" text'),
        ('{"question": "a", "video": "bees"}', "bad.jsonl line 1 has no gold"),
        ('{"question": " ", "video": "bees", "answer_start_seconds": 1}', "bad.jsonl line 1: The question is empty"),
        ('\n{"question": "a", "video": "bees", "windows": [[5, 2]]}', "bad.jsonl line 2: the window 5..2 ends before"),
        (
            '{"question": "a", "video": "bees", "windows": [[1, 2]], "scope": "videos"}',
            "bad.jsonl line 1: \"scope\" is 'videos'",
        ),
        (
            '{"question": "a", "video": "bees", "windows": [[1, 2]], "scope": {"video": "whales"}}',
            "bad.jsonl line 1: No video 'whales' in the library",
        ),
        ('{"question": "a", "answerable": false}', "every line is unanswerable"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(evaluate: Playhead, tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(content, encoding="utf-8")
    ran = evaluate(file)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err


def test_a_missing_extra_is_named(
    evaluate: Playhead, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in ("bm25s", "matplotlib") else real(name, *rest)
    )
    for options in (["--baselines"], ["--plots", tmp_path / "plots"]):
        ran = evaluate(questions, *options)
        assert (ran.status, ran.out) == (1, "")
        assert "pip install 'playhead[evaluation]'" in ran.err


def test_a_picture_goes_to_the_search_by_picture_and_channels_read_words() -> None:
    asked: list[tuple[Any, ...]] = []
    nothing = SearchResult("", (), {}, {})

    class Library:
        planned_searcher = property(lambda self: self)

        def search_image(self, image: Path, scope: Scope, limit: int, question: str) -> SearchResult:
            asked.append((image.name, limit, question))
            return nothing

        def search(self, question: str, scope: Scope, limit: int, **options: Any) -> SearchResult:
            asked.append((question, options["channels"], options["rerank"]))
            return nothing

    library: Any = Library()
    whole, _, speech, *_ = own_methods(library)
    for text in ("", "the slide"):
        for method in (whole, speech):
            method.rank(AskedQuestion(text, image=Path("slide.png")), Scope("local"))
    assert asked == [
        ("slide.png", 10, ""),
        ("slide.png", 10, "the slide"),
        ("the slide", ("speech",), False),
    ]


def test_confidence_is_fitted_and_kept_with_the_library(evaluate: Playhead, tmp_path: Path) -> None:
    ran = evaluate(write(tmp_path / "few.jsonl", QUESTIONS[:2]), "--calibrate", "0.1")
    assert ran.status == 1
    assert "Too few questions" in ran.err


def test_a_calibration_is_used_until_it_is_deleted(
    evaluate: Playhead, playhead: Playhead, library: Path, tmp_path: Path
) -> None:
    about = [
        ("lighthouses", "Who built a lens of rings?"),
        ("lighthouses", "How far could sailors see the lens?"),
        ("bees", "What does the angle of the dance give?"),
        ("bees", "Who won the Nobel Prize for the dance?"),
    ]
    lines = [{"question": question, "video": video, "windows": [[0.0, 60.0]]} for video, question in about]
    path = library / "calibration-local.json"
    try:
        ran = evaluate(write(tmp_path / "four.jsonl", lines), "--calibrate", "0.4", "--json")
        assert (ran.status, ran.json["calibration"]["risk"]) == (0, 0.4)
        assert read_calibration(path).questions == 4
        path.write_text("{}")
        broken = playhead("--library", library, "ask", "Who built a lens of rings?")
        assert (broken.status, "Traceback" in broken.err) == (1, False)
        assert str(path) in broken.err
    finally:
        path.unlink(missing_ok=True)
