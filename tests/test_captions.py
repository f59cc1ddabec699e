"""Caption files of every kind and every damage into segments."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import captions, text_decoding
from ingest.captions import (
    CaptionKind,
    CaptionTrack,
    Cue,
    clean_cue_text,
    detect_language,
    preferred_track,
    printable,
    read_captions,
    segments_from_cues,
    short_language,
)
from ingest.schema import TranscriptSegment, VideoError

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
SIDECAR: Final = "sidecar captions"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")

ENGLISH = (
    "the lens of a lighthouse bends the light of a small lamp into one flat beam "
    "that can be seen by ships which are many miles away from the coast"
)


def read(tmp_path: Path, name: str, content: str | bytes) -> list[tuple[float, float, str]]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(s.start_seconds, s.end_seconds, s.text) for s in read_captions(path, SIDECAR).segments]


SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello\nthere\n\n2\n00:00:03,000 --> 00:00:04,000\nGoodbye\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.500\nHello\nthere\n\n00:03.000 --> 00:04.000 line:0\nGoodbye"
ASS = """[Script Info]
[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial,broken,numbers
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\\an8\\i1}Hello{\\i0}\\Nthere, all
Dialogue: 0,0:00:xx.00,0:00:02.50,Default,Ann,0,0,0,,no time
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,Goodbye
"""
TTML = """<tt xmlns="http://www.w3.org/ns/ttml"><body><div>
<p begin="00:00:01.000" end="00:00:02.500">Hello<br/>there</p><p begin="3s" end="4s">Goodbye</p></div></body></tt>"""
TWO_CUES = [(1.0, 2.5, "Hello there"), (3.0, 4.0, "Goodbye")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.srt", SRT, TWO_CUES),
        ("a.SRT", SRT.replace("\n", "\r\n"), TWO_CUES),
        ("a.srt", SRT.replace("\n", "\r"), TWO_CUES),
        ("a.srt", SRT.replace("\n", "\r\r\n"), TWO_CUES),
        ("a.srt", SRT.replace("\n", "\n\n"), TWO_CUES),
        ("a.srt", SRT.replace(" --> ", " -> ").replace(",", "."), TWO_CUES),
        ("a.srt", SRT.replace("00:00:0", "00: 00: 0"), TWO_CUES),
        ("a.srt", SRT.replace("1\n00", "00").replace("2\n00", "00"), TWO_CUES),
        ("a.srt", SRT + "\n3\n", TWO_CUES),
        ("a.srt", "5\n00:00:01,000 --> 00:00:02,000\n\n6\n00:00:03,000 --> 00:00:04,000\n42\n", [(3.0, 4.0, "42")]),
        ("a.srt", "1\n0:0:1,5 --> 0:0:2\n<i>a</i> <font color='#f00'>b</font> {\\an8}c\n", [(1.5, 2.0, "a b c")]),
        ("a.srt", "1\n-00:00:01,000 --> 00:00:02,000\nearly\n", [(0.0, 2.0, "early")]),
        ("a.vtt", VTT, TWO_CUES),
        ("a.vtt", "00:01.000 --> 00:02.500 align:start\nHello\nthere\n00:03.000 --> 00:04.000\nGoodbye", TWO_CUES),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.500\n\nHello there\n\n00:03.000 --> 00:04.000\n\nGoodbye", TWO_CUES),
        ("a.vtt", VTT + "\n\n9999:00:01.000 --> 9999:00:02.000\nfar", TWO_CUES),
        ("a.ass", ASS, [(1.0, 2.5, "Hello there, all"), (3.0, 4.0, "Goodbye")]),
        ("a.ssa", ASS.replace("V4+", "V4").replace("Dialogue: 0", "Dialogue: Marked=0"), None),
        ("a.sub", "{1}{1}10.0\n{10}{25}{y:i}Hello|there\n{30}{40}Goodbye\n", TWO_CUES),
        ("a.ttml", TTML, TWO_CUES),
        ("wrong_suffix.srt", VTT.replace("\n\n", "\n\nNOTE no\n\nid\n"), TWO_CUES),
    ],
)
def test_formats(tmp_path: Path, name: str, content: str, expected: list[tuple[float, float, str]] | None) -> None:
    assert read(tmp_path, name, content) == (expected or [(1.0, 2.5, "Hello there, all"), (3.0, 4.0, "Goodbye")])


def test_webvtt_notes_styles_regions_names_and_voices(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(
        "WEBVTT - a title\nKind: captions\n\nNOTE\nnot said\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\n\n"
        "Chapter 1\n00:01.000 --> 00:02.000 position:10%,line-left\n<v.loud Ann &amp; Bob>Hi <c.red>you</c>\n\n"
        "NOTE nothing here\n\n00:03.000 --> 00:04.000\n<v Ann>Yes? <v Bob>No.\n"
    )
    segments = read_captions(path, SIDECAR).segments
    assert [(s.text, s.speaker) for s in segments] == [("Hi you", "Ann & Bob"), ("Yes? No.", "Ann, Bob")]
    assert {s.source for s in segments} == {SIDECAR}


def test_the_actor_of_an_ass_line_is_its_speaker(tmp_path: Path) -> None:
    (tmp_path / "a.ass").write_text(ASS)
    track = read_captions(tmp_path / "a.ass", SIDECAR)
    assert [s.speaker for s in track.segments] == ["Ann", None]
    assert track.warnings == ("captions left out for impossible times: 1",)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("<00:00:01.000><c> word</c>", "word"),
        ("<ruby>base<rt>top</rt></ruby>", "basetop"),
        ("<lang en-GB>colour</lang>", "colour"),
        ("one<br/>two\\Nthree\nfour", "one two three four"),
        ("{\\pos(1,2)}a{\\b1}b{\\b0}", "ab"),
        ("a {\\p1}m 0 0 l 5 5{\\p0} b", "a b"),
        ('{"json": 1} stays', '{"json": 1} stays'),
        ("if a < b and c > d", "if a < b and c > d"),
        ("x <5 and <c.red unclosed", "x <5 and unclosed"),
        ("AT&T &amp; R&D &lt;b&gt; &nbsp;&#39;x&#x27;", "AT&T & R&D <b> 'x'"),
        ("print('a\\n') in C:\\new", "print('a\\n') in C:\\new"),
        ("\u202bשלום\u202c\u200f", "שלום"),
        ("a\x00b\x1b[31m\ud800", "a b [31m\ufffd"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<b></b>{\\an8}&nbsp;", ""),
    ],
)
def test_cleaning(raw: str, clean: str) -> None:
    assert clean_cue_text(raw) == clean


@pytest.mark.parametrize(
    ("text", "said", "speaker"),
    [
        (">> ANN LEE: Hello", "Hello", "ANN LEE"),
        ("&gt;&gt; Dr. Ann Lee: Hello", "Hello", "Dr. Ann Lee"),
        (">>> BOB: Yes?\n>> ANN: No.", "Yes? No.", "BOB, ANN"),
        (">> BOB: Yes?\n>> No.", "Yes? >> No.", "BOB"),
        ("<v Ann>>> BOB: Yes?", ">> BOB: Yes?", "Ann"),
        # what may be no name stays
        (">> Hello", ">> Hello", None),
        (">> BOB:", ">> BOB:", None),
        (">> at 5:30 we left", ">> at 5:30 we left", None),
        (">> One thing is clear: go", ">> One thing is clear: go", None),
        ("WARNING: do not open", "WARNING: do not open", None),
        ("- Ann: Hello", "- Ann: Hello", None),
    ],
)
def test_names_behind_speaker_marks(text: str, said: str, speaker: str | None) -> None:
    (segment,) = segments_from_cues([Cue(1, 2, text)], SIDECAR).segments
    assert (segment.text, segment.speaker) == (said, speaker)


# --- kinds

CHAPTERS = "WEBVTT\n\n" + "".join(
    f"{n:02}:00.000 --> {n + 1:02}:00.000\n{title}\n\n"
    for n, title in enumerate(["Intro", "Intro\nPart 1", "Part 1\nPart 2", "Part 2\nEnd", "<00:04:30.000>End"])
)


@pytest.mark.parametrize(
    ("name", "header", "kind"),
    [
        ("talk.vtt", "", "captions"),
        ("talk.vtt", "Kind: Chapters\n", "chapters"),
        ("talk.vtt", "Kind: metadata\n", "captions"),
        ("talk.chapters.vtt", "Kind: captions\n", "chapters"),
        ("talk_descriptions_en.vtt", "", "descriptions"),
    ],
)
def test_kind_is_told_by_name_then_by_header(tmp_path: Path, name: str, header: str, kind: str) -> None:
    (tmp_path / name).write_text(CHAPTERS.replace("WEBVTT\n", f"WEBVTT\n{header}"))
    track = read_captions(tmp_path / name, SIDECAR)
    assert track.kind == kind
    titles = [s.text for s in track.segments]
    if kind == "captions":
        assert titles == ["Intro", "Part 1", "Part 2", "End"]
    else:
        assert titles == ["Intro", "Intro Part 1", "Part 1 Part 2", "Part 2 End", "End"]


def test_forced_captions_are_partial(tmp_path: Path) -> None:
    for name in ("talk.de.forced.srt", "talk.de.srt"):
        (tmp_path / name).write_text(SRT)
    assert read_captions(tmp_path / "talk.de.forced.srt", SIDECAR).is_partial
    assert not read_captions(tmp_path / "talk.de.srt", SIDECAR).is_partial


# --- the preferred track


def track(
    language: str | None, kind: CaptionKind = "captions", is_partial: bool = False, sure: float | None = None
) -> CaptionTrack:
    segment = TranscriptSegment(0.0, 1.0, "x", SIDECAR, language, sure)
    return CaptionTrack((segment,), language, (), kind, is_partial)


EN, DE, FR, OTHER = track("en"), track("de"), track("fr"), track(None)
EN_FORCED, EN_HEARD, DE_HEARD = track("en", is_partial=True), track("en", sure=0.9), track("de", sure=0.9)


@pytest.mark.parametrize(
    ("tracks", "spoken", "best"),
    [
        ([DE, EN], None, EN),
        ([DE, EN], "de", DE),
        ([DE, EN], "fr", EN),
        ([DE, FR], None, DE),
        ([OTHER, DE], "fr", OTHER),
        ([EN_FORCED, DE], "en", DE),
        ([EN_FORCED], None, EN_FORCED),
        ([EN_HEARD, EN], None, EN),
        ([DE_HEARD, EN], "de", DE_HEARD),
        ([track("de", "chapters"), track("en", "descriptions"), DE], "en", DE),
        ([track("de", "chapters"), track("en", "chapters")], None, track("en", "chapters")),
    ],
)
def test_preferred_track(tracks: list[CaptionTrack], spoken: str | None, best: CaptionTrack) -> None:
    assert preferred_track(tracks, spoken) == best


# --- long captions


def test_a_long_caption_is_cut_at_its_word_times(tmp_path: Path) -> None:
    text = "<v Ann>one<00:00:05.000><c> two</c><00:00:11.000><c> three</c><00:00:16.000><c> fo</c><00:00:18.000>ur"
    content = f"WEBVTT\n\n00:00:00.000 --> 00:00:20.000\n{text}\n"
    assert read(tmp_path, "a.vtt", content) == [(0.0, 11.0, "one two"), (11.0, 20.0, "three four")]
    assert {s.speaker for s in read_captions(tmp_path / "a.vtt", SIDECAR).segments} == {"Ann"}


@pytest.mark.parametrize(
    "text",
    [
        "one two three",
        "one <00:00:15.000>two <00:00:05.000>three",
        "one <00:00:15.000>two <00:00:25.000>three",
    ],
)
def test_a_long_caption_without_sound_word_times_stays_whole(text: str) -> None:
    (segment,) = segments_from_cues([Cue(0, 20, text)], SIDECAR).segments
    assert (segment.start_seconds, segment.end_seconds, segment.text) == (0, 20, "one two three")


YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.470 align:start position:0%
\x20
hello<00:00:00.480><c> and</c><00:00:01.000><c> welcome</c>

00:00:02.470 --> 00:00:02.480 align:start position:0%
hello and welcome
\x20

00:00:02.480 --> 00:00:04.500 align:start position:0%
hello and welcome
to<00:00:02.900><c> the</c><00:00:03.000><c> show</c>

00:00:04.500 --> 00:00:04.510 align:start position:0%
to the show
\x20

00:00:04.510 --> 00:00:06.000 align:start position:0%
to the show
to<00:00:04.900><c> the</c><00:00:05.000><c> show</c>
"""


