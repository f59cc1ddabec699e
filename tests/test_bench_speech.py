"""The figures of the speech bench, on clips whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sounds import silence, write_wav

from evaluation.bench_speech import PEER_WEIGHTS, Clip, bench_speech, decoded_clips, measured, measured_peer
from ingest.schema import TranscriptSegment
from ingest.voices import HeardBlock


class SaysBanana:
    """Hears one word in every file."""

    name = "banana"

    def transcribe(self, audio: Path, language: str | None = None, start_seconds: float = 0.0) -> Iterator[HeardBlock]:
        segment = TranscriptSegment(0.0, 1.0, "Banana!", "speech recogniser")
        yield HeardBlock(0.0, 1.0, (segment,))


def test_errors_are_counted_over_all_clips() -> None:
    clips = [Clip(Path("a.wav"), 2.0, ["a", "banana"]), Clip(Path("b.wav"), 2.0, ["banana"])]
    assert measured(SaysBanana(), clips).startswith("banana: word error rate 0.333 on 3 words, 0.00 s a second")


def test_clips_are_decoded_with_their_words(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", silence(2))
    (tmp_path / "list.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "Hello, world"}) + "\n")
    with decoded_clips(tmp_path / "list.jsonl", "audio") as (clip,):
        assert (clip.words, clip.audio.exists()) == (["hello", "world"], True)
        assert clip.duration_seconds == pytest.approx(2.0, abs=0.01)
    assert not clip.audio.exists()


def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench_speech(tmp_path)
    assert "no clips at" in capsys.readouterr().out
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "no `whisper` command" in measured_peer([])
    monkeypatch.setattr("shutil.which", lambda name: "/bin/whisper")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"no weights at {PEER_WEIGHTS}" in measured_peer([])
