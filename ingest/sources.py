"""Finds what to ingest: files, folders and manifests become sources, everything else a failure with one clear line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.caption_names import CAPTION_SUFFIXES, caption_name, find_sidecars, is_caption_file, preferred_first
from ingest.manifest_fields import duration_of, files_of, shown, text_of, texts_of, web_address_of
from ingest.plain_text import one_line, printable

__all__ = ["Source", "SourceFailure", "find_sources", "printable", "readable_stem"]

MANIFEST_NAME = "manifest.jsonl"
MAX_MANIFEST_LINE_BYTES = 1_000_000
NO_SOURCE = "is no video, audio or caption file"
CAPTION_SUFFIX_LIST = ", ".join(sorted(CAPTION_SUFFIXES))


@dataclass(frozen=True, slots=True)
class Source:
    """One video to ingest: a media file with its captions, or captions alone; the rest is what a manifest tells."""

    media: Path | None
    captions: tuple[Path, ...] = ()
    title: str | None = None
    url: str | None = None
    duration_seconds: float | None = None
    tags: tuple[str, ...] = ()
    published_at: str | None = None

    def __post_init__(self) -> None:
        if not self.media and not self.captions:
            raise ValueError("a source needs media or captions, got neither")

    @property
    def path(self) -> Path:
        """The file that stands for this source."""
        return self.media or self.captions[0]


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """Something named that cannot be ingested: its path as printable text and one line that says why."""

    path: str
    message: str


# What a path gives: a failure, or a source and whether a manifest describes it.
Found = SourceFailure | tuple[Source, bool]


def find_sources(paths: Sequence[Path]) -> tuple[list[Source], list[SourceFailure]]:
    """Every video under the paths, each once and in the order found, and what could not be used."""
    found = [item for path in paths for item in _expand(path)]
    failures = dict.fromkeys(item for item in found if isinstance(item, SourceFailure))
    return _each_once([item for item in found if not isinstance(item, SourceFailure)]), list(failures)


def readable_stem(path: Path) -> str:
    """A title from a file name: `my_first-talk.mp4` is "my first-talk", `two-words.en.sdh.vtt` is "two words"."""
    stem = caption_name(path).stem if path.suffix.lower() in CAPTION_SUFFIXES else path.stem
    words = one_line(stem.replace("_", " "))
    if " " not in words:
        words = re.sub(r"(?<=[^\W\d])-(?=[^\W\d])", " ", words)
    return words or printable(Path(path.name))


def _each_once(found: Sequence[tuple[Source, bool]]) -> list[Source]:
    """Sources without files listed twice: what a manifest describes comes before media, media before lone captions.

    Lone captions of one folder whose names differ only in language, kind and format are one video.
    """
    kept: dict[int, Source] = {}
    claimed: set[str] = set()
    entries: set[tuple[object, ...]] = set()
    lone: dict[tuple[str, str], int] = {}
    for index in sorted(range(len(found)), key=lambda index: _rank(*found[index])):
        source, described = found[index]
        files = tuple(os.path.realpath(path) for path in (source.media, *source.captions) if path)
        # Two entries of a manifest may show the same captions at two addresses; a file named twice is one video.
        entry = (files[0],) if source.media else (*files, source.url)
        if entry not in entries and (described or files[0] not in claimed):
            if source.media or described:
                kept[index] = source
            else:
                first = lone.setdefault(_video_of(source.path), index)
                captions = (*kept[first].captions, *source.captions) if first in kept else source.captions
                kept[first] = replace(source, captions=preferred_first(captions))
        entries.add(entry)
        claimed.update(files)  # also of media that a manifest describes: its sidecars are no videos of their own
    return [kept[index] for index in sorted(kept)]


def _video_of(captions: Path) -> tuple[str, str]:
    """Folder and stem that captions of one video share: `talk.en.vtt` and `talk.chapters.vtt`, not `part.1` and `part.2`."""
    return os.path.realpath(captions.parent), caption_name(captions).stem


def _rank(source: Source, described: bool) -> int:
    return 0 if described else 1 if source.media else 2


def _expand(path: Path) -> Iterator[Found]:
    try:
        path.stat()
    except ValueError as error:  # a zero byte, or a name no file system can hold
        yield _failure(path, f"is no possible file name ({error}). Check its name.")
        return
    except OSError as error:
        fact = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        yield _failure(path, f"{fact}. Check its name and its permissions.")
        return
    if path.is_dir():
        yield from _folder_contents(path)
    elif path.is_file():
        yield from _named_file_contents(path)
    else:
        yield _failure(path, "is not a regular file (a pipe, a device or a socket). Save it as a file first.")


def _failure(path: Path, fact: str) -> SourceFailure:
    return SourceFailure(printable(path), f"{printable(path)} {fact}")


def _source_of(path: Path, beside: Sequence[str] | None = None) -> Source | None:
    """The source that a file is by its suffix, else by its content; `beside` are the captions' names in its folder."""
    from ingest.media import MEDIA_SUFFIXES, is_media

    suffix = path.suffix.lower()
    if suffix in CAPTION_SUFFIXES:
        return Source(None, (path,)) if is_caption_file(path) else None
    return Source(path, find_sidecars(path, beside)) if suffix in MEDIA_SUFFIXES or is_media(path) else None


