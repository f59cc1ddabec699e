"""One search: every leg in one engine call, fused, reranked, overlaps dropped, numbered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.bm25 import STOP_WORDS, bm25_query, content_words
from ingest.catalog import Catalog
from ingest.index import DENSE_LEGS, SPARSE_LEGS, VISUAL_LEG, LegVector, Scope, VideoIndex
from ingest.schema import Moment, Video, WrongCallError
from ingest.text_embedding import TextEmbedder, Vectors
from ingest.visual_embedding import ImageEmbedder
from retrievers.channels import CHANNEL_LEGS, CHANNELS
from retrievers.composing import best_channels, compose_moment
from retrievers.diversity import MAX_SHARED_PART, drop_overlaps, shared_part, shared_seconds
from retrievers.evidence import ChannelScore, Evidence, SearchResult
from retrievers.fusion import FusedHit, fuse
from retrievers.moment_tokens import MomentTokens
from retrievers.rerank import Reranker
from retrievers.spans import Asked, Candidate, Span, best_spans

WORD = re.compile(r"\w+")
LEG_LIMIT = 100
LEG_HITS_PER_RESULT = 3  # two of three moments overlap a better one
# Candidates for late interaction: 40 find the answer among the first five 0.006 less often, 100 no more often.
POOL = 60
# A cross-encoder reads this many, for so long; then what it has not read keeps its place.
RERANK_LIMIT = 20
RERANK_SECONDS = 1.5
RERANK_BATCH = 4
FUSED_WEIGHT = 0.5
SEEN_RANK = 20  # pictures put a moment among their first, and no words did: words must not rank it
STOP_WORD_WEIGHT = 0.25  # against 1 for a word of content; 0.5 does as well, 1 finds the answer first 0.02 less often
MAX_QUESTION_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Found:
    """A moment on its way to become evidence: its score, and where each channel put it."""

    moment: Moment
    video: Video
    score: float
    channels: Mapping[str, ChannelScore]


class Searcher:
    """Searches one library. Every part but the index and the catalog may be missing; then its channel is off, and said."""

    def __init__(
        self,
        index: VideoIndex,
        catalog: Catalog,
        embedder: TextEmbedder | None,
        image_embedder: ImageEmbedder | None,
        reranker: Reranker | None,
        tokens: MomentTokens | None = None,
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._embedder = embedder
        self._image_embedder = image_embedder
        self._reranker = reranker
        self._tokens = tokens

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        rerank: bool = True,
    ) -> SearchResult:
        """The best `limit` moments."""
        clock = Stopwatch()
        question = clean_question(question)
        with clock.stage("embed"):
            vector, asked = self._read(question) if self._embedder else (None, None)
            queries = self._text_queries(question, vector, channels)
        with clock.stage("search"):
            leg_hits = (
                self._index.search(queries, scope, max(LEG_LIMIT, LEG_HITS_PER_RESULT * limit)) if queries else {}
            )
            fused = self._load(fuse(leg_hits, max(POOL, LEG_HITS_PER_RESULT * limit)), scope.tenant)
        with clock.stage("rerank"):
            ranked, tier = without_overlaps(fused, max(limit, RERANK_LIMIT)), "off"
            if rerank and asked and self._tokens:
                ranked = with_seen(find_spans(asked, fused, self._tokens, max(limit, RERANK_LIMIT)), ranked)
                tier = f"late interaction over {self._tokens.model}"
            if rerank and self._reranker:
                ranked, in_time = read_by(self._reranker, question, ranked)
                tier = self._reranker.name if in_time else f"{self._reranker.name}, stopped after {RERANK_SECONDS:g} s"
        return SearchResult(
            query=question,
            evidence=tuple(
                Evidence(number, found.moment, found.video, found.score, found.channels)
                for number, found in enumerate(ranked[:limit], start=1)
            ),
            tiers=self._tiers(tier),
            timings_ms=clock.timings_ms(),
        )

    def _read(self, question: str) -> tuple[Vectors, Asked]:
        assert self._embedder
        (vector,), (tokens,) = self._embedder.embed_with_tokens([question])
        return vector, Asked(
            tokens.vectors, token_weights(question, tokens.starts), tuple(dict.fromkeys(content_words(question)))
        )

    def _text_queries(self, question: str, vector: Vectors | None, channels: Sequence[str]) -> dict[str, LegVector]:
        legs = [leg for channel in channels for leg in CHANNEL_LEGS[channel]]
        queries: dict[str, LegVector] = {}
        dense, sparse = [leg for leg in legs if leg in DENSE_LEGS], [leg for leg in legs if leg in SPARSE_LEGS]
        if vector is not None:
            queries.update(dict.fromkeys(dense, vector))
        words = bm25_query(question)
        if words:
            queries.update(dict.fromkeys(sparse, words))
        if VISUAL_LEG in legs and self._image_embedder:
            seen = self._image_embedder.embed_text([question])
            if seen is not None:
                queries[VISUAL_LEG] = seen[0]
        return queries

    def _load(self, fused: Sequence[FusedHit], tenant: str) -> list[Found]:
        """The moments of fused hits, in their order."""
        moments = {moment.moment_id: moment for moment in self._index.fetch(tenant, [hit.moment_id for hit in fused])}
        videos = self._catalog.get_many(tenant, [moment.video_id for moment in moments.values()])
        found = [(moments[hit.moment_id], hit) for hit in fused if hit.moment_id in moments]
        return [
            Found(moment, videos[moment.video_id], hit.score, hit.channels)
            for moment, hit in found
            if moment.video_id in videos
        ]

    def _tiers(self, rerank: str) -> dict[str, str]:
        return {
            "text embedding": self._embedder.name if self._embedder else "off",
            "visual embedding": self._image_embedder.name if self._image_embedder else "off",
            "rerank": rerank,
        }


def without_overlaps(fused: Sequence[Found], limit: int) -> list[Found]:
    """The first `limit` that do not overlap a better one."""
    return [found for found, _ in drop_overlaps([(found, found.moment) for found in fused], limit)]


def find_spans(asked: Asked, fused: Sequence[Found], tokens: MomentTokens, limit: int) -> list[Found]:
    """The best `limit` spans of the fused moments, by late interaction, as moments of their own that do not overlap."""
    read = tokens.read([(found.video, found.moment) for found in fused])
    standard = _standardised(np.array([found.score for found in fused]))
    mine = [number for number, timed in enumerate(read) if timed]
    candidates = [
        Candidate(fused[number].moment, float(standard[number]), timed) for number in mine if (timed := read[number])
    ]
    spans = best_spans(asked, candidates)
    kept: list[tuple[Span, Span]] = drop_overlaps([(span, span) for span in spans], limit)
    ranked = []
    for span, _ in kept:
        near = sorted((fused[mine[i]] for i in span.candidates), key=lambda found: -shared_seconds(found.moment, span))
        parts = [found for found in near if shared_seconds(found.moment, span) > 0]
        moment = compose_moment(span.start_seconds, span.end_seconds, [part.moment for part in parts])
        ranked.append(Found(moment, parts[0].video, span.score, best_channels([part.channels for part in parts])))
    return ranked


def with_seen(spans: Sequence[Found], fused: Sequence[Found]) -> list[Found]:
    """The spans with those moments that only pictures found, and those without words, at the places that fusion gave them.

    What reads words would bury them. Scores stay in order: such a moment takes the score of the one above it, or of the best.
    """
    ranked = list(spans)
    for place, found in enumerate(fused):
        overlaps = any(shared_part(found.moment, other.moment) > MAX_SHARED_PART for other in ranked)
        if is_only_seen(found) and not overlaps:
            above = ranked[max(min(place, len(ranked)) - 1, 0)].score if ranked else found.score
            ranked.insert(place, replace(found, score=above))
    return ranked


def is_only_seen(found: Found) -> bool:
    """Whether pictures put a moment among their first and no words did, or it holds no words."""
    if not spoken_and_seen_words(found.moment):
        return True
    by_words = [place.rank for channel, place in found.channels.items() if channel != "visual"]
    seen = found.channels.get("visual")
    return seen is not None and seen.rank <= SEEN_RANK < min(by_words, default=SEEN_RANK + 1)


def read_by(reranker: Reranker, question: str, ranked: Sequence[Found]) -> tuple[list[Found], bool]:
    """The first moments in the order of a reranker's and the present scores together, and whether it came to all of them.

    When time runs out the order stays as it was: scores of some do not compare with those of none.
    """
    first = ranked[:RERANK_LIMIT]
    until = time.monotonic() + RERANK_SECONDS
    read: list[float] = []
    for start in range(0, len(first), RERANK_BATCH):
        if time.monotonic() > until:
            return list(ranked), False
        batch = first[start : start + RERANK_BATCH]
        read += reranker.score(question, [spoken_and_seen(found.video, found.moment) for found in batch])
    scores = _standardised(np.array(read)) + FUSED_WEIGHT * _standardised(np.array([found.score for found in first]))
    order = np.argsort(-scores, kind="stable")
    return [*(replace(first[i], score=float(scores[i])) for i in order), *ranked[RERANK_LIMIT:]], True


def token_weights(question: str, starts: NDArray[np.uint32]) -> NDArray[np.float32]:
    """What each token of the question counts, by the word it belongs to: nothing for punctuation, little for a stop word."""
    weights = np.zeros(len(starts), dtype=np.float32)
    words = [(match.start(), match.end(), match.group().lower()) for match in WORD.finditer(question)]
    for row, start in enumerate(starts.tolist()):
        word = next((word for begins, ends, word in words if begins <= start < ends), None)
        if word:
            weights[row] = STOP_WORD_WEIGHT if word in STOP_WORDS else 1.0
    return weights if weights.any() else np.ones_like(weights)


def spoken_and_seen(video: Video, moment: Moment) -> str:
    """Everything said, written and described in a moment, after the video's title, as one line."""
    return f"{video.title}. {spoken_and_seen_words(moment)}"


