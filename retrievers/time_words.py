"""Reads the words that name a part of a video: "in the last five minutes", "after 10:00", "at the beginning"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ingest.schema import timecode

# "At the start" and "at the end" are a tenth of the video and half a minute: 36 s of a minute, 6:30 of an hour.
BORDER_PART, BORDER_SECONDS = 0.1, 30.0
AROUND_SECONDS = 60.0  # on both sides of "around 12:00"


@dataclass(frozen=True, slots=True)
class Edge:
    """A place in any video: a part of its duration, 0..1, and seconds from there."""

    part: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.part <= 1.0:
            raise ValueError(f"a part of a duration is 0..1, got {self.part}")

    def at(self, duration_seconds: float) -> float:
        """The second in a video of this duration, never outside it."""
        return min(max(self.part * duration_seconds + self.seconds, 0.0), duration_seconds)


START, END = Edge(0.0), Edge(1.0)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A part of every video, with its name for people."""

    name: str
    first: Edge
    last: Edge

    def of(self, duration_seconds: float) -> tuple[float, float] | None:
        """Start and end in a video of this duration; None where the video ends before or nothing is left."""
        start, end = self.first.at(duration_seconds), self.last.at(duration_seconds)
        return (start, end) if start < end else None


NAMED = {
    "start": TimeWindow("at the start", START, Edge(BORDER_PART, BORDER_SECONDS)),
    "beginning": TimeWindow("at the start", START, Edge(BORDER_PART, BORDER_SECONDS)),
    "middle": TimeWindow("in the middle", Edge(1 / 3), Edge(2 / 3)),
    "end": TimeWindow("at the end", Edge(1.0 - BORDER_PART, -BORDER_SECONDS), END),
}

_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_COUNTS = {
    word: value
    for value, words in {
        1: "a one", 2: "two couple", 3: "three few", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten",
        12: "twelve", 15: "fifteen", 20: "twenty", 30: "thirty", 40: "forty", 45: "forty-five", 50: "fifty", 60: "sixty", 90: "ninety",
    }.items()
    for word in words.split()
}  # fmt: skip
_COUNT = rf"(?:\d{{1,4}}|{'|'.join(sorted(_COUNTS, key=len, reverse=True))})"
_UNIT = r"(second|minute|hour)s?"
_CLOCK = r"(\d{1,3}:[0-5]\d(?::[0-5]\d)?)(?![\d:;])"
_NO_HOUR = r"(?!\s*(?:[ap]\.?m\b|o'?clock|hours|gmt|utc|e[sd]t|cet))"  # times of day are not of the video
VIDEO_NOUN = r"(?:videos?|clips?|recordings?|footage|talks?|lectures?|films?)"
OF_VIDEO = rf"\s+(?:of|in|into)\s+(?:(?:the|this|that|each|every|all|any|its)\s+)+(?:whole\s+|entire\s+)?{VIDEO_NOUN}\b"
# After the words: the video, or the end of a clause. In a bare list of words anything but "of the war".
_ENDS = rf"(?P<of>{OF_VIDEO})|(?=\s*(?:[,.;?!]|$))"
_AFTER = {False: rf"(?:{_ENDS})", True: rf"(?:{_ENDS}|\b(?!\s+(?:of|in)\b))"}

_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], TimeWindow]], ...] = (
    (rf"(?:in|during|within) the (?:very )?(?:first|opening) (?P<count>{_COUNT} )?{_UNIT}", lambda m: _border(m, "first")),
    (rf"(?:in|during|within) the (?:very )?(?:last|final|closing) (?P<count>{_COUNT} )?{_UNIT}", lambda m: _border(m, "last")),
    (r"(?:right )?(?:at|in|near) the (?:very )?(?:beginning|start|opening)", lambda m: NAMED["start"]),
    (r"(?:right )?(?:at|near|towards?) the (?:very )?end", lambda m: NAMED["end"]),
    (r"(?:right )?in the middle", lambda m: NAMED["middle"]),
    (rf"(?:between|from) {_CLOCK} (?:and|to|until|till) {_CLOCK}{_NO_HOUR}", lambda m: between(seconds(m[1]), seconds(m[2]))),
    (rf"(?:after|since) {_CLOCK}{_NO_HOUR}", lambda m: between(seconds(m[1]), None)),
    (rf"(?:before|until) {_CLOCK}{_NO_HOUR}", lambda m: between(None, seconds(m[1]))),
    (rf"(?:at|around|about|near) {_CLOCK}{_NO_HOUR}", lambda m: around(seconds(m[1]))),
    (
        rf"(?:between|from) (?:the )?{_UNIT} (\d{{1,4}}) (?:and|to|until) (?:(?:the )?{_UNIT} )?(\d{{1,4}})",
        lambda m: between(_unit(m[1]) * int(m[2]), _unit(m[3] or m[1]) * int(m[4])),
    ),
    (r"after (minute|second) (\d{1,4})", lambda m: between(_unit(m[1]) * int(m[2]), None)),
    (r"before (minute|second) (\d{1,4})", lambda m: between(None, _unit(m[1]) * int(m[2]))),
    (r"(?:at|in|around|near|about) (minute|second) (\d{1,4})", lambda m: around(_unit(m[1]) * int(m[2]))),
    (rf"(?:about |around )?(?P<count>{_COUNT} ){_UNIT}(?=\s+into\b)", lambda m: around(_length(m))),
)  # fmt: skip
_COMPILED = {
    loose: tuple((re.compile(rf"(?<!\w)(?:{pattern}){after}", re.IGNORECASE), make) for pattern, make in _PATTERNS)
    for loose, after in _AFTER.items()
}
_MAYBE = re.compile(r"\b(?:seconds?|minutes?|hours?|beginning|start|opening|end|middle)\b|\d:\d\d", re.IGNORECASE)


