"""Runs a query's plan: the same search over the moments that the plan allows, then the time operator over what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Literal, cast

from ingest.bm25 import fold
from ingest.catalog import Catalog
from ingest.index import Scope, VideoIndex
from ingest.moments import cut_moment, with_short_segments
from ingest.schema import MAX_MOMENT_SECONDS, Moment, Timeline, Video
from retrievers.channels import CHANNELS
from retrievers.diversity import MAX_SHARED_PART, shared_part
from retrievers.evidence import ChannelScore, Evidence, SearchResult
from retrievers.kept_moments import Keep, KeptMoments
from retrievers.mentions import holds, is_about, mentions, moments_with, phrase, topic
from retrievers.query_plan import THEN_SECONDS, Operator, QueryPlan, Sought, parse_query
from retrievers.search import Searcher, Stopwatch, clean_question, spoken_and_seen
from retrievers.time_operators import (
    SAME_MENTION_SECONDS,
    Span,
    adjoining,
    by_video,
    followed,
    lies_in,
    merged,
    shared,
    together,
)

SIDE_HITS = 50  # of each search that an operator combines
BY_MEANING = 10  # of them, where nobody says the words
HITS_KEPT_PER_RESULT, LEAST_KEPT = 3, 60  # two of three moments overlap a better one, and 20 are reranked
UNRANKED_SCORE = 0.05  # of a mention in no moment that the search ranked
PART_SECONDS = 10.0  # mentions closer than this belong to one part, for what comes before or after it
ADJOINING_SECONDS = 30.0
LEAST_SHOWN_SECONDS = 10.0  # what is shown of a shorter mention

MakeSearcher = Callable[[VideoIndex], Searcher]


@dataclass(frozen=True, slots=True)
class VideoCount:
    """How often one video mentions something."""

    video: Video
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResult(SearchResult):
    """A search with the plan it followed: `notes` say what the hits alone do not.

    With an operator, `spans` holds for each hit the spans it was made of, and `counts` the videos, most mentions first.
    """

    plan: QueryPlan
    notes: tuple[str, ...] = ()
    spans: tuple[tuple[Span, ...], ...] = ()
    counts: tuple[VideoCount, ...] = ()


class PlannedSearcher:
    """Stands in for a `Searcher` and understands the query first; `make_searcher` makes one that searches the index given."""

    def __init__(self, index: VideoIndex, catalog: Catalog, make_searcher: MakeSearcher) -> None:
        self._index = index
        self._catalog = catalog
        self._make_searcher = make_searcher
        self._plain = make_searcher(index)

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        rerank: bool = True,
    ) -> SearchResult:
        """The best `limit` moments that the plan of the question allows."""
        plan = parse_query(clean_question(question), lambda: self._catalog.videos(scope.tenant), date.today())
        if plan.plain:
            found = self._plain.search(plan.sought.words, scope, limit, channels=channels, rerank=rerank)
            return _planned(found, plan)
        run = _Run(self._index, self._catalog, self._make_searcher, plan, scope, channels)
        return run.operated(limit) if plan.operator else run.limited(limit, rerank)


class _Run:
    """One plan that is more than words, on its way: what it may see, and what there is to say about it."""

    def __init__(
        self,
        index: VideoIndex,
        catalog: Catalog,
        make_searcher: MakeSearcher,
        plan: QueryPlan,
        scope: Scope,
        channels: Sequence[str],
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._make_searcher = make_searcher
        self._plan = plan
        self._channels = channels
        self._clock = Stopwatch()
        self._notes: list[str] = []
        self._held: dict[str, Moment] = {}  # the moments that hold the phrases of the search at hand, by id
        self._videos: dict[str, Video] = {}
        self._timelines: dict[str, Timeline] = {}
        self._nothing = False  # the plan's filters exclude each other, or name what the library does not have
        self._scope = self._narrowed(scope)

    def limited(self, limit: int, rerank: bool) -> PlannedResult:
        """The result of a plan without operator."""
        found = self._search(self._plan.sought, limit, rerank)
        if self._held:
            found = replace(found, evidence=_widened(found.evidence, self._held))
        return _planned(found, self._plan, tuple(self._notes), self._clock)

    def operated(self, limit: int) -> PlannedResult:
        """The result of a plan's operator over the spans of its searches."""
        plan = self._plan
        found, first = self._spans(plan.sought)
        counts: tuple[VideoCount, ...] = ()
        if plan.second is not None:
            made = _paired(plan.operator, first, self._spans(plan.second)[1])
        elif plan.operator in ("before", "after"):
            made = self._beside(plan.operator, first)
        else:
            made, counts = self._occurrences(first)
        if not made and not self._notes:
            self._note("No video has such a place.")
        evidence = tuple(self._evidence(number, one.span) for number, one in enumerate(made[:limit], start=1))
        result = _planned(replace(found, evidence=evidence), plan, tuple(self._notes), self._clock)
        return replace(result, spans=tuple(one.parts for one in made[:limit]), counts=counts)

    def _beside(self, side: Literal["before", "after"], spans: Iterable[Span]) -> list[_Made]:
        """What adjoins each span, the surest span first."""
        parts = sorted(spans, key=lambda span: -span.score)
        besides = ((adjoining(part, side, ADJOINING_SECONDS, self._seconds(part)), part) for part in parts)
        return [_Made(beside, (part,)) for beside, part in besides if beside]

    def _occurrences(self, spans: Iterable[Span]) -> tuple[list[_Made], tuple[VideoCount, ...]]:
        """All, the first or the last of each video's spans, videos with most of them first; the counts when asked for."""
        counted = by_video(spans)
        self._know(counted)
        order = sorted(counted, key=lambda video_id: (-len(counted[video_id]), self._videos[video_id].title))
        chosen = {"first": slice(0, 1), "last": slice(-1, None)}.get(str(self._plan.operator), slice(None))
        made = [_Made(span, (span,)) for video_id in order for span in counted[video_id][chosen]]
        counts = (VideoCount(self._videos[video_id], len(counted[video_id])) for video_id in order)
        return made, tuple(counts) if self._plan.operator == "count" else ()

    def _search(self, sought: Sought, limit: int, rerank: bool) -> SearchResult:
        """The searcher's result over the moments that the plan and what is sought allow."""
        searcher = self._make_searcher(self._view(sought, limit))
        return searcher.search(sought.words, self._scope, limit, channels=self._channels, rerank=rerank)

    def _view(self, sought: Sought, limit: int) -> VideoIndex:
        moment_ids = frozenset() if self._nothing else self._holding(sought)
        if moment_ids is None and not self._plan.windows and not sought.leaves_out:
            return self._index
        enough = max(HITS_KEPT_PER_RESULT * limit, LEAST_KEPT)
        return cast(VideoIndex, KeptMoments(self._index, self._keep(sought), enough, moment_ids))

    def _holding(self, sought: Sought) -> frozenset[str] | None:
        """The moments that hold every phrase; None where any moment will do."""
        if not sought.phrases:
            return None
        wanted = [phrase(text) for text in sought.phrases]
        moments, cut = moments_with(self._index, self._scope, wanted)
        self._held = {
            m.moment_id: m for m in moments if all(any(holds(text, one) for text in _texts(m)) for one in wanted)
        }
        named = " and ".join(f'"{text}"' for text in sought.phrases)
        if cut:
            self._note(f"{named} was looked for in the {len(moments):,} best moments only.")
        if self._held:
            return frozenset(self._held)
        loose = "; searched for its words" if self._plan.loose else ""
        self._note(f"Nothing in the videos says or shows {named} word for word{loose}.")
        return None if self._plan.loose else frozenset()

    def _keep(self, sought: Sought) -> Keep:
        left_out = [*map(topic, sought.without), *map(phrase, sought.without_phrases)]
        lacking = [(topic(text), phrase(f"without {text}")) for text in sought.lacking]

        def about_others(text: str) -> bool:
            return any(is_about(text, one) for one in left_out) or any(
                is_about(text, one) and not holds(text, without) for one, without in lacking
            )

        def keep(moments: Sequence[Moment]) -> Iterable[bool]:
            self._know(moment.video_id for moment in moments)
            for moment in moments:
                video = self._videos.get(moment.video_id)
                if video is None or not self._in_windows(moment, video):
                    yield False
                else:
                    yield not sought.leaves_out or not about_others(spoken_and_seen(video, moment))

        return keep

    def _in_windows(self, moment: Moment, video: Video) -> bool:
        windows = [window.of(video.duration_seconds) for window in self._plan.windows]
        return all(window and lies_in(moment.start_seconds, moment.end_seconds, window) for window in windows)

    def _spans(self, sought: Sought) -> tuple[SearchResult, list[Span]]:
        """Where something is said or shown; by meaning, where nobody says it and the operator can do with that."""
        found = self._search(sought, SIDE_HITS, rerank=False)
        ranked = _scored(found.evidence)
        wanted = [phrase(text) for text in sought.phrases] or [topic(sought.words)]
        moments, cut = ([], False) if self._nothing else moments_with(self._index, self._scope, wanted)
        passed = [moment for moment, kept in zip(moments, self._keep(sought)(moments), strict=True) if kept]
        all_held = [m for m in passed if all(mentions(m, one) for one in wanted)]
        said = {span for moment in all_held for span in mentions(moment, wanted[0])}
        if cut:
            self._note(f"{sought} was looked for in the {len(moments):,} best moments only.")
        if said:
            scored = [replace(span, score=_score_there(span, ranked)) for span in sorted(said, key=str)]
            gap = {"before": PART_SECONDS, "after": PART_SECONDS}.get(str(self._plan.operator), SAME_MENTION_SECONDS)
            return found, scored if self._plan.operator == "then" else merged(scored, gap)
        self._note(f"Nothing in the videos says or shows {sought} in one place.")
        by_words = sought.phrases or self._plan.operator in ("first", "last", "count")
        if by_words or not ranked:
            return found, []
        self._note(f"{sought} is taken by meaning.")
        return found, ranked[:BY_MEANING]

    def _narrowed(self, scope: Scope) -> Scope:
        """The scope with the plan's filters; what was allowed before is never widened."""
        plan = self._plan
        if not plan.titles and not plan.labels:
            return scope
        videos = self._catalog.videos(scope.tenant)
        video_ids = scope.video_ids
        if plan.titles:
            titles = {fold(title) for title in plan.titles}
            named = [video.video_id for video in videos if fold(video.title) in titles or video.video_id in plan.titles]
            video_ids = tuple(video_id for video_id in named if not video_ids or video_id in video_ids)
            if not video_ids:
                self._exclude(f"No video here is called {' or '.join(plan.titles)}.")
        labels: dict[str, tuple[str, ...]] = dict(scope.labels)
        tags = {fold(tag): tag for video in videos for tag in video.tags}
        for key in dict.fromkeys(key for key, _ in plan.labels):
            values = tuple(
                tags.get(fold(value), value) if key == "tag" else value for name, value in plan.labels if name == key
            )
            labels[key] = tuple(value for value in values if value in scope.labels.get(key, values))
            if not labels[key]:
                self._exclude(f"The query asks for {key} {' or '.join(values)}, the filter for another.")
        return Scope(scope.tenant, video_ids, labels)

    def _exclude(self, note: str) -> None:
        self._nothing = True
        self._note(note)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _know(self, video_ids: Iterable[str]) -> None:
        unknown = [video_id for video_id in dict.fromkeys(video_ids) if video_id not in self._videos]
        if unknown:
            self._videos |= self._catalog.get_many(self._scope.tenant, unknown)

    def _seconds(self, span: Span) -> float:
        self._know([span.video_id])
        return self._videos[span.video_id].duration_seconds

    def _evidence(self, number: int, span: Span) -> Evidence:
        duration = self._seconds(span)
        longest = span.start_seconds + MAX_MOMENT_SECONDS
        end = min(
            max(span.end_seconds, span.start_seconds + LEAST_SHOWN_SECONDS), longest, max(duration, span.end_seconds)
        )
        video = self._videos[span.video_id]
        if video.video_id not in self._timelines:
            timeline = self._catalog.timeline(video.tenant, video.video_id)
            self._timelines[video.video_id] = with_short_segments(timeline)
        moment = cut_moment(video, self._timelines[video.video_id], span.start_seconds, end)
        return Evidence(number, moment, video, span.score, {span.channel: ChannelScore(number, span.score)})


