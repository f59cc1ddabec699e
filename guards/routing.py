"""Routes a question before anything is searched: answer, quote only, refuse, or offer support; rules only, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml

from guards.verdict import Route, RouteVerdict
from prompts.fencing import clean_text

POLICY = Path(__file__).parent / "policy.yaml"
# `...` in a rule: up to about eight words of the same sentence.
GAP = r"\b[^.!?;]{0,60}?\b"
MAX_NESTED_WORDS = 5
NO_TOPIC = RouteVerdict("answer", "none", "no policy topic matches the question")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the policy: the verdict for what matches a rule and none of the exceptions."""

    verdict: RouteVerdict
    rules: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]

    def claims(self, question: str) -> bool:
        """Whether the question belongs to this topic."""
        matched = any(rule.search(question) for rule in self.rules)
        return matched and not any(exception.search(question) for exception in self.unless)


class Router:
    """Routes questions by the policy's rules. Errs towards answering: the answer is made of the videos alone."""

    def __init__(self, policy: Path = POLICY) -> None:
        self._topics = read_policy(policy)

    def route(self, question: str) -> RouteVerdict:
        """The verdict of the first topic that claims the question; about a millisecond."""
        plain = clean_text(question).translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
        return next((topic.verdict for topic in self._topics if topic.claims(plain)), NO_TOPIC)


def read_policy(path: Path) -> tuple[Topic, ...]:
    """The topics in their order; raises ValueError for a route or a word that does not exist, or a broken rule."""
    policy = yaml.safe_load(path.read_text("utf-8"))
    words = {name: "".join(line.strip() for line in text.splitlines()) for name, text in policy["words"].items()}
    return tuple(_topic(entry, words) for entry in policy["topics"])


def _topic(entry: dict[str, Any], words: dict[str, str]) -> Topic:
    if entry["route"] not in get_args(Route):
        raise ValueError(
            f"topic {entry['topic']!r} has route {entry['route']!r}, known are {', '.join(get_args(Route))}"
        )
    verdict = RouteVerdict(entry["route"], entry["topic"], entry["reason"], entry["message"])
    rules, unless = (tuple(_pattern(rule, words) for rule in entry.get(key, ())) for key in ("rules", "unless"))
    return Topic(verdict, rules, unless)


def _pattern(rule: str, words: dict[str, str]) -> re.Pattern[str]:
    def word(match: re.Match[str]) -> str:
        if match[1] not in words:
            raise ValueError(f"the rule {rule!r} uses {match[0]}, which is not among the policy's words")
        return words[match[1]]

    pattern = rule.replace(" ... ", GAP)
    for _ in range(MAX_NESTED_WORDS):
        pattern = re.sub(r"\{([a-z]+)\}", word, pattern)
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the rule {rule!r} is no regular expression: {error}") from None
