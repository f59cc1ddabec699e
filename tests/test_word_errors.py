"""Word error rate: a truth table and its algebra."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.word_errors import word_error_rate, word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@pytest.mark.parametrize(
    ("reference", "heard", "rate"),
    [
        ("the child almost hurt the small dog", "the child almost heard the small dog", 1 / 7),
        ("canned pears lack full flavor", "", 1.0),
        ("banana", "banana banana banana", 2.0),
        ("don't stop", "DONT, stop!", 0.0),
        ("one two three", "two three", 1 / 3),
        ("one two three", "three two one", 2 / 3),
        ("größe zählt", "Größe zählt.", 0.0),
    ],
)
def test_rates_a_person_can_check(reference: str, heard: str, rate: float) -> None:
    assert word_error_rate(reference, heard) == pytest.approx(rate)


def test_a_reference_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="'...'"):
        word_error_rate("...", "hello")


@given(WORDS, WORDS, WORDS)
def test_errors_are_a_distance(first: list[str], second: list[str], third: list[str]) -> None:
    assert (word_errors(first, second) == 0) == (first == second)
    assert word_errors(first, second) == word_errors(second, first)
    assert word_errors(first, third) <= word_errors(first, second) + word_errors(second, third)
