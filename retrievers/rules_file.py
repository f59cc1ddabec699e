"""Reads `rules.yaml`: every key and value is checked and told with its line; a changed file is read again by itself."""

from __future__ import annotations

import difflib
import logging
import math
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from ingest.bm25 import fold
from ingest.library import check_tenant
from ingest.schema import PlayheadError
from retrievers.rules import Conditions, Rules, Terms

PROFANITY = Path(__file__).parent / "profanity.txt"
SECTIONS = ("length", "tags", "language", "published", "profanity", "blocked_terms")
ANOTHER_NAME = {
    "category": "tags",
    "categories": "tags",
    "duration": "length",
    "languages": "language",
    "date": "published",
}

FileState = tuple[int, int, int] | None
"""Size, time of the last change in nanoseconds, and inode; None for a file that is not there."""
Seen = dict[Path, FileState]
"""The files that rules were read from, each in the state before it was read."""

log = logging.getLogger(__name__)


class RulesError(PlayheadError):
    """The rules file cannot be used."""


class RulesFile:
    """The rules of one file, read anew when it or a word list that it names changes; safe to use from several threads.

    A file that is not there yet makes no rules. Once read, rules hold until a whole new version can be read: a broken
    edit, or a file that went away, must not show what was forbidden a moment ago.
    """

    def __init__(self, path: Path) -> None:
        """`RulesError` when the file is there and wrong."""
        self._path = path
        self._lock = threading.Lock()
        self._seen = Seen()
        self._rules = read_rules(path, self._seen) if path.exists() else Rules()
        self._seen.setdefault(path, None)

    def current(self) -> Rules:
        """The rules that hold now; to see that nothing changed takes microseconds."""
        with self._lock:
            if any(_state(path) != state for path, state in self._seen.items()):
                self._reload()
            return self._rules

    def _reload(self) -> None:
        self._seen = Seen()
        try:
            self._rules = read_rules(self._path, self._seen)
            log.info("%s changed and was read again", self._path)
        except RulesError as error:
            log.warning("%s The rules before it still hold.", error)
            # The error itself stays in the log: it may quote what another tenant forbids.
            told = (
                f"{self._path.name} was changed and cannot be used; the rules before it still hold. The log says more."
            )
            self._rules = replace(self._rules, warning=told)


