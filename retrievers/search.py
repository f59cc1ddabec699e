"""One search: every leg in one engine call, fused, reranked, overlaps dropped, numbered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.bm25 import bm25_query
from ingest.catalog import Catalog
from ingest.index import DENSE_LEGS, SPARSE_LEGS, VISUAL_LEG, LegVector, Scope, VideoIndex
from ingest.schema import Moment, Video, WrongCallError
from ingest.text_embedding import TextEmbedder
from ingest.visual_embedding import ImageEmbedder
from retrievers.channels import CHANNEL_LEGS, CHANNELS
from retrievers.diversity import drop_overlaps
from retrievers.evidence import Evidence, SearchResult
from retrievers.fusion import FusedHit, fuse
from retrievers.rerank import Reranker

LEG_LIMIT = 100
LEG_HITS_PER_RESULT = 3  # two of three moments overlap a better one
# Overlaps are dropped before reranking, so that the reranker reads this many different minutes.
RERANK_LIMIT = 20
FUSED_WEIGHT = 0.5
MAX_QUESTION_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment that fusion chose, before reranking."""

    hit: FusedHit
    moment: Moment
    video: Video


class Searcher:
    """Searches one library. Every part but the index and the catalog may be missing; then its channel is off, and said."""

    def __init__(
        self,
        index: VideoIndex,
        catalog: Catalog,
        embedder: TextEmbedder | None,
        image_embedder: ImageEmbedder | None,
        reranker: Reranker | None,
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._embedder = embedder
        self._image_embedder = image_embedder
        self._reranker = reranker

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        image: Path | None = None,
        rerank: bool = True,
    ) -> SearchResult:
        """The best `limit` moments; with an image, those that look like it."""
        clock = Stopwatch()
        question = clean_question(question) if not image or question.strip() else ""
        with clock.stage("embed"):
            queries = self._image_query(image) if image else self._text_queries(question, channels)
        with clock.stage("search"):
            leg_hits = (
                self._index.search(queries, scope, max(LEG_LIMIT, LEG_HITS_PER_RESULT * limit)) if queries else {}
            )
            reranker = self._reranker if rerank and not image else None
            candidates = self._candidates(fuse(leg_hits), scope.tenant, max(limit, RERANK_LIMIT if reranker else 0))
        with clock.stage("rerank"):
            evidence = rank_candidates(question, candidates, reranker)[:limit]
        return SearchResult(
            query=question,
            evidence=tuple(evidence),
            tiers=self._tiers(reranker),
            timings_ms=clock.timings_ms(),
        )

    def _text_queries(self, question: str, channels: Sequence[str]) -> dict[str, LegVector]:
        legs = [leg for channel in channels for leg in CHANNEL_LEGS[channel]]
        queries: dict[str, LegVector] = {}
        dense, sparse = [leg for leg in legs if leg in DENSE_LEGS], [leg for leg in legs if leg in SPARSE_LEGS]
        if self._embedder and dense:
            vector = self._embedder.embed([question])[0]
            queries.update(dict.fromkeys(dense, vector))
        words = bm25_query(question)
        if words:
            queries.update(dict.fromkeys(sparse, words))
        if VISUAL_LEG in legs and self._image_embedder:
            seen = self._image_embedder.embed_text([question])
            if seen is not None:
                queries[VISUAL_LEG] = seen[0]
        return queries

    def _image_query(self, image: Path) -> dict[str, LegVector]:
        if not self._image_embedder:
            return {}
        return {VISUAL_LEG: self._image_embedder.embed_images([image])[0]}

    def _candidates(self, fused: Sequence[FusedHit], tenant: str, limit: int) -> list[Candidate]:
        """The best fused hits, overlaps dropped; loads three times as many because two of three moments overlap."""
        hits = {hit.moment_id: hit for hit in fused[: LEG_HITS_PER_RESULT * limit]}
        moments = self._index.fetch(tenant, list(hits))
        videos = self._catalog.get_many(tenant, [moment.video_id for moment in moments])
        found = [(Candidate(hits[m.moment_id], m, videos[m.video_id]), m) for m in moments if m.video_id in videos]
        return [candidate for candidate, _ in drop_overlaps(found, limit)]

    def _tiers(self, reranker: Reranker | None) -> dict[str, str]:
        return {
            "text embedding": self._embedder.name if self._embedder else "off",
            "visual embedding": self._image_embedder.name if self._image_embedder else "off",
            "rerank": reranker.name if reranker else "off",
        }


def rank_candidates(question: str, candidates: Sequence[Candidate], reranker: Reranker | None) -> list[Evidence]:
    """Evidence numbered by the reranker's and the fused scores together, both standardised; else by the fused alone."""
    scores = np.array([candidate.hit.score for candidate in candidates])
    if reranker and candidates:
        read = np.array(reranker.score(question, [spoken_and_seen(c.video, c.moment) for c in candidates]))
        scores = _standardised(read) + FUSED_WEIGHT * _standardised(scores)
    order = np.argsort(-scores, kind="stable")
    ranked = [(candidates[i], float(scores[i])) for i in order]
    return [
        Evidence(number, candidate.moment, candidate.video, score, candidate.hit.channels)
        for number, (candidate, score) in enumerate(ranked, start=1)
    ]


def spoken_and_seen(video: Video, moment: Moment) -> str:
    """Everything said, written and described in a moment, after the video's title, as one line."""
    return f"{video.title}. " + " ".join(part for part in (moment.speech, moment.screen, moment.description) if part)


def _standardised(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


def clean_question(question: str) -> str:
    """The question as one line without what no tokenizer can read; WrongCallError when it is empty or far too long."""
    cleaned = " ".join(question.encode("utf-8", "replace").decode("utf-8").split())
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
