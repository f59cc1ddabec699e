"""The contract of an index, run on both stores, and what only the embedded one promises: crashes, purge, one owner."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge
from qdrant_client import QdrantClient, models

from ingest import edge_index, edge_shard, index_rules
from ingest.bm25 import bm25_document, bm25_query
from ingest.edge_index import EdgeIndex
from ingest.index import DENSE_LEGS, LEGS, SPARSE_LEGS, LegHit, LegVector, Point, Scope, SparseVector, VideoIndex
from ingest.schema import IndexMismatchError, LibraryError, Moment, ScreenText, TranscriptSegment
from ingest.server_index import ServerIndex, connect_server

REPOSITORY = Path(__file__).parents[1]
TEXT, VISUAL = 4, 3
Make = Callable[..., VideoIndex]
MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder on a memory disk where there is one: a publication syncs some sixty files, seconds on a busy disk."""
    if not MEMORY_DISK.is_dir() or shutil.disk_usage(MEMORY_DISK).free < 2**30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as folder:
        yield Path(folder)


@pytest.fixture(params=["edge", "server"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Opens an index of the store under test; the indexes of one test do not share data."""
    opened: list[VideoIndex] = []

    def open_index(text_dimension: int | None = TEXT, visual_dimension: int | None = VISUAL) -> VideoIndex:
        if request.param == "edge":
            index: VideoIndex = EdgeIndex(tmp_path / f"index{len(opened)}", text_dimension, visual_dimension)
        else:
            index = ServerIndex(QdrantClient(":memory:"), "moments", text_dimension, visual_dimension)
        opened.append(index)
        return index

    yield open_index
    for index in opened:
        index.close()


@pytest.fixture
def index(make: Make) -> VideoIndex:
    return make()


def moment(start: float, speech: str = "", video: str = "v1", tenant: str = "local") -> Moment:
    transcript = (TranscriptSegment(start, start + 5, speech, "sidecar captions", "en", 0.5, "Ann"),) if speech else ()
    return Moment(tenant, video, start, start + 10, transcript=transcript)


def point(start: float, speech: str = "", video: str = "v1", tenant: str = "local", **vectors: Any) -> Point:
    """A point with the legs given by name; lists become arrays."""
    sparse = bm25_document(speech)
    legs: dict[str, LegVector] = {"speech_bm25": sparse} if sparse else {}
    legs |= {leg: vector if isinstance(vector, SparseVector) else np.array(vector) for leg, vector in vectors.items()}
    return Point(moment(start, speech, video, tenant), legs)


def question(text: str) -> dict[str, LegVector]:
    query = bm25_query(text)
    assert query is not None
    return {"speech_bm25": query}


def unit(*numbers: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    row = np.array(numbers, dtype=np.float32)
    return row / np.float32(np.linalg.norm(row))


def starts(hits: Sequence[LegHit], points: Sequence[Point]) -> list[float]:
    """The start of each hit's moment, which names it better than an id."""
    return [{p.moment.moment_id: p.moment.start_seconds for p in points}[hit.moment_id] for hit in hits]


def test_an_empty_index_answers(index: VideoIndex) -> None:
    assert index.count("local") == 0
    assert index.search(question("piston") | {"visual": unit(1, 0, 0)}, Scope("local"), 5) == {
        "speech_bm25": [],
        "visual": [],
    }
    assert index.search({}, Scope("local"), 5) == {}
    assert index.fetch("local", [moment(0).moment_id]) == []
    assert list(index.scroll("local")) == []
    assert index.delete("local", "v1") == 0
    index.purge()


def test_replacing_twice_changes_nothing_and_a_shorter_one_shrinks(index: VideoIndex) -> None:
    points = [point(start, f"piston {start}") for start in (0.0, 10.0, 20.0)]
    index.replace("local", "v1", points)
    index.replace("local", "v1", points)
    assert index.count("local", "v1") == 3
    index.replace("local", "v2", [point(0, "valve", video="v2")])
    index.replace("local", "v1", [points[1], point(5, "crank")])
    assert sorted(one.moment.start_seconds for one in index.scroll("local", "v1")) == [5, 10]
    assert index.count("local") == 3
    index.replace("local", "v1", [])
    assert (index.count("local", "v1"), index.count("local", "v2")) == (0, 1)


def test_replacing_rewrites_vectors_and_labels(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(0, "piston", speech_dense=unit(1, 0, 0, 0))])
    index.replace("local", "v1", [replace(point(0, "valve"), labels={"tag": ("new",)})])
    (stored,) = index.scroll("local")
    assert set(stored.vectors) == {"speech_bm25"}
    assert stored.labels == {"tag": ("new",)}
    assert stored.moment.speech == "valve"
    assert index.search(question("piston"), Scope("local"), 5) == {"speech_bm25": []}


def test_delete_tells_how_many_and_touches_nothing_else(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(0, "a piston"), point(10, "b")])
    index.replace("local", "v2", [point(0, "piston", video="v2")])
    assert index.delete("local", "v1") == 2
    assert index.delete("local", "v1") == 0
    assert index.count("local") == 1
    (hit,) = index.search(question("piston"), Scope("local"), 5)["speech_bm25"]
    assert hit.moment_id == moment(0, video="v2").moment_id


