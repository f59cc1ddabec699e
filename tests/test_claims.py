"""The claim check: what stands in the evidence passes, in its own words or others; what a model adds does not."""

from __future__ import annotations

import pytest
from fakes import HashEmbedder

from guards.claims import ClaimChecker, is_verbatim
from retrievers.rerank import LateInteractionReranker

OFFERED = {
    1: "The Great Wall. The wall was built by the Ming dynasty and it is 8,850 kilometers long.",
    2: "Chopin. Frederic Chopin moved to warsaw in seventeen forty five when he was seven months old.",
    3: "Bread. Yeast eats sugar and gives off gas, so the dough rises.",
}
CHECKERS = [ClaimChecker(LateInteractionReranker(HashEmbedder())), ClaimChecker(None)]


@pytest.mark.parametrize("checker", CHECKERS, ids=["with a text model", "by spelling"])
@pytest.mark.parametrize(
    ("claim", "cited", "problem"),
    [
        ("The Ming dynasty built the wall.", (1,), ""),
        ("The wall is 8850 kilometers long.", (1,), ""),
        ("The wall is 21,196 kilometers long.", (1,), "21196"),
        ("Chopin moved to Warsaw in 1745.", (2,), ""),
        ("Chopin moved to Warsaw in 1810.", (2,), "1810"),
        ("In 1810 Chopin moved to Warsaw.", (1, 2), "1810"),
        ("When he moved, Mozart was seven months old.", (2,), "Mozart"),
        ("Dough rises because yeast gives off gas.", (3,), ""),
        ("Dough rises because yeast gives off gas.", (1,), "more than"),
        ("The wall keeps foreign horses out of the fertile plains.", (1,), "more than"),
        ("“the wall was built by the Ming dynasty”", (1,), ""),
        ("“The Great Wall”: “The wall was built, by the Ming dynasty”", (1,), ""),
        ("“the wall was built by the Qing dynasty”", (1,), "not said"),
        ("", (1,), ""),
    ],
)
def test_claims(checker: ClaimChecker, claim: str, cited: tuple[int, ...], problem: str) -> None:
    found = checker.problem(claim, cited, OFFERED, "")
    assert problem in found
    assert bool(found) == bool(problem)


def test_two_videos_together_support_what_neither_does_alone() -> None:
    claim = "The wall is 8,850 kilometers long, and Chopin was seven months old."
    assert CHECKERS[0].problem(claim, (1, 2), OFFERED, "") == ""
    assert CHECKERS[0].problem(claim, (1,), OFFERED, "") != ""


def test_what_the_question_says_may_be_repeated() -> None:
    claim = "In 1999 the wall was 8,850 kilometers long."
    assert "1999" in CHECKERS[0].problem(claim, (1,), OFFERED, "How long is the wall?")
    assert CHECKERS[0].problem(claim, (1,), OFFERED, "How long was the wall in 1999?") == ""


def test_another_language_is_checked_for_numbers_alone() -> None:
    assert CHECKERS[0].problem("Die Mauer der Dynastie ist heute 8850 km lang", (1,), OFFERED, "") == ""
    assert CHECKERS[0].problem("Die Mauer der Dynastie ist heute 777 km lang", (1,), OFFERED, "") != ""
    assert (
        CHECKERS[0].problem("Napoleon secretly founded Google headquarters near Mars yesterday", (1,), OFFERED, "")
        != ""
    )


@pytest.mark.parametrize(
    ("quote", "said"), [("the DOUGH rises.", True), ("dough the rises", False), ("dough ris", False)]
)
def test_verbatim(quote: str, said: bool) -> None:
    assert is_verbatim(quote, OFFERED[3]) == said
