"""How fast are 20,000 and 100,000 moments searched, without encoders? `bench_scale(folder)` prints it beside the targets."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.bench_index import quantile
from ingest.bm25 import STOP_WORDS, bm25_document, bm25_query
from ingest.edge_index import EdgeIndex
from ingest.index import DENSE_LEGS, SPARSE_LEGS, VISUAL_LEG, LegVector, Point, Scope
from ingest.schema import Moment, ScreenText, TranscriptSegment
from retrievers.fusion import fuse
from retrievers.search import LEG_LIMIT, POOL

TEXT_DIMENSION, VISUAL_DIMENSION = 384, 512
# As measured on embedded lectures: the variance of the n-th principal axis; the cosine of two moments of one recording
# is 0.46, of two that follow each other 0.9, of two recordings 0.0.
AXIS_OFFSET, AXIS_POWER = 8, -1.3
RECORDING_SHARE, STAYS = 0.46, 0.85
MOMENT_SECONDS, MOMENT_STEP_SECONDS = 60.0, 20.0
SEGMENTS, SEGMENT_WORDS, SHOWN_WORDS = 15, 10, 20  # 150 words a minute
VOCABULARY, ZIPF_OFFSET, ZIPF_POWER = 30_000, 2.7, -1.05  # after Mandelbrot; stop words are the most frequent
# Moments published at once, for 20,000 and then 100,000: as one long file each, since the index is built anew for every
# file above 500 moments. Each 300 moments another recording begins, and the filter for "en" passes two of three.
SMALL, ADDED = 20_000, 80_000
RECORDING_MOMENTS = 300
TEXTS = 5_000  # then the words begin again: making BM25 vectors takes most of the time
LANGUAGES = ("en", "pl", "en")
QUESTIONS, QUESTION_WORDS, QUESTION_COSINE = 200, 5, 0.75
BASELINE_QUESTIONS = 5
FIRST = 10
SEED = 7

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """What a search gets of a question that has been encoded."""

    words: str
    vector: Rows
    seen: Rows

    def legs(self) -> dict[str, LegVector]:
        words = bm25_query(self.words)
        sparse: dict[str, LegVector] = dict.fromkeys(SPARSE_LEGS, words) if words else {}
        return {**dict.fromkeys(DENSE_LEGS, self.vector), **sparse, VISUAL_LEG: self.seen}


@dataclass(slots=True)
class Library:
    """What an index holds, to compare with: for each moment its id, language, words, and vector of speech."""

    ids: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    vectors: list[Rows] = field(default_factory=list)

    def add(self, index: EdgeIndex, moments: int) -> None:
        """Make a video and publish it."""
        name = f"video{len(self.ids)}"
        points = list(make_video(name, moments))
        index.replace("local", name, points)
        for point in points:
            vector = point.vectors["speech_dense"]
            assert isinstance(vector, np.ndarray)
            self.vectors.append(vector.copy())
            self.ids.append(point.moment.moment_id)
            self.languages.extend(point.labels["language"])
            self.texts.append(point.moment.speech)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds on the clock, and of the processor, for each question."""

    clock: list[float]
    processor: list[float]

    def __str__(self) -> str:
        return (
            f"p50 {1000 * quantile(self.clock, 50):.1f} ms, p95 {1000 * quantile(self.clock, 95):.1f} ms "
            f"(processor {1000 * quantile(self.processor, 50):.1f} and {1000 * quantile(self.processor, 95):.1f} ms)"
        )


def bench_scale(folder: Path) -> None:
    """The figures of a library as it grows; `folder` is made and holds a GB afterwards."""
    library, timed = Library(), []
    index = EdgeIndex(folder, TEXT_DIMENSION, VISUAL_DIMENSION)
    for moments in (SMALL, ADDED):
        started = time.monotonic()
        library.add(index, moments)
        built = time.monotonic() - started
        index.close()
        questions = make_questions(library)
        index, ready = open_and_answer(folder, questions[0])
        found, search_times = timed_searches(index, questions)
        timed.append(search_times)
        print(
            f"scale: {len(library.ids)} moments built in {built:.0f} s, first answer {ready:.2f} s after opening (target 1)"
        )
        print(f"  all legs, filter, fusion, payloads: {search_times}{' (target p50 5 ms)' if len(timed) == 1 else ''}")
        print(f"  recall@{FIRST} of the dense leg against exact {recall(library, questions, found):.3f} (target 0.98)")
        if len(timed) == 1:
            print_baseline(library, questions, search_times)
    index.close()
    small, large = timed
    print(f"  p95 grows {quantile(large.clock, 95) / quantile(small.clock, 95):.1f} times, of the processor's time "
          f"{quantile(large.processor, 95) / quantile(small.processor, 95):.1f} times (target 3)")  # fmt: skip


