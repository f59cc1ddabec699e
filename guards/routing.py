"""Routes a question before anything is searched: answer, quote only, refuse, or offer support; no chat model is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import yaml

from guards.disguises import readings
from guards.topic_classifier import HARMFUL, TopicClassifier, TopicScores
from guards.verdict import Route, RouteVerdict

POLICY = Path(__file__).parent / "policy.yaml"
# `...` in a rule: up to about eight words of the same sentence.
GAP = r"\b[^.!?;]{0,60}?\b"
MAX_NESTED_WORDS = 5
NO_TOPIC = RouteVerdict("answer", "none", "no policy topic matches the question")
# Scores of the classifier, -1 to 1, chosen on the questions of evaluation/bench_safety.py.
RESTRICT_HARM = 0.2
REFUSE_HARM = 0.5
RESTRICT_ADVICE = 0.0
CLEARLY_HARMLESS = -0.5
SENTENCE_MARGIN = 0.3  # a sentence out of its context must score that much more than a whole question
MAX_SENTENCES = 3
MIN_SENTENCE_WORDS = 4


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the policy: the verdict for what matches a rule and none of the exceptions.

    `when_quoting` is the route of a question for what a video says about it; with `certain`, no score overrules a rule.
    """

    verdict: RouteVerdict
    rules: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    when_quoting: Route
    certain: bool

    def claims(self, question: str) -> bool:
        """Whether the question belongs to this topic."""
        return any(rule.search(question) for rule in self.rules) and not self.excuses(question)

    def excuses(self, question: str) -> bool:
        """Whether the question speaks of a game, a rescue or another exception of this topic."""
        return any(exception.search(question) for exception in self.unless)


@dataclass(frozen=True, slots=True)
class Policy:
    """The topics in their order, what tells that a question is for what a video says, and the message of a doubt."""

    topics: tuple[Topic, ...]
    quoting: tuple[re.Pattern[str], ...] = ()
    doubt: str = ""
    named: dict[str, Topic] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", {topic.verdict.topic: topic for topic in self.topics})


class Router:
    """Routes questions by the policy's rules and, where the text model allows it, by their likeness to labelled prompts.

    A rule that matches decides, unless the classifier finds the question clearly harmless; without a match the classifier
    alone decides, and refuses only what it is sure of. Errs towards quoting: an answer is made of the videos alone.
    """

    def __init__(self, policy: Path = POLICY, classifier: TopicClassifier | None = None) -> None:
        self._policy = read_policy(policy)
        self._classifier = classifier

    def route(self, question: str) -> RouteVerdict:
        """The verdict on a question; a millisecond by rules, a few more with the classifier."""
        read = readings(question)
        claimed = next((topic for text in read for topic in self._policy.topics if topic.claims(text)), None)
        if claimed and (claimed.certain or not self._classifier):
            return self._quoted(claimed, read[0])
        scores = self._scores(read[-1])
        if claimed:
            harmless = claimed.verdict.route == "refused" and scores and scores.harm < CLEARLY_HARMLESS
            return NO_TOPIC if harmless else self._quoted(claimed, read[0])
        return self._by_score(scores, read[0]) if scores else NO_TOPIC

    def _quoted(self, topic: Topic, question: str) -> RouteVerdict:
        if topic.when_quoting == topic.verdict.route or not self._asks_for_a_quote(question):
            return topic.verdict
        return replace(topic.verdict, route=topic.when_quoting, message=self._policy.doubt)

    def _asks_for_a_quote(self, question: str) -> bool:
        return any(pattern.search(question) for pattern in self._policy.quoting)

    def _scores(self, question: str) -> TopicScores | None:
        """Those of the question, or of the sentence in it that asks most surely for harm."""
        if not self._classifier:
            return None
        sentences = [s for s in re.split(r"(?<=[.!?;])\s+", question) if len(s.split()) >= MIN_SENTENCE_WORDS]
        parts = sentences[:MAX_SENTENCES] if len(sentences) > 1 else []
        whole, *alone = self._classifier.scores([question, *parts])
        return max([whole, *(replace(s, harm=s.harm - SENTENCE_MARGIN) for s in alone)], key=lambda scores: scores.harm)

    def _by_score(self, scores: TopicScores, question: str) -> RouteVerdict:
        advice = scores.nearest([topic for topic in scores.topics if topic not in HARMFUL])
        if scores.harm < RESTRICT_HARM:
            if scores.topics[advice] < RESTRICT_ADVICE or self._asks_for_a_quote(question):
                return NO_TOPIC
            return _likened(self._policy.named[advice].verdict)
        likened = self._policy.named[scores.nearest(HARMFUL)]
        excused = likened.excuses(question)
        if excused and scores.harm < REFUSE_HARM:
            return NO_TOPIC
        verdict = _likened(likened.verdict)
        if verdict.route == "support" and not self._asks_for_a_quote(question):
            return verdict  # help that was not needed does no harm
        if excused or scores.harm < REFUSE_HARM or self._asks_for_a_quote(question):
            return replace(verdict, route="restricted", message=self._policy.doubt)
        return verdict


def _likened(verdict: RouteVerdict) -> RouteVerdict:
    return replace(verdict, reason=f"by its likeness to known questions, {verdict.reason}")


def read_policy(path: Path) -> Policy:
    """The policy of a file; raises ValueError for a route or a word that does not exist, or a broken rule."""
    policy = yaml.safe_load(path.read_text("utf-8"))
    words = {name: "".join(line.strip() for line in text.splitlines()) for name, text in policy["words"].items()}
    topics = tuple(_topic(entry, words) for entry in policy["topics"])
    quoting = tuple(_pattern(rule, words) for rule in policy.get("quoting", ()))
    return Policy(topics, quoting, policy.get("doubt", ""))


def _topic(entry: dict[str, Any], words: dict[str, str]) -> Topic:
    route, when_quoting = entry["route"], entry.get("when_quoting", entry["route"])
    for named in (route, when_quoting):
        if named not in get_args(Route):
            raise ValueError(f"topic {entry['topic']!r} has route {named!r}, known are {', '.join(get_args(Route))}")
    verdict = RouteVerdict(route, entry["topic"], entry["reason"], entry["message"])
    rules, unless = (tuple(_pattern(rule, words) for rule in entry.get(key, ())) for key in ("rules", "unless"))
    return Topic(verdict, rules, unless, when_quoting, entry.get("certain", False))


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
