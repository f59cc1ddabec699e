"""Interval algebra: Allen's relations against their definitions, and what operators build on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.time_operators import (
    Pair,
    Relation,
    Span,
    adjoining,
    by_video,
    followed,
    lies_in,
    merged,
    relation,
    shared,
    together,
)

CONVERSE: dict[Relation, Relation] = {
    "before": "after", "meets": "met by", "overlaps": "overlapped by", "starts": "started by", "during": "contains",
    "finishes": "finished by", "equals": "equals",
}  # fmt: skip
CONVERSE |= {other: one for one, other in CONVERSE.items()}

seconds = st.integers(0, 30).map(float)
spans = st.builds(
    lambda video, one, other, score: Span(video, min(one, other), max(one, other), score),
    st.sampled_from("ab"), seconds, seconds, st.sampled_from([0.0, 0.3, 0.7, 1.0]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 1), (2, 3), "before"),
        ((0, 2), (2, 3), "meets"),
        ((0, 2), (1, 3), "overlaps"),
        ((0, 1), (0, 3), "starts"),
        ((1, 2), (0, 3), "during"),
        ((2, 3), (0, 3), "finishes"),
        ((0, 3), (0, 3), "equals"),
        ((1, 1), (1, 1), "equals"),
        ((1, 1), (0, 3), "during"),
        ((0, 0), (0, 3), "meets"),
    ],
)
def test_each_relation_and_its_converse(
    first: tuple[float, float], second: tuple[float, float], expected: Relation
) -> None:
    one, other = Span("v", *first), Span("v", *second)
    assert relation(one, other) == expected
    assert relation(other, one) == CONVERSE[expected]


@given(spans, spans)
def test_relations_are_converse(one: Span, other: Span) -> None:
    assert relation(other, one) == CONVERSE[relation(one, other)]


@given(st.lists(spans), st.lists(spans), st.integers(0, 20).map(float))
def test_what_follows_begins_after_the_first_ends_and_not_too_late(
    firsts: list[Span], others: list[Span], most: float
) -> None:
    pairs = followed(firsts, others, most)
    for pair in pairs:
        assert pair.first.video_id == pair.second.video_id
        assert 0 <= pair.second.start_seconds - pair.first.end_seconds <= most
        assert pair.first in firsts
        assert pair.second in others
    assert [pair.score for pair in pairs] == sorted((pair.score for pair in pairs), reverse=True)
    assert len({pair.first for pair in pairs}) == len({pair.second for pair in pairs}) == len(pairs)
    possible = any(
        one.video_id == other.video_id
        and 0 <= other.start_seconds - one.end_seconds <= most
        and relation(one, other) != "equals"
        for one in firsts
        for other in others
    )
    assert bool(pairs) or not possible


@given(st.lists(spans), st.lists(spans))
def test_what_is_together_shares_time(firsts: list[Span], others: list[Span]) -> None:
    for pair in together(firsts, others):
        both = shared(pair)
        for part in (pair.first, pair.second):
            assert part.start_seconds <= both.start_seconds <= both.end_seconds <= part.end_seconds
        assert both.score <= min(pair.first.score, pair.second.score)


@given(st.lists(spans), st.integers(0, 5).map(float))
def test_merging_covers_the_same_and_keeps_the_gap(given_spans: list[Span], gap: float) -> None:
    joined = merged(given_spans, gap)
    for span in given_spans:
        around = [
            one
            for one in joined
            if one.video_id == span.video_id
            and one.start_seconds <= span.start_seconds
            and span.end_seconds <= one.end_seconds
        ]
        assert len(around) == 1
        assert around[0].score >= span.score
    for own in by_video(joined).values():
        for one, following in zip(own, own[1:], strict=False):
            assert following.start_seconds - one.end_seconds > gap
    assert merged(joined, gap) == joined
    assert merged(list(reversed(given_spans)), gap) == joined


@given(spans, st.integers(1, 20).map(float), st.integers(0, 10).map(float))
def test_what_adjoins_touches_and_stays_in_the_video(span: Span, length: float, rest: float) -> None:
    duration = span.end_seconds + rest
    before, after = adjoining(span, "before", length, duration), adjoining(span, "after", length, duration)
    assert (before is None) == (span.start_seconds == 0)
    assert (after is None) == (rest == 0)
    if before:
        assert relation(before, span) == "meets"
        assert before.end_seconds - before.start_seconds <= length
    if after:
        assert relation(span, after) == "meets"
        assert after.end_seconds <= duration


@pytest.mark.parametrize(
    ("span", "window", "inside"),
    [
        ((0, 60), (0, 300), True),
        ((270, 330), (0, 300), True),
        ((280, 340), (0, 300), False),
        ((0, 60), (10, 20), True),
        ((0, 10), (10, 20), False),
        ((0, 60), (55, 75), False),
    ],
)
def test_half_of_a_span_or_of_a_shorter_window_lies_in_it(
    span: tuple[float, float], window: tuple[float, float], inside: bool
) -> None:
    assert lies_in(*span, window) is inside


def test_a_pair_of_two_videos_and_a_wild_score_are_refused() -> None:
    with pytest.raises(ValueError, match="one video"):
        Pair(Span("a", 0, 1), Span("b", 2, 3))
    with pytest.raises(ValueError, match=r"1\.5"):
        Span("a", 0, 1, score=1.5)
