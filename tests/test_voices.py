"""Two channels: whose voice is where, and words that both microphones took up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import decode_to_wav, noise, real_clip, silence, talker, write_wav

from ingest.heard_words import HeardWord
from ingest.sound_blocks import SAMPLES_PER_SECOND, Samples
from ingest.sphinx_speech import PocketSphinxTranscriber
from ingest.voices import (
    BOTH,
    LEFT,
    MONO,
    RIGHT,
    Voice,
    channel_decibels,
    find_voices,
    hear_blocks,
    is_crosstalk,
    mixed,
)


def stereo(left: Samples, right: Samples) -> NDArray[np.int16]:
    return np.stack([left, right], axis=1)


def in_turns(bleed: float = 0.0) -> NDArray[np.int16]:
    """Five seconds of a voice on the left, then on the right; each is in the other channel too, `bleed` times as loud."""
    left = np.concatenate([silence(1), talker(5), silence(7)])
    right = np.concatenate([silence(7), talker(5), silence(1)])
    return stereo((left + bleed * right).astype(np.int16), (right + bleed * left).astype(np.int16))


QUIET_NOISE = noise(13) // 200


@pytest.mark.parametrize(
    ("samples", "voices"),
    [
        (in_turns()[:, :1], (MONO,)),
        (in_turns(), (LEFT, RIGHT)),
        (in_turns(bleed=0.2), (LEFT, RIGHT)),
        (in_turns(bleed=0.9), (BOTH,)),
        (stereo(in_turns()[:, 0], QUIET_NOISE), (Voice((1.0, 0.0)),)),
        (stereo(QUIET_NOISE, in_turns()[:, 1]), (Voice((0.0, 1.0)),)),
        (stereo(QUIET_NOISE, QUIET_NOISE // 2), (BOTH,)),
    ],
    ids=["mono", "apart", "bleed", "one room", "left only", "right only", "nobody"],
)
def test_voices(tmp_path: Path, samples: NDArray[np.int16], voices: tuple[Voice, ...]) -> None:
    assert find_voices(write_wav(tmp_path / "a.wav", samples)) == voices


def test_a_mix_of_full_channels_does_not_overflow() -> None:
    full = np.full((4, 2), 32767, dtype=np.int16)
    assert mixed(full).tolist() == [32767] * 4
    assert mixed(np.array([[100, -100], [0, 50]], dtype=np.int16)).tolist() == [0, 25]
    assert RIGHT.of(np.array([[100, -100], [0, 50]], dtype=np.int16)).tolist() == [-100, 50]


def test_loudness_of_each_tenth_of_a_second() -> None:
    samples = np.concatenate([np.full(1600, 1000), np.full(1600, 100), np.full(800, 10)]).astype(np.int16)
    assert channel_decibels(samples) == pytest.approx([60, 40, 20], abs=0.1)


def word(text: str, start: float, channel: str = "") -> HeardWord:
    return HeardWord(f" {text}", start, start + 0.4, 0.9, channel or "en")


@pytest.mark.parametrize(
    ("other_louder", "other", "crosstalk"),
    [
        (10.0, word("whatever", 1.1), True),
        (10.0, word("whatever", 3.0), False),
        (3.0, word("Bee!", 1.2), True),
        (3.0, word("whatever", 1.2), False),
        (3.0, word("bee", 2.0), False),
        (-3.0, word("bee", 1.0), False),
        (0.0, word("bee", 1.0), False),
    ],
)
def test_crosstalk(other_louder: float, other: HeardWord, crosstalk: bool) -> None:
    assert is_crosstalk(word("bee", 1.0), [other], other_louder) is crosstalk


def test_each_voice_is_heard_in_its_channel_and_merged_by_time(tmp_path: Path) -> None:
    """A recogniser that writes "loud" or "soft" for every second it hears anything, as both microphones do here."""

    def hear(samples: Samples, start: float) -> list[HeardWord]:
        seconds = range(len(samples) // SAMPLES_PER_SECOND)
        peaks = [np.abs(samples[s * SAMPLES_PER_SECOND : (s + 1) * SAMPLES_PER_SECOND]).max() for s in seconds]
        return [word("loud" if p > 2500 else "soft", start + s) for s, p in enumerate(peaks) if p > 100]

    audio = write_wav(tmp_path / "a.wav", in_turns(bleed=0.2))
    (block,) = hear_blocks(audio, 0.0, hear, lambda words: [[word] for word in words])
    assert {segment.text for segment in block.segments} == {"loud"}
    assert [s.speaker for s in block.segments] == ["left"] * 5 + ["right"] * 5
    assert [s.start_seconds for s in block.segments] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_one_voice_has_no_name(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", stereo(in_turns()[:, 0], QUIET_NOISE))
    (block,) = hear_blocks(audio, 0.0, lambda samples, start: [word("bee", 2.0)], lambda words: [list(words)])
    assert [segment.speaker for segment in block.segments] == [None]


@pytest.mark.slow
def test_an_interview_of_real_voices_is_told_apart(tmp_path: Path) -> None:
    """Two speakers in turns; each microphone takes up the other one 14 decibels weaker."""
    pytest.importorskip("pocketsphinx")
    clips = [real_clip(f"speech/speechbrain/spk{n}_snt{5 if n == 1 else 1}.wav") for n in (1, 2)]
    import wave

    voices = []
    for clip in clips:
        with wave.open(str(decode_to_wav(clip, tmp_path / "clip.wav"))) as file:
            samples = np.frombuffer(file.readframes(-1), dtype="<i2").astype(np.float64)
        voices.append(samples / np.abs(samples).max() * 12_000)
    left = np.concatenate([voices[0], silence(0.5), np.zeros(len(voices[1]))])
    right = np.concatenate([np.zeros(len(voices[0])), silence(0.5), voices[1]])
    audio = write_wav(tmp_path / "a.wav", stereo(left + 0.2 * right, right + 0.2 * left).astype(np.int16))
    (block,) = PocketSphinxTranscriber().transcribe(audio)
    assert [segment.speaker for segment in block.segments] == ["left", "right"]
    assert block.segments[0].text == "sunday is the best part of the week"
