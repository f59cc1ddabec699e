"""The citation check: a draft keeps only what cites offered evidence; made-up numbers are dropped and counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from guards.verdict import Verdict
from prompts.draft import Draft, DraftSentence

TIMECODE = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b|\b\d+ seconds into\b")


class CitationCheck(NamedTuple):
    """What is left of a draft, how many numbers were dropped as never offered, and whether it may be shown."""

    sentences: tuple[DraftSentence, ...]
    dropped_numbers: int
    verdict: Verdict


def check_sentence(sentence: DraftSentence, offered: Mapping[int, str]) -> DraftSentence | None:
    """The sentence with only the offered numbers; None when none is left, so that uncited text is never shown.

    `offered` are the texts of the evidence by number. A timecode that no cited text holds is the model's own: None too.
    """
    numbers = tuple(number for number in sentence.numbers if number in offered)
    cited = " ".join(offered[number] for number in numbers)
    invented = [time for time in TIMECODE.findall(sentence.text) if time not in cited]
    return DraftSentence(sentence.text, numbers) if numbers and not invented else None


def check_citations(draft: Draft, offered: Mapping[int, str]) -> CitationCheck:
    """The checked sentences of a whole draft; a draft of which nothing is left abstains."""
    checked = (check_sentence(sentence, offered) for sentence in draft.sentences)
    kept = tuple(sentence for sentence in checked if sentence)
    dropped = sum(number not in offered for sentence in draft.sentences for number in sentence.numbers)
    return CitationCheck(kept, dropped, _verdict(draft, kept, dropped))


def _verdict(draft: Draft, kept: tuple[DraftSentence, ...], dropped: int) -> Verdict:
    if kept:
        forged = f"; {dropped} citations of evidence that was not offered were dropped" if dropped else ""
        return Verdict(True, f"{len(kept)} of {len(draft.sentences)} sentences cite evidence{forged}")
    if draft.not_found:
        return Verdict(False, "the model found no answer in the evidence")
    if not draft.sentences:
        return Verdict(False, "the model sent an empty reply")
    cited = f"; it cited {dropped} that were not offered" if dropped else ""
    return Verdict(False, f"the model's reply cites no evidence that was offered{cited}")
