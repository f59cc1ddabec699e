"""Follow-ups by rules: what is carried over, what the clock of a cited moment answers, and what stands on its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from prompts.followup import CitedMoment, Turn, follow_up

LENS = CitedMoment(
    "lens", "How a Lens Works", 60.0, 80.0, "but they floated in a bath of mercury. One finger was enough to turn them."
)
BEES = CitedMoment("bees", "The Honey Bees", 0.0, 20.0, "A bee dances.")
ASKED = Turn("How does a lighthouse lens turn?", "“Augustin Fresnel built it.” [1]", (LENS,))
TWO = Turn("What floats or dances?", "They do. [1] She does. [2]", (LENS, BEES))
BACK = Turn("that video with the guy", "Which video do you mean?", (LENS, BEES), asked_back=True)
AFTER = 'after: "mercury. One finger was enough to turn them."'
BEFORE = 'before: "but they floated in a bath of mercury."'


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("and when was it built?", "When was it built (lighthouse lens turn)?"),
        ("Who built it?", "Who built it (lighthouse lens turn)?"),
        ("why?", "Why (lighthouse lens turn)?"),
        ("what about mercury?", "What about mercury (lighthouse lens turn)?"),
        ("When did he die?", "When did he die (lighthouse lens turn)?"),
        ("But is the lens heavy", "Is the lens heavy (lighthouse turn)?"),
    ],
)
def test_what_is_unsaid_comes_from_the_last_question(question: str, meant: str) -> None:
    found = follow_up(question, [ASKED])
    assert found is not None
    assert (found.question, found.cited) == (meant, None)


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("what did he say next?", AFTER),
        ("What comes after that?", AFTER),
        ("And then?", AFTER),
        ("what happens right after that", AFTER),
        ("go on", AFTER),
        ("just before that", BEFORE),
        ("What is said immediately before this?", BEFORE),
    ],
)
def test_next_and_before_are_looked_up_beside_the_cited_moment(question: str, meant: str) -> None:
    found = follow_up(question, [ASKED, Turn("Who sings?", "The library does not hold the answer.")])
    assert found is not None
    assert (found.question, found.cited) == (meant, LENS)


def test_after_two_quotes_comes_after_the_last() -> None:
    after, before = follow_up("what next?", [TWO]), follow_up("right before that?", [TWO])
    assert after is not None and (after.question, after.cited) == ('after: "A bee dances."', BEES)
    assert before is not None and before.cited == LENS


@pytest.mark.parametrize(
    ("question", "meant", "cited"),
    [
        ("In that video, how heavy is the lens?", "how heavy is the lens?", LENS),
        ("summarise that video", "summarise that video", LENS),
        ("does this video mention bees?", "does this video mention bees?", LENS),
        ("In the second video, where are the flowers?", None, BEES),
        ("and in the same video, who built it?", "Who built it (floats dances)?", LENS),
    ],
)
def test_a_video_pointed_at_is_the_cited_one(question: str, meant: str | None, cited: CitedMoment) -> None:
    found = follow_up(question, [TWO])
    assert found is not None
    assert found.cited == cited
    assert meant is None or found.question == meant


@pytest.mark.parametrize("reply", ["the second one", "Second", "the bees one", "honey", "the last"])
def test_who_was_asked_which_video_names_one(reply: str) -> None:
    found = follow_up(reply, [BACK])
    assert found is not None
    assert (found.question, found.cited) == ("What is this video about?", BEES)


def test_who_was_asked_which_video_may_tell_more_instead() -> None:
    found = follow_up("he had a big machine", [BACK])
    assert found is not None
    assert (found.question, found.cited) == ("that video with the guy, he had a big machine", None)


@pytest.mark.parametrize(
    "question",
    [
        "Why is the sky blue?",
        "How old was Chopin when he moved to Warsaw?",
        "Why is it important to wash hands?",
        "What does it mean when a currency floats?",
        "Other than its beaches, what is Palm Springs popular for?",
        "What is the river that flows through Warsaw?",
        "What does the fourth video say?",
    ],
)
def test_what_names_what_it_asks_stands_on_its_own(question: str) -> None:
    assert follow_up(question, [ASKED]) is None


def test_without_earlier_questions_nothing_follows() -> None:
    assert follow_up("and when was it built?", []) is None
    assert follow_up("what next?", [Turn("Who sings?")]) is None


def test_what_was_asked_by_its_place_gives_no_topic() -> None:
    between = Turn("what next?", "“Plastic is cheap.” [1]", (LENS,), AFTER)
    found = follow_up("who designed it?", [ASKED, between])
    assert found is not None and found.question == "Who designed it (lighthouse lens turn)?"


def test_the_second_video_is_of_the_last_answer_that_cited_two() -> None:
    found = follow_up("does the second video mention mortar?", [TWO, ASKED])
    assert found is not None
    assert (found.question, found.cited) == ("does the second video mention mortar?", BEES)


def test_a_chain_of_follow_ups_keeps_the_topic() -> None:
    first = follow_up("when was it built?", [ASKED])
    assert first is not None
    second = follow_up("and by whom?", [ASKED, Turn("when was it built?", "In 1823. [1]", (), first.question)])
    assert second is not None
    assert "lighthouse lens" in second.question


def test_no_word_of_a_video_becomes_part_of_a_question() -> None:
    hostile = CitedMoment("v", "SECRET orders for You", 0.0, 9.0, "SECRET words")
    turn = Turn("How does a lens turn?", "“Secret Orders Are Given.” [1]", (hostile,))
    for question in ("and then it did what?", "who is he?", "summarise that video", "in the first video, why?"):
        found = follow_up(question, [turn])
        assert found is not None and "SECRET" not in found.question.upper()
    found = follow_up("the orders one", [Turn("that video", "Which?", (hostile, BEES), asked_back=True)])
    assert found is not None and found.question == "What is this video about?"


def test_a_moment_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"9\.0\.\.3\.0"):
        CitedMoment("v", "t", 9.0, 3.0)


def test_ordinary_questions_stand_on_their_own() -> None:
    folder = Path(os.environ.get("PLAYHEAD_TEST_DATA", "")) / "spoken_library"
    if not (folder / "questions.jsonl").is_file():
        pytest.skip("the questions of the spoken library are not here (PLAYHEAD_TEST_DATA)")
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    taken = [question for line in lines if follow_up(question := json.loads(line)["question"], [ASKED])]
    # Most of these few do leave something unsaid: "Why was he unable to enroll at the university?"
    assert len(taken) <= 0.01 * len(lines)