def read_rules(path: Path, seen: Seen | None = None) -> Rules:
    """The rules of a file; `RulesError` with line, key, value and remedy. `seen` gets the files that were read."""
    seen = Seen() if seen is None else seen
    try:
        node = yaml.compose(_text_of(path, seen), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RulesError(f"{path} line {line} is no YAML: {error.problem}. Correct the line.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RulesError(f"{path} is no YAML ({' '.join(str(error).split())}). Save it as plain text.") from None
    sections = Entry(path, "", node).entries((*SECTIONS, "tenants")) if node else {}
    tenants = sections.pop("tenants").entries(None) if "tenants" in sections else {}
    return Rules(
        _conditions(sections, seen),
        {_tenant(entry, name): _conditions(entry.entries(SECTIONS), seen) for name, entry in tenants.items()},
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the file, with the keys that lead to it, as `tags.deny`."""

    file: Path
    key: str
    node: yaml.Node

    def error(self, fact: str) -> RulesError:
        return RulesError(f"{self.file} line {self.node.start_mark.line + 1}: {self.key or 'the file'} {fact}")

    def value(self) -> Any:
        """The value as YAML understands it."""
        try:
            return yaml.SafeLoader("").construct_object(self.node, deep=True)
        except (ValueError, yaml.YAMLError):
            raise self.error(
                f"is {self.node.value!r}, which YAML cannot read. Correct it or put it in quotes."
            ) from None

    def entries(self, known: Collection[str] | None) -> dict[str, Entry]:
        """The values below this one by key, none for an empty one; only the known keys are allowed."""
        if self.node.tag == "tag:yaml.org,2002:null":
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"is {self.value()!r}, not keys with values. Write them below it, indented.")
        found: dict[str, Entry] = {}
        for key_node, node in self.node.value:
            name = str(key_node.value)
            entry = Entry(self.file, f"{self.key}.{name}" if self.key else name, node)
            at_key = replace(entry, node=key_node)
            if known is not None and name not in known:
                raise at_key.error(f"is no rule. {_meant(name, known)}")
            if name in found:
                raise at_key.error("is there twice. Put both into one.")
            found[name] = entry
        return found

    def texts(self) -> list[str]:
        """A text or a list of texts."""
        value = self.value()
        texts = [] if value is None else value if isinstance(value, list) else [value]
        for text in texts:
            if not isinstance(text, str) or not text.strip():
                raise self.error(f"holds {text!r}, which is no text. Put it in quotes or take it out.")
        return texts

    def names(self) -> frozenset[str]:
        return frozenset(fold(text.strip()) for text in self.texts())

    def allowed_names(self) -> frozenset[str]:
        """As `names`; none would forbid everything, which is more likely a slip."""
        names = self.names()
        if not names:
            raise self.error("is empty, which would remove every video. Name what is allowed, or take it out.")
        return names

    def seconds(self) -> float:
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise self.error(f"is {value!r}, not a number of seconds. Write it as 90.")
        return float(value)

    def day(self) -> date:
        value = self.value()
        if not isinstance(value, date):
            raise self.error(f"is {value!r}, not a day. Write it as 2024-03-31.")
        return value.date() if isinstance(value, datetime) else value

    def switch(self) -> bool:
        value = self.value()
        if not isinstance(value, bool):
            raise self.error(f"is {value!r}. Write true or false.")
        return value


def _conditions(sections: dict[str, Entry], seen: Seen) -> Conditions:
    """The conditions of the common part, or of one tenant."""

    def below(section: str, *known: str) -> dict[str, Entry]:
        return sections[section].entries(known) if section in sections else {}

    length, tags = below("length", "min_seconds", "max_seconds"), below("tags", "allow", "deny")
    language, published = below("language", "allow", "deny"), below("published", "from", "to", "keep_undated")
    found = Conditions(
        min_seconds=length["min_seconds"].seconds() if "min_seconds" in length else None,
        max_seconds=length["max_seconds"].seconds() if "max_seconds" in length else None,
        tags_allowed=tags["allow"].allowed_names() if "allow" in tags else frozenset(),
        tags_denied=tags["deny"].names() if "deny" in tags else frozenset(),
        languages_allowed=_languages(language["allow"].allowed_names()) if "allow" in language else frozenset(),
        languages_denied=_languages(language["deny"].names()) if "deny" in language else frozenset(),
        published_from=published["from"].day() if "from" in published else None,
        published_to=published["to"].day() if "to" in published else None,
        keep_undated=published["keep_undated"].switch() if "keep_undated" in published else False,
        profanity=_profanity(sections["profanity"], seen) if "profanity" in sections else None,
        blocked_terms=_terms(sections["blocked_terms"]) if "blocked_terms" in sections else None,
    )
    if found.min_seconds is not None and found.max_seconds is not None and found.min_seconds > found.max_seconds:
        raise length["min_seconds"].error(
            f"is {found.min_seconds:g}, above max_seconds {found.max_seconds:g}. Swap them."
        )
    if found.published_from and found.published_to and found.published_from > found.published_to:
        raise published["from"].error(f"is {found.published_from}, after to {found.published_to}. Swap them.")
    return found


def _languages(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.replace("_", "-") for name in names)


def _terms(entry: Entry) -> Terms | None:
    texts = entry.texts()
    try:
        return Terms(texts) if texts else None
    except ValueError as error:
        raise entry.error(str(error)) from None


def _profanity(entry: Entry, seen: Seen) -> Terms | None:
    """The list that comes along for true, or the user's own: a text file with a word or phrase a line, # for comments."""
    value = entry.value()
    if value is None or value is False:
        return None
    if value is not True and not isinstance(value, str):
        raise entry.error(f"is {value!r}. Write true, or the name of a text file with a word a line.")
    path = PROFANITY if value is True else entry.file.parent / Path(value).expanduser()
    try:
        lines = _text_of(path, seen).splitlines()
    except RulesError as error:
        raise entry.error(f"names a word list that cannot be used: {error}") from None
    words = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    try:
        return Terms(words)
    except ValueError as error:
        raise entry.error(f"names {path}, which {error}") from None


def _tenant(entry: Entry, name: str) -> str:
    try:
        return check_tenant(name)
    except ValueError as error:
        raise entry.error(f"names no tenant: {error}") from None


def _text_of(path: Path, seen: Seen) -> str:
    seen[path] = _state(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RulesError(f"{path} cannot be read ({reason}). Correct the file or its name.") from None


def _meant(name: str, known: Collection[str]) -> str:
    near = [ANOTHER_NAME[name]] if ANOTHER_NAME.get(name) in known else difflib.get_close_matches(name, known, 1)
    return f"Did you mean {near[0]}?" if near else f"Rules here are {', '.join(known)}."


def _state(path: Path) -> FileState:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