def test_rolling_captions_give_every_line_once(tmp_path: Path) -> None:
    expected = [(0.16, 2.47, "hello and welcome"), (2.48, 4.5, "to the show"), (4.51, 6.0, "to the show")]
    assert read(tmp_path, "a.vtt", YOUTUBE) == expected


def test_three_row_roll_up() -> None:
    words = ["one", "two", "three", "four", "five"]
    cues = [Cue(i, i + 1, "\n".join(words[max(0, i - 2) : i + 1])) for i in range(len(words))]
    assert [s.text for s in segments_from_cues(cues, SIDECAR).segments] == words


def test_a_refrain_is_not_rolling() -> None:
    texts = ["Yeah", "Yeah", "Let it be", "Let it be", "Yeah\nlet it be", "now"]
    cues = [Cue(i, i + 1, text) for i, text in enumerate(texts)]
    assert len(segments_from_cues(cues, SIDECAR).segments) == len(texts)


def test_times_are_checked_sorted_and_exact_repeats_dropped() -> None:
    cues = [
        Cue(5, 6, "later"),
        Cue(1, 2, "sooner"),
        Cue(1, 2, "<i>sooner</i>"),
        Cue(4, 3, "reversed"),
        Cue(-5, -4, "before"),
        Cue(math.nan, 2, "nan"),
        Cue(1, math.inf, "endless"),
        Cue(1e9, 1e9 + 1, "year 30"),
        Cue(-1, 1, "straddles"),
        Cue(7, 8, " <b> </b> "),
    ]
    track = segments_from_cues(cues, "embedded captions", "eng")
    assert [(s.start_seconds, s.text) for s in track.segments] == [(0.0, "straddles"), (1.0, "sooner"), (5.0, "later")]
    assert track.warnings == ("captions left out for impossible times: 5",)
    assert track.language == "en"
    assert {(s.source, s.language) for s in track.segments} == {("embedded captions", "en")}


