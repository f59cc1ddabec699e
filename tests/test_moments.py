"""Moments: every second covered, ten to sixty seconds, cut where speech pauses, the screen changes or a chapter begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.moments import (
    MAX_BLOCK_SECONDS,
    MIN_BLOCK_SECONDS,
    block_edges,
    candidate_edges,
    cut_moments,
    screen_changes,
    section_edges,
    split_long,
)
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


def shown(start: float, end: float, text: str = "Some words") -> ScreenText:
    return ScreenText(start, end, text, 0.9)


seconds = st.floats(0.0, 300.0)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[float, Timeline]:
    """A video of any length with speech, cuts, screen text and chapters of any length anywhere."""
    segments, now = [], 0.0
    for position in range(draw(st.integers(0, 20))):
        now += draw(st.floats(0.0, 30.0))
        length = draw(st.floats(0.1, 45.0))
        words = " ".join(f"{position}.{count}" for count in range(draw(st.integers(1, 60))))
        segments.append(said(now, now + length, words + draw(st.sampled_from(["", ".", "?"]))))
        now += length
    starts = draw(st.lists(st.one_of(seconds, st.sampled_from([0.0, 10.0, 19.9996, 20.0004])), max_size=30))
    return now + draw(st.floats(0.0, 100.0)), Timeline(
        transcript=tuple(segments),
        chapters=tuple(Chapter(start, start, f"Chapter {start}") for start in starts),
        shots=tuple(Shot(start, start) for start in draw(st.lists(seconds, max_size=8))),
        screen_text=tuple(shown(start, start + 9.0) for start in draw(st.lists(seconds, max_size=8))),
    )


@given(timelines())
def test_moments_cover_every_second_in_ten_to_sixty_seconds(made: tuple[float, Timeline]) -> None:
    duration, timeline = made
    moments = cut_moments(Video("local", "v", "A video", duration, "f"), timeline)
    assert moments[0].start_seconds == 0.0
    assert moments[-1].end_seconds >= duration
    for moment in moments:
        length = moment.end_seconds - moment.start_seconds
        assert min(duration, MIN_BLOCK_SECONDS) - 0.001 <= length <= MAX_MOMENT_SECONDS + 0.001
    for first, second in itertools.pairwise(moments):
        assert first.start_seconds < second.start_seconds <= first.end_seconds < second.end_seconds
    assert len(moments) <= max(1.0, duration / MIN_BLOCK_SECONDS + 0.001)
    assert len({moment.moment_id for moment in moments}) == len(moments)


@given(timelines())
def test_every_word_is_in_a_moment_and_in_order(made: tuple[float, Timeline]) -> None:
    duration, timeline = made
    words = " ".join(segment.text for segment in timeline.transcript).split()
    heard = [moment.speech.split() for moment in cut(duration, transcript=timeline.transcript)]
    for moment in heard:
        first = words.index(moment[0]) if moment else 0
        assert words[first : first + len(moment)] == moment
    assert {word for moment in heard for word in moment} == set(words)


@given(timelines())
def test_no_moment_runs_over_the_start_of_a_chapter_of_ten_seconds(made: tuple[float, Timeline]) -> None:
    duration, timeline = made
    moments = cut(duration, transcript=timeline.transcript, chapters=timeline.chapters)
    marks = sorted({0.0, duration, *(round(chapter.start_seconds, 3) for chapter in timeline.chapters)})
    edges = {edge for moment in moments for edge in (moment.start_seconds, moment.end_seconds)}
    for before, mark, after in zip(marks, marks[1:], marks[2:], strict=False):
        if mark - before >= MIN_BLOCK_SECONDS + 0.001 <= after - mark and mark < duration:
            assert mark in edges
            assert not [m for m in moments if m.start_seconds < mark < m.end_seconds]
    named = {title for moment in moments for title in moment.chapter.split(" / ")}
    assert named >= {chapter.title for chapter in timeline.chapters if chapter.start_seconds < duration}


@pytest.mark.parametrize(
    ("segments", "cuts", "first_edge"),
    [
        ([said(0, 5), said(5, 14, "It ends here."), said(14, 19), said(19, 40)], [], 14.0),
        ([said(0, 13), said(15, 19), said(19, 40)], [], 13.0),
        ([said(0, 6), said(6, 17), said(17, 40)], [], 17.0),
        ([], [13.0, 16.5, 19.0], 19.0),
        ([], [], MAX_BLOCK_SECONDS),
        ([said(0, 60, "word " * 30)], [15.0], 20.0),
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
    assert block_edges(0.0, 60.0, *candidate_edges(pieces, cuts))[1] == pytest.approx(first_edge)


@pytest.mark.parametrize(
    ("end", "edges"),
    [(19.0, [0, 19]), (20.0, [0, 20]), (20.5, [0, 10.5, 20.5]), (47.0, [0, 20, 37, 47]), (60.0, [0, 20, 40, 60])],
)
def test_no_block_is_left_shorter_than_ten_seconds(end: float, edges: list[float]) -> None:
    assert block_edges(0.0, end, [], []) == edges


@pytest.mark.parametrize(
    ("starts", "edges"),
    [
        ([], [0, 100]),
        ([0, 40], [0, 40, 100]),
        ([0.3, 40], [0, 40, 100]),
        ([40, 45, 70], [0, 40, 70, 100]),
        ([70, 30], [0, 30, 70, 100]),
        ([5, 95], [0, 100]),
        ([50, 120], [0, 50, 100]),
        (range(0, 100, 2), [*range(0, 100, 10), 100]),
    ],
    ids=["none", "two", "late start", "a short one", "out of order", "short ends", "after the end", "many short ones"],
)
def test_sections_begin_with_chapters_of_ten_seconds(starts: Iterable[float], edges: list[float]) -> None:
    assert section_edges(100.0, [Chapter(start, start, "A chapter") for start in starts]) == edges


@pytest.mark.parametrize(
    ("spans", "changes"),
    [
        ([], []),
        ([shown(0, 30, "One slide"), shown(30, 60, "The next")], [0, 30]),
        ([shown(0, 90, "BBC"), shown(0, 30, "One slide"), shown(30, 60, "The next")], [0, 30]),
        ([shown(0, 90, "First point"), shown(30, 90, "A second and longer point")], [0]),
        ([shown(0, 9, "Title"), shown(40, 60, "A slide after the speaker")], [0, 40]),
    ],
    ids=["nothing", "slides", "a logo stays", "one more line", "from nothing"],
)
def test_a_new_slide_is_a_change_of_screen(spans: list[ScreenText], changes: list[float]) -> None:
    assert list(screen_changes(spans)) == changes


def test_a_video_without_speech_is_cut_where_the_picture_or_the_screen_changes() -> None:
    moments = cut(
        70.0,
        shots=(Shot(0.0, 13.0), Shot(13.0, 70.0)),
        screen_text=(shown(0.0, 31.0, "One slide"), shown(31.0, 70.0, "The next")),
    )
    assert [(moment.start_seconds, moment.end_seconds) for moment in moments] == [(0.0, 51.0), (13.0, 70.0)]


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
        chapters=(Chapter(0.0, 40.0, "Start"), Chapter(40.0, 47.0, "Break"), Chapter(47.0, 100.0, "Finish")),
        descriptions=(
            Description(0.0, 10.0, "A man walks", "description track"),
            Description(90.0, 90.0, "He sits", "description track"),
        ),
    )
    told = [(moment.start_seconds, moment.end_seconds, moment.chapter, moment.description) for moment in moments]
    assert told == [(0.0, 40.0, "Start", "A man walks"), (40.0, 100.0, "Break / Finish", "He sits")]
