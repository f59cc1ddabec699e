"""What both stores share: which points and queries are allowed, and how moments are filtered, cut and restored."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ingest.index import (
    DENSE_LEGS,
    FILTER_KEYS,
    LEGS,
    SPARSE_LEGS,
    VISUAL_LEG,
    LegHit,
    LegVector,
    Point,
    Scope,
    SparseVector,
    from_payload,
    to_payload,
)
from ingest.library import check_tenant

INDEXED_KEYS = ("tenant", "video_id", *FILTER_KEYS)
CHUNK_POINTS = 1000
CHUNK_NUMBERS = 1_000_000  # 5 MB in the engine's log, 20 MB as JSON where a server takes 32 MB

Conditions = Sequence[tuple[str, tuple[str, ...]]]
"""Payload keys, each with the values of which one must match."""


def leg_dimensions(text_dimension: int | None, visual_dimension: int | None) -> dict[str, int]:
    """The dense and visual legs that an index has, each with its dimension; the sparse legs are always there."""
    text = dict.fromkeys(DENSE_LEGS, text_dimension) if text_dimension else {}
    visual = {VISUAL_LEG: visual_dimension} if visual_dimension else {}
    return {leg: size for leg, size in {**text, **visual}.items() if size}


def checked_points(tenant: str, video_id: str, points: Sequence[Point], dimensions: Mapping[str, int]) -> list[Point]:
    """The points as they will be stored, without vectors that say nothing; `ValueError` for what must not be stored."""
    check_tenant(tenant)
    checked = []
    for point in points:
        if (point.moment.tenant, point.moment.video_id) != (tenant, video_id):
            raise ValueError(
                f"a moment of {point.moment.tenant}/{point.moment.video_id} cannot be stored in {tenant}/{video_id}"
            )
        unknown = set(point.labels) - set(FILTER_KEYS)
        if unknown:
            raise ValueError(f"unknown label {', '.join(sorted(unknown))}; labels are {', '.join(FILTER_KEYS)}")
        vectors = {leg: checked_vector(leg, vector, dimensions) for leg, vector in point.vectors.items()}
        checked.append(replace(point, vectors={leg: kept for leg, kept in vectors.items() if kept is not None}))
    return checked


def checked_queries(
    queries: Mapping[str, LegVector], dimensions: Mapping[str, int], limit: int
) -> dict[str, LegVector]:
    """The queries that this index can answer: those on its legs, with something in them."""
    if limit < 1:
        raise ValueError(f"a search needs a limit of at least 1, got {limit}")
    checked = {}
    for leg, query in queries.items():
        if leg in LEGS and leg not in SPARSE_LEGS and leg not in dimensions:
            continue
        rows = query[np.newaxis] if leg == VISUAL_LEG and isinstance(query, np.ndarray) else query
        kept = checked_vector(leg, rows, dimensions)
        if kept is not None:
            checked[leg] = kept
    return checked


def checked_vector(leg: str, vector: LegVector, dimensions: Mapping[str, int]) -> LegVector | None:
    """A leg's vector as float32 or sparse, or None when it says nothing: empty or all zeros."""
    if leg in SPARSE_LEGS:
        return _checked_sparse(leg, vector)
    if leg not in dimensions:
        raise ValueError(f"this index has no leg {leg}; it has {', '.join((*dimensions, *SPARSE_LEGS))}")
    rows = np.asarray(vector, dtype=np.float32)
    if rows.ndim != (2 if leg == VISUAL_LEG else 1) or rows.shape[-1] != dimensions[leg]:
        raise ValueError(f"{leg} has dimension {dimensions[leg]}, got a vector of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{leg} needs finite numbers, got NaN or infinity")
    if leg == VISUAL_LEG:
        rows = rows[rows.any(axis=1)]
    return rows if rows.any() else None


def _checked_sparse(leg: str, vector: LegVector) -> SparseVector | None:
    if not isinstance(vector, SparseVector):
        raise ValueError(f"{leg} takes a SparseVector, got {type(vector).__name__}")
    if len(vector.indices) != len(vector.values) or len(set(vector.indices)) != len(vector.indices):
        raise ValueError(f"{leg} needs distinct indices, one a value, got {len(vector.indices)}, {len(vector.values)}")
    if not np.isfinite(vector.values).all() or any(not 0 <= index < 2**32 for index in vector.indices):
        raise ValueError(f"{leg} needs finite values and indices of 32 bits without sign")
    return vector if vector.indices else None


def chunks(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Parts of at most `CHUNK_POINTS` points and about `CHUNK_NUMBERS` numbers."""
    chunk: list[Point] = []
    numbers = 0
    for point in points:
        size = sum(len(v.indices) * 2 if isinstance(v, SparseVector) else v.size for v in point.vectors.values())
        if chunk and (len(chunk) == CHUNK_POINTS or numbers + size > CHUNK_NUMBERS):
            yield chunk
            chunk, numbers = [], 0
        chunk.append(point)
        numbers += size
    if chunk:
        yield chunk


def clean_payload(point: Point) -> dict[str, Any]:
    """The payload with characters that no store takes (lone surrogates) as question marks."""
    payload: dict[str, Any] = json.loads(json.dumps(to_payload(point), ensure_ascii=False).encode("utf-8", "replace"))
    return payload


def restored_point(payload: Any, vectors: Any) -> Point:
    """A point as it was, from its payload and the engine's vectors; dense and visual vectors have length one."""
    return Point(
        moment=from_payload(payload),
        vectors={
            leg: SparseVector(tuple(vector.indices), tuple(vector.values))
            if leg in SPARSE_LEGS
            else np.asarray(vector, dtype=np.float32)
            for leg, vector in vectors.items()
        },
        labels={key: tuple(payload[key]) for key in FILTER_KEYS if key in payload},
    )


def ranked(scored: Iterable[Any]) -> list[LegHit]:
    """What an engine returned (objects with `id` and `score`), best first; equal scores by id, to be repeatable."""
    hits = [LegHit(str(point.id), float(point.score)) for point in scored]
    return sorted(hits, key=lambda hit: (-hit.score, hit.moment_id))


def known_ids(moment_ids: Sequence[str]) -> list[str]:
    """The ids that could be a moment's: a store refuses others instead of not finding them."""
    return [moment_id for moment_id in moment_ids if _is_uuid(moment_id)]


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def scope_conditions(scope: Scope) -> Conditions:
    """What a search may see: the tenant always, then any of the videos, then for each label any of its values."""
    videos = [("video_id", tuple(scope.video_ids))] if scope.video_ids else []
    return [("tenant", (check_tenant(scope.tenant),)), *videos, *scope.labels.items()]


def video_conditions(tenant: str, video_id: str | None) -> Conditions:
    """A tenant, or one of its videos."""
    videos = [("video_id", (video_id,))] if video_id is not None else []
    return [("tenant", (check_tenant(tenant),)), *videos]
