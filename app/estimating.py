"""Says what an ingest would read, how long it takes and what it costs, without models and without touching the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.describer import told_cost
from app.settings import Settings
from app.text_forms import safe
from ingest.media import MediaLimits, probe_media
from ingest.schema import PlayheadError, timecode
from ingest.sources import Source, SourceFailure, find_sources, printable

# Seconds of work for one second of video, as seen on two cores with the demo videos and PocketSphinx.
SECONDS_PER_SECOND = {"captions": 0.01, "decode": 0.02, "screen text": 0.06, "speech": 0.25}
# Pictures kept of one second of video, where a film cuts every five seconds.
PICTURES_PER_SECOND = 0.2


@dataclass(frozen=True, slots=True)
class SourceEstimate:
    """What reading one source takes; times in seconds."""

    path: str
    title: str
    duration_seconds: float
    stages: tuple[str, ...]
    estimated_seconds: float
    estimated_pictures: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an ingest would read, about how long it takes on two cores, and what it costs in one sentence."""

    rows: tuple[SourceEstimate, ...]
    failures: tuple[SourceFailure, ...]
    description_cost: str

    @property
    def failed(self) -> bool:
        return bool(self.failures)

    @property
    def estimated_seconds(self) -> float:
        return round(sum(row.estimated_seconds for row in self.rows), 1)

    def as_json(self) -> dict[str, Any]:
        return {
            "videos": [asdict(row) for row in self.rows],
            "failures": [{"path": failure.path, "error": failure.message} for failure in self.failures],
            "estimated_seconds": self.estimated_seconds,
            "description_cost": self.description_cost,
        }

    def as_text(self) -> str:
        lines = [
            f"{safe(row.title)}  {timecode(row.duration_seconds)}  about {row.estimated_seconds:.0f} s "
            f"({', '.join(row.stages)})"
            for row in self.rows
        ]
        lines.append(
            f"{len(self.rows)} videos, about {self.estimated_seconds:.0f} s on two cores. Nothing was read yet."
        )
        lines.append(self.description_cost)
        return "\n".join([*lines, *(f"failed  {failure.message}" for failure in self.failures)])


def estimate_paths(settings: Settings, paths: Sequence[Path]) -> Estimate:
    """What an ingest of these paths would do."""
    sources, failures = find_sources(paths)
    return estimate_sources(settings, sources, failures)


def estimate_sources(settings: Settings, sources: Sequence[Source], failures: Sequence[SourceFailure] = ()) -> Estimate:
    """What an ingest of these sources would do; one that cannot be probed is among the failures."""
    rows, failed = [], list(failures)
    limits = MediaLimits(wall_seconds=settings.decode_seconds)
    for source in sources:
        try:
            rows.append(_estimate(source, limits))
        except PlayheadError as error:
            failed.append(SourceFailure(printable(source.path), str(error)))
    pictures = sum(row.estimated_pictures for row in rows)
    model, dollars = settings.describe_model, settings.describe_dollars
    cost = told_cost(model, pictures, settings.describe_tokens, dollars) if model else "Nothing costs money."
    return Estimate(tuple(rows), tuple(failed), cost)


def _estimate(source: Source, limits: MediaLimits) -> SourceEstimate:
    probed = probe_media(source.media, limits) if source.media else None
    duration = probed.duration_seconds if probed else source.duration_seconds or 0.0
    has_video = bool(probed and probed.has_video)
    has_captions = bool(source.captions or (probed and probed.subtitles))
    wanted = {
        "decode": bool(probed),
        "screen text": has_video,
        "captions": has_captions,
        "speech": bool(probed and probed.has_audio and not has_captions),
    }
    stages = tuple(stage for stage, is_wanted in wanted.items() if is_wanted)
    return SourceEstimate(
        path=printable(source.path),
        title=source.title or printable(Path(source.path.stem)),
        duration_seconds=duration,
        stages=stages,
        estimated_seconds=round(sum(SECONDS_PER_SECOND[stage] * duration for stage in stages), 1),
        estimated_pictures=round(duration * PICTURES_PER_SECOND) if has_video else 0,
    )