def spoken_and_seen_words(moment: Moment) -> str:
    """Everything said, written and described in a moment, as one line; empty where there is nothing."""
    return " ".join(part for part in (moment.speech, moment.screen, moment.description) if part)


def _standardised(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    spread = float(scores.std()) if len(scores) else 0.0
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


def clean_question(question: str) -> str:
    """The question as one line without what no tokenizer can read; WrongCallError when it holds no word or is far too long."""
    cleaned = " ".join(question.encode("utf-8", "replace").decode("utf-8").split())
    if cleaned and not any(map(str.isalnum, cleaned)):
        raise WrongCallError(f"The question {cleaned[:20]!r} holds no word. Ask something about the videos.")
    if not cleaned:
        raise WrongCallError("The question is empty. Ask something about the videos.")
    if len(cleaned) > MAX_QUESTION_CHARACTERS:
        raise WrongCallError(
            f"The question has {len(cleaned):,} characters, {MAX_QUESTION_CHARACTERS:,} at most. Ask a shorter one."
        )
    return cleaned


class Stopwatch:
    """Milliseconds per named stage, and in total since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._stages[name] = (time.perf_counter() - started) * 1000

    def timings_ms(self) -> dict[str, float]:
        """The stages so far and "total", rounded to a hundredth of a millisecond."""
        total = (time.perf_counter() - self._started) * 1000
        return {name: round(value, 2) for name, value in {**self._stages, "total": total}.items()}