def test_a_video_of_many_chunks_is_stored_whole(index: VideoIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_rules, "CHUNK_POINTS", 7)
    monkeypatch.setattr("ingest.edge_shard.PAGE_POINTS", 7)
    monkeypatch.setattr("ingest.server_index.PAGE_POINTS", 7)
    points = [point(start, "piston") for start in range(50)]
    index.replace("local", "v1", points)
    assert index.count("local") == 50
    assert {one.moment.moment_id for one in index.scroll("local")} == {one.moment.moment_id for one in points}
    assert len(index.search(question("piston"), Scope("local"), 50)["speech_bm25"]) == 50


def test_chunks_bound_points_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_rules, "CHUNK_POINTS", 3)
    monkeypatch.setattr(index_rules, "CHUNK_NUMBERS", 20)
    light = [point(start) for start in range(7)]
    heavy = [point(start, speech_dense=unit(1, 0, 0, 0), visual=[unit(1, 0, 0)] * 4) for start in range(3)]
    assert [len(chunk) for chunk in index_rules.chunks(light)] == [3, 3, 1]
    assert [len(chunk) for chunk in index_rules.chunks(heavy)] == [1, 1, 1]
    assert list(index_rules.chunks([])) == []


def test_dense_legs_rank_by_cosine(index: VideoIndex) -> None:
    points = [
        point(0, speech_dense=[2, 0, 0, 0], screen_dense=[0, 1, 0, 0]),
        point(10, speech_dense=[3, 3, 0, 0]),
        point(20, speech_dense=[-1, 0, 0, 0]),
        point(30, description_dense=[0, 0, 0, 1]),
    ]
    index.replace("local", "v1", points)
    found = index.search({leg: np.array([5, 0, 0, 0]) for leg in DENSE_LEGS}, Scope("local"), 10)
    assert starts(found["speech_dense"], points) == [0, 10, 20]
    assert [hit.score for hit in found["speech_dense"]] == pytest.approx([1, math.sqrt(0.5), -1], abs=1e-5)
    assert [hit.score for hit in found["screen_dense"]] == pytest.approx([0], abs=1e-5)
    assert len(index.search({"speech_dense": unit(1, 0, 0, 0)}, Scope("local"), 2)["speech_dense"]) == 2


def test_results_are_plain_python(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(0, "piston", speech_dense=unit(1, 0, 0, 0))])
    found = index.search({"speech_dense": unit(1, 0, 0, 0)} | question("piston"), Scope("local"), 3)
    assert [(type(hit.moment_id), type(hit.score)) for hits in found.values() for hit in hits] == [(str, float)] * 2


