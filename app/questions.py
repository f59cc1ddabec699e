"""Reads what was asked: a question or a file of them, the videos and filters it is limited to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.settings import Settings
from ingest.catalog import Catalog
from ingest.index import FILTER_KEYS, Scope
from ingest.library import LibraryFolder
from ingest.schema import Video, WrongCallError
from retrievers.search import clean_question


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """One question with its own scope; `id` is the line's, None for a question on the command line."""

    text: str
    id: str | int | None = None
    videos: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    image: Path | None = None


@dataclass(frozen=True, slots=True)
class Shelf:
    """The catalog alone, for commands that need no index: they work while another process has the library open."""

    catalog: Catalog
    tenant: str


@contextmanager
def open_shelf(settings: Settings) -> Iterator[Shelf]:
    """Open the catalog of an existing library."""
    folder = LibraryFolder(settings.library)
    folder.check_exists()
    catalog = Catalog(settings.catalog_url or folder.catalog_url)
    try:
        yield Shelf(catalog, settings.tenant)
    finally:
        catalog.close()


def read_questions(text: str | None, file: Path | None, image: Path | None) -> list[AskedQuestion]:
    """The question given, or every line of a questions file; WrongCallError for both, neither, or a line that is not one."""
    if image and not image.is_file():
        raise WrongCallError(f"{image} is not a file. Give --image a picture.")
    if file is None:
        if text is None and image is None:
            raise WrongCallError("No question given. Give one, or a file with --questions.")
        return [AskedQuestion(clean_question(text) if text is not None else "", image=image)]
    if text is not None:
        raise WrongCallError("Both a question and --questions were given. Give one of them.")
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise WrongCallError(f"{file} cannot be read ({error.strerror}). Give a .jsonl file of questions.") from None
    except UnicodeDecodeError as error:
        raise WrongCallError(f"{file} is no UTF-8 text ({error.reason}). Give a .jsonl file of questions.") from None
    return [
        _read_line(line, f"{file} line {number}", file.parent) for number, line in enumerate(lines, 1) if line.strip()
    ]


def _read_line(line: str, place: str, folder: Path) -> AskedQuestion:
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WrongCallError(f"{place} is not JSON ({error}). Write one object a line.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("question"), str):
        raise WrongCallError(f'{place} has no "question" text. Write one object a line with "id" and "question".')
    scope = fields.get("scope")
    scope = {} if scope is None or isinstance(scope, str) else scope
    if not isinstance(scope, dict) or not set(scope) <= {"video", "filter"}:
        raise WrongCallError(f'{place}: a scope is an object with "video" and "filter", got {fields["scope"]!r}.')
    image = fields.get("image")
    return AskedQuestion(
        text=fields["question"],
        id=fields.get("id"),
        videos=_strings(scope.get("video"), place),
        filters=_filters(scope.get("filter"), place),
        image=folder / image if isinstance(image, str) else None,
    )


def _strings(value: Any, place: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str) for item in values):
        raise WrongCallError(f"{place}: scope holds {value!r}, not text.")
    return tuple(values)


def _filters(value: Any, place: str) -> tuple[str, ...]:
    """A filter as `key=value` text, a list of those, or an object of keys and values."""
    if isinstance(value, dict):
        return tuple(f"{key}={item}" for key, items in value.items() for item in _strings(items, place))
    return _strings(value, place)


def make_scope(
    catalog: Catalog,
    tenant: str,
    question: AskedQuestion,
    videos: Sequence[str] | None,
    filters: Sequence[str] | None,
) -> Scope:
    """What the question and the options `--video` and `--filter` allow; WrongCallError for an unknown video or key."""
    labels: dict[str, tuple[str, ...]] = {}
    for item in [*(filters or ()), *question.filters]:
        key, separator, value = item.partition("=")
        if not separator or key not in FILTER_KEYS or not value:
            raise WrongCallError(f"Unknown filter {item!r}. Write key=value; keys are {', '.join(FILTER_KEYS)}.")
        labels[key] = (*labels.get(key, ()), value)
    named = [*(videos or ()), *question.videos]
    return Scope(tenant, tuple(resolve_video(catalog, tenant, name).video_id for name in named), labels)


def resolve_video(catalog: Catalog, tenant: str, name: str) -> Video:
    """The video meant by an id, a path, a title, a file stem or the beginning of an id; WrongCallError for none or several."""
    known = catalog.videos(tenant)
    path = os.path.abspath(os.path.expanduser(name))
    meanings = (
        [video for video in known if video.video_id == name],
        [video for video in known if path in video.paths],
        [video for video in known if video.title == name],
        [video for video in known if any(Path(known_path).stem == name for known_path in video.paths)],
        [video for video in known if name and video.video_id.startswith(name)],
        [video for video in known if video.title.casefold() == name.casefold()],
    )
    found = next((matches for matches in meanings if matches), [])
    if not found:
        raise WrongCallError(f"No video {name!r} in the library. See: playhead videos")
    if len(found) > 1:
        choices = ", ".join(f"{video.video_id[:8]} ({video.title})" for video in found[:5])
        raise WrongCallError(f"{name!r} means {len(found)} videos: {choices}. Give an id.")
    return found[0]
