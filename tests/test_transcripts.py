"""Which of several transcripts is searched, and what is kept of the others."""

from __future__ import annotations

import pytest

from ingest.captions import CaptionKind, CaptionTrack
from ingest.schema import TranscriptSegment, TranscriptSource
from ingest.transcripts import chapters_of, choose_transcript, descriptions_of, fit_to


def track(
    text: str,
    language: str | None = "en",
    source: TranscriptSource = "sidecar captions",
    *,
    kind: CaptionKind = "captions",
    is_partial: bool = False,
) -> CaptionTrack:
    return CaptionTrack((TranscriptSegment(0.0, 2.0, text, source, language),), language, (), kind, is_partial)


HEARD = (TranscriptSegment(0.0, 2.0, "heard", "speech recogniser", "de", 0.5),)


@pytest.mark.parametrize(
    ("tracks", "spoken", "chosen"),
    [
        ([], None, "heard"),
        ([track("sidecar")], None, "sidecar"),
        ([track("inside", "fr", "embedded captions"), track("sidecar", "en")], None, "inside"),
        ([track("inside", "fr", "embedded captions"), track("sidecar", "de")], "de", "sidecar"),
        ([track("german", "de"), track("english", "en")], None, "english"),
        ([track("german", "de"), track("english", "en")], "de", "german"),
        ([track("forced", "en", is_partial=True)], None, "heard"),
        ([track("forced", "en", is_partial=True), track("whole", "de")], "en", "whole"),
        ([track("Chapter 1", kind="chapters"), track("A wall", kind="descriptions")], None, "heard"),
    ],
    ids=[
        "only heard", "captions first", "embedded first", "the spoken language first", "English first", "spoken before English",
        "forced lines are not a transcript", "whole before forced", "titles and descriptions are not speech",
    ],
)  # fmt: skip
def test_what_is_searched(tracks: list[CaptionTrack], spoken: str | None, chosen: str) -> None:
    told = choose_transcript(tracks, HEARD, spoken)
    assert [segment.text for segment in told.chosen] == [chosen]
    spoken_texts = {t.segments[0].text for t in tracks if t.kind == "captions"} | {"heard"}
    assert {segment.text for segment in told.others} == spoken_texts - {chosen}
    assert told.language == told.chosen[0].language


def test_forced_lines_are_better_than_nothing() -> None:
    told = choose_transcript([track("forced", is_partial=True)], (), None)
    assert [segment.text for segment in told.chosen] == ["forced"]


def test_chapters_and_descriptions_come_from_their_tracks_alone() -> None:
    tracks = [track("said"), track("Start", kind="chapters"), track("A red wall", kind="descriptions")]
    assert [chapter.title for chapter in chapters_of(tracks)] == ["Start"]
    assert [(d.text, d.source) for d in descriptions_of(tracks)] == [("A red wall", "description track")]


def test_what_is_said_after_the_end_is_counted_and_left_out() -> None:
    warnings: list[str] = []
    segments = [TranscriptSegment(start, start + 2, "x", "sidecar captions") for start in (0.0, 3.0, 9.0)]
    kept = fit_to(segments, 4.0, warnings)
    assert [(segment.start_seconds, segment.end_seconds) for segment in kept] == [(0.0, 2.0), (3.0, 4.0)]
    assert len(warnings) == 1
