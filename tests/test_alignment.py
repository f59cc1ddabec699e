"""The ranges that two videos share: copies, cuttings, other words, other pictures, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ingest.schema import Keyframe, Shot, Timeline, TranscriptSegment
from retrievers.alignment import AlignedRange, align, best_run, track_of

CUE_SECONDS, CUE_WORDS, SCENE_SECONDS = 4.0, 10, 8.0
BLACK = 1 << 63


def speech(seed: int, seconds: float) -> tuple[TranscriptSegment, ...]:
    """Cues of ten words of a vocabulary of 2,000, as many of which come often as in speech."""
    chance = np.random.default_rng(seed)
    ranks = np.minimum(chance.zipf(1.2, (int(seconds / CUE_SECONDS), CUE_WORDS)), 2000)
    return tuple(
        TranscriptSegment(
            n * CUE_SECONDS, (n + 1) * CUE_SECONDS, " ".join(f"word{w}" for w in row), "speech recogniser"
        )
        for n, row in enumerate(ranks)
    )


def pictures(seed: int, seconds: float) -> tuple[tuple[Keyframe, ...], tuple[Shot, ...]]:
    """A new scene every eight seconds, with hashes that have 32 bits set."""
    chance = np.random.default_rng(seed)
    starts = np.arange(0.0, seconds, SCENE_SECONDS).tolist()
    hashes = [sum(1 << int(bit) for bit in chance.permutation(64)[:32]) for _ in starts]
    frames = tuple(Keyframe(start, bits) for start, bits in zip(starts, hashes, strict=True))
    return frames, tuple(Shot(start, min(start + SCENE_SECONDS, seconds)) for start in starts)


def film(seed: int, seconds: float = 120.0, *, spoken: bool = True, seen: bool = True) -> Timeline:
    frames, shots = pictures(seed, seconds) if seen else ((), ())
    return Timeline(transcript=speech(seed, seconds) if spoken else (), keyframes=frames, shots=shots)


def cut(timeline: Timeline, start: float, end: float, to: float = 0.0) -> Timeline:
    """What of a film lies in start..end, moved so that it begins at `to`; its first picture is kept anew."""
    shift = to - start
    standing = [frame for frame in timeline.keyframes if frame.time_seconds <= start][-1:]
    frames = [replace(frame, time_seconds=to) for frame in standing]
    frames += [
        replace(f, time_seconds=f.time_seconds + shift) for f in timeline.keyframes if start < f.time_seconds < end
    ]
    cues = [s for s in timeline.transcript if start <= s.start_seconds and s.end_seconds <= end]
    shots = [s for s in timeline.shots if start < s.start_seconds < end]
    return Timeline(
        transcript=tuple(
            replace(s, start_seconds=s.start_seconds + shift, end_seconds=s.end_seconds + shift) for s in cues
        ),
        keyframes=tuple(frames),
        shots=(Shot(to, to), *(Shot(s.start_seconds + shift, s.start_seconds + shift) for s in shots)),
    )


def joined(*parts: Timeline) -> Timeline:
    return Timeline(
        transcript=tuple(s for part in parts for s in part.transcript),
        keyframes=tuple(f for part in parts for f in part.keyframes),
        shots=tuple(s for part in parts for s in part.shots),
    )


def misheard(timeline: Timeline, share: float) -> Timeline:
    """The same with so many of its words replaced."""
    chance = np.random.default_rng(5)
    heard = [
        replace(
            s, text=" ".join(f"noise{chance.integers(999)}" if chance.random() < share else w for w in s.text.split())
        )
        for s in timeline.transcript
    ]
    return replace(timeline, transcript=tuple(heard))


def blurred(timeline: Timeline, bits: int) -> Timeline:
    """The same with so many bits of each picture's hash turned."""
    chance = np.random.default_rng(6)
    turned = [sum(1 << int(bit) for bit in chance.permutation(64)[:bits]) for _ in timeline.keyframes]
    frames = zip(timeline.keyframes, turned, strict=True)
    return replace(
        timeline, keyframes=tuple(replace(f, perceptual_hash=f.perceptual_hash ^ mask) for f, mask in frames)
    )


