"""Moments: every second covered, sixty seconds at most, cut where speech pauses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.moments import MAX_BLOCK_SECONDS, block_edges, cut_moments, split_long
from ingest.schema import (
    MAX_MOMENT_SECONDS,
    Chapter,
    Description,
    Keyframe,
    Moment,
    ScreenText,
    Shot,
    Timeline,
    TranscriptSegment,
    Video,
)


def cut(duration: float, tenant: str = "local", **timeline: Any) -> list[Moment]:
    return cut_moments(Video(tenant, "v", "A video", duration, "f"), Timeline(**timeline))


def said(start: float, end: float, text: str = "and so on") -> TranscriptSegment:
    return TranscriptSegment(start, end, text, "sidecar captions")


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[float, list[TranscriptSegment]]:
    segments, now = [], 0.0
    for _ in range(draw(st.integers(0, 40))):
        now += draw(st.floats(0.0, 30.0))
        length = draw(st.floats(0.1, 45.0))
        words = " ".join(["word"] * draw(st.integers(1, 60)))
        segments.append(said(now, now + length, words + draw(st.sampled_from(["", ".", "?"]))))
        now += length
    return now + draw(st.floats(0.0, 100.0)), segments


@given(transcripts())
def test_moments_cover_every_second_and_keep_every_word(made: tuple[float, list[TranscriptSegment]]) -> None:
    duration, segments = made
    moments = cut(duration, transcript=tuple(segments))
    assert moments[0].start_seconds == 0.0
    assert moments[-1].end_seconds >= duration
    for moment in moments:
        assert moment.end_seconds - moment.start_seconds <= MAX_MOMENT_SECONDS + 0.002
    for first, second in zip(moments, moments[1:], strict=False):
        assert first.start_seconds < second.start_seconds <= first.end_seconds
    heard = {segment for moment in moments for segment in moment.transcript}
    pieces = [piece for segment in segments for piece in split_long(segment)]
    assert heard == set(pieces)
    assert sum(len(piece.text.split()) for piece in pieces) == sum(len(segment.text.split()) for segment in segments)


@pytest.mark.parametrize(
    ("segments", "cuts", "first_edge"),
    [
        ([said(0, 5), said(5, 14, "It ends here."), said(14, 19), said(19, 40)], [], 14.0),
        ([said(0, 13), said(15, 19), said(19, 40)], [], 13.0),
        ([said(0, 6), said(6, 17), said(17, 40)], [], 17.0),
        ([], [13.0, 16.5, 19.0], 19.0),
        ([], [], MAX_BLOCK_SECONDS),
        ([said(0, 60, "word " * 30)], [15.0], 12.0),
    ],
    ids=[
        "sentence end",
        "pause",
        "segment end",
        "last cut in reach",
        "nothing",
        "a long cue is split, a cut inside it waits",
    ],
)
def test_a_block_ends_where_it_reads_best(
    segments: list[TranscriptSegment], cuts: list[float], first_edge: float
) -> None:
    pieces = [piece for segment in segments for piece in split_long(segment)]
    assert block_edges(60.0, pieces, cuts)[1] == pytest.approx(first_edge)


def test_a_short_video_is_one_moment_with_all_its_channels() -> None:
    text = ScreenText(1.0, 4.0, "Exit", 0.9)
    (moment,) = cut(
        7.5,
        transcript=(said(0, 3, "hello"),),
        screen_text=(text,),
        keyframes=(Keyframe(2.0, 1),),
        shots=(Shot(0.0, 3.0), Shot(3.0, 7.5)),
    )
    assert (moment.start_seconds, moment.end_seconds) == (0.0, 7.5)
    assert (moment.speech, moment.screen, moment.keyframe_seconds) == ("hello", "Exit", (2.0,))


def test_screen_text_belongs_to_the_moments_that_show_it() -> None:
    spans = [
        ScreenText(0.0, 20.0, "first", 0.9),
        ScreenText(20.0, 90.0, "second", 0.9),
        ScreenText(90.0, 90.0, "end", 0.9),
    ]
    moments = cut(90.0, screen_text=tuple(spans), shots=tuple(Shot(20.0 * n, 20.0 * n + 20) for n in range(5)))
    shown = {moment.start_seconds: [span.text for span in moment.screen_text] for moment in moments}
    assert shown == {0.0: ["first", "second"], 20.0: ["second"], 40.0: ["second", "end"]}


def test_the_same_content_gives_the_same_ids_and_another_tenant_others() -> None:
    ids = [m.moment_id for m in cut(200.0)]
    assert ids == [m.moment_id for m in cut(200.0)]
    assert not set(ids) & {m.moment_id for m in cut(200.0, "other")}


def test_a_moment_tells_its_chapter_and_what_is_described_in_it() -> None:
    moments = cut(
        100.0,
        chapters=(Chapter(0.0, 40.0, "Start"), Chapter(40.0, 100.0, "Finish")),
        descriptions=(
            Description(0.0, 10.0, "A man walks", "description track"),
            Description(90.0, 90.0, "He sits", "description track"),
        ),
    )
    assert [moment.chapter for moment in moments] == ["Start", "Start", "Finish"]
    assert [moment.description for moment in moments] == ["A man walks", "", "He sits"]
