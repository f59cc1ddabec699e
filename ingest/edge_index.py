"""The index of one machine: Qdrant Edge, the engine in this process, with its shard in a folder that can be swapped."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from ingest.edge_build import BuildJob, build_in_child
from ingest.edge_shard import (
    RESCORED,
    all_but,
    count_points,
    create_shard,
    current_shard,
    engine_conditions,
    engine_point,
    engine_vector,
    load_shard,
    page_request,
    point_to,
    read_ahead,
    remove_shards,
    stored_bytes,
    sync,
    sync_tree,
    told_by_engine,
    tombstone,
    unpack,
)
from ingest.index import SPARSE_LEGS, LegHit, LegVector, Point, Scope, from_payload
from ingest.index_rules import (
    checked_points,
    checked_queries,
    chunks,
    known_ids,
    leg_dimensions,
    ranked,
    restored_point,
    scope_conditions,
    video_conditions,
)
from ingest.library import check_tenant
from ingest.quick_close import close_unwritten
from ingest.schema import LibraryError, Moment

# Written in this process; more goes through a child. Measured: 500 moments of speech hold the interpreter for 40 ms.
IN_PROCESS_POINTS = 500
# The engine writes through sparse memory maps of 32 MB, and a full disk under a map kills the process: room for 8.
MIN_FREE_BYTES = 256 * 1024 * 1024
DELETE_BYTES = 1024 * 1024  # on a nearly full disk, deleting must still work
# The log holds what has changed since the last build. Loading reads it, so this bounds both, at 25,000 moments of speech.
MAX_LOG_BYTES = 64 * 1024 * 1024
# A build needs room for a copy, the new shard, its log and its merged segments.
BUILD_ROOM = 4
MOMENT_BYTES = 10_000  # with the vector of speech; a moment with pictures takes more


class EdgeIndex:
    """A `VideoIndex` in `folder`: the file `CURRENT` names the live shard, so that a new one takes over in one step.

    One process at a time may open it. The engine keeps Python's interpreter lock during a call, so no call here is a
    long one: what is large is built by a child process, while this one serves on. The locks let one write at a time go
    on, and let readers see a video whole or not at all.
    """

    def __init__(self, folder: Path, text_dimension: int | None, visual_dimension: int | None) -> None:
        self._folder = folder
        self._dimensions = leg_dimensions(text_dimension, visual_dimension)
        self._writing = threading.Lock()
        self._using = threading.Lock()
        with told_by_engine(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._name, self._shard = self._open()
            remove_shards(self._folder, self._name)

    def replace(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        checked = checked_points(tenant, video_id, points, self._dimensions)
        with self._writing:
            self._write(tenant, video_id, checked)

    def delete(self, tenant: str, video_id: str) -> int:
        with self._writing:
            found = self.count(tenant, video_id)
            self._write(tenant, video_id, [])
        return found

    def _write(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        most = max(len(points), self.count(tenant, video_id))
        if most > IN_PROCESS_POINTS or len(list(chunks(points))) > 1 or self._log_is_long():
            self._rebuild((tenant, video_id), points)
        else:
            self._update(tenant, video_id, points)

    def _update(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        """One update brings the new moments and takes the old ones away: no reader, and no kill, leaves a part of it."""
        ready = [engine_point(point) for point in points]
        others = edge.Filter(
            must=engine_conditions(video_conditions(tenant, video_id)),
            must_not=[edge.HasIdCondition({point.moment.moment_id for point in points})],
        )
        self._check_room(MIN_FREE_BYTES if ready else DELETE_BYTES)
        with self._engine() as shard:
            records, _ = shard.scroll(edge.ScrollRequest(limit=IN_PROCESS_POINTS, filter=others))
            old = [record.id for record in records]
            if ready:
                shard.update(edge.UpdateOperation.upsert_points([*ready, *map(tombstone, old)]))
            if old:
                shard.update(edge.UpdateOperation.delete_points(old))
        with told_by_engine(self._folder):
            # The engine's own flush would hold the interpreter while the disk works: 30 ms, and 600 ms on a busy one.
            sync_tree(self._folder / self._name / "wal")

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        asked = checked_queries(queries, self._dimensions, limit)
        conditions = edge.Filter(must=engine_conditions(scope_conditions(scope)))
        # Rarity is counted inside the tenant: another tenant's words must not move the scores.
        tenant = edge.Filter(must=engine_conditions([("tenant", (scope.tenant,))]))
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(engine_vector(vector), using=leg),
                filter=conditions,
                params=edge.SearchParams(idf=edge.IdfParams(tenant)) if leg in SPARSE_LEGS else RESCORED,
            )
            for leg, vector in asked.items()
        ]
        with self._engine() as shard:
            answers = shard.query_batch(edge.QueryBatchRequest(requests))
        found = dict(zip(asked, answers, strict=True))
        return {leg: ranked(found.get(leg, [])) for leg in queries}

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        conditions = engine_conditions([("tenant", (check_tenant(tenant),))])
        asked = known_ids(moment_ids)
        scope = edge.Filter(must=[*conditions, edge.HasIdCondition(set(asked))])
        request = edge.ScrollRequest(limit=max(len(asked), 1), filter=scope, with_payload=True)
        with self._engine() as shard:
            records, _ = shard.scroll(request)
        found: dict[str, Any] = {str(record.id): record.payload for record in records}
        return [from_payload(unpack(found[moment_id])) for moment_id in asked if moment_id in found]

    def count(self, tenant: str, video_id: str | None = None) -> int:
        scope = edge.Filter(must=engine_conditions(video_conditions(tenant, video_id)))
        with self._engine() as shard:
            return count_points(shard, scope)

    def scroll(self, tenant: str, video_id: str | None = None) -> Iterator[Point]:
        scope = edge.Filter(must=engine_conditions(video_conditions(tenant, video_id)))
        return (
            restored_point(unpack(record.payload or {}), record.vector)
            for page in self._pages(scope)
            for record in page
        )

    def purge(self) -> None:
        """Build the shard anew from the live points of all tenants and remove the old folder."""
        with self._writing:
            self._rebuild(None, [])

    def drop(self) -> None:
        self.close()
        with told_by_engine(self._folder):
            shutil.rmtree(self._folder)

    def close(self) -> None:
        with self._writing, self._using:
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    @contextmanager
    def _engine(self) -> Iterator[edge.EdgeShard]:
        """The live shard, for one call or one publication."""
        with self._using, told_by_engine(self._folder):
            if self._shard is None:
                raise LibraryError(f"The index in {self._folder} is closed. Open the library again.")
            yield self._shard

    def _pages(self, scope: edge.Filter) -> Iterator[list[edge.Record]]:
        offset = None
        while True:
            with self._engine() as shard:
                records, offset = shard.scroll(page_request(scope, offset))
            if records:
                yield records
            if offset is None:
                return

    def _open(self) -> tuple[str, edge.EdgeShard | None]:
        name = current_shard(self._folder)
        if name is None:
            name = "shard-0001"
            self._check_room(MIN_FREE_BYTES)
            self._create_first(name)
        if not (self._folder / "CURRENT").exists():
            point_to(self._folder, name)
            sync(self._folder)
        return name, load_shard(self._folder / name, self._dimensions)

    def _create_first(self, name: str) -> None:
        """Make an empty shard folder that is whole before it gets its name."""
        building = self._folder / f"{name}.building"
        shutil.rmtree(building, ignore_errors=True)
        create_shard(building, self._dimensions).close()
        os.replace(building, self._folder / name)

    def _rebuild(self, without: tuple[str, str] | None, points: Sequence[Point]) -> None:
        """Let a child build the next shard while readers use this one, then swap: load, point to it, close the old."""
        name = f"shard-{int(self._name.removeprefix('shard-')) + 1:04}"
        with self._engine() as shard:
            expected = count_points(shard, all_but(without)) + len(points)
        stored = stored_bytes(self._folder / self._name) + MOMENT_BYTES * len(points)
        self._check_room(MIN_FREE_BYTES + BUILD_ROOM * stored)
        job = BuildJob(
            folder=os.fspath(self._folder),
            source=self._name,
            target=f"{name}.building",
            dimensions=self._dimensions,
            without=without,
            expected=expected,
            parent_pid=os.getpid(),
        )
        try:
            with told_by_engine(self._folder):
                build_in_child(job, points)
                os.replace(self._folder / job.target, self._folder / name)
                sync(self._folder)
                read_ahead(self._folder / name)
                shard = load_shard(self._folder / name, self._dimensions)
                point_to(self._folder, name)
        except BaseException:
            remove_shards(self._folder, self._name)
            raise
        with self._engine() as old:
            self._name, self._shard = name, shard
        with told_by_engine(self._folder):
            sync(self._folder)
            close_unwritten(old.close)
            remove_shards(self._folder, name)

    def _log_is_long(self) -> bool:
        return stored_bytes(self._folder / self._name / "wal") > MAX_LOG_BYTES

    def _check_room(self, needed: int) -> None:
        """Refuse before anything is changed when the disk has fewer free bytes than a write needs."""
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise LibraryError(
                f"The disk of {self._folder} has {free // 2**20} MB free, and the index needs "
                f"{needed // 2**20} MB to write safely. Free some, or choose another disk with --library DIR."
            )
