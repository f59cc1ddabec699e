"""Resolves cited numbers into moments of videos: the quote, the second to play from, and a link that jumps there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from app.answer import Citation
from ingest.bm25 import content_stems
from ingest.media import MEDIA_SUFFIXES
from ingest.schema import Video
from prompts.draft import DraftSentence
from prompts.extractive import Span, all_spans, answer_chance
from prompts.kinds import beside
from retrievers.close_reading import read_closely
from retrievers.evidence import Evidence
from retrievers.rerank import LateInteractionReranker

QUOTE_AT_END = re.compile(r"(“[^“”]+”)\W*$")


def cite(
    question: str,
    sentences: Sequence[DraftSentence],
    evidence: Sequence[Evidence],
    similarity: LateInteractionReranker | None = None,
) -> tuple[Citation, ...]:
    """One citation for each number, in the order of the text; the quote supports the first sentence that cites it."""
    offered = {item.number: item for item in evidence}
    cited: dict[int, Citation] = {}
    for sentence in sentences:
        for number in sentence.numbers:
            if number not in cited:
                cited[number] = _citation(question, sentence.text, offered[number], similarity)
    return tuple(cited.values())


def _citation(question: str, sentence: str, evidence: Evidence, similarity: LateInteractionReranker | None) -> Citation:
    said = QUOTE_AT_END.search(sentence)  # “Title”: “quote”
    sentence = said[1] if said else sentence
    span = closest_span(sentence, evidence)
    start_seconds = evidence.moment.start_seconds
    play_seconds = (
        max(start_seconds, best_second(question, sentence, span, evidence, similarity)) if span else start_seconds
    )
    return Citation(
        number=evidence.number,
        evidence=evidence,
        quote=span.text if span else "",
        play_seconds=play_seconds,
        url=moment_url(evidence.video, play_seconds),
    )


def closest_span(sentence: str, evidence: Evidence) -> Span | None:
    """The span of the moment that shares most words with the sentence, the shortest such; None for a wordless moment."""
    words = content_stems(sentence)

    def closeness(span: Span) -> tuple[int, int]:
        held = frozenset[str]().union(*(content_stems(text) for _, text in span.pieces))  # each piece is read once
        return len(words & held), -len(span.text)

    return max(all_spans(evidence), key=closeness, default=None)


def best_second(
    question: str, sentence: str, span: Span, evidence: Evidence, similarity: LateInteractionReranker | None
) -> float:
    """Where to start playing a quote: the utterance nearest to the question or, for a sentence in other words, to it.

    The first one, where the question asks for what lies beside other words.
    """
    if beside(question):
        return span.pieces[0][0]
    asked = question if sentence.startswith("“") else sentence
    (read,) = read_closely(asked, [evidence], similarity)
    chances: dict[float, float] = {}
    for piece in read.pieces:
        chance = answer_chance(asked, piece) / len(piece.nearness)
        chances[piece.start_seconds] = max(chance, chances.get(piece.start_seconds, 0.0))
    return max((seconds for seconds, _ in span.pieces), key=lambda seconds: chances.get(seconds, 0.0))


def moment_url(video: Video, seconds: float) -> str:
    """A link that starts playing at the second: `t=` for a video page, the media fragment `#t=` for a file."""
    if video.url:
        parts = urlsplit(video.url)
        if PurePosixPath(parts.path).suffix.lower() in MEDIA_SUFFIXES:
            return urlunsplit(parts._replace(fragment=f"t={seconds:.1f}"))
        kept = [part for part in parts.query.split("&") if part and part.partition("=")[0] != "t"]
        return urlunsplit(parts._replace(query="&".join([*kept, f"t={int(seconds)}"]), fragment=""))
    if video.paths:
        return f"{Path(video.paths[0]).as_uri()}#t={seconds:.1f}"
    return f"#t={seconds:.1f}"
