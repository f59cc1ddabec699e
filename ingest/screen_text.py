"""Reads the text in pictures and turns what the frames show into spans of time."""

from __future__ import annotations

import importlib.util
import logging
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.changed_areas import CELL_PIXELS, Box, Luma, changed_areas
from ingest.schema import PlayheadError, ScreenText
from ingest.screen_models import DETECTION_FILE, RECOGNITION_FILE, downloaded_model, fetched, models_folder
from ingest.visual_embedding import read_picture

if TYPE_CHECKING:
    from PIL import Image

# Longest side of the picture that text is looked for in; lines are then read at full size. Measured on 1280x720 with
# one thread, ONNX Runtime: 0.54 s a full slide and 0.23 s a frame with little text, against 0.76 and 0.44 s at 1280, same recall
# (all 48 lines of 12 to 40 pixels); RapidOCR's own defaults, which also turn lines around, take 1.5 times the latter.
DETECTION_SIDE_PIXELS = 960
MIN_LINE_CONFIDENCE = 0.6
MAX_SIDE_RATIO = 100  # a longer strip holds no line that RapidOCR could read, and makes it fail
MIN_LINE_LETTERS = 2  # lone letters were read into waves, flowers and the rim of the earth, at up to 0.88
MIN_SAME_LINE_RATIO = 0.85

# A page that lies on its side or its head: upright pages of print read at 0.99 in the median, turned ones at 0.65 to 0.84.
MIN_LINES_TO_TURN = 4
UPRIGHT_CONFIDENCE = 0.85
SIDEWAYS_RATIO = 1.5  # a box this much taller than wide holds a line that runs up or down

MAX_FLICKER_SECONDS = 2.0  # a line that only one frame misses, for no longer, was there all the time
MIN_COUNTS = 4
DIGIT = re.compile(r"\d")

log = logging.getLogger(__name__)