def aligned(one: Timeline, one_seconds: float, other: Timeline, other_seconds: float) -> list[AlignedRange]:
    return align(track_of(one, one_seconds), track_of(other, other_seconds))


def spans(found: Sequence[AlignedRange]) -> list[tuple[float, ...]]:
    return [(r.start_seconds, r.end_seconds, r.other_start_seconds, r.other_end_seconds) for r in found]


FILM = film(1)
COPIES = {
    "the same": (FILM, 120.0, FILM),
    "a poor recogniser and encoding": (blurred(misheard(FILM, 0.5), 8), 120.0, FILM),
    "without speech": (replace(FILM, transcript=()), 120.0, FILM),
    "other speech": (replace(FILM, transcript=speech(9, 120.0)), 120.0, FILM),
    "without pictures": (film(1, seen=False), 120.0, film(1, seen=False)),
    "a word of two misheard, no pictures": (misheard(film(1, seen=False), 0.5), 120.0, film(1, seen=False)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_aligned_from_end_to_end(name: str) -> None:
    one, seconds, other = COPIES[name]
    (found,) = aligned(one, seconds, other, 120.0)
    assert spans([found]) == [pytest.approx((0.0, 120.0, 0.0, 120.0), abs=0.5)]


@pytest.mark.parametrize("spoken", [True, False])
def test_a_cutting_is_found_at_its_place(spoken: bool) -> None:
    whole = film(1, spoken=spoken)
    found = aligned(blurred(cut(whole, 37.0, 77.0), 6), 40.0, whole, 120.0)
    assert spans(found) == [pytest.approx((0.0, 40.0, 37.0, 77.0), abs=0.6)]


def test_two_films_in_one_give_a_range_each() -> None:
    first, second = film(1), film(2)
    both = joined(cut(first, 8.0, 48.0), cut(second, 60.0, 100.0, to=40.0))
    assert spans(aligned(both, 80.0, first, 120.0)) == [pytest.approx((0.0, 40.0, 8.0, 48.0), abs=1.0)]
    assert spans(aligned(both, 80.0, second, 120.0)) == [pytest.approx((40.0, 80.0, 60.0, 100.0), abs=1.0)]


def test_a_film_cut_up_and_put_together_in_another_order() -> None:
    shuffled = joined(cut(FILM, 80.0, 120.0), cut(FILM, 0.0, 40.0, to=40.0))
    assert spans(aligned(shuffled, 80.0, FILM, 120.0)) == [
        pytest.approx((0.0, 40.0, 80.0, 120.0), abs=1.0),
        pytest.approx((40.0, 80.0, 0.0, 40.0), abs=1.0),
    ]


def test_other_films_share_nothing() -> None:
    films = [film(seed) for seed in range(10, 17)]
    found = [aligned(one, 120.0, other, 120.0) for one in films for other in films if one is not other]
    assert not any(found)


def test_black_pictures_and_one_still_align_nothing() -> None:
    black = [
        replace(FILM, transcript=speech(seed, 120.0), keyframes=tuple(Keyframe(t, BLACK) for t in (0.0, 40.0, 80.0)))
        for seed in (1, 2)
    ]
    assert not aligned(black[0], 120.0, black[1], 120.0)
    still = [
        replace(FILM, transcript=speech(seed, 120.0), keyframes=FILM.keyframes[:1], shots=FILM.shots[:1])
        for seed in (1, 2)
    ]
    assert not aligned(still[0], 120.0, still[1], 120.0)


def test_two_empty_videos_share_nothing() -> None:
    assert not aligned(Timeline(), 0.0, FILM, 120.0)
    assert not aligned(FILM, 120.0, Timeline(), 0.0)


def test_the_best_run_is_the_one_with_the_largest_sum() -> None:
    assert best_run(np.array([-1.0, 2.0, -1.0, 3.0, -9.0, 3.5])) == (1, 4, 4.0)
    assert best_run(np.array([2.0, -np.inf, 1.0])) == (0, 1, 2.0)
    assert best_run(np.array([-1.0, -np.inf]))[2] == 0.0


def test_a_range_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="start < end"):
        AlignedRange(3.0, 3.0, 1.0, 1.0, None, None)
