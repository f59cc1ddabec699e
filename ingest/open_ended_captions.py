"""Reads SAMI and LRC, which say when a line appears and not when it goes."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.cues import NEWLINE, Cue, clean_cue_text
from ingest.text_decoding import MAX_CAPTION_BYTES

# A line stays until the next one, and not over the silence behind the last: longer than anybody takes to say it.
MIN_LINE_SECONDS = 10.0
SLOWEST_CHARACTERS_PER_SECOND = 8.0

SYNC = re.compile(r"<sync\b([^<>]*)>", re.IGNORECASE)
PARAGRAPH = re.compile(r"<p\b([^<>]*)>", re.IGNORECASE)
START = re.compile(r"\bstart\s*=\s*[\"']?(\d{1,9})", re.IGNORECASE)
CLASS = re.compile(r"\bclass\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
SPEAKER = re.compile(r"\bid\s*=\s*[\"']?source\b", re.IGNORECASE)
CLASS_LANGUAGE = re.compile(r"\.([\w-]+)\s*\{[^{}]*\blang\s*:\s*([\w-]+)", re.IGNORECASE)
NO_BREAK_SPACE = re.compile(r"&nbsp;?", re.IGNORECASE)
LYRICS_TIME = re.compile(r"\s*\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
LYRICS_OFFSET = re.compile(r"^\s*\[offset\s*:\s*([+-]?\d{1,9})\s*\]", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Line:
    start_seconds: float
    text: str
    speaker: str | None = None


def sami_cues(text: str) -> dict[str | None, list[Cue]]:
    """The cues of each language (None: not said).

    Written here because pysubs2 mixes the languages into one list and gives the file up for one broken time.
    """
    languages = {name.lower(): tag for name, tag in CLASS_LANGUAGE.findall(text)}  # in a comment, to hide the style
    _, *syncs = SYNC.split(_without_comments(text))
    lines: dict[str, list[_Line]] = {}
    for attributes, body in zip(syncs[0::2], syncs[1::2], strict=True):
        if start := START.search(attributes):
            for name, said, speaker in _paragraphs(body):
                lines.setdefault(name, []).append(_Line(int(start[1]) / 1000, said, speaker))
    found: dict[str | None, list[Cue]] = {}
    for name, said_lines in lines.items():
        found.setdefault(languages.get(name), []).extend(_until_next(said_lines))
    return found


def lrc_cues(text: str) -> list[Cue]:
    """The lines of lyrics or of speech; one with several times is said at each. Raises ValueError for endless repeats."""
    offset = LYRICS_OFFSET.search(text)
    earlier_seconds = int(offset[1]) / 1000 if offset else 0.0
    lines = []
    for line in NEWLINE.split(text):
        position, starts = 0, []
        while match := LYRICS_TIME.match(line, position):
            fraction = int(f"{match[3] or 0:0<3}") / 1000
            starts.append(int(match[1]) * 60 + int(match[2]) + fraction - earlier_seconds)
            position = match.end()
        said = line[position:]
        lines += [_Line(max(0.0, start), said) for start in starts]
    if sum(len(line.text) for line in lines) > MAX_CAPTION_BYTES:
        raise ValueError("it repeats its lines more often than lyrics do")
    return list(_until_next(lines))


def _until_next(lines: Sequence[_Line]) -> Iterator[Cue]:
    """Each line until a later one, an empty one too, but no longer than it can be said."""
    starts = sorted({line.start_seconds for line in lines})
    for line in lines:
        longest = line.start_seconds + max(MIN_LINE_SECONDS, len(line.text) / SLOWEST_CHARACTERS_PER_SECOND)
        later = bisect.bisect_right(starts, line.start_seconds)
        end = min(longest, starts[later]) if later < len(starts) else longest
        yield Cue(line.start_seconds, end, line.text, line.speaker)


def _paragraphs(body: str) -> Iterator[tuple[str, str, str | None]]:
    """Class, text and speaker of what one SYNC shows; a paragraph with the id Source names who speaks the next one."""
    first, *rest = PARAGRAPH.split(body)
    if first.strip() or not rest:
        yield "", _unbroken(first), None
    speakers: dict[str, str] = {}
    for attributes, text in zip(rest[0::2], rest[1::2], strict=True):
        named = CLASS.search(attributes)
        name = named[1].lower() if named else ""
        if SPEAKER.search(attributes):
            speakers[name] = clean_cue_text(_unbroken(text))
        else:
            yield name, _unbroken(text), speakers.get(name)


def _unbroken(text: str) -> str:
    return NO_BREAK_SPACE.sub(" ", " ".join(text.split()))


def _without_comments(text: str) -> str:
    before, *comments = text.split("<!--")
    kept = (comment.partition("-->")[2] if "-->" in comment else comment for comment in comments)
    return before + "".join(kept)
