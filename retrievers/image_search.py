"""Search by a picture: finds the second it was taken from, or says that nothing matches; words beside it choose the moment."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.catalog import Catalog
from ingest.index import VISUAL_LEG, Scope, VideoIndex
from ingest.schema import Moment, VideoError
from ingest.visual_embedding import ImageEmbedder, read_picture
from retrievers.diversity import drop_overlaps, shared_part
from retrievers.evidence import ChannelScore, Evidence, SearchResult, SeenFrame
from retrievers.frame_corners import frame_corners, grey_frame
from retrievers.picture_match import (
    QUERY_CORNERS,
    QUERY_SIDE_PIXELS,
    Corners,
    Grey,
    agreement,
    align,
    at_side,
    corners_of,
    votes,
)
from retrievers.search import Stopwatch, clean_question

if TYPE_CHECKING:
    from PIL import Image

# What the visual leg is asked for: so much that a library of some hours is compared whole, because the fingerprint of a
# crop or of a player on a desktop is not near that of the frame.
COMPARED_MOMENTS, COMPARED_FRAMES = 300, 600
ALIGNED_FRAMES = 12
VIEW_SIDE_PIXELS = 512
# A picture with fewer corners than this is black, one colour or nearly empty.
LEAST_CORNERS = 12
# Measured: of 64 changed frames the best unlike one reached 0.26, and 95% of the like ones more than 0.28.
LEAST_INLIERS, LEAST_AGREEMENT = 8, 0.3
# Rows of grey values that spread less than this are a player's bars.
BAR_SPREAD = 4.0
MOST_BAR_SHARE = 0.8
# A crop is also looked up as if it had been taken from each corner or the middle of a picture that much larger.
CROP_SHARE = 0.78
PLACES = (0.0, 0.5, 1.0)
VERIFIER = "ORB corners and homography"
TEXT_HITS = 50
# In standard deviations of the words' scores: what it counts that a moment's video, and the moment itself, holds the picture.
VIDEO_WEIGHT, MOMENT_WEIGHT = 3.0, 0.25
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
VIDEO_HEADS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\x00\x00\x01\xba", b"0&\xb2u")


class TextSearcher(Protocol):
    """Ranks moments by words."""

    def search(self, question: str, scope: Scope, limit: int = ...) -> SearchResult:
        """The best `limit` moments."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A moment that the visual leg ranked, from 1, with its best score over the views of the picture."""

    moment: Moment
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A moment that shows the picture or looks like it, with the frame that does; higher scores are better."""

    looked: Looked
    frame: SeenFrame
    score: float


class ImageSearcher:
    """Searches one library by pictures; `frame_path` says where the JPEG of (tenant, video, seconds) lies."""

    def __init__(
        self,
        index: VideoIndex,
        catalog: Catalog,
        embedder: ImageEmbedder | None,
        frame_path: Callable[[str, str, float], Path],
        words: TextSearcher,
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._embedder = embedder
        self._frame_path = frame_path
        self._words = words

    def search(self, image: Path, scope: Scope, limit: int = 10, question: str = "") -> SearchResult:
        """The moments that show the picture, each with the second; the result's `reason` says why there are none.

        Where the embedder knows what pictures show, those that look alike follow. With a question, the moments that
        answer it, those of the picture's videos first. Raises VideoError for a file that is no picture.
        """
        clock = Stopwatch()
        question = clean_question(question) if question.strip() else ""
        picture = read_query(image)
        with clock.stage("embed"):
            grey = at_side(np.asarray(picture.convert("L")), QUERY_SIDE_PIXELS)
            corners = corners_of(grey, QUERY_CORNERS)
            # A small library is compared whole: there the other views of the picture would only cost time.
            is_large = self._index.count(scope.tenant) > COMPARED_MOMENTS
            queries = self._embedded(views(picture, with_padded=is_large)) if self._embedder else []
        with clock.stage("search"):
            looked = self._look(queries, scope)
        with clock.stage("rerank"):
            seen = self._verified(grey, corners, looked, scope.tenant)
            reason = None if seen else self._why_nothing(corners)
            seen = without_overlaps([*seen, *self._alike(looked)])
        if question:
            return self._composed(question, scope, limit, seen, reason, clock)
        videos = self._catalog.get_many(scope.tenant, [item.looked.moment.video_id for item in seen])
        shown = [item for item in seen if item.looked.moment.video_id in videos][:limit]
        evidence = [
            Evidence(
                number, item.looked.moment, videos[item.looked.moment.video_id], item.score, channel(item), item.frame
            )
            for number, item in enumerate(shown, start=1)
        ]
        return SearchResult("", tuple(evidence), self._tiers(), clock.timings_ms(), reason=None if shown else reason)

    def _embedded(self, pictures: Sequence[Image.Image]) -> Sequence[NDArray[np.float32]]:
        assert self._embedder
        with tempfile.TemporaryDirectory(prefix="playhead-image-") as folder:
            paths = [Path(folder) / f"{number}.png" for number in range(len(pictures))]
            for path, picture in zip(paths, pictures, strict=True):
                picture.save(path, compress_level=1)
            return list(self._embedder.embed_images(paths))

    def _look(self, queries: Sequence[NDArray[np.float32]], scope: Scope) -> list[Looked]:
        """The moments nearest to any view of the picture, best first."""
        best: dict[str, float] = {}
        for query in queries:
            for hit in self._index.search({VISUAL_LEG: query}, scope, COMPARED_MOMENTS).get(VISUAL_LEG, ()):
                best[hit.moment_id] = max(hit.score, best.get(hit.moment_id, hit.score))
        ranked = sorted(best, key=lambda moment_id: -best[moment_id])[:COMPARED_MOMENTS]
        moments = self._index.fetch(scope.tenant, ranked)
        return [Looked(moment, rank, best[moment.moment_id]) for rank, moment in enumerate(moments, start=1)]

    def _verified(self, grey: Grey, corners: Corners, looked: Sequence[Looked], tenant: str) -> list[Seen]:
        """The moments with a key frame that is the picture, the most alike first."""
        if len(corners) < LEAST_CORNERS:
            return []
        holding: dict[tuple[str, float], list[Looked]] = {}
        for item in looked:
            for seconds in item.moment.keyframe_seconds:
                holding.setdefault((item.moment.video_id, seconds), []).append(item)
        frames = sorted(list(holding)[:COMPARED_FRAMES])
        paths = [self._frame_path(tenant, *frame) for frame in frames]
        held = [
            found for _, of_video in groupby(paths, lambda path: path.parent) for found in frame_corners(list(of_video))
        ]
        seen = []
        for position in np.argsort(-votes(corners, held), kind="stable")[:ALIGNED_FRAMES]:
            alike = likeness(grey, corners, held[position], paths[position])
            if alike >= LEAST_AGREEMENT:
                seconds = frames[position][1]
                item = min(holding[frames[position]], key=lambda item: off_centre(item.moment, seconds))
                seen.append(Seen(item, SeenFrame(seconds, "same picture"), alike))
        return sorted(seen, key=lambda item: -item.score)

    def _alike(self, looked: Sequence[Looked]) -> list[Seen]:
        """What only looks like the picture: said where near vectors mean alike things, as a fingerprint's do not."""
        if not self._embedder or self._embedder.embed_text(["a picture"]) is None:
            return []
        # Below every verified one, whose scores are 0..1.
        return [
            Seen(item, SeenFrame(item.moment.keyframe_seconds[0], "looks like"), item.score - 1.0)
            for item in looked
            if item.moment.keyframe_seconds
        ]

    def _composed(
        self, question: str, scope: Scope, limit: int, seen: Sequence[Seen], reason: str | None, clock: Stopwatch
    ) -> SearchResult:
        """What the words find, moved up where the picture is: in the same video, and a little more in the same moment."""
        told = self._words.search(question, scope, TEXT_HITS)
        evidence = composed(told.evidence, seen, limit) if seen else told.evidence[:limit]
        note = f"{reason} These hits are by the words alone." if evidence and not seen else None
        tiers = {**told.tiers, **self._tiers()}
        removed = told.removed_by_rules
        return SearchResult(question, evidence, tiers, clock.timings_ms(), removed_by_rules=removed, reason=note)

    def _why_nothing(self, corners: Corners) -> str:
        if not self._embedder:
            return "The library holds no pictures to compare with: its visual channel is off. See: playhead doctor"
        if len(corners) < LEAST_CORNERS:
            return "The picture is too plain to be recognised: it shows next to nothing. Give one with more to see."
        return "Nothing matches: no picture of the library is the same."

    def _tiers(self) -> dict[str, str]:
        return {"visual embedding": self._embedder.name if self._embedder else "off", "same picture": VERIFIER}


