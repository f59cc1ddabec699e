"""What the user names becomes a list of videos to ingest, each once."""

from __future__ import annotations

import json
import os
import socket
import wave
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import sources
from ingest.sources import Source, find_sources, readable_stem

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_in(folder: Path, *names: str) -> list[tuple[str | None, ...]]:
    """For each source: media, then captions, relative to the folder; fails on a failure."""
    found, failures = find_sources([folder / name for name in names] or [folder])
    assert not failures
    return [tuple(str(p.relative_to(folder)) if p else None for p in (s.media, *s.captions)) for s in found]


def failures_of(*paths: Path) -> list[str]:
    found, failures = find_sources(paths)
    assert not found
    assert all(len(failure.message.splitlines()) == 1 and failure.message.isprintable() for failure in failures)
    return [failure.message for failure in failures]


def write_manifest(folder: Path, *rows: object, name: str = "manifest.jsonl") -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return folder / name


@pytest.mark.parametrize(
    ("files", "named", "expected"),
    [
        (["a.mp4"], ["a.mp4"], [("a.mp4",)]),
        (["a.MP4", "a.en.VTT"], ["a.MP4"], [("a.MP4", "a.en.VTT")]),
        (["a.srt"], ["a.srt"], [(None, "a.srt")]),
        # a sidecar is no second video, unless it alone is named
        (["a.mp4", "a.srt"], ["."], [("a.mp4", "a.srt")]),
        (["a.mp4", "a.srt"], ["a.srt", "a.mp4"], [("a.mp4", "a.srt")]),
        (["a.mp4", "a.srt"], ["a.srt"], [(None, "a.srt")]),
        (["a.mp4", "x/a.srt"], ["."], [("a.mp4",), (None, "x/a.srt")]),
        (["a.1.mp4", "a.2.srt"], ["."], [("a.1.mp4",), (None, "a.2.srt")]),
        # captions whose names differ only in language, kind or format are one video, English captions first
        (["a.en.vtt", "a.de.vtt"], ["."], [(None, "a.en.vtt", "a.de.vtt")]),
        (["a.en.vtt", "a.de.vtt"], ["a.de.vtt"], [(None, "a.de.vtt")]),
        (["a.en.vtt", "a.de.vtt"], ["a.de.vtt", "x/../a.en.vtt"], [(None, "a.en.vtt", "a.de.vtt")]),
        (["a.chapters.vtt", "a.srt", "a.de.forced.vtt"], ["."], [(None, "a.srt", "a.de.forced.vtt", "a.chapters.vtt")]),
        (
            ["a_captions_en.vtt", "a_description_en.vtt", "a.lrc"],
            ["."],
            [(None, "a_captions_en.vtt", "a.lrc", "a_description_en.vtt")],
        ),
        (["a.chapters.vtt"], ["."], [(None, "a.chapters.vtt")]),
        (["part.1.vtt", "part.2.vtt"], ["."], [(None, "part.1.vtt"), (None, "part.2.vtt")]),
        (["talk_en.vtt", "talk_to.vtt"], ["."], [(None, "talk_en.vtt"), (None, "talk_to.vtt")]),
        (["with.dan.vtt", "with.ben.vtt"], ["."], [(None, "with.ben.vtt"), (None, "with.dan.vtt")]),
        (["a.en.vtt", "x/a.de.vtt"], ["."], [(None, "a.en.vtt"), (None, "x/a.de.vtt")]),
        (["a.mp4", "a.en.vtt", "a.chapters.vtt"], ["."], [("a.mp4", "a.chapters.vtt", "a.en.vtt")]),
        (["a.mp4", "a.info.json", "a.json", "package.json"], ["."], [("a.mp4",)]),
        # each file once, however it is named
        (["a.mp4"], ["a.mp4", "a.mp4", "./a.mp4", "x/../a.mp4", "."], [("a.mp4",)]),
        # natural order, files before folders, other files skipped
        (["p10.mp4", "p2.mp4", "P1.mp4"], ["."], [("P1.mp4",), ("p2.mp4",), ("p10.mp4",)]),
        (["b/2.mp4", "b/a/1.mp4", "a/3.mp4", "c.mp4"], ["."], [("c.mp4",), ("a/3.mp4",), ("b/2.mp4",), ("b/a/1.mp4",)]),
        (["a.mp4", "notes.txt", "a.nfo", ".hidden.mp4", ".git/b.mp4", "._a.mp4"], ["."], [("a.mp4",)]),
        ([".hidden.srt"], [".hidden.srt"], [(None, ".hidden.srt")]),
    ],
)
def test_files_and_folders(tmp_path: Path, files: list[str], named: list[str], expected: list[object]) -> None:
    (tmp_path / "x").mkdir()
    fill(tmp_path, *files)
    listed = [tuple(None if p is None else os.path.normpath(p) for p in row) for row in found_in(tmp_path, *named)]
    assert listed == expected


