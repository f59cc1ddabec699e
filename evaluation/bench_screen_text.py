"""How much of the text that people see on the screen is found through the `playhead` command, and what reading it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.ranking import wilson_interval
from ingest.media import MEDIA_SUFFIXES, decode_media
from ingest.screen_text import load_screen_reader, read_frames

PLAYHEAD = Path(sys.executable).parent / "playhead"
TOLERANCE_SECONDS = 1.0
KEPT_SIDE_PIXELS, KEPT_QUALITY = 1280, 85  # of the pictures that an ingest keeps


def bench_screen_text(data: Path) -> None:
    """Recall on the rows of `onscreen_text.jsonl` in a folder of videos, and seconds of reading a second of video."""
    rows = [json.loads(line) for line in (data / "onscreen_text.jsonl").read_text(encoding="utf-8").splitlines()]
    paths = sorted({data / row["path"] for row in rows})
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as library:
        shown = _ingested(Path(library), paths)
    hits = [is_found(row, shown[data / row["path"]]) for row in rows]
    print(f"screen text: {_share(hits)} of the rows are found within {TOLERANCE_SECONDS:.0f} s")
    for path in paths:
        _print_file(path, [(row, hit) for row, hit in zip(rows, hits, strict=True) if data / row["path"] == path])
    print(f"  given the picture of each row's own time: {measure_reader(data, rows)}")
    print(f"  {measure_reading([path for path in sorted(data.rglob('*')) if path.suffix in MEDIA_SUFFIXES])}")


def is_found(row: dict[str, Any], spans: Sequence[dict[str, Any]]) -> bool:
    """Whether the letters and digits of a row are among those of the lines shown in its window, each or together."""
    near = [
        _letters(span["text"])
        for span in spans
        if span["start_seconds"] <= row["end"] + TOLERANCE_SECONDS
        and span["end_seconds"] >= row["start"] - TOLERANCE_SECONDS
    ]
    wanted = _letters(row["text"])
    return wanted in "".join(near) or any(wanted in text for text in near)


def measure_reader(data: Path, rows: Sequence[dict[str, Any]]) -> str:
    """What the reader finds where sampling cannot miss: in the frame shown in the middle of each row's span."""
    reader = load_screen_reader()
    if reader is None:
        return "not measured, RapidOCR is not installed"
    hits = []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "frame.jpg"
        for row in rows:
            save_frame(data / row["path"], (row["start"] + row["end"]) / 2, picture)
            [(_, lines)] = read_frames(reader, [(0.0, picture)])
            hits.append(_letters(row["text"]) in _letters("".join(text for text, _ in lines)))
    return _share(hits)


def save_frame(video: Path, seconds: float, target: Path) -> None:
    """The frame shown at a time, as the decoder would keep it."""
    import av

    with av.open(str(video)) as container:
        shown = None
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time > seconds and shown is not None:
                break
            shown = frame
        if shown is None:
            raise ValueError(f"{video.name} shows nothing at {seconds} s")
        image = shown.to_image()  # type: ignore[no-untyped-call]
        image.thumbnail((KEPT_SIDE_PIXELS, KEPT_SIDE_PIXELS))
        image.save(target, quality=KEPT_QUALITY)


def measure_reading(paths: Sequence[Path]) -> str:
    """The cost of reading the kept pictures of some videos, and of reading each of them whole, in the same run."""
    reader = load_screen_reader()
    if reader is None:
        return "reading: not measured, RapidOCR is not installed"
    video_seconds = spent_seconds = whole_seconds = 0.0
    pictures = 0
    for path in paths:
        with tempfile.TemporaryDirectory() as work:
            media = decode_media(path, Path(work))
            frames = [(frame.time_seconds, frame.path) for frame in media.frames]
            if not frames:
                continue
            begun = time.perf_counter()
            list(read_frames(reader, frames))
            changed = time.perf_counter()
            for frame in frames:
                list(read_frames(reader, [frame]))
            whole_seconds += time.perf_counter() - changed
        spent_seconds += changed - begun
        video_seconds += media.duration_seconds
        pictures += len(frames)
    return (
        f"reading {pictures} pictures of {video_seconds:.0f} s of video: {spent_seconds / video_seconds:.3f} s a second "
        f"({whole_seconds / video_seconds:.3f} where each is read whole)"
    )


def _print_file(path: Path, rows: Sequence[tuple[dict[str, Any], bool]]) -> None:
    missed = [row["text"] for row, hit in rows if not hit]
    examples = f", among the missed: {', '.join(missed[:3])}" if missed else ""
    print(f"  {path.name}: {len(rows) - len(missed)} of {len(rows)}{examples}")


def _ingested(library: Path, paths: Sequence[Path]) -> dict[Path, list[dict[str, Any]]]:
    """The screen text of each video after it was ingested into a library."""
    report = _run(library, "ingest", *map(str, paths))
    return {
        Path(video["path"]): _run(library, "show", video["video_id"])["screen_text"] if video["video_id"] else []
        for video in report["videos"]
    }


def _run(library: Path, *arguments: str) -> dict[str, Any]:
    command = [str(PLAYHEAD), "--library", str(library), "--json", *arguments]
    document: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    return document


def _share(hits: Sequence[bool]) -> str:
    low, high = wilson_interval(sum(hits), len(hits))
    return f"{sum(hits)} of {len(hits)} ({sum(hits) / len(hits):.2f} [{low:.2f}, {high:.2f}])"


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
