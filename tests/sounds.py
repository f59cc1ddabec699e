"""Sounds made of numbers: a voice without words, tones, noise and music; and real clips where they are there."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.sound_blocks import SAMPLES_PER_SECOND

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
VOWEL_FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (300, 870, 2240), (570, 840, 2410))


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = SAMPLES_PER_SECOND) -> Path:
    """Samples of shape (samples,) or (samples, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def pcm(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    return (signal / max(1e-9, float(np.abs(signal).max())) * 12_000).astype(np.int16)


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLES_PER_SECOND), dtype=np.int16)


def talker(seconds: float) -> NDArray[np.int16]:
    """Four syllables a second: glottal pulses through the formants of vowels. A voice without words."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    length = SAMPLES_PER_SECOND // 4
    syllables = []
    for _ in range(round(seconds * 4)):
        pitch_hz = np.linspace(rng.uniform(110, 140), rng.uniform(95, 120), length)
        sound = np.diff(np.floor(np.cumsum(pitch_hz) / SAMPLES_PER_SECOND), prepend=0.0)
        for formant_hz, width_hz in zip(VOWEL_FORMANTS_HZ[rng.integers(5)], (80, 100, 140), strict=True):
            radius = np.exp(-np.pi * width_hz / SAMPLES_PER_SECOND)
            poles = [1.0, -2 * radius * np.cos(2 * np.pi * formant_hz / SAMPLES_PER_SECOND), radius**2]
            sound = lfilter([sum(poles)], poles, sound)
        syllables.append(sound * np.sin(np.linspace(0, np.pi, length)) ** 0.5)
    return pcm(np.concatenate(syllables))


def tone(seconds: float) -> NDArray[np.int16]:
    return pcm(np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLES_PER_SECOND)) / SAMPLES_PER_SECOND))


def noise(seconds: float) -> NDArray[np.int16]:
    return pcm(np.random.default_rng(0).standard_normal(round(seconds * SAMPLES_PER_SECOND)))


def chords(seconds: float) -> NDArray[np.int16]:
    """Struck chords with a beat: music without a voice."""
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES_PER_SECOND // 2) / SAMPLES_PER_SECOND
    beats = []
    for _ in range(round(seconds * 2)):
        notes_hz = 220 * 2 ** (rng.integers(0, 24, 3) / 12)
        strings = sum(np.sin(2 * np.pi * note * n * time) / n for note in notes_hz for n in range(1, 6))
        drum = rng.standard_normal(len(time)) * np.exp(-80 * time)
        beats.append(strings * np.exp(-4 * time) + drum)
    return pcm(np.concatenate(beats))


def real_clip(path: str) -> Path:
    if not (DATA / path).is_file():
        pytest.skip(f"no real speech at {DATA / path}")
    return DATA / path


def decode_to_wav(source: Path, target: Path) -> Path:
    import av

    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLES_PER_SECOND)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return write_wav(target, np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]))
