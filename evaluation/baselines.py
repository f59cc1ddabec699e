"""What others build in an afternoon: known retrievers on fixed windows of 60 s, side by side, of the same transcripts."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from llama_index.core.llms.mock import MockLLM
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from numpy.typing import NDArray
from snowballstemmer import stemmer

from evaluation.ranking import ReturnedSpan
from ingest.bm25 import bm25_document, bm25_query
from ingest.index import Scope, SparseVector
from ingest.points import labels
from ingest.schema import TranscriptSegment, Video
from ingest.text_embedding import TextEmbedder

WINDOW_SECONDS = 60.0
DEPTH = 10
# What each of two fused retrievers hands in; as many as a leg of Playhead's.
FUSED_DEPTH = 100
ENCODED_AT_ONCE = 32
QDRANT_RRF: Any = edge.Fusion.Rrf(k=2)  # what Qdrant takes when no k is given; its stubs know no fusion query

Scores = NDArray[np.float32]
Baseline = Callable[[str, Scope], list[ReturnedSpan]]
"""Ranks windows for a question, best first, ten at most."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is said in one minute of a video."""

    video: Video
    start_seconds: float
    end_seconds: float
    text: str


def cut_windows(video: Video, transcript: Iterable[TranscriptSegment]) -> list[Window]:
    """The minutes of a video in which something is said; an utterance belongs to the minute that it begins in."""
    said: dict[int, list[TranscriptSegment]] = {}
    for segment in transcript:
        said.setdefault(int(segment.start_seconds // WINDOW_SECONDS), []).append(segment)
    return [
        Window(video, minute * WINDOW_SECONDS, (minute + 1) * WINDOW_SECONDS, " ".join(s.text for s in segments))
        for minute, segments in sorted(said.items())
    ]


class WindowSearch:
    """The baselines over one set of windows; they share the encoded texts, and every one keeps to a question's scope."""

    def __init__(
        self, windows: Sequence[Window], embedder: TextEmbedder | None, on_encoded: Callable[[int], None]
    ) -> None:
        """`on_encoded` is called for every window encoded, with their number. Without an embedder only words are searched."""
        self._windows = windows
        self._labels = {window.video.video_id: labels(window.video) for window in windows}
        self._words = WordIndex([window.text for window in windows])
        titles = {window.video.video_id: window.video.title for window in windows}
        self._title_rows = {video_id: row for row, video_id in enumerate(titles)}
        self._titles = WordIndex(list(titles.values()))
        self._embedder = embedder
        if embedder:
            self._vectors = _encode([window.text for window in windows], embedder, on_encoded)
            self._nodes = [TextNode(text=w.text, metadata={"row": row}) for row, w in enumerate(windows)]
            folder = Path(tempfile.mkdtemp(prefix="playhead-windows-"))
            self._qdrant = _filled_shard(folder, windows, self._vectors)
            weakref.finalize(self, _remove_shard, self._qdrant, folder)

    def baselines(self) -> dict[str, Baseline]:
        """The retrievers by name; those that need vectors are left out without an embedder."""
        named: dict[str, Baseline] = {"bm25s": self.bm25}
        if self._embedder:
            named[f"dense {self._embedder.name.rpartition('/')[2]}"] = self.dense
            named |= {"LlamaIndex fusion": self.llama_index, "Qdrant RRF": self.qdrant}
        return named

    def bm25(self, question: str, scope: Scope) -> list[ReturnedSpan]:
        return self._spans(self._best(self._words.scores(question), scope, DEPTH))

    def dense(self, question: str, scope: Scope) -> list[ReturnedSpan]:
        return self._spans(self._best(self._cosines(question), scope, DEPTH))

    def llama_index(self, question: str, scope: Scope) -> list[ReturnedSpan]:
        """`QueryFusionRetriever` by reciprocal rank, over both retrievers above and without generated questions."""
        retrievers: list[BaseRetriever] = [
            GivenNodes([NodeWithScore(node=self._nodes[row], score=float(scores[row])) for row in rows])
            for scores in (self._words.scores(question), self._cosines(question))
            for rows in [self._best(scores, scope, FUSED_DEPTH)]
        ]
        fusion = QueryFusionRetriever(
            retrievers,
            llm=MockLLM(),  # it asks for one, and with one question never calls it
            mode="reciprocal_rerank",  # type: ignore[arg-type]
            similarity_top_k=DEPTH,
            num_queries=1,
            use_async=False,
        )
        return self._spans([found.node.metadata["row"] for found in fusion.retrieve(question)])

    def qdrant(self, question: str, scope: Scope) -> list[ReturnedSpan]:
        """Qdrant's own reciprocal rank fusion of a dense and a BM25 vector."""
        assert self._embedder
        rows = self._allowed(scope)
        allowed = edge.Filter(must=[edge.HasIdCondition(set(rows))]) if len(rows) < len(self._windows) else None
        asked = [edge.Query.Nearest(self._embedder.embed([question])[0].tolist(), using="dense")]
        if words := bm25_query(question):
            asked.append(edge.Query.Nearest(_sparse(words), using="sparse"))
        request = edge.QueryRequest(
            DEPTH,
            query=QDRANT_RRF,
            prefetches=[edge.Prefetch(FUSED_DEPTH, query=query, filter=allowed) for query in asked],
        )
        return self._spans([int(point.id) for point in self._qdrant.query(request)])

    def blind(self, question: str, scope: Scope) -> list[ReturnedSpan]:
        """The control that reads nothing of what was said: videos whose title shares words, each from its beginning."""
        title_scores = self._titles.scores(question)
        rows = sorted(
            self._allowed(scope),
            key=lambda row: (
                -title_scores[self._title_rows[self._windows[row].video.video_id]],
                self._windows[row].start_seconds,
            ),
        )
        return self._spans(rows[:DEPTH])

    def _cosines(self, question: str) -> Scores:
        assert self._embedder
        cosines: Scores = self._vectors @ self._embedder.embed([question])[0]
        return cosines

    def _best(self, scores: Scores, scope: Scope, limit: int) -> list[int]:
        """The allowed rows of the highest scores; a score of 0 found nothing."""
        allowed = np.array(self._allowed(scope), dtype=np.int64)
        order = allowed[np.argsort(-scores[allowed], kind="stable")[:limit]]
        return [int(row) for row in order if scores[row] != 0.0]

    def _allowed(self, scope: Scope) -> list[int]:
        if not scope.video_ids and not scope.labels:
            return list(range(len(self._windows)))
        return [row for row, window in enumerate(self._windows) if self._is_allowed(window.video.video_id, scope)]

    def _is_allowed(self, video_id: str, scope: Scope) -> bool:
        own = self._labels[video_id]
        named = not scope.video_ids or video_id in scope.video_ids
        return named and all(set(values) & set(own.get(key, ())) for key, values in scope.labels.items())

    def _spans(self, rows: Iterable[int]) -> list[ReturnedSpan]:
        found = [self._windows[row] for row in rows]
        return [ReturnedSpan(window.video.video_id, window.start_seconds, window.end_seconds) for window in found]


class WordIndex:
    """BM25 by bm25s, with its English stop words and Snowball stems."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        self._stem = stemmer("english").stemWords
        self._tokenize = bm25s.tokenize
        self._count = len(texts)
        self._index = bm25s.BM25()
        tokens = self._tokens(texts)
        self._has_words = any(tokens)
        if self._has_words:
            self._index.index(tokens, show_progress=False)

    def scores(self, question: str) -> Scores:
        """One score a text; 0 where no word is shared."""
        (words,) = self._tokens([question])
        if not words or not self._has_words:
            return np.zeros(self._count, dtype=np.float32)
        scores: Scores = self._index.get_scores(words)
        return scores

    def _tokens(self, texts: Sequence[str]) -> list[list[str]]:
        tokens: list[list[str]] = self._tokenize(
            list(texts), stopwords="en", stemmer=self._stem, return_ids=False, show_progress=False
        )
        return tokens


class GivenNodes(BaseRetriever):
    """Hands LlamaIndex a ranking that was made elsewhere."""

    def __init__(self, nodes: list[NodeWithScore]) -> None:
        super().__init__()
        self._nodes = nodes

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes


def _encode(texts: Sequence[str], embedder: TextEmbedder, on_encoded: Callable[[int], None]) -> Scores:
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # texts of one length are padded least
    vectors = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    for start in range(0, len(order), ENCODED_AT_ONCE):
        rows = order[start : start + ENCODED_AT_ONCE]
        vectors[rows] = embedder.embed([texts[row] for row in rows])
        for _ in rows:
            on_encoded(len(texts))
    return vectors


def _filled_shard(folder: Path, windows: Sequence[Window], vectors: Scores) -> edge.EdgeShard:
    config = edge.EdgeConfig(
        vectors={"dense": edge.EdgeVectorParams(vectors.shape[1], edge.Distance.Cosine)},
        sparse_vectors={"sparse": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )
    shard = edge.EdgeShard.create(str(folder), config)
    points = []
    for row, window in enumerate(windows):
        vector: dict[str, Any] = {"dense": vectors[row].tolist()}
        if words := bm25_document(window.text):
            vector["sparse"] = _sparse(words)
        points.append(edge.Point(row, vector, {}))
    shard.update(edge.UpdateOperation.upsert_points(points))
    return shard


def _remove_shard(shard: edge.EdgeShard, folder: Path) -> None:
    shard.close()
    shutil.rmtree(folder, ignore_errors=True)


def _sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(list(vector.indices), list(vector.values))
