"""Whether a picture finds its video and its second, and a picture of no video finds nothing, at which speed."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.picture_variants import VARIANTS
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import Scope
from ingest.library import LibraryFolder
from ingest.media import MediaLimits
from ingest.pipeline import Ingester
from ingest.reading import VideoReader
from ingest.schema import PlayheadError, Video
from ingest.sources import find_sources
from ingest.visual_embedding import FingerprintEmbedder
from retrievers.evidence import Evidence, SearchResult
from retrievers.image_search import LEAST_CORNERS, ImageSearcher
from retrievers.picture_match import QUERY_CORNERS, QUERY_SIDE_PIXELS, at_side, corners_of

if TYPE_CHECKING:
    from PIL import Image

TENANT = "bench"
SEED = 7
FRAMES_PER_VIDEO = 2
# As far as that from every key frame, so that no picture is one that the library holds.
APART_SECONDS = 0.4
NEAR_SECONDS = 2.0
# Key frames nearer than this are one picture: their videos hold the same, and lie on one side of the split.
SAME_COSINE = 0.9
# What the cosine does not tell, by parts of file names: one wall drawn at two sizes, one stream cut to two shapes, and a
# test pattern in several sizes.
SAME_CONTENT = (
    ("great-wall",),
    ("stream-of-water",),
    ("testsrc", "h264-mjpeg", "h264_10bits", "h265_video", "av1_video"),
)
STRANGER_VARIANTS = ("as it is", "desktop", "crop to 60%", "photographed")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a video, at a second that is no key frame's."""

    video: Video
    seconds: float
    picture: Image.Image


@dataclass(slots=True)
class Tally:
    """How the searches with one kind of pictures ended."""

    searches: int = 0
    right_video: int = 0
    right_second: int = 0
    milliseconds: list[float] = field(default_factory=list)


class PictureLibrary:
    """A library of videos of which only the pictures were read."""

    def __init__(self, path: Path) -> None:
        self.folder = LibraryFolder(path)
        self.folder.create()
        self.embedder = FingerprintEmbedder()
        self.catalog = Catalog(self.folder.catalog_url)
        self.index = EdgeIndex(self.folder.index_folder, None, self.embedder.dimension)

    def read(self, paths: Sequence[Path]) -> None:
        """Read the videos; those that cannot be read are left out."""
        reader = VideoReader(self.embedder, lambda: None, lambda: None, MediaLimits())
        ingester = Ingester(TENANT, self.folder, self.catalog, self.index, None, reader)
        for source in find_sources(list(paths))[0]:
            try:
                ingester.ingest(source)
            except PlayheadError as error:
                print(f"  left out: {error}")

    def searcher(self) -> ImageSearcher:
        return ImageSearcher(self.index, self.catalog, self.embedder, self.folder.frame_path, NoWords())

    def key_frames(self, video: Video) -> list[float]:
        return [frame.time_seconds for frame in self.catalog.timeline(TENANT, video.video_id).keyframes]

    def is_right_second(self, hit: Evidence, shown: Shown) -> bool:
        """Whether the frame found lies in the shot that the picture is of, or within 2 s."""
        assert hit.seen
        shots = self.catalog.timeline(TENANT, hit.video.video_id).shots
        in_shot = any(
            shot.start_seconds <= shown.seconds < shot.end_seconds
            and shot.start_seconds <= hit.seen.seconds < shot.end_seconds
            for shot in shots
        )
        return in_shot or abs(hit.seen.seconds - shown.seconds) <= NEAR_SECONDS

    def close(self) -> None:
        self.index.close()
        self.catalog.close()


class NoWords:
    """Stands where words are searched for; the benchmark asks by pictures alone."""

    def search(self, question: str, scope: Scope, limit: int = 10) -> SearchResult:
        return SearchResult(question, (), {}, {})


def bench_images(demo: Path, media: Path | None) -> None:
    """Split the videos into two halves of different content; search each half for pictures of both."""
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as name:
        library = PictureLibrary(Path(name))
        library.read([demo, *([media] if media else [])])
        groups = content_groups(library)
        choice = random.Random(SEED)
        shown = [item for group in groups.values() for item in pictures_of(library, group[0], choice)]
        plain = [item for item in shown if is_plain(item.picture)]
        shown = [item for item in shown if item not in plain]
        print(f"images: {len(groups)} different videos, {len(shown)} frames, {len(plain)} more are too plain")
        search_halves(library, groups, shown, choice)
        library.close()


