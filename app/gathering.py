"""Gathers the evidence that a kind of question needs: a few best moments, or moments spread over the videos it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ingest.bm25 import STOP_WORDS, content_stems, stem, stems, tokenize
from ingest.catalog import Catalog
from ingest.index import Point, Scope, VideoIndex
from ingest.schema import MAX_MOMENT_SECONDS, Moment, Video
from prompts.kinds import Kind, kind_of, subject_of
from retrievers.channels import CHANNELS
from retrievers.composing import compose_moment
from retrievers.evidence import Evidence, SearchResult
from retrievers.ruled_search import MomentSearcher, UnderRules
from retrievers.search import spoken_and_seen, spoken_and_seen_words

# Looked at for each piece that is kept, where only some of what is found is.
LOOKED_AT = 4
OF_EACH_VIDEO = 2
MOST_NAMED = 4
# What is about the subject holds this part of its words.
ABOUT_WORDS = 0.5
# A summary quotes a short video no more often than this.
LEAST_PART_SECONDS = 20.0
SPEECH = "speech_dense"
# What is told of a search that went over a whole video.
ALL_PARTS, PARTS_ABOUT_WORDS = "moments of all parts of the video", "the best moments of all parts of the video"
# What a title need not hold to be meant by "the lighthouse video".
_VIDEO_WORDS = """
video clip recording footage talk lecture film main key important point idea topic message say said tell told show explain mention
"""
VIDEO_WORDS = frozenset(map(stem, _VIDEO_WORDS.split()))
MANY_VIDEOS = frozenset(("videos", "clips", "recordings", "talks", "lectures", "films"))


class Gatherer:
    """Stands in for a searcher: ordinary questions pass through, the others get evidence of their own."""

    def __init__(self, planned: MomentSearcher, plain: MomentSearcher, rules: UnderRules, catalog: Catalog) -> None:
        """`planned` understands queries, `plain` takes words as they are; both search what the rules allow."""
        self._planned = planned
        self._plain = plain
        self._rules = rules
        self._catalog = catalog

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        rerank: bool = True,
    ) -> SearchResult:
        """At most `limit` moments, the best first; of a video that is summarised, in the order of the video."""
        kind = kind_of(question)
        if kind in ("explain", "quote"):
            return self._planned.search(question, scope, limit, channels=channels, rerank=rerank)
        if kind == "recall":
            found = self._planned.search(question, scope, LOOKED_AT * limit, channels=channels, rerank=rerank)
            return kept_only(found, question, best_of_each(found.evidence, 1)[:limit])
        subject = subject_of(question)
        named = self._named(subject, scope)[:MOST_NAMED]
        words = words_beside(subject, named)
        if kind == "compare" and len(named) > 1:
            return self._compared(question, words, named, scope, limit)
        if named and (kind == "summarise" or (kind == "timeline" and not words)):
            return self._rules.run(scope.tenant, lambda index: spread_over(index, question, words, named, scope, limit))
        inside = replace(scope, video_ids=tuple(video.video_id for video in named)) if named else scope
        found = self._planned.search(subject, inside, LOOKED_AT * limit, channels=channels, rerank=rerank)
        chosen = about(words or subject, found.evidence)
        return kept_only(
            found, question, (best_of_each(chosen, OF_EACH_VIDEO) if kind == "compare" else chosen)[:limit]
        )

    def _named(self, subject: str, scope: Scope) -> list[Video]:
        """The videos that the subject names, or the only one that there is."""
        videos = self._rules.videos(scope.tenant, self._catalog.videos(scope.tenant))
        inside = [video for video in videos if not scope.video_ids or video.video_id in scope.video_ids]
        return inside if len(inside) == 1 else named_videos(subject, inside)

    def _compared(self, question: str, words: str, named: Sequence[Video], scope: Scope, limit: int) -> SearchResult:
        """The best moments of each video, about the words or, without any, its title."""
        found = [
            self._plain.search(
                words or video.title, replace(scope, video_ids=(video.video_id,)), max(limit // len(named), 1)
            )
            for video in named
        ]
        removed: Counter[str] = Counter()
        for one in found:
            removed.update(one.removed_by_rules)
        evidence = [item for one in found for item in one.evidence]
        return replace(kept_only(found[0], question, evidence), removed_by_rules=dict(removed))


def spread_over(
    index: VideoIndex, question: str, words: str, named: Sequence[Video], scope: Scope, limit: int
) -> SearchResult:
    """Moments spread over the named videos, in their order: of each part the one that tells most about it."""
    chosen = [
        (video, moment)
        for video in named
        for moment in spread(
            [point for point in index.scroll(scope.tenant, video.video_id) if in_scope(point, scope)],
            words,
            max(limit // len(named), 1),
        )
    ]
    evidence = tuple(Evidence(n, moment, video, 0.0) for n, (video, moment) in enumerate(chosen, start=1))
    return SearchResult(question, evidence, {"search": PARTS_ABOUT_WORDS if words else ALL_PARTS}, {})


def spread(points: Sequence[Point], words: str, most: int) -> list[Moment]:
    """One moment for each equal part of a video, LEAST_PART_SECONDS long at least; without words nothing is told."""
    held = [point for point in points if spoken_and_seen_words(point.moment)]
    if not held:
        return []
    end = max(point.moment.end_seconds for point in held)
    parts = min(most, max(round(end / LEAST_PART_SECONDS), 1))
    moments: list[Moment] = []
    for part in range(parts):
        first, last = part * end / parts, (part + 1) * end / parts
        inside = [point for point in held if overlap(point.moment, first, last) > 0]
        if inside and last - first <= MAX_MOMENT_SECONDS:
            nearest = sorted((p.moment for p in inside), key=lambda moment: -overlap(moment, first, last))
            moments.append(compose_moment(first, last, nearest))
        elif inside:
            moments.append(most_telling(inside, words).moment)
    return moments


def most_telling(points: Sequence[Point], words: str) -> Point:
    """The point that holds most of the words; among equals the one nearest to what all of them say."""
    asked = stems(words)
    vectors = [vector if isinstance(vector := point.vectors.get(SPEECH), np.ndarray) else None for point in points]
    known = [vector for vector in vectors if vector is not None]
    middle = np.mean(known, axis=0) if known else None

    def value(place: int) -> tuple[int, float]:
        told = stems(spoken_and_seen_words(points[place].moment))
        vector = vectors[place]
        return len(asked & told), float(vector @ middle) if vector is not None and middle is not None else -1.0

    return points[max(range(len(points)), key=value)]


def overlap(moment: Moment, first: float, last: float) -> float:
    """The seconds that a moment shares with a part of its video; below 0 where it shares none."""
    return min(moment.end_seconds, last) - max(moment.start_seconds, first)


def in_scope(point: Point, scope: Scope) -> bool:
    """Whether a stored moment has one of the values of every label asked for."""
    return all(set(values) & set(point.labels.get(key, ())) for key, values in scope.labels.items())


def named_videos(subject: str, videos: Sequence[Video]) -> list[Video]:
    """The videos whose titles stand in the subject, in its order; else the one whose title holds all of its words."""
    words = tokenize(subject)
    places: dict[int, Video] = {}
    taken: set[int] = set()
    known = sorted(((tokenize(video.title), video) for video in videos), key=lambda pair: -len(pair[0]))
    for title, video in known:
        for start in range(len(words) - len(title) + 1):
            run = range(start, start + len(title))
            if title and words[start : start + len(title)] == title and not taken.intersection(run):
                places[start] = video
                taken.update(run)
                break
    if places:
        return [places[start] for start in sorted(places)]
    asked = content_stems(subject) - VIDEO_WORDS
    meant = [video for video in videos if asked and asked <= stems(video.title)]
    return meant if len(meant) == 1 or MANY_VIDEOS & set(words) else []


def words_beside(subject: str, named: Iterable[Video]) -> str:
    """The subject's words of content that name no video."""
    titles = VIDEO_WORDS.union(*(stems(video.title) for video in named))
    return " ".join(word for word in tokenize(subject) if word not in STOP_WORDS and stem(word) not in titles)


