"""The draft when no model is configured: the spans of the evidence that answer, quoted word for word and cited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ingest.bm25 import bm25_query
from prompts.draft import Draft, DraftSentence
from retrievers.evidence import Evidence
from retrievers.rerank import Reranker

READ_EVIDENCE = 3
# On spoken_library the best span holds the answer for 0.67 of 150 questions; at 28 words it is a fifth less often.
MAX_SPAN_WORDS = 40
# A second span is quoted when it scores nearly as well, so that a second video, which may disagree, is heard too.
SECOND_SPAN_PART = 0.92
SHARED_WORDS_WEIGHT = 0.5
RANK_PENALTY = 0.03
NUMBER_IN_BRACKETS = re.compile(
    r"[\[［【]\s*(\d[\d\s,;-]*)[\]］】]"
)  # said in a video, it must not look like a citation


@dataclass(frozen=True, slots=True)
class Span:
    """A run of neighbouring utterances, or the lines of one screen, of one moment: pieces of (start in seconds, text)."""

    number: int
    video_id: str
    pieces: tuple[tuple[float, str], ...]

    @property
    def text(self) -> str:
        """The pieces as one line."""
        return " ".join(text for _, text in self.pieces)


def extractive_draft(question: str, evidence: Sequence[Evidence], similarity: Reranker | None) -> Draft:
    """One or two quotes, every one citing the evidence that it stands in."""
    ranked = rank_spans(question, evidence[:READ_EVIDENCE], similarity)
    if not ranked:
        return Draft(sentences=(), not_found=True, raw="")
    best_score, best = ranked[0]
    chosen = [best]
    for score, span in ranked:
        if span.video_id != best.video_id and score >= SECOND_SPAN_PART * best_score:
            chosen.append(span)
            break
    sentences = tuple(DraftSentence(f"“{quoted(span.text)}”", (span.number,)) for span in chosen)
    return Draft(sentences=sentences, not_found=False, raw=" ".join(sentence.text for sentence in sentences))


def quoted(text: str) -> str:
    """The text with numbers in brackets put in parentheses: said in a video, they must not look like citations."""
    return NUMBER_IN_BRACKETS.sub(r"(\1)", text)


def rank_spans(question: str, evidence: Sequence[Evidence], similarity: Reranker | None) -> list[tuple[float, Span]]:
    """The spans that say something new, best first: token similarity, the question's words held, the evidence's rank."""
    asked = content_words(question)
    spans = [
        span
        for item in evidence
        for span in moment_spans(item)
        if content_words(span.text)
        - asked
        - content_words(item.video.title)  # a title card repeats the question and answers nothing
    ]
    near = similarity.score(question, [span.text for span in spans]) if similarity else [0.0] * len(spans)
    scored = [
        (value + SHARED_WORDS_WEIGHT * _shared_part(asked, span.text) - RANK_PENALTY * span.number, span)
        for value, span in zip(near, spans, strict=True)
    ]
    return sorted(scored, key=lambda pair: -pair[0])


def moment_spans(evidence: Evidence) -> Iterator[Span]:
    """The quotable spans of a moment: from each utterance on as many as fit, and the lines of each screen."""
    moment = evidence.moment
    said = [(segment.start_seconds, segment.text) for segment in moment.transcript]
    for first in range(len(said)):
        pieces = _fitting(said[first:])
        if pieces:
            yield Span(evidence.number, moment.video_id, pieces)
    for start_seconds in sorted({span.start_seconds for span in moment.screen_text}):
        lines = [span.text for span in moment.screen_text if span.start_seconds == start_seconds]
        shown = (max(start_seconds, moment.start_seconds), " · ".join(lines))
        lines_shown = _fitting([shown])
        if lines_shown:
            yield Span(evidence.number, moment.video_id, lines_shown)


def _fitting(pieces: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """As many pieces as stay below the limit of words, without questions at the end; of a longer piece, its beginning."""
    start_seconds, first = pieces[0]
    words = first.split()[:MAX_SPAN_WORDS]
    chosen, count = [(start_seconds, " ".join(words))], len(words)
    for piece in pieces[1:]:
        count += len(piece[1].split())
        if count > MAX_SPAN_WORDS:
            break
        chosen.append(piece)
    while chosen and chosen[-1][1].endswith("?"):  # a question answers nothing; what follows it is another span's
        chosen.pop()
    return tuple(chosen)


def _shared_part(asked: Set[int], text: str) -> float:
    return len(asked & content_words(text)) / len(asked) if asked else 0.0


def content_words(text: str) -> Set[int]:
    """The content words of a text, as the index counts them."""
    found = bm25_query(text)
    return set(found.indices) if found else set()
