"""Speech to text with Whisper through faster-whisper: what the voice detector calls speech, in batches, with word times."""

from __future__ import annotations

import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.heard_words import (
    HeardWord,
    Utterance,
    cut_to_length,
    cut_words,
    ends_sentence,
    pause_seconds,
    without_loops,
)
from ingest.invented_speech import is_invented_phrase, is_speech
from ingest.schema import PlayheadError
from ingest.sound_blocks import SAMPLES_PER_SECOND, Samples, as_float, audio_blocks, speech_spans
from ingest.voices import HeardBlock, hear_blocks, mixed

MAX_WINDOW_SECONDS = 30
MAX_BATCH_WINDOWS = 8
# A window is in another language than the file when Whisper is this sure, and enough is said in it.
SWITCH_PROBABILITY = 0.7
SWITCH_SPEECH_SECONDS = 4.0
# Word times come from attention, and are off by this much.
WORD_TIME_ERROR_SECONDS = 0.2
# Whisper writes punctuation: a shorter pause is within a sentence.
UTTERANCE_PAUSE_SECONDS = 1.0
MAX_UTTERANCE_SECONDS = 15.0

Sound = NDArray[np.float32]
Span = tuple[int, int]
Window = list[Span]

log = logging.getLogger(__name__)


class WhisperTranscriber:
    """An open faster-whisper model."""

    def __init__(self, model: Any, name: str) -> None:
        from faster_whisper import BatchedInferencePipeline

        # Windows are encoded to detect their language; the pipeline would encode them again to write them down.
        model.encode = remember_last(model.encode)
        self.name = name
        self._model = model
        self._pipeline = BatchedInferencePipeline(model)
        self._batch = batch_windows(model.model.device)

    def transcribe(self, audio: Path, language: str | None = None, start_seconds: float = 0.0) -> Iterator[HeardBlock]:
        """Silence, music and text that Whisper invents or repeats are left out.

        A language that is not told is detected for the file, and for each half minute that is clearly in another one.
        """
        code = (language or "").lower().split("-")[0]
        known = code if code in self._languages else None
        main = known or self._language_of(audio)
        yield from hear_blocks(audio, start_seconds, partial(self._hear, main, known is None), utterances_of)

    @property
    def _languages(self) -> list[str]:
        """The languages the model writes."""
        languages: list[str] = self._model.supported_languages
        return languages

    def _language_of(self, audio: Path) -> str:
        """The language of the first windows of speech of a file, weighted by how much is said in them."""
        for block in audio_blocks(audio) if len(self._languages) > 1 else ():
            samples = mixed(block.samples)
            windows = speech_windows(speech_spans(samples))[: self._batch]
            votes: dict[str, float] = defaultdict(float)
            for window, (language, probability) in zip(windows, self._detect(as_float(samples), windows), strict=True):
                votes[language] += probability * speech_seconds(window)
            if votes:
                return max(votes, key=votes.__getitem__)
        return self._languages[0]

    def _hear(self, main_language: str, may_switch: bool, samples: Samples, start_seconds: float) -> list[HeardWord]:
        """The words of mono samples that begin at `start_seconds` of the file."""
        sound, words = as_float(samples), []
        windows = speech_windows(speech_spans(samples))
        for first in range(0, len(windows), self._batch):
            batch = windows[first : first + self._batch]
            languages = [main_language] * len(batch)
            if may_switch and len(self._languages) > 1:
                languages = [
                    found if is_switch(probability, window) else main_language
                    for window, (found, probability) in zip(batch, self._detect(sound, batch), strict=True)
                ]
            for language, group in groupby(zip(languages, batch, strict=True), key=lambda pair: pair[0]):
                words += self._words(sound, [window for _, window in group], language, start_seconds)
        return words

    def _detect(self, sound: Sound, windows: Sequence[Window]) -> list[tuple[str, float]]:
        """The likeliest language of each window, and its probability."""
        from faster_whisper.audio import pad_or_trim

        if not windows:
            return []
        parts = [self._model.feature_extractor(sound[window[0][0] : window[-1][1]])[..., :-1] for window in windows]
        encoded = self._model.encode(np.stack([pad_or_trim(part) for part in parts]))
        found = self._model.model.detect_language(encoded)
        return [(languages[0][0].strip("<|>"), languages[0][1]) for languages in found]

    def _words(self, sound: Sound, windows: list[Window], language: str, start_seconds: float) -> list[HeardWord]:
        """The words of a batch of windows in one language.

        A batch is written down at temperature 0 only: a window that fails is heard again alone, as Whisper does it, at
        rising temperatures.
        """
        # Half a sample more, since the pipeline rounds down.
        clips = [
            {"start": (window[0][0] + 0.5) / SAMPLES_PER_SECOND, "end": (window[-1][1] + 0.5) / SAMPLES_PER_SECOND}
            for window in windows
        ]
        found, _ = self._pipeline.transcribe(
            sound, language=language, clip_timestamps=clips, batch_size=len(clips), word_timestamps=True
        )
        words: list[HeardWord] = []
        for segment in found:
            window = next(w for w in reversed(windows) if w[0][0] / SAMPLES_PER_SECOND <= segment.seek / 100 + 0.01)
            if is_speech(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio):
                heard = words_of(segment, 0.0, language)
            else:
                heard = self._hear_again(sound, window, language)
            words += [moved(word, start_seconds) for word in heard if is_within(word, window)]
        return without_loops(words)

    def _hear_again(self, sound: Sound, window: Window, language: str) -> list[HeardWord]:
        first, last = window[0][0], window[-1][1]
        found, _ = self._model.transcribe(
            sound[first:last], language=language, condition_on_previous_text=False, word_timestamps=True
        )
        return [
            word
            for segment in found
            if is_speech(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio)
            for word in words_of(segment, first / SAMPLES_PER_SECOND, language)
        ]


