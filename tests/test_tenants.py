"""No call answers across tenants, and none without one: every door of the stores, the search, the API and the commands.

Two tenants hold the same file under names and with words of their own, so that whatever leaks can be told by a word.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import Scene, make_clip
from conftest import Playhead, write_talk
from fastapi.testclient import TestClient
from qdrant_client import QdrantClient

from app.build import OpenLibrary
from app.http_api import create_api
from app.ingesting import ingest_sources
from app.serving import LibraryService
from app.settings import Settings, read_settings
from ingest.bm25 import bm25_document, bm25_query
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import LEGS, LegVector, Point, Scope, VideoIndex
from ingest.library import LibraryFolder
from ingest.schema import Job, Keyframe, Moment, Timeline, TranscriptSegment, Video, WrongCallError
from ingest.server_index import ServerIndex
from ingest.sources import find_sources

ONE, TWO, NOBODY = "one", "two", "nobody"
WORD = {ONE: "bluebird", TWO: "goldfinch"}
OTHER = {ONE: TWO, TWO: ONE}
VIDEO_ID = "ab" * 12
PATH = "/videos/shared.mp4"
BAD_NAMES = ("", " ", "*", "one,two", "../one")


def moment_of(tenant: str) -> Moment:
    said = TranscriptSegment(0.0, 5.0, f"the {WORD[tenant]} plan begins", "sidecar captions")
    return Moment(tenant, VIDEO_ID, 0.0, 10.0, (said,), keyframe_seconds=(1.0,))


def point_of(tenant: str) -> Point:
    words = bm25_document(moment_of(tenant).speech)
    assert words is not None
    vectors: dict[str, LegVector] = {leg: words for leg in LEGS if leg.endswith("_bm25")}
    vectors |= {leg: np.ones(4, dtype=np.float32) for leg in LEGS if leg.endswith("_dense")}
    return Point(moment_of(tenant), {**vectors, "visual": np.ones((1, 4), dtype=np.float32)}, {"tag": ("shared",)})


def video_of(tenant: str) -> Video:
    return Video(
        tenant=tenant, video_id=VIDEO_ID, title=f"The {WORD[tenant]} plan", duration_seconds=10.0,
        fingerprint=WORD[tenant], paths=(PATH,), tags=("shared",),
    )  # fmt: skip


@pytest.fixture(params=["edge", "server"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VideoIndex]:
    """The same video stored for both tenants."""
    made: VideoIndex = (
        EdgeIndex(tmp_path / "index", 4, 4)
        if request.param == "edge"
        else ServerIndex(QdrantClient(":memory:"), "moments", 4, 4)
    )
    for tenant in WORD:
        made.replace(tenant, VIDEO_ID, [point_of(tenant)])
    yield made
    made.close()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    for tenant in WORD:
        made.put(video_of(tenant), Timeline(transcript=moment_of(tenant).transcript, keyframes=(Keyframe(1.0, 7),)))
        made.put_job(tenant, Job(f"/videos/{WORD[tenant]}.mp4", VIDEO_ID, 1.0))
    yield made
    made.close()


def search_all(index: VideoIndex, tenant: str, video_ids: tuple[str, ...], labels: dict[str, tuple[str, ...]]) -> Any:
    """What every leg finds for the words of both tenants."""
    words = bm25_query(" ".join(WORD.values()))
    assert words is not None
    queries: dict[str, LegVector] = {
        leg: words if leg.endswith("_bm25") else np.ones(4, dtype=np.float32) for leg in LEGS
    }
    hits = index.search(queries, Scope(tenant, video_ids, labels), 50)
    return {hit.moment_id for found in hits.values() for hit in found}


INDEX_READS: dict[str, Callable[[VideoIndex, str], Any]] = {
    "search": lambda index, tenant: search_all(index, tenant, (), {}),
    "search in a video": lambda index, tenant: search_all(index, tenant, (VIDEO_ID,), {}),
    "search by a label": lambda index, tenant: search_all(index, tenant, (VIDEO_ID,), {"tag": ("shared",)}),
    "fetch": lambda index, tenant: {m.moment_id for m in index.fetch(tenant, [moment_of(t).moment_id for t in WORD])},
    "scroll": lambda index, tenant: {point.moment.moment_id for point in index.scroll(tenant)},
    "scroll a video": lambda index, tenant: {point.moment.moment_id for point in index.scroll(tenant, VIDEO_ID)},
}


@pytest.mark.parametrize("read", INDEX_READS)
def test_the_index_answers_one_tenant_with_its_moments_alone(index: VideoIndex, read: str) -> None:
    for tenant in WORD:
        assert INDEX_READS[read](index, tenant) == {moment_of(tenant).moment_id}
    assert INDEX_READS[read](index, NOBODY) == set()


def test_the_index_counts_and_deletes_within_one_tenant(index: VideoIndex) -> None:
    assert (index.count(NOBODY), index.count(NOBODY, VIDEO_ID), index.delete(NOBODY, VIDEO_ID)) == (0, 0, 0)
    index.replace(ONE, VIDEO_ID, [])
    assert (index.count(ONE), index.count(TWO, VIDEO_ID)) == (0, 1)
    index.replace(ONE, VIDEO_ID, [point_of(ONE)])
    assert (index.delete(TWO, VIDEO_ID), index.count(TWO), index.count(ONE)) == (1, 0, 1)
    index.purge()
    assert [point.moment for point in index.scroll(ONE)] == [moment_of(ONE)]


def test_the_index_takes_no_moment_of_another_tenant(index: VideoIndex) -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        index.replace(ONE, VIDEO_ID, [point_of(TWO)])
    assert [point.moment for point in index.scroll(TWO)] == [moment_of(TWO)]


def test_what_another_tenant_says_does_not_move_the_scores(index: VideoIndex) -> None:
    def scores() -> list[float]:
        words = bm25_query("goldfinch plan")
        assert words is not None
        return [hit.score for hit in index.search({"speech_bm25": words}, Scope(TWO), 5)["speech_bm25"]]

    before = scores()
    goldfinch = TranscriptSegment(20.0, 25.0, "goldfinch goldfinch plan", "sidecar captions")
    many = [
        replace(moment_of(ONE), start_seconds=float(s), end_seconds=s + 5.0, transcript=(goldfinch,)) for s in range(20)
    ]
    index.replace(ONE, VIDEO_ID, [replace(point_of(ONE), moment=moment) for moment in many])
    assert scores() == before


CATALOG_READS: dict[str, Callable[[Catalog, str], Any]] = {
    "get": lambda catalog, tenant: catalog.get(tenant, VIDEO_ID),
    "get_many": lambda catalog, tenant: catalog.get_many(tenant, [VIDEO_ID]),
    "videos": lambda catalog, tenant: catalog.videos(tenant),
    "at_paths": lambda catalog, tenant: catalog.at_paths(tenant, [PATH, *(f"/videos/{word}.mp4" for word in WORD.values())]),
    "timeline": lambda catalog, tenant: catalog.timeline(tenant, VIDEO_ID),
    "lasting": lambda catalog, tenant: catalog.lasting(tenant, 0.0, 100.0),
    "jobs": lambda catalog, tenant: catalog.jobs(tenant),
}  # fmt: skip
CATALOG_WRITES: dict[str, Callable[[Catalog, str], Any]] = {
    "put": lambda catalog, tenant: catalog.put(replace(video_of(ONE), tenant=tenant), Timeline()),
    "put_paths": lambda catalog, tenant: catalog.put_paths(tenant, VIDEO_ID, ["/elsewhere"]),
    "put_job": lambda catalog, tenant: catalog.put_job(tenant, Job("/videos/goldfinch.mp4", VIDEO_ID, 2.0)),
    "delete": lambda catalog, tenant: catalog.delete(tenant, VIDEO_ID),
}


@pytest.mark.parametrize("read", CATALOG_READS)
def test_the_catalog_answers_one_tenant_with_its_rows_alone(catalog: Catalog, read: str) -> None:
    for tenant in WORD:
        found = str(CATALOG_READS[read](catalog, tenant))
        assert WORD[tenant] in found
        assert WORD[OTHER[tenant]] not in found
    assert not any(word in str(CATALOG_READS[read](catalog, NOBODY)) for word in WORD.values())


@pytest.mark.parametrize("write", CATALOG_WRITES)
def test_a_write_for_one_tenant_leaves_the_others_rows_whole(catalog: Catalog, write: str) -> None:
    def rows() -> list[str]:
        return [str(catalog.version(TWO)), *(str(read(catalog, TWO)) for read in CATALOG_READS.values())]

    before = rows()
    CATALOG_WRITES[write](catalog, ONE)
    CATALOG_WRITES[write](catalog, NOBODY)
    assert rows() == before


def public_calls(store: type) -> dict[str, list[str]]:
    """The public methods of a store, each with the names of its parameters."""
    functions = inspect.getmembers(store, inspect.isfunction)
    return {name: [*inspect.signature(f).parameters][1:] for name, f in functions if not name.startswith("_")}


OWNER_CALLS = {
    "purge",
    "drop",
    "close",
    "all_jobs",
    "tenants",
    "video_ids",
}  # for the library's owner, not for a tenant


def test_the_matrix_has_every_call_of_the_stores() -> None:
    in_matrix = {name.split()[0] for name in INDEX_READS} | {"replace", "delete", "count"}
    assert set(public_calls(VideoIndex)) - OWNER_CALLS == in_matrix
    assert set(public_calls(Catalog)) - OWNER_CALLS == {*CATALOG_READS, *CATALOG_WRITES, "version"}
    for store in (EdgeIndex, ServerIndex, Catalog):
        for name, parameters in public_calls(store).items():
            assert name in OWNER_CALLS or {"tenant", "scope", "video"} & set(parameters), f"{store.__name__}.{name}"
            required = inspect.signature(getattr(store, name)).parameters
            assert all(required[p].default is inspect.Parameter.empty for p in {"tenant", "scope"} & set(required)), (
                name
            )


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_store_takes_a_call_without_a_tenant(index: VideoIndex, catalog: Catalog, tmp_path: Path, name: str) -> None:
    index_writes: list[Callable[[VideoIndex, str], Any]] = [
        lambda index, tenant: index.replace(tenant, VIDEO_ID, []),
        lambda index, tenant: index.delete(tenant, VIDEO_ID),
        lambda index, tenant: index.count(tenant),
    ]
    for call in [*INDEX_READS.values(), *index_writes]:
        with pytest.raises(ValueError, match="tenant"):
            call(index, name)
    for ask in [*CATALOG_READS.values(), *CATALOG_WRITES.values()]:
        with pytest.raises(WrongCallError, match="tenant"):
            ask(catalog, name)
    folder = LibraryFolder(tmp_path / "library")
    for place in (folder.frames_folder, folder.work_folder, folder.remove_frames):
        with pytest.raises(WrongCallError, match="tenant"):
            place(name, VIDEO_ID)


@pytest.mark.parametrize("video_id", ["", ".", "..", f"../{TWO}/{VIDEO_ID}", f"{VIDEO_ID}/../x", "/etc"])
def test_no_id_leads_to_the_folder_of_another_tenant(tmp_path: Path, video_id: str) -> None:
    folder = LibraryFolder(tmp_path)
    for place in (folder.frames_folder, folder.work_folder):
        with pytest.raises(WrongCallError, match="id"):
            place(ONE, video_id)


@pytest.fixture(scope="module")
def library_path(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A library where both tenants hold the same clip, each with captions, a title and pictures."""
    root = tmp_path_factory.mktemp("tenants")
    clip = make_clip(root / "clip.mp4", [Scene(2, 1), Scene(2, 2)])
    for tenant in WORD:
        folder = root / tenant
        folder.mkdir()
        shutil.copy(clip, folder / f"{WORD[tenant]}.mp4")
        write_talk(folder, WORD[tenant], [f"Nobody may know what the {WORD[tenant]} plan is."], 4.0)
        sources, failures = find_sources([folder])
        with OpenLibrary(settings_of(root / "library", model_cache, tenant), "a test", create=True) as library:
            assert not ingest_sources(library, sources, failures).failed
    return root / "library"


