"""What a kill leaves can be taken up again, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import Scene, make_clip

from ingest import checkpoint as module
from ingest.checkpoint import Checkpoint, StageLog
from ingest.media import MediaLimits


def test_finished_parts_come_back_in_order(tmp_path: Path) -> None:
    log = StageLog(tmp_path / "speech.jsonl", "whisper")
    log.add({"end_seconds": 1.5})
    log.add(["a\nb", "ü"])
    assert StageLog(tmp_path / "speech.jsonl", "whisper").done == [{"end_seconds": 1.5}, ["a\nb", "ü"]]


def test_what_another_model_made_is_not_taken_up(tmp_path: Path) -> None:
    StageLog(tmp_path / "speech.jsonl", "whisper tiny").add(1)
    log = StageLog(tmp_path / "speech.jsonl", "whisper base")
    assert log.done == []
    log.add(2)
    assert StageLog(tmp_path / "speech.jsonl", "whisper base").done == [2]


@pytest.mark.parametrize("kept_bytes", range(1, 40))
def test_a_torn_end_costs_one_part_at_most(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "speech.jsonl"
    log = StageLog(path, "m")
    for part in ("first", "second", "third"):
        log.add(part)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(kept_bytes, len(whole))])
    again = StageLog(path, "m")
    assert again.done == ["first", "second", "third"][: len(again.done)]
    again.add("next")
    assert StageLog(path, "m").done == again.done


def test_a_decoded_file_is_not_decoded_again_unless_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, [Scene(1.0, 1), Scene(1.0, 2)])
    first = Checkpoint(tmp_path / "work").decode(clip, MediaLimits(), want_pictures=True)
    monkeypatch.setattr(module, "decode_media", lambda *given, **options: pytest.fail("decoded again"))
    assert Checkpoint(tmp_path / "work").decode(clip, MediaLimits(), want_pictures=True) == first
    with pytest.raises(pytest.fail.Exception):
        Checkpoint(tmp_path / "work").decode(clip, MediaLimits(), want_pictures=False)


def test_a_decoded_file_that_lost_a_picture_is_decoded_again(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, [Scene(1.0, 1), Scene(1.0, 2)])
    first = Checkpoint(tmp_path / "work").decode(clip, MediaLimits())
    first.frames[0].path.unlink()
    again = Checkpoint(tmp_path / "work").decode(clip, MediaLimits())
    assert again == first
    assert again.frames[0].path.is_file()