FRENCH = "1\n00:00:01,000 --> 00:00:02,000\nLe phare éclaire la côte, où les bateaux passent très près des rochers.\n"
CHINESE = "1\n00:00:01,000 --> 00:00:02,000\n灯塔的光照亮了海岸，船只在岩石附近经过。\n"


@pytest.mark.parametrize(
    ("text", "encoding", "is_guessed"),
    [
        (FRENCH, "utf-8-sig", False),
        (FRENCH, "utf-16", False),
        (FRENCH, "utf-16-le", False),
        (FRENCH, "utf-16-be", False),
        (FRENCH, "utf-32", False),
        (FRENCH, "cp1252", True),
        (CHINESE, "utf-16", False),
        (CHINESE, "utf-16-be", False),
        (CHINESE, "gb18030", True),
        (CHINESE.replace("灯塔的光", "燈塔"), "big5", True),
    ],
)
def test_encodings(tmp_path: Path, text: str, encoding: str, is_guessed: bool) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(text.encode(encoding, "ignore"))
    track = read_captions(path, SIDECAR)
    assert track.segments[0].text == text.encode(encoding, "ignore").decode(encoding).splitlines()[2]
    assert bool([warning for warning in track.warnings if "guessed" in warning]) is is_guessed


def test_one_broken_byte_does_not_change_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(FRENCH.encode() + b"\n2\n00:00:03,000 --> 00:00:04,000\nd\xc3\n\0\0\0")
    track = read_captions(path, SIDECAR)
    assert "éclaire la côte" in track.segments[0].text
    assert track.segments[1].text == "d\ufffd"
    assert track.warnings == ("some bytes are not valid UTF-8 and were replaced",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.srt", b"", "holds no caption"),
        ("prose.vtt", b"WEBVTT\n\nonly prose\n", "holds no caption"),
        ("reversed.srt", b"1\n00:00:05,000 --> 00:00:01,000\nx\n", "impossible times: 1"),
        ("zip.srt", b"PK\x03\x04" + bytes(200) + b"x", "binary"),
        ("movie.sub", bytes(range(256)) * 20, "binary"),
        ("frames.sub", b"{100}{200}no rate\n", "frames"),
        ("bad.ttml", b'<tt xmlns="http://www.w3.org/ns/ttml"><body>', "Convert it"),
        ("bomb.ttml", b'<!DOCTYPE x [<!ENTITY a "b">]><tt xmlns="http://www.w3.org/ns/ttml"/>', "entities"),
    ],
)
def test_refusals_are_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(VideoError, match=said) as raised:
        read(tmp_path, name, content)
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_missing_large_and_special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VideoError, match="cannot be read"):
        read_captions(tmp_path / "no\nsuch.srt", SIDECAR)
    with pytest.raises(VideoError, match="not a regular file"):
        read_captions(tmp_path, SIDECAR)
    os.mkfifo(tmp_path / "pipe.srt")
    with pytest.raises(VideoError, match="not a regular file"):
        read_captions(tmp_path / "pipe.srt", SIDECAR)
    monkeypatch.setattr(text_decoding, "MAX_CAPTION_BYTES", 100)
    with pytest.raises(VideoError, match="larger than"):
        read(tmp_path, "large.srt", SRT + " " * 100)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<v ",
        "<1:",
        "{\\",
        "{y:",
        "&",
        "&#",
        "\n",
        "\n1",
        " ",
        "00:00:01,000 --> ",
        "<br ",
        "\\p1{",
        "Dialogue:,",
        "<v\t",
        ">> A:",
        "\n>> A: b",
        "<00:00:09.000>x",
    ],
)
def test_hostile_repetition_costs_linear_time(tmp_path: Path, piece: str) -> None:
    started = time.monotonic()
    for name, head in (
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nx"),
        ("a.ass", "Dialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,x"),
        ("a.sub", "{1}{1}25\n{1}{2}x"),
        ("a.vtt", "WEBVTT\n\n00:00:00.000 --> 40:00:00.000\nx"),
    ):
        assert read(tmp_path, name, head + piece * (400_000 // len(piece)))
    assert time.monotonic() - started < 20.0  # quadratic patterns need minutes


# --- languages


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("pt-BR", "pt"),
        ("zh_cn", "zh"),
        ("zh-Hans-CN", "zh"),
        ("es-419", "es"),
        ("en-orig", "en"),
        ("iw", "he"),
        ("cmn", "zh"),
        ("fil", "fil"),
        ("und", None),
        ("xx", None),
        ("ii", None),
        ("1", None),
        ("extended", None),
        ("en-extended", None),
        ("", None),
        (None, None),
    ],
)
def test_short_language(tag: str | None, code: str | None) -> None:
    assert short_language(tag) == code


