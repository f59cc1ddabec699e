"""Builds a new shard in a child process, because the engine holds Python's interpreter while it writes.

The child gets a job and the new points on its standard input, one JSON object a line, copies the live shard, and writes
a new one of its points without the replaced video and with the new points. So every build is also a purge.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from ingest.confine import follow_parent
from ingest.edge_shard import (
    all_but,
    copy_shard,
    count_points,
    create_shard,
    load_shard,
    pack,
    page_request,
    sync_tree,
    told_by_engine,
)
from ingest.index import VISUAL_LEG, LegVector, Point, SparseVector
from ingest.index_rules import INDEXED_KEYS, clean_payload
from ingest.sandbox import IMPORT_FOLDER, child_environment
from ingest.schema import LibraryError

CHILD_PROGRAM = "import sys; sys.path.extend(sys.argv[1:]); from ingest.edge_build import main; main()"
UPDATE_POINTS = 250
TOLD = 3  # the exit code of a child that says why, in its last line
NO_POINT = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class BuildJob:
    """Make shard folder `target` from shard `source`, without a (tenant, video) and with the new points, `expected` in all."""

    folder: str
    source: str
    target: str
    dimensions: Mapping[str, int]
    without: tuple[str, str] | None
    expected: int
    parent_pid: int


def build_in_child(job: BuildJob, points: Iterable[Point]) -> None:
    """Do the job in a child process, or raise one line of `LibraryError`; this process does little more than wait."""
    folder = Path(job.folder)
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", CHILD_PROGRAM, os.fspath(IMPORT_FOLDER)],
            env=child_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
        assert child.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # a child that ended early says why
                pipe.write(json.dumps(asdict(job)).encode() + b"\n")
                pipe.flush()  # the child copies while the points are made into lines
                for point in points:
                    pipe.write(point_line(point))
            child.wait()
        finally:
            child.kill()
            child.wait()
        output.seek(0)
        told = output.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    if child.returncode:
        raise LibraryError(told if child.returncode == TOLD else reason_of_death(folder, child.returncode))


def reason_of_death(folder: Path, return_code: int) -> str:
    """Why a build ended without a word."""
    return (
        f"The index in {folder} could not be rebuilt (the child process ended with {return_code}); the old one serves on. "
        "Free memory and disk, then try again."
    )


def main() -> None:
    """The child: read the job, do it, and on failure say why in the last line of standard error."""
    job = BuildJob(**json.loads(sys.stdin.buffer.readline()))
    follow_parent(job.parent_pid)
    try:
        with told_by_engine(Path(job.folder)):
            build(job, iter(sys.stdin.buffer))
    except LibraryError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(TOLD)


def build(job: BuildJob, lines: Iterator[bytes]) -> None:
    """Write the new shard, merge it into few segments that load fast, and push it to the disk."""
    folder = Path(job.folder)
    copied, target = folder / f"{job.target}.copy", folder / job.target
    copy_shard(folder / job.source, copied)
    writer = Writer(target, job.dimensions)
    for page in pages(copied, job):
        writer.upsert([edge.Point(record.id, record.vector or {}, record.payload) for record in page])
    shutil.rmtree(copied)
    for first in lines:
        chunk = [first, *itertools.islice(lines, UPDATE_POINTS - 1)]
        writer.upsert([line_point(line, job.dimensions) for line in chunk])
    writer.finish(job.expected)
    sync_tree(target)


def pages(copied: Path, job: BuildJob) -> Iterator[list[edge.Record]]:
    """The points that stay, page by page."""
    shard = load_shard(copied, job.dimensions)
    scope = all_but(job.without)
    offset = None
    while True:
        records, offset = shard.scroll(page_request(scope, offset))
        if records:
            yield records
        if offset is None:
            break
    shard.close()


class Writer:
    """A shard in the making. It counts its updates, since a later update must have a higher number to be taken."""

    def __init__(self, path: Path, dimensions: Mapping[str, int]) -> None:
        self._path = path
        self._dimensions = dimensions
        self._shard = create_shard(path, dimensions)
        self._updates = len(INDEXED_KEYS)

    def upsert(self, points: Sequence[edge.Point]) -> None:
        self._shard.update(edge.UpdateOperation.upsert_points(list(points)))
        self._updates += 1

    def finish(self, expected: int) -> None:
        self._shard.flush()
        self._shard.optimize()
        count = count_points(self._shard, all_but(None))
        self._shard.close()
        if count != expected:  # the parent died while it sent, or a disk fault
            raise LibraryError(f"The new shard {self._path} has {count} points instead of {expected}. Try again.")
        self._renew_log()

    def _renew_log(self) -> None:
        """Drop the log of a shard that is whole on the disk: up to 64 MB that every load would read.

        A new log counts from 0, and the engine silently ignores an update of a point that a higher number wrote
        (tried: the change was lost). So it is moved on with as many deletions of nothing.
        """
        shutil.rmtree(self._path / "wal")
        shard = load_shard(self._path, self._dimensions)
        for _ in range(self._updates + 1):
            shard.update(edge.UpdateOperation.delete_points([NO_POINT]))
        shard.close()


def point_line(point: Point) -> bytes:
    """A point as one line of JSON; dense numbers keep every bit."""
    vectors = {leg: coded_vector(vector) for leg, vector in point.vectors.items()}
    content = {"id": point.moment.moment_id, "vectors": vectors, "payload": pack(clean_payload(point))}
    return json.dumps(content).encode() + b"\n"


def coded_vector(vector: LegVector) -> Any:
    if isinstance(vector, SparseVector):
        return [vector.indices, vector.values]
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def line_point(line: bytes, dimensions: Mapping[str, int]) -> edge.Point:
    """The inverse of `point_line`, for the engine."""
    content = json.loads(line)
    vectors = {leg: decoded_vector(leg, coded, dimensions) for leg, coded in content["vectors"].items()}
    return edge.Point(content["id"], vectors, content["payload"])


def decoded_vector(leg: str, coded: Any, dimensions: Mapping[str, int]) -> Any:
    if not isinstance(coded, str):
        return edge.SparseVector(*coded)
    numbers = np.frombuffer(base64.b64decode(coded), dtype="<f4")
    return (numbers.reshape(-1, dimensions[leg]) if leg == VISUAL_LEG else numbers).tolist()
