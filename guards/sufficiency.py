"""Sufficiency verdict: whether the evidence can hold the answer, judged before any model is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.bm25 import bm25_query
from retrievers.evidence import Evidence
from retrievers.rerank import Reranker
from retrievers.search import spoken_and_seen

# Logistic fit on spoken_library: questions about 12 of 24 recordings, asked with and without those in the index.
# AUROC 0.953; at this threshold 0.84 of the questions about absent recordings abstain, and 0.08 of the others.
SIMILARITY_SLOPE = 22.04
SIMILARITY_OFFSET = -11.69
MIN_CONFIDENCE = 0.31
JUDGED_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class SufficiencyVerdict:
    """Whether to answer, with the probability that the evidence supports an answer and a reason for people."""

    passed: bool
    confidence: float
    reason: str


class SufficiencyJudge:
    """Judges by the closest evidence's token similarity; without a text model, by the question's words found in it."""

    def __init__(self, similarity: Reranker | None) -> None:
        self._similarity = similarity

    def judge(self, question: str, evidence: Sequence[Evidence]) -> SufficiencyVerdict:
        """No evidence never passes."""
        texts = [spoken_and_seen(item.video, item.moment) for item in evidence[:JUDGED_EVIDENCE]]
        if not texts:
            return SufficiencyVerdict(False, 0.0, "nothing in the library matches the question")
        if self._similarity:
            closest = max(self._similarity.score(question, texts))
            confidence = 1.0 / (1.0 + math.exp(-(SIMILARITY_SLOPE * closest + SIMILARITY_OFFSET)))
        else:
            confidence = max(shared_words(question, text) for text in texts)
        if confidence < MIN_CONFIDENCE:
            return SufficiencyVerdict(False, confidence, "the closest moments are not about what is asked")
        return SufficiencyVerdict(True, confidence, "the evidence is about what is asked")


def shared_words(question: str, text: str) -> float:
    """The part of the question's content words that the text holds, 0..1."""
    asked, held = bm25_query(question), bm25_query(text)
    if not asked or not held:
        return 0.0
    return len(set(asked.indices) & set(held.indices)) / len(set(asked.indices))