Line = tuple[str, float]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line of text with its confidence, 0..1, and where in the picture it stands."""

    text: str
    confidence: float
    box: Box


class ScreenReader(Protocol):
    """Reads the text in a picture."""

    name: str

    def read(self, picture: Picture) -> list[PlacedLine]:
        """The lines in reading order of an RGB picture, shape (height, width, 3)."""


class RapidOcrReader:
    """RapidOCR with the detection model of its wheel, run by OpenVINO; it never downloads anything.

    `recognition` is the file of the model that reads the found lines. Measured on one thread against ONNX Runtime: the same
    lines, 0.32 s a full slide against 0.54.
    """

    def __init__(self, name: str, recognition: Path) -> None:
        from rapidocr import EngineType, RapidOCR

        self.name = name
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.text_score": 0.0,  # what is unsure tells that a picture is turned
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTION_SIDE_PIXELS,
                "Det.engine_type": EngineType.OPENVINO,
                "Det.model_path": str(models_folder() / DETECTION_FILE),
                "Rec.engine_type": EngineType.OPENVINO,
                "Rec.model_path": str(recognition),
            }
        )
        blank = np.zeros((CELL_PIXELS, CELL_PIXELS, 3), dtype=np.uint8)
        try:
            self._engine(blank)  # opens the model that finds lines
            self._engine(blank, use_det=False)  # and the one that reads them
        except Exception as error:  # each layer below has its own ways to fail on a missing or damaged file
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise PlayheadError(
                f"The models of RapidOCR cannot be opened ({reason}). Reinstall it: pip install --force-reinstall rapidocr"
            ) from error

    def read(self, picture: Picture) -> list[PlacedLine]:
        height, width, _ = picture.shape
        if max(height, width) > MAX_SIDE_RATIO * min(height, width):
            return []
        lines = self._read_as_it_lies(picture)
        turns = quarter_turns_to_try(lines)
        if turns:
            everywhere = Box(0, 0, width, height)
            turned = [self._read_as_it_lies(np.rot90(picture, turn)) for turn in turns]
            turned = [[replace(line, box=everywhere) for line in reading] for reading in turned]
            lines = max([*turned, lines], key=_sure_letters)
        return [line for line in lines if line.confidence >= MIN_LINE_CONFIDENCE and _is_text(line.text)]

    def _read_as_it_lies(self, picture: Picture) -> list[PlacedLine]:
        found = self._engine(np.ascontiguousarray(picture[:, :, ::-1]), use_det=True)  # blue, green, red
        if found.boxes is None:
            return []
        corners = np.asarray(found.boxes)  # (lines, 4, 2)
        sides = np.concatenate([np.floor(corners.min(axis=1)), np.ceil(corners.max(axis=1))], axis=1).astype(int)
        return [
            PlacedLine(text.strip(), min(1.0, max(0.0, float(score))), Box(*box))
            for text, score, box in zip(found.txts, found.scores, sides.tolist(), strict=True)
        ]


def quarter_turns_to_try(lines: Sequence[PlacedLine]) -> tuple[int, ...]:
    """How often to turn a picture by 90 degrees, anticlockwise, before reading it again; empty for one that stands upright."""
    words = [line for line in lines if _is_text(line.text)]
    if len(words) < MIN_LINES_TO_TURN:
        return ()
    boxes = [line.box for line in words]
    tall = sum(box.bottom - box.top > SIDEWAYS_RATIO * (box.right - box.left) for box in boxes)
    if 2 * tall > len(boxes):
        return (1, 3)
    return (2,) if statistics.median(line.confidence for line in words) < UPRIGHT_CONFIDENCE else ()


def _sure_letters(lines: Sequence[PlacedLine]) -> int:
    return sum(len(line.text) for line in lines if line.confidence >= UPRIGHT_CONFIDENCE)


def _is_text(text: str) -> bool:
    return sum(letter.isalnum() for letter in text) >= MIN_LINE_LETTERS


def load_screen_reader(language: str = "auto") -> RapidOcrReader | None:
    """The reader for a language (a code like "en"); None, with the reason in the log, when its model cannot be had here.

    The model inside RapidOCR's wheel reads Chinese, Japanese and 48 languages in Latin letters, and is what "auto" takes;
    others are downloaded once. Raises PlayheadError for a language that RapidOCR does not know.
    """
    if not importlib.util.find_spec("rapidocr"):
        return None
    model = downloaded_model(language.casefold())
    try:
        if model is None:
            return RapidOcrReader("RapidOCR PP-OCRv6 small", models_folder() / RECOGNITION_FILE)
        return RapidOcrReader(f"RapidOCR PP-OCRv5 {model}", fetched(model))
    except PlayheadError as error:
        log.warning("%s", error)
        return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was last read: the picture in grey, of each area as it was when read, and its lines."""

    luma: Luma
    lines: tuple[PlacedLine, ...]


def read_frames(
    reader: ScreenReader, frames: Sequence[tuple[float, Path]], known: Mapping[float, list[Line]] = MappingProxyType({})
) -> Iterator[tuple[float, list[Line]]]:
    """The lines of each frame in order of time; `known` are the results of an earlier run, given back as they are without reading.

    Only what changed since the frame before is read again, so a speaker beside a still slide costs the speaker's part.
    Measured on one frame a second of 33 videos (797 frames): 26% of the picture area is read, every line of the truth that
    reading everything finds is found. Raises VideoError when a picture is damaged.
    """
    seen: _Seen | None = None
    for seconds, path in sorted(frames):
        if seconds in known:
            seen = None
            yield seconds, known[seconds]
        else:
            seen = _read_changed(reader, read_picture(path), seen)
            yield seconds, [(line.text, line.confidence) for line in seen.lines]


def _read_changed(reader: ScreenReader, image: Image.Image, before: _Seen | None) -> _Seen:
    picture, luma = np.asarray(image), np.array(image.convert("L"))
    if before is None or before.luma.shape != luma.shape:
        return _Seen(luma, tuple(reader.read(picture)))
    areas = changed_areas(before.luma, luma, [line.box for line in before.lines])
    lines = [line for line in before.lines if not any(area.overlaps(line.box) for area in areas)]
    now = before.luma.copy()
    for area in areas:
        part = slice(area.top, area.bottom), slice(area.left, area.right)
        now[part] = luma[part]
        lines += [replace(line, box=line.box.moved(area.left, area.top)) for line in reader.read(picture[part])]
    return _Seen(now, tuple(_in_reading_order(lines) if areas else lines))


