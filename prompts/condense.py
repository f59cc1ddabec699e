"""The prompt that makes a follow-up understandable on its own, and the strict reader of its reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.bm25 import content_stems, stems
from prompts.answer import is_not_found, read_answer_reply
from prompts.draft import ChatMessage
from prompts.fencing import MARK, Fence, clean_text
from prompts.filling import fill_template
from prompts.followup import TURNS_READ, Turn

CONDENSE_TEMPLATE = "condense.jinja"
MAX_ASKED, MAX_ANSWERED, MAX_TITLES = 500, 1200, 400
MAX_CONDENSED = 400
# Words that are neither in the question nor in the conversation: another form of one, or a word like "capital".
MOST_NEW_WORDS = 2
LEAST_ASKED_PART = 0.5


def build_condense_prompt(
    question: str, turns: Sequence[Turn], templates: Path | None = None, fence: Fence | None = None
) -> list[ChatMessage]:
    """The messages that ask for one question; a folder `templates` may replace the template. Raises PromptError."""
    fence = fence or Fence()
    blocks = [
        fence.block(
            f"TURN {number}",
            {
                "asked": (turn.meant, MAX_ASKED),
                "answered": (turn.answer, MAX_ANSWERED),
                "videos": ("; ".join(dict.fromkeys(moment.title for moment in turn.cited)), MAX_TITLES),
            },
        )
        for number, turn in enumerate(turns[-TURNS_READ:], start=1)
    ]
    values = {"boundary": fence.boundary, "mark": MARK, "turns": blocks, "question": clean_text(question)}
    return fill_template(CONDENSE_TEMPLATE, values, templates)


def read_condense_reply(reply: str, question: str, turns: Sequence[Turn]) -> str | None:
    """The question, if the reply is one plain line made of words from the question and the conversation; else None."""
    draft = read_answer_reply(reply)
    if draft.not_found or len(draft.sentences) != 1 or is_not_found(reply):
        return None
    (sentence,) = draft.sentences
    condensed = clean_text(sentence.text).strip("\"“”„«»' ")
    if sentence.numbers or len(condensed) > MAX_CONDENSED or re.search(r"://|\d:\d\d|[\[\]{}<>]", condensed):
        return None
    said = [question, *(text for t in turns for text in (t.meant, t.answer, *(moment.title for moment in t.cited)))]
    known = set().union(*map(stems, said))
    told, asked = content_stems(condensed), content_stems(question)
    # An answer quotes videos: what it says may be added to what was asked, and never take its place.
    is_asked = len(asked & told) >= LEAST_ASKED_PART * len(asked)
    return condensed if told and is_asked and len(told - known) <= MOST_NEW_WORDS else None
