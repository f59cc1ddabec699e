"""One library with an ingester made of fakes that write down their work, also as a program that dies on the way.

`python ingest_kit.py LIBRARY VIDEO EVENT` ingests a video and kills itself with SIGKILL when EVENT is about to happen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fakes import HashEmbedder

from ingest.catalog import Catalog
from ingest.changed_areas import Box
from ingest.edge_index import EdgeIndex
from ingest.library import LibraryFolder
from ingest.media import MediaLimits
from ingest.pipeline import Ingester, IngestResult
from ingest.reading import VideoReader
from ingest.schema import TranscriptSegment
from ingest.screen_text import Picture, PlacedLine
from ingest.sources import find_sources
from ingest.speech import HeardBlock
from ingest.text_embedding import TokenVectors, Vectors
from ingest.visual_embedding import FingerprintEmbedder

HEARD_BLOCKS = 12

OnEvent = Callable[[str], None]


class Work:
    """Everything the models did, one line each, in a file that survives a kill."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self._path = path
        self._on_event = on_event

    def do(self, event: str) -> None:
        self._on_event(event)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(event + "\n")

    def done(self, kind: str) -> list[str]:
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        return [line for line in lines if line.startswith(kind)]


class BlockTranscriber:
    """Hears a word in each twelfth of every file."""

    name = "blocks"

    def __init__(self, work: Work, seconds: float) -> None:
        self._work = work
        self._block_seconds = seconds / HEARD_BLOCKS

    def transcribe(self, audio: Path, language: str | None = None, start_seconds: float = 0.0) -> Iterator[HeardBlock]:
        for number in range(round(start_seconds / self._block_seconds), HEARD_BLOCKS):
            self._work.do(f"hear {number}")
            start, end = number * self._block_seconds, (number + 1) * self._block_seconds
            word = TranscriptSegment(start, end, f"word {number}", "speech recogniser", "en", 0.8)
            yield HeardBlock(start, end, (word,))


class NotedReader:
    """Reads one line in every picture."""

    name = "noted"

    def __init__(self, work: Work) -> None:
        self._work = work

    def read(self, picture: Picture) -> list[PlacedLine]:
        height, width, _ = picture.shape
        shown = f"{zlib.crc32(picture.tobytes()):08x}"
        self._work.do(f"read {shown}")
        return [PlacedLine(f"Picture {shown}", 0.9, Box(0, 0, width, height))]


class NotedEmbedder(HashEmbedder):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def embed_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[TokenVectors]]:
        for text in texts:
            self._work.do(f"embed {text}")
        return super().embed_with_tokens(texts)


class NotedImageEmbedder(FingerprintEmbedder):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        for image in images:
            self._work.do(f"look {image.name}")
        return super().embed_images(images)


class Kit:
    """A library and what fills it, for several tenants."""

    def __init__(self, path: Path, on_event: OnEvent = lambda event: None, *, seconds: float = 4.0) -> None:
        self.folder = LibraryFolder(path)
        self.folder.create()
        self.catalog = Catalog(self.folder.catalog_url)
        self.work = Work(path.with_suffix(".work"), on_event)
        self.embedder = NotedEmbedder(self.work)
        self.images = NotedImageEmbedder(self.work)
        self.index = EdgeIndex(self.folder.index_folder, self.embedder.dimension, self.images.dimension)
        self.transcriber: BlockTranscriber | None = BlockTranscriber(self.work, seconds)
        self.hear_captioned = False
        self._on_event = on_event

    def ingester(self, tenant: str = "local") -> Ingester:
        reader = VideoReader(
            self.images,
            lambda: self.transcriber,
            lambda: NotedReader(self.work),
            MediaLimits(),
            hear_captioned=self.hear_captioned,
        )
        return Ingester(tenant, self.folder, self.catalog, self.index, self.embedder, reader)

    def ingest(self, *paths: Path, tenant: str = "local") -> dict[str, IngestResult]:
        sources, failures = find_sources(list(paths))
        assert failures == []
        ingester = self.ingester(tenant)
        return {Path(source.path).name: ingester.ingest(source, self._on_event) for source in sources}

    def close(self) -> None:
        self.index.close()
        self.catalog.close()


def main(library: str, video: str, event: str) -> None:
    def die(reached: str) -> None:
        if reached == event:
            os.kill(os.getpid(), signal.SIGKILL)

    kit = Kit(Path(library), die)
    (result,) = kit.ingest(Path(video)).values()
    kit.close()
    print(json.dumps({"status": result.status, "error": result.error}))


if __name__ == "__main__":
    main(*sys.argv[1:])
