"""Finds the spans of at most 60 s that match a question best: its words against words that stand together.

Late interaction takes for each word of the question the most similar word (ColBERT, Khattab and Zaharia 2020). Here it
looks through windows of four lengths at every fourth second, so that a span may begin anywhere, not only where a stored
moment does, and words that stand together count more than the same words spread over a minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.bm25 import content_words
from ingest.points import Piece
from ingest.schema import MAX_MOMENT_SECONDS, Moment
from ingest.text_embedding import Vectors
from retrievers.moment_tokens import TimedTokens
from retrievers.near_words import near_words, rarities

Scores = NDArray[np.float32]

BIN_SECONDS = 4.0
SPAN_BINS = int(MAX_MOMENT_SECONDS // BIN_SECONDS)
WINDOW_BINS = (2, 4, 7, SPAN_BINS)  # 8, 16, 28 and 60 s
EDGE_BINS = 2  # what matches lies this far inside its span, unless the recording ends
FUSED_WEIGHT = (
    0.015  # of a standard deviation of the fused score, against a mean cosine; more helps short videos, less long ones
)
SAME_MOMENT = 0.65  # a span that a moment covers in this part has its fused score
NO_MATCH = -1.0
CHANCE_WEIGHT = 0.03  # of a cosine, for e times as many tokens: the best of many is nearer to anything
FEWEST_TOKENS = 8
SPELT_WINDOW_BINS = (2, 4)
SPELT_WEIGHT = 0.15  # 0.05 to 0.2 do as well; without it R@1 is 0.007 less, and 0.015 where half of the words are wrong


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its tokens as unit rows (tokens, dimension), what each counts (tokens,), and its words of content."""

    tokens: Vectors
    weights: Scores
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment that fusion found, its fused score in standard deviations, and its tokens."""

    moment: Moment
    fused: float
    tokens: TimedTokens


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, how well it matches (higher is better), and the candidates of its section."""

    video_id: str
    start_seconds: float
    end_seconds: float
    score: float
    candidates: tuple[int, ...]


