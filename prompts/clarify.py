"""One question back to somebody who remembers too little of a video: when it is due, its prompt and the reader of its reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.bm25 import content_stems, stem, stems
from prompts.answer import evidence_block, read_answer_reply
from prompts.draft import ChatMessage, DraftSentence
from prompts.extractive import quoted
from prompts.fencing import MARK, Fence, clean_text
from prompts.filling import fill_template
from prompts.kinds import kind_of, subject_of
from retrievers.evidence import Evidence
from retrievers.search import spoken_and_seen

CLARIFY_TEMPLATE = "clarify.jinja"
MOST_CANDIDATES = 3
LEAST_CANDIDATES = 2
# With more words that tell something, a search finds its way.
MOST_SPECIFIC_WORDS = 2
MAX_ASKED_BACK = 240
# Who speaks so does not know what to look for.
VAGUE = re.compile(
    r"\b(?:things?|thingy|stuff|guys?|dude|some(?:one|body|thing|where)|whatever|whatsit|forg[eo]t(?:ten)?"
    r"|(?:do not|don't|cannot|can't) (?:really )?(?:remember|recall)|some (?:kind|sort) of)\b",
    re.IGNORECASE,
)
# What those who remember little say of any video.
_GENERIC = """
video clip recording footage film talk lecture thing thingy stuff guy dude man woman lady girl boy kid person people someone somebody
something somewhere whatever whatsit forgot forget forgotten remember recall really cannot kind sort find show look search looking
called name title saw watched seen say said tell mention explain like think one summarise summarize summary recap sum main point
"""
GENERIC = frozenset(map(stem, _GENERIC.split()))


def fitting_videos(question: str, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The best moments of the two or three videos that fit a fuzzy memory equally well; none where nobody need be asked.

    A question is fuzzy when it looks for a video, in vague words, with hardly a word that tells one from another, or asks
    for a summary of it knows not what.
    """
    kind = kind_of(question)
    specific = content_stems(subject_of(question)) - GENERIC
    is_vague = bool(VAGUE.search(question.replace("’", "'"))) and len(specific) <= MOST_SPECIFIC_WORDS
    if not (kind == "recall" and is_vague) and not (kind == "summarise" and not specific):
        return ()
    best: dict[str, Evidence] = {}
    for item in evidence:
        best.setdefault(item.video.video_id, item)
    held = {item.number: len(specific & stems(spoken_and_seen(item.video, item.moment))) for item in best.values()}
    most = max(held.values(), default=0)
    fitting = [item for item in best.values() if held[item.number] == most]
    if len(fitting) < LEAST_CANDIDATES or (specific and not most):
        return ()
    return tuple(fitting[:MOST_CANDIDATES])


def plain_question(candidates: Sequence[Evidence]) -> DraftSentence:
    """The question back without a model: it names the candidates."""
    titles = [f"“{quoted(' '.join(item.video.title.split()))}”" for item in candidates]
    named = f"{', '.join(titles[:-1])} or {titles[-1]}"
    return DraftSentence(f"Which video do you mean: {named}?", tuple(item.number for item in candidates))


def build_clarify_prompt(
    question: str, candidates: Sequence[Evidence], templates: Path | None = None, fence: Fence | None = None
) -> list[ChatMessage]:
    """The messages that ask for a question back; a folder `templates` may replace the template. Raises PromptError."""
    fence = fence or Fence()
    values = {
        "boundary": fence.boundary,
        "mark": MARK,
        "candidates": [evidence_block(item, fence) for item in candidates],
        "question": clean_text(question),
    }
    return fill_template(CLARIFY_TEMPLATE, values, templates)


def read_clarify_reply(reply: str, candidates: Sequence[Evidence]) -> DraftSentence | None:
    """The question, if the reply is one short question that tells candidates apart, and nothing else."""
    sentences = read_answer_reply(reply).sentences
    if len(sentences) != 1:
        return None
    (asked,) = sentences
    offered = {item.number for item in candidates}
    is_question = asked.text.rstrip("”\"'’ ").endswith(("?", "？")) and len(asked.text) <= MAX_ASKED_BACK
    return asked if is_question and len(asked.numbers) >= LEAST_CANDIDATES and set(asked.numbers) <= offered else None
