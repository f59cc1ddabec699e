"""Means, intervals and slices: they cover the truth, keep recordings together, and say how many questions they are of."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.intervals import bootstrap_interval, percentiles
from evaluation.ranking import Gold, ReturnedSpan, wilson_interval
from evaluation.scoring import Scored, figures_by_slice, lead, mean_figure, method_row, score_ranking

HIT, MISS = ReturnedSpan("a", 0, 60), ReturnedSpan("b", 0, 60)
GOLD = Gold("a", ((10.0, 10.0),), segments=((0.0, 30.0),))


def test_the_values_of_one_question() -> None:
    values = score_ranking([MISS, HIT, *[MISS] * 20], GOLD).values
    assert [values[f"recall_at_{k}"] for k in (1, 2, 10)] == [0.0, 1.0, 1.0]
    assert (values["precision_at_5"], values["mrr_at_10"]) == (0.2, 0.5)
    assert values["first_hit_iou"] == values["best_iou_at_10"] == 0.5
    assert score_ranking([MISS] * 10 + [HIT], GOLD).values["recall_at_10"] == 0.0


def test_iou_counts_only_where_it_can() -> None:
    missed = score_ranking([MISS], GOLD).values
    assert missed["best_iou_at_10"] == 0.0
    assert "first_hit_iou" not in missed
    assert not {"first_hit_iou", "best_iou_at_10"} & set(score_ranking([HIT], Gold("a", ((10.0, 10.0),))).values)


def test_a_question_counts_in_every_slice_that_it_names() -> None:
    scored = [
        score_ranking([HIT], GOLD, ("speech", "ocr")),
        score_ranking([MISS], GOLD, ("ocr",)),
        score_ranking([MISS], GOLD),
    ]
    recall = {name: found["recall_at_1"] for name, found in figures_by_slice(scored).items()}
    assert list(recall) == ["all", "ocr", "speech"]
    assert {name: (figure.value, figure.questions) for name, figure in recall.items()} == {
        "all": (pytest.approx(1 / 3), 3),
        "ocr": (0.5, 2),
        "speech": (1.0, 1),
    }
    assert (recall["ocr"].low, recall["ocr"].high) == wilson_interval(1, 2)


def test_the_bootstrap_covers_the_mean_and_is_the_same_again() -> None:
    numbers = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        values = numbers.normal(0.5, 0.2, 60).tolist()
        low, high = bootstrap_interval(values, [str(number) for number in range(60)])
        covered += low <= 0.5 <= high
    assert 88 <= covered <= 100
    assert bootstrap_interval([0.1, 0.9, 0.4], ["a", "b", "b"]) == bootstrap_interval([0.1, 0.9, 0.4], ["a", "b", "b"])


def test_alike_questions_of_few_recordings_widen_the_interval() -> None:
    values = [0.0] * 50 + [1.0] * 50
    alone = bootstrap_interval(values, [str(number) for number in range(100)])
    together = bootstrap_interval(values, [str(number // 25) for number in range(100)])
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    assert bootstrap_interval(values, ["one"] * 100) == alone  # one recording: its questions are drawn


@pytest.mark.parametrize(("values", "recordings"), [([], []), ([1.0], ["a", "b"])])
def test_the_bootstrap_refuses_nonsense(values: list[float], recordings: list[str]) -> None:
    with pytest.raises(ValueError, match="one recording a value"):
        bootstrap_interval(values, recordings)


def test_percentiles() -> None:
    assert percentiles([4.0, 1.0, 2.0, 3.0, 5.0], (0, 50, 95)) == [1.0, 3.0, pytest.approx(4.8)]
    with pytest.raises(ValueError, match="at least one"):
        percentiles([], (50,))


def test_the_lead_is_paired() -> None:
    ours = [Scored(str(number), (), {"recall_at_1": float(number != 0)}) for number in range(10)]
    theirs = [Scored(str(number), (), {"recall_at_1": float(number > 4)}) for number in range(10)]
    found = lead("recall_at_1", ours, theirs)
    assert found.value == pytest.approx(0.4)
    assert 0.0 < found.low < 0.4 < found.high < 1.0
    assert lead("recall_at_1", ours, ours).high == 0.0


def test_a_row_has_percentiles_of_its_times() -> None:
    row = method_row("x", "search", [score_ranking([HIT], GOLD)], [float(number) for number in range(101)])
    assert row.latency_ms == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert mean_figure("mrr_at_10", [score_ranking([HIT], GOLD)]).value == 1.0
