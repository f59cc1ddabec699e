"""Reads the gold of a questions file: in which video, at which seconds, each question is answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from evaluation.ranking import Gold, Span
from ingest.schema import Video, WrongCallError


@dataclass(frozen=True, slots=True)
class GoldLine:
    """The gold of one line, its video still a name; `gold` is None for a question that no video answers."""

    gold: Gold | None
    slices: tuple[str, ...]
    answers: tuple[str, ...]


def read_gold(fields: Mapping[str, Any], place: str) -> GoldLine:
    """The gold of one line of a questions file; WrongCallError, beginning with `place`, when there is none or it is odd.

    `answer_start_seconds` counts before `windows`; `start_seconds` with `end_seconds` marks the segment around it.
    """
    slices, answers = _texts(fields, "modality", place), _texts(fields, "answers", place)
    answerable = fields.get("answerable", True)
    if not isinstance(answerable, bool):
        raise WrongCallError(f'{place}: "answerable" is {answerable!r}. Write true or false.')
    if not answerable:
        return GoldLine(None, slices, answers)
    video = fields.get("video")
    if not isinstance(video, str) or not video or not (fields.get("windows") or "answer_start_seconds" in fields):
        raise WrongCallError(
            f'{place} has no gold: write "video" with "answer_start_seconds" or "windows", or "answerable": false.'
        )
    if "answer_start_seconds" in fields:
        start = _seconds(fields, "answer_start_seconds", place)
        return GoldLine(Gold(video, ((start, start),), segments=_segments(fields, place)), slices, answers)
    windows = _windows(fields["windows"], place)
    tolerance = _seconds(fields, "tolerance_s", place) if "tolerance_s" in fields else 0.0
    return GoldLine(Gold(video, windows, tolerance, windows), slices, answers)


def _segments(fields: Mapping[str, Any], place: str) -> tuple[Span, ...]:
    if "start_seconds" not in fields or "end_seconds" not in fields:
        return ()
    start, end = _seconds(fields, "start_seconds", place), _seconds(fields, "end_seconds", place)
    return (_window([start, end], place),)


def _windows(value: Any, place: str) -> tuple[Span, ...]:
    if not isinstance(value, list):
        raise WrongCallError(f'{place}: "windows" is {value!r}. Write [[start, end], ...] in seconds.')
    return tuple(_window(item, place) for item in value)


def _window(value: Any, place: str) -> Span:
    if not isinstance(value, list) or len(value) != 2 or not all(_is_seconds(item) for item in value):
        raise WrongCallError(f"{place}: a window is {value!r}. Write [start, end] in seconds from 0.")
    if value[0] > value[1]:
        raise WrongCallError(f"{place}: the window {value[0]}..{value[1]} ends before it begins. Swap the two.")
    return float(value[0]), float(value[1])


def _seconds(fields: Mapping[str, Any], key: str, place: str) -> float:
    if not _is_seconds(fields[key]):
        raise WrongCallError(f'{place}: "{key}" is {fields[key]!r}. Write seconds from 0.')
    return float(fields[key])


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _texts(fields: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = fields.get(key)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str) for item in values):
        raise WrongCallError(f'{place}: "{key}" is {value!r}. Write text or a list of texts.')
    return tuple(item for item in values if item.strip())


def videos_named(videos: Sequence[Video], name: str) -> list[Video]:
    """The videos that gold may mean by an id, a path or the end of one, a title or a file stem; the surest meaning wins."""
    end, plain = PurePath(name).parts, name.casefold()
    stem = PurePath(name).stem.casefold()
    meanings = (
        [video for video in videos if video.video_id == name],
        [video for video in videos if any(PurePath(path).parts[-len(end) :] == end for path in video.paths)],
        [video for video in videos if video.title.casefold() == plain],
        [video for video in videos if any(PurePath(path).stem.casefold() == plain for path in video.paths)],
        [video for video in videos if any(PurePath(path).stem.casefold() == stem for path in video.paths)],
    )
    return next((found for found in meanings if found), [])
