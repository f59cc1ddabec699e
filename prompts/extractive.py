"""The draft when no model is configured: the spans of the evidence that answer, quoted word for word and cited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.bm25 import bm25_document, bm25_query
from prompts.draft import Draft, DraftSentence
from retrievers.evidence import Evidence
from retrievers.rerank import Reranker

READ_EVIDENCE = 3
# Of 250 questions of spoken_library the best span of the first evidence holds the answer for 0.54 at 40 words, 0.44 at 28.
MAX_SPAN_WORDS = 40
# A second span is quoted when it scores nearly as well, so that a second video, which may disagree, is heard too.
SECOND_SPAN_PART = 0.92
SHARED_WORDS_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """A run of neighbouring utterances, or of lines on the screen, of one moment."""

    number: int
    video_id: str
    start_seconds: float
    text: str


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
    sentences = tuple(DraftSentence(f"“{span.text}”", (span.number,)) for span in chosen)
    return Draft(sentences=sentences, not_found=False, raw=" ".join(sentence.text for sentence in sentences))


def rank_spans(question: str, evidence: Sequence[Evidence], similarity: Reranker | None) -> list[tuple[float, Span]]:
    """Every span of the evidence with its score, best first: token similarity plus the question's words it holds."""
    spans = [span for item in evidence for span in moment_spans(item)]
    asked = bm25_query(question)
    words = set(asked.indices) if asked else set()
    near = similarity.score(question, [span.text for span in spans]) if similarity else [0.0] * len(spans)
    scored = [
        (value + SHARED_WORDS_WEIGHT * _shared_part(words, span.text), span)
        for value, span in zip(near, spans, strict=True)
    ]
    return sorted(scored, key=lambda pair: -pair[0])


def moment_spans(evidence: Evidence) -> Iterator[Span]:
    """The quotable spans of a moment: from each utterance on as many words as fit, and the lines of each screen."""
    moment = evidence.moment
    for first, utterance in enumerate(moment.transcript):
        words: list[str] = []
        for segment in moment.transcript[first:]:
            more = segment.text.split()
            if words and len(words) + len(more) > MAX_SPAN_WORDS:
                break
            words += more
        yield Span(evidence.number, moment.video_id, utterance.start_seconds, " ".join(words[:MAX_SPAN_WORDS]))
    for start_seconds in sorted({span.start_seconds for span in moment.screen_text}):
        lines = [span.text for span in moment.screen_text if span.start_seconds == start_seconds]
        text = " ".join(" · ".join(lines).split()[:MAX_SPAN_WORDS])
        yield Span(evidence.number, moment.video_id, max(start_seconds, moment.start_seconds), text)


def _shared_part(words: set[int], text: str) -> float:
    held = bm25_document(text)
    return len(words & set(held.indices)) / len(words) if held and words else 0.0
