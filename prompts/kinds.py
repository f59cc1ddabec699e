"""Tells from the wording of a question what kind of answer it asks for; what is not plainly another kind is explained."""

from __future__ import annotations

import re
from typing import Literal, get_args

from retrievers.time_words import VIDEO_NOUN

Kind = Literal["recall", "explain", "quote", "summarise", "compare", "timeline"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What a pattern's words in braces stand for.
_PARTS = {
    "please": "(?:(?:please|(?:can|could|would) you|i want you to|i(?: would|'d) like you to) )*",
    "give": "(?:(?:give|show|write|make|tell|find|get|list)(?: me| us)? )",
    "a": "(?:(?:a|an|the|some|any|all|short|brief|quick|longer|detailed|full|direct|literal|exact) )*",
    "video": "(?:videos?|clips?|recordings?|footage)",
    "film": rf"(?:{VIDEO_NOUN}|episodes?)(?! shows?\b)",
    # "In which films did he play?" asks about the world; a film that mentions, explains or shows something does not.
    "tells": "(?:mentions?|says?|shows?|discuss(?:es)?|explains?|describes?|covers?|contains?|deals? with|where|in which"
    "|(?:talks?|speaks?|tells?) (?:about|of)|(?:(?:is|are|was|were) )?about)",
    "that": r"(?:that|which|with|called|{tells})\b",
    "of mine": "(?:(?:one )?of (?:the|my|our|these|those) )?",
    "few words": r"(?:\w+ ){0,2}?",
    # "Which video game", "what video format": words of the world that begin with video.
    "no compound": "(?! (?:games?|cards?|formats?|codecs?|cameras?|players?|editors?|tapes?|signals?|calls?|files?|quality"
    r"|art\w*|conferenc\w*|stream\w*|standards?|compression|devices?|services?|rental|stores?|chips?|memory|labels?"
    "|companies|industry|studios?))",
    "quote": "[“\"„«']",
}
# In this order: the first that matches names the kind.
_RULES: tuple[tuple[Kind, str], ...] = (
    ("timeline", r"^{please}{give}?{a}(?:timeline|chronology)\b|^what is the (?:timeline|chronology) of\b"),
    ("timeline", r"\bin (?:chronological order|(?:the )?order of time)\b"),
    ("compare", r"^{please}(?:compare|contrast)\b|^{please}{give}{a}comparison\b"),
    ("compare", r"\b{film} .*\b(?:differ|compare|agree|disagree|contradict|have in common)\b"),
    ("compare", r"\b(?:differences?|contradictions?) between the (?:two |three )?{film}\b"),
    ("summarise", r"^{please}(?:summari[sz]e|sum up|recap|tl;?dr)\b"),
    ("summarise", r"^{please}{give}?{a}(?:summary|overview|recap|gist|synopsis) (?:of|for)\b"),
    ("summarise", r"^what(?: is|'s| are) (?:the |this |that |these )?(?:{film}\b.{0,200}?|{quote}.{1,200}) about\W*$"),
    ("summarise", r"^what are the (?:main|key|most important) (?:points|ideas|topics|messages) (?:of|in) {few words}{film}\b"),
    ("recall", r"^(?:in )?(?:which|what) {of mine}{video}\b{no compound}"),
    ("recall", r"^(?:in )?(?:which|what) {of mine}{film} (?:do(?:es)? \w+ )?{tells}\b"),
    ("recall", r"^{please}(?:(?:find|show|look for|search for)(?: me)?|where(?: is|'s)) {a}{few words}{video} {that}"),
    ("recall", r"^(?:what|which) (?:was|is) (?:the|that) {few words}{video} {that}|^what's (?:the|that) {few words}{video} {that}"),
    ("recall", r"^(?:(?:is|are|was|were) there|do (?:i|we|you) have) {a}{few words}{video} {that}"),
    ("recall", r"^(?:the|that|this|a|some) {few words}{video} {that}"),
    ("recall", r"^i(?:'m| am)? (?:remember|recall|looking for|once saw|saw|watched|have seen) {few words}{video}\b"),
    ("recall", r"\b(?:name|title) of (?:the|that) {few words}{video} {that}"),
    ("quote", r"^{please}quote\b|^{please}{give}{a}(?:quotes?|quotations?|words)\b"),
    ("quote", r"\b(?:word for word|verbatim|(?:the|his|her|their|its) exact words)\W*$"),
    ("quote", r"\bwhat exactly (?:does|did|do) .{1,80}? say\b|\bwhat (?:does|did|do) .{1,80}? say exactly\b"),
)  # fmt: skip


def _filled(pattern: str) -> str:
    """The pattern with every part, and the parts within parts, in place."""
    filled = re.sub(r"\{([a-z ]+)\}", lambda match: _PARTS[match[1]], pattern)
    return filled if filled == pattern else _filled(filled)


_COMPILED = tuple((kind, re.compile(_filled(pattern), re.IGNORECASE)) for kind, pattern in _RULES)


def kind_of(question: str) -> Kind:
    """What kind of answer a question asks for."""
    plain = " ".join(question.replace("’", "'").split())
    return next((kind for kind, pattern in _COMPILED if pattern.search(plain)), "explain")


# The time operators of a query that ask for the words beside others.
_BESIDE = re.compile(r"^\s*(before|after):\s", re.IGNORECASE)


def beside(question: str) -> Literal["before", "after"] | None:
    """The side of what it names whose words a question asks for: `after: "great wall"`."""
    found = _BESIDE.match(question)
    return None if not found else "before" if found[1].lower() == "before" else "after"


# The words that ask, which name nothing that a video could be about.
_REQUEST = re.compile(
    _filled(
        r"^{please}(?:{give}?{a}(?:timeline|chronology|summary|overview|recap|gist|synopsis|comparison|quotes?)|summari[sz]e"
        r"|sum up|recap|tl;?dr|compare|contrast|quote)\b\W*(?:(?:of|for|about|on) )?"
        r"(?:what (?:{a}{film} |is |was )?(?:says?|tells?|shows?|said|told|shown) (?:about|on|of) )?"
        r"|^what(?: is|'s| are) (?:{film} )?(?=.* about\W*$)|(?<=[\w”\"“»]) about(?=\W*$)"
        r"|^(?:in )?(?:which|what) {of mine}{film} (?:do(?:es)? \w+ )?(?:{tells} )?"
        r"|^(?:i (?:remember|recall) |{please}(?:(?:find|show|look for|search for)(?: me)?|where(?: is|'s)) )?"
        r"{a}(?:that |this )?{few words}{video} (?:{that} )"
        r"|,? in (?:chronological order|(?:the )?order of time)"
    ),
    re.IGNORECASE,
)


_VIDEO_ABOUT = re.compile(_filled("^{a}(?:this |that |these )?{film} (?:about|on) "), re.IGNORECASE)


def subject_of(question: str) -> str:
    """What a question is about: it without the words that ask for a video, a summary, a comparison or a timeline.

    The question itself where nothing would be left, and where it asks for none of these.
    """
    if kind_of(question) == "explain":
        return question
    plain = " ".join(question.replace("’", "'").split())
    subject = _VIDEO_ABOUT.sub("", _REQUEST.sub("", plain).strip())
    return subject if re.search(r"\w", subject) else question
