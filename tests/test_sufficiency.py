"""Sufficiency: near evidence passes, far evidence abstains, none never passes; and the threshold on real questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import HashEmbedder
from test_extractive import evidence

from guards.sufficiency import SufficiencyJudge, read_calibration, shared_words, write_calibration
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


def test_an_abstention_names_what_nobody_says() -> None:
    verdict = SufficiencyJudge(LateInteractionReranker(HashEmbedder())).judge("who baked the yeast in atlantis", [FAR])
    assert "“atlantis”" in verdict.reason
    assert "yeast" not in verdict.reason


def test_a_small_library_is_judged_like_a_large_one() -> None:
    judge = SufficiencyJudge(LateInteractionReranker(HashEmbedder()))
    alone, beside = judge.signals(QUESTION, [NEAR]), judge.signals(QUESTION, [NEAR, FAR, FAR, FAR, FAR, FAR])
    assert alone[:3] == beside[:3]
    assert all(abs(one - other) < 0.3 for one, other in zip(alone, beside, strict=True))


def test_a_calibration_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for text in ("", "[]", "{}", '{"weights": [1]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="calibration.json is no calibration"):
            read_calibration(path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_calibration(tmp_path / "c.json", read_calibration())
    assert read_calibration(tmp_path / "c.json") == read_calibration()
