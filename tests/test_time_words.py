"""Parts of a video in words: the seconds they mean in videos of different lengths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.time_words import NAMED, Edge, explicit_window, take_windows

HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "duration", "window"),
    [
        ("x in the first five minutes", HOUR, (0, 300)),
        ("x in the first five minutes", 120.0, (0, 120)),
        ("x in the last five minutes", HOUR, (3300, 3600)),
        ("x in the last minute", 30.0, (0, 30)),
        ("x in the last 90 seconds", HOUR, (3510, 3600)),
        ("x in the last couple minutes", HOUR, (3480, 3600)),
        ("x at the start", HOUR, (0, 390)),
        ("x at the very end", HOUR, (3210, 3600)),
        ("x in the middle", HOUR, (1200, 2400)),
        ("x after 10:00", HOUR, (600, 3600)),
        ("x after 10:00", 500.0, None),
        ("x before 1:05:00", HOUR, (0, 3600)),
        ("x between 3:30 and 2:00", HOUR, (120, 210)),
        ("x around minute 12", HOUR, (660, 780)),
        ("x in minute 12", HOUR, (660, 780)),
        ("x before second 40", HOUR, (0, 40)),
        ("x between minutes 2 and 4", HOUR, (120, 240)),
    ],
)
def test_words_mean_seconds(text: str, duration: float, window: tuple[float, float] | None) -> None:
    (found,), rest = take_windows(text, loose=True, speaks_of_videos=False)
    assert found.of(duration) == (pytest.approx(window) if window else None)
    assert rest == "x"


@pytest.mark.parametrize("value", ["noon", "", "-", "10", "1:75", "2:00-3:30-4:00"])
def test_a_time_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="unknown time"):
        explicit_window(value)


@given(st.sampled_from(sorted(NAMED)), st.floats(0, 1e5))
def test_a_named_part_lies_in_the_video(name: str, duration: float) -> None:
    window = NAMED[name].of(duration)
    assert window is None or 0 <= window[0] < window[1] <= duration


def test_a_part_beyond_the_whole_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        Edge(1.5)