def _in_reading_order(lines: Sequence[PlacedLine]) -> list[PlacedLine]:
    """From the top down, and from left to right those that begin above the middle of the first beside them."""
    rows: list[list[PlacedLine]] = []
    for line in sorted(lines, key=lambda line: line.box.top):
        if rows and 2 * line.box.top < rows[-1][0].box.top + rows[-1][0].box.bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box.left)]


def screen_text_spans(frames: Sequence[tuple[float, list[Line]]], duration_seconds: float) -> list[ScreenText]:
    """What the read frames (seconds, lines) show, as spans in order of time and of reading.

    A line holds until the next read frame that does not show it, at most until the end of the video; one that a single
    frame misses for a moment goes on. Readings that differ by a letter or two are one line, told as the surest reading;
    lines that differ in a digit are never the same.
    """
    finished: list[ScreenText] = []
    shown: list[ScreenText] = []
    missed: list[ScreenText] = []  # by the last frame
    for seconds, lines in sorted(frames, key=lambda frame: frame[0]):
        now = min(max(seconds, 0.0), duration_seconds)
        readings: list[ScreenText] = []
        flickering = [line for line in missed if now - line.end_seconds <= MAX_FLICKER_SECONDS]
        finished += [line for line in missed if line not in flickering]
        for text, confidence in lines:
            before = _take(text, readings) or _take(text, shown) or _take(text, flickering)
            start = before.start_seconds if before else now
            if before and before.confidence >= confidence:
                text, confidence = before.text, before.confidence
            readings.append(ScreenText(start, now, text, confidence))
        finished += flickering
        missed = [replace(line, end_seconds=now) for line in shown]
        shown = readings
    finished += missed + [replace(line, end_seconds=duration_seconds) for line in shown]
    return sorted(finished, key=lambda line: line.start_seconds)


def without_counters(spans: Sequence[ScreenText]) -> list[ScreenText]:
    """The spans, of a running clock or counter only the first: text for an embedding, which counters drown.

    Measured on demo slides of 30 s: cosine of a slide to its own words 0.60, 0.53 with one time code of the burnt-in clock,
    0.31 with all thirty, 0.07 with sixty. A counter is four spans or more, one after the other, that differ in digits alone.
    """
    runs: dict[str, list[ScreenText]] = {}
    for span in spans:
        runs.setdefault(DIGIT.sub("0", span.text), []).append(span)
    counters = [run for run in runs.values() if len(run) >= MIN_COUNTS and _follow_each_other(run)]
    left_out = {id(span) for run in counters for span in run[1:]}
    return [span for span in spans if id(span) not in left_out]


def _follow_each_other(spans: Sequence[ScreenText]) -> bool:
    """Whether none is shown together with the next, as the rows of a table are."""
    return all(one.end_seconds <= other.start_seconds for one, other in zip(spans, spans[1:], strict=False))


def _take(text: str, lines: list[ScreenText]) -> ScreenText | None:
    """Remove and return the first of `lines` that reads like `text`."""
    position = next((n for n, line in enumerate(lines) if is_same_line(text, line.text)), None)
    return None if position is None else lines.pop(position)


def is_same_line(first: str, second: str) -> bool:
    """Whether two readings are of one line: nearly the same letters and exactly the same digits."""
    one, other = _letters_and_digits(first), _letters_and_digits(second)
    if one == other:
        return True
    if [c for c in one if c.isdigit()] != [c for c in other if c.isdigit()]:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.quick_ratio() >= MIN_SAME_LINE_RATIO and matcher.ratio() >= MIN_SAME_LINE_RATIO


def _letters_and_digits(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
