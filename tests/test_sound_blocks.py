"""Blocks of sound: cut where it is quiet, and the same again from any of them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import silence, talker, tone, write_wav

from ingest.sound_blocks import SAMPLES_PER_SECOND, audio_blocks, block_length, channel_count, speech_spans


def loud(seconds: float, channels: int = 1) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    return rng.integers(-9000, 9000, (round(seconds * SAMPLES_PER_SECOND), channels), dtype=np.int16)


@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_are_cut_where_it_is_quiet_and_make_up_the_file(tmp_path: Path, channels: int) -> None:
    samples = loud(100, channels)
    for second in (25, 47):
        samples[second * SAMPLES_PER_SECOND : (second + 1) * SAMPLES_PER_SECOND] //= 100
    blocks = list(audio_blocks(write_wav(tmp_path / "a.wav", samples)))
    assert [int(block.end_seconds) for block in blocks[:2]] == [25, 47]
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), samples)
    assert [block.start_seconds for block in blocks[1:]] == [block.end_seconds for block in blocks[:-1]]


def test_from_the_end_of_a_block_the_same_blocks_follow(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", loud(200))
    blocks = list(audio_blocks(audio))
    assert len(blocks) > 4
    for position, block in enumerate(blocks):
        again = list(audio_blocks(audio, block.end_seconds))
        assert [b.start_seconds for b in again] == [b.start_seconds for b in blocks[position + 1 :]]
        assert [b.samples.tobytes() for b in again] == [b.samples.tobytes() for b in blocks[position + 1 :]]


@pytest.mark.parametrize(("minutes", "seconds"), [(0.1, 30), (5, 30), (30, 150), (60, 300), (600, 300)])
def test_a_block_is_a_tenth_of_five_minutes_and_less_of_more(minutes: float, seconds: float) -> None:
    assert block_length(round(minutes * 60 * SAMPLES_PER_SECOND)) == seconds * SAMPLES_PER_SECOND


def test_an_empty_file_has_no_blocks(tmp_path: Path) -> None:
    assert list(audio_blocks(write_wav(tmp_path / "a.wav", silence(0)))) == []


def test_a_file_that_is_shorter_than_its_header_says_ends_where_it_ends(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", loud(100))
    audio.write_bytes(audio.read_bytes()[: 44 + 2 * 70 * SAMPLES_PER_SECOND])
    blocks = list(audio_blocks(audio))
    assert blocks[-1].end_seconds == 70.0


@pytest.mark.parametrize(("samples", "rate", "found"), [(silence(1), 44_100, "44100"), (loud(1, 3), 16_000, "3, 2")])
def test_other_audio_is_refused_with_what_was_found(
    tmp_path: Path, samples: NDArray[np.int16], rate: int, found: str
) -> None:
    with pytest.raises(ValueError, match=f"16000 Hz.*{found}"):
        list(audio_blocks(write_wav(tmp_path / "a.wav", samples, rate)))


def test_channels_are_counted(tmp_path: Path) -> None:
    assert channel_count(write_wav(tmp_path / "a.wav", loud(1, 2))) == 2


def test_a_voice_is_found_where_it_is() -> None:
    spans = speech_spans(np.concatenate([tone(3), talker(4), silence(3)]))
    assert spans[0][0] / SAMPLES_PER_SECOND == pytest.approx(2.7, abs=0.5)
    assert spans[-1][1] / SAMPLES_PER_SECOND == pytest.approx(7.3, abs=0.5)
