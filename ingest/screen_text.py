"""Reads the text in pictures and turns what the frames show into spans of time."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ingest.schema import ScreenText
from ingest.visual_embedding import read_picture

# Longest side of the picture that text is looked for in; lines are then read at full size. Measured on 1280x720 with
# one thread, ONNX Runtime: 0.54 s a full slide and 0.23 s a frame with little text, against 0.76 and 0.44 s at 1280, same recall
# (all 48 lines of 12 to 40 pixels); RapidOCR's own defaults, which also turn lines around, take 1.5 times the latter.
DETECTION_SIDE_PIXELS = 960
MIN_LINE_CONFIDENCE = 0.6
MAX_SIDE_RATIO = 100  # a longer strip holds no line that RapidOCR could read, and makes it fail
MIN_LINE_LETTERS = 2  # lone letters were read into waves, flowers and the rim of the earth, at up to 0.88
MIN_SAME_LINE_RATIO = 0.85

Line = tuple[str, float]


class ScreenReader(Protocol):
    """Reads the text in a picture."""

    name: str

    def read(self, image: Path) -> list[Line]:
        """The (text, confidence 0..1) of each line in reading order. Raises VideoError when the picture is damaged."""


class RapidOcrReader:
    """RapidOCR with the models inside its wheel (Chinese, Latin letters and digits), run by OpenVINO.

    Measured on one thread against ONNX Runtime: the same lines, 0.32 s a full slide against 0.54.
    """

    name = "RapidOCR PP-OCRv6 small"

    def __init__(self) -> None:
        from rapidocr import EngineType, RapidOCR

        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.text_score": MIN_LINE_CONFIDENCE,
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTION_SIDE_PIXELS,
                "Det.engine_type": EngineType.OPENVINO,
                "Rec.engine_type": EngineType.OPENVINO,
            }
        )

    def read(self, image: Path) -> list[Line]:
        picture = read_picture(image)
        if max(picture.size) > MAX_SIDE_RATIO * min(picture.size):
            return []
        blue_green_red = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
        found = self._engine(blue_green_red)
        return [
            (text.strip(), min(1.0, max(0.0, float(score))))
            for text, score in zip(found.txts or (), found.scores or (), strict=True)
            if sum(letter.isalnum() for letter in text) >= MIN_LINE_LETTERS
        ]


def load_screen_reader() -> RapidOcrReader | None:
    """The reader, or None when RapidOCR is not installed."""
    return RapidOcrReader() if importlib.util.find_spec("rapidocr") else None


def screen_text_spans(frames: Sequence[tuple[float, list[Line]]], duration_seconds: float) -> list[ScreenText]:
    """What the read frames (seconds, lines) show, as spans in order of time and of reading.

    A line holds until the next read frame that does not show it, at most until the end of the video. Readings that
    differ by a letter or two are one line, told as the surest reading; lines that differ in a digit are never the same.
    """
    finished: list[ScreenText] = []
    shown: list[ScreenText] = []
    for seconds, lines in sorted(frames, key=lambda frame: frame[0]):
        now = min(max(seconds, 0.0), duration_seconds)
        readings: list[ScreenText] = []
        for text, confidence in lines:
            before = _take(text, readings) or _take(text, shown)
            start = before.start_seconds if before else now
            if before and before.confidence >= confidence:
                text, confidence = before.text, before.confidence
            readings.append(ScreenText(start, now, text, confidence))
        finished += [replace(line, end_seconds=now) for line in shown]
        shown = readings
    finished += [replace(line, end_seconds=duration_seconds) for line in shown]
    return sorted(finished, key=lambda line: line.start_seconds)


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
