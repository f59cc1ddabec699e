"""Numbers in digits and in words are the same numbers."""

from __future__ import annotations

import pytest

from retrievers.spoken_numbers import asks_for_number, numbers_in


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("born here in seventeen forty five", "1745"),
        ("in nineteen oh five", "1905"),
        ("in two thousand twelve", "2012"),
        ("fifteen point five hectares", "15.5"),
        ("one point five million people", "1500000"),
        ("3 billion stars", "3000000000"),
        ("twenty one thousand one hundred and ninety six kilometers", "21196"),
        ("It is 21,196 kilometers long.", "21196"),
        ("two hundred and six bones", "206"),
        ("the year 1858.", "1858"),
        ("5.0 percent", "5"),
        ("the twentieth century", "20"),
    ],
)
def test_a_number_is_found_however_it_is_written(text: str, held: str) -> None:
    assert held in numbers_in(text)


@pytest.mark.parametrize("text", ["one of the most famous people", "the first female recipient", "no numbers", ""])
def test_words_that_count_nothing_are_no_numbers(text: str) -> None:
    assert numbers_in(text) == frozenset()


@pytest.mark.parametrize(
    ("question", "asks"),
    [("When was it built?", True), ("how many eggs", True), ("In which year?", True), ("Who built it?", False)],
)
def test_questions_for_numbers(question: str, asks: bool) -> None:
    assert asks_for_number(question) == asks
