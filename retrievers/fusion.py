"""Fuses the rankings of all legs into one, as a pure function of ids and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.index import DENSE_LEGS, SPARSE_LEGS, VISUAL_LEG, LegHit
from retrievers.channels import CHANNEL_LEGS
from retrievers.evidence import ChannelScore

# Channels of one kind share a scale (cosines of one model; BM25 sums), so a moment takes its best channel there and
# only the kinds are weighed against each other, by z-score. Summing channels would favour videos that have more of them.
KINDS: dict[str, tuple[str, ...]] = {"dense": DENSE_LEGS, "sparse": SPARSE_LEGS, "visual": (VISUAL_LEG,)}
KIND_WEIGHTS = {"dense": 1.0, "sparse": 1.0, "visual": 0.5}


@dataclass(frozen=True, slots=True)
class FusedHit:
    """One moment with its fused score (higher is better, comparable within one search) and its place in each channel."""

    moment_id: str
    score: float
    channels: Mapping[str, ChannelScore]


def fuse(leg_hits: Mapping[str, Sequence[LegHit]], limit: int | None = None) -> list[FusedHit]:
    """The `limit` best, or all, of the moments that any leg found, by the weighted sum of their z-scores, best first.

    A moment that a kind did not return gets that kind's lowest score: it was ranked below all the returned ones.
    """
    kinds = {kind: _best_scores(leg_hits, legs) for kind, legs in KINDS.items()}
    moment_ids = sorted({moment_id for scores in kinds.values() for moment_id in scores})
    total = np.zeros(len(moment_ids))
    for kind, scores in kinds.items():
        if scores:
            total += KIND_WEIGHTS[kind] * _standard_scores(scores, moment_ids)
    order = np.argsort(-total, kind="stable")[:limit]
    places = _channel_places(leg_hits, {moment_ids[i] for i in order})
    return [FusedHit(moment_ids[i], float(total[i]), places[moment_ids[i]]) for i in order]


def _best_scores(leg_hits: Mapping[str, Sequence[LegHit]], legs: Sequence[str]) -> dict[str, float]:
    best: dict[str, float] = {}
    for leg in legs:
        for hit in leg_hits.get(leg, ()):
            best[hit.moment_id] = max(hit.score, best.get(hit.moment_id, hit.score))
    return best


def _standard_scores(
    scores: Mapping[str, float], moment_ids: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    returned = np.fromiter(scores.values(), dtype=np.float64)
    lowest = float(returned.min())
    values = np.array([scores.get(moment_id, lowest) for moment_id in moment_ids])
    spread = float(returned.std())
    return (values - returned.mean()) / spread if spread > 0 else np.zeros(len(moment_ids)) + (values > lowest)


def _channel_places(
    leg_hits: Mapping[str, Sequence[LegHit]], wanted: Collection[str]
) -> dict[str, dict[str, ChannelScore]]:
    """For each wanted moment the channels that found it: its best rank over the channel's legs, with that leg's score."""
    places: dict[str, dict[str, ChannelScore]] = {}
    for channel, legs in CHANNEL_LEGS.items():
        for leg in legs:
            for rank, hit in enumerate(leg_hits.get(leg, ()), start=1):
                if hit.moment_id not in wanted:
                    continue
                found = places.setdefault(hit.moment_id, {})
                if channel not in found or rank < found[channel].rank:
                    found[channel] = ChannelScore(rank, hit.score)
    return places
