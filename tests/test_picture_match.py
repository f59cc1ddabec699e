"""Pictures that are the same are found to be, whatever a player did to them; others are not."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.picture_variants import VARIANTS
from retrievers.frame_corners import CORNERS_FILE, frame_corners
from retrievers.picture_match import (
    FRAME_CORNERS,
    FRAME_SIDE_PIXELS,
    QUERY_CORNERS,
    QUERY_SIDE_PIXELS,
    Corners,
    Grey,
    agreement,
    align,
    at_side,
    corners_of,
    is_plausible,
    votes,
)


def scene(seed: int) -> Image.Image:
    """Structure of several sizes."""
    numbers = np.random.default_rng(seed)
    total = np.zeros((360, 640, 3), np.float32)
    for columns, weight in ((4, 0.4), (16, 0.3), (64, 0.3)):
        small = Image.fromarray(numbers.integers(0, 256, (columns * 9 // 16, columns, 3), dtype=np.uint8))
        total += weight * np.asarray(small.resize((640, 360), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(total.astype(np.uint8))


def grey(picture: Image.Image, side: int) -> Grey:
    return at_side(np.asarray(picture.convert("L")), side)


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [scene(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def held(scenes: list[Image.Image]) -> list[Corners]:
    return [corners_of(grey(picture, FRAME_SIDE_PIXELS), FRAME_CORNERS) for picture in scenes]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_changed_picture_lies_on_its_own(variant: str, scenes: list[Image.Image], held: list[Corners]) -> None:
    asked = grey(VARIANTS[variant](scenes[2], random.Random(5)), QUERY_SIDE_PIXELS)
    corners = corners_of(asked, QUERY_CORNERS)
    assert int(np.argmax(votes(corners, held))) == 2
    alignment = align(corners, held[2])
    assert alignment is not None
    assert alignment.inliers >= 12
    assert agreement(asked, grey(scenes[2], FRAME_SIDE_PIXELS), alignment.matrix) > 0.5


def test_another_picture_does_not_lie_on_it(scenes: list[Image.Image], held: list[Corners]) -> None:
    asked = grey(scenes[0], QUERY_SIDE_PIXELS)
    alignment = align(corners_of(asked, QUERY_CORNERS), held[1])
    assert alignment is None or alignment.inliers < 8


def test_a_shared_logo_is_not_the_same_picture(scenes: list[Image.Image]) -> None:
    logo = scene(9).resize((200, 112))
    first, second = (picture.copy() for picture in scenes[:2])
    first.paste(logo, (20, 20))
    second.paste(logo, (20, 20))
    asked, shown = grey(first, QUERY_SIDE_PIXELS), grey(second, FRAME_SIDE_PIXELS)
    alignment = align(corners_of(asked, QUERY_CORNERS), corners_of(shown, FRAME_CORNERS))
    assert alignment is not None, "the logo alone aligns"
    assert agreement(asked, shown, alignment.matrix) < 0.3


SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=np.float32)


@pytest.mark.parametrize(
    ("matrix", "plausible"),
    [
        (np.eye(3), True),
        (np.diag([2.0, 2.0, 1.0]), True),
        (np.array([[0.99, -0.09, 5], [0.09, 0.99, 3], [0, 0, 1.0]]), True),  # 5 degrees
        (np.diag([-1.0, 1.0, 1.0]), False),  # mirrored
        (np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), False),  # turned by 90 degrees
        (np.diag([4.0, 1.0, 1.0]), False),  # stretched
        (np.diag([0.01, 0.01, 1.0]), False),  # shrunk to a dot
        (np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1.0]]), False),  # folded over the horizon
        (np.zeros((3, 3)), False),
        (np.full((3, 3), np.nan), False),
    ],
)
def test_plausible_homographies(matrix: np.ndarray, plausible: bool) -> None:
    assert is_plausible(matrix, SQUARE) is plausible


def test_plain_pictures_have_no_corners_and_no_votes(held: list[Corners]) -> None:
    plain = corners_of(np.zeros((360, 640), np.uint8), QUERY_CORNERS)
    assert len(plain) == 0
    assert votes(plain, held).tolist() == [0.0] * len(held)
    assert align(plain, held[0]) is None
    assert align(held[0], plain) is None


def test_one_pixel() -> None:
    assert len(corners_of(at_side(np.zeros((1, 1), np.uint8), QUERY_SIDE_PIXELS), QUERY_CORNERS)) == 0


def test_corners_refuse_points_without_bits() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        Corners(np.zeros((3, 2), np.float32), np.zeros((2, 32), np.uint8))


def test_corners_are_found_once_and_kept_beside_the_frames(tmp_path: Path, scenes: list[Image.Image]) -> None:
    frames = [tmp_path / name for name in ("000000000.jpg", "000001000.jpg", "000002000.jpg")]
    for frame, picture in zip(frames, (scenes[0], Image.new("RGB", (64, 36)), scenes[1]), strict=True):
        picture.save(frame, quality=90)
    first = frame_corners(frames)
    assert [len(corners) > 0 for corners in first] == [True, False, True]
    store = tmp_path / CORNERS_FILE
    written = store.stat().st_mtime_ns
    again = frame_corners(frames)
    assert store.stat().st_mtime_ns == written
    for before, after in zip(first, again, strict=True):
        assert np.array_equal(before.points, after.points)
        assert np.array_equal(before.bits, after.bits)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY damaged", b"x" * 100])
def test_a_damaged_corners_file_is_made_again(tmp_path: Path, scenes: list[Image.Image], content: bytes) -> None:
    frame = tmp_path / "000000000.jpg"
    scenes[0].save(frame)
    (tmp_path / CORNERS_FILE).write_bytes(content)
    assert len(frame_corners([frame])[0]) > 100
    assert (tmp_path / CORNERS_FILE).read_bytes() != content


def test_a_lost_frame_has_no_corners(tmp_path: Path) -> None:
    assert [len(corners) for corners in frame_corners([tmp_path / "000000000.jpg"])] == [0]
