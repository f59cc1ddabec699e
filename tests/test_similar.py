"""Similar videos on a small real index: order, labels, ranges, tenants, and the command."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TALKS, Playhead, write_talk
from fakes import HashEmbedder
from test_alignment import cut, film, joined, misheard

from evaluation.bench_similar import TARGET_IOU, judge_copies, make_copies
from evaluation.bench_similar import playhead as ask_playhead
from ingest.bm25 import bm25_document
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import LegVector, Point
from ingest.moments import cut_moments
from ingest.schema import Moment, ScreenText, Timeline, TranscriptSegment, Video
from retrievers.likeness import Reason
from retrievers.similar import SimilarFinder, SimilarVideo, evenly

TEXT, PICTURE = 64, 32
FILMS = Path(__file__).parent.parent / "demo" / "videos"


class Shelf:
    """A library whose videos are given as timelines."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}")
        self.index = EdgeIndex(folder / "index", TEXT, PICTURE)

    def add(
        self, title: str, timeline: Timeline, seconds: float, tenant: str = "local", copy_of: str | None = None
    ) -> Video:
        video = Video(tenant, f"id-{title}", title, seconds, "f", duplicate_of=copy_of)
        points = [Point(moment, vectors_of(moment, timeline)) for moment in cut_moments(video, timeline)]
        self.index.replace(tenant, video.video_id, points)
        self.catalog.put(video, timeline)
        return video

    def similar(self, video: Video, limit: int = 10) -> list[SimilarVideo]:
        return SimilarFinder(self.index, self.catalog).similar_to(video, limit)


def vectors_of(moment: Moment, timeline: Timeline) -> dict[str, LegVector]:
    hashes = {frame.time_seconds: frame.perceptual_hash for frame in timeline.keyframes}
    vectors: dict[str, LegVector] = {}
    for channel, said in (("speech", moment.speech), ("screen", moment.screen)):
        words = bm25_document(said)
        if words:
            vectors |= {f"{channel}_bm25": words, f"{channel}_dense": HashEmbedder(TEXT).embed([said])[0]}
    if moment.keyframe_seconds:
        vectors["visual"] = np.array([picture_vector(hashes[seconds]) for seconds in moment.keyframe_seconds])
    return vectors


