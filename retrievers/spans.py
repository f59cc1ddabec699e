"""Finds the spans of at most 60 s that match a question best: its words against all words near each other, by late interaction.

Late interaction takes for each word of the question the most similar word (ColBERT, Khattab and Zaharia 2020). Here it
looks through windows of four lengths at every fourth second, so that a span may begin anywhere, not only where a stored
moment does, and words that stand together count more than the same words spread over a minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.schema import MAX_MOMENT_SECONDS, Moment
from ingest.text_embedding import Vectors
from retrievers.moment_tokens import TimedTokens

Scores = NDArray[np.float32]

BIN_SECONDS = 4.0
SPAN_BINS = int(MAX_MOMENT_SECONDS // BIN_SECONDS)
WINDOW_BINS = (2, 4, 7, SPAN_BINS)  # 8, 16, 28 and 60 s
EDGE_BINS = 2  # what matches lies this far inside its span, unless the recording ends
FUSED_WEIGHT = 0.02  # of a standard deviation of the fused score, against a mean cosine
SAME_MOMENT = 0.65  # a span that a moment covers in this part has its fused score
NO_MATCH = -1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment that fusion found, its fused score in standard deviations, and its tokens."""

    moment: Moment
    fused: float
    tokens: TimedTokens


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, how well it matches (higher is better), and which candidates it is made of."""

    video_id: str
    start_seconds: float
    end_seconds: float
    score: float
    candidates: tuple[int, ...]


def best_spans(question: Vectors, weights: Scores, candidates: Sequence[Candidate]) -> list[Span]:
    """Every span that the candidates cover, best first.

    `question` holds its tokens as unit rows (tokens, dimension), `weights` (tokens,) what each counts.
    """
    if not candidates:
        return []
    every_token = np.concatenate([candidate.tokens.vectors for candidate in candidates])
    ends = np.cumsum([len(candidate.tokens.vectors) for candidate in candidates])
    similarities = np.split(question @ every_token.T, ends[:-1], axis=1)
    spans = [
        span for members in sections(candidates) for span in _section_spans(members, candidates, similarities, weights)
    ]
    return sorted(spans, key=lambda span: -span.score)


def sections(candidates: Sequence[Candidate]) -> Iterator[list[int]]:
    """Positions of candidates that overlap, in order of time: no span runs over the edge of a video or a chapter."""
    moments = [candidate.moment for candidate in candidates]
    members: list[int] = []
    end = 0.0
    for position in sorted(range(len(moments)), key=lambda i: (moments[i].video_id, moments[i].start_seconds)):
        moment = moments[position]
        if members and (moment.video_id != moments[members[0]].video_id or moment.start_seconds >= end):
            yield members
            members, end = [], 0.0
        end = max(end, moment.end_seconds)
        members.append(position)
    if members:
        yield members


def _section_spans(
    members: Sequence[int], candidates: Sequence[Candidate], similarities: Sequence[Scores], weights: Scores
) -> Iterator[Span]:
    mine = [candidates[i] for i in members]
    start, end = mine[0].moment.start_seconds, max(candidate.moment.end_seconds for candidate in mine)
    bins = max(math.ceil((end - start) / BIN_SECONDS), SPAN_BINS)
    columns = [token_bins(candidate.tokens, start, bins) for candidate in mine]
    grid = np.full((len(weights), bins), NO_MATCH, dtype=np.float32)
    everywhere = np.full(len(weights), NO_MATCH, dtype=np.float32)
    for position, (tokens, at, untimed) in zip(members, columns, strict=True):
        _raise_to(grid, at, similarities[position][:, tokens])
        if len(untimed):
            everywhere = np.maximum(everywhere, similarities[position][:, untimed].max(axis=1))
    worst = min(candidate.fused for candidate in mine)
    for number, score in enumerate(span_scores(grid, everywhere, weights).tolist()):
        begins = max(start, min(start + number * BIN_SECONDS, end - MAX_MOMENT_SECONDS))
        ends = min(begins + MAX_MOMENT_SECONDS, end)
        parts = {i: _shared_part(candidates[i].moment, begins, ends) for i in members}
        fused = max((candidates[i].fused for i, part in parts.items() if part > SAME_MOMENT), default=worst)
        touched = tuple(sorted((i for i in members if parts[i] > 0), key=lambda i: -parts[i]))
        yield Span(mine[0].moment.video_id, begins, ends, score + FUSED_WEIGHT * fused, touched)


def span_scores(grid: Scores, everywhere: Scores, weights: Scores) -> Scores:
    """The score of each span that fits into the grid.

    `grid` (question tokens, bins) holds the best similarity in each bin, `everywhere` (question tokens,) that to the title.
    A span scores the sum, over window lengths, of its best window's weighted mean similarity.
    """
    bins = grid.shape[1]
    total = np.zeros(bins - SPAN_BINS + 1, dtype=np.float32)
    for length in WINDOW_BINS:
        best = np.maximum(sliding_max(grid, length), everywhere[:, None])
        windows: Scores = (weights @ best / weights.sum()).astype(np.float32)
        edge = min(EDGE_BINS, (SPAN_BINS - length) // 2)
        places = SPAN_BINS - length + 1 - 2 * edge
        total += sliding_max(windows[None], places)[0, edge : edge + len(total)]
    mean: Scores = (total / len(WINDOW_BINS)).astype(np.float32)
    return mean


def sliding_max(values: Scores, length: int) -> Scores:
    """The largest of each `length` neighbours along the last axis, which gets `length - 1` shorter."""
    widest, width = values, 1
    while width < length:  # maxima over 1, 2, 4, ... neighbours make those over any number
        step = min(width, length - width)
        widest = np.maximum(widest[..., :-step], widest[..., step:])
        width += step
    return widest


def token_bins(
    tokens: TimedTokens, start_seconds: float, bins: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """(token, bin) pairs, one for each bin that a token is said or shown in, sorted by bin; and tokens without a time."""
    timed = np.flatnonzero(~np.isnan(tokens.start_seconds))
    first, last = (
        np.clip((seconds[timed] - start_seconds) // BIN_SECONDS, 0, bins - 1).astype(np.intp)
        for seconds in (tokens.start_seconds, tokens.end_seconds)
    )
    counts = last - first + 1
    at = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    order = np.argsort(at, kind="stable")
    return np.repeat(timed, counts)[order], at[order], np.flatnonzero(np.isnan(tokens.start_seconds))


def _raise_to(grid: Scores, at: NDArray[np.intp], similarities: Scores) -> None:
    """Put each column of similarities into its bin of the grid, where it is larger; `at` is sorted."""
    if len(at):
        bins, first = np.unique(at, return_index=True)
        grid[:, bins] = np.maximum(grid[:, bins], np.maximum.reduceat(similarities, first, axis=1))


def _shared_part(moment: Moment, start: float, end: float) -> float:
    """How much of start..end a moment covers, 0..1."""
    return max(0.0, min(moment.end_seconds, end) - max(moment.start_seconds, start)) / max(end - start, 0.001)