def test_sparse_scores_are_bm25_with_the_rarity_of_the_engine(index: VideoIndex) -> None:
    texts = ["piston ring", "piston valve valve", "valve cover", "the gasket", "crank shaft oil pump"]
    points = [point(10 * number, text) for number, text in enumerate(texts)]
    index.replace("local", "v1", points)
    hits = index.search(question("piston valve"), Scope("local"), 10)["speech_bm25"]
    rarity = math.log(1 + (5 - 2 + 0.5) / (2 + 0.5))
    query = bm25_query("piston valve")
    assert query is not None
    expected = {}
    for one in points:
        document = one.vectors.get("speech_bm25")
        assert isinstance(document, SparseVector)
        weights = dict(zip(document.indices, document.values, strict=True))
        score = rarity * sum(weights.get(token, 0.0) for token in query.indices)
        if score:
            expected[one.moment.moment_id] = score
    assert {hit.moment_id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-5)
    assert starts(hits, points)[0] == 10
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_visual_leg_takes_the_nearest_keyframe(index: VideoIndex) -> None:
    points = [
        point(0, visual=[unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1)]),
        point(10, visual=[unit(1, 1, 0)]),
        point(20, speech_dense=unit(1, 0, 0, 0)),
    ]
    index.replace("local", "v1", points)
    hits = index.search({"visual": unit(0, 1, 0)}, Scope("local"), 10)["visual"]
    assert starts(hits, points) == [0, 10]
    assert [hit.score for hit in hits] == pytest.approx([1, math.sqrt(0.5)], abs=1e-5)


def test_equal_scores_come_in_one_order(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(start, "piston") for start in range(20)])
    hits = index.search(question("piston"), Scope("local"), 20)["speech_bm25"]
    assert [hit.moment_id for hit in hits] == sorted(hit.moment_id for hit in hits)


def test_queries_that_say_nothing_find_nothing(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(0, "piston", speech_dense=unit(1, 0, 0, 0), visual=[unit(1, 0, 0)])])
    queries: dict[str, LegVector] = {
        "speech_dense": np.zeros(4, np.float32),
        "visual": np.zeros(3, np.float32),
        "speech_bm25": SparseVector((), ()),
    }
    assert index.search(queries, Scope("local"), 5) == {"speech_dense": [], "visual": [], "speech_bm25": []}


LABELLED: dict[str, dict[str, tuple[str, ...]]] = {
    "v1": {"language": ("en",), "tag": ("physics", "lecture"), "year": ("2023",)},
    "v2": {"language": ("de",), "tag": ("physics",), "year": ("2024",)},
    "v3": {},
}


@pytest.mark.parametrize(
    ("scope", "videos"),
    [
        (Scope("local"), {"v1", "v2", "v3"}),
        (Scope("local", ("v1",)), {"v1"}),
        (Scope("local", ("v1", "v3", "absent")), {"v1", "v3"}),
        (Scope("local", ("absent",)), set()),
        (Scope("local", labels={"tag": ("physics",)}), {"v1", "v2"}),
        (Scope("local", labels={"tag": ("lecture", "nothing")}), {"v1"}),
        (Scope("local", labels={"tag": ("physics",), "year": ("2024",)}), {"v2"}),
        (Scope("local", labels={"tag": ("lecture",), "language": ("de",)}), set()),
        (Scope("local", ("v2", "v3"), {"language": ("de", "en")}), {"v2"}),
        (Scope("local", labels={"tag": ()}), set()),
        (Scope("other"), set()),
    ],
)
def test_scopes(index: VideoIndex, scope: Scope, videos: set[str]) -> None:
    for video, labels in LABELLED.items():
        one = point(0, "piston", video, speech_dense=unit(1, 0, 0, 0), visual=[unit(1, 0, 0)])
        index.replace("local", video, [replace(one, labels=labels)])
    queries = {"speech_dense": unit(1, 0, 0, 0), "visual": unit(1, 0, 0)} | question("piston")
    expected = {moment(0, video=video).moment_id for video in videos}
    found = index.search(queries, scope, 10)
    assert {leg: {hit.moment_id for hit in hits} for leg, hits in found.items()} == dict.fromkeys(queries, expected)


def test_the_same_video_in_two_tenants_is_two_videos(index: VideoIndex) -> None:
    for tenant in ("ann", "bob"):
        index.replace(tenant, "v1", [point(0, f"piston of {tenant}", tenant=tenant, speech_dense=unit(1, 0, 0, 0))])
    queries = question("piston") | {"speech_dense": unit(1, 0, 0, 0)}
    bobs = moment(0, tenant="bob").moment_id
    for hits in index.search(queries, Scope("ann", ("v1",)), 10).values():
        assert [hit.moment_id for hit in hits] == [moment(0, tenant="ann").moment_id]
    assert index.fetch("ann", [bobs]) == []
    assert [one.moment.tenant for one in index.scroll("ann", "v1")] == ["ann"]
    assert index.delete("ann", "v1") == 1
    assert (index.count("ann"), index.count("bob", "v1")) == (0, 1)
    assert [one.speech for one in index.fetch("bob", [bobs])] == ["piston of bob"]