def open_whisper(weights: Path) -> tuple[Any, str]:
    """The model of a folder, float16 on a GPU that works, else int8 on the CPU; and that number format.

    Raises PlayheadError when the weights are damaged.
    """
    import ctranslate2
    from faster_whisper import WhisperModel

    try:
        if ctranslate2.get_cuda_device_count():
            model = WhisperModel(str(weights), device="cuda", compute_type="float16")
            # CTranslate2 loads cuBLAS and cuDNN on first use: a machine that lacks them must be told now, not mid-file.
            model.encode(np.zeros((model.model.n_mels, 3000), dtype=np.float32))
            return model, "float16"
    except (RuntimeError, ValueError) as error:
        log.warning("Whisper cannot use the GPU (%s) and runs on the CPU", str(error).splitlines()[0])
    try:
        return WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=os.cpu_count() or 1), "int8"
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PlayheadError(f"Whisper weights in {weights} cannot be read: {reason}. Delete the folder") from error


def batch_windows(device: str) -> int:
    """How many windows to write down at once: on the CPU one for each two cores. On two cores two are no faster than one."""
    return MAX_BATCH_WINDOWS if device == "cuda" else min(MAX_BATCH_WINDOWS, max(1, (os.cpu_count() or 1) // 2))


def remember_last(encode: Callable[[Sound], Any]) -> Callable[[Sound], Any]:
    """`encode`, that gives its last result again when it is asked the same twice in a row."""
    last: tuple[Sound, Any] | None = None

    def encode_once(features: Sound) -> Any:
        nonlocal last
        if last is None or not np.array_equal(features, last[0]):
            last = features, encode(features)
        return last[1]

    return encode_once


def speech_windows(spans: Sequence[Span]) -> list[Window]:
    """Stretches of speech in windows of 30 s at most, which is what Whisper reads at once, however short they are."""
    windows: list[Window] = []
    for span in spans:
        if windows and span[1] - windows[-1][0][0] <= MAX_WINDOW_SECONDS * SAMPLES_PER_SECOND:
            windows[-1].append(span)
        else:
            windows.append([span])
    return windows


def speech_seconds(window: Window) -> float:
    """How long somebody speaks in a window."""
    return sum(stop - start for start, stop in window) / SAMPLES_PER_SECOND


def is_switch(probability: float, window: Window) -> bool:
    """Whether the language found in a window is to be believed over the language of the file."""
    return probability >= SWITCH_PROBABILITY and speech_seconds(window) >= SWITCH_SPEECH_SECONDS


def is_within(word: HeardWord, window: Window) -> bool:
    """Whether a word, timed from the start of the sound, was heard where somebody speaks: its middle is there."""
    middle = (word.start_seconds + word.end_seconds) / 2 * SAMPLES_PER_SECOND
    error = WORD_TIME_ERROR_SECONDS * SAMPLES_PER_SECOND
    return any(start - error <= middle <= stop + error for start, stop in window)


def words_of(segment: Any, offset_seconds: float, language: str) -> list[HeardWord]:
    """The words of a faster-whisper segment, `offset_seconds` later; none when the segment is an invented phrase."""
    confidence = math.exp(segment.avg_logprob)
    if is_invented_phrase(segment.text, segment.no_speech_prob, confidence):
        return []
    return [
        HeardWord(
            word.word,
            offset_seconds + max(0.0, float(word.start)),
            offset_seconds + max(0.0, float(word.start), float(word.end)),
            min(1.0, float(word.probability)),
            language,
        )
        for word in segment.words or ()
        if word.word.strip()
    ]


def moved(word: HeardWord, seconds: float) -> HeardWord:
    """The same word so many seconds later."""
    return replace(word, start_seconds=word.start_seconds + seconds, end_seconds=word.end_seconds + seconds)


def utterances_of(words: Sequence[HeardWord]) -> list[Utterance]:
    """Words cut where a sentence ends, the speaker pauses or the language changes, and at 15 s."""
    sentences = cut_words(
        words,
        lambda word, following: (
            ends_sentence(word)
            or pause_seconds(word, following) >= UTTERANCE_PAUSE_SECONDS
            or word.language != following.language
        ),
    )
    return [part for sentence in sentences for part in cut_to_length(sentence, MAX_UTTERANCE_SECONDS)]