def open_and_answer(folder: Path, question: Question) -> tuple[EdgeIndex, float]:
    """The index opened anew, and the seconds until it had answered."""
    started = time.perf_counter()
    index = EdgeIndex(folder, TEXT_DIMENSION, VISUAL_DIMENSION)
    search(index, question)
    return index, time.perf_counter() - started


def search(index: EdgeIndex, question: Question) -> list[str]:
    """What a search without encoders does; returns the dense leg's first moments."""
    hits = index.search(question.legs(), scope(), LEG_LIMIT)
    index.fetch("local", [hit.moment_id for hit in fuse(hits, POOL)])
    return [hit.moment_id for hit in hits["speech_dense"][:FIRST]]


def scope() -> Scope:
    return Scope("local", labels={"language": ("en",)})


def timed_searches(index: EdgeIndex, questions: Sequence[Question]) -> tuple[list[list[str]], Timed]:
    for question in questions[: QUESTIONS // 10]:  # the system's cache fills
        search(index, question)
    return measured(lambda question: search(index, question), questions)


def measured(answer: Callable[[Question], list[str]], questions: Sequence[Question]) -> tuple[list[list[str]], Timed]:
    """The answers, and how long each took."""
    answers, timed = [], Timed([], [])
    for question in questions:
        clock, processor = time.perf_counter(), time.process_time()
        answers.append(answer(question))
        timed.clock.append(time.perf_counter() - clock)
        timed.processor.append(time.process_time() - processor)
    return answers, timed


def recall(library: Library, questions: Sequence[Question], found: Sequence[Sequence[str]]) -> float:
    """The mean part of the exact first moments that were found."""
    allowed = np.flatnonzero(np.array(library.languages) == "en")
    rows = np.array(library.vectors)[allowed]
    parts = []
    for ids, question in zip(found, questions, strict=True):
        best = allowed[np.argsort(-(rows @ question.vector))[:FIRST]].tolist()
        parts.append(len({library.ids[row] for row in best} & set(ids)) / FIRST)
    return statistics.mean(parts)


def print_baseline(library: Library, questions: Sequence[Question], ours: Timed) -> None:
    """LlamaIndex's fusion over its store in memory and rank-bm25's BM25, on the speech alone: two legs to our seven."""
    _, theirs = measured(llama_index_fusion(library, questions), questions[:BASELINE_QUESTIONS])
    print(f"  QueryFusionRetriever, speech alone: {theirs}; {quantile(theirs.clock, 50) / quantile(ours.clock, 50):.0f} times "
          f"as long, {quantile(theirs.processor, 50) / quantile(ours.processor, 50):.0f} times the processor's time (50)")  # fmt: skip


def llama_index_fusion(library: Library, questions: Sequence[Question]) -> Callable[[Question], list[str]]:
    """Answers by `QueryFusionRetriever`, reciprocal rerank, from what its users begin with: all in memory."""
    from llama_index.core import StorageContext, VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.llms.mock import MockLLM
    from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore
    from rank_bm25 import BM25Okapi

    vectors = {question.words: question.vector.tolist() for question in questions}

    class Encoded(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            encoded: list[float] = vectors[query]
            return encoded

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            raise NotImplementedError("texts come with their vectors")

    nodes = [
        TextNode(id_=moment_id, text=text, embedding=vector.tolist(), metadata={"language": language})
        for moment_id, language, text, vector in zip(
            library.ids, library.languages, library.texts, library.vectors, strict=True
        )
    ]
    words = BM25Okapi([text.split() for text in library.texts])
    allowed = np.array(library.languages) == "en"

    class Bm25(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            scores = words.get_scores(query_bundle.query_str.split()) * allowed
            rows = np.argsort(-scores)[:LEG_LIMIT].tolist()
            return [NodeWithScore(node=nodes[row], score=float(scores[row])) for row in rows]

    embedding = Encoded(model_name="encoded")
    store = StorageContext.from_defaults(vector_store=SimpleVectorStore())
    index: Any = VectorStoreIndex(nodes, storage_context=store, embed_model=embedding)
    only_english = MetadataFilters(filters=[MetadataFilter(key="language", value="en")])
    fusion = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=LEG_LIMIT, filters=only_english), Bm25()],
        llm=MockLLM(),  # it asks for one, and with one question never calls it
        mode="reciprocal_rerank",  # type: ignore[arg-type]
        similarity_top_k=POOL,
        num_queries=1,
        use_async=False,
    )
    return lambda question: [found.node.node_id for found in fusion.retrieve(question.words)]


