"""What the names of caption files tell, and which files belong to a video."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.caption_names import (
    CaptionName,
    caption_name,
    find_sidecars,
    is_caption_file,
    language_of_name,
    preferred_first,
)

TRANSCRIPT = '{"segments": [{"start": 1, "end": 2, "text": "x"}]}'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.vtt", CaptionName("talk")),
        ("talk.en.srt", CaptionName("talk", "en")),
        ("talk.en.sdh.srt", CaptionName("talk", "en")),
        ("talk.en-US.cc.vtt", CaptionName("talk", "en")),
        ("talk.de.forced.vtt", CaptionName("talk", "de", is_partial=True)),
        ("talk.FORCED.ger.vtt", CaptionName("talk", "de", is_partial=True)),
        ("talk.hi.srt", CaptionName("talk", "hi")),
        ("talk.en.hi.srt", CaptionName("talk", "en")),
        ("talk.captions.vtt", CaptionName("talk")),
        ("talk.chapters.vtt", CaptionName("talk", kind="chapters")),
        ("talk.en.chapters.vtt", CaptionName("talk", "en", "chapters")),
        ("talk.chapters.en.vtt", CaptionName("talk", "en", "chapters")),
        ("talk_chapters_en.vtt", CaptionName("talk", "en", "chapters")),
        ("talk_chapters.en.vtt", CaptionName("talk", "en", "chapters")),
        ("talk_chapters.vtt", CaptionName("talk", kind="chapters")),
        ("talk.descriptions.en.vtt", CaptionName("talk", "en", "descriptions")),
        ("talk.description.vtt", CaptionName("talk", kind="descriptions")),
        ("talk_Description_en.vtt", CaptionName("talk", "en", "descriptions")),
        ("my_talk_captions_pt-BR.vtt", CaptionName("my_talk", "pt")),
        ("talk_subtitles_zh-cn.vtt", CaptionName("talk", "zh")),
        ("a95KMDHf4vQ.whisperx.en.json", CaptionName("a95KMDHf4vQ", "en")),
        # one language at most, and nothing that only looks like a tag
        ("talk.en.de.srt", CaptionName("talk.en", "de")),
        ("talk.1.vtt", CaptionName("talk.1")),
        ("part.ii.vtt", CaptionName("part.ii")),
        ("v1.2.vtt", CaptionName("v1.2")),
        ("how_to.vtt", CaptionName("how_to")),
        ("talk_en.vtt", CaptionName("talk_en")),
        ("interview.dan.vtt", CaptionName("interview.dan")),
        ("report.mar.vtt", CaptionName("report.mar")),
        ("my_chapters_of_life.vtt", CaptionName("my_chapters_of_life")),
        ("talk_chapters_two.vtt", CaptionName("talk_chapters_two")),
        ("chapters.vtt", CaptionName("chapters")),
        ("en.vtt", CaptionName("en")),
        (".en.vtt", CaptionName(".en")),
        ("..en.vtt", CaptionName(".", "en")),
        ("_chapters.vtt", CaptionName("_chapters")),
    ],
)
def test_caption_name(name: str, expected: CaptionName) -> None:
    assert caption_name(Path(name)) == expected


@given(st.text(st.sampled_from("aen._-/hi\n1") | st.characters(), max_size=12).filter(lambda name: "\0" not in name))
def test_any_name_has_a_stem(name: str) -> None:
    stem = Path("x" + name.replace("/", "")).stem
    assert stem.startswith(caption_name(Path(stem + ".vtt")).stem or "!")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("talk.en.vtt", "en"),
        ("talk.pt-BR.srt", "pt"),
        ("talk.jpn.ass", "ja"),
        ("en.vtt", None),
        ("talk.vtt", None),
        ("a.1.srt", None),
    ],
)
def test_language_of_name(name: str, code: str | None) -> None:
    assert language_of_name(Path(name)) == code


@pytest.mark.parametrize(
    ("media", "caption", "belongs"),
    [
        ("talk.mp4", "talk.vtt", True),
        ("talk.mp4", "talk.VTT", True),
        ("talk.mp4", "talk.en.vtt", True),
        ("talk.mp4", "talk.pt-BR.srt", True),
        ("talk.mp4", "talk.ger.ass", True),
        ("talk.mp4", "talk.mp4.srt", True),
        ("talk.mp4", "talk.mp4.en.srt", True),
        ("talk.mp4", "talk.extended.vtt", False),
        ("talk.mp4", "talk2.vtt", False),
        ("talk.mp4", "talk.txt", False),
        ("talk.mp4", "talk.en.json", False),
        ("talk.mp4", "talk.en.sdh.srt", True),
        ("talk.mp4", "talk.en.hi.srt", True),
        ("talk.mp4", "talk.de.forced.vtt", True),
        ("talk.mp4", "talk.chapters.vtt", True),
        ("talk.mp4", "talk_descriptions_en.vtt", True),
        ("talk.mp4", "talk.mp4.chapters.en.vtt", True),
        ("talk.mp4", "talk.lrc", True),
        ("talk.mp4", "talk.SMI", True),
        ("talk.mp4", "talk_en.vtt", True),
        ("talk.mp4", "talk_pt-BR.vtt", True),
        ("talk.mp4", "talk_1.vtt", False),
        ("talk.mp4", "talk_two.vtt", False),
        ("talk.mp4", "talk.ben.vtt", True),
        ("talk.mp4", "talk.en.extended.srt", False),
        ("a.1.mp4", "a.2.srt", False),
        ("a.1.mp4", "a.1.srt", True),
        ("a.1.mp4", "a.1.en.srt", True),
        ("a.mp4", "a.1.srt", False),
        ("a.mp4", "a.ii.srt", False),
        ("talk", "talk.vtt", True),
        ("-x.mp4", "-x.vtt", True),
        ("a\nb.mp4", "a\nb.en.vtt", True),
        ("😀.mp4", "😀.vtt", True),
        ("r\udc80w.mp4", "r\udc80w.en.vtt", True),
    ],
)
def test_sidecar_names(tmp_path: Path, media: str, caption: str, belongs: bool) -> None:
    (tmp_path / media).touch()
    (tmp_path / caption).touch()
    assert find_sidecars(tmp_path / media) == ((tmp_path / caption,) if belongs else ())


def test_sidecars_are_sorted_and_stay_with_their_own_media(tmp_path: Path) -> None:
    for name in ("talk.mp4", "talk.en.mp4", "talk.srt", "talk.en.vtt", "talk.de.vtt", "talk.en.de.srt"):
        (tmp_path / name).touch()
    (tmp_path / "talk.fr.srt").mkdir()
    assert [path.name for path in find_sidecars(tmp_path / "talk.mp4")] == ["talk.de.vtt", "talk.srt"]
    assert [path.name for path in find_sidecars(tmp_path / "talk.en.mp4")] == ["talk.en.de.srt", "talk.en.vtt"]
    assert find_sidecars(tmp_path / "nowhere" / "talk.mp4") == ()


def test_a_longer_name_of_a_media_file_keeps_its_captions(tmp_path: Path) -> None:
    for name in ("how.mp4", "how_to.mp4", "how_to.vtt", "how.en.sdh.mp4", "how.en.sdh.vtt", "how.en.cc.vtt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_sidecars(tmp_path / "how.mp4")] == ["how.en.cc.vtt"]
    assert [path.name for path in find_sidecars(tmp_path / "how_to.mp4")] == ["how_to.vtt"]
    assert [path.name for path in find_sidecars(tmp_path / "how.en.sdh.mp4")] == ["how.en.sdh.vtt"]


def test_json_is_a_sidecar_where_it_is_a_transcript(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text(TRANSCRIPT)
    (tmp_path / "talk.en.json").write_text('{"title": "segments", "start": 1, "text": 2}')
    assert [path.name for path in find_sidecars(tmp_path / "talk.mp4")] == ["talk.json"]
    assert [is_caption_file(tmp_path / name) for name in ("talk.json", "talk.en.json", "a.srt", "a.txt", "no.json")] == [
        True, False, True, False, False,
    ]  # fmt: skip


def test_preferred_first() -> None:
    best_first = ["t.en.srt", "t.en.json", "t.de.vtt", "t.vtt", "t.en.forced.vtt", "t.chapters.vtt"]
    paths = [Path(name) for name in best_first]
    assert preferred_first(reversed(paths)) == preferred_first(paths) == tuple(paths)
