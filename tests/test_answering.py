"""Measures of answers: words, cited moments, abstention, and confidence against scikit-learn."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import roc_auc_score

from evaluation.answering import GivenAnswer, auroc, holds_words, score_answer
from evaluation.ranking import Gold, ReturnedSpan

GOLD = Gold("a", ((10.0, 12.0),), 1.0)
RIGHT, WRONG = ReturnedSpan("a", 0.0, 60.0), ReturnedSpan("b", 0.0, 60.0)
NO_ANSWER = GivenAnswer("The library does not hold the answer.", False, 0.1, ())


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("It was the Nobel Prize. [1]", "nobel prize", True),
        ("It was a prize of Nobel.", "nobel prize", False),
        ("They saw the garden", "a garden", True),
        ("In 1823 at Cordouan", "182", False),
        ("anything", "the", False),
        ("", "garden", False),
    ],
)
def test_an_accepted_answer_stands_in_the_text_as_words(text: str, answer: str, held: bool) -> None:
    assert holds_words(text, answer) == held


@pytest.mark.parametrize(
    ("given", "gold", "accepted", "values"),
    [
        (
            GivenAnswer("In 1823.", True, 0.9, (WRONG, RIGHT)),
            GOLD,
            ["1823"],
            {"answered": 1, "right_moment": 1, "right_words": 1},
        ),
        (
            GivenAnswer("In 1824.", True, 0.9, (WRONG,)),
            GOLD,
            ["1823"],
            {"answered": 1, "right_moment": 0, "right_words": 0},
        ),
        (GivenAnswer("In 1823.", True, 0.9, (RIGHT,)), GOLD, [], {"answered": 1, "right_moment": 1}),
        (NO_ANSWER, GOLD, ["library"], {"answered": 0, "right_moment": 0, "right_words": 0}),
        (NO_ANSWER, None, [], {"rightly_abstained": 1}),
        (GivenAnswer("In 1823.", True, 0.9, (RIGHT,)), None, [], {"rightly_abstained": 0}),
    ],
)
def test_the_values_of_an_answer(
    given: GivenAnswer, gold: Gold | None, accepted: list[str], values: dict[str, float]
) -> None:
    assert score_answer(given, gold, accepted, "a").values == values


def test_auroc_agrees_with_scikit_learn() -> None:
    draw = random.Random(3)
    yes, no = [round(draw.random(), 1) for _ in range(40)], [round(draw.random() * 0.8, 1) for _ in range(30)]
    assert auroc(yes, no) == pytest.approx(roc_auc_score([1] * 40 + [0] * 30, yes + no))
    assert auroc([0.9, 0.8], [0.1]) == 1.0
    assert auroc([0.5], [0.5]) == 0.5
    assert auroc([], [0.5]) is None
