"""The prompt for describing one picture and the reader of its reply, which ends up as plain text without times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from prompts.answer import CLOSERS, TERMINATORS, read_answer_reply
from prompts.draft import ChatMessage
from prompts.fencing import MARK, Fence, clean_text
from prompts.filling import fill_template

# Characters. Ten seconds of fast speech have about 200.
MAX_SAID = 600
MAX_DESCRIPTION = 400
MAX_REPLY = 8000


def build_describe_prompt(said: str, templates: Path | None = None, fence: Fence | None = None) -> list[ChatMessage]:
    """The messages that go with a picture; a folder `templates` may replace `describe.jinja`. Raises PromptError.

    `said` is what is spoken around the picture, empty where nothing is.
    """
    fence = fence or Fence()
    speech = fence.block("SPEECH", {"said": (said, MAX_SAID)})
    return fill_template("describe.jinja", {"boundary": fence.boundary, "mark": MARK, "speech": speech}, templates)


def read_description(reply: str) -> str:
    """The description as one plain line of at most MAX_DESCRIPTION characters; empty when the model declined.

    Markup, links and thoughts are removed; so is every place in the video, and a sentence that cannot do without it.
    """
    lines = "\n".join(clean_text(line) for line in reply[:MAX_REPLY].splitlines())
    draft = read_answer_reply(LINK.sub("", lines))
    sentences = [_plain(sentence.text) for sentence in draft.sentences]
    sentences = [sentence for sentence in sentences if re.search(r"\w", sentence)]
    if not sentences or REFUSAL.match(sentences[0]):
        return ""
    return _shortened(list(_kept(sentences)))


# Each begins at the start of a run of characters only, or many dots and dashes would take seconds.
LINK = re.compile(
    r"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*)?://[^\s)\]<>\"']*|www\.[^\s)\]<>\"']*"
    r"|(?<![\w.-])[\w.-]+\.[a-z]{2,}/[^\s)\]<>\"']*",
    re.I,
)
# What the reader of answers leaves: tags, tables, emphasis and code marks.
TAG_OR_BAR = re.compile(r"<[^<>]*>|\|")
EMPHASIS = re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)")
PREFACE = re.compile(
    r"^(?:(?:sure|certainly|of course|absolutely)[!,.]+\s*)?(?:here(?:['’]s| is)\b[^:]{0,60}:\s*)?"
    r"(?:(?:description|caption)\s*:\s*)?",
    re.I,
)
# A description never speaks of the model, nor to its user.
REFUSAL = re.compile(
    r"i (?:apologi[sz]e|can['’]?t|cannot|can not|couldn['’]?t|could not|won['’]?t|will not|do not|don['’]t)\b"
    r"|(?:i['’]m |i am )(?:sorry|unable|not able|afraid|an ai)\b|sorry[,.!;]|sorry but\b|as an? (?:ai|language model)\b"
    r"|unfortunately\b|(?:there is )?no (?:image|picture)\b|please (?:provide|upload|share|attach|send|try)\b",
    re.I,
)

UNITS = r"(?:seconds?|secs?|minutes?|mins?|hours?)"
VIDEO = r"(?:video|clip|film|movie|recording|footage)"
CLOCK = r"\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d+)?"
# A place in the video. A clock or a score that the picture shows looks the same, and goes too.
PLACE = (
    rf"(?:(?:the\s)?(?:frame|second|minute|time\s?stamp|time\s?code)\s(?:{CLOCK}|#?\d+\b)|{CLOCK}|\bt=\d+s?"
    rf"|(?:the\s)?\w+[\s-]{UNITS}\smark|(?:the\s)?(?:first|last|next|opening|final)\s\w+\s{UNITS}"
    rf"|\w+\s{UNITS}\s(?:into\b|in(?=,|\sthe\s{VIDEO})|(?:after|from|before)\sthe\s(?:start|beginning|end))"
    rf"|(?<=\bat\s)\d+(?:[.,]\d+)?\s?(?:s|{UNITS})\b)(?:\s(?:of|into)?\s?(?:the|this)\s{VIDEO})?"
)
SPAN = rf"{PLACE}(?:\s?(?:-|–|—|to|until|and)\s?{PLACE})?"
AT = r"(?:at|in|from|between|around|about|by|during|within|@)\s(?:about\s|around\s)?"
PLACE_FOUND = re.compile(rf"{CLOCK}|\b{PLACE}", re.I)
PLACE_BEFORE = re.compile(rf"^(?:{AT}{SPAN}[\s,:;–—-]+|{SPAN}\s?[,:;–—-]+\s?|{CLOCK}\s)", re.I)
PLACE_AFTER = re.compile(rf"[\s,;–—-]+{AT}{SPAN}(?=[.!?]?$)", re.I)


def _plain(sentence: str) -> str:
    return " ".join(PREFACE.sub("", EMPHASIS.sub("", TAG_OR_BAR.sub(" ", sentence)).strip()).split())


def _kept(sentences: Sequence[str]) -> Iterator[str]:
    """The sentences about the picture, without places in the video; one that still holds a place or a link goes."""
    for sentence in sentences:
        stated = PLACE_AFTER.sub("", PLACE_BEFORE.sub("", sentence))
        is_plain = not PLACE_FOUND.search(stated) and not LINK.search(stated) and not REFUSAL.match(stated)
        if is_plain and re.search(r"\w", stated):
            yield stated[0].upper() + stated[1:] + ("" if stated.endswith(tuple(TERMINATORS + CLOSERS)) else ".")


def _shortened(sentences: Sequence[str]) -> str:
    """As many whole sentences as fit; of a first one that is too long, its beginning."""
    text = ""
    for sentence in sentences:
        longer = f"{text} {sentence}".strip()
        if len(longer) > MAX_DESCRIPTION:
            break
        text = longer
    if text or not sentences:
        return text
    cut = sentences[0][: MAX_DESCRIPTION - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"
