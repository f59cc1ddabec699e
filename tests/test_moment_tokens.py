"""When each token of a moment is said or shown, with and without stored tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder

from ingest.points import Piece, embedded_text
from ingest.schema import Moment, ScreenText, TranscriptSegment, Video
from ingest.token_vectors import VideoTokens
from retrievers.moment_tokens import MOST_READ_NOW, MomentTokens, token_seconds

VIDEO = Video("local", "v", "Bees", 60.0, "f")
SAID = (
    TranscriptSegment(0.0, 4.0, "ab cd", "sidecar captions"),
    TranscriptSegment(10.0, 12.0, "ef", "sidecar captions"),
)
MOMENT = Moment("local", "v", 0.0, 30.0, SAID, (ScreenText(5.0, 25.0, "hive", 0.9),))


def test_spoken_words_follow_each_other_and_a_header_has_no_time() -> None:
    pieces = [Piece("ab cd", 0.0, 4.0), Piece("ef", 10.0, 12.0)]
    text = "T. ab cd ef"
    starts = np.array([0, 3, 6, 9], dtype=np.uint32)
    begins, ends = token_seconds(pieces, len(text), starts, as_spoken=True)
    assert np.isnan(begins[0]) and begins[1:].tolist() == pytest.approx([0.0, 2.4, 10.0])
    assert ends[1:].tolist() == begins[1:].tolist()
    begins, ends = token_seconds(pieces, len(text), starts, as_spoken=False)
    assert (begins[1:].tolist(), ends[1:].tolist()) == ([0.0, 0.0, 10.0], [4.0, 4.0, 12.0])


def test_what_is_shown_is_there_as_long_as_it_is_shown(tmp_path: Path) -> None:
    (timed,) = MomentTokens(HashEmbedder(), lambda tenant, video: tmp_path / tenant / video).read([(VIDEO, MOMENT)])
    assert timed is not None
    spans = list(zip(timed.start_seconds.tolist(), timed.end_seconds.tolist(), strict=True))
    assert (5.0, 25.0) in spans and (10.0, 10.0) in spans


def test_stored_tokens_are_not_made_again(tmp_path: Path) -> None:
    text = embedded_text(VIDEO.title, MOMENT, "speech")
    (made,) = HashEmbedder().embed_with_tokens([text])[1]
    VideoTokens(tmp_path, "1").add({text: made})

    class OnlyScreen(HashEmbedder):
        def embed_tokens(self, texts):  # type: ignore[no-untyped-def]
            assert all("On screen" in text for text in texts)
            return super().embed_tokens(texts)

    assert MomentTokens(OnlyScreen(), lambda tenant, video: tmp_path).read([(VIDEO, MOMENT)])[0] is not None


def test_an_old_library_is_read_for_a_few_moments_only(tmp_path: Path) -> None:
    moments = [
        Moment("local", "v", float(i), i + 1.0, (TranscriptSegment(i, i + 1.0, f"word{i}", "a"),)) for i in range(30)
    ]
    read = MomentTokens(HashEmbedder(), lambda tenant, video: tmp_path).read([(VIDEO, moment) for moment in moments])
    assert [timed is not None for timed in read] == [i < MOST_READ_NOW for i in range(30)]


def test_a_moment_without_words_has_no_tokens(tmp_path: Path) -> None:
    empty = Moment("local", "v", 0.0, 30.0)
    assert MomentTokens(HashEmbedder(), lambda tenant, video: tmp_path).read([(VIDEO, empty)]) == [None]
