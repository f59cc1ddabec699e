"""What a video is built from besides its media: its captions, what a manifest says of it, and the options of the reading."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.captions import find_sidecars
from ingest.schema import Video
from ingest.sources import Source
from ingest.text_embedding import file_sha256

UNDESCRIBED = "no manifest"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of a video's captions and of what a manifest says of it, and the options it was read with."""

    captions: str
    manifest: str
    options: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.captions, self.manifest, self.options)))

    @classmethod
    def read(cls, text: str) -> Fingerprint:
        """The inverse of `str`."""
        return cls(*text.split("/", 2))


def all_captions(source: Source, paths: Sequence[str]) -> tuple[Path, ...]:
    """The source's caption files and those beside every other copy of the video, so that its name does not matter."""
    others = [Path(path) for path in paths if source.media and os.path.isfile(path)]
    return tuple(dict.fromkeys([*source.captions, *(found for path in others for found in find_sidecars(path))]))


def is_described(source: Source) -> bool:
    """Whether a manifest says something about the video."""
    return bool(source.title or source.url or source.tags or source.published_at or source.duration_seconds)


def as_described(source: Source, known: Video) -> Source:
    """The source with what a manifest once said of the video."""
    return replace(
        source, title=known.title, url=known.url, tags=known.tags, published_at=known.published_at,
        duration_seconds=None if source.media else known.duration_seconds,
    )  # fmt: skip


def fingerprint_of(source: Source, captions: Sequence[Path], options: str) -> Fingerprint:
    """The fingerprint of a source that is read with these caption files."""
    heard = hashlib.sha256("".join(sorted({file_sha256(path) for path in captions})).encode()).hexdigest()
    if not is_described(source):
        return Fingerprint(heard, UNDESCRIBED, options)
    said = json.dumps([source.title, source.url, source.tags, source.published_at])
    return Fingerprint(heard, hashlib.sha256(said.encode()).hexdigest(), options)
