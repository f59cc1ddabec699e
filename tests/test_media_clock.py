"""The clock of a media file, on packets whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.media_clock import Clock

MILLISECOND = Fraction(1, 1000)
VIDEO, SOUND, TEXT = (
    SimpleNamespace(index=index, type=kind, time_base=MILLISECOND)
    for index, kind in enumerate(("video", "audio", "subtitle"))
)


def packet(stream: Any, seconds: float | None, lasts: float = 0.1) -> Any:
    stamp = None if seconds is None else round(seconds * 1000)
    return SimpleNamespace(stream=stream, stream_index=stream.index, pts=stamp, dts=stamp, duration=round(lasts * 1000))


def times(clock: Clock, packets: Sequence[Any]) -> list[float | None]:
    for one in packets:
        clock.set_right(one)
    return [clock.packet_seconds(one) for one in packets]


def test_times_count_from_the_start_of_the_file() -> None:
    clock = Clock(5.0, 100.0)
    assert times(clock, [packet(VIDEO, seconds) for seconds in (5.0, 5.1, 5.2)]) == pytest.approx([0.0, 0.1, 0.2])
    assert clock.end_seconds == pytest.approx(0.3)
    assert clock.jumps == []


def test_what_follows_a_jump_back_comes_after_all_that_was_seen() -> None:
    clock = Clock(1.4, 100.0)
    packets = [
        packet(VIDEO, 1.4), packet(SOUND, 1.4), packet(VIDEO, 6.4), packet(SOUND, 7.3),
        packet(VIDEO, 1.4), packet(SOUND, 7.4), packet(SOUND, 1.5), packet(VIDEO, 2.4),
    ]  # fmt: skip
    # The last packet of sound comes out late, after the first picture of the second part, and still belongs to the first.
    assert times(clock, packets) == pytest.approx([0.0, 0.0, 5.0, 5.9, 6.0, 6.0, 6.1, 7.0])
    assert clock.jumps == pytest.approx([6.0])


@pytest.mark.parametrize(
    ("name", "seconds", "jumps"),
    [
        ("B-frames without decoding times", (0.0, 0.3, 0.1, 0.2, 0.6), 0),
        ("a gap", (0.0, 0.1, 50.0, 50.1), 0),
        ("one stray time, far ahead", (0.0, 0.1, 80.0, 0.2, 0.3), 0),
        ("beyond the file", (0.0, 0.1, 500.0, 0.2), 0),
        ("three parts", (0.0, 2.0, 4.0, 0.0, 2.0, 4.0, 0.0), 2),
        ("no times at all", (None, None), 0),
    ],
)
def test_what_is_a_jump(name: str, seconds: Sequence[float | None], jumps: int) -> None:
    clock = Clock(0.0, 100.0)
    times(clock, [packet(VIDEO, second) for second in seconds])
    assert len(clock.jumps) == jumps, name


def test_subtitles_out_of_order_begin_no_part_but_follow_into_one() -> None:
    clock = Clock(0.0, 100.0)
    assert times(clock, [packet(TEXT, 9.0), packet(TEXT, 3.0)]) == [9.0, 3.0]
    packets = [packet(VIDEO, 0.0), packet(VIDEO, 10.0), packet(TEXT, 9.0), packet(VIDEO, 0.0), packet(TEXT, 1.0)]
    assert times(clock, packets)[-2:] == pytest.approx([10.1, 11.1])


def test_times_outside_the_file_are_missing() -> None:
    clock = Clock(0.0, 10.0)
    assert times(clock, [packet(VIDEO, second) for second in (1.0, 11.0, -11.0)]) == [1.0, None, None]
    assert clock.end_seconds == pytest.approx(1.1)


@given(st.lists(st.lists(st.integers(0, 30_000), min_size=2, max_size=20), min_size=1, max_size=4))
def test_joined_parts_never_overlap_and_never_pass_the_limit(parts: list[list[int]]) -> None:
    clock, ends = Clock(0.0, 40.0, 100.0), [0.0]
    for part in parts:
        begin = clock.end_seconds
        found = [
            time for time in times(clock, [packet(VIDEO, stamp / 1000) for stamp in sorted(part)]) if time is not None
        ]
        if len(clock.jumps) == len(ends):
            assert all(time >= begin - 0.001 for time in found)
            ends.append(begin)
        assert all(time <= 100.0 for time in found)
    assert clock.end_seconds <= 100.0
