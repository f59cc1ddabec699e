"""Remembers drafts of the model, for the same question and for one that says the same in nearly the same words."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.index import Scope
from ingest.text_embedding import TextEmbedder, Vectors
from prompts.draft import Draft, DraftSentence
from prompts.question_form import SAME_MEANING, Form, question_form, without_courtesies
from retrievers.diversity import shared_part
from retrievers.evidence import Evidence

# Drafts of a few sentences: 500 take about 2 MB.
MAX_DRAFTS = 500
# Two moments are the same place when they share this part of the shorter one.
SAME_PLACE = 0.5


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What must be the same for a draft to be used again, apart from the question; `filters` are those of its scope."""

    tenant: str
    filters: Hashable
    library_version: int
    prompt_version: str
    model: str


def filters_of(scope: Scope) -> Hashable:
    """The videos and labels that a scope is limited to, in no order."""
    labels = frozenset((key, frozenset(values)) for key, values in scope.labels.items())
    return frozenset(scope.video_ids), labels


@dataclass(frozen=True, slots=True)
class _Entry:
    question: str
    vector: Vectors | None
    draft: Draft
    evidence: tuple[Evidence, ...]


class AnswerCache:
    """The drafts of this process, for all threads; without a text model the same words only.

    A draft found is a draft like any other: every guard reads it again, over the evidence of the moment.
    """

    def __init__(self, embedder: TextEmbedder | None) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[CacheKey, Form], _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: CacheKey, question: str, evidence: Sequence[Evidence]) -> Draft | None:
        """The draft for this question, its citations renumbered to the places in `evidence`; None where one is gone."""
        place = key, question_form(question)
        with self._lock:
            self._forget_before(key)
            entry = self._entries.get(place)
            if entry:
                self._entries.move_to_end(place)
        if entry is None or not self._means_the_same(entry, question):
            return None
        return _renumbered(entry, evidence)

    def put(self, key: CacheKey, question: str, draft: Draft, evidence: Sequence[Evidence]) -> None:
        """Remember a draft with the evidence that it cites; the oldest ones go when there are too many."""
        vector = self._embed(question)
        cited = {number for sentence in draft.sentences for number in sentence.numbers}
        entry = _Entry(question, vector, draft, tuple(item for item in evidence if item.number in cited))
        place = key, question_form(question)
        with self._lock:
            self._forget_before(key)
            self._entries[place] = entry
            self._entries.move_to_end(place)
            while len(self._entries) > MAX_DRAFTS:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def _forget_before(self, key: CacheKey) -> None:
        """Let go of what a tenant's library held before it changed: it may have been deleted."""
        old = [
            place
            for place in self._entries
            if place[0].tenant == key.tenant and place[0].library_version != key.library_version
        ]
        for place in old:
            del self._entries[place]

    def _embed(self, question: str) -> Vectors | None:
        return self._embedder.embed([without_courtesies(question)])[0] if self._embedder else None

    def _means_the_same(self, entry: _Entry, question: str) -> bool:
        if entry.question == question:
            return True
        vector = self._embed(question)
        return vector is not None and entry.vector is not None and float(np.dot(entry.vector, vector)) >= SAME_MEANING


def _renumbered(entry: _Entry, evidence: Sequence[Evidence]) -> Draft | None:
    numbers: dict[int, int] = {}
    for cited in entry.evidence:
        place = next((item.number for item in evidence if _same_place(cited, item)), None)
        if place is None:
            return None
        numbers[cited.number] = place
    sentences = tuple(
        DraftSentence(sentence.text, tuple(dict.fromkeys(numbers[n] for n in sentence.numbers if n in numbers)))
        for sentence in entry.draft.sentences
    )
    return replace(entry.draft, sentences=sentences)


def _same_place(one: Evidence, other: Evidence) -> bool:
    return one.video.video_id == other.video.video_id and shared_part(one.moment, other.moment) >= SAME_PLACE