def picture_vector(perceptual_hash: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.random.default_rng(zlib.crc32(str(perceptual_hash).encode())).standard_normal(PICTURE)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.index.close()
    made.catalog.close()


FILM = film(1)
INTRO = cut(film(50), 0.0, 16.0)
OTHERS = {f"other {seed}": film(seed) for seed in range(20, 24)}
RELATIONS = {
    "exact copy": (misheard(FILM, 0.2), 120.0),
    "same recording, trimmed": (cut(FILM, 40.0, 80.0), 40.0),
    "same pictures, other speech": (replace(FILM, transcript=film(9).transcript), 120.0),
    "same speech, other pictures": (replace(FILM, keyframes=film(9).keyframes, shots=film(9).shots), 120.0),
    "shares a part": (joined(cut(film(8), 0.0, 64.0), cut(FILM, 56.0, 120.0, to=64.0)), 128.0),
}


@pytest.mark.parametrize("label", RELATIONS)
def test_what_shares_the_recording_comes_first_and_is_told(shelf: Shelf, label: str) -> None:
    original = shelf.add("original", FILM, 120.0)
    for title, timeline in OTHERS.items():
        shelf.add(title, timeline, 120.0)
    timeline, seconds = RELATIONS[label]
    other = shelf.add("other", timeline, seconds)
    for asked, expected in ((other, original), (original, other)):
        first, *rest = shelf.similar(asked)
        assert (first.video.title, first.label) == (expected.title, label)
        assert first.score > 0.5 > max((item.score for item in rest), default=0.0)
        assert not any(item.ranges for item in rest)


def test_a_common_intro_is_told_and_counts_for_nothing(shelf: Shelf) -> None:
    films = [joined(INTRO, cut(film(seed), 0.0, 80.0, to=16.0)) for seed in (1, 2, 3)]
    first, *_ = [shelf.add(f"part {number}", timeline, 96.0) for number, timeline in enumerate(films)]
    found = shelf.similar(first)
    assert [item.label for item in found] == ["shares an intro"] * 2
    assert all(item.ranges[0].kind == "intro" and item.score < 0.5 for item in found)
    assert found[0].ranges[0].aligned.end_seconds == pytest.approx(16.0, abs=1.0)


def test_of_two_equally_alike_the_known_original_comes_first(shelf: Shelf) -> None:
    asked = shelf.add("asked", FILM, 120.0)
    shelf.add("copy", FILM, 120.0, copy_of="id-original")
    shelf.add("original", FILM, 120.0)
    assert [item.video.title for item in shelf.similar(asked)] == ["original", "copy"]


def test_one_topic_in_other_words(shelf: Shelf) -> None:
    about = {
        "bees": "the honey bee dances on the comb and the angle of its dance tells the hive where the flowers are",
        "hive": "in the hive a bee that found flowers tells others by a dance, and its angle on the comb is the direction",
        "wall": "soldiers and farmers built the great wall of stone and rice along the mountains of the north",
        "cable": "a ship laid the copper cable under the ocean and the queen sent a message to the president",
    }
    made = {
        title: shelf.add(title, Timeline(transcript=(TranscriptSegment(0.0, 20.0, said, "sidecar captions"),)), 20.0)
        for title, said in about.items()
    }
    first, *rest = shelf.similar(made["bees"])
    assert (first.video.title, first.label, first.ranges) == ("hive", "same topic", ())
    assert "dance" in first.reasons["topic"].because
    assert all(item.label == "loosely related" for item in rest)


def test_the_text_on_screen_is_a_reason(shelf: Shelf) -> None:
    slides = Timeline(screen_text=(ScreenText(0.0, 9.0, "Quarterly revenue Lisbon Warsaw Helsinki", 0.9),))
    asked = shelf.add("deck", slides, 10.0)
    shelf.add("same deck", slides, 12.0)
    (found,) = shelf.similar(asked)
    assert found.reasons["screen_text"].score == pytest.approx(0.5, abs=0.5)
    assert "lisbon" in found.reasons["screen_text"].because


def test_only_videos_of_the_same_tenant(shelf: Shelf) -> None:
    mine = shelf.add("mine", FILM, 120.0)
    assert shelf.similar(mine) == []
    shelf.add("theirs", FILM, 120.0, tenant="theirs")
    assert shelf.similar(mine) == []


def test_a_limit_and_an_empty_video(shelf: Shelf) -> None:
    asked = shelf.add("asked", FILM, 120.0)
    for number in range(3):
        shelf.add(f"copy {number}", FILM, 120.0)
    assert len(shelf.similar(asked, limit=2)) == 2
    assert shelf.similar(shelf.add("empty", Timeline(), 0.0)) == []


def test_samples_are_spread_over_everything() -> None:
    assert evenly(range(100), 4) == [0, 33, 66, 99]
    assert evenly(range(3), 4) == [0, 1, 2]


def test_a_reason_has_a_score_of_at_most_one() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        Reason(1.5, "")


def test_the_command_tells_what_is_the_same_when(talks: Path, playhead: Playhead) -> None:
    first, second = TALKS["bees"], TALKS["bread"]
    write_talk(talks, "both", (*first, *second))
    assert playhead("ingest", talks).status == 0
    ran = playhead("--json", "similar", "both", "--k", "2")
    assert ran.status == 0
    found = ran.json["similar"]
    assert {item["title"] for item in found} == {"bees", "bread"}
    assert {item["label"] for item in found} == {"same recording, trimmed"}
    ranges = {item["title"]: [tuple(r.values())[:4] for r in item["ranges"]] for item in found}
    assert ranges["bees"] == [pytest.approx((0.0, 32.0, 0.0, 32.0), abs=2.0)]
    assert ranges["bread"] == [pytest.approx((32.0, 64.0, 0.0, 32.0), abs=2.0)]
    assert 0.5 < found[0]["reasons"]["speech"]["score"] <= 1.0
    told = playhead("similar", "both").out
    assert "0:32-1:04 here is 0:00-0:32 there" in told
    assert "both say" in told


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="copies are made with ffmpeg, which is not installed")
def test_real_copies_lead_to_their_film_and_its_seconds(tmp_path: Path) -> None:
    film, other = FILMS / "measuring-the-great-wall.mp4", FILMS / "a-day-on-the-water.mp4"
    copies = list(make_copies(film, other, tmp_path / "copies"))
    ask_playhead(tmp_path / "library", "ingest", str(film), str(other), str(tmp_path / "copies"))
    judged = judge_copies(tmp_path / "library", copies)
    assert [copy.kind for copy, first, iou in judged if not first or iou < TARGET_IOU] == []


def test_the_command_refuses_an_unknown_video(talks: Path, playhead: Playhead) -> None:
    playhead("ingest", talks / "bees.vtt")
    assert playhead("similar", "nothing").status == 2
    assert "No other video is like bees" in playhead("similar", "bees").out
