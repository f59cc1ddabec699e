"""Copies of the demo films, made with ffmpeg, and how surely `playhead similar` finds each one's original and seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAYHEAD = Path(sys.executable).parent / "playhead"
TARGET_IOU = 0.9
TRIMMED_FROM, TRIMMED_SECONDS = 17.3, 33.0
JOINED_FROM, JOINED_SECONDS = 8.0, 35.0
SECOND_FROM, SECOND_SECONDS = 30.0, 20.0
SMALL = ["-vf", "scale=480:-2,fps=15", "-crf", "36"]
OVERLAY = (
    "drawbox=x=0:y=ih-70:w=iw:h=70:color=navy@0.9:t=fill,drawbox=x=20:y=ih-50:w=300:h=30:color=white:t=fill,"
    "drawbox=x=iw-170:y=20:w=150:h=60:color=red:t=fill"
)
ENCODED = ["-sn", "-map_metadata", "-1", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "28"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A file made of an original: `start_seconds` there is 0 here, for `seconds`; None is to the end of the shorter."""

    path: Path
    kind: str
    original: Path
    start_seconds: float = 0.0
    seconds: float | None = None


def make_copies(film: Path, other: Path, folder: Path) -> Iterator[Copy]:
    """Five copies without the captions and the title; `other` gives its sound and the second part of a joined one.

    The names tell nothing, so that no title helps.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def copy(kind: str, *arguments: str, start: float = 0.0, seconds: float | None = None) -> Copy:
        path = folder / f"{len(list(folder.iterdir())):03}.mp4"
        ffmpeg(*arguments, str(path))
        return Copy(path, kind, film, start, seconds)

    source = ["-i", str(film)]
    cut = ["-ss", str(TRIMMED_FROM), "-t", str(TRIMMED_SECONDS), *source]
    yield copy("re-encoded", *source, *ENCODED, *SMALL)
    yield copy("trimmed", *cut, *ENCODED, start=TRIMMED_FROM, seconds=TRIMMED_SECONDS)
    yield copy("overlaid", *source, *ENCODED, "-vf", OVERLAY)
    if has_sound(other):
        yield copy("re-narrated", *source, "-i", str(other), "-map", "0:v", "-map", "1:a", *ENCODED, "-shortest")
    else:
        yield copy("re-narrated", *source, "-an", *ENCODED)
    first = ["-ss", str(JOINED_FROM), "-t", str(JOINED_SECONDS), *source]
    second = ["-ss", str(SECOND_FROM), "-t", str(SECOND_SECONDS), "-i", str(other)]
    sound = has_sound(film) and has_sound(other)
    parts = "[0:v][0:a][1:v][1:a]concat=n=2:v=1:a=1" if sound else "[0:v][1:v]concat=n=2:v=1:a=0"
    yield copy("joined", *first, *second, "-filter_complex", parts, *ENCODED, start=JOINED_FROM, seconds=JOINED_SECONDS)


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)


def has_sound(film: Path) -> bool:
    probe = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=index", "-of", "csv=p=0"]
    return bool(subprocess.run([*probe, str(film)], check=True, capture_output=True, text=True).stdout.strip())


def bench_similar(films: Path) -> None:
    """Print, for each kind of copy, how often its original comes first and the least overlap of its seconds."""
    if not shutil.which("ffmpeg"):
        print("similar: skipped, ffmpeg is not installed (apt install ffmpeg)")
        return
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as name:
        folder = Path(name)
        originals = sorted(films.glob("*.mp4"))
        others = [*originals[3:], *originals[:3]]
        copies = [
            copy
            for film, other in zip(originals, others, strict=True)
            for copy in make_copies(film, other, folder / "copies")
        ]
        for path in (films, folder / "copies"):
            playhead(folder / "library", "ingest", str(path))
        judge_copies(folder / "library", copies)
        judge_originals(folder / "library", originals, copies)


def judge_copies(library: Path, copies: Sequence[Copy]) -> list[tuple[Copy, bool, float]]:
    """Print a line for each kind of copy; for each copy whether its original came first, and the overlap of its seconds.

    Other copies of the same original are left out of the ranking.
    """
    judged = []
    seconds = []
    paths = {copy.path.stem for copy in copies}
    for copy in copies:
        started = time.perf_counter()
        document = playhead(library, "similar", str(copy.path), "--k", "60")
        seconds.append(time.perf_counter() - started)
        original, made = (playhead(library, "show", str(path)) for path in (copy.original, copy.path))
        lasts = copy.seconds or min(original["duration_seconds"], made["duration_seconds"])
        found = [item for item in document["similar"] if item["title"] not in paths]
        first = bool(found) and found[0]["video_id"] == original["video_id"]
        ranges: list[dict[str, float]] = next(
            (item["ranges"] for item in found if item["video_id"] == original["video_id"]), []
        )
        judged.append((copy, first, max((overlap(shared, copy, lasts) for shared in ranges), default=0.0)))
    print(f"similar: {len(copies)} copies, {sorted(seconds)[len(seconds) // 2]:.1f} s a call with its start (median)")
    for kind in dict.fromkeys(copy.kind for copy in copies):
        of_kind = [(first, iou) for copy, first, iou in judged if copy.kind == kind]
        right = sum(first for first, _ in of_kind)
        least = min(iou for _, iou in of_kind)
        print(
            f"  {kind:12} original first {right} of {len(of_kind)}, least temporal IoU {least:.3f} (target {TARGET_IOU})"
        )
    return judged


def judge_originals(library: Path, originals: Sequence[Path], copies: Sequence[Copy]) -> None:
    """Print what the originals are to each other: none is a copy of another."""
    paths = {copy.path.stem for copy in copies}
    labels: Counter[str] = Counter()
    for original in originals:
        found = playhead(library, "similar", str(original), "--k", "60")["similar"]
        labels.update(item["label"] for item in found if item["title"] not in paths)
    print(f"  between originals: {dict(labels)}")


def overlap(shared: dict[str, float], copy: Copy, seconds: float) -> float:
    """The lesser temporal IoU of the two sides of a range with the true one."""
    return min(
        iou(shared["start_seconds"], shared["end_seconds"], 0.0, seconds),
        iou(
            shared["other_start_seconds"], shared["other_end_seconds"], copy.start_seconds, copy.start_seconds + seconds
        ),
    )


def iou(start: float, end: float, true_start: float, true_end: float) -> float:
    """Shared over covered seconds of two spans."""
    return max(0.0, min(end, true_end) - max(start, true_start)) / (max(end, true_end) - min(start, true_start))


def playhead(library: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [str(PLAYHEAD), "--library", str(library), "--json", *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
