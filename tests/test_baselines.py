"""The baselines find what shares words with the question, keep to its scope, and the control reads no transcript."""

from __future__ import annotations

import pytest
from fakes import HashEmbedder

from evaluation.baselines import Window, WindowSearch, cut_windows
from evaluation.ranking import ReturnedSpan
from ingest.index import Scope
from ingest.schema import TranscriptSegment, Video

BEES = Video("local", "bees", "How bees dance", 200.0, "f", language="en", tags=("nature",))
BREAD = Video("local", "bread", "Baking bread", 200.0, "f", language="de", tags=("kitchen",))
WINDOWS = [
    Window(BEES, 0.0, 60.0, "welcome to the meadow and its many flowers"),
    Window(BEES, 60.0, 120.0, "the waggle dance gives the direction to the sun"),
    Window(BREAD, 0.0, 60.0, "yeast eats the sugar and the dough rises"),
    Window(BREAD, 120.0, 180.0, "put it into the oven for a hundred minutes"),
]
EVERYTHING = Scope("local")


def said(start: float, end: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start, end, text, "sidecar captions")


@pytest.fixture
def search() -> WindowSearch:
    return WindowSearch(WINDOWS, HashEmbedder(), lambda total: None)


def test_windows_lie_side_by_side_and_skip_silence() -> None:
    transcript = [said(0, 4, "one"), said(59, 63, "two"), said(60, 61, "three"), said(200, 201, "four")]
    assert cut_windows(BEES, transcript) == [
        Window(BEES, 0.0, 60.0, "one two"),
        Window(BEES, 60.0, 120.0, "three"),
        Window(BEES, 180.0, 240.0, "four"),
    ]


def test_every_baseline_finds_the_words(search: WindowSearch) -> None:
    named = search.baselines()
    assert list(named) == ["bm25s", "dense hash", "LlamaIndex fusion", "Qdrant RRF"]
    for name, baseline in named.items():
        found = baseline("the dough rises with yeast and sugar", EVERYTHING)
        assert found[0] == ReturnedSpan("bread", 0.0, 60.0), name
        assert len(found) == len(set(found)) <= 10


@pytest.mark.parametrize("scope", [Scope("local", ("bees",)), Scope("local", (), {"language": ("en",)})])
def test_every_baseline_keeps_to_the_scope(search: WindowSearch, scope: Scope) -> None:
    for name, baseline in {**search.baselines(), "blind": search.blind}.items():
        found = baseline("the dough rises in the sun", scope)
        assert {span.video for span in found} == {"bees"}, name


def test_the_control_reads_titles_and_positions_only(search: WindowSearch) -> None:
    found = search.blind("why do bees like a hundred minutes in the oven with sugar", EVERYTHING)
    assert [(span.video, span.start_seconds) for span in found] == [
        ("bees", 0.0),
        ("bees", 60.0),
        ("bread", 0.0),
        ("bread", 120.0),
    ]


def test_a_question_without_words_finds_nothing_by_words(search: WindowSearch) -> None:
    assert search.bm25("?", EVERYTHING) == []
    assert search.bm25("the", EVERYTHING) == []
    assert len(search.qdrant("?", EVERYTHING)) == 4


def test_without_an_embedder_only_words_are_searched() -> None:
    encoded: list[int] = []
    assert list(WindowSearch(WINDOWS, None, encoded.append).baselines()) == ["bm25s"]
    WindowSearch(WINDOWS, HashEmbedder(), encoded.append)
    assert encoded == [4] * 4
