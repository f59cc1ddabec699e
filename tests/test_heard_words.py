"""Heard words: where utterances end, and loops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.heard_words import HeardWord, cut_to_length, cut_words, ends_sentence, segment_of, without_loops


def word(text: str, start: float = 0.0, end: float = 0.5, probability: float = 0.9) -> HeardWord:
    return HeardWord(text, start, end, probability, "en")


def texts(words: list[HeardWord]) -> list[str]:
    return [word.text for word in words]


def test_long_parts_are_cut_at_their_longest_late_pause() -> None:
    words = [word(f"w{n}", n + (0.3 if n == 7 else 0.0), n + 0.95) for n in range(14)]
    first, second = cut_to_length(words, 10.0)
    assert (first[-1].text, second[0].text) == ("w6", "w7")
    assert max(part[-1].end_seconds - part[0].start_seconds for part in (first, second)) <= 10.0


def test_one_word_longer_than_a_part_stays_whole() -> None:
    parts = list(cut_to_length([word("om", 0.0, 12.0), word("end", 12.0, 12.5)], 10.0))
    assert [texts(part) for part in parts] == [["om"], ["end"]]


SPANS = st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 6)), max_size=30)


@given(SPANS, st.floats(0.5, 20))
def test_cutting_keeps_every_word_in_order_and_the_length(spans: list[tuple[float, float]], longest: float) -> None:
    words, now = [], 0.0
    for pause, length in spans:
        words.append(word(f"w{len(words)}", now + pause, now + pause + length))
        now += pause + length
    parts = [part for stretch in cut_words(words, lambda a, b: False) for part in cut_to_length(stretch, longest)]
    assert [w for part in parts for w in part] == words
    for part in parts:
        assert len(part) == 1 or part[-1].end_seconds - part[0].start_seconds <= longest + 1e-6


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (" bees.", True), (" why?", True), (' go!"', True), (" 1903.", True), (" 花。", True), ("吗？", True),
        (" wait…", True), (" Mr.", False), (" Dr.", False), (" vs.", False), (" J.", False), (" U.S.", False),
        (" bees", False), (" bees,", False), (" 3.5", False), ("", False),
    ],
)  # fmt: skip
def test_sentence_ends(text: str, ends: bool) -> None:
    assert ends_sentence(word(text)) is ends


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a b c", "a b c"),
        ("no no no", "no no no"),
        ("no no no no stop", "no stop"),
        ("go on on on on on", "go on"),
        ("I see I see I see I see", "I see"),
        ("I see. I see, I SEE i see!", "I see."),
        ("a b c d a b c d a b c d a b c d e", "a b c d e"),
        ("a b a b a b", "a b a b a b"),
        ("", ""),
    ],
)
def test_a_phrase_said_four_times_in_a_row_is_kept_once(said: str, kept: str) -> None:
    assert texts(without_loops([word(text) for text in said.split()])) == kept.split()


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_nothing_loops_in_what_is_kept_of_one_letter(said: list[str]) -> None:
    kept = texts(without_loops([word(text) for text in said]))
    assert not any(kept[n : n + 4] == [kept[n]] * 4 for n in range(len(kept) - 3)) or "".join(kept) in "".join(said)
    iterator = iter(said)
    assert all(text in iterator for text in kept), "what is kept is in the order it was said"


def test_a_segment_has_the_span_text_and_confidence_of_its_words() -> None:
    words = [word(" So", 1.0, 1.4, 0.2), word(" far.", 1.5, 2.0, 0.9)]
    segment = segment_of(words, "left")
    assert (segment.start_seconds, segment.end_seconds, segment.text) == (1.0, 2.0, "So far.")
    assert (segment.confidence, segment.language, segment.speaker) == (0.55, "en", "left")