@dataclass(frozen=True, slots=True)
class _Made:
    """A span to show, and the spans that an operator made it of."""

    span: Span
    parts: tuple[Span, ...]


def _widened(evidence: Sequence[Evidence], held: Mapping[str, Moment]) -> tuple[Evidence, ...]:
    """Hits as the moments that hold the phrases: a search may have cut a hit to where the words around them are."""
    kept: list[Evidence] = []
    for item in evidence:
        whole = max(held.values(), key=lambda moment: shared_part(moment, item.moment))
        if all(shared_part(whole, other.moment) <= MAX_SHARED_PART for other in kept):
            kept.append(replace(item, number=len(kept) + 1, moment=whole))
    return tuple(kept)


def _paired(operator: Operator | None, first: Sequence[Span], second: Sequence[Span]) -> list[_Made]:
    """The pairs that stand in the operator's relation: from the first to the second of `then`, what both share of `while`."""
    if operator == "then":
        return [
            _Made(replace(pair.first, end_seconds=pair.second.end_seconds, score=pair.score), (pair.first, pair.second))
            for pair in followed(first, second, THEN_SECONDS)
        ]
    return [_Made(shared(pair), (pair.first, pair.second)) for pair in together(first, second)]


def _planned(
    found: SearchResult, plan: QueryPlan, notes: tuple[str, ...] = (), clock: Stopwatch | None = None
) -> PlannedResult:
    """A searcher's result under the question as it was asked, with the plan and the time that all of it took."""
    values = {field.name: getattr(found, field.name) for field in fields(SearchResult)}
    timings: Mapping[str, float] = {**found.timings_ms, **(clock.timings_ms() if clock else {})}
    return PlannedResult(**{**values, "query": plan.question, "timings_ms": timings}, plan=plan, notes=notes)


def _texts(moment: Moment) -> tuple[str, str, str]:
    return moment.speech, moment.screen, moment.description


def _scored(evidence: Sequence[Evidence]) -> list[Span]:
    """The spans of a search's hits, best first, scored from 1 for the best down to `UNRANKED_SCORE` for the last."""
    best, worst = (evidence[0].score, evidence[-1].score) if evidence else (0.0, 0.0)
    spread = best - worst
    return [
        Span(
            item.moment.video_id,
            item.moment.start_seconds,
            item.moment.end_seconds,
            UNRANKED_SCORE + (1.0 - UNRANKED_SCORE) * ((item.score - worst) / spread if spread > 0 else 1.0),
            min(item.channels, key=lambda name: item.channels[name].rank, default="speech"),
        )
        for item in evidence
    ]


def _score_there(span: Span, ranked: Sequence[Span]) -> float:
    """The score of the best ranked moment around a span."""
    around = (
        one.score
        for one in ranked
        if one.video_id == span.video_id
        and one.start_seconds < span.end_seconds
        and span.start_seconds < one.end_seconds
    )
    return max(around, default=UNRANKED_SCORE)
