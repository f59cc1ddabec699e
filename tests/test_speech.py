"""Which recogniser is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.schema import PlayheadError
from ingest.speech import load_transcriber
from ingest.sphinx_speech import PocketSphinxTranscriber


def test_damaged_whisper_weights_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(PlayheadError, match="cannot be read") as told:
        load_transcriber(str(tmp_path))
    assert "\n" not in str(told.value)


def test_the_ladder_without_network_is_quick_and_ends_with_pocketsphinx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert load_transcriber("small") is None
    assert load_transcriber("somebody/some-whisper") is None
    pytest.importorskip("pocketsphinx")
    last = load_transcriber("auto")
    assert last is not None and last.name == "PocketSphinx en-us"


def test_auto_steps_over_damaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "model.bin").write_bytes(b"not a model")
    monkeypatch.setattr("ingest.speech.find_weights", lambda name, patterns: tmp_path)
    transcriber = load_transcriber("auto")
    assert isinstance(transcriber, PocketSphinxTranscriber)
    assert "cannot be read" in caplog.text
