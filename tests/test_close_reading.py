"""Close reading: each word is near where the question's words stand, and every channel of a moment is read."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import HashEmbedder
from test_extractive import evidence

from ingest.schema import Moment, Video
from retrievers.close_reading import LOST_PER_WORD, near_in_place, read_closely
from retrievers.evidence import Evidence
from retrievers.rerank import LateInteractionReranker

SIMILARITY = LateInteractionReranker(HashEmbedder())
WALL = evidence(
    1, "wall", ["It climbs over mountains.", "The wall is long.", "Sticky rice is in the mortar."], ["8,850 km"]
)


@pytest.mark.parametrize("similarity", [SIMILARITY, None], ids=["with a text model", "by spelling"])
def test_the_piece_that_holds_the_words_is_nearest(similarity: LateInteractionReranker | None) -> None:
    (read,) = read_closely("what is in the mortar", [WALL], similarity)
    means = {piece.text: float(piece.nearness.mean()) for piece in read.pieces}
    assert max(means, key=lambda text: means[text]) == "Sticky rice is in the mortar."
    assert [len(piece.nearness) for piece in read.pieces] == [4, 4, 6, 2]
    assert read.pieces[-1].channel == "screen"


def test_evidence_about_it_is_nearer_in_every_way() -> None:
    bread = evidence(2, "bread", ["Yeast eats sugar and gives off gas."])
    about, other = read_closely("sticky rice in the mortar of the wall", [WALL, bread], SIMILARITY)
    for name in ("whole", "together", "spelling", "closeness"):
        assert getattr(about, name) > getattr(other, name)


def test_a_description_counts_and_is_no_piece_to_quote_words_of() -> None:
    moment = Moment("local", "boat", 0.0, 10.0, description="A boat sails in the rain.")
    (read,) = read_closely(
        "a boat in the rain", [Evidence(1, moment, Video("local", "boat", "Sea", 10.0, "f"), 1.0)], SIMILARITY
    )
    assert read.whole > 0.5
    assert [piece.channel for piece in read.pieces] == ["description"]


def test_nothing_said_is_nothing_near() -> None:
    (read,) = read_closely("anything", [evidence(1, "silent", [])], SIMILARITY)
    assert (read.pieces, read.whole, read.together) == ((), 0.0, 0.0)


def test_each_word_in_between_costs() -> None:
    grid = np.zeros((1, 100), dtype=np.float32)
    grid[0, 40] = 1.0
    expected = np.maximum(1.0 - LOST_PER_WORD * np.abs(np.arange(100) - 40), 0.0)
    assert np.allclose(near_in_place(grid)[0], expected, atol=1e-5)
