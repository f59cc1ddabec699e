"""After a purge no byte of a video is left: not of its words, its vectors, its pictures or its name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from clips import Scene, make_clip
from conftest import Playhead, write_talk

from app.build import OpenLibrary
from app.settings import read_settings

CANARY = "xylophonequartz"
VECTOR_BYTES = 64


def holding(folders: Iterable[Path], canary: bytes) -> list[Path]:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path for path in files if canary in path.read_bytes()]


def canaries(library: Path, video_id: str) -> dict[str, bytes]:
    """What the library holds of a video, in the form that it lies on the disk."""
    with OpenLibrary(read_settings({}, library=library), "a test", load_models=False) as opened:
        points = list(opened.index.scroll("local", video_id))
        frame = next(opened.folder.frames_folder("local", video_id).iterdir()).read_bytes()
        tokens = next(opened.folder.tokens_folder("local", video_id).iterdir()).read_bytes()
    found = {"words": CANARY.encode(), "picture": frame[len(frame) // 2 :][:VECTOR_BYTES]}
    found["tokens"] = tokens[len(tokens) // 2 :][:VECTOR_BYTES]
    for leg in ("speech_dense", "visual"):
        vector = np.asarray(points[0].vectors[leg], dtype="<f4").reshape(-1)
        found[leg] = vector.tobytes()[:VECTOR_BYTES]
    return found


@pytest.mark.parametrize("in_two_steps", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_purge_leaves_no_byte(
    playhead: Playhead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_two_steps: bool
) -> None:
    library, videos, temporary = tmp_path / "library", tmp_path / "videos", tmp_path / "temporary"
    for folder in (videos, temporary):
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    make_clip(videos / f"{CANARY}.mp4", [Scene(2.0, 1), Scene(2.0, 2)])
    write_talk(videos, CANARY, [f"The word is {CANARY}, and nobody else says it."], 2.0)
    write_talk(videos, "other", ["Something else is said here."])
    video_id = next(
        row["video_id"] for row in playhead("ingest", videos, "--json").json["videos"] if row["title"] == CANARY
    )
    playhead("ask", f"Who says {CANARY}?")
    before = canaries(library, video_id)
    for kind, canary in before.items():
        assert holding([library], canary), f"the test cannot see the {kind}"
    if in_two_steps:
        playhead("delete", video_id)
        assert playhead("delete", "--purge").status == 0
    else:
        assert playhead("delete", video_id, "--purge").status == 0
    left = {kind: holding([library, temporary], canary) for kind, canary in before.items()}
    assert left == {kind: [] for kind in before}
    assert playhead("search", "something else", "--json").json["hits"]
    assert (videos / f"{CANARY}.mp4").exists()