def settings_of(library: Path, cache: Path, tenant: str) -> Settings:
    return replace(read_settings({}, library=library, tenant=tenant), cache=cache)


@pytest.fixture(scope="module")
def library(library_path: Path, model_cache: Path) -> Iterator[OpenLibrary]:
    """Open once for both tenants, so that whatever the process remembers of one could reach the other."""
    with OpenLibrary(settings_of(library_path, model_cache, ONE), "a test") as opened:
        yield opened


def service_of(library: OpenLibrary, tenant: str) -> LibraryService:
    library.settings = replace(library.settings, tenant=tenant)
    return LibraryService(library)


def test_the_same_bytes_in_two_tenants_are_two_videos(library: OpenLibrary) -> None:
    (one,), (two,) = library.catalog.videos(ONE), library.catalog.videos(TWO)
    assert one.video_id == two.video_id
    assert (one.title, two.title) == (WORD[ONE], WORD[TWO])
    assert (one.duplicate_of, two.duplicate_of) == (None, None)
    ids = [{point.moment.moment_id for point in library.index.scroll(tenant)} for tenant in WORD]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_searching_and_asking_never_tell_of_the_other_tenant(library: OpenLibrary) -> None:
    frame = next(library.folder.frames_folder(TWO, library.catalog.videos(TWO)[0].video_id).iterdir())
    for _ in range(2):  # the second time with whatever the first one left in memory
        for tenant in (*WORD, NOBODY):
            words = {WORD[tenant]} if tenant in WORD else set()
            for asked in WORD.values():
                question = f"What is the {asked} plan?"
                found = library.searcher.search(question, Scope(tenant))
                answer = library.answerer.ask(question, Scope(tenant))
                assert {item.video.title for item in (*found.evidence, *answer.evidence)} == words
                reason = answer.reason.replace(f"“{asked}”", "")  # it names what was asked and nobody says
                told = f"{answer.text} {reason} {answer.citations} {found.tiers} {answer.tiers}"
                assert not any(word in told for word in {*WORD.values()} - words)
            seen = library.search_image(frame, Scope(tenant), 10, "")
            assert {item.video.title for item in seen.evidence} == words
            assert {item.moment.tenant for item in seen.evidence} <= {tenant}


