"""`make bench`: measures the installed `playhead` command, as its users meet it, and its parts, and prints the figures.

`python -m evaluation.bench startup media` measures those parts alone.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.bench_answer_cache import bench_answer_cache
from evaluation.bench_claims import bench_claims
from evaluation.bench_corpus import bench_corpus
from evaluation.bench_images import bench_images
from evaluation.bench_index import bench_index
from evaluation.bench_injection import bench_injection
from evaluation.bench_safety import bench_safety
from evaluation.bench_scale import bench_scale
from evaluation.bench_screen_text import bench_screen_text
from evaluation.bench_seeing import bench_seeing
from evaluation.bench_similar import bench_similar
from evaluation.bench_speech import bench_speech
from evaluation.ranking import ReturnedSpan, first_hit, mean_reciprocal_rank, recall_at, wilson_interval
from ingest.edge_shard import stored_bytes

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
PLAYHEAD = Path(sys.executable).parent / "playhead"
HELP_RUNS = 9
SAMPLE_QUESTIONS = 600  # where baselines are asked too
ANSWERED_QUESTIONS, ANSWERS_SEED = 600, 3
HEAVY_MODULES = ("torch", "transformers", "gradio")


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended: its output, seconds of wall clock, and peak memory in MB."""

    stdout: str
    stderr: str
    status: int
    seconds: float
    peak_mb: float