def test_json_is_captions_where_it_is_a_transcript(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "other.json")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"segments": [{"start": 1, "end": 2, "text": "x"}]}')
    assert found_in(tmp_path) == [("a.mp4", "a.json"), (None, "b.json")]
    (message,) = failures_of(tmp_path / "other.json")
    assert "is JSON, but no transcript of Whisper or WhisperX. Give media, captions (.ass" in message


def test_captions_that_a_manifest_describes_stay_apart(tmp_path: Path) -> None:
    fill(tmp_path, "a.en.vtt", "a.de.vtt", "a.fr.vtt")
    write_manifest(tmp_path, {"captions": "a.en.vtt"})
    assert set(found_in(tmp_path)) == {(None, "a.de.vtt", "a.fr.vtt"), (None, "a.en.vtt")}


def test_content_tells_media_without_a_suffix(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "recording"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    fill(tmp_path, "recording.en.srt")
    (tmp_path / "readme").write_text("prose")
    assert found_in(tmp_path) == [("recording", "recording.en.srt")]


def test_links_to_files_are_followed_and_to_folders_are_not(tmp_path: Path) -> None:
    fill(tmp_path, "real/a.mp4", "walked/b.mp4")
    (tmp_path / "walked" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "walked" / "loop").symlink_to(tmp_path / "walked")
    (tmp_path / "walked" / "c.mp4").symlink_to(tmp_path / "real" / "a.mp4")
    (tmp_path / "walked" / "gone.mp4").symlink_to(tmp_path / "nothing")
    assert found_in(tmp_path, "walked") == [("walked/b.mp4",), ("walked/c.mp4",)]
    assert found_in(tmp_path, "walked/linked") == [("walked/linked/a.mp4",)]


def test_what_cannot_be_ingested_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fill(tmp_path, "notes.txt", "full/.hidden.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nothing")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.close()
    for name, said in {
        "none.mp4": "does not exist",
        "gone.mp4": "does not exist",
        "empty": "No video, audio or caption file in",
        "full": "No video, audio or caption file in",
        "notes.txt": "no video, audio or caption file",
        "pipe.mp4": "not a regular file",
        "s": "not a regular file",
        "x" * 300: "cannot be read",
        "a\0b": "no possible file name",
        "a/\ud812": "no possible file name",
        "new\nline\u202e.mp4": "new\\nline\\u202e.mp4 does not exist",
    }.items():
        (message,) = failures_of(tmp_path / name)
        assert said in message, name
    assert failures_of(Path("/dev/zero")) == failures_of(Path("/dev/zero"), Path("/dev/zero"))


NAMES = [
    "-rf.mp4",
    "new\nline.mp4",
    "\u202egpj.mp4",
    "😀.mp4",
    "r\udc80w.mp4",
    "é" * 125 + ".mp4",
    "a..b.mp4",
    "a'b\"c;$(d).mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    stem = name.removesuffix(".mp4")
    fill(tmp_path, name, stem + ".srt")
    assert found_in(tmp_path) == found_in(tmp_path, name) == [(name, stem + ".srt")]
    title = readable_stem(tmp_path / name)
    assert title.encode() and len(title.splitlines()) == 1
    assert failures_of(tmp_path / f"{name[1:]}.missing")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("my_first__talk.mp4", "my first talk"), ("two-words.mp4", "two words"), ("Coca-Cola_ad.mp4", "Coca-Cola ad"),
        ("2024-05-01.mp4", "2024-05-01"), ("talk.en.vtt", "talk"), ("my_talk.en.sdh.srt", "my talk"), ("talk_chapters_en.vtt", "talk"), ("talk.en.mp4", "talk.en"), ("v1.2.mp4", "v1.2"),
        ("__.mp4", "__.mp4"), ("a\nb.mp4", "a b"), ("\u202egpj.mp4", "gpj"), ("r\udc80w.mp4", "r\ufffdw"),
    ],
)  # fmt: skip
def test_readable_stem(name: str, title: str) -> None:
    assert readable_stem(Path("/somewhere") / name) == title


