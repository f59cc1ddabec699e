"""Moments made of a span: whole utterances, nothing twice, 60 s at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.schema import MAX_MOMENT_SECONDS, Moment, ScreenText, TranscriptSegment
from retrievers.composing import SNAP_SECONDS, best_channels, compose_moment
from retrievers.evidence import ChannelScore


def said(start: float, end: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start, end, text, "sidecar captions", "en")


CUES = tuple(said(5.0 * i, 5.0 * i + 5, f"cue{i}") for i in range(30))


def stored(start: float, end: float) -> Moment:
    inside = tuple(cue for cue in CUES if start <= cue.start_seconds and cue.end_seconds <= end)
    slide = (ScreenText(30.0, 70.0, "slide", 0.9),)
    return Moment(
        "local", "v", start, end, inside, slide, f"description {start}", f"chapter {start}", (start + 1, start + 21)
    )


def test_a_span_over_two_moments_holds_what_both_say_once_and_in_order() -> None:
    made = compose_moment(31.0, 91.0, [stored(40, 100), stored(20, 80)])
    assert (made.start_seconds, made.end_seconds) == (30.0, 90.0)
    assert made.speech == " ".join(f"cue{i}" for i in range(6, 18))
    assert made.screen == "slide"
    assert (made.description, made.chapter) == ("description 40", "chapter 40")
    assert made.keyframe_seconds == (41, 61)
    assert made.moment_id != stored(40, 100).moment_id


def test_a_span_that_is_a_moment_stays_that_moment() -> None:
    assert compose_moment(20.0, 80.0, [stored(20, 80)]).moment_id == stored(20, 80).moment_id


def test_a_long_utterance_does_not_move_the_edges_far() -> None:
    lecture = Moment("local", "v", 0.0, 60.0, (said(0.0, 60.0, "on and on"),))
    made = compose_moment(20.0, 50.0, [lecture])
    assert (made.start_seconds, made.end_seconds, made.speech) == (20.0, 50.0, "on and on")


@given(st.floats(0, 80), st.floats(1, 60))
def test_a_composed_moment_is_near_its_span_and_60_s_at_most(start: float, length: float) -> None:
    end = start + length
    made = compose_moment(start, end, [stored(s, s + 60) for s in (0.0, 20.0, 40.0, 60.0, 80.0)])
    assert made.end_seconds - made.start_seconds <= MAX_MOMENT_SECONDS + 0.001
    assert abs(made.start_seconds - start) <= SNAP_SECONDS
    assert abs(made.end_seconds - end) <= 2 * SNAP_SECONDS


def test_the_best_rank_of_each_channel_is_kept() -> None:
    first = {"speech": ChannelScore(3, 0.5), "screen": ChannelScore(1, 0.9)}
    second = {"speech": ChannelScore(2, 0.6)}
    assert best_channels([first, second]) == {"speech": ChannelScore(2, 0.6), "screen": ChannelScore(1, 0.9)}
