"""Speech to text: Whisper through faster-whisper, and PocketSphinx where Whisper's weights cannot be had."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.schema import PlayheadError, TranscriptSegment
from ingest.weights import find_weights

SAMPLES_PER_SECOND = 16_000
BLOCK_SECONDS = 300
CUT_SEARCH_SECONDS = 30
HUB_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*", "preprocessor_config.json")
SYSTRAN_SIZES = frozenset(
    f"{size}{suffix}" for size in ("tiny", "base", "small", "medium") for suffix in ("", ".en")
) | {"large-v1", "large-v2", "large-v3"}
TURBO = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"

# Whisper's own limits (openai/whisper, transcribe.py): a segment is noise, or repeats itself above the ratio.
MAX_NO_SPEECH_PROBABILITY = 0.6
MIN_AVERAGE_LOG_PROBABILITY = -1.0
MAX_COMPRESSION_RATIO = 2.4

# Stretches of speech given to PocketSphinx as one utterance each; its search holds one utterance in memory.
MAX_UTTERANCE_SECONDS = 20.0
UTTERANCE_PAUSE_SECONDS = 0.5
UTTERANCE_MARGIN_SECONDS = 0.3
SPHINX_FRAMES_PER_SECOND = 100
SEGMENT_PAUSE_SECONDS = 0.4
MAX_SEGMENT_SECONDS = 10.0
# The mean word probability of a PocketSphinx segment. Measured: at 0.26 one word of 19 was right, at 0.32 one of two.
MIN_SPHINX_CONFIDENCE = 0.3

Samples = NDArray[np.int16]

log = logging.getLogger(__name__)


class Transcriber(Protocol):
    """Writes down what is said."""

    name: str

    def transcribe(self, audio: Path, language: str | None) -> list[TranscriptSegment]:
        """The segments of a 16 kHz mono 16-bit WAV file, in order; an empty list when nothing is said."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One recognised word; times in seconds from the start of the file, probability is 0..1."""

    text: str
    start_seconds: float
    end_seconds: float
    probability: float


class WhisperTranscriber:
    """A Whisper model in CTranslate2 form: float16 on a GPU that works, else int8 on the CPU."""

    def __init__(self, weights: Path, name: str | None = None) -> None:
        self._model, compute_type = _open_whisper(weights)
        self.name = f"faster-whisper {name or weights.name} {compute_type}"

    def transcribe(self, audio: Path, language: str | None) -> list[TranscriptSegment]:
        """Silence, music and text that Whisper invents or repeats are left out; the language is detected when not told."""
        code = (language or "").lower().split("-")[0]
        known = code if code in self._model.supported_languages else None
        return [segment for start, samples in audio_blocks(audio) for segment in self._block(start, samples, known)]

    def _block(self, block_start: float, samples: Samples, language: str | None) -> Iterator[TranscriptSegment]:
        found, info = self._model.transcribe(
            samples.astype(np.float32) / 32768.0,
            language=language,
            vad_filter=True,
            condition_on_previous_text=False,
        )
        block_seconds = len(samples) / SAMPLES_PER_SECOND
        for segment in found:
            if not is_speech(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio):
                continue
            if text := segment.text.strip():
                start = min(max(segment.start, 0.0), block_seconds)
                end = min(max(segment.end, start), block_seconds)
                confidence = round(min(1.0, math.exp(segment.avg_logprob)), 3)
                yield TranscriptSegment(
                    block_start + start, block_start + end, text, "speech recogniser", info.language, confidence
                )


class PocketSphinxTranscriber:
    """The English model inside PocketSphinx's wheel, on the stretches that the Silero VAD of faster-whisper calls speech.

    Measured: word error rate 0.277 on 14 studio and speech clips (0.268 on whole files, 0.509 with PocketSphinx's own
    endpointer, which cuts first syllables and takes tones and noise for speech), 0.15 s of one core a second of speech.
    Other beams, language weights, insertion penalties, gains and vocal tract warps moved it by noise or made it worse.
    """

    name = "PocketSphinx en-us"

    def __init__(self) -> None:
        import pocketsphinx

        pocketsphinx.set_loglevel("FATAL")
        self._decoder = pocketsphinx.Decoder()

    def transcribe(self, audio: Path, language: str | None) -> list[TranscriptSegment]:
        """Nothing for a video told to be in another language: the model would hear English words in it."""
        if language and language.lower().split("-")[0] not in ("en", "eng", "und"):
            return []
        segments = []
        for block_start, samples in audio_blocks(audio):
            for start, stop in speech_spans(samples):
                words = self._words(samples[start:stop], block_start + start / SAMPLES_PER_SECOND)
                segments.extend(segments_of_words(words))
        return segments

    def _words(self, samples: Samples, start_seconds: float) -> list[HeardWord]:
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return []
        return [
            HeardWord(
                heard.word.split("(")[0],  # "the(2)" is the second pronunciation of "the"
                start_seconds + heard.start_frame / SPHINX_FRAMES_PER_SECOND,
                start_seconds + (heard.end_frame + 1) / SPHINX_FRAMES_PER_SECOND,
                min(1.0, heard.prob),
            )
            for heard in self._decoder.seg()
            if not heard.word.startswith(("<", "[", "++"))  # <sil>, [NOISE], ++BREATH++
        ]


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
    return WhisperTranscriber(weights, Path(model).name) if weights else None