def test_another_tenant_does_not_move_the_scores(index: VideoIndex) -> None:
    index.replace("ann", "v1", [point(0, "piston", tenant="ann"), point(10, "valve", tenant="ann")])
    before = index.search(question("piston"), Scope("ann"), 5)
    index.replace("bob", "v1", [point(start, "piston", tenant="bob") for start in range(30)])
    assert index.search(question("piston"), Scope("ann"), 5) == before


@pytest.mark.parametrize("tenant", ["", "a/b", "../x", "a b"])
def test_a_missing_or_odd_tenant_is_a_wrong_call(index: VideoIndex, tenant: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: index.replace(tenant, "v1", []),
        lambda: index.delete(tenant, "v1"),
        lambda: index.search(question("x1"), Scope(tenant), 5),
        lambda: index.fetch(tenant, []),
        lambda: index.count(tenant),
        lambda: index.scroll(tenant),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="tenant"):
            call()


def full_point() -> Point:
    """A point with every field and every leg set."""
    whole = Moment(
        "local",
        "v1",
        1.5,
        61.25,
        (TranscriptSegment(1.5, 4.0, "Der Kolben – größer", "speech recogniser", "de", 0.75, "Eva"),),
        (ScreenText(2.0, 3.0, "<b>p = 3 \u202e</b>\n機械 🚀", 0.9),),
        "a drawing of a piston",
        "Pistons",
        (1.5, 30.0),
    )
    dense: dict[str, LegVector] = {leg: unit(number + 1, 2, 3, 4) for number, leg in enumerate(DENSE_LEGS)}
    sparse: dict[str, LegVector] = {leg: SparseVector((3, 7, 2**32 - 1), (0.5, 1.5, 2.0)) for leg in SPARSE_LEGS}
    visual = np.array([unit(1, 2, 3), unit(-3, 2, 1)])
    labels = {"language": ("de",), "tag": ("a", "b"), "year": ("2024",)}
    return Point(whole, {**dense, **sparse, "visual": visual}, labels)


def assert_same(stored: Point, given: Point) -> None:
    assert (stored.moment, stored.labels) == (given.moment, given.labels)
    assert set(stored.vectors) == set(given.vectors)
    for leg, vector in given.vectors.items():
        back = stored.vectors[leg]
        if isinstance(vector, SparseVector):
            assert back == vector
        else:
            assert isinstance(back, np.ndarray)
            assert (str(back.dtype), back.shape) == ("float32", vector.shape)
            np.testing.assert_allclose(back, vector, atol=1e-6)


def test_scroll_gives_back_what_was_stored(make: Make) -> None:
    first, second, whole = make(), make(), full_point()
    assert set(whole.vectors) == set(LEGS)
    first.replace("local", "v1", [whole])
    second.replace("local", "v1", list(first.scroll("local", "v1")))
    assert_same(next(first.scroll("local")), whole)
    assert_same(next(second.scroll("local")), whole)
    assert second.fetch("local", [whole.moment.moment_id]) == [whole.moment]


def test_fetch_keeps_the_order_and_leaves_out_the_unknown(index: VideoIndex) -> None:
    points = [point(start, f"speech {start}") for start in range(30)]
    index.replace("local", "v1", points)
    ids = [one.moment.moment_id for one in points]
    asked = [ids[7], "not-an-id", moment(99).moment_id, ids[3], "", ids[21]]
    assert [one.start_seconds for one in index.fetch("local", asked)] == [7, 3, 21]
    assert index.fetch("local", ids) == [one.moment for one in points]
    assert index.fetch("local", []) == []


def test_characters_that_no_store_takes_do_not_stop_a_video(index: VideoIndex) -> None:
    index.replace("local", "v1", [point(0, "broken \ud83d caption \x00 here")])
    (stored,) = index.scroll("local")
    assert stored.moment.speech == "broken ? caption \x00 here"
    assert len(index.search(question("caption"), Scope("local"), 5)["speech_bm25"]) == 1


