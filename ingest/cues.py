"""One caption as its file writes it, and what a viewer reads of it."""

from __future__ import annotations

import html
import itertools
import re
from dataclasses import dataclass

from ingest.plain_text import one_line

MAX_NAME_WORDS = 4
MAX_NAME_CHARACTERS = 200

NEWLINE = re.compile(r"\r*\n|\r")
# Every pattern stops at the next opening bracket, so that hostile text costs linear time.
LINE_BREAK = re.compile(r"<[bB][rR]\s*/?>|\\N")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\s?\d[\w:.]*\s?>|</?>")
UNCLOSED_TAG = re.compile(r"</?(?:c|v|i|b|u|lang|ruby|rt)(?:\.[\w-]+)*(?=[\s<]|$)|<\d+:[\d:.]*(?=[\s<]|$)")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]+)>")
OVERRIDE = re.compile(r"(\{\\[^{}]*\})")
DRAWING = re.compile(r"\\p(\d)")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
WORD_TIME = re.compile(r"<(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}[.:]\d{1,3})>")
# `>> ANN LEE: Hello`: American captions mark another speaker so. A name without the marks may be any word: `Note:`.
NEW_SPEAKER = re.compile(r">>+\s*([^\s:<>][^:<>]{0,39}):\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Word:
    """A timed part of a caption, with the white space and the tags that stand around it."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption as written: text with its tags and line breaks, and times that may be anything (NaN: unreadable).

    The texts of its words, where a format times them, joined are its text.
    """

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    confidence: float | None = None
    words: tuple[Word, ...] = ()


def clean_cue_text(text: str) -> str:
    """What a viewer reads, as one line: no tags, overrides, drawings or entities. Clean once: `&lt;b&gt;` is `<b>`."""
    return " ".join(shown_lines(text))


def shown_lines(text: str) -> tuple[str, ...]:
    """The lines of a caption as a viewer reads them, without empty ones."""
    bare = UNCLOSED_TAG.sub("", TAG.sub("", LINE_BREAK.sub("\n", _without_overrides(text))).replace("\\h", " "))
    plain = ENTITY.sub(lambda entity: html.unescape(entity[0]), bare)
    return tuple(line for line in map(one_line, NEWLINE.split(plain)) if line)


def shown_with_speaker(cue: Cue) -> tuple[tuple[str, ...], str | None]:
    """The lines of a cue, and who speaks: by voice tags, the format's own field, or names behind `>>`, which go."""
    lines = shown_lines(cue.text)
    names = [one_line(html.unescape(name)) for name in VOICE.findall(cue.text)] or [
        one_line((cue.speaker or "")[:MAX_NAME_CHARACTERS])
    ]
    if not any(names):
        marked = [NEW_SPEAKER.match(line) for line in lines]
        named = [match if match and _is_name(match[1]) else None for match in marked]
        names = [match[1].strip() for match in named if match]
        lines = tuple(line[match.end() :] if match else line for line, match in zip(lines, named, strict=True))
    return lines, ", ".join(dict.fromkeys(filter(None, names))) or None


def timed_words(cue: Cue) -> tuple[Word, ...]:
    """The words of a cue with their times, its own or those between the time tags in its text; none if out of order."""
    words = cue.words or _tagged_words(cue)
    starts = [max(cue.start_seconds, 0.0), *(word.start_seconds for word in words)]
    in_order = all(before <= after for before, after in itertools.pairwise(starts))
    in_bounds = all(word.start_seconds <= word.end_seconds <= cue.end_seconds for word in words)
    return words if in_order and in_bounds else ()


def _tagged_words(cue: Cue) -> tuple[Word, ...]:
    first, *rest = WORD_TIME.split(cue.text)
    stamps = zip(rest[0::4], rest[1::4], rest[2::4], strict=True)
    starts = [int(h or 0) * 3600 + int(m) * 60 + float(s.replace(":", ".")) for h, m, s in stamps]
    spans = itertools.pairwise([cue.start_seconds, *starts, cue.end_seconds])
    return tuple(Word(*span, text) for span, text in zip(spans, [first, *rest[3::4]], strict=True) if text)


def _is_name(text: str) -> bool:
    words = text.split()
    return len(words) <= MAX_NAME_WORDS and all(word[0].isupper() for word in words)


def _without_overrides(text: str) -> str:
    r"""Text without SubStation overrides `{\an8}` and without the drawings they switch on and off."""
    kept, drawing = [], False
    for part in OVERRIDE.split(text):
        if OVERRIDE.fullmatch(part):
            switches = DRAWING.findall(part)
            drawing = switches[-1] != "0" if switches else drawing
        elif not drawing:
            kept.append(part)
    return "".join(kept)