def composed(told: Sequence[Evidence], seen: Sequence[Seen], limit: int) -> tuple[Evidence, ...]:
    """The hits of the words, ranked by their standardised scores and by how well their video and moment show the picture."""
    by_video: dict[str, Seen] = {}
    for item in seen:
        by_video.setdefault(item.looked.moment.video_id, item)
    best = max(item.score for item in seen)
    scores = np.array([evidence.score for evidence in told])
    spread = float(scores.std()) if len(scores) else 0.0
    ranked = []
    for evidence in told:
        score = (evidence.score - float(scores.mean())) / spread if spread > 0 else 0.0
        shows = by_video.get(evidence.moment.video_id)
        here = next((item for item in seen if shared_part(item.looked.moment, evidence.moment) > 0), None)
        score += VIDEO_WEIGHT * (1 + shows.score - best) if shows else 0.0
        score += MOMENT_WEIGHT if here else 0.0
        channels = {**evidence.channels, **(channel(here) if here else {})}
        ranked.append(replace(evidence, score=score, channels=channels, seen=here.frame if here else None))
    ranked.sort(key=lambda evidence: -evidence.score)
    return tuple(replace(evidence, number=number) for number, evidence in enumerate(ranked[:limit], start=1))


def likeness(grey: Grey, corners: Corners, held: Corners, frame: Path) -> float:
    """How much of a picture agrees with a key frame, 0..1; 0 where no plausible homography lays one on the other."""
    alignment = align(corners, held)
    if alignment is None or alignment.inliers < LEAST_INLIERS:
        return 0.0
    shown = grey_frame(frame)
    return 0.0 if shown is None else max(0.0, agreement(grey, shown, alignment.matrix))


