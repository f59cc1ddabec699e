"""The sound of a file in blocks that fit in memory, cut where it is quiet, and the stretches of speech in it."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_SECOND = 16_000
# A run that is killed hears one block again: a tenth of a file of five minutes or more.
BLOCKS_PER_FILE = 12
MIN_BLOCK_SECONDS = 30
MAX_BLOCK_SECONDS = 300
CUT_SEARCH_SECONDS = 30
MAX_CHANNELS = 2

# Stretches of speech; PocketSphinx holds the search of a whole stretch in memory.
MAX_SPEECH_SPAN_SECONDS = 20.0
SPEECH_SPAN_PAUSE_SECONDS = 0.5
SPEECH_SPAN_MARGIN_SECONDS = 0.3

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """A stretch of a file that starts at `start_seconds`; samples of shape (samples, channels)."""

    start_seconds: float
    samples: Samples

    @property
    def end_seconds(self) -> float:
        """Where the next block starts."""
        return (round(self.start_seconds * SAMPLES_PER_SECOND) + len(self.samples)) / SAMPLES_PER_SECOND


def audio_blocks(audio: Path, start_seconds: float = 0.0) -> Iterator[SoundBlock]:
    """The blocks of a WAV file from `start_seconds` on; from the end of an earlier block, the same that followed it.

    A block is a twelfth of the file, 30 s at least and 300 s at most. Raises ValueError when the file is not 16 kHz 16-bit
    with one or two channels.
    """
    with wave.open(str(audio), "rb") as file:
        form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if form[0] != SAMPLES_PER_SECOND or not 1 <= form[1] <= MAX_CHANNELS or form[2] != 2:
            raise ValueError(f"{audio.name} must be 16000 Hz, 1 or 2 channels, 2 bytes a sample, got {form}")
        total, length = file.getnframes(), block_length(file.getnframes())
        start = round(start_seconds * SAMPLES_PER_SECOND)
        while start < total:
            file.setpos(start)
            samples = np.frombuffer(file.readframes(length), dtype="<i2").reshape(-1, form[1])
            if not len(samples):  # the file is shorter than its header says
                return
            is_last = len(samples) < length or start + length >= total
            block = SoundBlock(start / SAMPLES_PER_SECOND, samples if is_last else samples[: quiet_cut(samples)])
            yield block
            start += len(block.samples)


def channel_count(audio: Path) -> int:
    """The number of channels of a WAV file."""
    with wave.open(str(audio), "rb") as file:
        return file.getnchannels()


def block_length(file_samples: int) -> int:
    """The samples of one block of a file of this length."""
    shortest, longest = MIN_BLOCK_SECONDS * SAMPLES_PER_SECOND, MAX_BLOCK_SECONDS * SAMPLES_PER_SECOND
    return min(max(file_samples // BLOCKS_PER_FILE, shortest), longest)


def quiet_cut(block: Samples) -> int:
    """The sample to cut at: the middle of the quietest 0.3 s in the last third of a block, or in its last 30 s."""
    step = SAMPLES_PER_SECOND * 3 // 10
    tail = block[-min(CUT_SEARCH_SECONDS * SAMPLES_PER_SECOND, len(block) // 3) :]
    windows = tail[: len(tail) // step * step].reshape(-1, step * block.shape[1]).astype(np.float32)
    quietest = int(np.argmin((windows**2).mean(axis=1)))
    return len(block) - len(tail) + quietest * step + step // 2


def as_float(samples: Samples) -> NDArray[np.float32]:
    """Samples as the models take them, -1..1."""
    return samples.astype(np.float32) / 32768.0


def speech_spans(samples: Samples) -> list[tuple[int, int]]:
    """The (first, last + 1) samples of each stretch of speech in mono samples; none in tones, music and noise."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        max_speech_duration_s=MAX_SPEECH_SPAN_SECONDS,
        min_silence_duration_ms=round(SPEECH_SPAN_PAUSE_SECONDS * 1000),
        speech_pad_ms=round(SPEECH_SPAN_MARGIN_SECONDS * 1000),
    )
    return [(span["start"], span["end"]) for span in get_speech_timestamps(as_float(samples), options)]
