"""The index of one machine: Qdrant Edge, the engine in this process, with its shard in a folder that can be swapped."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from ingest.index import (
    SPARSE_LEGS,
    VISUAL_LEG,
    LegHit,
    LegVector,
    Point,
    Scope,
    SparseVector,
    from_payload,
)
from ingest.index_rules import (
    INDEXED_KEYS,
    Conditions,
    checked_points,
    checked_queries,
    chunks,
    clean_payload,
    known_ids,
    leg_dimensions,
    ranked,
    restored_point,
    scope_conditions,
    video_conditions,
)
from ingest.library import check_tenant
from ingest.schema import IndexMismatchError, LibraryError, Moment

PAGE_POINTS = 250
SHARD_NAME = re.compile(r"shard-\d{4,}")
# The engine writes through sparse memory maps of 32 MB, and a full disk under a map kills the process: room for 8.
MIN_FREE_BYTES = 256 * 1024 * 1024


class EdgeIndex:
    """A `VideoIndex` in `folder`: the file `CURRENT` names the live shard, so that a new one takes over in one step.

    One process at a time may open it. The engine keeps Python's interpreter lock during a call, so the locks here cost
    nothing: they let readers see a video whole or not at all, and let a purge copy while others search.
    """

    def __init__(self, folder: Path, text_dimension: int | None, visual_dimension: int | None) -> None:
        self._folder = folder
        self._dimensions = leg_dimensions(text_dimension, visual_dimension)
        self._writing = threading.Lock()
        self._using = threading.Lock()
        with told_by_engine(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._name, self._shard = self._open()
            self._remove_others()

    def replace(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        checked = checked_points(tenant, video_id, points, self._dimensions)
        others = edge.Filter(
            must=_conditions(video_conditions(tenant, video_id)),
            must_not=[edge.HasIdCondition({point.moment.moment_id for point in checked})],
        )
        with self._writing, self._engine() as shard:
            self._check_room()
            for chunk in chunks(checked):
                shard.update(edge.UpdateOperation.upsert_points([_engine_point(point) for point in chunk]))
            shard.update(edge.UpdateOperation.delete_points_by_filter(others))
            shard.flush()

    def delete(self, tenant: str, video_id: str) -> int:
        scope = edge.Filter(must=_conditions(video_conditions(tenant, video_id)))
        with self._writing, self._engine() as shard:
            found = shard.count(edge.CountRequest(exact=True, filter=scope))
            shard.update(edge.UpdateOperation.delete_points_by_filter(scope))
            shard.flush()
        return int(found)

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        asked = checked_queries(queries, self._dimensions, limit)
        conditions = edge.Filter(must=_conditions(scope_conditions(scope)))
        # Rarity is counted inside the tenant: another tenant's words must not move the scores.
        tenant = edge.Filter(must=_conditions([("tenant", (scope.tenant,))]))
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(_engine_vector(vector), using=leg),
                filter=conditions,
                params=edge.SearchParams(idf=edge.IdfParams(tenant)) if leg in SPARSE_LEGS else None,
            )
            for leg, vector in asked.items()
        ]
        with self._engine() as shard:
            answers = shard.query_batch(edge.QueryBatchRequest(requests))
        found = dict(zip(asked, answers, strict=True))
        return {leg: ranked(found.get(leg, [])) for leg in queries}

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        conditions = _conditions([("tenant", (check_tenant(tenant),))])
        asked = known_ids(moment_ids)
        scope = edge.Filter(must=[*conditions, edge.HasIdCondition(set(asked))])
        request = edge.ScrollRequest(limit=max(len(asked), 1), filter=scope, with_payload=True)
        with self._engine() as shard:
            records, _ = shard.scroll(request)
        found: dict[str, Any] = {str(record.id): record.payload for record in records}
        return [from_payload(found[moment_id]) for moment_id in asked if moment_id in found]

    def count(self, tenant: str, video_id: str | None = None) -> int:
        scope = edge.Filter(must=_conditions(video_conditions(tenant, video_id)))
        with self._engine() as shard:
            return int(shard.count(edge.CountRequest(exact=True, filter=scope)))

    def scroll(self, tenant: str, video_id: str | None = None) -> Iterator[Point]:
        scope = edge.Filter(must=_conditions(video_conditions(tenant, video_id)))
        return (restored_point(record) for page in self._pages(scope) for record in page)

    def purge(self) -> None:
        """Copy the live points of all tenants into a new shard folder, make it the live one, remove the old folder."""
        with self._writing:
            name = f"shard-{int(self._name.removeprefix('shard-')) + 1:04}"
            with self._engine():
                self._check_room()
            with told_by_engine(self._folder):
                self._build(name, self._pages(None))
                for path in [*(self._folder / name).rglob("*"), self._folder / name, self._folder]:
                    sync(path)  # a power cut must not find the copy torn and the old folder gone
                shard = self._load(name)
                point_to(self._folder, name)
            with self._engine() as old:
                old.close()
                self._name, self._shard = name, shard
                self._remove_others()

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

    def _pages(self, scope: edge.Filter | None) -> Iterator[list[edge.Record]]:
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=PAGE_POINTS, filter=scope, with_payload=True, with_vector=True
            )
            with self._engine() as shard:
                records, offset = shard.scroll(request)
            if records:
                yield records
            if offset is None:
                return

    def _open(self) -> tuple[str, edge.EdgeShard | None]:
        name = current_shard(self._folder)
        if name is None:
            name = "shard-0001"
            self._check_room()
            self._build(name, [])
        if not (self._folder / "CURRENT").exists():
            point_to(self._folder, name)
        return name, self._load(name)

    def _load(self, name: str) -> edge.EdgeShard:
        try:
            return edge.EdgeShard.load(str(self._folder / name), self._config())
        except Exception as error:
            if "ncompatible" in str(error):
                raise IndexMismatchError(
                    f"The index in {self._folder} was built with other vectors than this run's {self._dimensions}. "
                    "Run: playhead reindex"
                ) from error
            raise

    def _build(self, name: str, pages: Iterable[list[edge.Record]]) -> None:
        """Make a shard folder that is whole before it gets its name."""
        building = self._folder / f"{name}.building"
        for leftover in (building, self._folder / name):
            shutil.rmtree(leftover, ignore_errors=True)
        shard = edge.EdgeShard.create(str(building), self._config())
        try:
            for key in INDEXED_KEYS:
                shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Keyword))
            for page in pages:
                points = [edge.Point(record.id, record.vector or {}, record.payload) for record in page]
                shard.update(edge.UpdateOperation.upsert_points(points))
            shard.flush()
        finally:
            shard.close()
        os.replace(building, self._folder / name)

    def _config(self) -> edge.EdgeConfig:
        nearest = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        return edge.EdgeConfig(
            vectors={
                leg: edge.EdgeVectorParams(
                    size, edge.Distance.Cosine, multivector_config=nearest if leg == VISUAL_LEG else None
                )
                for leg, size in self._dimensions.items()
            },
            sparse_vectors={leg: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for leg in SPARSE_LEGS},
            wal_enabled=True,
        )

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < MIN_FREE_BYTES:
            raise LibraryError(
                f"The disk of {self._folder} has {free // 2**20} MB free, and the index needs "
                f"{MIN_FREE_BYTES // 2**20} MB to write safely. Free some, or choose another disk with --library DIR."
            )

    def _remove_others(self) -> None:
        """Remove shard folders that a killed build or purge left; the live one is open, so nobody else builds here."""
        for path in self._folder.glob("shard-*"):
            if path.name != self._name:
                shutil.rmtree(path)


def current_shard(folder: Path) -> str | None:
    """The name of the live shard folder, or None in a new index."""
    shards = sorted(path.name for path in folder.glob("shard-*") if SHARD_NAME.fullmatch(path.name))
    pointer = folder / "CURRENT"
    if not pointer.exists() and len(shards) <= 1:  # a first shard is whole before CURRENT names it
        return shards[0] if shards else None
    name = pointer.read_text(encoding="utf-8", errors="replace").strip() if pointer.exists() else ""
    if name not in shards:
        raise LibraryError(
            f"{pointer} names {name!r}, but the shards here are {', '.join(shards) or 'none'}. "
            "Write the name of the newest into it, or delete the folder and ingest again."
        )
    return name


def point_to(folder: Path, name: str) -> None:
    """Make a shard folder the live one, in one step that survives a power cut."""
    scratch = folder / "CURRENT.new"
    scratch.write_text(name, encoding="utf-8")
    sync(scratch)
    os.replace(scratch, folder / "CURRENT")
    sync(folder)


def sync(path: Path) -> None:
    """Push a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told_by_engine(folder: Path) -> Iterator[None]:
    """Turn what engine and disk raise (bare `Exception`, Rust panics, `OSError`) into one line of `LibraryError`."""
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException" and not isinstance(error, OSError):
            raise
        if "WouldBlock" in str(error):
            raise LibraryError(f"The index in {folder} is open in another process. Stop it, or ask there.") from error
        fact = " ".join(str(error).split())[:300]
        raise LibraryError(
            f"The index in {folder} cannot be used ({fact}). "
            "Check the disk, then restore the folder from a backup, or delete it and ingest again."
        ) from error


def _conditions(conditions: Conditions) -> list[edge.ConditionType]:
    return [edge.FieldCondition(key, match=edge.MatchAny(list(values))) for key, values in conditions]


def _engine_point(point: Point) -> edge.Point:
    vectors = {leg: _engine_vector(vector) for leg, vector in point.vectors.items()}
    return edge.Point(point.moment.moment_id, vectors, clean_payload(point))


def _engine_vector(vector: LegVector) -> Any:
    if isinstance(vector, SparseVector):
        return edge.SparseVector(list(vector.indices), list(vector.values))
    return vector.tolist()