@pytest.fixture(params=[ONE, TWO, NOBODY])
def client(request: pytest.FixtureRequest, library: OpenLibrary) -> Iterator[tuple[TestClient, str]]:
    with TestClient(create_api(service_of(library, request.param)), base_url="http://127.0.0.1") as client:
        yield client, request.param


def test_the_api_of_one_tenant_serves_its_own_alone(client: tuple[TestClient, str], library: OpenLibrary) -> None:
    api, tenant = client
    mine = WORD.get(tenant)
    others = {*WORD.values()} - {mine}
    video_id = library.catalog.videos(ONE)[0].video_id
    replies = [
        api.get("/api/v1/videos"),
        api.get("/api/v1/health"),
        *(api.post("/api/v1/search", json={"query": f"the {word} plan"}) for word in WORD.values()),
        api.post("/api/v1/ask", json={"question": "What is the bluebird plan?"}),
        api.get("/api/v1/media/nothing"),
        api.get("/api/v1/thumbnails/nothing"),
        api.get("/api/v1/thumbnails/nothing?t=x"),
    ]
    for reply in replies:
        told = {key: value for key, value in reply.json().items() if key not in ("query", "question", "plan")}
        assert not any(word in str(told) for word in others), told
    assert api.get("/api/v1/health").json()["videos"] == (1 if mine else 0)
    hits = [hit for reply in replies[2:4] for hit in reply.json()["hits"]]
    assert {hit["video_title"] for hit in hits} == ({mine} if mine else set())
    media, picture = api.get(f"/api/v1/media/{video_id}"), api.get(f"/api/v1/thumbnails/{video_id}?t=0")
    assert (media.status_code, picture.status_code) == ((200, 200) if mine else (404, 404))


