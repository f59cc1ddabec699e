"""Finds where two videos say the same with another number, so that the answer shows both and says so."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from text_to_num import alpha2digit

from ingest.bm25 import STOP_WORDS, content_words, stem
from prompts.draft import DraftSentence
from retrievers.spoken_numbers import numbers_in

STATEMENT_END = re.compile(r"(?<=[.!?…])[”\"]?\s+")
# Of the words of the shorter statement, numbers aside; two statements that share so many are about the same.
SAME_PART, LEAST_SHARED = 0.6, 3
# What is counted or measured stands behind its number; without it, as for years and names with a number, nothing is compared.
MEASURED = re.compile(r"\b(\d[\d,.]*\d|\d)\s+((?:thousand|million|billion|1000|1000000|1000000000)\s+)?([^\W\d_]{2,})")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two pieces of evidence, by number, with what each says."""

    numbers: tuple[int, int]
    values: tuple[str, str]

    def sentence(self) -> DraftSentence:
        """The conflict in words, citing both."""
        return DraftSentence(f"These videos disagree: {self.values[0]} or {self.values[1]}.", self.numbers)


@dataclass(frozen=True, slots=True)
class _Statement:
    """One measure that a sentence gives: the evidence it cites, its words, and by unit the value and how it is written."""

    number: int
    stems: frozenset[str]
    unit: str
    values: frozenset[str]
    written: str


def find_conflicts(sentences: Sequence[DraftSentence], videos: Mapping[int, str]) -> list[Conflict]:
    """The conflicts among sentences that cite one piece of evidence each; `videos` gives the video of each number."""
    found: dict[tuple[int, int], Conflict] = {}
    statements = [s for sentence in sentences if len(sentence.numbers) == 1 for s in _statements(sentence)]
    for one, other in itertools.combinations(statements, 2):
        pair = (one.number, other.number)
        if videos[one.number] != videos[other.number] and pair not in found and _disagree(one, other):
            found[pair] = Conflict(pair, (one.written, other.written))
    return list(found.values())


def _statements(sentence: DraftSentence) -> Iterator[_Statement]:
    for text in STATEMENT_END.split(sentence.text):
        stems = frozenset(stem(word) for word in content_words(text) if not numbers_in(word))
        for match in MEASURED.finditer(alpha2digit(text, "en")):
            if match[3].lower() not in STOP_WORDS:
                written = f"{match[1]} {match[2] or ''}{match[3]}"
                yield _Statement(sentence.numbers[0], stems, stem(match[3].lower()), numbers_in(match[0]), written)


def _disagree(one: _Statement, other: _Statement) -> bool:
    shared = len(one.stems & other.stems)
    alike = shared >= LEAST_SHARED and shared >= SAME_PART * min(len(one.stems), len(other.stems))
    return alike and one.unit == other.unit and not one.values & other.values
