"""The claim check: whether what a sentence says stands in what it cites, word by word, numbers and names above all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from ingest.bm25 import STOP_WORDS, content_words, fold, tokenize
from ingest.language import detect_language
from retrievers.near_words import nearest_words
from retrievers.rerank import LateInteractionReranker
from retrievers.spoken_numbers import numbers_in

# The mean, over a claim's words of content, of how near the nearest word of the cited text is in spelling or in meaning.
# Set on questions of spoken_library turned into claims: right ones have 0.89 in the middle, those of
# another moment 0.64. At 0.75 more right ones are shown (0.93 against 0.85), and more wrong answers (0.45 against 0.33).
LEAST_SUPPORT = 0.8
# The same without a text model, which finds no words of like meaning.
LEAST_SPELT = 0.6
# A text that was offered and not cited, and that supports the claim so much better, shows that the citation is wrong.
BETTER_ELSEWHERE = 0.1
LEAST_FOR_A_NAME = 0.5
WORD = re.compile(r"\w+")
QUOTED = re.compile(r"[“\"„«]([^“”\"„«»]+)[”\"»]")
LEAST_QUOTED_WORDS = 4
# Frequent in German, French, Spanish, Italian, Portuguese, Dutch and Polish, and no English words.
FOREIGN_STOP_WORDS = frozenset(
    WORD.findall(
        "der das und ist ein eine nicht mit von zu auf le la les des du une est et dans pour el los las una y que es por il lo"
        " che della non sono os uma com para het een van niet met jest na nie sie"
    )
)
LEAST_FOREIGN = 2
ENGLISH_PART = 0.2
NAME = re.compile(r"(?<=[\w,;:)] )[A-Z][\w’'-]+")


class ClaimChecker:
    """Checks drafted sentences against the texts they cite; what a model adds of its own is unsupported."""

    def __init__(self, similarity: LateInteractionReranker | None) -> None:
        self._similarity = similarity
        self._least = LEAST_SUPPORT if similarity else LEAST_SPELT

    def problem(self, claim: str, numbers: Sequence[int], offered: Mapping[int, str], question: str) -> str:
        """What is wrong with a sentence that cites `numbers` of the `offered` texts; empty when it is supported.

        A quote must be there word for word, a number as such, in digits or words. What the question says may be repeated.
        A sentence in another language than its evidence is checked for its numbers alone.
        """
        cited = " ".join(offered[number] for number in numbers)
        quotes = [quote for quote in QUOTED.findall(claim) if len(quote.split()) >= LEAST_QUOTED_WORDS]
        changed = next((quote for quote in quotes if not is_verbatim(quote, cited)), None)
        if changed:
            return f"what it quotes is not said: {changed[:60]}"
        claim = plain(QUOTED.sub(" ", claim) if quotes else claim)
        invented = numbers_in(claim) - numbers_in(cited) - numbers_in(question)
        if invented:
            return f"the number {min(invented)} is not in what it cites"
        if (
            STOP_WORDS.issuperset(content_words(claim))
            or (quotes and len(claim.split()) < LEAST_QUOTED_WORDS)
            or other_language(claim, cited)
        ):
            return ""
        nearness = self._nearness(claim, cited)
        known = {fold(word) for word in WORD.findall(question)}
        for name in NAME.findall(claim):
            if fold(name) not in known and nearness.get(fold(name), 1.0) < LEAST_FOR_A_NAME:
                return f"{name} is not in what it cites"
        support = mean(nearness)
        if support < self._least:
            return "it says more than what it cites"
        others = (text for number, text in offered.items() if number not in numbers)
        if any(mean(self._nearness(claim, text)) > support + BETTER_ELSEWHERE for text in others):
            return "other evidence says it, and that is not cited"
        return ""

    def _nearness(self, claim: str, text: str) -> dict[str, float]:
        """For each word of content of the claim the nearest word of the text, 0..1."""
        words = tuple(dict.fromkeys(content_words(claim)))
        best = dict(zip(words, nearest_words(words, set(content_words(text))), strict=True))
        if self._similarity:
            asked, held = self._similarity.tokens(claim), self._similarity.tokens(text)
            nearest = (asked.vectors @ held.vectors.T).max(axis=1)
            ends = [(match.start(), match.end(), fold(match[0])) for match in WORD.finditer(claim)]
            for start, value in zip(asked.starts.tolist(), nearest.tolist(), strict=True):
                word = next((word for first, last, word in ends if first <= start < last), "")
                if word in best:
                    best[word] = max(best[word], value)
        return best


def mean(nearness: Mapping[str, float]) -> float:
    """The mean nearness of a claim's words; 1 for a claim without any."""
    return float(np.mean(list(nearness.values()))) if nearness else 1.0


def plain(claim: str) -> str:
    """The claim as one line without what only marks it up."""
    return " ".join(claim.strip(" :,;-").split())


def is_verbatim(quote: str, text: str) -> bool:
    """Whether the words of a quote stand in the text in this order, whatever the case and punctuation."""
    return f" {_words(quote)} " in f" {_words(text)} "


@lru_cache(maxsize=256)
def _words(text: str) -> str:
    return " ".join(WORD.findall(fold(text)))


def other_language(claim: str, text: str) -> bool:
    """Whether the claim is surely written in another language than the text.

    Detection needs twenty words and 1.5 s for its first call, so what is plainly English is not asked about; a shorter
    sentence is told by frequent words of other languages.
    """
    mine, theirs = english_part(claim), english_part(text)
    if mine >= ENGLISH_PART and theirs >= ENGLISH_PART:
        return False
    if theirs >= ENGLISH_PART and mine == 0 and len(FOREIGN_STOP_WORDS.intersection(tokenize(claim))) >= LEAST_FOREIGN:
        return True
    languages = detect_language(claim), detect_language(text)
    return None not in languages and languages[0] != languages[1]


def english_part(text: str) -> float:
    """The part of a text's words that are English stop words, about 0.4 of plain speech."""
    words = tokenize(text)
    return sum(word in STOP_WORDS for word in words) / max(len(words), 1)