def test_a_picture_or_file_of_the_other_tenant_cannot_be_guessed(
    library_path: Path, model_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(library_path, tmp_path / "library")
    with OpenLibrary(settings_of(tmp_path / "library", model_cache, ONE), "a test") as library:
        (video,) = library.catalog.videos(ONE)
        frames = [frame.time_seconds for frame in library.catalog.timeline(ONE, video.video_id).keyframes]
        library.delete(video)
        with TestClient(create_api(service_of(library, ONE)), base_url="http://127.0.0.1") as api:
            for video_id in (video.video_id, f"..%2F{TWO}%2F{video.video_id}", f"%2e%2e/{TWO}/{video.video_id}"):
                for seconds in frames:
                    assert api.get(f"/api/v1/thumbnails/{video_id}?t={seconds}").status_code == 404
                assert api.get(f"/api/v1/media/{video_id}").status_code == 404
        service = service_of(library, ONE)
        for video_id in (video.video_id, f"../{TWO}/{video.video_id}"):
            assert service.thumbnail_path(video_id, frames[0]) is None
            assert service.media_path(video_id) is None
        assert service_of(library, TWO).thumbnail_path(video.video_id, frames[0])


def holdings(library: OpenLibrary, tenant: str) -> list[Any]:
    """All that a tenant has in the stores and in the folders."""
    (video,) = library.catalog.videos(tenant)
    frames = sorted(library.folder.frames_folder(tenant, video.video_id).iterdir())
    tokens = sorted(library.folder.tokens_folder(tenant, video.video_id).iterdir())
    points = sorted((point for point in library.index.scroll(tenant)), key=lambda point: point.moment.moment_id)
    return [
        video,
        library.catalog.timeline(tenant, video.video_id),
        [(point.moment, point.labels, sorted(point.vectors)) for point in points],
        [(file.name, file.read_bytes()) for file in (*frames, *tokens)],
    ]


@contextmanager
def copied(library_path: Path, folder: Path, cache: Path, tenant: str) -> Iterator[OpenLibrary]:
    shutil.copytree(library_path, folder)
    with OpenLibrary(settings_of(folder, cache, tenant), "a test") as library:
        yield library


@pytest.mark.parametrize("tenant", [ONE, TWO])
def test_deleting_and_purging_one_leaves_the_other_whole(
    library_path: Path, model_cache: Path, tmp_path: Path, tenant: str
) -> None:
    with copied(library_path, tmp_path / "library", model_cache, tenant) as library:
        before = holdings(library, OTHER[tenant])
        removed, left = library.delete(library.catalog.videos(tenant)[0])
        library.purge()
        assert (removed > 0, left, library.catalog.videos(tenant)) == (True, 0, [])
        assert not list((tmp_path / "library" / "frames" / tenant).iterdir())
        assert holdings(library, OTHER[tenant]) == before
        with pytest.raises(ValueError, match="another tenant"):
            library.delete(library.catalog.videos(OTHER[tenant])[0])
        assert holdings(library, OTHER[tenant]) == before
    remains = [
        path
        for path in (tmp_path / "library").rglob("*")
        if path.is_file() and WORD[tenant].encode() in path.read_bytes()
    ]
    assert remains == []


def test_commands_know_no_video_of_the_other_tenant(
    playhead: Playhead, library_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(library_path, tmp_path / "library")
    theirs = playhead("videos", "--tenant", TWO, "--json").json["videos"][0]
    names = (theirs["title"], theirs["paths"][0], theirs["title"].upper())
    commands = [["show", name] for name in names]
    commands += [
        [*words, names[1]]
        for words in (["delete"], ["delete", "--purge"], ["search", "x", "--video"], ["ask", "x", "--video"])
    ]
    for tenant in (ONE, NOBODY):
        unknown = playhead("--tenant", tenant, "show", "no such video").err
        for command in commands:
            ran = playhead("--tenant", tenant, *command)
            # Just as of a video that nobody has: the error does not tell whether another tenant has it.
            assert (ran.status, ran.err) == (2, unknown.replace("no such video", command[-1])), command
        for command in (["videos"], ["videos", "--json"], ["doctor", "--json"]):
            ran = playhead("--tenant", tenant, *command)
            assert WORD[TWO] not in ran.out + ran.err
    assert playhead("show", theirs["video_id"], "--tenant", ONE, "--json").json["title"] == WORD[ONE]
    assert playhead("show", theirs["video_id"], "--tenant", NOBODY).status == 2
    assert playhead("videos", "--tenant", TWO, "--json").json["videos"] == [theirs]


def test_a_missing_tenant_is_an_error_where_one_is_required(
    playhead: Playhead, library_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(library_path, tmp_path / "library")
    assert playhead("videos").out.startswith("The library is empty")  # of the tenant local
    monkeypatch.setenv("PLAYHEAD_TENANT_REQUIRED", "1")
    for command in (
        ["videos"],
        ["ingest", "."],
        ["search", "x"],
        ["ask", "x"],
        ["show", "x"],
        ["delete", "x"],
        ["serve"],
        ["watch", "."],
    ):
        ran = playhead(*command)
        assert ran.status == 2, command
        assert "--tenant NAME" in ran.err
    assert playhead("videos", "--tenant", "").status == 2  # an unset variable is no tenant
    assert WORD[ONE] in playhead("videos", "--tenant", ONE).out
    monkeypatch.setenv("PLAYHEAD_TENANT", TWO)
    assert WORD[TWO] in playhead("videos").out
