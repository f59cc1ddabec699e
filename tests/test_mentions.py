"""Where words are said: in which moments, at which seconds, and whether they are only denied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema import Moment, ScreenText, TranscriptSegment
from retrievers.mentions import holds, is_about, mentions, phrase, topic


def spoken(*texts: str, screen: str = "", seconds_each: float = 5.0) -> Moment:
    """A moment whose sentences follow each other."""
    return Moment(
        tenant="local",
        video_id="v",
        start_seconds=0.0,
        end_seconds=60.0,
        transcript=tuple(
            TranscriptSegment(n * seconds_each, (n + 1) * seconds_each, text, "sidecar captions")
            for n, text in enumerate(texts)
        ),
        screen_text=(ScreenText(30.0, 40.0, screen, 0.9),) if screen else (),
    )


@pytest.mark.parametrize(
    ("text", "wanted", "held"),
    [
        ("The Great Wall of China", "great wall", True),
        ("a great stone wall", "great wall", False),
        ("walls, greater walls", "great wall", False),
        ("Émile Zola wrote", "emile zola", True),
        ("to be or not to be", "To be, or NOT", True),
        ("cold", "cold night", False),
    ],
)
def test_a_phrase_is_held_word_for_word(text: str, wanted: str, held: bool) -> None:
    assert holds(text, phrase(wanted)) is held


@pytest.mark.parametrize(
    ("text", "wanted", "about"),
    [
        ("Bees dance in the hive", "dancing", True),
        ("Bees dance in the hive", "the dance of bees", True),
        ("Bees dance in the hive", "honey", False),
        ("You can bake bread without yeast", "yeast", False),
        ("You can bake bread without any yeast", "yeast", False),
        ("without yeast it does not rise, yeast eats sugar", "yeast", True),
        ("there is no gluten", "gluten", False),
        ("to be or not to be", "to be", True),
    ],
)
def test_a_text_that_only_denies_something_is_not_about_it(text: str, wanted: str, about: bool) -> None:
    assert is_about(text, topic(wanted)) is about


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (topic("bees"), [(0, 5, "speech"), (10, 15, "speech")]),
        (topic("bee dance"), [(0, 5, "speech")]),
        (topic("sun dance"), [(0, 10, "speech")]),
        (phrase("the sun is"), [(5, 15, "speech")]),
        (topic("yeast"), []),
        (topic("honey"), [(30, 40, "screen")]),
        (topic("bees wax"), []),
    ],
)
def test_a_mention_is_the_shortest_stretch(wanted: object, found: list[tuple[float, float, str]]) -> None:
    moment = spoken(
        "a bee can dance", "towards the sun", "is where bees go", "x", "x", "x", "wax is", screen="Honey 2 kg"
    )
    spans = mentions(moment, wanted)  # type: ignore[arg-type]
    assert [(span.start_seconds, span.end_seconds, span.channel) for span in spans] == found


def test_words_far_apart_are_not_said_together() -> None:
    moment = spoken("great", "x", "x", "x", "x", "wall")
    assert mentions(moment, topic("great wall")) == []


@given(
    st.lists(st.sampled_from(["a1", "b1", "c1", "a1 b1"]), min_size=1, max_size=8),
    st.sampled_from(["a1", "a1 b1", "b1 c1"]),
)
def test_every_stretch_holds_what_is_wanted(texts: list[str], wanted: str) -> None:
    moment = spoken(*texts, seconds_each=2.0)
    for one in (topic(wanted), phrase(wanted)):
        spans = mentions(moment, one)
        assert bool(spans) == holds(moment.speech, one)
        for span in spans:
            inside = [s.text for s in moment.transcript if span.start_seconds <= s.start_seconds < span.end_seconds]
            assert holds(" ".join(inside), one)
            assert not holds(" ".join(inside[1:]), one) or not holds(" ".join(inside[:-1]), one) or len(inside) == 1


def test_nothing_to_look_for_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        phrase("!?")