def take_windows(text: str, *, loose: bool, speaks_of_videos: bool) -> tuple[tuple[TimeWindow, ...], str]:
    """The parts of a video that a text names, and the text without them.

    `loose` for a bare list of words, where the words may stand anywhere. In a sentence they count where the video is named
    ("of the clip"), or at the end of a clause if the sentence speaks of videos.
    """
    windows: list[TimeWindow] = []
    if not _MAYBE.search(text):
        return (), text
    for pattern, make in _COMPILED[loose]:
        match = pattern.search(text)
        if match and (loose or speaks_of_videos or match["of"]):
            windows.append(make(match))
            rest = text[match.end() :].lstrip(" ,")
            text = f"{text[: match.start()].rstrip(' ,')}{'' if rest[:1] in '.?!;' else ' '}{rest}".strip()
    return tuple(windows), text


def explicit_window(value: str) -> TimeWindow:
    """The window of `time:VALUE`: start, middle, end, 2:00-3:30, 10:00-, -5:00 or 12:00; ValueError for another."""
    if value.lower() in NAMED:
        return NAMED[value.lower()]
    if re.fullmatch(_CLOCK, value):
        return around(seconds(value))
    if not re.fullmatch(rf"(?:{_CLOCK})?-(?:{_CLOCK})?", value) or value == "-":
        raise ValueError(f"unknown time {value!r}; write start, middle, end, 12:00, 2:00-3:30, 10:00- or -5:00")
    first, _, last = value.partition("-")
    return between(seconds(first) if first else None, seconds(last) if last else None)


def between(first_seconds: float | None, last_seconds: float | None) -> TimeWindow:
    """From one second to another; None is the border of the video."""
    if first_seconds is None and last_seconds is not None:
        return TimeWindow(f"before {timecode(last_seconds)}", START, Edge(seconds=last_seconds))
    if first_seconds is None or last_seconds is None:
        return TimeWindow(f"after {timecode(first_seconds or 0.0)}", Edge(seconds=first_seconds or 0.0), END)
    first, last = sorted((first_seconds, last_seconds))
    return TimeWindow(f"between {timecode(first)} and {timecode(last)}", Edge(seconds=first), Edge(seconds=last))


def around(at_seconds: float) -> TimeWindow:
    """A minute before and after."""
    first, last = max(at_seconds - AROUND_SECONDS, 0.0), at_seconds + AROUND_SECONDS
    return TimeWindow(f"around {timecode(at_seconds)}", Edge(seconds=first), Edge(seconds=last))


def seconds(clock: str) -> float:
    """The seconds of `2:00` or `1:05:00`."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return float(total)


def _border(match: re.Match[str], which: str) -> TimeWindow:
    length = _length(match)
    number, unit = (length, "second") if length % 60 else (length / 60, "minute")
    name = f"in the {which} {number:.0f} {unit}s" if number > 1 else f"in the {which} {unit}"
    return TimeWindow(name, START, Edge(0.0, length)) if which == "first" else TimeWindow(name, Edge(1.0, -length), END)


def _length(match: re.Match[str]) -> float:
    """Seconds of "five minutes"; the unit alone is one of it."""
    count = (match["count"] or "1").strip().lower()
    unit = next(group for group in match.groups() if group and group.lower() in _UNITS)
    return float(_COUNTS.get(count) or int(count)) * _unit(unit)


def _unit(name: str) -> float:
    return _UNITS[name.lower()]
