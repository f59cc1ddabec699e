"""Ranking metrics against tables of truth and against ir-measures."""

from __future__ import annotations

import math

import ir_measures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_measures import RR, P, nDCG

from evaluation.ranking import (
    Gold,
    ReturnedSpan,
    answer_places,
    first_hit,
    hit_ranks,
    ndcg_at,
    precision_at,
    reciprocal_rank,
    temporal_iou,
)

POINT = Gold("a", ((100.0, 100.0),))
WINDOW = Gold("a", ((100.0, 110.0),), tolerance_seconds=1.0)


@pytest.mark.parametrize(
    ("moment", "gold", "hit"),
    [
        (ReturnedSpan("a", 60.0, 120.0), POINT, True),
        (ReturnedSpan("a", 100.0, 160.0), POINT, True),
        (ReturnedSpan("a", 40.0, 100.0), POINT, True),
        (ReturnedSpan("a", 40.0, 99.9), POINT, False),
        (ReturnedSpan("a", 100.1, 140.0), POINT, False),
        (ReturnedSpan("b", 60.0, 120.0), POINT, False),
        (ReturnedSpan("a", 60.0, 120.5), POINT, False),  # longer than 60 s
        (ReturnedSpan("a", 105.0, 106.0), WINDOW, True),
        (ReturnedSpan("a", 60.0, 99.0), WINDOW, True),  # within the tolerance
        (ReturnedSpan("a", 60.0, 98.9), WINDOW, False),
        (ReturnedSpan("a", 111.0, 150.0), WINDOW, True),
        (ReturnedSpan("a", 111.1, 150.0), WINDOW, False),
        (ReturnedSpan("a", 80.0, 141.0), WINDOW, False),
    ],
)
def test_a_hit_is_a_short_moment_of_the_right_video_that_shares_time_with_the_gold(
    moment: ReturnedSpan, gold: Gold, hit: bool
) -> None:
    assert bool(hit_ranks([moment], gold)) == hit
    if gold is POINT:
        assert (first_hit([moment], "a", 100.0) == 1) == hit


def test_ranks_precision_and_reciprocal_rank() -> None:
    returned = [
        ReturnedSpan("b", 0, 60),
        ReturnedSpan("a", 90, 150),
        ReturnedSpan("a", 0, 60),
        ReturnedSpan("a", 70, 130),
    ]
    hits = hit_ranks(returned, POINT)
    assert hits == [2, 4]
    assert (precision_at(1, hits), precision_at(2, hits), precision_at(10, hits)) == (0.0, 0.5, 0.2)
    assert (reciprocal_rank(10, hits), reciprocal_rank(1, hits), reciprocal_rank(10, [])) == (0.5, 0.0, 0.0)


@pytest.mark.parametrize(
    ("windows", "places"),
    [
        ([(0.0, 5.0), (50.0, 60.0)], [[(0.0, 5.0), (50.0, 60.0)]]),
        ([(50.0, 61.0), (0.0, 5.0)], [[(0.0, 5.0)], [(50.0, 61.0)]]),
        ([(0.0, 300.0)], [[(0.0, 300.0)]]),
    ],
)
def test_windows_that_one_moment_can_hold_are_one_place(
    windows: list[tuple[float, float]], places: list[list[tuple[float, float]]]
) -> None:
    assert answer_places(Gold("a", tuple(windows))) == places


def test_ndcg_counts_each_place_once() -> None:
    gold = Gold("a", ((0.0, 1.0), (200.0, 201.0)))
    first, second, other = ReturnedSpan("a", 0, 60), ReturnedSpan("a", 180, 240), ReturnedSpan("b", 0, 60)
    assert ndcg_at(10, [first, second], gold) == 1.0
    assert ndcg_at(10, [first, first, second], gold) == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert ndcg_at(10, [other], gold) == 0.0
    assert ndcg_at(1, [first], gold) == 1.0
    assert ndcg_at(10, [], gold) == 0.0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 19), unique=True, max_size=10), st.sets(st.integers(0, 19), min_size=1, max_size=12))
def test_metrics_agree_with_ir_measures(order: list[int], relevant: set[int]) -> None:
    """Minutes 100 s apart are documents: each is its own place, as ir-measures sees them."""
    gold = Gold("a", tuple((100.0 * number, 100.0 * number + 10) for number in sorted(relevant)))
    returned = [ReturnedSpan("a", 100.0 * number, 100.0 * number + 60) for number in order]
    qrels = [ir_measures.Qrel("q", str(number), 1) for number in relevant]
    run = [ir_measures.ScoredDoc("q", str(number), -float(rank)) for rank, number in enumerate(order)]
    theirs = ir_measures.calc_aggregate([nDCG @ 10, RR @ 10, P @ 5], qrels, run)
    hits = hit_ranks(returned, gold)
    assert ndcg_at(10, returned, gold) == pytest.approx(theirs[nDCG @ 10])
    assert reciprocal_rank(10, hits) == pytest.approx(theirs[RR @ 10])
    assert precision_at(5, hits) == pytest.approx(theirs[P @ 5])


@pytest.mark.parametrize(
    ("span", "segments", "iou"),
    [
        ((0.0, 60.0), [(0.0, 60.0)], 1.0),
        ((0.0, 60.0), [(30.0, 90.0)], 30 / 90),
        ((0.0, 60.0), [(60.0, 90.0)], 0.0),
        ((0.0, 60.0), [(200.0, 260.0), (0.0, 30.0)], 0.5),
        ((5.0, 5.0), [(5.0, 5.0)], 1.0),
        ((0.0, 60.0), [], 0.0),
    ],
)
def test_temporal_iou(span: tuple[float, float], segments: list[tuple[float, float]], iou: float) -> None:
    gold = Gold("a", ((0.0, 1.0),), segments=tuple(segments))
    assert temporal_iou(ReturnedSpan("a", *span), gold) == pytest.approx(iou)
    assert temporal_iou(ReturnedSpan("b", *span), gold) == 0.0


@pytest.mark.parametrize("windows", [(), ((3.0, 1.0),), ((-1.0, 1.0),), ((0.0, math.nan),)])
def test_gold_refuses_nonsense(windows: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="window"):
        Gold("a", windows)
