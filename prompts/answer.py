"""The prompts for cited answers, one template for each kind, and the reader of their replies; the model sees no times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from prompts.draft import ChatMessage, Draft, DraftSentence
from prompts.fencing import MARK, Fence, clean_text, unmarked, visible_text
from prompts.filling import fill_template
from prompts.json_reply import is_json, read_json_sentences
from prompts.kinds import Kind
from retrievers.evidence import Evidence

# Characters. A minute of fast speech has about 1,200; six pieces of evidence stay below 8,000 tokens.
MAX_QUESTION, MAX_TITLE, MAX_SPEECH, MAX_SCREEN, MAX_DESCRIPTION = 2000, 200, 2400, 1200, 800

MAX_REPLY_CHARACTERS = 20_000
MAX_SENTENCE_CHARACTERS = 2000
NOT_FOUND = "NOT FOUND"


def answer_template(kind: Kind) -> str:
    """The name of the template that answers a kind of question; all of them take the same values."""
    return f"{kind}.jinja"


def build_answer_prompt(
    question: str,
    evidence: Sequence[Evidence],
    templates: Path | None = None,
    fence: Fence | None = None,
    kind: Kind = "explain",
) -> list[ChatMessage]:
    """The system and the user message; a folder `templates` may replace the template. Raises PromptError."""
    fence = fence or Fence()
    values = {
        "boundary": fence.boundary,
        "mark": MARK,
        "evidence": [evidence_block(item, fence) for item in evidence],
        "question": clean_text(question[:MAX_QUESTION]),
    }
    return fill_template(answer_template(kind), values, templates)


def evidence_block(evidence: Evidence, fence: Fence) -> str:
    """One piece of evidence, fenced: everything in it but its number comes from the video."""
    moment = evidence.moment
    fields = {
        "title": (evidence.video.title, MAX_TITLE),
        "speech": (moment.speech, MAX_SPEECH),
        "on screen": (moment.screen, MAX_SCREEN),
        "description": (moment.description, MAX_DESCRIPTION),
    }
    return fence.block(f"[{evidence.number}]", fields)


def read_answer_reply(reply: str) -> Draft:
    """The reply as sentences with the numbers they cite; an empty reply is a draft without sentences."""
    reader = SentenceReader()
    reader.feed(reply)
    reader.finish()
    return reader.draft()


class SentenceReader:
    """Reads a reply as it arrives. It looks at one character after the other, so its chunks change nothing.

    Sentences are asked for, and read as they end. A reply in JSON is read at its end.
    """

    def __init__(self) -> None:
        self._raw: list[str] = []
        self._pending = ""
        self._thinking = False
        self._not_found = False
        self._sentences: list[DraftSentence] = []

    def feed(self, delta: str) -> list[DraftSentence]:
        """The sentences that this piece of the reply completed."""
        room = MAX_REPLY_CHARACTERS - len(self._raw)
        return [sentence for character in delta[: max(room, 0)] for sentence in self._push(character)]

    def finish(self) -> list[DraftSentence]:
        """The sentences left when the reply is over."""
        rest, self._pending = "" if self._thinking else self._pending, ""
        return self._emit(rest)

    def draft(self) -> Draft:
        """The whole reply; call it after `finish`."""
        return Draft(tuple(self._sentences), self._not_found, "".join(self._raw))

    def _push(self, character: str) -> list[DraftSentence]:
        self._raw.append(character)
        ready = ""
        if not self._thinking and starts_sentence(self._pending, character) and not is_json(self._pending):
            ready, self._pending = self._pending, ""
        self._pending += character
        if character == ">":
            self._hide_thoughts()
        return self._emit(ready) if ready else []

    def _hide_thoughts(self) -> None:
        """Drop what a reasoning model thinks aloud; some servers send only the closing tag."""
        if self._pending.endswith("</think>"):
            self._pending, self._thinking = "", False
        elif self._pending.endswith("<think>"):
            self._pending, self._thinking = self._pending.removesuffix("<think>"), True

    def _emit(self, text: str) -> list[DraftSentence]:
        if self._not_found:
            return []
        sentences = read_json_sentences(text, read_sentences) if is_json(text) else list(read_sentences(text))
        if not self._sentences and sentences and is_not_found(sentences[0].text):
            self._not_found, sentences = True, []
        # Said after an answer, it is no sentence of the answer.
        sentences = [sentence for sentence in sentences if not is_not_found(sentence.text)]
        self._sentences += sentences
        return sentences


def is_not_found(sentence: str) -> bool:
    """Whether the sentence is the agreed reply, perhaps decorated, perhaps going on to explain."""
    words = re.sub(r"[^\w\s]", " ", sentence).split()
    agreed = NOT_FOUND.split()
    return words[:2] == agreed or [word.upper() for word in words] == agreed


OPENING, CLOSING = r"[\[［【]", r"[\]］】]"
BRACKETS = re.compile(rf"{OPENING}([^\[\]［］【】]{{1,80}}){CLOSING}")
TRAILING_BRACKETS = re.compile(rf"(?:\s*{BRACKETS.pattern})+$")
BRACKETS_JOINED = re.compile(rf"({CLOSING})\s*(?:,|;|&|and)\s*(?={OPENING})")
TIME = r"(?:t=)?\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?|t=\d+s?|\d+\s?s(?:ec(?:onds?)?)?\b"
TIME_IN_PARENTHESES = re.compile(
    rf"\(\s*(?:(?:at|from|@)\s*)?(?:{TIME})(?:\s*(?:-|–|to)\s*(?:{TIME}))?\s*\)", re.IGNORECASE
)
CITED = re.compile(r"(?:\d{1,9}|evidence|sources?|and|at|from|to|[\s,;&@^#–-])+", re.IGNORECASE)
NUMBER_OR_RANGE = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
MAX_RANGE = 20


def cited_numbers(bracketed: str) -> tuple[int, ...] | None:
    """The numbers of a citation such as `1, 3`, `2-4` or `Evidence 2`, its times left out; None for other text.

    Only square brackets cite, so `(2019)` never does.
    """
    without_times = re.sub(TIME, " ", bracketed.partition("†")[0], flags=re.IGNORECASE)
    if not CITED.fullmatch(without_times) or not re.search(r"\d", bracketed):
        return None
    numbers: list[int] = []
    for match in NUMBER_OR_RANGE.finditer(without_times):
        first, last = int(match[1]), int(match[2] or match[1])
        numbers += range(first, last + 1) if 0 <= last - first <= MAX_RANGE else (first, last)
    return tuple(numbers)


# In this order. What a renderer could fetch or run goes; the words a reader should see stay.
MARKUP: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL | re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>", " "),
        (r"(?:```|~~~)[\w+-]*", " "),
        (r"!\[[^\[\]]*\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])?", " "),
        (r"^\s{0,3}\[[^\[\]]+\]:\s*\S*(?:://|/|www\.)[^\n]*$", " "),
        # A citation made a link stays a citation.
        (r"(\[[\s\d,;–-]+\])\((?:<[^<>]*>|[^\s()]|\([^\s()]*\))*(?:\s+[\"'][^\"']*[\"'])?\)", r"\1"),
        (r"\[([^\[\]]*)\]\((?:<[^<>]*>|[^\s()]|\([^\s()]*\))*(?:\s+[\"'][^\"']*[\"'])?\)", r"\1"),
        (r"</?[a-z][\w-]*\s*/?>|<[a-z][\w-]*[\s/][^<>]*=[^<>]*>", ""),
        (r"<(?=[a-z/!?])", "< "),
        (r"\b[a-z][a-z0-9+.-]*://", ""),
        (r"(?<!\w)\*\*(?=\S)(.+?)(?<=\S)\*\*(?!\w)", r"\1"),
        (TIME_IN_PARENTHESES.pattern, " "),
        (BRACKETS_JOINED.pattern, r"\1"),
    )
)
TIDY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\(\s*(?:see|cf\.?)?\s*\)", " "),
        (r"^\s*(?:(?:[-*•+>]|\d{1,3}[.)]|#{1,6})\s+)+", ""),
        (r"\s+", " "),
        (r"\s+(?=[,.;:!?](?:\s|$))", ""),
        (r"[,;]+(?=[.!?])|[\s,;]+$|^\s+", ""),
    )
)


def read_sentences(text: str) -> Iterator[DraftSentence]:
    """The sentences of a finished piece of a reply, markup removed, each with the numbers it cites."""
    text = unmarked(visible_text(text))
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or starts_sentence(text[start:position], text[position]):
            sentence = read_sentence(text[start:position])
            start = position
            if sentence:
                yield sentence


def read_sentence(text: str) -> DraftSentence | None:
    """One sentence without its citations; None when nothing is left to read."""
    numbers: list[int] = []

    def take(match: re.Match[str]) -> str:
        cited = cited_numbers(match[1])
        numbers.extend(cited or ())
        return match[0] if cited is None else " "

    shown = BRACKETS.sub(take, text)
    for pattern, replacement in TIDY:
        shown = pattern.sub(replacement, shown)
    return DraftSentence(shown, tuple(dict.fromkeys(numbers))) if re.search(r"\w", shown) else None


TERMINATORS, CJK_TERMINATORS, CLOSERS = ".!?…。！？", "。！？", "\"'”’»)*_」』"
NO_START = CLOSERS + TERMINATORS + "(,;:，；："
# A cut inside one of these would leave half a link or tag.
UNCLOSED = re.compile(r"[\[［【][^\[\]［］【】]*$|<[a-zA-Z/!][^<>]*$|\]\([^()\s]*$")
NOT_AN_END = re.compile(
    r"(?i:(?:^|[\s(])(?:dr|mr|mrs|ms|prof|st|vs|fig|e\.g|i\.e|approx|cf))\.$"
    r"|(?:^|[\s.])[A-Z]\.$"  # initials: J. K. Smith, the U.S. Army
    r"|^\s*\d{1,3}\.$"  # the number of a list item
)


def starts_sentence(before: str, character: str) -> bool:
    """Whether the sentence `before` is complete and `character` starts the next one."""
    if len(before) >= MAX_SENTENCE_CHARACTERS:
        return True
    if not before or character.isspace() or character in "[［【":
        return False
    if not before[-1].isspace() and (before[-1] not in CJK_TERMINATORS + "]］】" or character in NO_START):
        return False
    stem = before.rstrip()
    gap = before[len(stem) :]
    if not stem or UNCLOSED.search(before):
        return False
    if gap.count("\n") > 1 or ("\n" in gap and (character in "-*•+#" or character.isdigit())):
        return True
    uncited = TRAILING_BRACKETS.sub("", stem)
    core = uncited.rstrip(CLOSERS)
    if not core.endswith(tuple(TERMINATORS)):
        return uncited != stem and "\n" in gap
    if uncited != stem or re.search(rf"{CLOSING}[{TERMINATORS}]+$", core) or "\n" in gap:
        return True
    return not character.islower() and not NOT_AN_END.search(core)
