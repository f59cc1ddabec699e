"""Heard words become utterances: cut at pauses, sentence ends and a length, without loops of one phrase."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingest.schema import TranscriptSegment

# A full stop after a title, an initial or a short form ends no sentence.
SENTENCE_END = re.compile(
    r"(?:[?!…。？！]|(?<!\b[A-Za-z])(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bvs)\.)[\"'”’»）」)\]]*$"
)
MAX_LOOP_WORDS = 10
LOOP_REPEATS = 4


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One recognised word, with the space before it where its language writes one.

    Times in seconds from the start of the file, probability is 0..1.
    """

    text: str
    start_seconds: float
    end_seconds: float
    probability: float
    language: str

    @property
    def bare(self) -> str:
        """The word as two hearings of it are compared: in lower case, without punctuation."""
        return re.sub(r"\W", "", self.text.lower())


Utterance = list[HeardWord]


def cut_words(words: Sequence[HeardWord], ends: Callable[[HeardWord, HeardWord], bool]) -> list[Utterance]:
    """Words in parts; `ends` tells of two neighbours whether the second starts a new part."""
    parts: list[Utterance] = []
    for word in words:
        if parts and not ends(parts[-1][-1], word):
            parts[-1].append(word)
        else:
            parts.append([word])
    return parts


def pause_seconds(word: HeardWord, following: HeardWord) -> float:
    """The silence between two words."""
    return following.start_seconds - word.end_seconds


def ends_sentence(word: HeardWord) -> bool:
    """Whether the punctuation of a word ends its sentence."""
    return SENTENCE_END.search(word.text) is not None


def cut_to_length(words: Utterance, max_seconds: float) -> Iterator[Utterance]:
    """Parts of `max_seconds` at most, cut at the longest pause of the second half of what fits."""

    def seconds_before(position: int) -> float:
        return words[position - 1].end_seconds - words[0].start_seconds

    while len(words) > 1 and seconds_before(len(words)) > max_seconds:
        fits = [n for n in range(1, len(words)) if max_seconds / 2 <= seconds_before(n) <= max_seconds]
        cut = max(fits or [1], key=lambda n: (pause_seconds(words[n - 1], words[n]), n))
        yield words[:cut]
        words = words[cut:]
    yield words


def without_loops(words: Sequence[HeardWord]) -> list[HeardWord]:
    """Words with each phrase that is said four times or more in a row kept once: recognisers repeat, people hardly do."""
    kept: list[HeardWord] = []
    bare = [word.bare for word in words]
    position = 0
    while position < len(words):
        length, repeats = _loop_at(bare, position)
        kept.extend(words[position : position + length])
        position += length * repeats
    return kept


def _loop_at(bare: Sequence[str], start: int) -> tuple[int, int]:
    """The words of the shortest phrase that loops from `start` on, and how often it is said; (1, 1) when none does."""
    for length in range(1, MAX_LOOP_WORDS + 1):
        phrase, repeats = bare[start : start + length], 1
        while bare[start + repeats * length : start + (repeats + 1) * length] == phrase:
            repeats += 1
        if repeats >= LOOP_REPEATS and any(phrase):
            return length, repeats
    return 1, 1


def mean_probability(words: Sequence[HeardWord]) -> float:
    """How surely a few words were heard, 0..1."""
    return sum(word.probability for word in words) / len(words)


def total_seconds(words: Sequence[HeardWord]) -> float:
    """The time that the words themselves take."""
    return sum(word.end_seconds - word.start_seconds for word in words)


def segment_of(words: Utterance, speaker: str | None = None) -> TranscriptSegment:
    """One utterance as a transcript segment."""
    return TranscriptSegment(
        words[0].start_seconds,
        max(word.end_seconds for word in words),
        "".join(word.text for word in words).strip(),
        "speech recogniser",
        words[0].language,
        round(mean_probability(words), 3),
        speaker,
    )
