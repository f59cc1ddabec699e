"""From rankings and gold to figures: each question's values, and their means with intervals by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.intervals import bootstrap_interval, percentiles
from evaluation.ranking import (
    Gold,
    ReturnedSpan,
    hit_ranks,
    ndcg_at,
    precision_at,
    reciprocal_rank,
    temporal_iou,
    wilson_interval,
)

DEPTH = 10
PRECISION_DEPTHS = (5, 10)
ALL = "all"
LATENCY_PERCENTS = (50, 95, 99)

Kind = Literal["search", "channel", "baseline", "control"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions with its 95% interval."""

    value: float
    low: float
    high: float
    questions: int


@dataclass(frozen=True, slots=True)
class Scored:
    """One question's values by metric; a metric that does not apply to it is absent."""

    recording: str
    slices: tuple[str, ...]
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MethodRow:
    """What one way of ranking reached: figures by slice and metric, and milliseconds a question by percentile."""

    name: str
    kind: Kind
    figures: Mapping[str, Mapping[str, Figure]]
    latency_ms: Mapping[str, float]


def method_row(name: str, kind: Kind, scored: Sequence[Scored], spent_ms: Sequence[float]) -> MethodRow:
    """The figures of one method from its questions' values and times."""
    latency = zip(LATENCY_PERCENTS, percentiles(spent_ms, LATENCY_PERCENTS), strict=True)
    return MethodRow(name, kind, figures_by_slice(scored), {f"p{percent}": value for percent, value in latency})


def score_ranking(returned: Sequence[ReturnedSpan], gold: Gold, slices: tuple[str, ...] = ()) -> Scored:
    """All ranking metrics of one question; only the first ten moments count.

    `first_hit_iou` is there when something hit, and `best_iou_at_10` always, both only where gold segments are marked.
    """
    returned = returned[:DEPTH]
    hits = hit_ranks(returned, gold)
    values = {f"recall_at_{k}": float(bool(hits) and hits[0] <= k) for k in range(1, DEPTH + 1)}
    values |= {f"precision_at_{k}": precision_at(k, hits) for k in PRECISION_DEPTHS}
    values |= {"mrr_at_10": reciprocal_rank(DEPTH, hits), "ndcg_at_10": ndcg_at(DEPTH, returned, gold)}
    if gold.segments:
        values["best_iou_at_10"] = max((temporal_iou(moment, gold) for moment in returned), default=0.0)
        if hits:
            values["first_hit_iou"] = temporal_iou(returned[hits[0] - 1], gold)
    return Scored(gold.video, slices, values)


def figures_by_slice(scored: Sequence[Scored]) -> dict[str, dict[str, Figure]]:
    """The figures of all questions, then of each slice; a question counts in every slice that it names."""
    named = sorted({name for question in scored for name in question.slices})
    slices = {ALL: list(scored), **{name: [q for q in scored if name in q.slices] for name in named}}
    return {name: figures(questions) for name, questions in slices.items()}


def figures(scored: Sequence[Scored]) -> dict[str, Figure]:
    """The mean of every metric with its interval: Wilson where values are yes or no, else bootstrap by recording."""
    metrics = dict.fromkeys(metric for question in scored for metric in question.values)
    return {metric: mean_figure(metric, [q for q in scored if metric in q.values]) for metric in metrics}


def mean_figure(metric: str, scored: Sequence[Scored]) -> Figure:
    """The figure of one metric over questions that all have it."""
    values = [question.values[metric] for question in scored]
    if set(values) <= {0.0, 1.0}:
        low, high = wilson_interval(round(sum(values)), len(values))
    else:
        low, high = bootstrap_interval(values, [question.recording for question in scored])
    return Figure(sum(values) / len(values), low, high, len(values))


def lead(metric: str, ours: Sequence[Scored], theirs: Sequence[Scored]) -> Figure:
    """How far one ranking is above another on the same questions, paired, with the interval by recording."""
    gaps = [a.values[metric] - b.values[metric] for a, b in zip(ours, theirs, strict=True)]
    low, high = bootstrap_interval(gaps, [question.recording for question in ours])
    return Figure(sum(gaps) / len(gaps), low, high, len(gaps))
