"""Reads evidence word by word: what of it is near to a question, for judging whether it suffices and for quoting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.bm25 import content_words
from ingest.text_embedding import TokenVectors, Vectors
from retrievers.evidence import Evidence
from retrievers.near_words import near_words, nearest_words
from retrievers.rerank import LateInteractionReranker
from retrievers.search import spoken_and_seen, token_weights

Scores = NDArray[np.float32]

WORD = re.compile(r"\S+")
# Of a cosine, for each word in between: what answers a question stands beside its words. 0.01 to 0.03 do as well.
LOST_PER_WORD = 0.02
NO_MATCH = -1.0


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """An utterance, a screen or the description of a moment; how near (words,) each word stands to the question's, 0..1."""

    text: str
    start_seconds: float
    channel: str
    nearness: Scores


@dataclass(frozen=True, slots=True)
class ReadEvidence:
    """One piece of evidence, read for one question; everything is 0..1, and higher is nearer.

    `whole`: the mean over the question's tokens of the nearest anywhere. `together`: the same, weighed, and with a loss for
    each word in between. `spelling`: how many of the question's words it holds, as they are or nearly. `closeness`: the
    cosine of both as a whole, 0 without a text model.
    """

    evidence: Evidence
    pieces: tuple[ReadPiece, ...]
    whole: float
    together: float
    spelling: float
    closeness: float


def read_closely(
    question: str, evidence: Sequence[Evidence], similarity: LateInteractionReranker | None
) -> list[ReadEvidence]:
    """Each piece of evidence, in order. Without a text model words are compared by spelling alone."""
    words = tuple(dict.fromkeys(content_words(question)))
    read = []
    for item in evidence:
        spelling = nearest_words(words, set(content_words(spoken_and_seen(item.video, item.moment))))
        by_spelling = sum(spelling) / max(len(words), 1)
        if similarity:
            read.append(_by_meaning(question, item, similarity, by_spelling))
        else:
            read.append(_by_spelling(item, words, by_spelling))
    return read


def _by_meaning(question: str, item: Evidence, similarity: LateInteractionReranker, spelling: float) -> ReadEvidence:
    asked, vector = similarity.tokens(question), similarity.vector(question)
    weights = token_weights(question, asked.starts)
    weights = weights / weights.sum()
    pieces: list[ReadPiece] = []
    whole = np.full(len(weights), NO_MATCH, dtype=np.float32)
    closeness = 0.0
    title = f"{item.video.title}. "
    for channel, held in _held(item):
        text = title + " ".join(piece_text for piece_text, _ in held)
        tokens = similarity.tokens(text)
        whole = np.maximum(whole, (asked.vectors @ tokens.vectors.T).max(axis=1))
        closeness = max(closeness, float(vector @ similarity.vector(text)))
        starts = [match.start() for match in WORD.finditer(text, len(title))]
        grid = np.maximum(word_grid(asked.vectors, tokens, starts), 0.0)
        pieces += _pieces(held, channel, weights @ near_in_place(grid))
    together = max((float(piece.nearness.max()) for piece in pieces), default=0.0)
    return ReadEvidence(item, tuple(pieces), float(np.maximum(whole, 0.0).mean()), together, spelling, closeness)


def _by_spelling(item: Evidence, words: Sequence[str], spelling: float) -> ReadEvidence:
    pieces: list[ReadPiece] = []
    for channel, held in _held(item):
        said = [content_words(word) for text, _ in held for word in text.split()]
        near = near_words(words, {content for contents in said for content in contents})
        grid = np.zeros((max(len(words), 1), len(said)), dtype=np.float32)
        for place, contents in enumerate(said):
            for row, similarity in (pair for content in contents for pair in near.get(content, ())):
                grid[row, place] = max(grid[row, place], similarity)
        pieces += _pieces(held, channel, near_in_place(grid).mean(axis=0))
    together = max((float(piece.nearness.max()) for piece in pieces), default=0.0)
    return ReadEvidence(item, tuple(pieces), spelling, together, spelling, 0.0)


def unread_pieces(item: Evidence) -> list[ReadPiece]:
    """What a piece of evidence holds, compared with nothing: every nearness is 0."""
    return [
        ReadPiece(text, seconds, channel, np.zeros(len(text.split()), dtype=np.float32))
        for channel, held in _held(item)
        for text, seconds in held
    ]


def _held(item: Evidence) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Each channel's texts with their seconds: utterances together, every screen by itself, the description."""
    moment = item.moment
    said = [(segment.text, segment.start_seconds) for segment in moment.transcript if segment.text.strip()]
    if said:
        yield "speech", said
    for start_seconds in sorted({line.start_seconds for line in moment.screen_text}):
        lines = [line.text for line in moment.screen_text if line.start_seconds == start_seconds and line.text.strip()]
        if lines:
            yield "screen", [(" · ".join(lines), max(start_seconds, moment.start_seconds))]
    if moment.description.strip():
        yield "description", [(moment.description, moment.start_seconds)]


def _pieces(held: Sequence[tuple[str, float]], channel: str, nearness: Scores) -> Iterator[ReadPiece]:
    first = 0
    for text, seconds in held:
        last = first + len(text.split())
        yield ReadPiece(text, seconds, channel, nearness[first:last])
        first = last


def word_grid(question: Vectors, tokens: TokenVectors, starts: Sequence[int]) -> Scores:
    """The best cosine of each question token within each word (tokens, words); `starts` are where the words start."""
    grid = np.full((len(question), len(starts)), NO_MATCH, dtype=np.float32)
    word = np.searchsorted(np.array(starts), tokens.starts, side="right") - 1
    inside = np.flatnonzero(word >= 0)
    if len(inside):
        filled, first = np.unique(word[inside], return_index=True)
        grid[:, filled] = np.maximum.reduceat(question @ tokens.vectors[inside].T, first, axis=1)
    return grid


def near_in_place(grid: Scores) -> Scores:
    """For each token and word (tokens, words) the best of all words, less what the words in between cost."""
    near = grid.copy()
    step = 1
    while step < grid.shape[1] and step * LOST_PER_WORD < 1.0:  # 1, 2, 4, ... words away make any distance
        lost = step * LOST_PER_WORD
        later = np.maximum(near[:, step:], near[:, :-step] - lost)
        earlier = np.maximum(near[:, :-step], near[:, step:] - lost)
        near[:, step:] = later
        near[:, :-step] = np.maximum(near[:, :-step], earlier)
        step *= 2
    return near
