"""Evidence: a retrieved moment, numbered for one question, with the video it belongs to and why it matched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingest.schema import Moment, Video


@dataclass(frozen=True, slots=True)
class ChannelScore:
    """Where a channel ranked the moment (1 is best) and its score there; scores of two channels do not compare."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """The key frame that a picture was found by: its second, and whether it is the same picture or only looks like it."""

    seconds: float
    match: Literal["same picture", "looks like"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A moment offered for one question under a number; `score` ranks the evidence of that question only."""

    number: int
    moment: Moment
    video: Video
    score: float
    channels: Mapping[str, ChannelScore] = field(default_factory=dict)
    seen: SeenFrame | None = None

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"evidence is numbered from 1, got {self.number}")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What one search found: evidence best first, the tier that served each role, and milliseconds per stage.

    `error` says why nothing could be searched for, in a batch that goes on. `removed_by_rules` counts, for each rule of
    the rules file, the moments found that it removed. `reason` says why a picture found nothing.
    """

    query: str
    evidence: tuple[Evidence, ...]
    tiers: Mapping[str, str]
    timings_ms: Mapping[str, float]
    error: str | None = None
    removed_by_rules: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None
