"""Conflicts: the same said with other numbers by two videos."""

from __future__ import annotations

import pytest

from guards.conflicts import find_conflicts
from prompts.draft import DraftSentence

VIDEOS = {1: "guide", 2: "survey", 3: "survey"}
GUIDE = "“It climbs over mountains. The Great Wall of China is 8,850 kilometers long.”"


@pytest.mark.parametrize(
    ("other", "number", "conflict"),
    [
        ("The Great Wall of China is 21,196 kilometers long.", 2, True),
        ("The Great Wall of China is twenty thousand kilometers long.", 2, True),
        ("The Great Wall of China is 8850 kilometers long.", 2, False),
        ("The Great Wall of China is very long.", 2, False),
        ("In 2012, after five years, China said how long the Great Wall is.", 2, False),
        ("Lecture 4: the Great Wall of China is many kilometers long.", 2, False),
        ("The cable was 3,000 kilometers long.", 2, False),
        ("The Great Wall of China was 9,000 kilometers long in 1644.", 2, True),
        ("The Great Wall of China is 500 years old, and long.", 2, False),
        ("In 1644 the Ming lost the north.", 2, False),
    ],
)
def test_another_number_for_the_same_is_a_conflict(other: str, number: int, conflict: bool) -> None:
    found = find_conflicts([DraftSentence(GUIDE, (1,)), DraftSentence(other, (number,))], VIDEOS)
    assert bool(found) == conflict


def test_one_video_does_not_disagree_with_itself() -> None:
    said = [
        DraftSentence("The wall of China is 5 kilometers long.", (2,)),
        DraftSentence("The wall of China is 6 kilometers long.", (3,)),
    ]
    assert find_conflicts(said, VIDEOS) == []


def test_the_sentence_names_both_and_cites_both() -> None:
    said = [DraftSentence(GUIDE, (1,)), DraftSentence("The Great Wall of China is 21,196 kilometers long.", (2,))]
    (conflict,) = find_conflicts(said, VIDEOS)
    assert conflict.sentence() == DraftSentence("These videos disagree: 8,850 kilometers or 21,196 kilometers.", (1, 2))
