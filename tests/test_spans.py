"""Spans by late interaction: windows are found where the words are, and never run over a video's or a chapter's edge."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import HashEmbedder
from hypothesis import given
from hypothesis import strategies as st

from ingest.bm25 import content_words
from ingest.points import Piece
from ingest.schema import Moment, TranscriptSegment
from retrievers.moment_tokens import TimedTokens
from retrievers.spans import (
    BIN_SECONDS,
    SPAN_BINS,
    WINDOW_BINS,
    Asked,
    Candidate,
    Span,
    best_spans,
    sections,
    sliding_max,
    span_scores,
    token_bins,
)

EMBEDDER = HashEmbedder()


def candidate(start: float, end: float, said: dict[float, str], video: str = "v", fused: float = 0.0) -> Candidate:
    """A moment in which words are said at seconds."""
    moment = Moment("local", video, start, end, tuple(TranscriptSegment(s, s, w, "a", "en") for s, w in said.items()))
    rows = np.concatenate(EMBEDDER.embed_tokens(list(said.values())))
    seconds = np.array(list(said), dtype=np.float32)
    pieces = tuple((Piece(word, second, second), True) for second, word in said.items())
    return Candidate(moment, fused, TimedTokens(rows, seconds, seconds, pieces))


def find(question: str, *candidates: Candidate) -> list[Span]:
    (tokens,) = EMBEDDER.embed_tokens([question])
    return best_spans(Asked(tokens, np.ones(len(tokens), dtype=np.float32), content_words(question)), candidates)


def fillers(start: int, end: int) -> dict[float, str]:
    return {float(second): f"filler{second}" for second in range(start, end, 2)}


def test_a_span_lies_around_the_words_that_match_although_no_moment_does() -> None:
    said = {**fillers(0, 120), 62.0: "waggle", 64.0: "dance"}
    halves = [
        candidate(start, start + 60, {second: word for second, word in said.items() if start <= second < start + 60})
        for start in (0, 20, 40, 60)
    ]
    best = find("waggle dance", *halves)[0]
    assert best.start_seconds + 8 <= 62.0 <= 64.0 <= best.end_seconds - 8
    assert best.end_seconds - best.start_seconds == pytest.approx(60.0)


def test_words_side_by_side_win_over_the_same_words_far_apart() -> None:
    near = candidate(0, 60, {**fillers(0, 60), 30.0: "waggle", 32.0: "dance"}, "near")
    apart = candidate(0, 60, {**fillers(0, 60), 4.0: "waggle", 54.0: "dance"}, "apart")
    assert [span.video_id for span in find("waggle dance", apart, near)] == ["near", "apart"]


def test_equal_words_are_ranked_by_what_fusion_said() -> None:
    low, high = candidate(0, 30, {10.0: "bee"}, "low", -1.0), candidate(0, 30, {10.0: "bee"}, "high", 2.0)
    assert [span.video_id for span in find("bee", low, high)] == ["high", "low"]


def test_a_name_that_was_heard_wrong_is_found_by_its_letters() -> None:
    heard = candidate(0, 60, {**fillers(0, 60), 30.0: "frenell"}, "heard")
    other = candidate(0, 60, {**fillers(0, 60), 30.0: "bread"}, "other")
    assert [span.video_id for span in find("fresnel", other, heard)] == ["heard", "other"]


def test_a_title_counts_everywhere() -> None:
    plain = candidate(0, 60, fillers(0, 60), "plain")
    rows = np.concatenate([plain.tokens.vectors, *EMBEDDER.embed_tokens(["bees"])])
    seconds = np.append(plain.tokens.start_seconds, np.float32(np.nan))
    titled = Candidate(candidate(0, 60, fillers(0, 60), "titled").moment, 0.0, TimedTokens(rows, seconds, seconds))
    spans = find("bees", plain, titled)
    assert spans[0].video_id == "titled" and spans[0].score > spans[-1].score + 0.5


def test_spans_keep_inside_videos_and_chapters() -> None:
    moments = [
        candidate(0, 50, fillers(0, 50)),
        candidate(50, 90, fillers(50, 90)),
        candidate(0, 20, fillers(0, 20), "w"),
    ]
    assert [list(members) for members in sections(moments)] == [[0], [1], [2]]
    assert {(s.video_id, s.start_seconds, s.end_seconds) for s in find("filler10", *moments)} == {
        ("v", 0.0, 50.0),
        ("v", 50.0, 90.0),
        ("w", 0.0, 20.0),
    }


def test_nothing_found_is_no_span() -> None:
    assert find("bee") == []


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40), st.integers(1, 40))
def test_a_sliding_maximum_is_that_of_each_window(values: list[float], length: int) -> None:
    length = min(length, len(values))
    expected = [max(values[i : i + length]) for i in range(len(values) - length + 1)]
    assert sliding_max(np.array([values], dtype=np.float32), length)[0].tolist() == pytest.approx(expected)


@given(st.floats(0, 500), st.lists(st.tuples(st.floats(0, 60), st.floats(0, 30)), max_size=30))
def test_every_token_lies_in_each_bin_that_it_is_shown_in(start: float, spans: list[tuple[float, float]]) -> None:
    begins = np.array([start + a for a, _ in spans], dtype=np.float32)
    ends = np.array([start + a + length for a, length in spans], dtype=np.float32)
    tokens, at, untimed = token_bins(TimedTokens(np.zeros((len(spans), 4), np.float32), begins, ends), start, 40)
    assert len(untimed) == 0 and at.tolist() == sorted(at.tolist())
    for number in range(len(spans)):
        mine = sorted(at[tokens == number].tolist())
        assert mine == list(range(mine[0], mine[-1] + 1))
        assert mine[0] == int((begins[number] - np.float32(start)) // BIN_SECONDS) or mine[0] in (0, 39)


@given(st.integers(SPAN_BINS, SPAN_BINS + 30), st.integers(0, 1000))
def test_a_span_scores_between_its_worst_and_its_best_bin(bins: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = random.uniform(-1, 1, (3, bins)).astype(np.float32)
    scores = span_scores(grid, np.ones(3, np.float32), WINDOW_BINS)
    assert len(scores) == bins - SPAN_BINS + 1
    assert grid.min() - 1e-5 <= scores.min() <= scores.max() <= grid.max() + 1e-5
