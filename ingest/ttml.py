"""Reads TTML: clock, offset, frame and tick times, nested offsets, timed spans, languages and speakers.

Written here because pysubs2 gives the whole file up for one `dur` or one time in frames or ticks, as Netflix writes them.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.cues import Cue
from ingest.plain_text import one_line

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CLOCK_TIME = re.compile(r"\s*(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)(?::(\d{1,3}))?\s*")
OFFSET_TIME = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)(h|ms|m|s|f|t)\s*")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
DEFAULT_FRAME_RATE = 30.0
RATIO = re.compile(r"([1-9]\d{0,5})[ :]([1-9]\d{0,5})")

Found = dict[str | None, list[Cue]]


def ttml_cues(text: str) -> Found:
    """The cues of each language (None: not said); raises ValueError for what is no XML or cannot be read safely."""
    from xml.etree.ElementTree import ParseError, fromstring

    if "<!ENTITY" in text:  # a few lines of entities can unfold to gigabytes
        raise ValueError("it defines XML entities, which are not read")
    try:
        root = fromstring(text)
        found: Found = {}
        _collect(root, _Inherited(), _clock_of(root), _agents(root), found)
    except ParseError as error:
        raise ValueError(f"it is no XML: {error}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What an element takes from those around it."""

    start_seconds: float = 0.0
    end_seconds: float = math.inf
    language: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class _Clock:
    frames_per_second: float
    ticks_per_second: float

    def seconds(self, time: str | None) -> float:
        """Seconds of a time expression, NaN for what is none."""
        if match := CLOCK_TIME.fullmatch(time or ""):
            hours, minutes, seconds, frames = match.groups()
            whole = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            return whole + int(frames or 0) / self.frames_per_second
        if match := OFFSET_TIME.fullmatch(time or ""):
            units = {**SECONDS, "f": 1 / self.frames_per_second, "t": 1 / self.ticks_per_second}
            return float(match[1]) * units[match[2]]
        return math.nan


def _collect(element: Element, outer: _Inherited, clock: _Clock, agents: dict[str, str], found: Found) -> None:
    """Add the cues of an element and its children; times count from the start of the element around it."""
    here = _inside(element, outer, clock, agents)
    name, is_timed = _local(element.tag), "begin" in element.attrib
    has_timed_spans = any("begin" in child.attrib for child in element)
    if (name == "p" and (is_timed or not has_timed_spans)) or (name == "span" and is_timed):
        pieces: list[str] = []
        _collect_text(element, pieces)
        cue = Cue(here.start_seconds, here.end_seconds, "".join(pieces), here.speaker)
        found.setdefault(here.language, []).append(cue)
        return
    for child in element:
        _collect(child, here, clock, agents, found)


def _inside(element: Element, outer: _Inherited, clock: _Clock, agents: dict[str, str]) -> _Inherited:
    if element.get("timeContainer") == "seq":
        raise ValueError("it counts times in sequence, which is not read")
    start = outer.start_seconds
    if "begin" in element.attrib:
        start += clock.seconds(element.get("begin"))
    ends = [outer.end_seconds]
    if "end" in element.attrib:
        ends.append(outer.start_seconds + clock.seconds(element.get("end")))
    if "dur" in element.attrib:
        ends.append(start + clock.seconds(element.get("dur")))
    attributes = {_local(key): value for key, value in element.attrib.items()}
    agent = attributes.get("agent")
    return _Inherited(
        start_seconds=start,
        end_seconds=math.nan if any(map(math.isnan, ends)) else min(ends),
        language=attributes.get("lang") or outer.language,
        speaker=agents.get(agent, agent) if agent else outer.speaker,
    )


def _collect_text(element: Element, pieces: list[str]) -> None:
    """Add the words of an element as a cue has them: line breaks where it says so, not where the file has them."""
    pieces.append(_plain(element.text))
    for child in element:
        name = _local(child.tag)
        if name == "br":
            pieces.append("\n")
        elif name != "metadata":
            _collect_text(child, pieces)
        pieces.append(_plain(child.tail))


def _plain(text: str | None) -> str:
    return html.escape(re.sub(r"\s+", " ", text or ""), quote=False)


def _clock_of(root: Element) -> _Clock:
    said = {_local(key): value for key, value in root.attrib.items()}
    multiplier = RATIO.fullmatch(said.get("frameRateMultiplier", ""))
    ratio = int(multiplier[1]) / int(multiplier[2]) if multiplier else 1.0
    frames = _rate(said.get("frameRate")) or DEFAULT_FRAME_RATE
    ticks = _rate(said.get("tickRate")) or (frames if "frameRate" in said else 1.0)
    return _Clock(frames * ratio, ticks)


def _rate(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"[1-9]\d{0,9}", text) else None


def _agents(root: Element) -> dict[str, str]:
    """The names of the speakers by their ids."""
    named = {}
    for element in root.iter():
        if _local(element.tag) == "agent":
            names = [one_line("".join(inner.itertext())) for inner in element if _local(inner.tag) == "name"]
            named.update({value: names[0] for key, value in element.attrib.items() if _local(key) == "id" and names})
    return named


def _local(name: object) -> str:
    """A tag or attribute without its namespace; comments have none."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""
