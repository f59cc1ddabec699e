"""Understands a follow-up by rules: what it leaves unsaid is taken from the questions before it and the moments they cited.

Words of a video never become part of a question that a model is asked: a title or a quote could be an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.bm25 import STOP_WORDS, content_stems, stem, stems, tokenize
from prompts.kinds import beside, kind_of
from retrievers.time_words import VIDEO_NOUN

TURNS_READ = 4
MOST_TOPIC_WORDS = 8
# Of a quote, so many words at its edge are looked up again to find what comes before or after it.
EDGE_WORDS = 8


@dataclass(frozen=True, slots=True)
class CitedMoment:
    """A moment that an answer cited: its video, its seconds, and the words quoted from it."""

    video_id: str
    title: str
    start_seconds: float
    end_seconds: float
    quote: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_seconds <= self.end_seconds:
            raise ValueError(f"a moment needs 0 <= start <= end, got {self.start_seconds}..{self.end_seconds}")


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question with its answer; `asked_as` is what a follow-up was understood as.

    `asked_back`: the answer was a question, and what it cites are the videos to choose from.
    """

    question: str
    answer: str = ""
    cited: tuple[CitedMoment, ...] = ()
    asked_as: str | None = None
    asked_back: bool = False

    @property
    def meant(self) -> str:
        """The question as it stands on its own."""
        return self.asked_as or self.question


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a follow-up asks, on its own; with `cited`, about the video of that moment only."""

    question: str
    cited: CitedMoment | None = None


# What a pattern's words in braces stand for.
_PARTS = {
    "and": "(?:(?:and|so|ok|okay|but) )?",
    "that": "(?:that|this|it|there|those words|the quote)",
    "right": "(?: (?:right|just|immediately))?",
    "happens": "(?:comes?|came|happens?|happened|follows?|is said|was said)",
    "he says": "(?:does|did|do) (?:he|she|they|it|the (?:speaker|narrator|lecturer|presenter|video)) say",
}
_SIDES = {
    "after": "{and}(?:what (?:{happens}|{he says}){right} (?:next|then|after(?:wards?| {that})?)|what follows(?: {that})?"
    "|what (?:next|then)|then(?: what)?|next|go on|continue|(?:right|just|immediately) after(?: {that})?)",
    "before": "{and}(?:what (?:{happens}|{he says}){right} before(?: {that})?|(?:right|just|immediately) before(?: {that})?"
    "|go back)",
}
_BESIDE = {
    side: re.compile(rf"^{re.sub(r'{([a-z ]+)}', lambda match: _PARTS[match[1]], pattern)}\W*$", re.IGNORECASE)
    for side, pattern in _SIDES.items()
}
_ORDINALS = {"first": 0, "second": 1, "third": 2, "last": -1, "latter": -1, "former": 0, "1st": 0, "2nd": 1, "3rd": 2}
_NTH = "|".join(_ORDINALS)
_ORDINAL = re.compile(rf"\b(?:the )?({_NTH}) (?:one|{VIDEO_NOUN})\b|^\W*(?:the )?({_NTH})\W*$", re.IGNORECASE)
_THAT_VIDEO = re.compile(rf"\b(?:that|this|the same) (?:same )?{VIDEO_NOUN}\b", re.IGNORECASE)
_IN_THAT_VIDEO = re.compile(rf",? ?\b(?:in|from) {_THAT_VIDEO.pattern},?", re.IGNORECASE)
_CONNECTIVE = re.compile(r"^(?:and|but|so|also|then|ok|okay|or)\b,? ", re.IGNORECASE)
_WHAT_ABOUT = re.compile(r"^(?:what|how) about\b", re.IGNORECASE)
_IS = "(?:did|does|do|was|were|is|are|had|has|have|will|would|could|can|should|might)"
_SUBJECT = re.compile(rf"^(?:\w+ )?{_IS} (?:he|she|they|it)\b|^(?:he|she|they|it)\b", re.IGNORECASE)
# "Why is it important to ...", "what does it mean when ...": it stands for nothing said before.
_EMPTY_IT = re.compile(r"\bit\b(?: \w+){0,4} (?:to|that|when|if|for|where)\b", re.IGNORECASE)
_OTHERS = re.compile(r"\b(?:its|him|her|them|his|their)\b", re.IGNORECASE)
_AT_THE_END = re.compile(r"\b(?:it|he|she|they|him|her|them|that|this|those|these|there|one|ones)\b\W*$", re.IGNORECASE)
_MIDDLE_NAME = re.compile(r"(?<=\w )[A-Z]")
_ASKING_WORDS = "video clip recording talk lecture film say tell mention show explain speak"
_ASKING = frozenset(map(stem, _ASKING_WORDS.split()))


def follow_up(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """What a question after these turns (the oldest first) asks; None where it stands on its own."""
    if not turns:
        return None
    plain = " ".join(question.replace("’", "'").split())
    last = turns[-1]
    if last.asked_back:
        return _chosen(plain, last)
    recent = turns[-TURNS_READ:][::-1]
    cited = next((turn.cited for turn in recent if turn.cited), ())
    # What was asked for by its place beside other words has no topic of its own.
    topic = next((turn for turn in recent if not beside(turn.meant)), last)
    side = next((side for side, pattern in _BESIDE.items() if pattern.search(plain)), None)
    if side and cited and (words := _edge(cited, side)):
        return FollowUp(f'{side}: "{words}"', cited[0] if side == "before" else cited[-1])
    if cited and _THAT_VIDEO.search(plain):
        rest = " ".join(_IN_THAT_VIDEO.sub(" ", plain).split()).strip(" ,")
        kept = rest if kind_of(plain) == "explain" and _content(rest) else plain
        return FollowUp(_completed(kept, topic), cited[0])
    several = next((turn.cited for turn in recent if len({one.video_id for one in turn.cited}) > 1), cited)
    if several and (match := _ORDINAL.search(plain)) and (one := _nth(several, match[1] or match[2])):
        return FollowUp(_completed(plain, topic), one)
    return FollowUp(_completed(plain, topic)) if _leaves_unsaid(plain) else None


def _chosen(plain: str, last: Turn) -> FollowUp:
    """What somebody meant who was asked which video: the one they name, else both things they said."""
    match = _ORDINAL.search(plain)
    one = _nth(last.cited, match[1] or match[2]) if match else None
    if one is None:
        said = _content(plain)
        held = {moment: len(said & _content(moment.title)) for moment in last.cited}
        best = max(held.values(), default=0)
        fitting = [moment for moment, count in held.items() if count == best]
        one = fitting[0] if best and len(fitting) == 1 else None
    if one:
        return FollowUp("What is this video about?", one)
    return FollowUp(f"{last.meant.rstrip(' ?.!')}, {plain}")


def _nth(cited: Sequence[CitedMoment], ordinal: str) -> CitedMoment | None:
    place = _ORDINALS[ordinal.lower()]
    return cited[place] if place < len(cited) else None


def _edge(cited: Sequence[CitedMoment], side: str) -> str:
    """The words of a quote that what is asked for adjoins: the last ones of the last quote, or the first of the first."""
    quote = (cited[0] if side == "before" else cited[-1]).quote
    words = [word for word in quote.replace('"', " ").split() if tokenize(word)]
    return " ".join(words[:EDGE_WORDS] if side == "before" else words[-EDGE_WORDS:])


def _leaves_unsaid(plain: str) -> bool:
    """Whether a question speaks of something that it does not name; in doubt it stands on its own."""
    if _CONNECTIVE.search(plain) or _WHAT_ABOUT.search(plain) or not _content(plain):
        return True
    if _SUBJECT.search(plain) and not _EMPTY_IT.search(plain):
        return True
    if _AT_THE_END.search(plain) and len(_content(plain)) <= 2:
        return True
    other = _OTHERS.search(plain)
    return bool(other) and not _content(plain[: other.start()] if other else "") and not _MIDDLE_NAME.search(plain)


def _completed(plain: str, last: Turn) -> str:
    """The question with the words of the last one that it lacks, in brackets at its end, if it leaves any unsaid."""
    if not _leaves_unsaid(plain):
        return plain
    said = stems(plain) | _ASKING
    words = [word for word in re.findall(r"[\w'’-]+", last.meant) if tokenize(word)]
    topic: list[str] = []
    for word in words:
        own = stems(word)
        if not own & said and not own <= STOP_STEMS:
            topic.append(word)
            said |= own
    asked = _CONNECTIVE.sub("", plain)
    core = asked[:1].upper() + asked[1:].rstrip(" ?.!")
    return f"{core} ({' '.join(topic[:MOST_TOPIC_WORDS])})?" if topic else plain


STOP_STEMS = frozenset(map(stem, STOP_WORDS))


def _content(text: str) -> frozenset[str]:
    return content_stems(text) - _ASKING
