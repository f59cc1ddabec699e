"""The citation check: a draft keeps only what cites offered evidence; made-up numbers are dropped and counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from guards.verdict import Verdict
from prompts.draft import Draft, DraftSentence

TIMECODE = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b|\b\d+ seconds into\b")


Problem = Callable[[str, Sequence[int], Mapping[int, str]], str]
"""What is wrong with a sentence that cites some of the offered texts; empty when it is supported."""


class CitationCheck(NamedTuple):
    """What is left of a draft, how many numbers were dropped as never offered, and whether it may be shown."""

    sentences: tuple[DraftSentence, ...]
    dropped_numbers: int
    verdict: Verdict


def no_problem(claim: str, numbers: Sequence[int], offered: Mapping[int, str]) -> str:
    """Takes every cited sentence as supported, such as a question back, which claims nothing."""
    return ""


def check_sentence(
    sentence: DraftSentence, offered: Mapping[int, str], problem: Problem = no_problem
) -> DraftSentence | None:
    """The sentence with only the offered numbers; None when none is left, so that uncited text is never shown.

    `offered` are the texts of the evidence by number. A timecode that no cited text holds is the model's own: None too, as
    for what is not supported.
    """
    numbers = tuple(number for number in sentence.numbers if number in offered)
    cited = " ".join(offered[number] for number in numbers)
    invented = [time for time in TIMECODE.findall(sentence.text) if time not in cited]
    if not numbers or invented or problem(sentence.text, numbers, offered):
        return None
    return DraftSentence(sentence.text, numbers)


def check_citations(draft: Draft, offered: Mapping[int, str], problem: Problem = no_problem) -> CitationCheck:
    """The checked sentences of a whole draft; a draft of which nothing is left abstains."""
    checked = (check_sentence(sentence, offered, problem) for sentence in draft.sentences)
    kept = tuple(sentence for sentence in checked if sentence)
    forged = sum(number not in offered for sentence in draft.sentences for number in sentence.numbers)
    cited = [s for s in draft.sentences if any(number in offered for number in s.numbers)]
    return CitationCheck(kept, forged, _verdict(draft, kept, forged, len(cited) - len(kept)))


def _verdict(draft: Draft, kept: tuple[DraftSentence, ...], dropped: int, unsupported: int) -> Verdict:
    if kept:
        forged = f"; {dropped} citations of evidence that was not offered were dropped" if dropped else ""
        said = f"; {unsupported} that say more than what they cite were left out" if unsupported else ""
        return Verdict(
            True, f"{len(kept)} of {len(draft.sentences)} sentences are supported by what they cite{forged}{said}"
        )
    if unsupported:
        return Verdict(False, f"what the model wrote ({unsupported} sentences) is not supported by what it cites")
    if draft.not_found:
        return Verdict(False, "the model found no answer in the evidence")
    if not draft.sentences:
        return Verdict(False, "the model sent an empty reply")
    cited = f"; it cited {dropped} that were not offered" if dropped else ""
    return Verdict(False, f"the model's reply cites no evidence that was offered{cited}")
