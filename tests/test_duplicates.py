"""Copies are told from other videos of the same length."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from clips import Scene, make_clip

from ingest.duplicates import duration_range, shows_the_same
from ingest.media import decode_media
from ingest.schema import Keyframe, Timeline, TranscriptSegment

PICTURES = tuple(Keyframe(4.0 * n, random.Random(n).getrandbits(64)) for n in range(12))


def transcript(seed: int, words: int = 80) -> tuple[TranscriptSegment, ...]:
    chosen = random.Random(seed).choices([f"w{n}" for n in range(500)], k=words)
    return (TranscriptSegment(0.0, 40.0, " ".join(chosen), "speech recogniser"),)


def noisy(frames: tuple[Keyframe, ...], bits: int, shift: float = 0.0) -> tuple[Keyframe, ...]:
    flips = random.Random(1)
    return tuple(
        Keyframe(f.time_seconds + shift, f.perceptual_hash ^ sum(1 << b for b in flips.sample(range(64), bits)))
        for f in frames
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Timeline(keyframes=PICTURES), Timeline(keyframes=noisy(PICTURES, 5)), True),
        (Timeline(keyframes=PICTURES), Timeline(keyframes=noisy(PICTURES, 5, 0.5)), True),
        (Timeline(keyframes=PICTURES), Timeline(keyframes=noisy(PICTURES, 16)), False),
        (Timeline(keyframes=PICTURES), Timeline(keyframes=noisy(PICTURES, 0, 20.0)), False),
        (Timeline(keyframes=PICTURES[:1] * 12), Timeline(keyframes=PICTURES[:1] * 12), False),
        (Timeline(transcript=transcript(1)), Timeline(transcript=transcript(1)), True),
        (Timeline(transcript=transcript(1)), Timeline(transcript=transcript(2)), False),
        (Timeline(transcript=transcript(1, 9)), Timeline(transcript=transcript(1, 9)), False),
        (Timeline(transcript(1), keyframes=PICTURES), Timeline(transcript(2), keyframes=PICTURES), False),
        (Timeline(), Timeline(), False),
    ],
    ids=[
        "another encoding", "half a second late", "other pictures", "pictures at other times", "one still picture",
        "the same words", "other words", "too few words", "the same pictures told anew", "nothing",
    ],
)  # fmt: skip
def test_which_timelines_show_the_same(one: Timeline, other: Timeline, same: bool) -> None:
    assert shows_the_same(one, other) is same
    assert shows_the_same(other, one) is same


def test_a_smaller_copy_in_another_codec_is_one(tmp_path: Path) -> None:
    scenes = [Scene(2.0, number) for number in range(1, 6)]
    timelines = []
    for name, options in (("a.mp4", {}), ("b.webm", {"video_codec": "libvpx-vp9", "size": (192, 144)})):
        make_clip(tmp_path / name, scenes, **options)
        media = decode_media(tmp_path / name, tmp_path / f"{name}.work")
        timelines.append(Timeline(keyframes=tuple(Keyframe(f.time_seconds, f.perceptual_hash) for f in media.frames)))
    assert shows_the_same(*timelines)


def test_a_copy_may_last_a_second_longer() -> None:
    least, most = duration_range(30.0)
    assert least < 29.5 < 30.5 < most < 32