def make_questions(library: Library) -> list[Question]:
    """Questions near random moments, with some of their words."""
    chance = np.random.default_rng(SEED)
    questions = []
    for row in chance.integers(len(library.ids), size=QUESTIONS).tolist():
        elsewhere = unit(directions(chance, 1, TEXT_DIMENSION))[0]
        near = QUESTION_COSINE * library.vectors[row] + np.sqrt(1 - QUESTION_COSINE**2) * elsewhere
        content = [word for word in library.texts[row].split() if word not in STOP_WORDS]
        seen = unit(directions(chance, 1, VISUAL_DIMENSION))[0]
        questions.append(Question(" ".join(chance.choice(content, QUESTION_WORDS)), unit(near), seen))
    return questions


def make_video(name: str, moments: int) -> Iterator[Point]:
    """Moments that all speak; each third shows writing, each third is described, each second has two key frames."""
    chance = np.random.default_rng([SEED, *name.encode()])
    speech, screen, described = (walk(chance, moments, TEXT_DIMENSION) for _ in range(3))
    frames = walk(chance, moments, VISUAL_DIMENSION)
    spoken, shown = utterances(chance, SEGMENT_WORDS, TEXTS * SEGMENTS // 3), utterances(chance, SHOWN_WORDS, TEXTS)
    sparse = functools.cache(bm25_document)
    for row in range(moments):
        start = MOMENT_STEP_SECONDS * row
        text = shown[row % TEXTS]
        moment = Moment(
            "local",
            name,
            start,
            start + MOMENT_SECONDS,
            transcript=tuple(transcript(spoken, start)),
            screen_text=(ScreenText(start, start + MOMENT_STEP_SECONDS, text, 0.9),) if row % 3 == 0 else (),
            description=text if row % 3 == 1 else "",
        )
        dense = {"speech": speech[row], "screen": screen[row], "description": described[row]}
        texts = {"speech": moment.speech, "screen": moment.screen, "description": moment.description}
        vectors: dict[str, LegVector] = {f"{channel}_dense": dense[channel] for channel in texts if texts[channel]}
        vectors |= {f"{channel}_bm25": found for channel in texts if (found := sparse(texts[channel]))}
        if row % 2:
            vectors[VISUAL_LEG] = frames[row - 1 : row + 1]
        yield Point(moment, vectors, {"language": (LANGUAGES[row // RECORDING_MOMENTS % len(LANGUAGES)],)})


def transcript(spoken: Sequence[str], start_seconds: float) -> Iterator[TranscriptSegment]:
    """The utterances of a moment; those of the next begin a third later."""
    length = MOMENT_SECONDS / SEGMENTS
    first = round(start_seconds / length)
    for number in range(first, first + SEGMENTS):
        text = spoken[number % len(spoken)]
        yield TranscriptSegment(number * length, (number + 1) * length, text, "sidecar captions", "en", 0.9)


def utterances(chance: np.random.Generator, length: int, count: int) -> list[str]:
    """Texts of `length` words as frequent as in a language."""
    known = np.array([*sorted(STOP_WORDS), *(f"word{number}" for number in range(VOCABULARY))])
    weights = (np.arange(len(known)) + ZIPF_OFFSET) ** ZIPF_POWER
    return [
        " ".join(row) for row in known[chance.choice(len(known), (count, length), p=weights / weights.sum())].tolist()
    ]


def walk(chance: np.random.Generator, count: int, dimension: int) -> Rows:
    """Unit rows (count, dimension) that stay near the place of their recording, each near the one before it."""
    steps = directions(chance, count, dimension)
    for row in range(1, count):
        steps[row] = STAYS * steps[row - 1] + np.sqrt(1 - STAYS**2) * steps[row]
    places = directions(chance, -(-count // RECORDING_MOMENTS), dimension).repeat(RECORDING_MOMENTS, axis=0)[:count]
    return unit(np.sqrt(RECORDING_SHARE) * places + np.sqrt(1 - RECORDING_SHARE) * steps)


def directions(chance: np.random.Generator, count: int, dimension: int) -> Rows:
    """Random rows (count, dimension) that vary along their axes as embeddings of texts do."""
    scales = (AXIS_OFFSET + np.arange(dimension, dtype=np.float32)) ** (AXIS_POWER / 2)
    rows = chance.standard_normal((count, dimension), dtype=np.float32) * scales / np.linalg.norm(scales)
    return np.asarray(rows, dtype=np.float32)


def unit(rows: Rows) -> Rows:
    """Rows scaled to length one."""
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)
