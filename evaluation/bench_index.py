"""Does a serving process freeze while its index takes 20,000 moments, merges and purges? `bench_index()` prints it."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from ingest.bm25 import bm25_document, bm25_query
from ingest.edge_index import EdgeIndex
from ingest.index import DENSE_LEGS, SPARSE_LEGS, LegVector, Point, Scope
from ingest.schema import Moment, TranscriptSegment

DIMENSION = 384
TICK_SECONDS = 0.005
TARGET_SECONDS = 0.2
MOMENT_SECONDS = 30.0
SEGMENTS, SEGMENT_WORDS = 6, 13  # 156 words a minute
VOCABULARY = 20_000
SMALL_VIDEOS, SMALL_MOMENTS, LARGE_MOMENTS = 40, 400, 4_000
IDLE_SEARCHES = 100
NO_WRITE_SECONDS = 3.0  # what the searches alone make a thread wait, to compare
REPEATS = 3
SEED = 7


@dataclass(slots=True)
class Searches:
    """Questions asked one after the other: the seconds each took, errors, and answers that held a part of a video."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    parts_seen: int = 0


@dataclass(slots=True)
class Run:
    """One run: seconds and waits of each phase; `machine_waits` are those of a process that does nothing else."""

    seconds: dict[str, float] = field(default_factory=dict)
    waits: dict[str, list[float]] = field(default_factory=dict)
    machine_waits: list[float] = field(default_factory=list)
    idle: Searches = field(default_factory=Searches)
    busy: Searches = field(default_factory=Searches)

    @property
    def longest_wait(self) -> float:
        return max(wait for phase, waits in self.waits.items() for wait in waits if phase != "no write")


def bench_index() -> None:
    """The figures of 20,000 moments: medians of three runs."""
    videos = {f"small{number}": SMALL_MOMENTS for number in range(SMALL_VIDEOS)} | {"large": LARGE_MOMENTS}
    points = {name: make_video(name, moments) for name, moments in videos.items()}
    runs = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory(prefix="playhead-bench-") as folder:
            runs.append(measure(Path(folder), points))
    print(f"index of {sum(videos.values())} moments: longest wait of another thread "
          f"{in_ms(statistics.median(run.longest_wait for run in runs))} (target {in_ms(TARGET_SECONDS)}; "
          f"runs {', '.join(in_ms(run.longest_wait) for run in runs)}; of a process that only waits "
          f"{', '.join(in_ms(max(run.machine_waits)) for run in runs)})")  # fmt: skip
    for phase in runs[0].seconds:
        waits = [wait for run in runs for wait in run.waits[phase]]
        print(f"  {phase}: {statistics.median(run.seconds[phase] for run in runs):.1f} s, waits p99 "
              f"{in_ms(quantile(waits, 99))}, longest {in_ms(statistics.median(max(run.waits[phase]) for run in runs))}")  # fmt: skip
    ingested = statistics.median(run.seconds["small videos"] + run.seconds["large video"] for run in runs)
    print(f"  {sum(videos.values()) / ingested:.0f} moments/s")
    for name, searches in (("before", [run.idle for run in runs]), ("meanwhile", [run.busy for run in runs])):
        seconds = [value for one in searches for value in one.seconds]
        print(f"  search {name}: p50 {in_ms(quantile(seconds, 50))}, p95 {in_ms(quantile(seconds, 95))}, "
              f"{len(seconds)} searches, {sum(len(one.failures) for one in searches)} failed, "
              f"{sum(one.parts_seen for one in searches)} saw a part of a video")  # fmt: skip