def test_language_is_told_by_name_before_text_and_not_from_a_few_words(tmp_path: Path) -> None:
    cue = f"1\n00:00:01,000 --> 00:00:09,000\n{ENGLISH}\n"
    wrong = f"WEBVTT\nLanguage: fr\n\n{cue}"
    unsure = "WEBVTT\nKind: captions\nLanguage: pt-BR\n\n00:01.000 --> 00:02.000\nBom dia"
    for name, content, language in (
        ("a.srt", cue, "en"),
        ("a.de.srt", cue, "de"),
        ("a.vtt", wrong, "en"),
        ("b.vtt", unsure, "pt"),
        ("b.es.vtt", unsure, "es"),
    ):
        (tmp_path / name).write_text(content)
        track = read_captions(tmp_path / name, SIDECAR)
        assert (track.language, track.segments[0].language) == (language, language)
    assert detect_language("Bonjour le monde") is None
    assert detect_language("日本語の字幕はとても短い文で書かれていますが、単語の間に空白がありません") == "ja"


# --- paths


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b.mp4", "a b.mp4"),
        ("a\nb\x1b.mp4", "a\\nb\\x1b.mp4"),
        ("\u202egpj.mp4", "\\u202egpj.mp4"),
        ("日本\u3000語", "日本\u3000語"),
        ("r\udc80w", "r\\udc80w"),
        ("👩\u200d🚀é", "👩\u200d🚀é"),
        ("a\u2028b\xa0c", "a\\u2028b\\xa0c"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert printable(Path(name)) == shown
    assert printable(Path(name)).encode()


# --- properties

HEADS = st.sampled_from(["", "WEBVTT\n\n", "[Events]\n", "{1}{1}25\n", "\ufeff"])
PIECES = st.sampled_from(
    [
        "00:00:01,000 --> 00:00:02,000",
        "00:01.5 --> 00:00.5",
        "\n",
        "\n\n",
        "1",
        "<v Ann>",
        "<c",
        "</i>",
        "{\\p1}",
        "{1}{50}",
        "|",
        "Dialogue: 0,0:00:01.00,0:00:02.00,D,A,0,0,0,,",
        "&lt;",
        "&#55296;",
        "-->",
        "NOTE",
        "words",
        "\0",
        "\r",
        "99:99",
        "\u2028",
    ]
)
SUFFIXES = st.sampled_from(sorted(captions.CAPTION_SUFFIXES))
one_folder = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_any_bytes(path: Path) -> None:
    try:
        track = read_captions(path, SIDECAR)
    except VideoError as error:
        assert "\n" not in str(error)
        return
    starts = [segment.start_seconds for segment in track.segments]
    assert starts == sorted(starts)
    assert all(0.0 <= s.start_seconds <= s.end_seconds <= captions.MAX_CAPTION_SECONDS for s in track.segments)
    assert all(s.text == captions.one_line(s.text) and s.text.encode() for s in track.segments)
    assert len(set(track.segments)) == len(track.segments)


@one_folder
@given(head=HEADS, pieces=st.lists(PIECES, max_size=30), suffix=SUFFIXES)
def test_any_pile_of_caption_pieces_ends_well(tmp_path: Path, head: str, pieces: list[str], suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes((head + "".join(pieces)).encode())
    check_any_bytes(tmp_path / f"a{suffix}")


@one_folder
@given(data=st.binary(max_size=400), suffix=SUFFIXES)
def test_any_bytes_end_well(tmp_path: Path, data: bytes, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(data)
    check_any_bytes(tmp_path / f"a{suffix}")


WORDS = st.lists(st.from_regex(r"[a-zA-Z0-9,.?!']{1,10}", fullmatch=True), min_size=1, max_size=8).map(" ".join)
TAGS = st.sampled_from(["i", "b", "u", "c.red", "lang en", "ruby", "font color='red'"])


@one_folder
@given(spoken=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 9000), WORDS, TAGS), min_size=1, max_size=12))
def test_well_formed_cues_come_back_as_said(tmp_path: Path, spoken: list[tuple[int, int, str, str]]) -> None:
    def stamp(milliseconds: int) -> str:
        seconds = milliseconds // 1000
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds % 1000:03}"

    start = 0
    text, said = "WEBVTT\n\n", []
    for gap, length, words, tag in spoken:
        start += gap
        text += f"{stamp(start)} --> {stamp(start + length)}\n<{tag}>{words}</{tag.split()[0]}>\n\n"
        said.append((start / 1000, (start + length) / 1000, words))
        start += length + 1
    assert read(tmp_path, "a.vtt", text) == said