def _named_file_contents(path: Path) -> Iterator[Found]:
    if path.suffix.lower() == ".jsonl":
        yield from _manifest_contents(path)
    elif source := _source_of(path):
        yield source, False
    else:
        remedy = f"Give media, captions ({CAPTION_SUFFIX_LIST}), a folder or a .jsonl manifest."
        fact = "is JSON, but no transcript of Whisper or WhisperX" if path.suffix.lower() == ".json" else NO_SOURCE
        yield _failure(path, f"{fact}. {remedy}")


def _folder_contents(folder: Path) -> Iterator[Found]:
    """What lies below a folder, naturally sorted, files before folders; hidden names and linked folders are skipped."""
    found: list[Found] = []
    folders = [folder]
    while folders:
        here = folders.pop()
        inner: list[Path] = []
        try:
            entries = sorted((entry for entry in here.iterdir() if not entry.name.startswith(".")), key=_natural)
            captions = [entry.name for entry in entries if entry.suffix.lower() in CAPTION_SUFFIXES]
            for entry in entries:
                if entry.is_file():
                    found += _met_file_contents(entry, captions)
                elif entry.is_dir() and not entry.is_symlink():
                    inner.append(entry)
        except OSError as error:
            found.append(_failure(here, f"cannot be read to its end ({error.strerror}). Check its permissions."))
        folders += reversed(inner)
    name = printable(folder)
    nothing = f"No video, audio or caption file in {name}. Name a folder that holds some, or a file."
    yield from found or [SourceFailure(name, nothing)]


def _met_file_contents(path: Path, beside: Sequence[str]) -> Iterator[Found]:
    """What a file met in a folder gives; another kind of file, or another program's manifest, gives nothing."""
    if path.name == MANIFEST_NAME:
        if _is_ours(path):
            yield from _manifest_contents(path)
    elif source := _source_of(path, beside):
        yield source, False


def _natural(path: Path) -> tuple[list[int | str], str]:
    """Sorts `part 2` before `part 10`."""
    pieces = re.split(r"([0-9]+)", path.name.casefold())
    return [int(piece) if position % 2 else piece for position, piece in enumerate(pieces)], path.name


def _is_ours(manifest: Path) -> bool:
    """Whether a line of a manifest names captions or media."""
    for _, line in _manifest_lines(manifest):
        try:
            row = _manifest_row(line)
        except ValueError:
            continue
        if "captions" in row or "media" in row:
            return True
    return False


def _manifest_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers and lines that hold something; an overlong line is cut, and the last."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_MANIFEST_LINE_BYTES), b""), 1):
            if line.strip():
                yield number, line
            if len(line) == MAX_MANIFEST_LINE_BYTES:
                return


def _manifest_contents(path: Path) -> Iterator[Found]:
    try:
        for number, line in _manifest_lines(path):
            try:
                yield _manifest_source(line, path.parent), True
            except ValueError as error:
                yield _failure(path, f"line {number}: {error}")
    except OSError as error:
        yield _failure(path, f"cannot be read ({error.strerror}). Check its permissions.")


def _manifest_source(line: bytes, folder: Path) -> Source:
    """The source of one manifest line; raises ValueError with what is wrong in it and what to do."""
    row = _manifest_row(line)
    media = files_of(row, "media", folder)
    captions = files_of(row, "captions", folder)
    if len(media) > 1:
        raise ValueError(f"media names {len(media)} files. Name one.")
    if not media and not captions:
        raise ValueError("it has neither media nor captions. Name one of them.")
    for path in captions:
        if path.suffix.lower() not in CAPTION_SUFFIXES:
            raise ValueError(f"captions {printable(path)} is none of {CAPTION_SUFFIX_LIST}. Convert it.")
    return Source(
        media=media[0] if media else None,
        captions=captions or (find_sidecars(media[0]) if media else ()),
        title=text_of(row, "title"),
        url=web_address_of(row),
        duration_seconds=duration_of(row),
        tags=tuple(dict.fromkeys(filter(None, map(one_line, texts_of(row, "tags"))))),
        published_at=text_of(row, "published_at"),
    )


def _manifest_row(line: bytes) -> dict[str, Any]:
    if len(line) == MAX_MANIFEST_LINE_BYTES:
        raise ValueError("it is over 1 MB, and what follows was not read. Put one object on each line.")
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply. Write one flat object.") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8. Save the file as UTF-8.") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error}). Correct the line.") from None
    if not isinstance(row, dict):
        raise ValueError(f"it is {shown(row)}, not an object. Write {{...}} with captions or media.")
    return row
