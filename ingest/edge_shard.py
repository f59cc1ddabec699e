"""One shard folder of the embedded engine: its settings, its points, its files, and the pointer to the live one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import qdrant_edge as edge

from ingest.index import SPARSE_LEGS, VISUAL_LEG, LegVector, Point, SparseVector
from ingest.index_rules import INDEXED_KEYS, Conditions, clean_payload, video_conditions
from ingest.schema import IndexMismatchError, LibraryError

PAGE_POINTS = 250
SHARD_NAME = re.compile(r"shard-\d{4,}")
BLOCK = bytes(1024 * 1024)
# No graph (m=0): every vector is looked at. What building brings is segments that load with little work, and 4 bits a
# number beside the vectors, which a search looks at first: half the time, and 1.000 of the exact first ten.
FULL_SCAN = edge.HnswIndexConfig(m=0, ef_construct=1, full_scan_threshold=0)
FOUR_BITS = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4)
# Twice as many as asked for are then scored by their vectors: with once as many 0.965 of the exact hundred are found.
RESCORED = edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=2.0))
BUILD_ALL = edge.EdgeOptimizersConfig(indexing_threshold=1)


def shard_config(dimensions: Mapping[str, int]) -> edge.EdgeConfig:
    """The settings of every shard of an index with these dense and visual legs."""
    nearest = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    return edge.EdgeConfig(
        vectors={
            leg: edge.EdgeVectorParams(
                size, edge.Distance.Cosine, multivector_config=nearest if leg == VISUAL_LEG else None
            )
            for leg, size in dimensions.items()
        },
        sparse_vectors={leg: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for leg in SPARSE_LEGS},
        hnsw_config=FULL_SCAN,
        quantization_config=FOUR_BITS,
        optimizers=BUILD_ALL,
        wal_enabled=True,
    )


def create_shard(path: Path, dimensions: Mapping[str, int]) -> edge.EdgeShard:
    """A new empty shard, open; the engine's first `len(INDEXED_KEYS)` updates are its key indexes."""
    shard = edge.EdgeShard.create(str(path), shard_config(dimensions))
    for key in INDEXED_KEYS:
        shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Keyword))
    return shard


def load_shard(path: Path, dimensions: Mapping[str, int]) -> edge.EdgeShard:
    """Open a shard; `IndexMismatchError` when it has other legs or dimensions."""
    try:
        return edge.EdgeShard.load(str(path), shard_config(dimensions))
    except Exception as error:
        if "ncompatible" in str(error):
            raise IndexMismatchError(
                f"The index in {path.parent} was built with other vectors than this run's {dict(dimensions)}. "
                "Run: playhead reindex"
            ) from error
        raise


def page_request(scope: edge.Filter | None, offset: Any) -> edge.ScrollRequest:
    """A request for the next points with all they hold."""
    return edge.ScrollRequest(offset=offset, limit=PAGE_POINTS, filter=scope, with_payload=True, with_vector=True)


def count_points(shard: edge.EdgeShard, scope: edge.Filter) -> int:
    return int(shard.count(edge.CountRequest(exact=True, filter=scope)))


def all_but(without: tuple[str, str] | None) -> edge.Filter:
    """The stored moments of all tenants, except one video (tenant, video_id)."""
    gone: list[edge.ConditionType] = [edge.IsEmptyCondition("tenant")]  # see `tombstone`
    if without:
        gone.append(edge.Filter(must=engine_conditions(video_conditions(*without))))
    return edge.Filter(must_not=gone)


def engine_conditions(conditions: Conditions) -> list[edge.ConditionType]:
    return [edge.FieldCondition(key, match=_match(values)) for key, values in conditions]


def _match(values: Sequence[str]) -> edge.MatchValue | edge.MatchAny:
    """One of the values; the engine compares with a single one in less than half the time."""
    return edge.MatchValue(values[0]) if len(values) == 1 else edge.MatchAny(list(values))


def engine_point(point: Point) -> edge.Point:
    vectors = {leg: engine_vector(vector) for leg, vector in point.vectors.items()}
    return edge.Point(point.moment.moment_id, vectors, pack(clean_payload(point)))


def tombstone(moment_id: int | UUID | str) -> edge.Point:
    """What a moment is overwritten with in the same update that brings its video's new ones: no reader finds it."""
    return edge.Point(moment_id, {}, {})


def pack(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as the engine gets it: what is filtered by, and all of it as one text.

    The engine takes 4 microseconds for each value in a payload, 0.25 ms for a moment; in this form it takes 0.01 ms.
    """
    filtered = {key: payload[key] for key in INDEXED_KEYS if key in payload}
    return {**filtered, "moment": json.dumps(payload, ensure_ascii=False)}


def unpack(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `pack`; older libraries hold payloads that were not packed."""
    try:
        return dict(orjson.loads(payload["moment"]) if "moment" in payload else payload)
    except ValueError as error:
        raise LibraryError(
            f"The index holds a moment that cannot be read ({error}). "
            "Restore the index folder from a backup, or delete it and ingest again."
        ) from error


def engine_vector(vector: LegVector) -> Any:
    if isinstance(vector, SparseVector):
        return edge.SparseVector(list(vector.indices), list(vector.values))
    return vector.tolist()


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
    """Make a shard folder the live one, in one step; `sync` the folder to survive a power cut."""
    scratch = folder / "CURRENT.new"
    scratch.write_text(name, encoding="utf-8")
    sync(scratch)
    os.replace(scratch, folder / "CURRENT")


def sync_tree(folder: Path) -> None:
    """Push a folder with everything under it to the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Push a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_shard(source: Path, target: Path) -> None:
    """Copy a shard that nobody writes to: the engine keeps 32 MB maps that are mostly holes."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_sparse(path, copy)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file, leaving holes where it has nothing but zeros."""
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(len(BLOCK)):
            if block == BLOCK[: len(block)]:
                writing.seek(len(block), os.SEEK_CUR)
            else:
                writing.write(block)
        writing.truncate()


def read_ahead(folder: Path) -> None:
    """Bring a shard into the system's cache: the engine reads it while it holds the interpreter, this does not."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(len(BLOCK)):
                    pass


def stored_bytes(folder: Path) -> int:
    """What a folder takes on the disk; holes are not counted where the system tells them."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(file.st_size if os.name == "nt" else file.st_blocks * 512 for file in found)


def remove_shards(folder: Path, kept: str) -> None:
    """Remove every other shard, whole or in the making. Only the process that has `kept` open may call it."""
    for path in folder.glob("shard-*"):
        if path.name != kept:
            shutil.rmtree(path)


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
