"""Which kind of answer a question asks for: a table, and a library of ordinary questions that are all explained."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from prompts.kinds import KINDS, Kind, kind_of, subject_of

ASKED: dict[Kind, tuple[str, ...]] = {
    "recall": (
        "Which video explains why the sky is blue?",
        "in which video do they talk about mortar",
        "which talk mentions mercury?",
        "What videos are about bees?",
        "Find the video where the cable breaks",
        "that video with the guy and the thing",
        "the clip about knots",
        "Is there a video about the Great Wall?",
        "Do I have any clips that show a lighthouse?",
        "I remember a video about a chess machine",
        "what is the name of the video where a man hides in a box?",
        "Which lecture is about eigenvalues?",
    ),
    "quote": (
        "Quote what she says about mercury",
        "Give me a quote about the dance",
        "What exactly did von Frisch say about the sun?",
        "What does the guide say about mortar, word for word?",
        "please give me the exact words about the cable",
    ),
    "summarise": (
        "Summarise the video How a Lighthouse Lens Works",
        "can you summarize this talk?",
        "Give me a short summary of the bee video",
        "What is this video about?",
        "What is “How a Lighthouse Lens Works” about?",
        'what\'s "Why the Sky Is Blue" about',
        "What are the main points of the lecture?",
        "tl;dr the cable video",
    ),
    "compare": (
        "Compare what the guide and the survey say about the length of the wall",
        "Do the videos agree on the length of the wall?",
        "How do the two videos about the wall differ?",
        "What are the differences between the two talks on bread?",
    ),
    "timeline": (
        "Timeline of the Atlantic cable",
        "Give me a timeline of the siege of Warsaw",
        "What is said about oxygen, in chronological order?",
        "show me the chronology of the Apollo program",
    ),
    "explain": (
        "Why is the sky blue?",
        "What video game won the award in 1998?",
        "which video format does the camera write?",
        "What film won the Oscar in 1994?",
        "In which episode does the First Doctor see himself?",
        "What talk show replaced One Life to Live?",
        "What contains a nearly verbatim report of debates?",
        "What is the difference between a gas and a liquid?",
        "How much is it compared to last year?",
        "Who was the guide in the museum video?",
        "What famous quotation is he known for?",
        "What did Darwin say about worms?",
        "What is quantum mechanics about?",
        "Who wrote the summary of the treaty?",
        "bees",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "question"), [(kind, question) for kind in KINDS for question in ASKED[kind]])
def test_a_question_is_of_its_kind(kind: Kind, question: str) -> None:
    assert kind_of(question) == kind


def test_typographic_apostrophes_and_spaces_change_nothing() -> None:
    assert kind_of("what’s   “Bees”  about") == "summarise"


def test_ordinary_questions_are_explained() -> None:
    folder = Path(os.environ.get("PLAYHEAD_TEST_DATA", "")) / "spoken_library"
    if not (folder / "questions.jsonl").is_file():
        pytest.skip("the questions of the spoken library are not here (PLAYHEAD_TEST_DATA)")
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 2000
    others = [question for line in lines if kind_of(question := json.loads(line)["question"]) != "explain"]
    assert others == []


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("Which video explains why the sky is blue?", "why the sky is blue?"),
        ("Which video mentions mercury?", "mercury?"),
        ("I remember a video about a chess machine", "a chess machine"),
        ("Summarise the lighthouse video", "the lighthouse video"),
        ("Summarise the video about quantum computers", "quantum computers"),
        ("Give me a short summary of the honey video", "the honey video"),
        ("What is “Why the Sky Is Blue” about?", "“Why the Sky Is Blue”?"),
        ("Compare what the videos say about the length of the wall", "the length of the wall"),
        ("What is said about oxygen, in chronological order?", "What is said about oxygen?"),
        ("Quote what is said about the dance", "the dance"),
        ("Summarise", "Summarise"),
        ("Why is the sky blue?", "Why is the sky blue?"),
    ],
)
def test_the_words_that_ask_are_no_subject(question: str, subject: str) -> None:
    assert subject_of(question) == subject
