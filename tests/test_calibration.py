"""Calibration: the fit finds what separates, the threshold keeps its risk, the curves are what they are called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.calibration import (
    Judged,
    area_under_risk,
    calibration_error,
    fit_logistic,
    reliability,
    risk_coverage,
    threshold_at,
)


def test_the_fit_finds_the_weights_that_made_the_labels() -> None:
    draw = np.random.default_rng(1)
    signals = draw.normal(size=(4000, 2))
    chances = 1 / (1 + np.exp(-(2.0 * signals[:, 0] - 1.0 * signals[:, 1] + 0.5)))
    fitted = fit_logistic(signals, draw.random(4000) < chances)
    assert np.allclose([*fitted.weights, fitted.offset], [2.0, -1.0, 0.5], atol=0.25)


def test_a_signal_that_never_changes_does_no_harm() -> None:
    signals = np.column_stack([np.arange(20.0), np.ones(20)])
    fitted = fit_logistic(signals, np.arange(20) > 9)
    assert np.all((fitted.probabilities(signals) > 0.5) == (np.arange(20) > 9))


def test_one_kind_of_question_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="3 of 3"):
        fit_logistic(np.ones((3, 1)), np.ones(3, dtype=bool))


@given(st.floats(0.02, 0.4), st.integers(60, 200), st.integers(0, 1000))
def test_the_threshold_is_the_highest_that_keeps_its_risk(risk: float, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).random(count)
    threshold = threshold_at(risk, values.tolist())
    below = np.sum(values < threshold)
    assert below <= risk * (count + 1) < below + 2


def test_too_few_questions_for_a_risk() -> None:
    with pytest.raises(ValueError, match="19"):
        threshold_at(0.05, [0.5] * 18)


def test_curves() -> None:
    judged = [Judged(0.9, True, True), Judged(0.8, True, False), Judged(0.1, False, False)]
    coverage, risk = risk_coverage(judged)
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk == pytest.approx([0, 1 / 2, 2 / 3])
    assert area_under_risk(judged) == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert reliability(judged, bins=2) == [(0.1, 0.0, 1), (pytest.approx(0.85), 1.0, 2)]
    assert calibration_error([Judged(1.0, True, True), Judged(0.0, False, False)]) == 0