# --- real files


@needs_data
@pytest.mark.parametrize(
    ("name", "segments", "language"),
    [
        ("captions/blocks4all_captions_ko.vtt", 44, "ko"),
        ("captions/deadline_captions_ar.vtt", 16, "ar"),
        ("captions/itaccess_captions_en.vtt", 94, "en"),
        ("captions/itaccess_subtitles_zh-cn.vtt", 76, "zh"),
        ("captions/itaccess_chapters_en.vtt", 14, "en"),
        ("captions/wwa_captions_de.vtt", 15, "de"),
        ("captions/wwa_captions_ja.vtt", 15, "ja"),
        ("media/gradio/s1.srt", 7, "en"),
        ("media/gradio/s2.vtt", 5, None),
        ("media/mdn/friday.vtt", 5, "en"),
        ("media/moviepy/subtitles.srt", 5, None),
        ("bad_inputs/srt/gb2312.srt", 3, "zh"),
        ("bad_inputs/subtitle_formats/utf16.srt", 1, None),
        ("bad_inputs/subtitle_formats/ttml.ttml", 2, "en"),
        ("bad_inputs/subtitle_formats/ass.ass", 2, None),
        ("bad_inputs/subtitle_formats/lrc.lrc", 5, "en"),
        ("bad_inputs/subtitle_formats/srt.srt", 2, None),
        ("bad_inputs/subtitle_formats/vtt.vtt", 2, None),
        ("bad_inputs/subtitle_formats/vtt_with_missing_text.vtt", 2, None),
        ("bad_inputs/subtitle_formats/vtt_without_hours_in_timestamp.vtt", 1, None),
        ("spoken_library/captions/warsaw.vtt", 705, "en"),
    ],
)
def test_real_files(name: str, segments: int, language: str | None) -> None:
    track = read_captions(DATA / name, SIDECAR)
    assert (len(track.segments), track.language) == (segments, language)


