"""The index: one protocol over moments and their vectors, and the stored form that both engines share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.schema import Moment, ScreenText, TranscriptSegment

Dense = NDArray[np.float32]

DENSE_LEGS = ("speech_dense", "screen_dense", "description_dense")
SPARSE_LEGS = ("speech_bm25", "screen_bm25", "description_bm25")
VISUAL_LEG = "visual"
LEGS = (*DENSE_LEGS, *SPARSE_LEGS, VISUAL_LEG)

FILTER_KEYS = ("language", "tag", "year")


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A BM25 vector: token ids (uint32) and their weights."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


LegVector = Dense | SparseVector
"""dense (dim,), sparse, or for the visual leg (keyframes, dim); a visual query is (dim,)."""


@dataclass(frozen=True, slots=True)
class Point:
    """One moment as stored: its vectors by leg (absent where a channel is empty) and its video's filterable labels."""

    moment: Moment
    vectors: Mapping[str, LegVector]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may see: one tenant always, then videos and labels (every key must match one of its values)."""

    tenant: str
    video_ids: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tenant:
            raise ValueError("a scope needs a tenant, got an empty one")
        unknown = set(self.labels) - set(FILTER_KEYS)
        if unknown:
            raise ValueError(f"unknown filter {', '.join(sorted(unknown))}; filters are {', '.join(FILTER_KEYS)}")


@dataclass(frozen=True, slots=True)
class LegHit:
    """One moment found by one leg; higher is better."""

    moment_id: str
    score: float


class VideoIndex(Protocol):
    """Where moments live. Every call carries the tenant, and an implementation never answers across tenants."""

    def replace(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        """Publish a video: after it, exactly these moments are stored for it, and no reader has seen half of them."""

    def delete(self, tenant: str, video_id: str) -> int:
        """Remove a video's moments and return how many there were."""

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        """Rank moments for every leg asked, in one engine call, ids and scores only, best first."""

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        """Load moments by id, in the order asked, leaving out the unknown and other tenants' ones."""

    def count(self, tenant: str, video_id: str | None = None) -> int:
        """How many moments a tenant, or one of its videos, has."""

    def scroll(self, tenant: str, video_id: str | None = None) -> Iterator[Point]:
        """Every stored point of a tenant or of one of its videos, with vectors, ordered by nothing in particular."""

    def purge(self) -> None:
        """Rewrite the storage so that no byte of deleted moments is left in it."""

    def drop(self) -> None:
        """Remove the whole index, all tenants, and close it."""

    def close(self) -> None:
        """Release files and locks; later calls fail."""


def to_payload(point: Point) -> dict[str, Any]:
    """The stored form of a moment without its vectors: plain JSON."""
    moment = point.moment
    return {
        "tenant": moment.tenant,
        "video_id": moment.video_id,
        "start_seconds": moment.start_seconds,
        "end_seconds": moment.end_seconds,
        "transcript": [asdict(segment) for segment in moment.transcript],
        "screen_text": [asdict(span) for span in moment.screen_text],
        "description": moment.description,
        "chapter": moment.chapter,
        "keyframe_seconds": list(moment.keyframe_seconds),
        **{key: list(values) for key, values in point.labels.items()},
    }


def from_payload(payload: Mapping[str, Any]) -> Moment:
    """The inverse of `to_payload`, without the labels."""
    return Moment(
        tenant=payload["tenant"],
        video_id=payload["video_id"],
        start_seconds=payload["start_seconds"],
        end_seconds=payload["end_seconds"],
        transcript=tuple(TranscriptSegment(**segment) for segment in payload["transcript"]),
        screen_text=tuple(ScreenText(**span) for span in payload["screen_text"]),
        description=payload["description"],
        chapter=payload.get("chapter", ""),  # libraries of format 1 hold none
        keyframe_seconds=tuple(payload["keyframe_seconds"]),
    )
