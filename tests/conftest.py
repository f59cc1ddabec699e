"""Shared fixtures: a small library of captions, and a run of the command line that never touches the user's folders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

TALKS = {
    "lighthouses": (
        "Augustin Fresnel built a lens of many rings of glass.",
        "The rings bend the light into one strong beam.",
        "Sailors could see the lamp from twenty miles away.",
        "Before that the keepers burned coal on the tower.",
    ),
    "bees": (
        "A honey bee dances to tell the others where flowers are.",
        "The angle of the dance gives the direction to the sun.",
        "A longer waggle means that the flowers are farther away.",
        "Karl von Frisch won the Nobel Prize for reading the dance.",
    ),
    "bread": (
        "Yeast eats the sugar in the flour and gives off gas.",
        "The gas is caught by the gluten and the dough rises.",
        "A cold night in the fridge makes the bread taste better.",
        "Bake it at two hundred and thirty degrees.",
    ),
}


def write_talk(folder: Path, name: str, sentences: Sequence[str], seconds_each: float = 8.0) -> Path:
    """A WebVTT file that says one sentence after the other."""
    lines = ["WEBVTT", ""]
    for position, sentence in enumerate(sentences):
        start, end = position * seconds_each, (position + 1) * seconds_each
        lines += [f"{_clock(start)} --> {_clock(end)}", sentence, ""]
    path = folder / f"{name}.vtt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{seconds % 60:06.3f}"


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A folder with three caption files."""
    folder = tmp_path / "talks"
    folder.mkdir()
    for name, sentences in TALKS.items():
        write_talk(folder, name, sentences)
    return folder


@dataclass(frozen=True, slots=True)
class Ran:
    """How one `playhead` command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Playhead = Callable[..., Ran]


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the converted text model is kept for the whole run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def playhead(
    tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Playhead]:
    """Runs the command line in this process, with a library of its own and no keys."""
    for name in list(os.environ):
        if name.startswith(("PLAYHEAD_", "OPENAI_")) and name != "PLAYHEAD_TEST_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PLAYHEAD_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("PLAYHEAD_CACHE", str(model_cache))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ran:
        from app.cli import main

        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    yield run
