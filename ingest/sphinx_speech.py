"""English speech to text with the model inside PocketSphinx's wheel: what is left where Whisper's weights cannot be had."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ingest.heard_words import HeardWord, Utterance, cut_to_length, cut_words, mean_probability, pause_seconds
from ingest.schema import PlayheadError
from ingest.sound_blocks import SAMPLES_PER_SECOND, Samples, speech_spans
from ingest.sphinx_child import LENGTH
from ingest.voices import HeardBlock, hear_blocks

CHILD_PROGRAM = Path(__file__).with_name("sphinx_child.py")
MAX_CHILDREN = 4
ENGLISH = ("en", "eng", "und")
UTTERANCE_PAUSE_SECONDS = 0.4
MAX_UTTERANCE_SECONDS = 10.0
# The mean word probability of an utterance. Measured: at 0.26 one word of 19 was right, at 0.27 seven of eight.
MIN_CONFIDENCE = 0.27
# And of a block. Measured on 25 words and more: English 0.71 to 0.85, an old noisy speech 0.46; in six other languages
# read by a synthesiser 0.23 to 0.46, 8 of 12 below this.
MIN_BLOCK_CONFIDENCE = 0.4
MIN_BLOCK_WORDS = 20


class SphinxChild:
    """A process with one decoder."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(CHILD_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        weakref.finalize(self, _end, self._process)

    def words(self, samples: Samples) -> list[tuple[str, float, float, float]]:
        """What `words_in` finds. Raises PlayheadError when the process has ended."""
        process, raw = self._process, samples.tobytes()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(LENGTH.pack(len(raw)) + raw)
            process.stdin.flush()
            words: list[tuple[str, float, float, float]] = json.loads(process.stdout.readline())
        except (OSError, ValueError) as error:
            status = process.poll()
            raise PlayheadError(f"PocketSphinx ended while it listened (exit {status}). Ingest again") from error
        return words


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


class PocketSphinxTranscriber:
    """PocketSphinx on the stretches that the Silero VAD of faster-whisper calls speech, in one process a core.

    Measured: word error rate 0.277 on 14 studio and speech clips, 0.268 on whole files; 0.15 s of one core a second of
    speech. PocketSphinx's own endpointer gave 0.509, since it cuts first syllables and takes
    tones and noise for speech. Other beams, language weights, insertion penalties, gains, vocal tract warps, dither and
    noise removal moved it by noise or made it worse.
    """

    name = "PocketSphinx en-us"

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[SphinxChild] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_CHILDREN))  # each waits for one child

    def transcribe(self, audio: Path, language: str | None = None, start_seconds: float = 0.0) -> Iterator[HeardBlock]:
        """Blocks without segments for a file told to be in another language, and where what is said is hardly English."""
        is_english = not language or language.lower().split("-")[0] in ENGLISH
        yield from hear_blocks(audio, start_seconds, self._hear if is_english else hear_nothing, utterances_of)

    def _hear(self, samples: Samples, start_seconds: float) -> list[HeardWord]:
        spans = speech_spans(samples)
        heard = list(self._threads.map(lambda span: self._words(samples[span[0] : span[1]]), spans))
        offsets = [start_seconds + first / SAMPLES_PER_SECOND for first, _ in spans]
        return [
            HeardWord(f" {text}", offset + start, offset + end, probability, "en")
            for offset, words in zip(offsets, heard, strict=True)
            for text, start, end, probability in words
        ]

    def _words(self, samples: Samples) -> list[tuple[str, float, float, float]]:
        try:
            child = self._idle.get_nowait()
        except queue.Empty:
            child = SphinxChild()
        words = child.words(samples)
        self._idle.put(child)  # one that failed is not used again
        return words


def hear_nothing(samples: Samples, start_seconds: float) -> list[HeardWord]:
    """No words, whatever is said."""
    return []


def utterances_of(words: Sequence[HeardWord]) -> list[Utterance]:
    """Words between the speaker's pauses; nothing that was hardly heard, and no block that is hardly English."""
    if len(words) >= MIN_BLOCK_WORDS and mean_probability(words) < MIN_BLOCK_CONFIDENCE:
        return []
    stretches = cut_words(words, lambda word, following: pause_seconds(word, following) >= UTTERANCE_PAUSE_SECONDS)
    parts = [part for stretch in stretches for part in cut_to_length(stretch, MAX_UTTERANCE_SECONDS)]
    return [part for part in parts if mean_probability(part) >= MIN_CONFIDENCE]
