"""Fusion: kinds weighed by z-score, channels of one kind by their best, places told per channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.index import LEGS, LegHit
from retrievers.fusion import fuse


def hits(*scores: tuple[str, float]) -> list[LegHit]:
    return [LegHit(name, score) for name, score in scores]


def test_a_moment_that_both_kinds_find_beats_the_best_of_either() -> None:
    fused = fuse(
        {
            "speech_dense": hits(("a", 0.60), ("both", 0.58), ("x", 0.20), ("y", 0.19)),
            "speech_bm25": hits(("b", 9.0), ("both", 8.5), ("x", 1.0), ("y", 0.9)),
        }
    )
    assert fused[0].moment_id == "both"
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)


def test_channels_of_one_kind_are_not_summed() -> None:
    """A video with weak matches in three channels does not beat one with a strong match in one."""
    weak = [("weak", 0.30), ("x", 0.1)]
    fused = fuse(
        {
            "speech_dense": hits(("strong", 0.70), *weak),
            "screen_dense": hits(*weak),
            "description_dense": hits(*weak),
        }
    )
    assert fused[0].moment_id == "strong"


def test_places_tell_the_best_rank_of_each_channel_with_its_score() -> None:
    fused = fuse(
        {"speech_dense": hits(("a", 0.9), ("b", 0.8)), "speech_bm25": hits(("b", 7.0)), "visual": hits(("b", 0.3))}
    )
    places = {hit.moment_id: hit.channels for hit in fused}
    assert (places["b"]["speech"].rank, places["b"]["speech"].score) == (1, 7.0)
    assert places["b"]["visual"].score == 0.3
    assert set(places["a"]) == {"speech"}


@pytest.mark.parametrize("leg_hits", [{}, {"speech_dense": []}, {"visual": []}])
def test_nothing_found_is_an_empty_ranking(leg_hits: dict[str, list[LegHit]]) -> None:
    assert fuse(leg_hits) == []


@given(
    st.dictionaries(
        st.sampled_from(LEGS),
        st.lists(st.tuples(st.sampled_from("abcdefg"), st.floats(-1, 50)), unique_by=lambda pair: pair[0]),
    )
)
def test_every_moment_found_is_ranked_once_with_a_finite_score(found: dict[str, list[tuple[str, float]]]) -> None:
    leg_hits = {leg: sorted(hits(*pairs), key=lambda hit: -hit.score) for leg, pairs in found.items()}
    fused = fuse(leg_hits)
    assert sorted(hit.moment_id for hit in fused) == sorted({name for pairs in found.values() for name, _ in pairs})
    assert all(abs(hit.score) < 1e6 for hit in fused)