@pytest.mark.parametrize(("text_dimension", "visual_dimension"), [(None, None), (TEXT, None), (None, VISUAL)])
def test_legs_that_the_index_does_not_have_find_nothing(
    make: Make, text_dimension: int | None, visual_dimension: int | None
) -> None:
    index = make(text_dimension, visual_dimension)
    dense: dict[str, Any] = {"speech_dense": unit(1, 0, 0, 0)} if text_dimension else {}
    visual: dict[str, Any] = {"visual": [unit(1, 0, 0)]} if visual_dimension else {}
    index.replace("local", "v1", [point(0, "piston", **dense, **visual)])
    queries = {leg: unit(1, 0, 0, 0) for leg in DENSE_LEGS} | {"visual": unit(1, 0, 0)} | question("piston")
    found = index.search(queries, Scope("local"), 5)
    assert set(found) == set(queries)
    assert {leg for leg, hits in found.items() if hits} == {"speech_bm25", *dense, *visual}
    missing = "visual" if text_dimension else "speech_dense"
    wrong: dict[str, Any] = {missing: [[1.0]]}
    with pytest.raises(ValueError, match=f"no leg {missing}"):
        index.replace("local", "v1", [point(0, **wrong)])


@pytest.mark.parametrize(
    ("vectors", "fact"),
    [
        ({"speech_dense": [math.nan, 0, 0, 1]}, "finite"),
        ({"speech_dense": [math.inf, 0, 0, 1]}, "finite"),
        ({"speech_dense": [1, 0, 0]}, r"dimension 4.*\(3,\)"),
        ({"speech_dense": [[1, 0, 0, 0]]}, r"dimension 4.*\(1, 4\)"),
        ({"visual": [1, 0, 0]}, r"dimension 3.*\(3,\)"),
        ({"visual": [[1, 0, 0, 0]]}, r"dimension 3.*\(1, 4\)"),
        ({"visual": [[1, 0, 0], [math.nan, 0, 0]]}, "finite"),
        ({"speech_bm25": [1, 0, 0, 0]}, "SparseVector"),
        ({"screen_bm25": SparseVector((1, 2), (1.0,))}, "one a value"),
        ({"screen_bm25": SparseVector((1, 1), (1.0, 2.0))}, "distinct"),
        ({"screen_bm25": SparseVector((1,), (math.nan,))}, "finite"),
        ({"screen_bm25": SparseVector((2**32,), (1.0,))}, "32 bits"),
        ({"screen_bm25": SparseVector((-1,), (1.0,))}, "32 bits"),
        ({"thumbnail": [1.0]}, "no leg thumbnail"),
    ],
)
def test_wrong_vectors_are_refused_before_anything_is_written(
    index: VideoIndex, vectors: dict[str, Any], fact: str
) -> None:
    index.replace("local", "v1", [point(0, "piston")])
    with pytest.raises(ValueError, match=fact):
        index.replace("local", "v1", [point(10, "valve"), point(20, **vectors)])
    assert [one.moment.start_seconds for one in index.scroll("local")] == [0]