def without_overlaps(seen: Sequence[Seen]) -> list[Seen]:
    """The best of moments that overlap."""
    return [item for item, _ in drop_overlaps([(item, item.looked.moment) for item in seen], len(seen))]


def channel(seen: Seen) -> dict[str, ChannelScore]:
    return {"visual": ChannelScore(seen.looked.rank, seen.looked.score)}


def off_centre(moment: Moment, seconds: float) -> float:
    """How far a second is from the middle of a moment."""
    return abs((moment.start_seconds + moment.end_seconds) / 2 - seconds)


def views(picture: Image.Image, *, with_padded: bool) -> list[Image.Image]:
    """The pictures to look up: the whole, without bars, and padded as if it were cut out of a larger one."""
    from PIL import Image

    whole = picture.copy()
    whole.thumbnail((VIEW_SIDE_PIXELS, VIEW_SIDE_PIXELS))
    inside = without_bars(whole)
    unpadded = [whole, *([inside] if inside.size != whole.size else [])]
    if not with_padded:
        return unpadded
    width, height = round(inside.width / CROP_SHARE), round(inside.height / CROP_SHARE)
    colour = tuple(int(value) for value in np.asarray(inside).reshape(-1, 3).mean(axis=0))
    padded = []
    for across in PLACES:
        for down in PLACES:
            larger = Image.new("RGB", (width, height), colour)
            larger.paste(inside, (round(across * (width - inside.width)), round(down * (height - inside.height))))
            padded.append(larger)
    return [*unpadded, *padded]


def without_bars(picture: Image.Image) -> Image.Image:
    """The picture without the rows and columns at its edges that hold one colour; as it is where little would be left."""
    grey = np.asarray(picture.convert("L"), dtype=np.float64)
    rows = np.flatnonzero(grey.std(axis=1) > BAR_SPREAD)
    if not len(rows):
        return picture
    columns = np.flatnonzero(grey[rows[0] : rows[-1] + 1].std(axis=0) > BAR_SPREAD)
    if not len(columns):
        return picture
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    share = (box[2] - box[0]) * (box[3] - box[1]) / grey.size
    return picture if share < 1 - MOST_BAR_SHARE else picture.crop(box)


def read_query(image: Path) -> Image.Image:
    """A user's picture. Raises VideoError that says what to do, for a video, HEIC, an empty or a damaged file."""
    try:
        with image.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise VideoError(f"{image.name} cannot be read ({error.strerror}). Give --image a picture.") from error
    if not head:
        raise VideoError(f"{image.name} is empty. Give --image a picture.")
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in HEIF_BRANDS:
        raise VideoError(f"{image.name} is HEIC, which is not read here. Save it as JPEG or PNG.")
    if (brand and brand not in AVIF_BRANDS) or head.startswith(VIDEO_HEADS) or head[8:12] == b"AVI ":
        raise VideoError(f"{image.name} is a video. Give --image one picture of it, or run: playhead similar {image}")
    return read_picture(image)
