"""The first look works offline without a key: the demo videos answer, cite and abstain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Playhead

from app.demo import DEMO_QUESTIONS, DEMO_VIDEOS, open_demo
from app.settings import read_settings
from ingest.library import LibraryFolder
from ingest.schema import IndexMismatchError

ROOT = Path(__file__).parent.parent


pytestmark = pytest.mark.timeout(400)  # the demo is read once, a minute on two idle cores


@pytest.fixture(scope="module")
def demo_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo-library")


def test_the_demo_answers_two_questions_and_abstains_on_the_third(playhead: Playhead, demo_library: Path) -> None:
    ran = playhead("--library", demo_library, "demo", "--no-serve")
    assert ran.status == 0
    first, second, third = [ran.out.split(f"> {question}\n")[1].split("\n> ")[0] for question in DEMO_QUESTIONS]
    assert "mercury" in first
    assert "how-a-lighthouse-lens-works.mp4#t=65.9" in first
    assert "16 hours" in second
    assert "the-first-atlantic-cable.mp4#t=17.0" in second
    assert "does not hold the answer" in third
    again = playhead("--library", demo_library, "demo", "--no-serve")
    assert "8 unchanged" in again.out


def test_the_demo_videos_bring_every_channel(playhead: Playhead, demo_library: Path) -> None:
    rows = playhead("--library", demo_library, "--json", "ingest", DEMO_VIDEOS).json["videos"]
    speech = {Path(row["path"]).stem: row["channels"].get("speech") for row in rows}
    assert speech["how-a-lighthouse-lens-works"] == "sidecar captions"
    assert speech["why-the-sky-is-blue"] == "embedded captions"
    assert speech["how-honey-bees-share-directions"] == "PocketSphinx en-us"
    assert speech["the-first-atlantic-cable"] is None
    assert all(row["channels"]["visual"] for row in rows)
    assert sum(path.stat().st_size for path in DEMO_VIDEOS.iterdir()) < 8_000_000


def test_two_videos_that_disagree_are_both_quoted(playhead: Playhead, demo_library: Path) -> None:
    answer = playhead("--library", demo_library, "--json", "ask", "How long is the Great Wall of China?").json
    assert {citation["video_title"] for citation in answer["citations"]} == {
        "Measuring the Great Wall",
        "A Visitor's Guide to the Great Wall",
    }
    assert "21,196" in answer["answer"]
    assert "8,850" in answer["answer"]


def test_a_demo_library_of_another_version_is_made_anew(model_cache: Path) -> None:
    folder = LibraryFolder(model_cache / "demo-library")
    folder.create()
    (folder.path / "library.json").write_text('{"format_version": 0}')
    settings = replace(read_settings({}), library=folder.path, cache=model_cache)
    with pytest.raises(IndexMismatchError):
        open_demo(settings, "test", own_library=True)
    with open_demo(settings, "test", own_library=False) as library:
        assert library.folder.models() is not None


def test_the_question_file_names_what_is_there() -> None:
    rows = [json.loads(line) for line in (ROOT / "demo" / "questions.jsonl").read_text().splitlines()]
    stems = {path.stem for path in DEMO_VIDEOS.glob("*.mp4")}
    assert {row["video"] for row in rows if row["answerable"]} <= stems


def test_an_image_finds_its_video_and_moment(playhead: Playhead, demo_library: Path, tmp_path: Path) -> None:
    (frames,) = [p for p in (demo_library / "frames" / "local").iterdir() if len(list(p.iterdir())) > 12]
    frame = sorted(frames.iterdir())[-1]
    found = playhead("--library", demo_library, "--json", "search", "--image", frame).json
    best = found["hits"][0]
    assert best["video_id"] == frames.name
    assert best["start_seconds"] <= int(frame.stem) / 1000 <= best["end_seconds"]
