"""Understands a query: what is searched for, and the phrases, exclusions, times, filters and time operator around it.

The syntax that always works:

    "great wall"                 said or shown word for word; in a question only where somebody says it at all
    bees -dance -"round dance"   not about
    year:2023 language:de tag:physics video:"Apollo program"
    time:start  time:middle  time:end  time:2:00-3:30  time:10:00-
    A >> B                       B within two minutes after A
    A while: B                   both at once
    first: A   last: A   count: A   before: A   after: A

The same in words ("the first time chess is mentioned", "in the last five minutes") counts only where the query speaks of
videos and not of the world: "What happened after the war?" stays a question about the war.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from ingest.bm25 import tokenize
from ingest.schema import Video
from retrievers.query_words import (
    ASKED_FRAME,
    SPEAKS_OF_VIDEOS,
    ExclusionWords,
    find_operator,
    has_content,
    is_bare,
    take_exclusion,
    take_filters,
    take_frame,
    topic_of,
)
from retrievers.time_words import TimeWindow, explicit_window, take_windows

Operator = Literal["then", "while", "first", "last", "count", "before", "after"]
PAIRS: tuple[Operator, ...] = ("then", "while")
THEN_SECONDS = 120.0  # B follows A if it begins within this time

Library = Callable[[], Sequence[Video]]


@dataclass(frozen=True, slots=True)
class Sought:
    """What one search is for: its words, the phrases every hit holds word for word, and what no hit is about.

    `lacking` are exclusions that may be the topic itself ("bread without yeast"): a hit may tell of them that way.
    """

    words: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    without_phrases: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.words.strip():
            raise ValueError(f"a search needs words, got {self.words!r}")

    @property
    def leaves_out(self) -> bool:
        """Whether some moments are left out for what they are about."""
        return bool(self.without or self.without_phrases or self.lacking)

    def __str__(self) -> str:
        quoted = [f'"{phrase}"' for phrase in self.phrases]
        only = [tokenize(self.words)] == [tokenize(phrase) for phrase in self.phrases]
        named = quoted[0] if only else self.words + "".join(f", saying {phrase}" for phrase in quoted)
        left_out = [*self.without, *(f'"{phrase}"' for phrase in self.without_phrases), *self.lacking]
        return named + "".join(f", not about {topic}" for topic in left_out)


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What a query means. `second` is B of `then` and `while`; a `loose` phrase that nobody says is searched by its words.

    `titles` names videos; none of `labels`, (key, value) pairs as in `Scope`, may fail.
    """

    question: str
    sought: Sought
    operator: Operator | None = None
    second: Sought | None = None
    windows: tuple[TimeWindow, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    titles: tuple[str, ...] = ()
    loose: bool = False

    def __post_init__(self) -> None:
        if (self.operator in PAIRS) != (self.second is not None):
            raise ValueError(f"then and while take two searches, got {self.operator} with {self.second}")

    @property
    def plain(self) -> bool:
        """Whether words are searched for and nothing else."""
        sought = self.sought
        limits = (self.operator, self.windows, self.labels, self.titles, sought.phrases, sought.leaves_out)
        return not any(limits)

    def describe(self) -> str:
        """The plan as one line for people."""
        told = _OPERATOR_WORDS[self.operator].format(a=self.sought, b=self.second, minutes=f"{THEN_SECONDS / 60:.0f}")
        told += "".join(f", {window.name}" for window in self.windows)
        told += "".join(f", {key} {value}" for key, value in self.labels)
        return told + (f", in the video {' or '.join(self.titles)}" if self.titles else "")


_OPERATOR_WORDS: dict[Operator | None, str] = {
    None: "moments about {a}",
    "then": "moments about {a} and, within {minutes} minutes, {b}",
    "while": "moments about {a} at the same time as {b}",
    "first": "the first time in each video of {a}",
    "last": "the last time in each video of {a}",
    "count": "how many times in each video: {a}",
    "before": "what comes right before {a}",
    "after": "what comes right after {a}",
}


def parse_query(text: str, library: Library, today: date) -> QueryPlan:
    """The plan of a query; `library` gives its videos and is called only if the words seem to name one, or a tag.

    What cannot be meant, such as an exclusion with nothing left to search for, leaves the words as they are.
    """
    try:
        return _Parser(text, library, today).plan()
    except ValueError:
        return QueryPlan(text, Sought(text))


_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»")
_SETTING = re.compile(r"(?<!\S)(year|language|tag|video|time):(?:\"([^\"]+)\"|“([^”]+)”|([^\s\"]+))", re.IGNORECASE)
_NAME_IN_QUOTES = re.compile(
    r"(\b(?:called|titled|entitled|named|tagged|tag) )(?:\"([^\"]+)\"|“([^”]+)”)", re.IGNORECASE
)
_SINGLE = re.compile(rf"^({'|'.join(name for name in get_args(Operator) if name not in PAIRS)}):\s*(.+)", re.IGNORECASE)
_DOUBLE = re.compile(r"^(.+?)\s*(>>|\bwhile:)\s*(.+)$", re.IGNORECASE)
_MINUS = re.compile(r"(?<!\S)-([^\W\d_][^\s,;?!]*)")
# A quoted phrase stands as one letter-like word while the words around it are read.
_MARK = re.compile(r"ʘ(\d+)ʘ")


class _Parser:
    """Takes one query apart, from the outside in; every step leaves the text that it did not use."""

    def __init__(self, text: str, library: Library, today: date) -> None:
        self._question, self._library, self._today = text, library, today
        self._phrases: list[str] = []
        self._labels: list[tuple[str, str]] = []
        self._titles: list[str] = []
        self._windows: list[TimeWindow] = []

    def plan(self) -> QueryPlan:
        text = _SETTING.sub(self._take_setting, self._question)
        text = _NAME_IN_QUOTES.sub(lambda match: match[1] + (match[2] or match[3]), text)
        text = " ".join(_QUOTED.sub(self._mark, text).split())
        if match := _SINGLE.match(text):
            return self._made(match[1], self._limits(match[2], bare=True))
        if match := _DOUBLE.match(text):
            operator = "then" if match[2] == ">>" else "while"
            return self._made(operator, self._limits(match[1], bare=True), self._limits(match[3], bare=True))
        return self._read(text)

    def _read(self, text: str) -> QueryPlan:
        """The plan of a query without explicit operator."""
        inner = take_frame(text)
        bare, asked = is_bare(inner or text), bool(ASKED_FRAME.search(text))
        text = self._limits(text, bare=bare)
        inner = take_frame(text) if bare else None
        found = find_operator(text, inner, bare=bare)
        if found:
            second = topic_of(found.second) if found.second else None
            return self._made(found.operator, topic_of(found.first), second)
        sought = self._sought(inner or text, exclusions=bare or asked, doubtful=inner is None and not asked)
        plan = self._with(sought, loose=not bare and not asked)
        return QueryPlan(self._question, Sought(self._question)) if plan.plain and not inner else plan

    def _limits(self, text: str, *, bare: bool) -> str:
        """Keep the filters and times that a text names; the rest, or the text where nothing would be left."""
        filters = take_filters(text, self._library, self._today)
        self._labels += filters.labels
        self._titles += filters.titles
        speaks = bool(SPEAKS_OF_VIDEOS.search(filters.text))
        windows, rest = take_windows(filters.text, loose=bare, speaks_of_videos=speaks)
        self._windows += windows
        return rest if has_content(rest) else text

    def _sought(self, text: str, *, exclusions: bool, doubtful: bool = False) -> Sought:
        """What a part of the query is for; `doubtful` where "without" may belong to the topic."""
        left_out = [match[1] for match in _MINUS.finditer(text)]
        text = " ".join(_MINUS.sub("", text).split())
        found = take_exclusion(text) if exclusions else ExclusionWords(text)
        lacking = found.topics if found.lacking and doubtful else ()
        if not lacking:
            left_out += found.topics
            text = found.text
        marked = [_MARK.fullmatch(topic) for topic in left_out]
        return Sought(
            words=self._spelled(text),
            phrases=tuple(self._phrases[int(match[1])] for match in _MARK.finditer(found.text)),
            without=tuple(self._spelled(topic) for topic, mark in zip(left_out, marked, strict=True) if not mark),
            without_phrases=tuple(self._phrases[int(mark[1])] for mark in marked if mark),
            lacking=tuple(self._spelled(topic) for topic in lacking),
        )

    def _made(self, operator: str, first: str, second: str | None = None) -> QueryPlan:
        named: Operator = next(name for name in get_args(Operator) if name == operator.lower())
        sought = self._sought(first, exclusions=True)
        return self._with(sought, named, self._sought(second, exclusions=True) if second is not None else None)

    def _with(
        self, sought: Sought, operator: Operator | None = None, second: Sought | None = None, *, loose: bool = False
    ) -> QueryPlan:
        return QueryPlan(
            question=self._question,
            sought=sought,
            operator=operator,
            second=second,
            windows=tuple(self._windows),
            labels=tuple(self._labels),
            titles=tuple(self._titles),
            loose=loose,
        )

    def _take_setting(self, match: re.Match[str]) -> str:
        key, value = match[1].lower(), match[2] or match[3] or match[4]
        if key == "time":
            self._windows.append(explicit_window(value))
        elif key == "video":
            self._titles.append(value)
        else:
            self._labels.append((key, value))
        return " "

    def _mark(self, match: re.Match[str]) -> str:
        phrase = " ".join(next(group for group in match.groups() if group).split())
        if not tokenize(phrase):
            return match[0]
        self._phrases.append(phrase)
        return f"ʘ{len(self._phrases) - 1}ʘ"

    def _spelled(self, text: str) -> str:
        return _MARK.sub(lambda match: self._phrases[int(match[1])], text)
