"""How fast pictures are sampled, and how many shots hold one, beside PySceneDetect's command on the same files."""

from __future__ import annotations

import bisect
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from evaluation.film import RATE, write_film
from ingest.media import VIDEO_SUFFIXES, DecodedMedia, decode_media, probe_media

PEER = Path(sys.executable).parent / "scenedetect"
# Ours takes seconds where the peer takes minutes: the median of so many runs, as one is easily disturbed.
OUR_RUNS = 3
PART_SECONDS, REPEATS = 60, 20
FILMS = {
    "x264, key frames at cuts": {"preset": "veryfast"},
    "x264, key frames every 250": {"preset": "veryfast", "sc_threshold": "0", "g": "250"},
}
LEAST_SECONDS = 10.0
FRAME_SECONDS = 1 / RATE + 0.001


@dataclass(slots=True)
class Cost:
    """Adds up what runs took: seconds of wall clock, and of processor time of all threads and children that ended."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what happens inside in."""
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        yield
        self.wall_seconds += time.perf_counter() - wall
        self.cpu_seconds += sum(os.times()[:4]) - cpu

    def beside(self, peer: Cost) -> str:
        """The ratios to a peer."""
        return (
            f"{self.wall_seconds:.1f} s against {peer.wall_seconds:.1f} s, {peer.wall_seconds / self.wall_seconds:.1f} times "
            f"as fast ({peer.cpu_seconds / self.cpu_seconds:.1f} times by processor time)"
        )


def bench_seeing(data: Path | None) -> None:
    """Two films of 20 minutes with known cuts, and each video of the folder `data` that is longer than 10 s."""
    if not PEER.exists():
        print("seeing: skipped, PySceneDetect is not installed (pip install 'playhead[shots]')")
        return
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as folder:
        for name, options in FILMS.items():
            path = Path(folder) / "film.mp4"
            starts = write_film(path, PART_SECONDS, REPEATS, options)
            bench_film(name, path, starts)
            path.unlink()
    if data:
        bench_real_files(long_videos(data))


def bench_film(name: str, path: Path, starts: Sequence[float]) -> None:
    """Speed, shots that hold a kept picture, and cuts found within one frame, of a film with known cuts."""
    theirs, runs = Cost(), [Cost() for _ in range(OUR_RUNS)]
    found = scenes(path, theirs)
    *_, media = (sampled(path, run) for run in runs)
    ours = Cost(median(run.wall_seconds for run in runs), median(run.cpu_seconds for run in runs))
    ends = [*starts[1:], media.duration_seconds]
    times = [frame.time_seconds for frame in media.frames]
    held = count_held(list(zip(starts, ends, strict=True)), times)
    right = count_near(starts[1:], media.cut_seconds)
    stray = len(media.cut_seconds) - count_near(media.cut_seconds, starts)
    print(f"seeing, film of {media.duration_seconds / 60:.0f} min ({name}): {ours.beside(theirs)}; "
          f"{held} of {len(starts)} shots hold one of {len(times)} pictures, {right} of {len(starts) - 1} cuts within a "
          f"frame, {stray} elsewhere (detect-content: {count_near(starts[1:], [start for start, _ in found])})")  # fmt: skip


def bench_real_files(paths: Sequence[Path]) -> None:
    """Speed and covered scenes over several files together; those that the peer cannot open are named and left out."""
    ours, theirs = Cost(), Cost()
    held = total = 0
    for path in paths:
        theirs_here = Cost()
        found = scenes(path, theirs_here)
        if not found:
            print(f"  {path.name}: detect-content cannot read it, left out")
            continue
        ours_here = Cost()
        times = [frame.time_seconds for frame in sampled(path, ours_here).frames]
        held, total = held + count_held(found, times), total + len(found)
        for whole, part in ((ours, ours_here), (theirs, theirs_here)):
            whole.wall_seconds += part.wall_seconds
            whole.cpu_seconds += part.cpu_seconds
        print(f"  {path.name}: {ours_here.beside(theirs_here)}, {len(found)} scenes, {len(times)} pictures")
    if total:
        print(f"seeing, real files together: {ours.beside(theirs)}; {held} of {total} scenes hold a picture; to start a "
              f"child that only reads a header takes {bare_child_seconds():.2f} s")  # fmt: skip


def sampled(path: Path, cost: Cost) -> DecodedMedia:
    """What we see in a file, sound left out, as the peer does."""
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as work, cost.measured():
        return decode_media(path, Path(work) / "work", want_sound=False)


def scenes(path: Path, cost: Cost) -> list[tuple[float, float]]:
    """The scenes in seconds that PySceneDetect's command finds with its default settings, none where it fails."""
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as work:
        command = [str(PEER), "-q", "-i", str(path), "-o", work, "detect-content", "list-scenes"]
        with cost.measured():
            subprocess.run(command, capture_output=True, check=False)
        lists = list(Path(work).glob("*.csv"))
        lines = lists[0].read_text().splitlines() if lists else []
    rows = csv.DictReader(lines[1:])  # The first line lists the timecodes of all cuts.
    return [(float(row["Start Time (seconds)"]), float(row["End Time (seconds)"])) for row in rows]


def bare_child_seconds() -> float:
    """How long it takes to read the header of a small file."""
    cost = Cost()
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as work:
        path = Path(work) / "small.mp4"
        write_film(path, 1, 1, {"preset": "ultrafast"})
        with cost.measured():
            probe_media(path)
    return cost.wall_seconds


def long_videos(data: Path) -> list[Path]:
    """The videos of a folder that are longer than 10 s."""
    paths = sorted(path for path in data.rglob("*") if path.suffix in VIDEO_SUFFIXES.split())
    return [path for path in paths if is_long_video(path)]


def is_long_video(path: Path) -> bool:
    media = probe_media(path)
    return media.has_video and media.duration_seconds > LEAST_SECONDS


def count_held(spans: Iterable[tuple[float, float]], times: Sequence[float]) -> int:
    """How many spans hold one of the sorted times."""
    return sum(bisect.bisect_left(times, start) < bisect.bisect_left(times, end) for start, end in spans)


def count_near(wanted: Iterable[float], found: Iterable[float]) -> int:
    """How many of the wanted times are found, give or take a frame."""
    times = list(found)
    return sum(any(abs(time - other) <= FRAME_SECONDS for other in times) for time in wanted)
