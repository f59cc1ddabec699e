"""The citation check as a truth table: what is kept, what is counted, when it abstains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guards.citations import check_citations, check_sentence
from prompts.answer import read_answer_reply
from prompts.draft import Draft, DraftSentence

OFFERED = {1: "It rains at 7:30.", 2: "It snows.", 3: ""}


@pytest.mark.parametrize(
    ("cited", "kept"),
    [((1,), (1,)), ((3, 1), (3, 1)), ((1, 9), (1,)), ((9,), None), ((0,), None), ((), None), ((10, 11), None)],
)
def test_a_sentence_keeps_the_offered_numbers(cited: tuple[int, ...], kept: tuple[int, ...] | None) -> None:
    checked = check_sentence(DraftSentence("It rains.", cited), OFFERED)
    assert (checked.numbers if checked else None) == kept


@pytest.mark.parametrize(
    ("reply", "kept", "dropped", "passed", "told"),
    [
        ("It rains [1]. It snows [2][3].", 2, 0, True, "2 of 2"),
        ("It rains [1]. It snows.", 1, 0, True, "1 of 2"),
        ("It rains [1][7]. It snows [8].", 1, 2, True, "1 of 2"),
        ("It rains [4].", 0, 1, False, "1 that were not offered"),
        ("It rains.", 0, 0, False, "cites no evidence"),
        ("It rained in (2) (1999).", 0, 0, False, "cites no evidence"),
        ("NOT FOUND", 0, 0, False, "found no answer"),
        ("NOT FOUND. It rains [1].", 0, 0, False, "found no answer"),
        ("", 0, 0, False, "empty"),
        ("[1][2]", 0, 0, False, "empty"),
        ("I cannot help with that.", 0, 0, False, "cites no evidence"),
    ],
)
def test_a_reply_is_checked(reply: str, kept: int, dropped: int, passed: bool, told: str) -> None:
    check = check_citations(read_answer_reply(reply), OFFERED)
    assert (len(check.sentences), check.dropped_numbers, check.verdict.passed) == (kept, dropped, passed)
    assert told in check.verdict.reason


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The train leaves at 7:30.", True),
        ("At 12:34 he says it rains.", False),
        ("It rains 75 seconds into the video.", False),
        ("It rains on 30 days.", True),
        ("Aspect 16:9 is wide.", True),
    ],
)
def test_a_time_that_the_evidence_does_not_hold_is_not_shown(text: str, kept: bool) -> None:
    assert (check_sentence(DraftSentence(text, (1,)), OFFERED) is not None) == kept


def test_nothing_offered_means_nothing_shown() -> None:
    assert not check_citations(read_answer_reply("It rains [1]."), {}).verdict.passed


NUMBERS = st.lists(st.integers(0, 12), max_size=4).map(tuple)


@given(st.lists(NUMBERS, max_size=6), st.sets(st.integers(1, 12)))
def test_no_number_is_shown_that_was_not_offered(cited: list[tuple[int, ...]], offered: set[int]) -> None:
    draft = Draft(tuple(DraftSentence("It rains.", numbers) for numbers in cited), not_found=False, raw="")
    check = check_citations(draft, dict.fromkeys(offered, ""))
    assert all(sentence.numbers and set(sentence.numbers) <= offered for sentence in check.sentences)
    shown = sum(len(sentence.numbers) for sentence in check.sentences)
    assert shown + check.dropped_numbers == sum(len(numbers) for numbers in cited)
    assert check.verdict.passed == bool(check.sentences)
