"""Writes the sound of a media file as 16 kHz 16-bit WAV: stereo where its two channels differ, else mono."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.packet import Packet

from ingest.media_clock import Clock

SOUND_RATE = 16_000
SAMPLE_BYTES = 2
WAV_HEADER_BYTES = 44
MAX_WAV_BYTES = 0xFFFFFFFF
# Timestamps are rounded to milliseconds in some containers and jump by packets in others; more than this is a real gap.
MAX_DRIFT_SECONDS = 0.1
# Speakers with a microphone each correlate by less than 0.5; a copied channel, or one with other gain or phase, by more.
SAME_SOUND_CORRELATION = 0.9
# A channel with less than this share of the other's energy holds nothing but noise.
MIN_CHANNEL_SHARE = 1e-4
# Two channels cost twice the room: after so much sound, and above that size, they must be worth it.
LISTEN_SAMPLES = 300 * SOUND_RATE
MAX_STEREO_BYTES = 1 << 30
FOLD_BLOCK_SAMPLES = 1 << 18

Samples = npt.NDArray[np.int16]


class SoundTrack:
    """Appends samples on the clock of the video: gaps become silence, what overlaps is dropped."""

    def __init__(self, stream: Any, clock: Clock, path: Path) -> None:
        self.stream, self.clock = stream, clock
        self.damaged = 0
        self.written = 0
        self.channels = 0
        self._path = path
        self._file = path.open("w+b")
        self._likeness = Likeness()
        self._resampler: AudioResampler | None = None
        self._shape: tuple[Any, ...] = ()
        self._expected_seconds = 0.0
        self._drop = 0

    def take(self, packet: Packet[Any] | None) -> None:
        """Decode a packet and append its samples."""
        try:
            for frame in self.stream.codec_context.decode(packet):
                self._add(frame)
        except (FFmpegError, ValueError):
            self.damaged += 1

    def finish(self) -> None:
        """Flush decoder and resampler, then write the header over the room that was left for it."""
        self.take(None)
        self._end_run()
        if self.channels == 2 and self._likeness.is_same:
            self._fold()
        size = min(self.written * self._sample_bytes, MAX_WAV_BYTES - WAV_HEADER_BYTES)
        self._file.truncate(WAV_HEADER_BYTES + size)
        self._file.seek(0)
        self._file.write(wav_header(size, self.channels))
        self._file.close()
        if not self.written:
            self._path.unlink()

    @property
    def _sample_bytes(self) -> int:
        return SAMPLE_BYTES * self.channels

    def _add(self, frame: Any) -> None:
        time = self.clock.seconds(self.stream, frame.pts)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        jumped = time is not None and abs(time - self._expected_seconds) > MAX_DRIFT_SECONDS
        if shape != self._shape or jumped:
            self.channels = self.channels or (2 if frame.layout.nb_channels == 2 else 1)
            self._start_run(self._expected_seconds if time is None else time, shape)
        assert self._resampler is not None
        for resampled in self._resampler.resample(frame):
            self._write(resampled)
        self._expected_seconds += frame.samples / frame.sample_rate

    def _start_run(self, time: float, shape: tuple[Any, ...]) -> None:
        """Begin sound that does not join on to what came before: after a gap, a jump or a change of format."""
        self._end_run()
        self._resampler = AudioResampler("s16", "stereo" if self.channels == 2 else "mono", SOUND_RATE)
        self._shape, self._expected_seconds = shape, time
        target = round(time * SOUND_RATE)
        self._drop = max(0, self.written - target)
        self.written = max(self.written, target)
        self._seek_to_end()  # Past a gap this leaves a hole: silence that takes no room.

    def _end_run(self) -> None:
        if self._resampler is not None:
            for resampled in self._resampler.resample(None):
                self._write(resampled)
        self._resampler = None

    def _write(self, frame: Any) -> None:
        samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
        if frame.layout.nb_channels > self.channels:  # Folded since this run began.
            samples = self._likeness.mono_of(samples)
        kept = samples[self._drop :]
        self._drop -= len(samples) - len(kept)
        self._file.write(kept.astype("<i2", copy=False).tobytes())
        self.written += len(kept)
        if self.channels == 2:
            self._likeness.hear(kept)
            heard_enough = self._likeness.heard >= LISTEN_SAMPLES and self._likeness.is_same
            if heard_enough or self.written * self._sample_bytes > MAX_STEREO_BYTES:
                self._fold()

    def _fold(self) -> None:
        """Make one channel of two, in place: what is read always lies after what is written."""
        self._file.truncate(WAV_HEADER_BYTES + self.written * self._sample_bytes)
        for first in range(0, self.written, FOLD_BLOCK_SAMPLES):
            self._file.seek(WAV_HEADER_BYTES + first * 2 * SAMPLE_BYTES)
            data = self._file.read(min(FOLD_BLOCK_SAMPLES, self.written - first) * 2 * SAMPLE_BYTES)
            stereo = np.frombuffer(data, dtype="<i2").reshape(-1, 2)
            self._file.seek(WAV_HEADER_BYTES + first * SAMPLE_BYTES)
            self._file.write(self._likeness.mono_of(stereo).astype("<i2", copy=False).tobytes())
        self.channels = 1
        self._file.truncate(WAV_HEADER_BYTES + self.written * SAMPLE_BYTES)
        self._seek_to_end()

    def _seek_to_end(self) -> None:
        self._file.seek(WAV_HEADER_BYTES + self.written * self._sample_bytes)


class Likeness:
    """How alike two channels are, from sums over all samples heard."""

    def __init__(self) -> None:
        self.heard = 0
        self._left = self._right = self._product = 0.0

    def hear(self, samples: Samples) -> None:
        """Count samples in: (n, 2)."""
        left, right = samples.astype(np.float32).T
        self.heard += len(samples)
        self._left += float(left @ left)
        self._right += float(right @ right)
        self._product += float(left @ right)

    @property
    def is_same(self) -> bool:
        """Whether one channel tells all: the other is a copy of it, or as good as silent."""
        quiet, loud = sorted((self._left, self._right))
        if quiet <= MIN_CHANNEL_SHARE * loud:
            return True
        return abs(self._product) >= SAME_SOUND_CORRELATION * math.sqrt(self._left * self._right)

    def mono_of(self, samples: Samples) -> Samples:
        """The mean of both channels, (n, 2) to (n, 1); a channel of opposite phase is turned, or both would cancel out."""
        left, right = samples.astype(np.int32).T
        mean: Samples = ((left - right if self._product < 0 else left + right) // 2).astype(np.int16)
        return mean[:, None]


def wav_header(data_bytes: int, channels: int) -> bytes:
    """The 44 bytes before 16 kHz 16-bit samples."""
    riff = struct.pack("<4sI4s", b"RIFF", WAV_HEADER_BYTES - 8 + data_bytes, b"WAVE")
    frame_bytes = SAMPLE_BYTES * channels
    rate = struct.pack("<HHIIHH", 1, channels, SOUND_RATE, SOUND_RATE * frame_bytes, frame_bytes, 8 * SAMPLE_BYTES)
    return riff + struct.pack("<4sI", b"fmt ", len(rate)) + rate + struct.pack("<4sI", b"data", data_bytes)
