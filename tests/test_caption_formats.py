"""Formats with times of their own kinds: SAMI, LRC, TTML and the JSON of Whisper, WhisperX and whisper.cpp."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import open_ended_captions, whisper_json
from ingest.captions import MAX_CAPTION_SECONDS, CaptionTrack, read_caption_tracks, read_captions
from ingest.schema import TranscriptSegment, VideoError
from ingest.whisper_json import is_whisper_json

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
SIDECAR: Final = "sidecar captions"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not on this machine")

Row = tuple[float, float, str]


def tracks_of(folder: Path, name: str, content: str) -> tuple[CaptionTrack, ...]:
    (folder / name).write_text(content, encoding="utf-8", errors="surrogatepass")
    return read_caption_tracks(folder / name, SIDECAR)


def segments_of(folder: Path, name: str, content: str) -> tuple[TranscriptSegment, ...]:
    (track,) = tracks_of(folder, name, content)
    return track.segments


def rows_of(folder: Path, name: str, content: str) -> list[Row]:
    return [(s.start_seconds, s.end_seconds, s.text) for s in segments_of(folder, name, content)]


# --- SAMI

SAMI = """<SAMI><HEAD><TITLE>Example</TITLE><STYLE TYPE="text/css"><!--
P { font-family: Arial; }
.ENUSCC { name: English; lang: en-US ; SAMIType: CC ; }
.KRCC { Name:Korean; lang:ko-KR; SAMIType:CC; }
--></STYLE></HEAD><BODY>
<!-- not said <SYNC -->
<SYNC Start=1000><P Class=ENUSCC ID=Source>The Keeper</P><P Class=ENUSCC>Light the <b>lamp</b><br>now.
<P Class=KRCC>등불을 켜라
<SYNC Start=3000><P Class=ENUSCC>&nbsp;
<sync start="4000" end="9"><p class='krcc'>배가 온다 &amp; 간다
<SYNC Start=broken><P Class=KRCC>not timed
<SYNC Start=6000><P Class=KRCC>&nbsp
</BODY></SAMI>"""


def test_sami_gives_one_track_for_each_language(tmp_path: Path) -> None:
    english, korean = tracks_of(tmp_path, "a.smi", SAMI)
    assert (english.language, korean.language) == ("en", "ko")
    assert english.segments == (TranscriptSegment(1.0, 3.0, "Light the lamp now.", SIDECAR, "en", None, "The Keeper"),)
    assert [(s.start_seconds, s.end_seconds, s.text) for s in korean.segments] == [
        (1.0, 4.0, "등불을 켜라"),
        (4.0, 6.0, "배가 온다 & 간다"),
    ]
    assert read_captions(tmp_path / "a.smi", SIDECAR) == english


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<SYNC Start=1000>Hello <i>there</i>\n<SYNC Start=2500>Goodbye", [(1.0, 2.5, "Hello there"), (2.5, 12.5, "Goodbye")]),
        ("<SYNC Start=2000>Later<SYNC Start=1000>Sooner", [(1.0, 2.0, "Sooner"), (2.0, 12.0, "Later")]),
        ("<SYNC Start=0><P>" + "word " * 40 + "<SYNC Start=60000>", [(0.0, 24.875, "word " * 39 + "word")]),
        ("<SYNC Start=0><P Class=A>x<!-- <SYNC Start=1> -->y <!-- z", [(0.0, 10.0, "xy z")]),
    ],
)  # fmt: skip
def test_sami_lines_stay_until_the_next_or_as_long_as_they_can_be_said(
    tmp_path: Path, content: str, expected: list[Row]
) -> None:
    assert rows_of(tmp_path, "a.sami", content) == expected


def test_sami_is_told_by_its_content_too(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.srt", "<SAMI><BODY><SYNC Start=1000><P>Hello") == [(1.0, 11.0, "Hello")]


# --- LRC


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[ti:Song]\n[00:01.50]One\n[00:04]Two\n", [(1.5, 4.0, "One"), (4.0, 14.0, "Two")]),
        ("[00:01.50] One\n[00:03.00]\n[01:00:250]Two", [(1.5, 3.0, "One"), (60.25, 70.25, "Two")]),
        ("[00:05.00][00:01.00]Chorus\n[00:03.00]Verse", [(1.0, 3.0, "Chorus"), (3.0, 5.0, "Verse"), (5.0, 15.0, "Chorus")]),
        ("[offset:+500]\n[00:01.00]Sooner\n[00:00.10]First", [(0.0, 0.5, "First"), (0.5, 10.5, "Sooner")]),
        ("[offset: -500]\n[00:01.00]Later", [(1.5, 11.5, "Later")]),
        ("[00:01.00]<00:01.00>Word <00:01.50> by <00:02.00> word", [(1.0, 11.0, "Word by word")]),
        ("[00:01.00]両方\n[00:01.00]Both\n[00:02.00]End", [(1.0, 2.0, "両方"), (1.0, 2.0, "Both"), (2.0, 12.0, "End")]),
        ("[00:01.00][Music]\r[00:02.00]a < b", [(1.0, 2.0, "[Music]"), (2.0, 12.0, "a < b")]),
    ],
)  # fmt: skip
def test_lrc(tmp_path: Path, content: str, expected: list[Row]) -> None:
    assert rows_of(tmp_path, "a.lrc", content) == expected


def test_endlessly_repeated_lyrics_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_ended_captions, "MAX_CAPTION_BYTES", 1000)
    times = "".join(f"[{minute:02}:00]" for minute in range(60))
    assert len(rows_of(tmp_path, "a.lrc", times + "la")) == 60
    with pytest.raises(VideoError, match="repeats its lines"):
        rows_of(tmp_path, "a.lrc", times + "la" * 30)


# --- TTML


def ttml(body: str, attributes: str = "", head: str = "") -> str:
    names = 'xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"'
    names += ' xmlns:ttm="http://www.w3.org/ns/ttml#metadata" xmlns:tts="http://www.w3.org/ns/ttml#styling"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<tt {names} {attributes}><head>{head}</head>{body}</tt>'


@pytest.mark.parametrize(
    ("body", "attributes", "expected"),
    [
        ('<div><p begin="00:00:01.500" end="00:00:02">a</p></div>', "", [(1.5, 2.0, "a")]),
        ('<div><p begin="1.5s" dur="500ms">a</p></div>', "", [(1.5, 2.0, "a")]),
        ('<div><p begin="1m" end="0.02h">a</p></div>', "", [(60.0, 72.0, "a")]),
        ('<div><p begin="00:00:01:12" end="50f">a</p></div>', 'ttp:frameRate="25"', [(1.48, 2.0, "a")]),
        ('<div><p begin="15000000t" end="20000000t">a</p></div>', 'ttp:tickRate="10000000"', [(1.5, 2.0, "a")]),
        ('<div><p begin="0s" end="30f">a</p></div>', 'ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"', [(0.0, 1.001, "a")]),
        ('<div begin="10s"><p begin="1s" end="2s">a</p></div>', "", [(11.0, 12.0, "a")]),
        ('<div begin="10s" end="12s"><p>a</p></div>', "", [(10.0, 12.0, "a")]),
        ('<div><p begin="1s" end="9s">a <span tts:color="red">b</span><br/>\n   c</p></div>', "", [(1.0, 9.0, "a b c")]),
        ('<div><p><span begin="1s" end="2s">a</span><span begin="3s" end="4s">b</span></p></div>', "", [(1.0, 2.0, "a"), (3.0, 4.0, "b")]),
        ('<div><p begin="1s" end="3s"><span begin="0s">a</span> <span begin="1s">b</span></p></div>', "", [(1.0, 3.0, "a b")]),
        ('<div><p begin="1s" end="2s">a &lt;b&gt; &amp;amp;<metadata>no</metadata></p></div>', "", [(1.0, 2.0, "a <b> &amp;")]),
        ('<div><p begin="soon" end="2s">a</p><p begin="1s" end="2s">b</p><p begin="1s">c</p></div>', "", [(1.0, 2.0, "b")]),
    ],
)  # fmt: skip
def test_ttml_times_and_text(tmp_path: Path, body: str, attributes: str, expected: list[Row]) -> None:
    rows = rows_of(tmp_path, "a.ttml", ttml(f"<body>{body}</body>", attributes))
    assert [(round(start, 3), round(end, 3), text) for start, end, text in rows] == expected


def test_ttml_languages_and_speakers(tmp_path: Path) -> None:
    head = '<metadata><ttm:agent xml:id="a1" type="person"><ttm:name type="full">Ann  Lee</ttm:name></ttm:agent></metadata>'
    body = """<body><div ttm:agent="a1"><p begin="1s" end="2s">Yes.</p><p begin="2s" end="3s" ttm:agent="bob">No.</p></div>
    <div xml:lang="fr"><p begin="1s" end="2s">Oui.</p></div></body>"""
    english, french = tracks_of(tmp_path, "a.ttml", ttml(body, 'xml:lang="en"', head))
    assert [(s.text, s.speaker, s.language) for s in english.segments] == [
        ("Yes.", "Ann Lee", "en"),
        ("No.", "bob", "en"),
    ]
    assert [(s.text, s.speaker, s.language) for s in french.segments] == [("Oui.", None, "fr")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ttml('<body timeContainer="seq"><div><p begin="1s" end="2s">a</p></div></body>'), "in sequence"),
        (ttml("<body>" + "<div>" * 5000 + "</div>" * 5000 + "</body>"), "nested too deeply"),
        (ttml("<body>&undefined;</body>"), "no XML"),
        (
            '<!DOCTYPE tt [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>' + ttml("<body>&c;</body>").partition("\n")[2],
            "entities",
        ),
    ],
)
def test_ttml_that_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(VideoError, match=said):
        tracks_of(tmp_path, "a.ttml", content)


# --- Whisper


def word(text: str, start: float | None = None, speaker: str | None = None, **more: Any) -> dict[str, Any]:
    timed = {} if start is None else {"start": start, "end": start + 0.5}
    return {"word": text, **timed, **({"speaker": speaker} if speaker else {}), **more}


def whisper(*segments: dict[str, Any], **more: Any) -> str:
    return json.dumps({"segments": segments, **more})


def segment(text: str, *words: dict[str, Any], start: float = 1.0, end: float = 3.0, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "words": list(words), **more}


def test_whisperx_confidence_language_and_speaker(tmp_path: Path) -> None:
    said = segment(" Yes, now.", word("Yes,", 1.0, score=0.9), word("now.", 2.0, score=0.6), speaker="SPEAKER_01")
    assert segments_of(tmp_path, "a.json", whisper(said, language="de")) == (
        TranscriptSegment(1.0, 3.0, "Yes, now.", SIDECAR, "de", 0.75, "SPEAKER_01"),
    )


def test_a_segment_of_two_speakers_is_two(tmp_path: Path) -> None:
    said = segment(
        "Director Geary. Thank you 2",
        word("Director", 1.0, "A", score=0.5),
        word("Geary.", 1.5, "A", score=0.7),
        word("Thank", 2.0, "B", score=0.9),
        word("you", 2.5, score=0.8),
        word("2"),
        speaker="A",
    )
    assert [
        (s.start_seconds, s.end_seconds, s.text, s.speaker, s.confidence)
        for s in segments_of(tmp_path, "a.json", whisper(said))
    ] == [(1.0, 2.0, "Director Geary.", "A", 0.6), (2.0, 3.0, "Thank you 2", "B", 0.85)]


@pytest.mark.parametrize(
    ("said", "text", "confidence"),
    [
        (segment(" Hi there", word(" Hi", 1.0, probability=0.5), word(" there", 2.0, probability=1.0)), "Hi there", 0.75),
        (segment("你好", word("你", 1.0, "A", score=0.5), word("好", 2.0, "A", score=0.7)), "你好", 0.6),
        (segment("Hi", avg_logprob=-0.1), "Hi", 0.905),
        (segment("Hi"), "Hi", None),
        (segment("Hi", word("Ho", 1.0, "B", score=0.4)), "Hi", 0.4),
        (segment("a < b &amp; <i>", word("no", score=7)), "a < b &amp; <i>", None),
        (segment("2 birds", word("2"), word("birds", 2.0, score=True)), "2 birds", None),
    ],
)  # fmt: skip
def test_words_of_whisper(tmp_path: Path, said: dict[str, Any], text: str, confidence: float | None) -> None:
    assert segments_of(tmp_path, "a.json", whisper(said)) == (
        TranscriptSegment(1.0, 3.0, text, SIDECAR, None, confidence, "A" if "你" in text else None),
    )


def test_whisper_cpp(tmp_path: Path) -> None:
    row = {"timestamps": {"from": "00:00:01,500"}, "offsets": {"from": 1500, "to": 2500}, "text": " Hello"}
    content = json.dumps({"systeminfo": "x", "result": {"language": "en"}, "transcription": [row]})
    assert rows_of(tmp_path, "a.json", content) == [(1.5, 2.5, "Hello")]
    assert is_whisper_json(tmp_path / "a.json")


def test_a_long_segment_is_cut_between_words_and_keeps_their_pauses(tmp_path: Path) -> None:
    starts = [0.0, 1.0, 2.0, 9.0, 10.0, 15.0]
    texts = ["One", "two", "three.", "Four", "five", "six."]
    said = segment(" ".join(texts), *map(word, texts, starts), start=0.0, end=15.5)
    assert rows_of(tmp_path, "a.json", whisper(said)) == [(0.0, 2.5, "One two three."), (9.0, 15.5, "Four five six.")]
    early = segment(" ".join(texts), *map(word, texts, [-4.0, *starts[1:]]), start=-5.0, end=15.5)
    assert rows_of(tmp_path, "a.json", whisper(early)) == [(0.0, 15.5, " ".join(texts))]
    disordered = segment(" ".join(texts), *map(word, texts, reversed(starts)), start=0.0, end=15.5)
    assert rows_of(tmp_path, "a.json", whisper(disordered)) == [(0.0, 15.5, " ".join(texts))]


NO_TRANSCRIPTS = {
    "number": "5",
    "list": '[{"start": 1, "end": 2, "text": "x"}]',
    "package": '{"name": "x", "version": "1.0"}',
    "video description": '{"title": "x", "description": "segments", "chapters": [{"start_time": 0}]}',
    "diarized": '{"version": 1, "language": "eng", "sentenceMetadata": [["0", 6, 3.0, 9.5]]}',
    "no text": '{"segments": [{"start": 1, "end": 2}], "text": "x"}',
    "not a list": '{"segments": {"start": 1, "end": 2, "text": "x"}}',
    "no times": '{"segments": [{"start": null, "end": "2", "text": "x"}]}',
    "endless": '{"segments": [{"start": 1, "end": Infinity, "text": "x"}]}',
    "large": '{"segments": [{"start": 1, "end": ' + "9" * 4000 + ', "text": "x"}]}',
    "larger": '{"segments": [{"start": 1, "end": ' + "9" * 5000 + ', "text": "x"}]}',
    "deep": '{"segments": "start", "text": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "cut off": '{"segments": [{"start": 1, "end": 2, "text": "x"}',
    "binary": "\0\1\2",
    "empty": "",
}


@pytest.mark.parametrize("content", NO_TRANSCRIPTS.values(), ids=NO_TRANSCRIPTS.keys())
def test_other_json_is_one_clear_failure(tmp_path: Path, content: str) -> None:
    with pytest.raises(VideoError) as raised:
        tracks_of(tmp_path, "a.json", content)
    assert len(str(raised.value).splitlines()) == 1
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("content", NO_TRANSCRIPTS.values(), ids=NO_TRANSCRIPTS.keys())
def test_other_json_is_told_by_its_content(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert not is_whisper_json(tmp_path / "a.json")


def test_json_of_too_many_values_is_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = whisper(*(segment("x", start=n, end=n + 1) for n in range(10)))
    assert len(rows_of(tmp_path, "a.json", content)) == 10
    monkeypatch.setattr(whisper_json, "MAX_JSON_VALUES", 20)
    with pytest.raises(VideoError, match="more than 20 values"):
        rows_of(tmp_path, "a.json", content)


# --- hostile input

PIECES = {
    "a.smi": ["<sync start=1 ", "<sync start=1>", "<p class=", "<!--", "&nbsp", "<p id=source>x", "start=", "<sync start=1"],
    "a.lrc": ["[00:01]", "[00:", "\n[00:01]x", "<00:01.00>", ">>", "[offset:"],
    "a.ttml": ["<p begin='1s' end='2s'>x</p>", "<span>x</span>", "<br/>", "&lt;", "x ", "<p><span begin='1s'/></p>"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "piece"), [(name, piece) for name, pieces in PIECES.items() for piece in pieces])
def test_hostile_repetition_costs_linear_time(tmp_path: Path, name: str, piece: str) -> None:
    repeated = piece * (200_000 // len(piece))
    content = {
        "a.smi": f"<sync start=1><p>x {repeated}",
        "a.lrc": f"[00:01]x {repeated}",
        "a.ttml": ttml(f"<body><div><p begin='1s' end='2s'>x</p>{repeated}</div></body>"),
    }[name]
    started = time.monotonic()
    try:
        assert tracks_of(tmp_path, name, content)
    except VideoError as error:
        assert "repeats its lines" in str(error)
    assert time.monotonic() - started < 10.0  # quadratic patterns need minutes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.smi", "<sync start=1><p id=source>" + "N" * 100_000 + "<p>x" * 20_000),
        ("a.ttml", ttml(f"<body ttm:agent='{'N' * 100_000}'>" + "<p begin='1s' end='2s'>x</p>" * 20_000 + "</body>")),
        ("a.ttml", ttml("<body>" + "<div>" * 300 + "<p begin='1s' end='2s'>x</p>" * 20_000 + "</div>" * 300 + "</body>")),
        ("a.ttml", ttml("<body><p begin='1s' end='2s'>" + "<span>" * 300 + "x<br/>" * 30_000 + "</span>" * 300 + "</p></body>")),
    ],
)  # fmt: skip
def test_what_is_inherited_is_not_copied_for_every_line(tmp_path: Path, name: str, content: str) -> None:
    started = time.monotonic()
    assert tracks_of(tmp_path, name, content)
    assert time.monotonic() - started < 10.0


one_folder = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.floats(-20, 60) | JSON_VALUES
WORDS = st.fixed_dictionaries(
    {"word": st.sampled_from(["a", " b", "", "c.", "<i>", "&"]) | JSON_VALUES},
    optional={"start": NUMBERS, "end": NUMBERS, "score": NUMBERS, "speaker": st.sampled_from(["A", "B"]) | JSON_VALUES},
)
SEGMENTS = st.fixed_dictionaries(
    {"start": NUMBERS, "end": NUMBERS, "text": st.sampled_from(["a", "a b", "ab", "", "a c. <i>"]) | JSON_VALUES},
    optional={"words": st.lists(WORDS | JSON_VALUES, max_size=6), "speaker": JSON_VALUES, "avg_logprob": NUMBERS},
)


def check_ends_well(folder: Path, name: str, content: str) -> bool:
    """Whether the content has captions, all of them sound."""
    try:
        tracks = tracks_of(folder, name, content)
    except VideoError as error:
        assert len(str(error).splitlines()) == 1
        return False
    for track in tracks:
        assert track.segments
        starts = [s.start_seconds for s in track.segments]
        assert starts == sorted(starts)
        assert len(set(track.segments)) == len(track.segments)
        for s in track.segments:
            assert 0.0 <= s.start_seconds <= s.end_seconds <= MAX_CAPTION_SECONDS
            assert s.confidence is None or 0.0 <= s.confidence <= 1.0
            assert s.text.encode() and len(s.text.splitlines()) == 1
    return True


@one_folder
@given(document=JSON_VALUES | st.fixed_dictionaries({"segments": st.lists(SEGMENTS | JSON_VALUES, max_size=5)}))
def test_any_json_ends_well(tmp_path: Path, document: object) -> None:
    if check_ends_well(tmp_path, "a.json", json.dumps(document)):
        assert is_whisper_json(tmp_path / "a.json")


SAMI_PIECES = [
    "<SYNC Start=",
    "1000",
    "2000>",
    "<P Class=A>",
    "<P ID=Source>",
    "words",
    "<!--",
    "-->",
    "&nbsp",
    "<br>",
    "\n",
]
LRC_PIECES = ["[00:01.00]", "[00:02]", "[offset:", "+500]", "<00:01.50>", "words", ">> ANN: ", "\n", "[", "]"]
TTML_PIECES = [
    "<p begin='1s'",
    " end='2s'>",
    "</p>",
    "<span begin='0s'>",
    "</span>",
    "<br/>",
    "words",
    "&lt;",
    "<div>",
    "</div>",
]


@one_folder
@given(
    kind=st.sampled_from([("a.smi", SAMI_PIECES), ("a.lrc", LRC_PIECES), ("a.ttml", TTML_PIECES)]).flatmap(
        lambda kind: st.tuples(st.just(kind[0]), st.lists(st.sampled_from(kind[1]), max_size=25))
    )
)
def test_any_pile_of_pieces_ends_well(tmp_path: Path, kind: tuple[str, list[str]]) -> None:
    name, pieces = kind
    content = "".join(pieces)
    check_ends_well(tmp_path, name, ttml(f"<body>{content}</body>") if name == "a.ttml" else content)


# --- real files


@needs_data
def test_a_real_meeting_of_whisperx() -> None:
    path = DATA / "captions_long" / "a95KMDHf4vQ.whisperx.en.json"
    written = json.loads(path.read_text())["segments"]
    track = read_captions(path, SIDECAR)
    assert " ".join(s.text for s in track.segments) == " ".join(" ".join(s["text"].split()) for s in written)
    assert (track.language, len(written), len(track.segments)) == ("en", 97, 112)
    assert max(s.end_seconds - s.start_seconds for s in track.segments) < 12.0
    assert {s.speaker for s in track.segments} == {w["speaker"] for s in written for w in s["words"] if "speaker" in w}
    assert all(s.confidence and 0.3 < s.confidence < 1.0 for s in track.segments)
    starts = {w["start"] for s in written for w in s["words"] if "start" in w}
    assert all(s.start_seconds in starts for s in track.segments)


@needs_data
def test_real_lyrics() -> None:
    track = read_captions(DATA / "bad_inputs" / "subtitle_formats" / "lrc.lrc", SIDECAR)
    assert [(s.start_seconds, s.end_seconds, s.text) for s in track.segments][:2] == [
        (8.62, 9.64, "First things first"),
        (9.64, 11.66, "I'ma say all the words inside my head"),
    ]