CAPTIONS_IN_20_FILES = {
    "blocks4all_captions_en": (44, "en"), "blocks4all_captions_ko": (44, "ko"), "blocks4all_chapters": (5, None),
    "blocks4all_descriptions_en": (7, "en"), "deadline_captions_ar": (16, "ar"), "deadline_captions_en": (15, "en"),
    "deadline_captions_hi": (16, "hi"), "deadline_descriptions_en": (12, "en"), "itaccess_captions_en": (94, "en"),
    "itaccess_chapters_en": (14, "en"), "itaccess_description_en": (7, "en"), "itaccess_subtitles_es": (94, "es"),
    "itaccess_subtitles_zh-cn": (76, "zh"), "wwa_captions_de": (15, "de"), "wwa_captions_en": (15, "en"),
    "wwa_captions_es": (15, "es"), "wwa_captions_fr": (15, "fr"), "wwa_captions_ja": (15, "ja"),
    "wwa_chapters_en": (2, "en"), "wwa_description_en": (3, "en"),
}  # fmt: skip


@needs_data
def test_twenty_files_made_by_people() -> None:
    read = {path.stem: read_captions(path, SIDECAR) for path in sorted((DATA / "captions").glob("*.vtt"))}
    assert {name: (len(track.segments), track.language) for name, track in read.items()} == CAPTIONS_IN_20_FILES
    for name, track in read.items():
        kind = "chapters" if "chapters" in name else "descriptions" if "description" in name else "captions"
        assert (track.kind, track.is_partial, track.warnings) == (kind, False, ())
    assert {s.speaker for s in read["deadline_captions_en"].segments} == {None, "Project", "Boy"}
    assert [s.text for s in read["wwa_chapters_en"].segments] == ["Intro", "Terrill Thompson"]


@needs_data
@pytest.mark.parametrize("name", ["sub_microdvd.sub", "corrupted.zip", "csv_ansi.csv"])
def test_real_files_that_cannot_be_read(name: str) -> None:
    with pytest.raises(VideoError):
        read_captions(DATA / "bad_inputs" / "subtitle_formats" / name, SIDECAR)
