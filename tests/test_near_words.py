"""Words spelt nearly alike, as a table of names and what was heard."""

from __future__ import annotations

import pytest

from retrievers.near_words import near_words, rarities


@pytest.mark.parametrize(
    ("asked", "heard", "near"),
    [
        ("fresnel", "frenell", True),
        ("chopin", "chopins", True),
        ("dances", "dancing", True),
        ("warsaw", "war", True),
        ("warsaw", "london", False),
        ("bee", "sugar", False),
    ],
)
def test_what_is_near(asked: str, heard: str, near: bool) -> None:
    assert bool(near_words([asked], [heard])) == near


def test_one_stem_is_the_same_word_and_the_position_is_told() -> None:
    assert near_words(["bee", "dancing"], ["dances"]) == {"dances": [(1, 1.0)]}


def test_rare_words_count_most() -> None:
    texts = [["bee", "dance"], ["bee"], ["bees", "sun"]]
    bee, dance, comb = rarities(["bee", "dance", "comb"], texts)
    assert bee < dance < comb
