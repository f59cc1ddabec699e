"""Text as one line that any terminal and any store can hold."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

INVISIBLE = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
UNSTORABLE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def one_line(text: str) -> str:
    """Text without control characters, invisible direction marks and lone surrogates, its white space collapsed."""
    return " ".join(CONTROL.sub(" ", UNSTORABLE.sub("\ufffd", INVISIBLE.sub("", text))).split())


def printable(path: Path | str) -> str:
    """A path as one line that any terminal can show: what is invisible or cannot be encoded is escaped."""
    return "".join(character if _is_shown(character) else ascii(character)[1:-1] for character in str(path))


def _is_shown(character: str) -> bool:
    joiner = character in "\u200c\u200d"  # Persian, Hindi and emoji need them
    return joiner or character == " " or unicodedata.category(character)[0] not in "CZ" or character == "\u3000"