def search_halves(
    library: PictureLibrary, groups: dict[str, list[Video]], shown: Sequence[Shown], choice: random.Random
) -> None:
    """Each half is the library once, by scope; the other half's pictures must find nothing there."""
    of_video = {video.video_id: name for name, group in groups.items() for video in group}
    names = list(groups)
    halves = (names[0::2], names[1::2])
    tallies = {name: Tally() for name in VARIANTS}
    false: Counter[str] = Counter()
    strangers = 0
    searcher = library.searcher()
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as folder:
        query = Path(folder) / "query.png"
        for number, half in enumerate(halves, start=1):
            scope = Scope(TENANT, tuple(video.video_id for name in half for video in groups[name]))
            for item in shown:
                is_here = of_video[item.video.video_id] in half
                for variant in VARIANTS if is_here else STRANGER_VARIANTS:
                    VARIANTS[variant](item.picture, choice).save(query, compress_level=1)
                    result = searcher.search(query, scope)
                    if is_here:
                        count(tallies[variant], result, item, of_video, library)
                    else:
                        strangers += 1
                        false[f"half {number}"] += bool(result.evidence)
    for variant, tally in tallies.items():
        low, high = (sorted(tally.milliseconds)[int(part * len(tally.milliseconds))] for part in (0.5, 0.95))
        print(f"  {variant:28} right video {tally.right_video / tally.searches:.3f}, right second "
              f"{tally.right_second / tally.searches:.3f} of {tally.searches}; p50 {low:.0f} ms p95 {high:.0f} ms")  # fmt: skip
    everything = [spent for tally in tallies.values() for spent in tally.milliseconds]
    print(f"  pictures of other videos that match: {false.total()} of {strangers} ({dict(false)}); all searches: median "
          f"{median(everything):.0f} ms, p95 {sorted(everything)[int(0.95 * len(everything))]:.0f} ms")  # fmt: skip


def count(tally: Tally, result: SearchResult, item: Shown, of_video: dict[str, str], library: PictureLibrary) -> None:
    tally.searches += 1
    tally.milliseconds.append(result.timings_ms["total"])
    if not result.evidence or of_video[result.evidence[0].video.video_id] != of_video[item.video.video_id]:
        return
    tally.right_video += 1
    same = [hit for hit in result.evidence if hit.video.video_id == item.video.video_id]
    tally.right_second += bool(same) and library.is_right_second(same[0], item)


def content_groups(library: PictureLibrary) -> dict[str, list[Video]]:
    """The videos with pictures, those of the same content together, by the first one's title and id."""
    groups: dict[str, list[Video]] = {}
    vectors: dict[str, list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]] = {}
    for video in library.catalog.videos(TENANT):
        times = library.key_frames(video)
        if not times:
            continue
        paths = [library.folder.frame_path(TENANT, video.video_id, seconds) for seconds in times]
        prints = library.embedder.embed_images(paths)
        same = [
            name
            for name, known in vectors.items()
            if any(float((prints @ other.T).max()) >= SAME_COSINE for other in known)
            or named_alike(video, groups[name])
        ]
        name = same[0] if same else f"{video.title} {video.video_id[:6]}"
        groups.setdefault(name, []).append(video)
        vectors.setdefault(name, []).append(prints)
        for other in same[1:]:  # this video is what both have in common
            groups[name] += groups.pop(other)
            vectors[name] += vectors.pop(other)
    return groups


def named_alike(video: Video, others: Sequence[Video]) -> bool:
    """Whether the names tell that a video holds the same as one of the others."""
    names, known = (" ".join(path for one in some for path in one.paths) for some in ([video], others))
    return any(any(part in names for part in parts) and any(part in known for part in parts) for parts in SAME_CONTENT)


def pictures_of(library: PictureLibrary, video: Video, choice: random.Random) -> list[Shown]:
    """Frames of a video at random seconds between its key frames."""
    held = library.key_frames(video)
    wanted: list[float] = []
    for _ in range(100):
        seconds = choice.uniform(0.0, 0.95 * video.duration_seconds)
        if len(wanted) < FRAMES_PER_VIDEO and all(abs(seconds - other) >= APART_SECONDS for other in (*held, *wanted)):
            wanted.append(seconds)
    return [Shown(video, seconds, picture) for seconds, picture in decoded(Path(video.paths[0]), sorted(wanted))]


def decoded(path: Path, wanted: Sequence[float]) -> Iterator[tuple[float, Image.Image]]:
    """The first frame at or after each second."""
    import av

    waiting = list(wanted)
    with av.open(str(path)) as container:
        first = container.streams.video[0].start_time or 0
        base = container.streams.video[0].time_base
        start = float(first * base) if base else 0.0
        frames: Iterator[Any] = container.decode(video=0)
        for frame in frames:
            if not waiting:
                return
            seconds = (frame.time or 0.0) - start
            if seconds >= waiting[0]:
                waiting.pop(0)
                yield seconds, frame.to_image()


def is_plain(picture: Image.Image) -> bool:
    """Whether it shows too little to be told from other pictures."""
    grey = at_side(np.asarray(picture.convert("L")), QUERY_SIDE_PIXELS)
    return len(corners_of(grey, QUERY_CORNERS)) < LEAST_CORNERS
