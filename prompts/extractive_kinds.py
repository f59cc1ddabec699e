"""Quotes for the questions that ask for more than one answer: a video looked for, a summary, a comparison, a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ingest.bm25 import content_stems
from prompts.draft import Draft, DraftSentence, quoting
from prompts.extractive import MAX_SPAN_WORDS, Span, extractive_draft, moment_spans, quoted
from prompts.kinds import Kind, beside, subject_of
from retrievers.evidence import Evidence
from retrievers.rerank import LateInteractionReranker

# A video that is looked for is named beside the best one when its quote scores nearly as well.
RECALLED_PART = 0.92
MOST_RECALLED = 3
# A video that says much less about what is compared is about something else.
COMPARED_PART = 0.5
# A title card, a page number and a greeting say nothing: a quote has so many words of content that are not asked for.
LEAST_NEW_WORDS = 3
SHARED_WORDS_WEIGHT = 0.5
SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(frozen=True, slots=True)
class Quote:
    """The best quotable span of one piece of evidence, and how well it fits what was asked."""

    evidence: Evidence
    span: Span
    score: float


def kind_draft(
    kind: Kind, question: str, evidence: Sequence[Evidence], similarity: LateInteractionReranker | None
) -> Draft:
    """The draft that answers a kind of question by quoting; every sentence cites the evidence that it stands in."""
    side = beside(question)
    if side:
        return _beside_draft(side, evidence)
    if kind in ("explain", "quote"):
        return extractive_draft(question, evidence, similarity)
    quotes = best_quotes(subject_of(question), evidence, similarity)
    best = max((quote.score for quote in quotes), default=0.0)
    if kind == "recall":
        near = [quote for quote in of_each_video(quotes) if quote.score >= RECALLED_PART * best]
        chosen = sorted(near, key=lambda quote: -quote.score)[:MOST_RECALLED]
    elif kind == "compare":
        chosen = [quote for quote in of_each_video(quotes) if quote.score >= COMPARED_PART * best]
    else:
        chosen = quotes
    one_video = len({quote.evidence.video.video_id for quote in quotes}) == 1
    sentences = tuple(_sentence(quote, titled=kind == "recall" or not one_video) for quote in _each_once(chosen))
    return quoting(sentences)


def best_quotes(subject: str, evidence: Sequence[Evidence], similarity: LateInteractionReranker | None) -> list[Quote]:
    """The best quote of each piece of evidence that has words, in the order of the evidence."""
    asked = content_stems(subject)
    spans = [
        (item, span)
        for item in evidence
        for span in _whole(item)
        if len(content_stems(span.text) - asked - content_stems(item.video.title)) >= LEAST_NEW_WORDS
    ]
    near = similarity.score(subject, [span.text for _, span in spans]) if similarity else [0.0] * len(spans)
    best: dict[int, Quote] = {}
    for (item, span), value in zip(spans, near, strict=True):
        score = value + SHARED_WORDS_WEIGHT * len(asked & content_stems(span.text)) / max(len(asked), 1)
        if item.number not in best or score > best[item.number].score:
            best[item.number] = Quote(item, span, score)
    return list(best.values())


def of_each_video(quotes: Sequence[Quote]) -> list[Quote]:
    """The best quote of each video, in the order in which the videos come."""
    best: dict[str, Quote] = {}
    for quote in quotes:
        known = best.get(quote.evidence.video.video_id)
        if known is None or quote.score > known.score:
            best[quote.evidence.video.video_id] = quote
    return list(best.values())


def _beside_draft(side: Literal["before", "after"], evidence: Sequence[Evidence]) -> Draft:
    """The words of the best moment that adjoin what was named: its first ones after it, its last ones before it."""
    said = [segment.text for segment in evidence[0].moment.transcript] if evidence else []
    words = " ".join(said).split()
    if side == "after" and words:
        spans = moment_spans(evidence[0])
        words = spans[0].text.split() if spans else words[:MAX_SPAN_WORDS]
    text = " ".join(words[-MAX_SPAN_WORDS:])
    sentences = (DraftSentence(f"“{quoted(text)}”", (evidence[0].number,)),) if text else ()
    return quoting(sentences)


def _whole(evidence: Evidence) -> list[Span]:
    """The spans that begin with a sentence, where the text has sentences; else all."""
    spans = moment_spans(evidence)
    said = evidence.moment.transcript
    if not any(segment.text.rstrip().endswith(SENTENCE_ENDS) for segment in said):
        return spans
    inside = {
        segment.start_seconds
        for before, segment in zip(said, said[1:], strict=False)
        if not before.text.rstrip().endswith(SENTENCE_ENDS)
    }
    return [span for span in spans if span.pieces[0][0] not in inside] or spans


def _each_once(quotes: Sequence[Quote]) -> list[Quote]:
    """The quotes without those whose words another one already has: moments may overlap."""
    kept: list[Quote] = []
    for quote in quotes:
        if not any(quote.span.text in other.span.text or other.span.text in quote.span.text for other in kept):
            kept.append(quote)
    return kept


def _sentence(quote: Quote, *, titled: bool) -> DraftSentence:
    said = f"“{quoted(quote.span.text)}”"
    title = quoted(" ".join(quote.evidence.video.title.split()))
    return DraftSentence(f"“{title}”: {said}" if titled else said, (quote.evidence.number,))
