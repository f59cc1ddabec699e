"""The path of one video: identity by content, captions first, updates that leave nothing old behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import Caption, CaptionStream, Scene, make_clip, tone
from conftest import write_talk
from fakes import HashEmbedder

from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import Scope
from ingest.library import LibraryFolder
from ingest.media import MediaLimits
from ingest.pipeline import Ingester, IngestResult, fit_to
from ingest.schema import TranscriptSegment, VideoError
from ingest.sources import find_sources
from ingest.visual_embedding import FingerprintEmbedder


class CountingTranscriber:
    """Hears the same words in every file, and counts how often it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.calls = 0

    def transcribe(self, audio: Path, language: str | None) -> list[TranscriptSegment]:
        self.calls += 1
        return [TranscriptSegment(0.2, 1.5, "words that were heard", "speech recogniser", "en", 0.8)]


class Kit:
    """One library with an ingester of two tenants."""

    def __init__(self, path: Path) -> None:
        self.folder = LibraryFolder(path)
        self.folder.create()
        self.catalog = Catalog(self.folder.catalog_url)
        self.embedder = HashEmbedder()
        images = FingerprintEmbedder()
        self.index = EdgeIndex(self.folder.index_folder, self.embedder.dimension, images.dimension)
        self.transcriber = CountingTranscriber()
        self._images = images

    def ingest(self, *paths: Path, tenant: str = "local") -> dict[str, IngestResult]:
        ingester = Ingester(
            tenant, self.folder, self.catalog, self.index, self.embedder, self._images,
            lambda: self.transcriber, lambda: None, MediaLimits(),
        )  # fmt: skip
        sources, failures = find_sources(list(paths))
        assert failures == []
        return {Path(source.path).name: ingester.ingest(source) for source in sources}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path / "library")
    yield made
    made.index.close()
    made.catalog.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of two scenes with a tone, without captions."""
    path = tmp_path_factory.mktemp("clips") / "two scenes.mp4"
    make_clip(path, [Scene(2.0, 1), Scene(2.0, 2)], sound=tone(4.0))
    return path


def test_captions_beside_the_file_come_before_speech(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"], kit.transcriber.calls) == ("indexed", "counting", 1)
    write_talk(tmp_path, "talk.en", ["Captions are better."], 2.0)
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"], kit.transcriber.calls) == ("updated", "sidecar captions", 1)
    assert result.video_id
    assert kit.catalog.timeline("local", result.video_id).transcript[0].language in ("en", None)
    (point,) = kit.index.scroll("local", result.video_id)
    assert point.moment.speech == "Captions are better."


def test_embedded_captions_come_before_a_sidecar(kit: Kit, tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    make_clip(video, [Scene(4.0, 1)], tracks=[CaptionStream("mov_text", [Caption(0.5, 2.0, "Inside the file.")])])
    write_talk(tmp_path, "talk", ["Beside the file."], 2.0)
    (result,) = kit.ingest(video).values()
    assert result.channels["speech"] == "embedded captions"
    assert result.video_id
    assert kit.catalog.timeline("local", result.video_id).transcript[0].text == "Inside the file."


def test_the_same_bytes_under_two_names_are_one_video_with_two_paths(kit: Kit, clip: Path, tmp_path: Path) -> None:
    first = Path(shutil.copy(clip, tmp_path / "first.mp4"))
    second = Path(shutil.copy(clip, tmp_path / "second.mp4"))
    write_talk(tmp_path, "second", ["Only the second has captions."], 2.0)
    kit.ingest(tmp_path)
    assert {result.status for result in kit.ingest(tmp_path).values()} == {"unchanged"}
    (video,) = kit.catalog.videos("local")
    assert video.paths == (str(first), str(second))
    assert kit.catalog.timeline("local", video.video_id).transcript[0].text == "Only the second has captions."


def test_two_files_of_one_name_never_collide(kit: Kit, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        make_clip(tmp_path / str(number) / "talk.mp4", [Scene(1.0 + number, number)])
        kit.ingest(tmp_path / str(number))
    assert len({video.video_id for video in kit.catalog.videos("local")}) == 2


def test_new_content_under_an_old_name_replaces_the_old(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    (before,) = kit.ingest(video).values()
    make_clip(video, [Scene(3.0, 3)])
    (after,) = kit.ingest(video).values()
    assert (after.status, after.video_id != before.video_id) == ("updated", True)
    assert [known.video_id for known in kit.catalog.videos("local")] == [after.video_id]
    assert kit.index.count("local") == after.moments
    assert before.video_id
    assert not kit.folder.frames_folder("local", before.video_id).exists()


def test_the_same_bytes_in_two_tenants_stay_two_videos(kit: Kit, clip: Path) -> None:
    kit.ingest(clip)
    kit.ingest(clip, tenant="other")
    found = kit.index.search({"speech_dense": kit.embedder.embed(["heard"])[0]}, Scope("local"), 10)
    assert len(found["speech_dense"]) == 1
    assert kit.index.count("local") == kit.index.count("other") == 1
    assert {point.moment.tenant for point in kit.index.scroll("other")} == {"other"}


def test_keyframes_lie_by_tenant_and_video_and_nothing_else_is_left(kit: Kit, clip: Path) -> None:
    (result,) = kit.ingest(clip).values()
    assert result.video_id
    frames = kit.folder.frames_folder("local", result.video_id)
    times = [frame.time_seconds for frame in kit.catalog.timeline("local", result.video_id).keyframes]
    assert times
    assert sorted(path.name for path in frames.iterdir()) == [
        kit.folder.frame_path("local", result.video_id, time).name for time in times
    ]
    assert list((kit.folder.path / "work").iterdir()) == []


def test_a_failure_after_decoding_leaves_the_old_video_whole(
    kit: Kit, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    (before,) = kit.ingest(video).values()
    write_talk(tmp_path, "talk", ["Newer words."], 2.0)

    def fails(*arguments: object) -> None:
        raise VideoError("talk.mp4: the disk is full. Free some space.")

    monkeypatch.setattr(kit.index, "replace", fails)
    (failed,) = kit.ingest(video).values()
    assert (failed.status, failed.error) == ("failed", "talk.mp4: the disk is full. Free some space.")
    monkeypatch.undo()
    assert kit.index.count("local") == before.moments
    (again,) = kit.ingest(video).values()
    assert again.status == "updated"


def test_what_is_said_after_the_end_is_counted_and_left_out() -> None:
    warnings: list[str] = []
    segments = [TranscriptSegment(start, start + 2, "x", "sidecar captions") for start in (0.0, 3.0, 9.0)]
    kept = fit_to(segments, 4.0, warnings)
    assert [(segment.start_seconds, segment.end_seconds) for segment in kept] == [(0.0, 2.0), (3.0, 4.0)]
    assert len(warnings) == 1


def test_a_renamed_file_is_found_under_its_new_name_only(kit: Kit, clip: Path, tmp_path: Path) -> None:
    old = Path(shutil.copy(clip, tmp_path / "old.mp4"))
    kit.ingest(old)
    new = old.rename(tmp_path / "new.mp4")
    (result,) = kit.ingest(new).values()
    assert result.status == "unchanged"
    (video,) = kit.catalog.videos("local")
    assert video.paths == (str(new),)


def test_captions_that_get_their_video_later_are_one_video(kit: Kit, clip: Path, tmp_path: Path) -> None:
    write_talk(tmp_path, "talk", ["Words from the captions."], 2.0)
    kit.ingest(tmp_path / "talk.vtt")
    shutil.copy(clip, tmp_path / "talk.mp4")
    (result,) = kit.ingest(tmp_path / "talk.mp4").values()
    assert result.status == "updated"
    assert [video.video_id for video in kit.catalog.videos("local")] == [result.video_id]


def test_what_a_manifest_said_stays_when_the_file_is_ingested_alone(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    row = {"media": "talk.mp4", "title": "The Talk", "url": "https://video.example/1", "tags": ["bees"]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row), encoding="utf-8")
    kit.ingest(tmp_path / "manifest.jsonl")
    (result,) = kit.ingest(video).values()
    assert (result.status, result.title) == ("unchanged", "The Talk")
    write_talk(tmp_path, "talk", ["New words."], 2.0)
    (result,) = kit.ingest(video).values()
    assert (result.status, result.title) == ("updated", "The Talk")
    (known,) = kit.catalog.videos("local")
    assert (known.url, known.tags) == ("https://video.example/1", ("bees",))


def test_speech_is_read_once_a_recogniser_has_come(kit: Kit, clip: Path) -> None:
    heard = kit.transcriber
    kit.transcriber = None  # type: ignore[assignment]
    (result,) = kit.ingest(clip).values()
    assert "speech" not in result.channels
    kit.transcriber = heard
    (result,) = kit.ingest(clip).values()
    assert (result.status, result.channels["speech"]) == ("updated", "counting")


def test_a_fault_of_a_model_fails_one_video_and_leaves_no_pictures(
    kit: Kit, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(texts: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(kit.embedder, "embed", fails)
    (result,) = kit.ingest(clip).values()
    assert result.status == "failed"
    assert "CUDA out of memory" in str(result.error)
    assert not list(kit.folder.path.glob("frames/*/*"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_a_name_that_no_catalog_can_store_is_told(kit: Kit, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.vtt"))
    path.write_text("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nhello\n")
    (result,) = kit.ingest(path).values()
    assert result.status == "failed"
    assert "Rename" in str(result.error)