def best_spans(asked: Asked, candidates: Sequence[Candidate]) -> list[Span]:
    """Every span that the candidates cover, best first."""
    if not candidates:
        return []
    texts = [{word for piece, _ in c.tokens.pieces for word in content_words(piece.text)} for c in candidates]
    near = near_words(asked.words, set().union(*texts))
    rarity = np.array(rarities(asked.words, texts), dtype=np.float32)
    spans: list[Span] = []
    for members in sections(candidates):
        mine = [candidates[i] for i in members]
        start, end = mine[0].moment.start_seconds, max(candidate.moment.end_seconds for candidate in mine)
        bins = max(math.ceil((end - start) / BIN_SECONDS), SPAN_BINS)
        grid, everywhere, counts = meaning_grid(asked.tokens, mine, start, bins)
        scores = span_scores(np.maximum(grid, everywhere[:, None]), asked.weights, WINDOW_BINS)
        scores -= chance_scores(counts)
        held = dict.fromkeys(piece for candidate in mine for piece in candidate.tokens.pieces)
        spelt = spelling_grid(held, near, len(asked.words), start, bins)
        scores += SPELT_WEIGHT * span_scores(spelt, rarity, SPELT_WINDOW_BINS)
        begins = np.maximum(start, np.minimum(start + np.arange(len(scores)) * BIN_SECONDS, end - MAX_MOMENT_SECONDS))
        ends = np.minimum(begins + MAX_MOMENT_SECONDS, end)
        scores += FUSED_WEIGHT * fused_scores(mine, begins, ends)
        spans += [
            Span(mine[0].moment.video_id, *span, tuple(members))
            for span in zip(begins.tolist(), ends.tolist(), scores.tolist(), strict=True)
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


def fused_scores(candidates: Sequence[Candidate], begins: Scores, ends: Scores) -> Scores:
    """For each span the best fused score of the moments that cover it; the worst there is where none does."""
    fused = np.array([candidate.fused for candidate in candidates])
    first = np.array([candidate.moment.start_seconds for candidate in candidates])
    last = np.array([candidate.moment.end_seconds for candidate in candidates])
    shared = np.minimum(last[:, None], ends) - np.maximum(first[:, None], begins)
    covers = shared > SAME_MOMENT * (ends - begins)
    best: Scores = np.where(covers, fused[:, None], fused.min()).max(axis=0).astype(np.float32)
    return best


def meaning_grid(
    question: Vectors, candidates: Sequence[Candidate], start_seconds: float, bins: int
) -> tuple[Scores, Scores, Scores]:
    """The best similarity of each question token in each bin (tokens, bins), and to what has no time, the title (tokens,).

    The last is how many tokens each bin holds (bins,).

    Of moments that overlap the one in whose middle a bin lies is read there: its tokens know most of what is around them.
    """
    grid = np.full((len(question), bins), NO_MATCH, dtype=np.float32)
    everywhere = np.full(len(question), NO_MATCH, dtype=np.float32)
    counts = np.zeros(bins, dtype=np.float32)
    reader = nearest_moment([candidate.moment for candidate in candidates], start_seconds, bins)
    for number, candidate in enumerate(candidates):
        token, at, untimed = token_bins(candidate.tokens, start_seconds, bins)
        token, at = token[reader[at] == number], at[reader[at] == number]
        if len(at):
            filled, first, held = np.unique(at, return_index=True, return_counts=True)
            counts[filled] = held
            similarity = question @ candidate.tokens.vectors[token].T
            grid[:, filled] = np.maximum.reduceat(similarity, first, axis=1)
        if len(untimed):
            everywhere = np.maximum(everywhere, (question @ candidate.tokens.vectors[untimed].T).max(axis=1))
    return grid, everywhere, counts


def chance_scores(counts: Scores) -> Scores:
    """What each span gains by chance: the best of many tokens is nearer to anything than the best of few."""
    held = np.convolve(counts, np.ones(SPAN_BINS, dtype=np.float32), "valid")
    gains: Scores = (CHANCE_WEIGHT * np.log(np.maximum(held, FEWEST_TOKENS))).astype(np.float32)
    return gains


def nearest_moment(moments: Sequence[Moment], start_seconds: float, bins: int) -> NDArray[np.intp]:
    """For each bin the position of the moment that covers it and whose middle is nearest (bins,)."""
    middles = start_seconds + (np.arange(bins) + 0.5) * BIN_SECONDS
    starts, ends = (np.array([(m.start_seconds, m.end_seconds) for m in moments]).T)[:, :, None]
    outside = np.maximum(np.maximum(starts - middles, middles - ends), 0.0)
    nearest: NDArray[np.intp] = (np.abs(middles - (starts + ends) / 2) + 1000 * outside).argmin(axis=0)
    return nearest


def spelling_grid(
    pieces: Iterable[tuple[Piece, bool]],
    near: Mapping[str, Sequence[tuple[int, float]]],
    rows: int,
    start_seconds: float,
    bins: int,
) -> Scores:
    """How near in spelling each question word is to a word in each bin: (words, bins), 0..1.

    Spoken words follow each other evenly within their piece.
    """
    grid = np.zeros((rows, bins), dtype=np.float32)
    for piece, spoken in pieces:
        words = content_words(piece.text)
        step = (piece.end_seconds - piece.start_seconds) / len(words) if words else 0.0
        for number, word in enumerate(words):
            for row, similarity in near.get(word, ()):
                at = piece.start_seconds + (number + 0.5) * step
                seconds = (at, at) if spoken else (piece.start_seconds, piece.end_seconds)
                first, last = (min(max(int((s - start_seconds) // BIN_SECONDS), 0), bins - 1) for s in seconds)
                grid[row, first : last + 1] = np.maximum(grid[row, first : last + 1], similarity)
    return grid


def span_scores(grid: Scores, weights: Scores, window_bins: Sequence[int]) -> Scores:
    """The score of each span that fits into a grid (rows, bins): the mean, over window lengths, of its best window.

    A window scores the weighted mean of what each row is there at best.
    """
    spans = grid.shape[1] - SPAN_BINS + 1
    total = np.zeros(spans, dtype=np.float32)
    for length in window_bins:
        windows: Scores = (weights @ sliding_max(grid, length) / max(weights.sum(), 1e-9)).astype(np.float32)
        edge = min(EDGE_BINS, (SPAN_BINS - length) // 2)
        places = SPAN_BINS - length + 1 - 2 * edge
        total += sliding_max(windows[None], places)[0, edge : edge + spans]
    mean: Scores = (total / len(window_bins)).astype(np.float32)
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
