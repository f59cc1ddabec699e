"""Resolves cited numbers into moments of videos: the quote, the second to play from, and a link that jumps there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.answer import Citation
from ingest.bm25 import bm25_document
from ingest.media import MEDIA_SUFFIXES
from ingest.schema import Video
from prompts.draft import DraftSentence
from prompts.extractive import Span, moment_spans
from retrievers.evidence import Evidence


def cite(sentences: Sequence[DraftSentence], evidence: Sequence[Evidence]) -> tuple[Citation, ...]:
    """One citation for each number, in the order of the text; the quote supports the first sentence that cites it."""
    offered = {item.number: item for item in evidence}
    cited: dict[int, Citation] = {}
    for sentence in sentences:
        for number in sentence.numbers:
            if number not in cited:
                cited[number] = _citation(sentence.text, offered[number])
    return tuple(cited.values())


def _citation(sentence: str, evidence: Evidence) -> Citation:
    span = closest_span(sentence, evidence)
    play_seconds = span.start_seconds if span else evidence.moment.start_seconds
    return Citation(
        number=evidence.number,
        evidence=evidence,
        quote=span.text if span else "",
        play_seconds=play_seconds,
        url=moment_url(evidence.video, play_seconds),
    )


def closest_span(sentence: str, evidence: Evidence) -> Span | None:
    """The span of the moment that shares most words with the sentence, the shortest such; None for a wordless moment."""
    said = bm25_document(sentence)
    words = set(said.indices) if said else set()

    def closeness(span: Span) -> tuple[int, int]:
        held = bm25_document(span.text)
        return len(words & set(held.indices)) if held else 0, -len(span.text)

    return max(moment_spans(evidence), key=closeness, default=None)


def moment_url(video: Video, seconds: float) -> str:
    """A link that starts playing at the second: `t=` for a video page, the media fragment `#t=` for a file."""
    if video.url:
        parts = urlsplit(video.url)
        if PurePosixPath(parts.path).suffix.lower() in MEDIA_SUFFIXES:
            return urlunsplit(parts._replace(fragment=f"t={seconds:.1f}"))
        query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "t"]
        return urlunsplit(parts._replace(query=urlencode([*query, ("t", str(int(seconds)))])))
    if video.paths:
        return f"{Path(video.paths[0]).as_uri()}#t={seconds:.1f}"
    return f"#t={seconds:.1f}"
