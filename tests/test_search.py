"""The order of one search: what words rank, what only pictures found, and a reranker that is too slow."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from ingest.schema import Moment, TranscriptSegment, Video
from retrievers import search
from retrievers.evidence import ChannelScore
from retrievers.search import Found, is_only_seen, read_by, token_weights, with_seen

VIDEO = Video("local", "v", "Bees", 600.0, "f")


def found(start: float, score: float, text: str = "", **ranks: int) -> Found:
    transcript = (TranscriptSegment(start, start + 10, text, "a"),) if text else ()
    moment = Moment("local", "v", start, start + 20, transcript)
    return Found(moment, VIDEO, score, {name: ChannelScore(rank, 0.5) for name, rank in ranks.items()})


def test_what_only_pictures_found_keeps_the_place_that_fusion_gave_it() -> None:
    seen = found(100, 2.0, "something else", visual=1)
    fused = [found(0, 3.0, "a", speech=1), seen, found(200, 1.0, "b", speech=2)]
    spans = [found(200, 0.9, "b", speech=2), found(0, 0.8, "a", speech=1)]
    ranked = with_seen(spans, fused)
    assert [item.moment.start_seconds for item in ranked] == [200, 100, 0]
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)


def test_what_only_pictures_found_can_be_first() -> None:
    seen = found(100, 5.0, "something else", visual=1)
    spans = [found(200, 0.9, "b", speech=2), found(0, 0.8, "a", speech=1)]
    ranked = with_seen(spans, [seen])
    assert [item.moment.start_seconds for item in ranked] == [100, 200, 0]
    assert [item.score for item in ranked] == [0.9, 0.9, 0.8]


@pytest.mark.parametrize(
    ("item", "only_seen"),
    [
        (found(0, 1.0, visual=50), True),
        (found(0, 1.0, "words", visual=1), True),
        (found(0, 1.0, "words", visual=1, speech=90), True),
        (found(0, 1.0, "words", visual=1, speech=3), False),
        (found(0, 1.0, "words", visual=40), False),
        (found(0, 1.0, "words", speech=3), False),
    ],
)
def test_only_pictures_found_it(item: Found, only_seen: bool) -> None:
    assert is_only_seen(item) == only_seen


class SlowReader:
    name = "slow"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        time.sleep(self._seconds)
        return [float(text.count(question)) for text in texts]


def test_a_reranker_reorders_and_one_that_is_too_slow_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = [found(30.0 * i, 1.0 - i / 100, "bee" if i == 7 else "dough") for i in range(10)]
    read, in_time = read_by(SlowReader(0.0), "bee", ranked)
    assert in_time and read[0].moment.start_seconds == 210
    monkeypatch.setattr(search, "RERANK_SECONDS", 0.01)
    assert read_by(SlowReader(0.02), "bee", ranked) == (ranked, False)


def test_words_of_content_count_most_and_punctuation_nothing() -> None:
    starts = np.array([0, 4, 8, 12, 15], dtype=np.uint32)
    assert token_weights("Who was the bee?", starts).tolist() == [0.25, 0.25, 0.25, 1.0, 0.0]
    assert token_weights("???", np.array([0, 1, 2], dtype=np.uint32)).tolist() == [1.0, 1.0, 1.0]