def run(*arguments: str) -> Finished:
    """Run a command to its end; peak memory is that of the process itself."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(arguments, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return Finished(out.read(), err.read(), process.returncode, seconds, kilobytes / 1024)


def main(wanted: Sequence[str]) -> int:
    """Every figure that the README quotes, or those of the named parts; a part whose data are not there says so."""
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as name:
        folder = Path(name)
        spoken, noisy, media = DATA / "spoken_library", DATA / "spoken_library_noisy", DATA / "media"
        parts: dict[str, tuple[Path, Callable[[], object]]] = {
            "startup": (REPOSITORY, bench_startup),
            "retrieval": (spoken, lambda: bench_spoken_library(spoken, folder / "spoken")),
            "noisy": (noisy, lambda: bench_spoken_library(noisy, folder / "noisy")),
            "media": (media, lambda: bench_media(media, folder / "media")),
            "demo": (REPOSITORY, lambda: bench_demo(folder / "demo")),
            "speech": (DATA / "speech", lambda: bench_speech(DATA)),
            "screen": (media, lambda: bench_screen_text(media)),
            "index": (REPOSITORY, bench_index),
            "seeing": (REPOSITORY, lambda: bench_seeing(media if media.is_dir() else None)),
            "corpus": (DATA / "bad_inputs", lambda: bench_corpus(media, DATA / "bad_inputs")),
            "evaluate": (spoken, lambda: bench_evaluate(spoken, folder / "spoken")),
            "images": (
                REPOSITORY,
                lambda: bench_images(REPOSITORY / "demo" / "videos", media if media.is_dir() else None),
            ),
            "answers": (spoken, lambda: bench_answers(spoken, folder / "spoken")),
            "claims": (spoken, lambda: bench_claims(spoken, folder / "spoken")),
            "answer-cache": (spoken, lambda: bench_answer_cache(spoken, folder / "cache")),
            "similar": (REPOSITORY, lambda: bench_similar(REPOSITORY / "demo" / "videos")),
            "injection": (DATA / "safety", lambda: bench_injection(PLAYHEAD, DATA / "safety", folder / "injection")),
            "safety": (DATA / "safety", lambda: bench_safety(DATA, folder / "spoken")),
            "scale": (REPOSITORY, lambda: bench_scale(folder / "scale")),
        }
        unknown = set(wanted) - set(parts)
        if unknown:
            print(f"There is no part {', '.join(sorted(unknown))}. Parts are {', '.join(parts)}.", file=sys.stderr)
            return 2
        for part, (needed, bench) in parts.items():
            if part in (wanted or parts):
                if needed.is_dir():
                    bench()
                else:
                    print(f"{part}: skipped, {needed} is not there")
    return 0


def bench_startup() -> None:
    """The time of `playhead --help`, and the heavy modules it imports."""
    seconds = [run(str(PLAYHEAD), "--help").seconds for _ in range(HELP_RUNS)]
    listed = run(sys.executable, "-X", "importtime", str(PLAYHEAD), "--help").stderr
    imported = [name for name in HEAVY_MODULES if any(line.endswith(f" {name}") for line in listed.splitlines())]
    print(f"playhead --help: median {statistics.median(seconds):.2f} s of {HELP_RUNS} runs (target 0.5), "
          f"heavy modules imported: {', '.join(imported) or 'none'}")  # fmt: skip


def bench_spoken_library(data: Path, library: Path) -> None:
    """Ingest seconds, ranking figures and query memory on captions of 16.9 hours."""
    done = run(str(PLAYHEAD), "--library", str(library), "--json", "ingest", str(data / "manifest.jsonl"))
    report = json.loads(done.stdout)
    hours = sum(video["duration_seconds"] for video in report["videos"]) / 3600
    moments = sum(video["moments"] for video in report["videos"])
    print(f"{data.name}: {hours:.1f} h, {moments} moments, ingest {done.seconds:.0f} s (target 120), "
          f"peak {done.peak_mb:.0f} MB, {stored_bytes(library) / 1e6:.0f} MB on the disk")  # fmt: skip
    questions = read_lines(data / "questions.jsonl")
    for options in ((), ("--no-rerank",)):
        bench_ranking(data.name, library, questions, options)


def bench_ranking(name: str, library: Path, questions: list[dict[str, Any]], options: tuple[str, ...]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"id": q["id"], "question": q["question"]}) + "\n" for q in questions)
        file.flush()
        done = run(str(PLAYHEAD), "--library", str(library), "--json", "search", "--questions", file.name, *options)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    ranks = [
        first_hit([returned_span(hit) for hit in result["hits"]], question["video"], question["answer_start_seconds"])
        for question, result in zip(questions, results, strict=True)
    ]
    totals = sorted(result["timings_ms"]["total"] for result in results)
    low, high = wilson_interval(sum(rank == 1 for rank in ranks), len(ranks))
    print(f"  {' '.join(options) or 'with rerank':12} R@1 {recall_at(1, ranks):.3f} [{low:.3f}, {high:.3f}] "
          f"R@5 {recall_at(5, ranks):.3f} MRR {mean_reciprocal_rank(ranks):.3f} on {len(ranks)} questions; "
          f"p50 {statistics.median(totals):.0f} ms p95 {totals[int(0.95 * len(totals))]:.0f} ms; peak {done.peak_mb:.0f} MB")  # fmt: skip


def bench_media(data: Path, library: Path) -> None:
    """How every file of a folder of real media ends."""
    done = run(str(PLAYHEAD), "--library", str(library), "--json", "ingest", str(data))
    videos = json.loads(done.stdout)["videos"]
    seconds = sum(video["duration_seconds"] for video in videos)
    counts = Counter(video["status"] for video in videos)
    print(f"media: {len(videos)} files, {dict(counts)}, {seconds:.0f} s of video in {done.seconds:.0f} s, "
          f"peak {done.peak_mb:.0f} MB")  # fmt: skip
    for video in videos:
        if video["status"] == "failed":
            print(f"  failed: {video['error']}")


def bench_demo(library: Path) -> None:
    """The demo library: time to read it, and how many of its questions are answered with a citation that holds."""
    done = run(str(PLAYHEAD), "--library", str(library), "--json", "ingest", str(REPOSITORY / "demo" / "videos"))
    videos = json.loads(done.stdout)["videos"]
    seconds = sum(video["duration_seconds"] for video in videos)
    print(f"demo library: {len(videos)} videos, {seconds:.0f} s, read in {done.seconds:.0f} s")
    questions = REPOSITORY / "demo" / "questions.jsonl"
    asked = run(str(PLAYHEAD), "--library", str(library), "--json", "ask", "--questions", str(questions))
    right = Counter[bool]()
    for question, line in zip(read_lines(questions), asked.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        held = holds(answer, question) if question.get("answerable", True) else answer["status"] == "abstained"
        right[held] += 1
        if not held:
            print(f"  missed: {question['question']} ({answer['status']})")
    print(f"demo questions: {right[True]} of {right.total()} cited at the right second or rightly abstained")


def bench_evaluate(data: Path, library: Path) -> None:
    """`playhead evaluate` with the baselines, which ends with the points of R@1 over the best of them in the same run."""
    if not library.is_dir():
        run(str(PLAYHEAD), "--library", str(library), "ingest", str(data / "manifest.jsonl"))
    options = ("--limit", str(SAMPLE_QUESTIONS), "--baselines")
    done = run(str(PLAYHEAD), "--library", str(library), "evaluate", str(data / "questions.jsonl"), *options)
    print(f"evaluate, with baselines ({done.seconds:.0f} s):\n{done.stdout or done.stderr}", end="")


def bench_answers(data: Path, library: Path) -> None:
    """Answers to a sample of questions: what they hold and cite, and when they abstain, also with their video shut out."""
    if not library.is_dir():
        run(str(PLAYHEAD), "--library", str(library), "ingest", str(data / "manifest.jsonl"))
    drawn = random.Random(ANSWERS_SEED)
    lines = drawn.sample(read_lines(data / "questions.jsonl"), ANSWERED_QUESTIONS)
    if (data / "unanswerable.jsonl").exists():
        lines += drawn.sample(read_lines(data / "unanswerable.jsonl"), ANSWERED_QUESTIONS // 2)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.flush()
        done = run(str(PLAYHEAD), "--library", str(library), "evaluate", file.name, "--answers")
    print(f"answers ({done.seconds:.0f} s):\n{done.stdout or done.stderr}", end="")


def holds(answer: dict[str, Any], question: dict[str, Any]) -> bool:
    """Whether a citation plays within the gold windows of the right video."""
    tolerance = question.get("tolerance_s", 0.0)
    return any(
        question["video"] in (citation["video_title"], Path(citation["url"].split("#")[0]).stem)
        and any(start - tolerance <= citation["play_seconds"] <= end + tolerance for start, end in question["windows"])
        for citation in answer["citations"]
    )


def returned_span(hit: dict[str, Any]) -> ReturnedSpan:
    return ReturnedSpan(Path(hit["video_path"]).stem, hit["start_seconds"], hit["end_seconds"])


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
