"""Confidence as pure functions: fitted on labelled questions, cut at a stated risk, and shown as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIDGE = 1.0  # on standardised signals, in questions
STEPS = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """One question that was asked: confidence 0..1, whether the library holds its answer, and whether it got it."""

    confidence: float
    answerable: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: probability = 1 / (1 + exp(-(weights · signals + offset)))."""

    weights: tuple[float, ...]
    offset: float

    def probabilities(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """One for each row of signals (questions, signals)."""
        logits: NDArray[np.float64] = signals @ np.array(self.weights) + self.offset
        return 1.0 / (1.0 + np.exp(-logits))


def fit_logistic(signals: NDArray[np.float64], labels: NDArray[np.bool_]) -> Logistic:
    """Ridge logistic regression by Newton's method; raises ValueError unless there are questions of both kinds."""
    if labels.all() or not labels.any():
        raise ValueError(
            f"needs questions with and without an answer, got {int(labels.sum())} of {len(labels)} with one"
        )
    mean, spread = signals.mean(axis=0), signals.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows = np.column_stack([(signals - mean) / spread, np.ones(len(signals))])
    penalty = np.diag([*[RIDGE] * signals.shape[1], 0.0])
    fitted = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-(rows @ fitted)))
        slope = rows.T @ (labels - chance) - penalty @ fitted
        curve = (rows * (chance * (1.0 - chance))[:, None]).T @ rows + penalty + 1e-9 * np.eye(len(fitted))
        step = np.linalg.solve(curve, slope)
        fitted += step
        if np.abs(step).max() < 1e-8:
            break
    weights = fitted[:-1] / spread
    return Logistic(tuple(float(weight) for weight in weights), float(fitted[-1] - weights @ mean))


def threshold_at(risk: float, answerable: Sequence[float]) -> float:
    """The confidence below which a new answerable question falls with probability `risk` at most.

    Split conformal prediction (Vovk et al. 2005): it holds for questions exchangeable with these, whose confidences must come
    from a fit that has not seen them. Raises ValueError when they are too few for the risk.
    """
    place = math.floor(risk * (len(answerable) + 1))
    if place < 1:
        raise ValueError(
            f"a risk of {risk:g} needs {math.ceil(1 / risk) - 1} answerable questions, got {len(answerable)}"
        )
    return sorted(answerable)[place - 1]


def risk_coverage(judged: Sequence[Judged]) -> tuple[list[float], list[float]]:
    """(coverage, part of wrong answers among them) when the most confident are answered, more and more of them."""
    wrong = [not one.right for one in sorted(judged, key=lambda one: -one.confidence)]
    errors = np.cumsum(wrong)
    counts = np.arange(1, len(wrong) + 1)
    return (counts / len(wrong)).tolist(), (errors / counts).tolist()


def area_under_risk(judged: Sequence[Judged]) -> float:
    """The mean risk over all coverages (AURC, Geifman and El-Yaniv 2017); lower is better."""
    return float(np.mean(risk_coverage(judged)[1]))


def reliability(judged: Sequence[Judged], bins: int = 10) -> list[tuple[float, float, int]]:
    """For each bin of equal width that is not empty: mean confidence, part that is answerable, questions."""
    found = []
    for number in range(bins):
        inside = [one for one in judged if min(int(one.confidence * bins), bins - 1) == number]
        if inside:
            confidence = sum(one.confidence for one in inside) / len(inside)
            found.append((confidence, sum(one.answerable for one in inside) / len(inside), len(inside)))
    return found


def calibration_error(judged: Sequence[Judged]) -> float:
    """The mean distance of confidence from the part that is answerable, weighed by questions (ECE, ten bins)."""
    return sum(abs(confidence - part) * count for confidence, part, count in reliability(judged)) / len(judged)
