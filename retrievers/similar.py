"""Similar videos: found by the engine, compared and aligned with the one asked about, and ranked with the reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ingest.catalog import Catalog
from ingest.index import DENSE_LEGS, SPARSE_LEGS, VISUAL_LEG, Dense, LegVector, Point, Scope, SparseVector, VideoIndex
from ingest.schema import Video
from retrievers.alignment import align
from retrievers.likeness import (
    LABELS,
    Label,
    Profile,
    Reason,
    SharedRange,
    agreement,
    covered,
    label_of,
    profile_of,
    rarity_of,
    reasons,
    shared_ranges,
    total_score,
)

Item = TypeVar("Item")
Allowed = Callable[[str, Sequence[Video]], Sequence[Video]]

SAMPLED_MOMENTS, SAMPLED_PICTURES = 12, 12
LEG_LIMIT = 20
CANDIDATES = 12
RANK_CONSTANT = 10  # of reciprocal ranks: what one sample found first counts like two found twelfth
TOPIC_MOMENTS = 3
# Scores of an original and of its copies differ by less; then the original goes first.
SAME_SCORE = 0.03
MIN_SCORE = 0.08  # what two videos with nothing in common stay below


@dataclass(frozen=True, slots=True)
class SimilarVideo:
    """A video like the one asked about; `score` is 0..1.

    `fullness` tells originals from copies, which lose captions, words and pictures: whether its words are captions, how much it holds.
    """

    video: Video
    score: float
    label: Label
    reasons: Mapping[str, Reason]
    ranges: tuple[SharedRange, ...]
    fullness: tuple[bool, int]


class SimilarFinder:
    """Finds the videos of one library that are like one of its videos."""

    def __init__(self, index: VideoIndex, catalog: Catalog, allowed: Allowed = lambda tenant, videos: videos) -> None:
        """`allowed` leaves out the videos of a tenant that the rules forbid."""
        self._index = index
        self._catalog = catalog
        self._allowed = allowed

    def similar_to(self, video: Video, limit: int = 10) -> list[SimilarVideo]:
        """The best `limit` other videos of the same tenant, best first; none where nothing is alike."""
        known = self._allowed(video.tenant, self._catalog.videos(video.tenant))
        others = {other.video_id: other for other in known if other.video_id != video.video_id}
        if not others:
            return []
        points = sorted(self._index.scroll(video.tenant, video.video_id), key=lambda point: point.moment.start_seconds)
        candidates = [others[video_id] for video_id in self._candidates(video, points, others, max(limit, CANDIDATES))]
        one = self._profile(video)
        profiles = [self._profile(candidate) for candidate in candidates]
        rarity = rarity_of([one, *profiles])
        topic = mean_direction(points)
        found = [compare(one, other, rarity, self._closeness(topic, other.video)) for other in profiles]
        return ranked([item for item in found if item.score >= MIN_SCORE])[:limit]

    def _candidates(self, video: Video, points: Sequence[Point], others: Mapping[str, Video], count: int) -> list[str]:
        """The ids of the linked copies and of the videos that the samples found best, `count` at most."""
        scope = Scope(video.tenant, tuple(others))
        found = [
            hits
            for queries in sample_queries(points)
            for hits in self._index.search(queries, scope, LEG_LIMIT).values()
        ]
        moments = self._index.fetch(video.tenant, list({hit.moment_id for hits in found for hit in hits}))
        video_of = {moment.moment_id: moment.video_id for moment in moments}
        ranks: dict[str, float] = defaultdict(float)
        for hits in found:
            known = (video_of[hit.moment_id] for hit in hits if hit.moment_id in video_of)
            for rank, video_id in enumerate(dict.fromkeys(known)):
                ranks[video_id] += 1.0 / (RANK_CONSTANT + rank)
        family = {video.video_id, video.duplicate_of} - {None}
        linked = [other.video_id for other in others.values() if {other.video_id, other.duplicate_of} & family]
        best = sorted(ranks, key=lambda video_id: (-ranks[video_id], video_id))
        return [video_id for video_id in dict.fromkeys([*linked, *best]) if video_id in others][:count]

    def _profile(self, video: Video) -> Profile:
        return profile_of(video, self._catalog.timeline(video.tenant, video.video_id))

    def _closeness(self, topic: Mapping[str, LegVector], other: Video) -> float | None:
        """The mean cosine of the other's nearest moments to the mean of this video's; None without text vectors."""
        scope = Scope(other.tenant, (other.video_id,))
        found = self._index.search(topic, scope, TOPIC_MOMENTS) if topic else {}
        return max((float(np.mean([hit.score for hit in hits])) for hits in found.values() if hits), default=None)


def compare(one: Profile, other: Profile, rarity: Mapping[str, float], topic_cosine: float | None) -> SimilarVideo:
    """How alike another video is, why, and where."""
    seconds = one.video.duration_seconds, other.video.duration_seconds
    why = reasons(one, other, rarity, topic_cosine)
    ranges = shared_ranges(align(one.track, other.track), *seconds)
    score = total_score(why, covered(ranges, *seconds), agreement(ranges))
    fullness = other.captioned, len(other.track.words) + len(other.track.pictures)
    return SimilarVideo(other.video, score, label_of(one, other, ranges, why), why, ranges, fullness)


def ranked(found: Sequence[SimilarVideo]) -> list[SimilarVideo]:
    """Best first. Of those that share the most, and about equally: the closest label and look, then what is likely an original."""
    best = max((item.score for item in found), default=0.0)
    ids = {item.video.video_id for item in found}

    def place(item: SimilarVideo) -> tuple[float, ...]:
        if item.score < best - SAME_SCORE or not item.ranges:
            return (-item.score,)
        captioned, held = item.fullness
        look = max(shared.aligned.look or 0.0 for shared in item.ranges)
        return (-best, LABELS.index(item.label), item.video.duplicate_of in ids, -round(look, 1), not captioned, -held)

    return sorted(found, key=place)


def sample_queries(points: Sequence[Point]) -> Iterator[dict[str, LegVector]]:
    """What to ask the index for: a sample of the moments by meaning and rare words, and of the pictures."""
    for point in evenly(points, SAMPLED_MOMENTS):
        queries: dict[str, LegVector] = {leg: point.vectors[leg] for leg in DENSE_LEGS if leg in point.vectors}
        for leg in SPARSE_LEGS:
            stored = point.vectors.get(leg)
            if isinstance(stored, SparseVector):
                queries[leg] = SparseVector(stored.indices, (1.0,) * len(stored.indices))
        if queries:
            yield queries
    pictures = [row for point in points for row in _rows(point.vectors.get(VISUAL_LEG))]
    for picture in evenly(pictures, SAMPLED_PICTURES):
        yield {VISUAL_LEG: picture}


def mean_direction(points: Sequence[Point]) -> dict[str, LegVector]:
    """The mean of a video's text vectors by leg: what it is about."""
    legs: dict[str, list[Dense]] = defaultdict(list)
    for point in points:
        for leg in DENSE_LEGS:
            vector = point.vectors.get(leg)
            if isinstance(vector, np.ndarray):
                legs[leg].append(vector)
    return {leg: np.mean(vectors, axis=0) for leg, vectors in legs.items()}


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most so many of the items, spread over all of them."""
    if len(items) <= count:
        return list(items)
    return [items[round(position * (len(items) - 1) / (count - 1))] for position in range(count)]


def _rows(vector: LegVector | None) -> Sequence[Dense]:
    return list(vector) if isinstance(vector, np.ndarray) else []
