"""Reads a reply in JSON, which some models write whatever they were asked: whole, in a code block, or cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from prompts.draft import DraftSentence

# Perhaps after a few words such as "Here is the answer:" and the fence of a code block.
JSON_START = re.compile(
    r"\s*(?:[^\n{}\[\]\"]{0,80}:\s*)?(?:(?:```|~~~)\s*(?:json\w*)?\s*)?(?=\{\s*[\"}]|\[\s*[{\"])", re.IGNORECASE
)
TEXT_KEYS = ("text", "sentence", "answer", "claim", "statement", "content", "response", "reply")
NUMBER_KEYS = ("numbers", "citations", "citation", "evidence", "sources", "source", "cites", "cited", "references")
# In an object of its own; beside a text it may as well count the sentences.
INNER_KEYS = (*NUMBER_KEYS, "number", "id", "ids")
MAX_DEPTH = 6
INNERMOST = re.compile(r"\{[^{}]*\}")
TEXT_CUT_OFF = re.compile(rf'"(?:{"|".join(TEXT_KEYS)})"\s*:\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE)

ReadSentences = Callable[[str], Iterator[DraftSentence]]


def is_json(reply: str) -> bool:
    """Whether a reply, or what there is of it, begins like an object or a list of JSON."""
    return JSON_START.match(reply) is not None


def read_json_sentences(reply: str, read: ReadSentences) -> list[DraftSentence]:
    """The sentences of a JSON reply; `read` finds those of a text. What was cut off is left out; nothing for nonsense."""
    start = JSON_START.match(reply)
    if start is None:
        return []
    body = reply[start.end() :]
    try:
        value, _ = json.JSONDecoder().raw_decode(body)
    except (ValueError, RecursionError):
        return _read_what_is_whole(body, read)
    return list(_sentences(value, read))


def _read_what_is_whole(body: str, read: ReadSentences) -> list[DraftSentence]:
    """Of a broken or cut reply the objects that are whole, else the sentences of its text but the last, which is not."""
    sentences: list[DraftSentence] = []
    for match in INNERMOST.finditer(body):
        try:
            sentences += _sentences(json.loads(match[0]), read)
        except ValueError:
            continue
    if sentences:
        return sentences
    text = TEXT_CUT_OFF.search(body)
    if text is None:
        return []
    try:
        found = list(read(json.loads(f'"{text[1]}"', strict=False)))
    except ValueError:
        return []
    return found if body[text.end() :].startswith('"') else found[:-1]


def _sentences(value: Any, read: ReadSentences, depth: int = 0) -> Iterator[DraftSentence]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from read(value)
    elif isinstance(value, list):
        for item in value:
            yield from _sentences(item, read, depth + 1)
    elif isinstance(value, dict):
        fields = {str(key).lower(): item for key, item in value.items()}
        text = next((fields[key] for key in TEXT_KEYS if isinstance(fields.get(key), str)), None)
        if text is None:
            yield from _sentences([item for item in fields.values() if isinstance(item, list | dict)], read, depth + 1)
            return
        cited = tuple(dict.fromkeys(number for key in NUMBER_KEYS for number in _numbers(fields.get(key))))
        for sentence in read(text):
            yield DraftSentence(sentence.text, sentence.numbers or cited)


def _numbers(value: Any) -> Iterator[int]:
    """The numbers in a field that cites, however it writes them: 2, "2", "[2]", {"number": 2}."""
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        yield from (number for key in INNER_KEYS for number in _numbers(value.get(key)))
    elif isinstance(value, str):
        yield from (int(found) for found in re.findall(r"(?<![\d:.])\d{1,9}(?![\d:.])", value))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