def best_of_each(evidence: Iterable[Evidence], most: int) -> list[Evidence]:
    """At most so many moments of each video, the rest left out."""
    counts: Counter[str] = Counter()
    chosen = []
    for item in evidence:
        counts[item.video.video_id] += 1
        if counts[item.video.video_id] <= most:
            chosen.append(item)
    return chosen


def about(subject: str, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The moments that hold enough of the subject's words; all where fewer than two do."""
    asked = content_stems(subject) - VIDEO_WORDS

    def part(item: Evidence) -> float:
        held = stems(spoken_and_seen(item.video, item.moment))
        return len(asked & held) / max(len(asked), 1)

    chosen = [item for item in evidence if part(item) >= ABOUT_WORDS]
    return chosen if len(chosen) > 1 else list(evidence)


def arranged(kind: Kind, found: SearchResult) -> SearchResult:
    """The evidence of a timeline in its order: older videos first, then those found first, each as it is played."""
    if kind != "timeline":
        return found
    first: dict[str, int] = {}
    for item in found.evidence:
        first.setdefault(item.video.video_id, item.number)

    def place(item: Evidence) -> tuple[str, int, float]:
        return item.video.published_at or "", first[item.video.video_id], item.moment.start_seconds

    return kept_only(found, found.query, sorted(found.evidence, key=place))


def kept_only(found: SearchResult, question: str, chosen: Iterable[Evidence]) -> SearchResult:
    """A result with only what was chosen of it, numbered again."""
    numbered = tuple(replace(item, number=number) for number, item in enumerate(chosen, start=1))
    return replace(found, query=question, evidence=numbered)
