"""Describing the pictures of a video: which, in what order, how it ends, and what is not asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.checkpoint import Checkpoint, StageLog
from ingest.descriptions import describe_frames, said_around, spread_order
from ingest.schema import Description, PlayheadError, TranscriptSegment


class NamingDescriber:
    """Describes a picture by its file name, at 100 tokens each; some it declines, and at one it fails."""

    name = "namer"

    def __init__(self, tokens: int = 10_000, declines: Sequence[str] = (), fails_at: str | None = None) -> None:
        self.tokens_left = tokens
        self.asked: list[tuple[str, str]] = []
        self._declines = declines
        self._fails_at = fails_at

    def describe(self, picture: Path, said: str) -> str:
        """What the name says."""
        self.asked.append((picture.stem, said))
        if picture.stem == self._fails_at:
            raise PlayheadError("The endpoint is down. Start it.")
        self.tokens_left -= 100
        return "" if picture.stem in self._declines else f"A {picture.stem}."


NAMES = ("cat", "dog", "fox", "hen", "owl")
FRAMES = {position * 10.0: Path(f"{name}.jpg") for position, name in enumerate(NAMES)}
DURATION = 47.5


@pytest.fixture
def log(tmp_path: Path) -> StageLog:
    return Checkpoint(tmp_path / "work").log("descriptions", "namer")


def test_each_picture_is_told_until_the_next(log: StageLog) -> None:
    described, warning = describe_frames(NamingDescriber(), FRAMES, (), DURATION, log)
    assert warning is None
    assert [(d.start_seconds, d.end_seconds, d.text) for d in described] == [
        (0.0, 10.0, "A cat."),
        (10.0, 20.0, "A dog."),
        (20.0, 30.0, "A fox."),
        (30.0, 40.0, "A hen."),
        (40.0, 47.5, "A owl."),
    ]
    assert {d.source for d in described} == {"vision model"}


@pytest.mark.parametrize("frames", [{}, {50.0: Path("late.jpg")}])
def test_no_picture_and_one_beyond_the_end_are_taken_as_they_are(frames: dict[float, Path], log: StageLog) -> None:
    described, warning = describe_frames(NamingDescriber(), frames, (), DURATION, log)
    assert [(d.start_seconds, d.end_seconds) for d in described] == [(seconds, seconds) for seconds in frames]
    assert warning is None


def test_a_budget_that_is_too_small_is_spread_over_the_video(log: StageLog) -> None:
    describer = NamingDescriber(tokens=250)
    described, warning = describe_frames(describer, FRAMES, (), DURATION, log)
    assert [d.start_seconds for d in described] == [0.0, 20.0, 40.0]
    assert [d.end_seconds for d in described] == [10.0, 30.0, 47.5]
    assert warning == (
        "descriptions: 2 of 5 pictures are not described. The budget of this run is used up; PLAYHEAD_DESCRIBE_TOKENS "
        "sets it. To go on: playhead reindex --channel description"
    )


def test_without_a_budget_nothing_is_asked(log: StageLog) -> None:
    describer = NamingDescriber(tokens=0)
    described, warning = describe_frames(describer, FRAMES, (), DURATION, log)
    assert described == () and describer.asked == []
    assert warning and warning.startswith("descriptions: 5 of 5 pictures")


def test_a_failure_in_the_middle_keeps_what_was_described(log: StageLog) -> None:
    described, warning = describe_frames(NamingDescriber(fails_at="fox"), FRAMES, (), DURATION, log)
    assert [d.text for d in described] == ["A cat.", "A owl."]
    assert warning and warning.startswith(
        "descriptions: 3 of 5 pictures are not described. The endpoint is down. Start it. To go on: playhead reindex"
    )


def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "work")
    describe_frames(
        NamingDescriber(fails_at="dog", declines=["owl"]), FRAMES, (), DURATION, checkpoint.log("descriptions", "namer")
    )
    after = NamingDescriber()
    described, warning = describe_frames(after, FRAMES, (), DURATION, checkpoint.log("descriptions", "namer"))
    assert [name for name, _ in after.asked] == ["dog", "hen"]
    assert [d.text for d in described] == ["A cat.", "A dog.", "A fox.", "A hen."] and warning is None
    other = NamingDescriber()
    describe_frames(other, FRAMES, (), DURATION, checkpoint.log("descriptions", "another model"))
    assert len(other.asked) == 5


def test_known_descriptions_are_taken_up(log: StageLog) -> None:
    known = [Description(20.0, 30.0, "An old fox.", "vision model"), Description(5.0, 9.0, "Gone.", "vision model")]
    describer = NamingDescriber()
    described, _ = describe_frames(describer, FRAMES, (), DURATION, log, known)
    assert [d.text for d in described] == ["A cat.", "A dog.", "An old fox.", "A hen.", "A owl."]
    assert "fox" not in [name for name, _ in describer.asked]


def said(start: float, end: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start, end, text, "sidecar captions")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, "one"), (5.0, "one two"), (8.0, "one two"), (11.5, "two three"), (30.0, "three"), (41.0, "")],
)
def test_what_is_said_around_a_picture(seconds: float, expected: str) -> None:
    spoken = [said(0, 4, "one"), said(8, 10, "two"), said(16, 36, "three")]
    assert said_around(spoken, seconds) == expected


def test_of_a_long_segment_the_model_is_told_the_part_around_the_picture(log: StageLog) -> None:
    describer = NamingDescriber()
    speech = said(0, 100, " ".join(f"word{n}" for n in range(100)))
    describe_frames(describer, {50.0: Path("cat.jpg")}, [speech], 100.0, log)
    words = describer.asked[0][1].split()
    assert "word50" in words and len(words) < 40 and "word20" not in words and "word80" not in words


@given(st.integers(1, 300), st.data())
def test_the_beginning_of_the_order_is_spread(count: int, data: st.DataObject) -> None:
    times = [float(position) for position in range(count)]
    order = spread_order(times)
    assert sorted(order) == times
    reached = data.draw(st.integers(1, count))
    edges = [*sorted(order[:reached]), float(count)]
    assert edges[0] == 0.0
    # Halving doubles a gap, and a count that is no power of two doubles it once more.
    assert max(b - a for a, b in zip(edges, edges[1:], strict=False)) <= 4 * count / reached
