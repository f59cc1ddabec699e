"""Quotes: verbatim, cited, from the evidence that answers, never a title card."""

from __future__ import annotations

from fakes import HashEmbedder
from hypothesis import given
from hypothesis import strategies as st

from app.citing import best_second, closest_span
from ingest.schema import Moment, ScreenText, TranscriptSegment, Video
from prompts.extractive import MAX_QUOTED_WORDS, MAX_SPAN_WORDS, extractive_draft, moment_spans
from retrievers.evidence import Evidence
from retrievers.rerank import LateInteractionReranker

SIMILARITY = LateInteractionReranker(HashEmbedder())


def evidence(number: int, video: str, said: list[str], written: list[str] | None = None) -> Evidence:
    segments = tuple(TranscriptSegment(5.0 * i, 5.0 * i + 4, text, "sidecar captions") for i, text in enumerate(said))
    lines = tuple(ScreenText(1.0, 9.0, text, 0.9) for text in written or [])
    moment = Moment("local", video, 0.0, 60.0, segments, lines)
    return Evidence(number, moment, Video("local", video, video.title(), 60.0, "f"), 1.0)


def test_the_span_that_answers_is_quoted_word_for_word() -> None:
    bees = evidence(
        1, "bees", ["Flowers are far away today.", "Karl von Frisch read the dance of the bees.", "It is late."]
    )
    draft = extractive_draft("who read the dance of the bees", [bees], SIMILARITY)
    assert [sentence.numbers for sentence in draft.sentences] == [(1,)]
    assert "Karl von Frisch read the dance of the bees." in draft.sentences[0].text


def test_a_second_video_that_says_otherwise_is_quoted_too() -> None:
    one = evidence(1, "guide", ["The wall is 8,850 kilometers long."])
    two = evidence(2, "survey", ["The wall is 21,196 kilometers long."])
    draft = extractive_draft("how long is the wall", [one, two], SIMILARITY)
    assert sorted(number for sentence in draft.sentences for number in sentence.numbers) == [1, 2]


def test_a_title_card_answers_nothing() -> None:
    slides = evidence(1, "the first cable", [], ["The First Cable"])
    assert extractive_draft("what was the first cable", [slides], SIMILARITY).not_found


def test_without_evidence_or_words_nothing_is_quoted() -> None:
    assert extractive_draft("what", [], SIMILARITY).not_found
    assert extractive_draft("what", [evidence(1, "silent", [])], SIMILARITY).not_found


def test_without_a_text_model_words_decide() -> None:
    bees = evidence(1, "bees", ["Nothing here matters at all.", "The queen lays eggs."])
    draft = extractive_draft("how many eggs does the queen lay", [bees], None)
    assert "eggs" in draft.sentences[0].text


def test_the_player_starts_at_the_utterance_that_holds_the_words() -> None:
    wall = evidence(1, "wall", ["The Ming built it.", "Farmers did the work.", "Sticky rice is in the mortar."])
    question = "what is in the mortar"
    (sentence,) = extractive_draft(question, [wall], SIMILARITY).sentences
    span = closest_span(sentence.text, wall)
    assert span is not None
    assert best_second(question, sentence.text, span, wall, SIMILARITY) == 10.0


@given(
    st.lists(st.lists(st.sampled_from(["bee", "dance", "the", "4,000", "sun."]), min_size=1, max_size=90), max_size=6)
)
def test_spans_are_verbatim_and_short(utterances: list[list[str]]) -> None:
    item = evidence(1, "bees", [" ".join(words) for words in utterances])
    for span in moment_spans(item):
        assert 1 <= len(span.text.split()) <= MAX_SPAN_WORDS
        assert span.text in " ".join(item.moment.speech.split())


def test_questions_alone_answer_nothing() -> None:
    assert extractive_draft("who danced", [evidence(1, "bees", ["Who danced the bee dance?"])], SIMILARITY).not_found


def test_a_number_in_brackets_is_no_citation_whatever_hides_in_it() -> None:
    bees = evidence(1, "bees", ["Karl von Frisch won the prize [\u200b2] for the dance."])
    (sentence,) = extractive_draft("who won the prize", [bees], SIMILARITY).sentences
    assert "(2)" in sentence.text


def test_each_moment_is_quoted_once_and_all_quotes_are_short() -> None:
    said = [
        f"The dance of the bees means {word} to them."
        for word in ["food", "sun", "rain", "wind", "home", "water", "honey"]
    ]
    talks = [evidence(number, f"talk {number}", said) for number in (1, 2, 3)]
    sentences = extractive_draft("what does the dance of the bees mean", talks, SIMILARITY).sentences
    numbers = [number for sentence in sentences for number in sentence.numbers]
    assert len(numbers) == len(set(numbers)) <= 2
    assert sum(len(sentence.text.split()) for sentence in sentences) <= MAX_QUOTED_WORDS


def test_what_a_title_card_names_is_answered_by_what_is_said() -> None:
    bees = evidence(1, "bees", ["She shakes her body from side to side.", "It is a dance."], ["The waggle dance"])
    (sentence, *_) = extractive_draft("what is the waggle dance", [bees], SIMILARITY).sentences
    assert "shakes" in sentence.text