def _pocketsphinx() -> PocketSphinxTranscriber | None:
    return PocketSphinxTranscriber() if importlib.util.find_spec("pocketsphinx") else None


def _open_whisper(weights: Path) -> tuple[Any, str]:
    """The model and the number format it computes in."""
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


def is_speech(no_speech_probability: float, average_log_probability: float, compression_ratio: float) -> bool:
    """Whether a Whisper segment is something heard, rather than words invented over noise or repeated in a loop."""
    invented = (
        no_speech_probability > MAX_NO_SPEECH_PROBABILITY and average_log_probability < MIN_AVERAGE_LOG_PROBABILITY
    )
    return not invented and compression_ratio <= MAX_COMPRESSION_RATIO


def speech_spans(samples: Samples) -> list[tuple[int, int]]:
    """The (first, last + 1) samples of each stretch of speech; none in tones, music and noise."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        max_speech_duration_s=MAX_UTTERANCE_SECONDS,
        min_silence_duration_ms=round(UTTERANCE_PAUSE_SECONDS * 1000),
        speech_pad_ms=round(UTTERANCE_MARGIN_SECONDS * 1000),
    )
    spans = get_speech_timestamps(samples.astype(np.float32) / 32768.0, options)
    return [(span["start"], span["end"]) for span in spans]


def segments_of_words(words: Sequence[HeardWord]) -> list[TranscriptSegment]:
    """Words joined into segments between the speaker's pauses; what was hardly heard is left out."""
    segments = (_segment(part) for stretch in _cut_at_pauses(words) for part in _cut_to_length(stretch))
    return [segment for segment in segments if (segment.confidence or 0.0) >= MIN_SPHINX_CONFIDENCE]


def _cut_at_pauses(words: Sequence[HeardWord]) -> list[list[HeardWord]]:
    stretches: list[list[HeardWord]] = []
    for word in words:
        if stretches and word.start_seconds - stretches[-1][-1].end_seconds < SEGMENT_PAUSE_SECONDS:
            stretches[-1].append(word)
        else:
            stretches.append([word])
    return stretches


def _cut_to_length(words: list[HeardWord]) -> Iterator[list[HeardWord]]:
    """Parts of MAX_SEGMENT_SECONDS at most, cut at the longest pause of the second half of what fits."""

    def seconds_before(position: int) -> float:
        return words[position - 1].end_seconds - words[0].start_seconds

    while seconds_before(len(words)) > MAX_SEGMENT_SECONDS and len(words) > 1:
        fits = [n for n in range(1, len(words)) if MAX_SEGMENT_SECONDS / 2 <= seconds_before(n) <= MAX_SEGMENT_SECONDS]
        cut = max(fits or [1], key=lambda n: (words[n].start_seconds - words[n - 1].end_seconds, n))
        yield words[:cut]
        words = words[cut:]
    yield words


def _segment(words: Sequence[HeardWord]) -> TranscriptSegment:
    return TranscriptSegment(
        words[0].start_seconds,
        words[-1].end_seconds,
        " ".join(word.text for word in words),
        "speech recogniser",
        "en",
        round(sum(word.probability for word in words) / len(words), 3),
    )


def audio_blocks(audio: Path) -> Iterator[tuple[float, Samples]]:
    """The (start in seconds, samples) of blocks of five minutes at most, cut where it is quiet, so that hours fit in memory.

    Raises ValueError when the file is not 16 kHz mono 16-bit.
    """
    with wave.open(str(audio), "rb") as file:
        form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if form != (SAMPLES_PER_SECOND, 1, 2):
            raise ValueError(f"{audio.name} must be 16000 Hz, 1 channel, 2 bytes a sample, got {form}")
        start, kept = 0, np.empty(0, dtype=np.int16)
        while data := file.readframes(BLOCK_SECONDS * SAMPLES_PER_SECOND - len(kept)):
            block = np.concatenate([kept, np.frombuffer(data, dtype="<i2")])
            full = len(block) == BLOCK_SECONDS * SAMPLES_PER_SECOND
            cut = quiet_cut(block) if full else len(block)
            yield start / SAMPLES_PER_SECOND, block[:cut]
            start, kept = start + cut, block[cut:]
        if len(kept):
            yield start / SAMPLES_PER_SECOND, kept


def quiet_cut(block: Samples) -> int:
    """The sample to cut at: the middle of the quietest 0.3 s in the last part of a block."""
    step = SAMPLES_PER_SECOND * 3 // 10
    tail = block[-CUT_SEARCH_SECONDS * SAMPLES_PER_SECOND :]
    windows = tail[: len(tail) // step * step].reshape(-1, step).astype(np.float32)
    quietest = int(np.argmin((windows**2).mean(axis=1)))
    return len(block) - len(tail) + quietest * step + step // 2
