"""Speech to text: what a recogniser does, and the best one that can be had here."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ingest.schema import PlayheadError
from ingest.sphinx_speech import PocketSphinxTranscriber
from ingest.voices import HeardBlock
from ingest.weights import find_weights
from ingest.whisper_speech import WhisperTranscriber, open_whisper

HUB_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*", "preprocessor_config.json")
SYSTRAN_SIZES = frozenset(
    f"{size}{suffix}" for size in ("tiny", "base", "small", "medium") for suffix in ("", ".en")
) | {"large-v1", "large-v2", "large-v3"}
TURBO = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"

log = logging.getLogger(__name__)

__all__ = ["HUB_FILES", "HeardBlock", "Transcriber", "load_transcriber"]


class Transcriber(Protocol):
    """Writes down what is said."""

    name: str

    def transcribe(self, audio: Path, language: str | None = None, start_seconds: float = 0.0) -> Iterator[HeardBlock]:
        """What is heard in a 16 kHz 16-bit WAV file of one or two channels, block by block and from `start_seconds` on.

        From the end of an earlier block, the same blocks follow as did then. A block in which nothing is said has no
        segments. Raises ValueError when the file has another form.
        """


def load_transcriber(model: str) -> Transcriber | None:
    """The recogniser for a Whisper size, folder or hub name, or "pocketsphinx"; None when it cannot be had here.

    "auto" is Whisper base, else PocketSphinx. Raises PlayheadError when weights asked for by name are damaged.
    """
    if model == "pocketsphinx":
        return _pocketsphinx()
    if model != "auto":
        return _whisper(model)
    try:
        return _whisper("base") or _pocketsphinx()
    except PlayheadError as error:
        log.warning("%s", error)
        return _pocketsphinx()


def _whisper(model: str) -> WhisperTranscriber | None:
    repository = f"Systran/faster-whisper-{model}" if model in SYSTRAN_SIZES else model
    weights = find_weights(TURBO if model == "large-v3-turbo" else repository, HUB_FILES)
    if weights is None:
        return None
    opened, number_format = open_whisper(weights)
    return WhisperTranscriber(opened, f"faster-whisper {Path(model).name} {number_format}")


def _pocketsphinx() -> PocketSphinxTranscriber | None:
    return PocketSphinxTranscriber() if importlib.util.find_spec("pocketsphinx") else None