@pytest.mark.parametrize(
    ("query", "limit", "fact"),
    [
        ({"speech_dense": np.array([math.nan, 0, 0, 1])}, 5, "finite"),
        ({"speech_dense": unit(1, 0, 0)}, 5, "dimension 4"),
        ({"visual": np.array([[1.0, 0, 0]])}, 5, "dimension 3"),
        ({"thumbnail": unit(1, 0)}, 5, "no leg thumbnail"),
        ({"speech_dense": unit(1, 0, 0, 0)}, 0, "limit"),
    ],
)
def test_wrong_queries_are_refused(index: VideoIndex, query: dict[str, LegVector], limit: int, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        index.search(query, Scope("local"), limit)


def test_points_of_another_video_tenant_or_label_are_refused(index: VideoIndex) -> None:
    wrong = [
        point(0, video="v2"),
        point(0, tenant="other"),
        replace(point(0), labels={"tenant": ("other",)}),
    ]
    for one in wrong:
        with pytest.raises(ValueError, match=r"v1|label"):
            index.replace("local", "v1", [one])
    assert index.count("local") == index.count("other") == 0


def test_zero_vectors_are_left_out(index: VideoIndex) -> None:
    vectors: dict[str, Any] = {
        "speech_dense": np.zeros(4),
        "visual": np.zeros((2, 3)),
        "screen_bm25": SparseVector((), ()),
    }
    index.replace("local", "v1", [point(0, **vectors), point(10, visual=[np.zeros(3), unit(0, 1, 0)])])
    stored = {one.moment.start_seconds: one.vectors for one in index.scroll("local")}
    assert dict(stored[0]) == {}
    assert np.asarray(stored[10]["visual"]).tolist() == [[0, 1, 0]]


def test_a_closed_index_says_so(index: VideoIndex) -> None:
    index.close()
    index.close()
    with pytest.raises(LibraryError, match="is closed"):
        index.count("local")
    with pytest.raises(LibraryError, match="is closed"):
        index.replace("local", "v1", [])
    with pytest.raises(LibraryError, match="is closed"):
        index.purge()


def test_purge_keeps_every_live_point_and_the_index_goes_on(index: VideoIndex) -> None:
    whole = full_point()
    index.replace("local", "v1", [whole])
    index.replace("other", "v1", [point(start, "piston", tenant="other") for start in range(300)])
    index.replace("other", "v2", [point(0, "gone", "v2", "other")])
    index.delete("other", "v2")
    pages = index.scroll("other")
    next(pages)
    for _ in range(2):
        index.purge()
        assert_same(next(index.scroll("local")), whole)
        assert (index.count("local"), index.count("other")) == (1, 300)
    assert len(list(pages)) == 299
    index.replace("local", "v2", [point(0, "valve", "v2")])
    assert len(index.search(question("valve"), Scope("local", ("v2",)), 5)["speech_bm25"]) == 1


def bytes_under(folder: Path) -> Iterator[bytes]:
    """The content and the name of every file, read around the holes of sparse files."""
    for path in folder.rglob("*"):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            with path.open("rb") as file:
                data, end = 0, path.stat().st_size
                while data < end:
                    try:
                        data = os.lseek(file.fileno(), data, os.SEEK_DATA)
                    except OSError:  # nothing but a hole to the end
                        break
                    hole = os.lseek(file.fileno(), data, os.SEEK_HOLE)
                    yield os.pread(file.fileno(), hole - data, data)
                    data = hole


def found_under(folder: Path, canaries: Sequence[bytes]) -> set[bytes]:
    return {canary for content in bytes_under(folder) for canary in canaries if canary in content}


def test_purge_leaves_no_byte_of_a_deleted_video(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    canary, vector = "CanaryQx7Z", [0.125, 0.0009765625, 0.9921874, 0.0]
    index.replace("local", "v1", [point(0, "piston")])
    index.replace("local", "canary-video", [point(0, canary, "canary-video", speech_dense=vector)])
    (stored,) = index.scroll("local", "canary-video")
    canaries = [canary.encode(), b"canary-video", np.asarray(stored.vectors["speech_dense"]).tobytes()]
    index.delete("local", "canary-video")
    assert found_under(tmp_path, canaries) == set(canaries)  # deleting alone leaves them, or this test could not fail
    index.purge()
    index.close()
    assert found_under(tmp_path, canaries) == set()
    assert found_under(tmp_path, [b"piston"]) == {b"piston"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "shard-0002"]


def test_reopening_sees_the_data(tmp_path: Path) -> None:
    for folder_of_first_run in (True, False):
        index = EdgeIndex(tmp_path, TEXT, VISUAL)
        if folder_of_first_run:
            index.replace("local", "v1", [full_point()])
        assert_same(next(index.scroll("local")), full_point())
        index.purge()
        index.close()


def test_another_process_is_told_that_the_index_is_open(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    (tmp_path / "shard-0002.building").mkdir()  # the owner's purge at work: a second process must leave it alone
    with pytest.raises(LibraryError, match=r"is open in another process\. Stop it"):
        EdgeIndex(tmp_path, TEXT, VISUAL)
    assert (tmp_path / "shard-0002.building").exists()
    index.close()


@pytest.mark.parametrize("dimensions", [(5, VISUAL), (TEXT, 4), (None, VISUAL), (TEXT, None)])
def test_other_dimensions_are_a_mismatch(tmp_path: Path, dimensions: tuple[int | None, int | None]) -> None:
    EdgeIndex(tmp_path, TEXT, VISUAL).close()
    with pytest.raises(IndexMismatchError, match="playhead reindex"):
        EdgeIndex(tmp_path, *dimensions)
    client = QdrantClient(":memory:")
    ServerIndex(client, "moments", TEXT, VISUAL)
    with pytest.raises(IndexMismatchError, match="playhead reindex"):
        ServerIndex(client, "moments", *dimensions)


def test_legs_added_later_are_a_mismatch_too(tmp_path: Path) -> None:
    EdgeIndex(tmp_path, None, None).close()
    with pytest.raises(IndexMismatchError, match="playhead reindex"):
        EdgeIndex(tmp_path, TEXT, VISUAL)


def test_leftovers_of_a_killed_purge_are_removed(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    index.replace("local", "v1", [point(0, "piston")])
    index.close()
    shutil.copytree(tmp_path / "shard-0001", tmp_path / "shard-0002")
    (tmp_path / "shard-0003.building").mkdir()
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    assert index.count("local") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "shard-0001"]
    index.close()


def test_a_kill_between_the_first_shard_and_its_pointer_is_healed(tmp_path: Path) -> None:
    EdgeIndex(tmp_path, TEXT, VISUAL).close()
    (tmp_path / "CURRENT").unlink()
    (tmp_path / "CURRENT.new").write_text("sha")
    EdgeIndex(tmp_path, TEXT, VISUAL).close()
    assert (tmp_path / "CURRENT").read_text() == "shard-0001"


@pytest.mark.parametrize("content", ["", "shard-0009", "../shard-0001", "\x00\xff"])
def test_a_damaged_pointer_deletes_nothing(tmp_path: Path, content: str) -> None:
    EdgeIndex(tmp_path, TEXT, VISUAL).close()
    (tmp_path / "CURRENT").write_text(content)
    with pytest.raises(LibraryError, match=r"CURRENT names .* but the shards here are shard-0001\. Write"):
        EdgeIndex(tmp_path, TEXT, VISUAL)
    assert (tmp_path / "shard-0001").is_dir()


@pytest.mark.parametrize(
    ("pattern", "content"),
    [
        ("edge_config.json", b"{"),
        ("segments/*/segment.json", b""),
        ("segments/*/version.info", b"\xff"),
        ("segments/*/vector_storage-speech_dense/deleted/status.dat", b""),  # the engine panics
        ("wal/first-index", b"\xff"),
        ("wal/open-1", b"\x01" * 64),
    ],
)
def test_a_damaged_shard_is_one_clear_line(tmp_path: Path, pattern: str, content: bytes) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    index.replace("local", "v1", [full_point()])
    index.close()
    (damaged,) = (tmp_path / "shard-0001").glob(pattern)
    damaged.write_bytes(content)
    with pytest.raises(LibraryError) as refusal:
        EdgeIndex(tmp_path, TEXT, VISUAL)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)
    assert "restore" in str(refusal.value)


def test_a_nearly_full_disk_refuses_writes_and_keeps_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    index.replace("local", "v1", [point(0, "piston")])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    for write in (index.purge, lambda: index.replace("local", "v1", [point(5, "valve")])):
        with pytest.raises(LibraryError, match=r"has 1 MB free, .* needs \d+ MB .*--library DIR"):
            write()
    assert [one.moment.start_seconds for one in index.scroll("local")] == [0]
    assert index.delete("local", "v1") == 1
    index.close()


def test_a_folder_that_cannot_be_made_is_a_library_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="cannot be used"):
        EdgeIndex(tmp_path / "file" / "index", TEXT, VISUAL)


KILLED = """
import sys
from pathlib import Path
from ingest.bm25 import bm25_document
from ingest.edge_index import EdgeIndex
from ingest.index import Point
from ingest.schema import Moment
index = EdgeIndex(Path(sys.argv[1]), 4, 3)
for number in range(1, 1000):
    video = f"v{number}"
    moments = [Moment("local", video, float(start), start + 1.0, description="x") for start in range(20)]
    index.replace("local", video, [Point(one, {"speech_bm25": bm25_document("piston")}) for one in moments])
    if number % 3 == 0:
        index.delete("local", f"v{number - 1}")
    print(number, flush=True)
"""


def test_a_kill_loses_no_acknowledged_write(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert writer.stdout is not None
    acknowledged = 0
    while acknowledged < 20:
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged = int((writer.stdout.read().split() or [str(acknowledged)])[-1])
    writer.wait()
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    kept = {number: index.count("local", f"v{number}") for number in range(1, acknowledged + 1)}
    expected = {number: 0 if number % 3 == 2 and number < acknowledged else 20 for number in kept}
    if acknowledged % 3 == 2:  # the next step, not acknowledged, deletes this one
        del kept[acknowledged], expected[acknowledged]
    assert kept == expected
    hits = index.search(question("piston"), Scope("local"), 10_000)["speech_bm25"]
    assert len(hits) == index.count("local")
    index.close()


def test_readers_never_see_half_a_video_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    versions = [[point(start + shift, "piston") for start in range(0, 200, 10)] for shift in (0, 5)]
    index.replace("local", "v1", versions[0])
    seen: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            hits = index.search(question("piston"), Scope("local"), 100)["speech_bm25"]
            shifts = {start % 10 for start in starts(hits, versions[0] + versions[1])}
            seen.add(len(hits) if len(shifts) == 1 else -1)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for round_number in range(30):
        index.replace("local", "v1", versions[(round_number + 1) % 2])
    monkeypatch.setattr(edge_index, "IN_PROCESS_POINTS", 10)
    index.replace("local", "v1", versions[1])  # built by a child
    index.purge()
    stop.set()
    for reader in readers:
        reader.join()
    assert seen == {20}
    index.close()


def test_unexpected_errors_are_not_dressed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    with pytest.raises(ZeroDivisionError), edge_shard.told_by_engine(tmp_path):
        raise ZeroDivisionError
    monkeypatch.setattr(qdrant_edge, "CountRequest", lambda **_: "not a request")
    with pytest.raises(TypeError):
        index.count("local")
    index.close()


def test_a_server_that_does_not_answer_is_one_clear_line() -> None:
    with pytest.raises(LibraryError) as refusal:
        connect_server("http://127.0.0.1:9", None, 1.0)
    assert str(refusal.value).startswith("Qdrant at http://127.0.0.1:9 does not answer (")
    assert str(refusal.value).endswith("Start it or unset PLAYHEAD_QDRANT_URL.")


def test_a_server_that_goes_away_is_told_at_the_call() -> None:
    local, gone = QdrantClient(":memory:"), QdrantClient(url="http://127.0.0.1:9", check_compatibility=False, timeout=1)
    index = ServerIndex(local, "moments", TEXT, VISUAL)
    index._client = gone
    with pytest.raises(LibraryError, match="does not answer"):
        index.search(question("piston"), Scope("local"), 5)
    with pytest.raises(LibraryError, match="does not answer"):
        index.replace("local", "v1", [point(0, "piston")])


def test_a_server_purge_deletes_the_old_collection_and_leftovers() -> None:
    client = QdrantClient(":memory:")
    index = ServerIndex(client, "moments", TEXT, VISUAL)
    index.replace("local", "v1", [point(0, "piston")])
    client.create_collection("moments-0002", vectors_config={})
    index.purge()
    assert [one.name for one in client.get_collections().collections] == ["moments-0002"]
    assert ServerIndex(client, "moments", TEXT, VISUAL).count("local") == 1


def test_a_collection_that_others_made_is_checked_and_never_swapped() -> None:
    client = QdrantClient(":memory:")
    client.create_collection("moments", vectors_config={})
    with pytest.raises(IndexMismatchError, match="playhead reindex"):
        ServerIndex(client, "moments", None, None)
    sparse = {leg: models.SparseVectorParams(modifier=models.Modifier.IDF) for leg in SPARSE_LEGS}
    client.recreate_collection("moments", vectors_config={}, sparse_vectors_config=sparse)
    index = ServerIndex(client, "moments", None, None)
    index.replace("local", "v1", [point(0, "piston")])
    with pytest.raises(LibraryError, match="is not an alias"):
        index.purge()
    assert index.count("local") == 1