def measure(folder: Path, videos: dict[str, list[Point]]) -> Run:
    """Write the videos, merge, delete one and purge, while one thread ticks and another searches all the time."""
    run, stop, phase = Run(), threading.Event(), ["start"]
    index = EdgeIndex(folder, DIMENSION, None)
    ask(index, videos, run.idle, lambda: len(run.idle.seconds) == IDLE_SEARCHES)
    threads = [
        threading.Thread(target=tick, args=(stop.wait, lambda wait: run.waits.setdefault(phase[0], []).append(wait))),
        threading.Thread(target=ask, args=(index, videos, run.busy, stop.is_set)),
    ]
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    machine = spawn.Process(target=tick_apart, args=(there,))
    machine.start()
    here.recv()
    for thread in threads:
        thread.start()
    for phase[0], write in phases(index, videos):
        started = time.monotonic()
        write()
        run.seconds[phase[0]] = time.monotonic() - started
        time.sleep(2 * TICK_SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    here.send("stop")
    run.machine_waits = here.recv()
    machine.join()
    index.close()
    return run


def phases(index: EdgeIndex, videos: dict[str, list[Point]]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is done to the index, in order; the largest video comes last, and the first is deleted."""
    *small, large = sorted(videos, key=lambda name: len(videos[name]))

    def write_small() -> None:
        for name in small:
            index.replace("local", name, videos[name])

    yield "small videos", write_small
    yield "large video", lambda: index.replace("local", large, videos[large])
    yield "merge", index.purge
    yield "no write", lambda: time.sleep(NO_WRITE_SECONDS)
    yield "delete", lambda: index.delete("local", small[0])
    yield "large delete", lambda: index.delete("local", large)
    yield "purge", index.purge


def tick(wait: Callable[[float], bool], record: Callable[[float], None]) -> None:
    """Record how long each wait of `TICK_SECONDS` took until `wait` says that it is over."""
    last = time.monotonic()
    while not wait(TICK_SECONDS):
        now = time.monotonic()
        record(now - last)
        last = now


def tick_apart(pipe: Connection) -> None:
    """Tick in a process of its own until told to stop, then send the waits: what the machine alone makes one wait."""
    waits: list[float] = []
    pipe.send("ready")
    tick(lambda seconds: pipe.poll(seconds), waits.append)
    pipe.send(waits)


def ask(index: EdgeIndex, videos: dict[str, list[Point]], searches: Searches, over: Callable[[], bool]) -> None:
    """Search all legs, and for the one word that every moment of a video holds: it finds all of them or none."""
    chance = np.random.default_rng(SEED)
    names = list(videos)
    while not over():
        query = speech(chance, [])
        words, vector = bm25_query(query), unit_vectors(chance, 1)[0]
        legs: dict[str, LegVector] = dict.fromkeys(DENSE_LEGS, vector)
        if words:
            legs |= dict.fromkeys(SPARSE_LEGS, words)
        name = names[len(searches.seconds) % len(names)]
        mark = bm25_query(name)
        try:
            started = time.monotonic()
            index.search(legs, Scope("local"), 100)
            searches.seconds.append(time.monotonic() - started)
            assert mark is not None
            found = index.search({"speech_bm25": mark}, Scope("local"), len(videos[name]) + 1)["speech_bm25"]
            searches.parts_seen += len(found) not in (0, len(videos[name]))
        except Exception as error:
            searches.failures.append(repr(error))


def make_video(name: str, moments: int) -> list[Point]:
    """Points as speech gives them; every moment holds the video's name as a word."""
    chance = np.random.default_rng([SEED, *name.encode()])
    points = []
    for number, vector in enumerate(unit_vectors(chance, moments)):
        start = MOMENT_SECONDS * number
        length = MOMENT_SECONDS / SEGMENTS
        transcript = tuple(
            TranscriptSegment(
                start + length * part,
                start + length * (part + 1),
                speech(chance, [name]),
                "sidecar captions",
                "en",
                0.9,
            )
            for part in range(SEGMENTS)
        )
        moment = Moment("local", name, start, start + MOMENT_SECONDS, transcript=transcript)
        words = bm25_document(moment.speech)
        assert words is not None
        points.append(Point(moment, {"speech_dense": vector, "speech_bm25": words}, {"language": ("en",)}))
    return points


def speech(chance: np.random.Generator, words: Sequence[str]) -> str:
    """Words as frequent as in a language (Zipf), after the given ones."""
    ranks = chance.zipf(1.3, SEGMENT_WORDS) % VOCABULARY
    return " ".join([*words, *(f"word{rank}" for rank in ranks)])


def unit_vectors(chance: np.random.Generator, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Random directions, shape (count, `DIMENSION`)."""
    rows = chance.standard_normal((count, DIMENSION), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def quantile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def in_ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
