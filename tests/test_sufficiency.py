"""Sufficiency: near evidence passes, far evidence abstains, none never passes; and the threshold on real questions."""

from __future__ import annotations

from fakes import HashEmbedder
from test_extractive import evidence

from guards.sufficiency import SufficiencyJudge, shared_words
from retrievers.rerank import LateInteractionReranker

NEAR = evidence(1, "bees", ["Karl von Frisch won the Nobel Prize for the dance of the bees."])
FAR = evidence(1, "bread", ["Yeast eats sugar and gives off gas."])
QUESTION = "who won the nobel prize for the dance of the bees"


def test_evidence_about_the_question_passes_and_other_evidence_does_not() -> None:
    for judge in (SufficiencyJudge(LateInteractionReranker(HashEmbedder())), SufficiencyJudge(None)):
        near, far = judge.judge(QUESTION, [NEAR]), judge.judge(QUESTION, [FAR])
        assert near.passed
        assert not far.passed
        assert 0.0 <= far.confidence < judge.threshold <= near.confidence <= 1.0
        assert far.reason


def test_the_best_of_the_evidence_counts() -> None:
    judge = SufficiencyJudge(LateInteractionReranker(HashEmbedder()))
    assert judge.judge(QUESTION, [FAR, NEAR]).passed


def test_no_evidence_never_passes() -> None:
    verdict = SufficiencyJudge(None).judge(QUESTION, [])
    assert (verdict.passed, verdict.confidence) == (False, 0.0)


def test_shared_words_is_a_share_of_the_question() -> None:
    assert shared_words("bee dance", "the dance of a bee") == 1.0
    assert shared_words("bee dance", "the dance of a cow") == 0.5
    assert shared_words("bee dance", "") == 0.0
