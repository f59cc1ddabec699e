"""A picture finds its video and second, or nothing and why; words beside it choose; odd files are told in one line."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder
from PIL import Image
from test_picture_match import scene

from app.json_forms import hit_json, search_json
from app.text_forms import search_text
from evaluation.picture_variants import VARIANTS
from ingest.bm25 import bm25_document
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import VISUAL_LEG, Point, Scope
from ingest.library import LibraryFolder
from ingest.schema import Keyframe, Moment, Timeline, TranscriptSegment, Video, VideoError
from ingest.text_embedding import Vectors
from ingest.visual_embedding import FingerprintEmbedder, read_picture
from retrievers.image_search import ImageSearcher, read_query, views, without_bars
from retrievers.search import Searcher

SAID = {
    "harbour": ("The ships come in at dawn.", "Training a pilot takes seven years."),
    "mountain": ("The path climbs to the hut.", "Training for the summit takes a winter."),
    "kitchen": ("Knead the dough for ten minutes.", "The oven must be very hot."),
}
MOMENT_SECONDS = 20.0


class SemanticEmbedder(FingerprintEmbedder):
    """Claims to know what pictures show."""

    def embed_text(self, texts: Sequence[str]) -> Vectors:  # type: ignore[override]
        return np.ones((len(texts), self.dimension), np.float32) / np.sqrt(self.dimension)


class Shelves:
    """A library of three videos with two moments each; each moment has one key frame, 5 s after its start."""

    def __init__(self, path: Path, tenants: Sequence[str] = ("local",)) -> None:
        self.folder = LibraryFolder(path)
        self.folder.create()
        self.catalog = Catalog(self.folder.catalog_url)
        self.embedder = FingerprintEmbedder()
        self.index = EdgeIndex(self.folder.index_folder, HashEmbedder().dimension, self.embedder.dimension)
        self.pictures = {name: (scene(10 * n), scene(10 * n + 1)) for n, name in enumerate(SAID, start=1)}
        for tenant in tenants:
            for name in SAID:
                self._put(tenant, name)

    def _put(self, tenant: str, name: str) -> None:
        times = [5.0, MOMENT_SECONDS + 5.0]
        self.folder.frames_folder(tenant, name).mkdir(parents=True)
        points = []
        for number, (seconds, picture) in enumerate(zip(times, self.pictures[name], strict=True)):
            path = self.folder.frame_path(tenant, name, seconds)
            picture.save(path, quality=85)
            start = number * MOMENT_SECONDS
            said = TranscriptSegment(start, start + 10, SAID[name][number], "sidecar captions")
            moment = Moment(tenant, name, start, start + MOMENT_SECONDS, (said,), keyframe_seconds=(seconds,))
            words = bm25_document(said.text)
            assert words
            dense = HashEmbedder().embed([said.text])[0]
            vectors = {VISUAL_LEG: self.embedder.embed_images([path]), "speech_bm25": words, "speech_dense": dense}
            points.append(Point(moment, vectors))
        self.index.replace(tenant, name, points)
        frames = tuple(Keyframe(seconds, 0) for seconds in times)
        self.catalog.put(Video(tenant, name, name.title(), 2 * MOMENT_SECONDS, "f"), Timeline(keyframes=frames))

    def searcher(self, embedder: FingerprintEmbedder | None) -> ImageSearcher:
        words = Searcher(self.index, self.catalog, HashEmbedder(), embedder, None)
        return ImageSearcher(self.index, self.catalog, embedder, self.folder.frame_path, words)

    def close(self) -> None:
        self.index.close()
        self.catalog.close()


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelves]:
    made = Shelves(tmp_path_factory.mktemp("pictures") / "library")
    yield made
    made.close()


@pytest.fixture(scope="module")
def searcher(shelves: Shelves) -> ImageSearcher:
    return shelves.searcher(shelves.embedder)


def saved(picture: Image.Image, folder: Path, name: str = "query.png") -> Path:
    path = folder / name
    picture.save(path)
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_picture_finds_its_video_and_second(
    variant: str, shelves: Shelves, searcher: ImageSearcher, tmp_path: Path
) -> None:
    query = saved(VARIANTS[variant](shelves.pictures["mountain"][1], random.Random(3)), tmp_path)
    result = searcher.search(query, Scope("local"))
    (hit,) = result.evidence
    assert (hit.video.video_id, hit.seen and hit.seen.seconds) == ("mountain", 25.0)
    assert hit.moment.start_seconds == 20.0
    assert hit.seen and hit.seen.match == "same picture"
    assert result.reason is None
    assert result.tiers["visual embedding"] == "fingerprint"


def test_a_picture_of_no_video_finds_nothing_and_why(searcher: ImageSearcher, tmp_path: Path) -> None:
    result = searcher.search(saved(scene(99), tmp_path), Scope("local"))
    assert result.evidence == ()
    assert result.reason and result.reason.startswith("Nothing matches")
    assert search_json(result)["reason"] == result.reason
    assert search_text(result) == result.reason


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (640, 360)),
        Image.new("RGB", (640, 360), "white"),
        Image.new("RGB", (1, 1), "red"),
        Image.linear_gradient("L").resize((640, 360)),
    ],
    ids=["black", "white", "one pixel", "gradient"],
)
def test_a_plain_picture_matches_nothing(picture: Image.Image, searcher: ImageSearcher, tmp_path: Path) -> None:
    result = searcher.search(saved(picture, tmp_path), Scope("local"))
    assert result.evidence == ()
    assert result.reason and "too plain" in result.reason


def test_only_a_semantic_embedder_shows_what_looks_alike(shelves: Shelves, tmp_path: Path) -> None:
    searcher = shelves.searcher(SemanticEmbedder())
    own = searcher.search(saved(shelves.pictures["harbour"][0], tmp_path), Scope("local"))
    assert [hit.seen and hit.seen.match for hit in own.evidence] == ["same picture", *["looks like"] * 5]
    assert own.evidence[0].video.video_id == "harbour"
    strange = searcher.search(saved(scene(99), tmp_path), Scope("local"), 2)
    assert [hit.number for hit in strange.evidence] == [1, 2]
    assert {hit.seen and hit.seen.match for hit in strange.evidence} == {"looks like"}
    assert strange.reason is None


def test_words_choose_within_the_video_of_the_picture(
    shelves: Shelves, searcher: ImageSearcher, tmp_path: Path
) -> None:
    for name in ("harbour", "mountain"):
        query = saved(shelves.pictures[name][0], tmp_path)
        result = searcher.search(query, Scope("local"), 3, "training")
        assert (result.evidence[0].video.video_id, result.evidence[0].moment.start_seconds) == (name, 20.0)
        assert result.evidence[0].seen is None, "the picture is elsewhere in this video"
        assert [hit.number for hit in result.evidence] == list(range(1, len(result.evidence) + 1))
        assert result.query == "training"


def test_words_alone_where_the_picture_matches_nothing(searcher: ImageSearcher, tmp_path: Path) -> None:
    result = searcher.search(saved(scene(99), tmp_path), Scope("local"), 3, "the oven must be hot")
    assert result.evidence[0].video.video_id == "kitchen"
    assert result.reason and result.reason.endswith("by the words alone.")
    assert search_text(result).splitlines()[0] == result.reason


def test_a_scope_and_a_tenant_are_kept(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path / "library", ("local", "other"))
    searcher = shelves.searcher(shelves.embedder)
    query = saved(shelves.pictures["kitchen"][0], tmp_path)
    assert [hit.moment.tenant for hit in searcher.search(query, Scope("other")).evidence] == ["other"]
    assert searcher.search(query, Scope("local", ("harbour",))).evidence == ()
    assert searcher.search(query, Scope("nobody")).evidence == ()
    shelves.close()


def test_a_library_without_pictures_says_so(shelves: Shelves, tmp_path: Path) -> None:
    result = shelves.searcher(None).search(saved(scene(1), tmp_path), Scope("local"))
    assert result.evidence == ()
    assert result.reason and "visual channel is off" in result.reason


def test_the_hit_says_what_it_is(shelves: Shelves, searcher: ImageSearcher, tmp_path: Path) -> None:
    result = searcher.search(saved(shelves.pictures["harbour"][1], tmp_path), Scope("local"))
    hit = hit_json(result.evidence[0], 1)
    assert (hit["match"], hit["seen_seconds"]) == ("same picture", 25.0)
    assert hit["thumbnail"].endswith("harbour?t=25.000")
    assert hit["channels"]["visual"]["rank"] == 1
    assert "Harbour  0:20-0:40  same picture at 0:25  (visual)" in search_text(result)


def rotated_by_exif(picture: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=90)


def sixteen_bits(picture: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(path)


def animated(picture: Image.Image, path: Path) -> None:
    picture.save(path, save_all=True, append_images=[Image.new("RGB", picture.size)] * 2, duration=100)


ODD = {
    "animated.gif": animated,
    "animated.webp": animated,
    "transparent.png": lambda picture, path: picture.convert("RGBA").save(path),
    "print.jpg": lambda picture, path: picture.convert("CMYK").save(path),
    "deep.png": sixteen_bits,
    "deep.tiff": sixteen_bits,
    "turned.jpg": rotated_by_exif,
    "palette.png": lambda picture, path: picture.convert("P").save(path),
    "named.txt": lambda picture, path: picture.save(path, format="BMP"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_found_too(name: str, shelves: Shelves, searcher: ImageSearcher, tmp_path: Path) -> None:
    ODD[name](shelves.pictures["kitchen"][1], tmp_path / name)
    assert [hit.video.video_id for hit in searcher.search(tmp_path / name, Scope("local")).evidence] == ["kitchen"]


def test_sixteen_bits_keep_their_greys(tmp_path: Path) -> None:
    values = np.array([[0, 257 * 100, 0xFFFF]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(read_picture(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.png", b"", "empty"),
        ("note.png", b"this is text, not a picture", "cannot be read as a picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + bytes(20), "cannot be read as a picture"),
        ("photo.heic", b"\x00\x00\x00\x18ftypheic" + bytes(20), "JPEG or PNG"),
        ("film.mp4", b"\x00\x00\x00\x18ftypisom" + bytes(20), "playhead similar"),
        ("film.mkv", b"\x1aE\xdf\xa3" + bytes(20), "playhead similar"),
        ("film.avi", b"RIFF\x00\x00\x00\x00AVI " + bytes(20), "playhead similar"),
    ],
)
def test_what_is_no_picture_is_told(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=told) as raised:
        read_query(tmp_path / name)
    assert name in str(raised.value)


def test_a_bomb_is_refused_by_its_size_before_it_is_decoded(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    end = b"IEND"
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, end)]
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(VideoError, match="pixels"):
        read_query(bomb)


def test_bars_are_cut_off() -> None:
    inside = scene(3).resize((200, 100))
    barred = Image.new("RGB", (240, 160))
    barred.paste(inside, (20, 30))
    assert without_bars(barred).size == (200, 100)
    assert without_bars(inside).size == (200, 100)
    assert without_bars(Image.new("RGB", (50, 40))).size == (50, 40)


def test_a_large_library_is_asked_for_more_views() -> None:
    picture = scene(3)
    assert len(views(picture, with_padded=False)) == 1
    padded = views(picture, with_padded=True)
    assert len(padded) == 10
    assert padded[1].width > padded[0].width
