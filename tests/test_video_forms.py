"""What is told of a video: what each channel covers, what it missed, and what else is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.video_forms import MAP_COLUMNS, coverage, coverage_map, gaps, timeline_json, timeline_text, videos_text
from ingest.schema import Chapter, Description, Job, Keyframe, ScreenText, Timeline, TranscriptSegment, Video

VIDEO = Video("local", "abcdef123456", "Two \x1b[31mtalks", 60.0, "f", paths=("/a.mp4",), warnings=("damaged",))
TIMELINE = Timeline(
    transcript=(TranscriptSegment(0.0, 30.0, "hello", "sidecar captions", "en", None, "Ann"),),
    other_transcripts=(TranscriptSegment(0.0, 30.0, "hallo", "sidecar captions", "de"),) * 2,
    chapters=(Chapter(0.0, 60.0, "Start"),),
    descriptions=(Description(40.0, 50.0, "a wall", "tags"),),
    screen_text=(ScreenText(10.0, 20.0, "EXIT", 0.9),),
    keyframes=(Keyframe(0.0, 1),),
    channels=(("speech", "sidecar captions"), ("screen", "a reader")),
)
SPANS = st.lists(st.tuples(st.floats(0, 90), st.floats(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1])))


@pytest.mark.parametrize(
    ("spans", "share", "missed"),
    [
        ([], 0.0, [(0.0, 100.0)]),
        ([(0.0, 100.0)], 1.0, []),
        ([(10.0, 20.0), (15.0, 40.0), (90.0, 130.0)], 0.4, [(0.0, 10.0), (40.0, 90.0)]),
        ([(0.5, 100.0)], 0.995, []),
    ],
    ids=["nothing", "all", "overlaps and a span beyond the end", "a gap too short to tell"],
)
def test_what_is_covered_and_missed(
    spans: list[tuple[float, float]], share: float, missed: list[tuple[float, float]]
) -> None:
    assert coverage(spans, 100.0) == share
    assert gaps(spans, 100.0) == missed


@given(SPANS)
def test_coverage_and_gaps_agree(spans: list[tuple[float, float]]) -> None:
    share, missed = coverage(spans, 100.0), sum(end - start for start, end in gaps(spans, 100.0))
    assert 0.0 <= share <= 1.0
    assert share * 100.0 + missed <= 100.1
    assert set(coverage_map(spans, 100.0)) <= {"#", "."}
    assert len(coverage_map(spans, 100.0)) == MAP_COLUMNS


def test_the_map_shows_where_something_was_heard() -> None:
    assert coverage_map([(0.0, 50.0)], 100.0) == "#" * (MAP_COLUMNS // 2) + "." * (MAP_COLUMNS // 2)


def test_a_timeline_for_people_tells_all_and_steers_no_terminal() -> None:
    text = timeline_text(VIDEO, TIMELINE)
    for told in (
        "Ann: hello",
        "[screen] EXIT",
        "[tags] a wall",
        "## Start",
        "sidecar captions, de: 2 segments",
        "damaged",
    ):
        assert told in text
    assert "\x1b" not in text
    assert "a reader" in text


def test_a_timeline_for_programs_has_the_gaps_of_each_channel() -> None:
    told = timeline_json(VIDEO, TIMELINE)
    assert told["gaps"]["speech"] == [(30.0, 60.0)]
    assert told["coverage"]["screen"] == pytest.approx(1 / 6, abs=0.001)
    assert told["chapters"] == [{"start_seconds": 0.0, "end_seconds": 60.0, "title": "Start"}]
    assert [segment["language"] for segment in told["other_transcripts"]] == ["de", "de"]


def test_files_that_are_not_in_the_library_are_listed() -> None:
    jobs = [Job("/b.mp4", "1", 0.0), Job("/c.mp4", "2", 0.0, "no frames")]
    assert videos_text([], jobs).splitlines() == [
        "unfinished: /b.mp4  (being read, or interrupted: ingest it again to go on)",
        "failed: /c.mp4  (no frames)",
    ]
