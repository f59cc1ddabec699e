"""Overlapping moments of one video count once."""

from __future__ import annotations

import pytest

from ingest.schema import Moment
from retrievers.diversity import drop_overlaps, shared_part


def moment(start: float, end: float, video: str = "v") -> Moment:
    return Moment("local", video, start, end)


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        (moment(0, 60), moment(20, 80), 40 / 60),
        (moment(0, 60), moment(60, 90), 0.0),
        (moment(0, 60), moment(10, 20), 1.0),
        (moment(0, 60), moment(0, 60, "other"), 0.0),
        (moment(5, 5), moment(0, 60), 1.0),
    ],
)
def test_shared_part(first: Moment, second: Moment, part: float) -> None:
    assert shared_part(first, second) == pytest.approx(part)
    assert shared_part(second, first) == pytest.approx(part)


def test_the_better_of_two_overlapping_moments_stays() -> None:
    ranked = [("a", moment(20, 80)), ("b", moment(0, 60)), ("c", moment(80, 140)), ("d", moment(20, 80, "other"))]
    assert [name for name, _ in drop_overlaps(ranked, 3)] == ["a", "c", "d"]
    assert [name for name, _ in drop_overlaps(ranked, 1)] == ["a"]
