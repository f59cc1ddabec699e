"""What the names of caption files tell: whose captions they are, their language and their kind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ingest.language import short_language
from ingest.whisper_json import is_whisper_json

CaptionKind = Literal["captions", "chapters", "descriptions"]

CAPTION_SUFFIXES = frozenset(
    {".srt", ".vtt", ".ass", ".ssa", ".sub", ".ttml", ".smi", ".sami", ".lrc", ".json"}
)  # a .json counts only where it holds a transcript: see is_caption_file

KINDS: dict[str, CaptionKind] = {
    "captions": "captions",
    "subtitles": "captions",
    "chapters": "chapters",
    "description": "descriptions",
    "descriptions": "descriptions",
}
HEARING_IMPAIRED = "hi"  # behind a language (`talk.en.hi.srt`); alone it is Hindi
MARKS = frozenset({"sdh", "cc", "default", "whisper", "whisperx"})
PARTIAL = "forced"  # only the lines that a viewer of the dubbed film needs
# Codes that are also first names, months and days: without media beside them they name parts, not languages.
NAMES_LIKE_CODES = frozenset({"ben", "dan", "her", "mar", "may", "mon", "ron", "sun"})
# `talk_chapters_en`: an underscore needs a kind behind it, since `how_to` is no Tongan.
UNDERSCORED = re.compile(
    rf"(.+)_({'|'.join(KINDS)})(?:_([a-z]{{2,3}}(?:[-_](?:[a-z]{{2}}|[a-z]{{4}}|\d{{3}}))?))?", re.IGNORECASE
)
UNDERSCORED_LANGUAGE = re.compile(r"(.+)_([a-z]{2}(?:-[a-z]{2})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CaptionName:
    """What the name of a caption file tells: `talk.pt-BR.forced.vtt` has the stem "talk", is Portuguese and partial."""

    stem: str
    language: str | None = None
    kind: CaptionKind = "captions"
    is_partial: bool = False


def caption_name(path: Path) -> CaptionName:
    """What a caption file's name tells by itself, without media beside it."""
    *_, last = _readings(path.stem, NAMES_LIKE_CODES)
    return last


def language_of_name(path: Path) -> str | None:
    """The language a caption file's name tells: `talk.en.vtt`, `talk.pt-BR.srt`, `talk_captions_de.vtt`."""
    return caption_name(path).language


def is_caption_file(path: Path) -> bool:
    """Whether a file is captions by its suffix, and a .json by its content too."""
    suffix = path.suffix.lower()
    return suffix in CAPTION_SUFFIXES and (suffix != ".json" or is_whisper_json(path))


def find_sidecars(media_path: Path, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """The caption files beside a media file, sorted: its stem or whole name, with or without language, kind and marks.

    `names` are the names in its folder, for a caller that asks for many files of one folder and has listed it.
    """
    if names is None:
        try:
            with os.scandir(media_path.parent) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return ()
    stem = media_path.stem
    near = sorted(name for name in names if name.startswith(stem))
    found = (media_path.with_name(name) for name in near if _is_named_after(Path(name), media_path))
    return tuple(path for path in found if path.is_file() and is_caption_file(path))


def preferred_first(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The caption files of one video, the one that stands for it first: whole captions, English, made by people."""

    def rank(path: Path) -> tuple[object, ...]:
        name = caption_name(path)
        is_recognised = path.suffix.lower() == ".json"
        return name.kind != "captions", name.is_partial, name.language != "en", is_recognised, path.name

    return tuple(sorted(paths, key=rank))


def _is_named_after(caption: Path, media_path: Path) -> bool:
    if caption.suffix.lower() not in CAPTION_SUFFIXES:
        return False
    own_stems = (media_path.stem, media_path.name)
    for reading in _readings(caption.stem):
        if reading.stem in own_stems:
            return True
        if media_path.with_name(reading.stem + media_path.suffix).exists():
            return False  # talk.en.mp4 keeps its talk.en.vtt
        tagged = UNDERSCORED_LANGUAGE.fullmatch(reading.stem)
        if tagged and tagged[1] in own_stems and short_language(tagged[2]):
            return True
    return False


def _readings(stem: str, not_languages: frozenset[str] = frozenset()) -> Iterator[CaptionName]:
    """What a stem may mean: all of it the video's name, then without its last tag, its last two, and so on."""
    reading = CaptionName(stem)
    while True:
        yield reading
        without = _without_last_tag(reading, not_languages)
        if without is None:
            return
        reading = without


def _without_last_tag(name: CaptionName, not_languages: frozenset[str]) -> CaptionName | None:
    """The name without its last tag, which is told; None if its end is no tag, or a second language."""
    if match := UNDERSCORED.fullmatch(name.stem):
        language = short_language(match[3])
        if not match[3] or (language and not name.language):
            return replace(name, stem=match[1], kind=KINDS[match[2].lower()], language=language or name.language)
    stem, _, tag = name.stem.rpartition(".")
    tag = tag.lower()
    if not stem:
        return None
    if tag in KINDS:
        return replace(name, stem=stem, kind=KINDS[tag])
    if tag == PARTIAL:
        return replace(name, stem=stem, is_partial=True)
    before = stem.rpartition(".")
    if tag in MARKS or (tag == HEARING_IMPAIRED and before[0] and short_language(before[2])):
        return replace(name, stem=stem)
    language = None if tag in not_languages or name.language else short_language(tag)
    return replace(name, stem=stem, language=language) if language else None
