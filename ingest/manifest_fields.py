"""Reads the fields of one manifest line: each is of its kind or raises ValueError with what is wrong and what to do."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingest.captions import MAX_CAPTION_SECONDS
from ingest.plain_text import one_line, printable


def files_of(row: dict[str, Any], key: str, folder: Path) -> tuple[Path, ...]:
    """The files that a field names, relative to the folder, each once."""
    paths = tuple(dict.fromkeys(folder / name for name in texts_of(row, key)))
    for path in paths:
        if not os.path.isfile(path):  # also where the name holds a zero byte or is too long
            raise ValueError(f"{key} {printable(path)} is no file. Paths are relative to the manifest.")
    return paths


def text_of(row: dict[str, Any], key: str) -> str | None:
    """A text as one line, None where it is missing or blank."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} is {shown(value)}, not text. Put it in quotes or leave it out.")
    return one_line(value or "") or None


def texts_of(row: dict[str, Any], key: str) -> list[str]:
    """A text or a list of texts, as a list."""
    value = row.get(key)
    texts = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{key} is {shown(value)}, not text or a list of texts. Correct the line.")
    return texts


def web_address_of(row: dict[str, Any]) -> str | None:
    """A web address; nothing else, since it becomes a link that users click."""
    url = text_of(row, "url")
    if url and not _is_web_address(url):
        raise ValueError(f"url is {shown(url)}, not an http:// or https:// address. Correct the line.")
    return url


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are no IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", url)


def duration_of(row: dict[str, Any]) -> float | None:
    """The seconds that a video lasts, None where it is not said."""
    value = row.get("duration_seconds")
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 < value <= MAX_CAPTION_SECONDS:
        limit = f"{MAX_CAPTION_SECONDS:.0f}"
        raise ValueError(
            f"duration_seconds is {shown(value)}, not a number above 0 and up to {limit}. Correct the line."
        )
    return float(value)


def shown(value: object) -> str:
    """The start of a value, as an error message shows it."""
    return printable(repr(value)[:60])