def test_a_source_needs_a_file() -> None:
    with pytest.raises(ValueError, match="neither"):
        Source(None)


# --- manifests


def test_manifest_fields(tmp_path: Path) -> None:
    fill(tmp_path, "v/a.mp4", "v/a.srt", "c/b.vtt", "c/b.de.vtt", "c.srt")
    manifest = write_manifest(
        tmp_path,
        {"title": " A\n\ud800 ", "media": "v/a.mp4", "tags": "x", "other": {"ignored": 1}},
        "",
        {
            "captions": ["c/b.vtt", "c/b.de.vtt"],
            "url": "https://v.example/b",
            "duration_seconds": 60,
            "tags": ["x", " y ", "x"],
        },
        {"captions": str(tmp_path / "c.srt"), "media": None, "title": "", "published_at": "2024-05-01"},
    )
    v, c = tmp_path / "v", tmp_path / "c"
    expected = [
        Source(v / "a.mp4", (v / "a.srt",), title="A \ufffd", tags=("x",)),
        Source(None, (c / "b.vtt", c / "b.de.vtt"), None, "https://v.example/b", 60.0, ("x", "y")),
        Source(None, (tmp_path / "c.srt",), published_at="2024-05-01"),
    ]
    for named in ([manifest], [tmp_path], [manifest, tmp_path], [v / "a.mp4", c, manifest, v]):
        found, failures = find_sources(named)
        assert not failures
        assert sorted(found, key=str) == sorted(expected, key=str)


def test_the_sidecar_of_described_media_is_no_video_of_its_own(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "a.srt", "better.srt", "b.mp4")
    write_manifest(tmp_path, {"media": "a.mp4", "captions": "better.srt"})
    assert found_in(tmp_path) == [("b.mp4",), ("a.mp4", "better.srt")]


def test_one_caption_file_at_two_addresses_is_two_videos(tmp_path: Path) -> None:
    fill(tmp_path, "a.srt")
    rows = [{"captions": "a.srt", "url": f"https://v.example/{name}"} for name in "xyx"]
    assert len(find_sources([write_manifest(tmp_path, *rows)])[0]) == 2


