"""Reads operators, filters and exclusions in words, and only where a query speaks of videos and not of the world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ingest.bm25 import STOP_WORDS, tokenize
from ingest.schema import Video
from retrievers.time_words import VIDEO_NOUN

MAX_EXCLUDED_WORDS = 6  # a longer "without ..." is a sentence, not a topic
MAX_NAME_WORDS = 12
PLACE_NOUN = r"(?:moments?|parts?|scenes?|bits?|sections?|segments?|passages?|places?|points?|spots?|shots?)"
ANY_NOUN = rf"(?:{VIDEO_NOUN}|{PLACE_NOUN})"
DONE = (
    "(?:mentioned|said|shown|seen|heard|discussed|talked about|spoken (?:of|about)|named|displayed|explained|introduced"
    "|described|visible|on (?:the )?screen)"
)
IS = "(?:is|are|gets?)"
DO = "(?:mentions?|says?|shows?|discuss(?:es)?|explains?|describes?|names?|(?:talks?|speaks?|tells?) (?:about|of))"
WHO = (
    "(?:they|he|she|it|anyone|anybody|somebody|someone|people"
    "|(?:the|a|this|these|any) (?:speaker|narrator|lecturer|presenter|host|video|film|talk|lecture|recording|clip)s?)"
)
_OPENERS = """
who what when where why how which whose whom is are was were am do does did can could will would shall should may might must
has have had name if
"""
OPENERS = frozenset(_OPENERS.split())
ASKS = re.compile(r"\b(?:who|what|when|where|why|how|which|whose|whom)\b", re.IGNORECASE)

# The request around a topic: "find the moments about", "in which videos do they talk about".
FRAME = re.compile(
    r"^(?:please )?(?:(?:find|show|give|list|get|search(?: for)?|play) )?(?:me )?(?:(?:all|any|the|some|every|those|only) )*"
    rf"(?:(?:every|any|some)thing|{VIDEO_NOUN}|(?:moment|part|scene|section|segment|passage)s?) "
    rf"(?:(?:that|which|where|when|in which) (?:{WHO} )?(?:{DO}|are about|is about)|about|mentioning|showing|discussing|where) ",
    re.IGNORECASE,
)
ASKED_FRAME = re.compile(
    rf"^(?:in )?(?:which|what) {ANY_NOUN} (?:(?:is|are) about|{DO}|do(?:es)? {WHO} {DO})\b"
    rf"|^(?:where|when) (?:{IS} .+? {DONE}|do(?:es)? {WHO} {DO})\b"
    rf"|^what {IS} {DONE}\b|^what do(?:es)? {WHO} (?:say|tell|mention|show|explain)\b",
    re.IGNORECASE,
)
SPEAKS_OF_VIDEOS = re.compile(
    rf"\b(?:is|are|was|were|be) (?:\w+ ){{0,2}}?{DONE}|\bon (?:the )?screen\b|\bhappens\b|\bappears?\b|\b{WHO} {DO}\b"
    rf"|\bdo(?:es)? {WHO} {DO}\b|\b(?:this|the) {VIDEO_NOUN}\b",
    re.IGNORECASE,
)


def is_bare(text: str) -> bool:
    """Whether a text is a list of words or a request, and no sentence that asks."""
    first = tokenize(text)[:1]
    return not text.rstrip().endswith("?") and not ASKS.search(text) and not (first and first[0] in OPENERS)


def has_content(text: str) -> bool:
    """Whether a text has a word worth searching for."""
    return any(token not in STOP_WORDS for token in tokenize(text))


# --- Operators


@dataclass(frozen=True, slots=True)
class OperatorWords:
    """An operator found in words: its name, A, and B of the operators that take two."""

    operator: str
    first: str
    second: str | None = None


_IN_VIDEOS = rf"\s+(?:in|of) (?:(?:the|this|that|these|each|every|all|any|my|our) )*(?:{VIDEO_NOUN}|library)"
# What a pattern's words in braces stand for; {a} and {b} are the topics.
_PARTS = {
    "a": "(?P<a>.+?)",
    "b": "(?P<b>.+?)",
    "first": "(?P<op>first|last)",
    "before": "(?P<op>before|after)",
    "is": IS,
    "done": DONE,
    "do": DO,
    "who": WHO,
    "place": PLACE_NOUN,
    "right": "(?:right|just|immediately|directly|shortly)",
    "where": "(?:(?:when|where|find|show(?: me)?|play)(?: is|'s)? )?",
    "that": "(?:(?:that|when|where|in which) )?",
    "the word": "(?:the (?:word|phrase|name|term) )?",
    "what happens": f"what (?:{IS} {DONE}|happens|comes|do(?:es)? {WHO} (?:say|show|do))",
    "in videos": f"(?:{_IN_VIDEOS})?",
    "in the video": _IN_VIDEOS,
    "no adverb": "".join(
        rf"(?<!\b{word})" for word in ("back", "since", "until", "by", "even", "more", "other", "now")
    ),
}
# An operator's name, or nothing where the words name it.
_SENTENCES = (
    ("", "where {is} {a} {first} {done}{in videos}"),
    ("", "when {is} {a} {first} {done}{in the video}"),
    ("", "{where}the (?:very )?{first} (?:time|{place}) {that}{a} (?:{is} {done}|appears?|comes? up){in videos}"),
    ("", "{where}the (?:very )?{first} (?:time|{place}) {that}{who} {do} {a}{in videos}"),
    ("", "{where}the (?:very )?{first} (?:mention|appearance|occurrence) of {a}{in videos}"),
    ("count", "how (?:many times|often) {is} {the word}{a} {done}{in videos}"),
    ("count", "how (?:many times|often) do(?:es)? {the word}{a} (?:appear|come up|get {done}){in videos}"),
    ("count", "how (?:many times|often) do(?:es)? {who} {do} {a}{in videos}"),
    (
        "",
        "(?:{what happens} )?(?:{right} )?{before} (?:the )?{place} (?:about|where|with|on|when|in which) {a}"
        "(?: {is} {done})?{in videos}",
    ),
    ("", "{what happens} {right} {before} {who} {do} {a}{in videos}"),
    ("", "{what happens} {right} {before} {a} (?:{is} {done}|appears?|comes? up){in videos}"),
    ("", "what {is} {done} {right} {before} {a}{in videos}"),
    (
        "then",
        "(?:find )?where (?:{is} )?{a} (?:{is} )?{done},? (?:and )?(?:right )?(?:then|followed by|afterwards) {b}"
        "(?: (?:{is} )?{done})?{in videos}",
    ),
    ("while", "(?:find )?where (?:{is} )?{a} (?:{is} )?{done} while {b} {is} {done}{in videos}"),
)
# In a bare list of words.
_LISTS = (
    ("", "the {first} time {that}{a}{in videos}"),
    ("", "{first} time {that}{a} {is} {done}{in videos}"),
    ("", "{first} (?:mention|appearance|occurrence) of {a}{in videos}"),
    ("count", "(?:number of times|how often) {a} {is} {done}{in videos}"),
    ("", "{right} {before} {a}"),
    ("then", "{a}{no adverb}(?:,? and then|,? then|,? followed by) {b}"),
    ("while", "{a}(?: {is} {done})? while {b} {is} {done}{in videos}"),
)
# In what is left of a list when the request around it is taken away.
_FRAMED = (("while", "{a} (?:while|during) {b}"),)
_END = r"\s*[.?!]*$"


def _compile(patterns: Iterable[tuple[str, str]]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((operator, re.compile(f"^{_filled(pattern)}{_END}", re.IGNORECASE)) for operator, pattern in patterns)


def _filled(pattern: str) -> str:
    return re.sub(r"\{([a-z ]+)\}", lambda match: _PARTS[match[1]], pattern)


_SENTENCE_OPERATORS, _LIST_OPERATORS, _FRAMED_OPERATORS = map(_compile, (_SENTENCES, _LISTS, _FRAMED))
_MAYBE_OPERATOR = re.compile(
    r"\b(?:first|last|times|often|before|after|then|followed|while|during|afterwards)\b", re.IGNORECASE
)


def find_operator(text: str, inner: str | None, *, bare: bool) -> OperatorWords | None:
    """The time operator that a text spells out; `inner` is the text without the request around it, if there is one."""
    if not _MAYBE_OPERATOR.search(text):
        return None
    lists = [(inner or text, pattern) for pattern in _LIST_OPERATORS] if bare else []
    framed = [(inner, pattern) for pattern in _FRAMED_OPERATORS] if bare and inner else []
    for searched, (operator, pattern) in [*((text, pattern) for pattern in _SENTENCE_OPERATORS), *lists, *framed]:
        match = pattern.match(searched)
        if match:
            groups = match.groupdict()
            return OperatorWords(operator or groups["op"].lower(), groups["a"], groups.get("b"))
    return None


# --- Filters


@dataclass(frozen=True, slots=True)
class FilterWords:
    """What the words limit a search to: (key, value) labels and video titles; `text` is the rest."""

    text: str
    labels: tuple[tuple[str, str], ...] = ()
    titles: tuple[str, ...] = ()


LANGUAGES = {
    "arabic": "ar", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs", "danish": "da", "dutch": "nl",
    "english": "en", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu",
    "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no", "persian": "fa", "polish": "pl",
    "portuguese": "pt", "romanian": "ro", "russian": "ru", "serbian": "sr", "slovak": "sk", "spanish": "es", "swedish": "sv", "thai": "th",
    "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_LANGUAGE = "|".join(LANGUAGES)
_VIDEOS = r"(?:videos?|clips?|recordings?|talks?|lectures?)"
_BEGIN = (
    r"(?:\b(?:in|from|among) (?:(?:the|all|any|my|our) )*|^(?:(?:find|show|list|give)(?: me)? )?(?:(?:all|any|the) )*)"
)
_MADE = r"(?:(?:made|published|recorded|uploaded|posted|released|that are|which are) )?(?:from|in|of)(?: the year)?"
YEAR = re.compile(
    rf"{_BEGIN}{_VIDEOS} {_MADE} (?P<year>(?:19|20)\d\d|(?:last|this) year)\b"
    rf"|{_BEGIN}(?P<year2>(?:19|20)\d\d) {_VIDEOS}\b",
    re.IGNORECASE,
)
LANGUAGE = re.compile(
    rf"{_BEGIN}(?P<one>{_LANGUAGE})(?:[- ](?:language|speaking))? {_VIDEOS}\b|{_BEGIN}{_VIDEOS} in (?P<two>{_LANGUAGE})\b",
    re.IGNORECASE,
)
TAGGED = re.compile(rf"(?:{_BEGIN}(?:{_VIDEOS} )?|\b)(?:tagged(?: as| with)?|with the tag) (?P<name>.+)", re.IGNORECASE)
CALLED = re.compile(
    rf"\b(?:in|from) the {_VIDEOS} (?:called|titled|entitled|named|about|on) (?P<name>.+)", re.IGNORECASE
)
_MAYBE_FILTER = re.compile(rf"\b{_VIDEOS}\b|\btag(?:ged)?\b", re.IGNORECASE)


def take_filters(text: str, library: Callable[[], Sequence[Video]], today: date) -> FilterWords:
    """The filters that a text names. A tag or title counts only if the library has it, so those ask for its videos."""
    if not _MAYBE_FILTER.search(text):
        return FilterWords(text)
    labels: list[tuple[str, str]] = []
    titles: list[str] = []
    if match := YEAR.search(text):
        named = (match["year"] or match["year2"]).lower()
        year = {"last year": today.year - 1, "this year": today.year}.get(named)
        labels.append(("year", str(year) if year else named))
        text = _without(text, match.start(), match.end())
    if match := LANGUAGE.search(text):
        labels.append(("language", LANGUAGES[(match["one"] or match["two"]).lower()]))
        text = _without(text, match.start(), match.end())
    if (match := TAGGED.search(text)) and (
        found := _longest(match["name"], {tag for v in library() for tag in v.tags})
    ):
        labels.append(("tag", found[0]))
        text = _without(text, match.start(), match.start("name") + found[1])
    if (match := CALLED.search(text)) and (found := _longest(match["name"], {video.title for video in library()})):
        titles.append(found[0])
        text = _without(text, match.start(), match.start("name") + found[1])
    return FilterWords(text, tuple(labels), tuple(titles))


def _longest(text: str, names: Iterable[str]) -> tuple[str, int] | None:
    """The longest known name that a text begins with, and the characters it takes there."""
    known = {tuple(tokenize(name)): name for name in names}
    ends = [match.end() for match in re.finditer(r"\S*\w[)\]]?", text)][:MAX_NAME_WORDS]
    for end in reversed(ends):
        name = known.get(tuple(tokenize(text[:end])))
        if name is not None:
            return name, end
    return None


def _without(text: str, start: int, end: int) -> str:
    """The text without a part; an "about" that then begins it goes too."""
    after = text[end:].lstrip(" ,:")
    rest = f"{text[:start].rstrip(' ,')}{'' if after[:1] in set('.?!;') else ' '}{after}".strip()
    return re.sub(r"^(?:about|on|that (?:talk|speak) about|mentioning) ", "", rest, flags=re.IGNORECASE)


# --- Exclusions


@dataclass(frozen=True, slots=True)
class ExclusionWords:
    """What a request leaves out, and the rest of it. `lacking`: "bread without yeast" may be a topic of its own."""

    text: str
    topics: tuple[str, ...] = ()
    lacking: bool = False


_NOT_ABOUT = (
    r"(?:but |and )?(?:not|never) (?:about|mentioning|including|showing|on|with)\b",
    r"(?:but )?without (?:(?:any )?mention(?:ing)?(?: of)?|talking about|discussing|showing|saying)\b",
    r"but (?:not|without|no|never)(?: about)?\b",
    r"(?:except|excluding|other than|apart from)(?: for)?(?: about)?\b",
    r"(?P<lacking>without)\b",
)
_EXCLUSION = re.compile(rf",?\s*\b(?:{'|'.join(_NOT_ABOUT)})\s+(?P<topics>[^;:]+?){_END}", re.IGNORECASE)
_EITHER = re.compile(r"\s*(?:,|\bor\b|\bnor\b)\s*", re.IGNORECASE)


def take_exclusion(text: str) -> ExclusionWords:
    """What a request leaves out at its end, as in "but not about bread or cake"; the text alone where no rest is left."""
    match = _EXCLUSION.search(text)
    if not match or not has_content(text[: match.start()]):
        return ExclusionWords(text)
    topics = tuple(topic for part in _EITHER.split(match["topics"]) if (topic := part.strip()))
    if any(len(tokenize(topic)) > MAX_EXCLUDED_WORDS or not has_content(topic) for topic in topics):
        return ExclusionWords(text)
    return ExclusionWords(text[: match.start()].strip(), topics, lacking=bool(match["lacking"]))


_PADDING = re.compile(
    rf"^(?:{WHO} {DO} )?(?:the (?:word|phrase|name|term) )?(?P<topic>.+?)(?:,? (?:{IS} )?{DONE})?{_END}", re.IGNORECASE
)


def topic_of(text: str) -> str:
    """A topic without "is mentioned" behind it or "they talk about" before it."""
    match = _PADDING.match(text)
    return match["topic"].strip() if match and has_content(match["topic"]) else text


def take_frame(text: str) -> str | None:
    """What a request asks for, without the words of asking; None where it is no such request."""
    match = FRAME.match(text)
    rest = text[match.end() :] if match else ""
    return rest if has_content(rest) else None
