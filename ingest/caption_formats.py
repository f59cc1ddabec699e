"""Reads the cues of a caption file, its format told by its content: SubRip, WebVTT, SubStation, MicroDVD and others."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ingest.caption_names import KINDS, CaptionKind
from ingest.cues import NEWLINE, Cue
from ingest.open_ended_captions import LYRICS_TIME, lrc_cues, sami_cues
from ingest.plain_text import one_line, printable
from ingest.schema import VideoError
from ingest.ttml import ttml_cues
from ingest.whisper_json import whisper_cues

Read = TypeVar("Read")

MAX_HEAD_CHARACTERS = 4_000  # in which a format names itself
TTML_NAMES = ("http://www.w3.org/ns/ttml", "http://www.w3.org/2006/10/ttaf1", "http://www.w3.org/2006/04/ttaf1")

TIME = r"(-?)(?:(\d{1,4})\s?:\s?)?(\d{1,2})\s?:\s?(\d{1,2})(?:\s?[.,:]\s?(\d{1,3}))?"
TIME_LINE = re.compile(rf"\s*{TIME}\s*--?>\s*{TIME}(?!\S)")
BROKEN_TIME_LINE = re.compile(r"\s*-?\d.*-->")
DIALOGUE_TIME = r"\s*-?\d{1,2}:\d{1,2}:\d{1,2}[.:,]\d{1,3}\s*"
DIALOGUE = re.compile(rf"\s*Dialogue:[^,]*,{DIALOGUE_TIME},{DIALOGUE_TIME},(?:[^,]*,){{6}}")
MICRODVD = re.compile(r"^ *\{ *\d+ *\} *\{ *\d+ *\}", re.MULTILINE)
MICRODVD_STYLE = re.compile(r"\{[a-zA-Z]:[^{}]*\}?")
HEADER_FIELD = re.compile(r"(kind|language):\s*([\w-]+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WrittenTrack:
    """The cues of one language of a file, and what the file says of them."""

    cues: Sequence[Cue]
    language: str | None = None
    kind: CaptionKind = "captions"


def written_tracks(text: str, path: Path) -> list[WrittenTrack]:
    """What a caption file holds, one track for each language; raises VideoError if its format cannot be read."""
    suffix, head = path.suffix.lower(), text[:MAX_HEAD_CHARACTERS].lower()
    if suffix == ".json":
        cues, language = _read("a transcript of Whisper or WhisperX", whisper_cues, text, path)
        return [WrittenTrack(cues, language)]
    if suffix in (".smi", ".sami") or "<sami>" in head:
        return [WrittenTrack(cues, language) for language, cues in sami_cues(text).items()]
    if text.lstrip().startswith("<") and any(name in head for name in TTML_NAMES):
        return [WrittenTrack(cues, language) for language, cues in _read("ttml", ttml_cues, text, path).items()]
    lines = NEWLINE.split(text)
    is_vtt = text.lstrip().startswith("WEBVTT") or suffix == ".vtt"
    cues = list(_timed_blocks(lines, blank_line_ends=is_vtt))
    if is_vtt and not any(cue.text for cue in cues):
        cues = list(_timed_blocks(lines, blank_line_ends=False))  # blank lines between time and text
    if cues:
        return [_with_header(cues, lines)]
    dialogue = [line for line in lines if line.lstrip().startswith("Dialogue:")]
    if dialogue:
        whole = [line for line in dialogue if DIALOGUE.match(line)]
        broken = [Cue(math.nan, math.nan, line) for line in dialogue if not DIALOGUE.match(line)]
        kind = "ssa" if "[V4 Styles]" in text else "ass"
        return [WrittenTrack(broken + _pysubs2_cues("\n".join(whole), kind, path))]
    if MICRODVD.search(text):
        return [WrittenTrack(_pysubs2_cues(MICRODVD_STYLE.sub(" ", text), "microdvd", path))]
    if any(LYRICS_TIME.match(line) for line in lines):
        return [WrittenTrack(_read("lrc", lrc_cues, text, path))]
    return []


def _read(format_name: str, reader: Callable[[str], Read], text: str, path: Path) -> Read:
    try:
        return reader(text)
    except ValueError as error:
        fact = one_line(f"cannot be read as {format_name} ({error}")[:160]
        raise VideoError(f"{printable(path)} {fact}). Convert it to .srt or .vtt.") from error


def _with_header(cues: Sequence[Cue], lines: Sequence[str]) -> WrittenTrack:
    """The track with what the lines between WEBVTT and the first empty one say of it."""
    header = itertools.takewhile(str.strip, lines[1:20]) if lines[0].lstrip("\ufeff").startswith("WEBVTT") else ()
    fields = {field[1].lower(): field[2] for line in header if (field := HEADER_FIELD.fullmatch(line))}
    kind = KINDS.get(fields.get("kind", "").lower(), "captions")
    return WrittenTrack(cues, fields.get("language"), kind)


def _timed_blocks(lines: Sequence[str], blank_line_ends: bool) -> Iterator[Cue]:
    """SubRip and WebVTT: a line of times, then text until the next one (WebVTT: or until an empty line).

    Written here because pysubs2 reads WebVTT as SubRip, which puts NOTE blocks and cue names into the text.
    """
    starts = [number for number, line in enumerate(lines) if "->" in line and _is_time_line(line)]
    for number, following in itertools.pairwise([*starts, len(lines)]):
        body = list(lines[number + 1 : following])
        ends = blank_line_ends and "" in body
        body = body[: body.index("")] if ends else _without_index(body, is_last=following == len(lines))
        match = TIME_LINE.match(lines[number])
        start, end = (_seconds(match.groups()[:5]), _seconds(match.groups()[5:])) if match else (math.nan, math.nan)
        yield Cue(start, end, "\n".join(body).strip())


def _is_time_line(line: str) -> bool:
    return bool(TIME_LINE.match(line) or BROKEN_TIME_LINE.match(line))


def _without_index(body: list[str], is_last: bool) -> list[str]:
    """A block's lines without the number of the cue that follows; in the last block that stands after an empty line."""
    while body and not body[-1].strip():
        body.pop()
    is_index = body and body[-1].strip().isdecimal() and not (is_last and (len(body) == 1 or body[-2].strip()))
    return body[:-1] if is_index else body


def _seconds(groups: Sequence[str | None]) -> float:
    """Seconds from sign, hours, minutes, seconds and fraction; NaN for a minute or second beyond 59."""
    sign, hours, minutes, seconds, fraction = groups
    if int(minutes or 0) > 59 or int(seconds or 0) > 59:
        return math.nan
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return int(f"{sign or ''}{whole}{fraction or 0:0<3}") / 1000


def _pysubs2_cues(text: str, kind: str, path: Path) -> list[Cue]:
    import pysubs2

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about margins and colours
            events = pysubs2.SSAFile.from_string(text, format_=kind).events
    except pysubs2.UnknownFPSError:
        raise VideoError(
            f"{printable(path)} counts frames and does not give their rate. "
            "Put {1}{1}25.0 (the frames per second) on its first line, or convert it to .srt."
        ) from None
    except Exception as error:  # pysubs2 lets out whatever its parsers meet
        fact = one_line(f"cannot be read as {kind} ({type(error).__name__}: {error}")[:120]
        raise VideoError(f"{printable(path)} {fact}). Convert it to .srt or .vtt.") from error
    return [
        Cue(event.start / 1000, event.end / 1000, event.text.replace("\\n", "\n"), event.name)
        for event in events
        if not event.is_comment
    ]
