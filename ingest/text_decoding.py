"""Reads a text file of any encoding, as damaged as it comes, within a limit of size."""

from __future__ import annotations

import codecs
import itertools
import re
import stat
from pathlib import Path

from ingest.plain_text import printable
from ingest.schema import VideoError

MAX_CAPTION_BYTES = 50_000_000  # a day of dense captions is 5 MB, of words with times and scores 30 MB

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings subtitles are met in; the guesser's full list takes short texts for EBCDIC, UTF-16 or Icelandic Macintosh.
LEGACY_ENCODINGS = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"]
LEGACY_ENCODINGS += ["cp874", "gb18030", "big5", "cp932", "euc_jp", "cp949"]


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file and what was doubtful in reading it; raises VideoError if it is unreadable, large or binary."""
    return _decode(_read_bytes(path), path)


def _read_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise VideoError(f"{printable(path)} is not a regular file. Give a caption file.")
        with path.open("rb") as file:
            data = file.read(MAX_CAPTION_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{printable(path)} cannot be read ({reason}). Check its name and its permissions.") from error
    if len(data) > MAX_CAPTION_BYTES:
        limit = f"{MAX_CAPTION_BYTES // 10**6} MB"
        raise VideoError(f"{printable(path)} is larger than {limit}, too large for captions. Split it.")
    return data


def _decode(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """Text by byte order mark, UTF-8, UTF-16 without mark, then the most likely legacy encoding, which is said."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), ()
    data = data.rstrip(b"\0")  # a file system that lost its power pads with zeros
    if b"\0" in data:
        return _decode_utf16(data, path), ()
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        return _decode_legacy(data, path)


def _decode_utf16(data: bytes, path: Path) -> str:
    """UTF-16 shows in the zero half of each digit and line end; anything else with zero bytes is no text."""
    encoding = "utf-16-be" if data[::2].count(0) > data[1::2].count(0) else "utf-16-le"
    text = (data + b"\0" * (len(data) % 2)).decode(encoding, "replace")
    if "\0" in text or "\n" not in text or text.count("\ufffd") * 10 > len(text):
        raise VideoError(f"{printable(path)} is binary, not text. Give captions as text, such as .srt or .vtt.")
    return text


def _decode_legacy(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    nearly = data.decode("utf-8", "replace")
    if nearly.count("\ufffd") * 4 <= sum(map(len, re.findall(r"[^\x00-\x7f]+", nearly))):
        return nearly, ("some bytes are not valid UTF-8 and were replaced",)
    from charset_normalizer import from_bytes

    telling = itertools.islice((line for line in data.splitlines() if not line.isascii()), 500)
    guesses = from_bytes(b"\n".join(line[:500] for line in telling), cp_isolation=LEGACY_ENCODINGS)
    if not guesses:
        raise VideoError(f"{printable(path)} is in no known text encoding. Save it as UTF-8.")
    # Best first; among equals Western European, which is the commonest.
    guess = min(guesses, key=lambda guess: (guess.chaos, -guess.coherence, guess.encoding != "cp1252"))
    note = f"the text encoding was guessed as {guess.encoding}; save the file as UTF-8 if words look wrong"
    return data.decode(guess.encoding, "replace"), (note,)
