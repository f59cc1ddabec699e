"""Whose voice is in which channel: two people recorded apart are heard apart, and each only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.heard_words import HeardWord, Utterance, segment_of, total_seconds
from ingest.schema import TranscriptSegment
from ingest.sound_blocks import SAMPLES_PER_SECOND, Samples, audio_blocks, channel_count, speech_spans

LEVEL_STEP_SECONDS = 0.1
# A voice in its own microphone is this much louder than in the other one.
OWN_MARGIN_DECIBELS = 6.0
MIN_OWN_SPEECH_SECONDS = 2.0
MIN_OWN_SPEECH_SHARE = 0.5
SAME_WORD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Voice:
    """A mix of the channels to listen to (one weight a channel), and whose voice it is where that is known."""

    weights: tuple[float, ...]
    speaker: str | None = None

    def of(self, samples: Samples) -> Samples:
        """The mono samples of this voice, from samples of shape (samples, channels)."""
        if samples.shape[1] == 1:
            return samples[:, 0]
        mixed: Samples = np.rint(samples @ np.array(self.weights, dtype=np.float32)).astype(np.int16)
        return mixed


MONO = Voice((1.0,))
LEFT, RIGHT = Voice((1.0, 0.0), "left"), Voice((0.0, 1.0), "right")
BOTH = Voice((0.5, 0.5))


def mixed(samples: Samples) -> Samples:
    """The mono samples of all channels, from samples of shape (samples, channels)."""
    return (MONO if samples.shape[1] == 1 else BOTH).of(samples)


@dataclass(frozen=True, slots=True)
class HeardBlock:
    """What was heard in one stretch of the file; the next one begins where it ends.

    `not_understood_seconds` is the length of the words that were left out because they were hardly heard.
    """

    start_seconds: float
    end_seconds: float
    segments: tuple[TranscriptSegment, ...]
    not_understood_seconds: float = 0.0


def hear_blocks(
    audio: Path,
    start_seconds: float,
    hear: Callable[[Samples, float], Sequence[HeardWord]],
    utterances: Callable[[Sequence[HeardWord]], Sequence[Utterance]],
) -> Iterator[HeardBlock]:
    """The blocks of a file from `start_seconds` on.

    `hear` gives the words of mono samples that begin at a second of the file, `utterances` those that are to be kept.
    """
    voices = find_voices(audio)
    for block in audio_blocks(audio, start_seconds):
        words = [hear(voice.of(block.samples), block.start_seconds) for voice in voices]
        if len(voices) == 2:
            levels = [channel_decibels(block.samples[:, channel]) for channel in (0, 1)]
            words = list(without_crosstalk(words[0], words[1], levels[0] - levels[1], block.start_seconds))
        kept = [(voice, utterance) for voice, said in zip(voices, words, strict=True) for utterance in utterances(said)]
        segments = sorted(
            (segment_of(utterance, voice.speaker) for voice, utterance in kept), key=lambda s: s.start_seconds
        )
        left_out = sum(map(total_seconds, words)) - sum(total_seconds(utterance) for _, utterance in kept)
        yield HeardBlock(block.start_seconds, block.end_seconds, tuple(segments), max(0.0, round(left_out, 3)))


def find_voices(audio: Path) -> tuple[Voice, ...]:
    """What to listen to in a file: two channels apart when most speech is clearly louder in one of them and each has some.

    Of two channels with one voice, the one that has it, or both mixed. Reads two channels through once with the voice
    detector, which costs 0.01 s a second of sound, so that every block of a file has the same voices.
    """
    if channel_count(audio) == 1:
        return (MONO,)
    own, any_speech = np.zeros(2), 0.0
    for block in audio_blocks(audio):
        levels = np.stack([channel_decibels(block.samples[:, channel]) for channel in (0, 1)])
        speaks = np.stack([_speech_steps(block.samples[:, channel], levels.shape[1]) for channel in (0, 1)])
        own += (speaks & (levels - levels[::-1] > OWN_MARGIN_DECIBELS)).sum(axis=1) * LEVEL_STEP_SECONDS
        any_speech += float(speaks.any(axis=0).sum()) * LEVEL_STEP_SECONDS
    if own.sum() < MIN_OWN_SPEECH_SHARE * any_speech or not own.any():
        return (BOTH,)
    if own.min() >= MIN_OWN_SPEECH_SECONDS:
        return (LEFT, RIGHT)
    return (Voice((LEFT, RIGHT)[int(own.argmax())].weights),)


def channel_decibels(samples: Samples) -> NDArray[np.float32]:
    """The loudness of each 0.1 s of one channel, the last one perhaps shorter."""
    step = round(LEVEL_STEP_SECONDS * SAMPLES_PER_SECOND)
    squares = samples.astype(np.float32) ** 2
    starts = np.arange(0, len(samples), step)
    power = np.add.reduceat(squares, starts) / np.minimum(step, len(samples) - starts)
    decibels: NDArray[np.float32] = (10 * np.log10(power + 1.0)).astype(np.float32)
    return decibels


def _speech_steps(samples: Samples, steps: int) -> NDArray[np.bool_]:
    """For each 0.1 s whether somebody speaks."""
    step = round(LEVEL_STEP_SECONDS * SAMPLES_PER_SECOND)
    speaks = np.zeros(steps, dtype=np.bool_)
    for start, stop in speech_spans(samples):
        speaks[start // step : -(-stop // step)] = True
    return speaks


def without_crosstalk(
    left: Sequence[HeardWord], right: Sequence[HeardWord], left_louder: NDArray[np.float32], start_seconds: float
) -> tuple[list[HeardWord], list[HeardWord]]:
    """The words of two channels without those that one microphone took up from the other's speaker.

    `left_louder` is by how many decibels the left channel is louder in each 0.1 s from `start_seconds` on.
    """

    def lead(word: HeardWord) -> float:
        first = int((word.start_seconds - start_seconds) / LEVEL_STEP_SECONDS)
        last = max(first + 1, round((word.end_seconds - start_seconds) / LEVEL_STEP_SECONDS))
        steps = left_louder[max(0, first) : last]
        return float(steps.mean()) if len(steps) else 0.0

    return (
        [word for word in left if not is_crosstalk(word, right, -lead(word))],
        [word for word in right if not is_crosstalk(word, left, lead(word))],
    )


def is_crosstalk(word: HeardWord, others: Sequence[HeardWord], other_louder: float) -> bool:
    """Whether a word was said into the other microphone, where it is louder by so many decibels.

    Clearly louder there while words were heard there, or louder at all and the same word there at the same time.
    """
    if other_louder <= 0:
        return False
    if other_louder > OWN_MARGIN_DECIBELS:
        return any(o.start_seconds < word.end_seconds and word.start_seconds < o.end_seconds for o in others)
    return any(o.bare == word.bare and abs(o.start_seconds - word.start_seconds) < SAME_WORD_SECONDS for o in others)
