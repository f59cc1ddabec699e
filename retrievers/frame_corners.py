"""The ORB corners of key frames, found once and kept in a file beside the JPEGs of their video."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.schema import VideoError
from ingest.visual_embedding import read_picture
from retrievers.picture_match import (
    DESCRIPTOR_BYTES,
    FRAME_CORNERS,
    FRAME_SIDE_PIXELS,
    Corners,
    Grey,
    at_side,
    corners_of,
)

# The name changes with what the corners depend on, so that no older ones are read. It lies in the video's own folder:
# reading the video again or deleting it takes the file along.
CORNERS_FILE = f"corners-1-{FRAME_SIDE_PIXELS}-{FRAME_CORNERS}.npy"
ROW = np.dtype([("frame", "<u4"), ("point", "<f4", 2), ("bits", "u1", DESCRIPTOR_BYTES)])
THREADS = 2
NO_CORNERS = Corners(np.zeros((0, 2), np.float32), np.zeros((0, DESCRIPTOR_BYTES), np.uint8))


def frame_corners(frames: Sequence[Path]) -> list[Corners]:
    """The corners of the JPEGs of one video, in their order; none where a picture is gone or damaged."""
    if not frames:
        return []
    store = frames[0].with_name(CORNERS_FILE)
    known = _read(store)
    missing = [frame for frame in frames if _key(frame) not in known]
    if missing:
        with ThreadPoolExecutor(THREADS) as threads:  # OpenCV and Pillow let other threads run
            known |= dict(zip(map(_key, missing), threads.map(_corners_in, missing), strict=True))
        _write(store, known)
    return [known[_key(frame)] for frame in frames]


def grey_frame(frame: Path) -> Grey | None:
    """A key frame at its standard size; None where it is gone or damaged."""
    try:
        return at_side(np.asarray(read_picture(frame).convert("L")), FRAME_SIDE_PIXELS)
    except VideoError:
        return None


def _corners_in(frame: Path) -> Corners:
    grey = grey_frame(frame)
    return NO_CORNERS if grey is None else corners_of(grey, FRAME_CORNERS)


def _key(frame: Path) -> int:
    return int(frame.stem)  # the milliseconds


def _read(store: Path) -> dict[int, Corners]:
    """The kept corners by frame; a frame without corners has one row of zeros. Nothing where the file cannot be read."""
    try:
        rows = np.load(store)
    except (OSError, ValueError, EOFError):
        return {}
    if rows.dtype != ROW or rows.ndim != 1:
        return {}
    changes: NDArray[np.intp] = np.flatnonzero(np.diff(rows["frame"])) + 1
    parts = np.split(rows, changes) if len(rows) else []
    return {int(part["frame"][0]): _corners_of_rows(part) for part in parts}


def _corners_of_rows(rows: NDArray[np.void]) -> Corners:
    is_empty = len(rows) == 1 and not rows["bits"].any()
    return NO_CORNERS if is_empty else Corners(np.ascontiguousarray(rows["point"]), np.ascontiguousarray(rows["bits"]))


def _write(store: Path, known: dict[int, Corners]) -> None:
    """Replace the file at once; where the folder cannot be written, the corners are found again next time."""
    rows = np.zeros(sum(max(1, len(corners)) for corners in known.values()), dtype=ROW)
    position = 0
    for frame, corners in sorted(known.items()):
        count = max(1, len(corners))
        part = rows[position : position + count]
        part["frame"] = frame
        if len(corners):
            part["point"], part["bits"] = corners.points, corners.bits
        position += count
    scratch = store.with_name(f"{store.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        with scratch.open("wb") as file:
            np.save(file, rows)
        os.replace(scratch, store)
