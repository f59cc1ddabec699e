"""The catalog gives back what was put in, by tenant, and forgets what was deleted."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.catalog import Catalog
from ingest.schema import Keyframe, LibraryError, ScreenText, Shot, Timeline, TranscriptSegment, Video

VIDEO = Video(
    tenant="local",
    video_id="abc",
    title="Löwen, 日本 & more",
    duration_seconds=12.5,
    fingerprint="f",
    paths=("/a/lions.mp4",),
    url="https://video.example/lions",
    language="en",
    tags=("cats", "wild"),
    published_at="2024-02-01",
    warnings=("damaged",),
)
TIMELINE = Timeline(
    transcript=(TranscriptSegment(0.0, 2.0, "a lion", "speech recogniser", "en", 0.7, "left"),),
    screen_text=(ScreenText(1.0, 3.0, "LION", 0.99),),
    shots=(Shot(0.0, 12.5),),
    keyframes=(Keyframe(0.5, 2**64 - 1),),
    channels=(("speech", "PocketSphinx"),),
)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")


def test_a_video_and_its_timeline_come_back_as_they_were(catalog: Catalog) -> None:
    catalog.put(VIDEO, TIMELINE)
    assert catalog.get("local", "abc") == VIDEO
    assert catalog.timeline("local", "abc") == TIMELINE
    assert catalog.tenants() == ["local"]


def test_tenants_do_not_see_each_other(catalog: Catalog) -> None:
    catalog.put(VIDEO, TIMELINE)
    catalog.put(replace(VIDEO, tenant="other", title="Theirs"), Timeline())
    assert [video.title for video in catalog.videos("local")] == [VIDEO.title]
    catalog.delete("other", "abc")
    assert catalog.get("other", "abc") is None
    assert catalog.get("local", "abc") == VIDEO


def test_the_version_grows_with_each_change_of_the_tenants_videos(catalog: Catalog, tmp_path: Path) -> None:
    assert catalog.version("local") == 0
    catalog.put(VIDEO, TIMELINE)
    catalog.put(VIDEO, TIMELINE)
    catalog.put_paths("local", "abc", ["/b/lions.mp4"])
    catalog.put(replace(VIDEO, tenant="other"), Timeline())
    assert (catalog.version("local"), catalog.version("other")) == (2, 1)
    Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}").delete("local", "abc")
    assert (catalog.version("local"), catalog.version("other")) == (3, 1)


def test_putting_again_replaces_what_was_there(catalog: Catalog) -> None:
    catalog.put(VIDEO, TIMELINE)
    catalog.put_paths("local", "abc", ["/a/lions.mp4", "/b/copy.mp4"])
    found = catalog.get("local", "abc")
    assert found is not None
    assert found.paths == ("/a/lions.mp4", "/b/copy.mp4")
    catalog.put(replace(VIDEO, title="New"), Timeline())
    found = catalog.get("local", "abc")
    assert found is not None
    assert (found.title, found.paths) == ("New", ("/a/lions.mp4",))
    assert catalog.timeline("local", "abc") == Timeline()


def test_two_videos_of_one_caption_file_keep_its_path(catalog: Catalog) -> None:
    catalog.put(VIDEO, TIMELINE)
    catalog.put(replace(VIDEO, video_id="def"), TIMELINE)
    assert {video.paths for video in catalog.videos("local")} == {("/a/lions.mp4",)}


def test_a_reader_in_the_way_of_a_purge_is_told(catalog: Catalog, tmp_path: Path) -> None:
    catalog.put(VIDEO, TIMELINE)
    reader = sqlite3.connect(tmp_path / "catalog.sqlite")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM videos").fetchall()
    catalog.delete("local", "abc")
    with pytest.raises(LibraryError, match="again"):
        catalog.purge()
    reader.close()
    catalog.purge()


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    catalog.put(VIDEO, TIMELINE)
    catalog.close()
    for path in tmp_path.glob("catalog.sqlite*"):
        path.write_bytes(b"x" * 9000)
    with pytest.raises(LibraryError) as error:
        Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}").videos("local")
    assert "\n" not in str(error.value)


def test_purge_leaves_no_byte_of_a_deleted_video(catalog: Catalog, tmp_path: Path) -> None:
    catalog.put(replace(VIDEO, title="canary-7261"), TIMELINE)
    catalog.delete("local", "abc")
    catalog.purge()
    assert not any(b"canary-7261" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_database_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LibraryError) as error:
        Catalog(f"sqlite:///{tmp_path / 'missing' / 'catalog.sqlite'}")
    assert "\n" not in str(error.value)