def test_a_manifest_met_in_a_folder_counts_when_it_is_ours(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4")
    write_manifest(tmp_path, {"path": "a.mp4"}, "not json", [])
    write_manifest(tmp_path, {"media": "missing.mp4"}, name="other.jsonl")
    assert found_in(tmp_path) == [("a.mp4",)]
    write_manifest(tmp_path, "not json", {"captions": "missing.srt"})
    found, failures = find_sources([tmp_path])
    assert [source.media for source in found] == [tmp_path / "a.mp4"]
    assert [failure.message.split(" line ")[1][:2] for failure in failures] == ["1:", "2:"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it is [1], not an object"),
        ("\udcff", "it is not UTF-8"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"x": ' + "9" * 5000 + "}", "it is not JSON"),
        ({"title": "x"}, "neither media nor captions"),
        ({"captions": []}, "neither media nor captions"),
        ({"captions": 5}, "captions is 5"),
        ({"captions": ["a.srt", None]}, "captions is ['a.srt', None]"),
        ({"captions": "gone.srt"}, "gone.srt is no file"),
        ({"captions": "a\0b.srt"}, "is no file"),
        ({"captions": "\ud812.srt"}, "is no file"),
        ({"captions": ""}, "is no file"),
        ({"captions": "notes.txt"}, "notes.txt is none of .ass"),
        ({"media": "."}, "is no file"),
        ({"media": ["a.mp4", "b.mp4"]}, "media names 2 files"),
        ({"captions": "a.srt", "title": ["x\n"]}, "title is ['x\\n']"),
        ({"captions": "a.srt", "url": "javascript:alert(1)"}, "url is 'javascript:alert(1)'"),
        ({"captions": "a.srt", "url": "https://"}, "not an http"),
        ({"captions": "a.srt", "duration_seconds": -1}, "duration_seconds is -1"),
        ({"captions": "a.srt", "duration_seconds": True}, "duration_seconds is True"),
        ({"captions": "a.srt", "duration_seconds": 1e12}, "duration_seconds is 1000000000000.0"),
        ('{"captions": "a.srt", "duration_seconds": NaN}', "duration_seconds is nan"),
        ({"captions": "a.srt", "tags": {"x": 1}}, "tags is {'x': 1}"),
        ({"captions": "a.srt", "published_at": 2024}, "published_at is 2024"),
    ],
)
def test_a_bad_manifest_line_is_one_failure_and_the_rest_goes_on(tmp_path: Path, line: object, said: str) -> None:
    fill(tmp_path, "a.srt", "a.mp4", "b.mp4", "notes.txt")
    manifest = write_manifest(tmp_path, line, {"captions": "a.srt"})
    found, failures = find_sources([manifest])
    assert found == [Source(None, (tmp_path / "a.srt",))]
    (failure,) = failures
    assert failure.path == str(manifest)
    assert failure.message.startswith(f"{manifest} line 1: ") and said in failure.message
    assert failure.message.isprintable() and failure.message.endswith(".")


def test_an_endless_manifest_line_ends_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_MANIFEST_LINE_BYTES", 100)
    fill(tmp_path, "a.srt")
    manifest = write_manifest(tmp_path, {"captions": "a.srt"}, "x" * 250, {"captions": "a.srt"})
    found, failures = find_sources([manifest])
    assert len(found) == 1
    assert [failure.message for failure in failures] == [
        f"{manifest} line 2: it is over 1 MB, and what follows was not read. Put one object on each line."
    ]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.dictionaries(
        st.sampled_from(["captions", "media", "title", "url", "duration_seconds", "tags", "published_at", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("a.srt"),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_any_manifest_line_is_a_source_or_a_failure(tmp_path: Path, row: dict[str, object]) -> None:
    fill(tmp_path, "a.srt")
    found, failures = find_sources([write_manifest(tmp_path, row)])
    assert len(found) + len(failures) == 1
    assert all(failure.message.isprintable() for failure in failures)


# --- real folders


@needs_data
@pytest.mark.parametrize("name", ["spoken_library", "spoken_library_noisy"])
def test_a_folder_with_a_manifest_gives_what_it_describes(name: str) -> None:
    found, failures = find_sources([DATA / name])
    assert not failures
    assert len(found) == 24
    assert all(source.title and source.url and source.duration_seconds and not source.media for source in found)


@needs_data
def test_captions_of_four_films_in_many_languages() -> None:
    found, failures = find_sources([DATA / "captions", DATA / "captions_long"])
    assert not failures
    assert [(source.path.name, len(source.captions)) for source in found] == [
        ("blocks4all_captions_en.vtt", 4),
        ("deadline_captions_en.vtt", 4),
        ("itaccess_captions_en.vtt", 5),
        ("wwa_captions_en.vtt", 7),
        ("a95KMDHf4vQ.whisperx.en.json", 1),
    ]


@needs_data
def test_the_media_folder() -> None:
    found, failures = find_sources([DATA / "media"])
    assert not failures
    assert len([source for source in found if source.media]) == 27
    assert {s.media.name: s.captions[0].name for s in found if s.media and s.captions} == {
        "friday.mp4": "friday.vtt",
        "stream-of-water.mp4": "stream-of-water.vtt",
        "stream-of-water.webm": "stream-of-water.vtt",
    }
    assert {s.captions[0].name for s in found if not s.media} == {
        "s1.srt",
        "s2.vtt",
        "subtitles.srt",
        "subtitles-unicode.srt",
    }
