"""The path of one video: identity by content, captions first, updates that leave nothing old behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import Caption, CaptionStream, Scene, make_clip, tone
from conftest import write_talk
from ingest_kit import HEARD_BLOCKS, Kit

from ingest.index import Scope
from ingest.pipeline import remove_video
from ingest.schema import LibraryError, TranscriptSegment, VideoError
from ingest.sources import find_sources
from ingest.transcripts import fit_to


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path / "library")
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of two scenes with a tone, without captions."""
    path = tmp_path_factory.mktemp("clips") / "two scenes.mp4"
    make_clip(path, [Scene(2.0, 1), Scene(2.0, 2)], sound=tone(4.0))
    return path


def test_captions_beside_the_file_come_before_speech(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"], len(kit.work.done("hear"))) == ("indexed", "blocks", HEARD_BLOCKS)
    write_talk(tmp_path, "talk.en", ["Captions are better."], 2.0)
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"]) == ("updated", "sidecar captions")
    assert len(kit.work.done("hear")) == HEARD_BLOCKS
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
    found = kit.index.search({"speech_dense": kit.embedder.embed(["word"])[0]}, Scope("local"), 10)
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
    assert not [path for path in (kit.folder.path / "work").rglob("*") if path.is_file()]


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
    kit.transcriber = None
    (result,) = kit.ingest(clip).values()
    assert "speech" not in result.channels
    kit.transcriber = heard
    (result,) = kit.ingest(clip).values()
    assert (result.status, result.channels["speech"]) == ("updated", "blocks")


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


def test_changed_captions_leave_pictures_alone_and_embed_only_what_changed(
    kit: Kit, clip: Path, tmp_path: Path
) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    sentences = [f"Sentence {number} of the talk about number {number}." for number in range(2)]
    write_talk(tmp_path, "talk", sentences, 2.0)
    (before,) = kit.ingest(video).values()
    done = len(kit.work.done("look")), len(kit.work.done("read"))
    assert min(done) > 0
    embedded = len(kit.work.done("embed"))
    write_talk(tmp_path, "talk", [sentences[0], "Another end."], 2.0)
    (after,) = kit.ingest(video).values()
    assert (after.status, after.video_id) == ("updated", before.video_id)
    assert (len(kit.work.done("look")), len(kit.work.done("read"))) == done
    assert len(kit.work.done("embed")) == embedded + 1  # the speech of its one moment; the screen text is as it was
    assert kit.work.done("hear") == []
    assert [point.moment.speech for point in kit.index.scroll("local")] == [f"{sentences[0]} Another end."]


def test_captions_that_go_leave_what_was_heard(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    captions = write_talk(tmp_path, "talk", ["Written words."], 2.0)
    kit.ingest(video)
    captions.unlink()
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"]) == ("updated", "blocks")
    assert len(kit.work.done("hear")) == HEARD_BLOCKS


def test_speech_beside_captions_is_kept_and_not_searched(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    write_talk(tmp_path, "talk", ["Written words."], 2.0)
    kit.ingest(video)
    kit.hear_captioned = True
    (result,) = kit.ingest(video).values()
    assert (result.status, result.channels["speech"]) == ("updated", "sidecar captions")
    assert result.video_id
    timeline = kit.catalog.timeline("local", result.video_id)
    assert [s.text for s in timeline.transcript] == ["Written words."]
    assert [s.text for s in timeline.other_transcripts] == [f"word {number}" for number in range(HEARD_BLOCKS)]


def test_several_languages_chapters_and_descriptions_are_kept(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "talk.mp4"))
    write_talk(tmp_path, "talk.en", ["The first sentence."], 2.0)
    write_talk(tmp_path, "talk.de", ["Der erste Satz."], 2.0)
    write_talk(tmp_path, "talk.chapters.en", ["Beginning", "End"], 2.0)
    write_talk(tmp_path, "talk.descriptions.en", ["A red wall."], 2.0)
    (result,) = kit.ingest(video).values()
    assert result.video_id
    timeline = kit.catalog.timeline("local", result.video_id)
    assert [(s.text, s.language) for s in timeline.transcript] == [("The first sentence.", "en")]
    assert [(s.text, s.language) for s in timeline.other_transcripts] == [("Der erste Satz.", "de")]
    assert [(c.start_seconds, c.title) for c in timeline.chapters] == [(0.0, "Beginning"), (2.0, "End")]
    assert [(d.text, d.source) for d in timeline.descriptions] == [("A red wall.", "description track")]
    assert "A red wall." in {point.moment.description for point in kit.index.scroll("local")}


def test_a_failed_reading_is_a_job_that_tells_why_until_it_succeeds(
    kit: Kit, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise LibraryError("The disk is full. Free some.")

    monkeypatch.setattr(kit.index, "replace", fails)
    kit.ingest(clip)
    ((tenant, job),) = kit.catalog.all_jobs()
    assert (tenant, job.path, job.reason) == ("local", str(clip), "The disk is full. Free some.")
    monkeypatch.undo()
    heard = len(kit.work.done("hear"))
    (result,) = kit.ingest(clip).values()
    assert (result.status, kit.catalog.all_jobs()) == ("indexed", [])
    assert len(kit.work.done("hear")) == heard  # what was heard before the disk was full is not heard again


EVENTS = ["decode", "speech", "hear 0", "hear 7", "screen text", "pictures", "embed", "publish"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_kill_on_the_way_loses_nothing_and_little_is_done_twice(event: str, clip: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    program = Path(__file__).with_name("ingest_kit.py")
    killed = subprocess.run([sys.executable, program, library, clip, event], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    kit = Kit(library)
    assert (kit.catalog.videos("local"), kit.index.count("local")) == ([], 0)
    assert [job.path for job in kit.catalog.jobs("local")] == [str(clip)]
    (result,) = kit.ingest(clip).values()
    assert (result.status, kit.catalog.all_jobs()) == ("indexed", [])
    assert kit.index.count("local") == result.moments > 0
    for kind in ("hear", "read", "look", "embed"):
        done = kit.work.done(kind)
        assert done
        assert len(done) == len(set(done)), f"some was done twice: {done}"
    assert [path for path in (library / "work").rglob("*") if path.is_file()] == []
    kit.close()


def test_a_hundred_gigabytes_of_nothing_are_refused_at_once(kit: Kit, tmp_path: Path) -> None:
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.write(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2")
        file.truncate(100 * 2**30)
    started = time.monotonic()
    (result,) = kit.ingest(huge).values()
    assert result.status == "failed"
    assert time.monotonic() - started < 20


def test_a_file_that_changes_while_it_is_read_is_told(kit: Kit, clip: Path, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip, tmp_path / "growing.mp4"))
    (source,) = find_sources([video])[0]

    def grow(stage: str) -> None:
        if stage == "speech":
            with video.open("ab") as file:
                file.write(b"more")

    result = kit.ingester().ingest(source, grow)
    assert (result.status, "changed while it was read" in str(result.error)) == ("failed", True)
    assert kit.index.count("local") == 0
    (result,) = kit.ingest(video).values()
    assert result.status == "indexed"


def test_a_copy_in_another_encoding_is_linked_and_takes_over(kit: Kit, tmp_path: Path) -> None:
    scenes = [Scene(2.0, number) for number in range(1, 5)]
    for name, options in (
        ("first.mp4", {}),
        ("second.mkv", {"options": {"crf": "35"}}),
        ("third.mp4", {"size": (256, 144)}),
    ):
        make_clip(tmp_path / name, scenes, **options)
    first, second, third = (kit.ingest(tmp_path / name)[name] for name in ("first.mp4", "second.mkv", "third.mp4"))
    assert (first.duplicate_of, second.duplicate_of, third.duplicate_of) == (None, first.video_id, first.video_id)
    remove_video(kit.catalog.videos("local")[0], kit.index, kit.catalog, kit.folder)
    left = {video.duplicate_of for video in kit.catalog.videos("local")}
    assert None in left
    assert left - {None} <= {video.video_id for video in kit.catalog.videos("local")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_at_random_times_lose_nothing(clip: Path, tmp_path: Path) -> None:
    """Fifty kills over a dozen libraries; each time the library opens, and holds the video whole or not at all."""
    chance, kills, rounds = random.Random(5), 0, 0
    program = Path(__file__).with_name("ingest_kit.py")
    while kills < 50:
        library = tmp_path / str(rounds)
        rounds, killed_here = rounds + 1, 0
        while True:
            process = subprocess.Popen([sys.executable, program, library, clip, "never"], stdout=subprocess.PIPE)
            try:
                process.wait(timeout=chance.uniform(0.5, 8.0))
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed_here += 1
            kit = Kit(library)
            counted = {kit.index.count("local"), len(kit.catalog.videos("local"))}
            assert counted in ({0}, {1}, {0, 1})  # the moment of a video that is not in the catalog yet is never shown
            kit.close()
        assert process.returncode == 0
        kit = Kit(library)
        assert [video.title for video in kit.catalog.videos("local")] == ["two scenes"]
        assert kit.index.count("local") == 1
        assert len(kit.work.done("hear")) <= HEARD_BLOCKS + killed_here
        kit.close()
        kills += killed_here
