"""Geometric verification: whether two pictures show the same, by their ORB corners and one homography between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
"""A picture's brightness, (height, width)."""
Matrix = NDArray[np.float64]

# A screenshot may hold the picture small among other things, so it is looked at larger and with more corners.
FRAME_SIDE_PIXELS, FRAME_CORNERS = 640, 400
QUERY_SIDE_PIXELS, QUERY_CORNERS = 800, 800
# OpenCV's default of 20 finds no corners in the flat colours of drawn slides.
CORNER_CONTRAST = 10
DESCRIPTOR_BYTES, KEY_VALUES = 32, 1 << 16
# Lowe's ratio test; 256 bits, of which unrelated corners share half.
MAX_RATIO, MAX_BITS = 0.8, 70
MIN_MATCHES = 6
MAX_REPROJECTION_PIXELS = 4.0
# Corners of one blob count once.
CELL_PIXELS = 4
MAX_ROTATION_DEGREES, MAX_TAPER, MAX_STRETCH = 20.0, 1.4, 1.7
MIN_SCALE, MAX_SCALE = 0.12, 4.0
AGREEMENT_SIDE_PIXELS, BLOCK_PIXELS, LEAST_BLUR_PIXELS = 320, 16, 0.8
# Below this spread of grey values a block is plain; two plain blocks say nothing.
PLAIN_SPREAD = 4.0
MIN_BLOCKS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """The corners of a picture: points (n, 2) in pixels of the picture at its standard size, descriptors (n, 32)."""

    points: NDArray[np.float32]
    bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.points.shape != (len(self.bits), 2) or self.bits.shape[1:] != (DESCRIPTOR_BYTES,):
            raise ValueError(f"corners need points (n, 2) and bits (n, 32), got {self.points.shape}, {self.bits.shape}")

    def __len__(self) -> int:
        return len(self.bits)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """How a query picture lies on a frame: corners that fit one homography, and the homography from query to frame."""

    inliers: int
    matrix: Matrix


def at_side(grey: Grey, side_pixels: int) -> Grey:
    """The picture with its longer side at a standard size."""
    import cv2

    height, width = grey.shape
    scale = side_pixels / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized: Grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized


def corners_of(grey: Grey, count: int) -> Corners:
    """The strongest ORB corners (Rublee et al. 2011) of a picture at its standard size; none in a plain picture."""
    import cv2

    finder = cv2.ORB.create(nfeatures=count, fastThreshold=CORNER_CONTRAST)
    found, bits = finder.detectAndCompute(grey, None)
    points = np.array([corner.pt for corner in found], dtype=np.float32).reshape(-1, 2)
    return Corners(points, np.zeros((0, DESCRIPTOR_BYTES), np.uint8) if bits is None else bits)


def votes(query: Corners, frames: Sequence[Corners]) -> NDArray[np.float64]:
    """How likely each frame shows the query, (frames,): shared 16-bit parts of descriptors, rare ones counting more.

    Every descriptor is 16 keys of 16 bits; true matches differ in 30 to 50 of 256 bits and share one to three keys.
    """
    sizes = np.array([len(frame) for frame in frames])
    if not len(query) or not sizes.sum():
        return np.zeros(len(frames))
    owner = np.repeat(np.arange(len(frames)), sizes)
    asked, held = _keys(query.bits), _keys(np.concatenate([frame.bits for frame in frames]))
    total = np.zeros(len(frames))
    for part in range(held.shape[1]):
        in_query = np.bincount(asked[:, part], minlength=KEY_VALUES)
        in_frames = np.bincount(held[:, part], minlength=KEY_VALUES)
        weight = (in_query > 0) / ((in_frames + 1.0) * np.maximum(in_query, 1))
        total += np.bincount(owner, weights=weight[held[:, part]], minlength=len(frames))
    shared: NDArray[np.float64] = total / np.sqrt(sizes + 50.0)
    return shared


def _keys(bits: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.ascontiguousarray(bits).view(np.uint16)


def align(query: Corners, frame: Corners) -> Alignment | None:
    """The homography that most corners agree on; None when there is none that a camera or a player could have made."""
    import cv2

    if len(query) < 2 or len(frame) < MIN_MATCHES:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(frame.bits, query.bits, k=2)
    good = [(a.queryIdx, a.trainIdx) for a, b in pairs if a.distance < MAX_RATIO * b.distance and a.distance < MAX_BITS]
    if len(good) < MIN_MATCHES:
        return None
    on_frame, on_query = (np.array(indexes) for indexes in zip(*good, strict=True))
    source, target = query.points[on_query], frame.points[on_frame]
    matrix, fits = cv2.findHomography(source, target, cv2.USAC_MAGSAC, MAX_REPROJECTION_PIXELS)
    if matrix is None or not is_plausible(matrix, source[fits.ravel() > 0]):
        return None
    cells = {tuple(cell) for side in (source, target) for cell in (side[fits.ravel() > 0] // CELL_PIXELS).astype(int)}
    return Alignment(len(cells) // 2, matrix)


def is_plausible(matrix: Matrix, points: NDArray[np.float32]) -> bool:
    """Whether a homography only scales, crops and tilts a little around these points: never mirrors, turns or folds."""
    if len(points) < 4:
        return False
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    if right - left < 1 or bottom - top < 1:
        return False
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]])
    mapped = corners @ matrix.T
    if not np.isfinite(mapped).all() or mapped[:, 2].min() <= 0:
        return False
    box = mapped[:, :2] / mapped[:, 2:]
    sides = np.roll(box, -1, axis=0) - box
    lengths = np.hypot(*sides.T)
    if lengths.min() < 1 or sides[0, 0] <= 0 or sides[1, 1] <= 0:
        return False
    across, down = lengths[0::2] / (right - left), lengths[1::2] / (bottom - top)
    turned = np.degrees(np.abs([np.arctan2(sides[0, 1], sides[0, 0]), np.arctan2(-sides[1, 0], sides[1, 1])]))
    tapers = (across.max() / across.min(), down.max() / down.min())
    stretch = across.mean() / down.mean()
    scales = (across.min(), down.min(), across.max(), down.max())
    return bool(
        turned.max() <= MAX_ROTATION_DEGREES
        and max(tapers) <= MAX_TAPER
        and 1 / MAX_STRETCH <= stretch <= MAX_STRETCH
        and min(scales) >= MIN_SCALE
        and max(scales) <= MAX_SCALE
    )


def agreement(query: Grey, frame: Grey, matrix: Matrix) -> float:
    """How alike the pictures are where one lies on the other, -1..1: the mean correlation of their blocks.

    Both pictures at their standard sizes, `matrix` from query to frame. Blocks that are plain in both say nothing, one
    that is plain in one only disagrees; so a shared logo or slide template is not yet the same picture.
    """
    import cv2

    small = at_side(frame, AGREEMENT_SIDE_PIXELS)
    height, width = small.shape
    shrink = np.diag([width / frame.shape[1], height / frame.shape[0], 1.0]) @ matrix
    # Blurred as much as it shrinks, so that fine detail does not turn into noise.
    blur = max(LEAST_BLUR_PIXELS, 0.5 / np.sqrt(abs(np.linalg.det(shrink[:2, :2]))))
    laid = cv2.warpPerspective(cv2.GaussianBlur(query, (0, 0), blur), shrink, dsize=(width, height))
    covered = cv2.warpPerspective(np.full_like(query, 255), shrink, dsize=(width, height), flags=cv2.INTER_NEAREST)
    whole = _blocks(covered).min(axis=1) == 255
    ours, theirs = (_blocks(picture)[whole].astype(np.float64) for picture in (laid, small))
    spreads = ours.std(axis=1), theirs.std(axis=1)
    telling = np.maximum(*spreads) > PLAIN_SPREAD
    if telling.sum() < MIN_BLOCKS:
        return 0.0
    products = ((ours - ours.mean(axis=1, keepdims=True)) * (theirs - theirs.mean(axis=1, keepdims=True))).mean(axis=1)
    correlations = products / np.maximum(spreads[0] * spreads[1], PLAIN_SPREAD**2)
    return float(correlations[telling].mean())


def _blocks(picture: Grey) -> Grey:
    """The picture cut into squares, (blocks, pixels); what is left at the right and the bottom is left out."""
    rows, columns = picture.shape[0] // BLOCK_PIXELS, picture.shape[1] // BLOCK_PIXELS
    cut = picture[: rows * BLOCK_PIXELS, : columns * BLOCK_PIXELS].reshape(rows, BLOCK_PIXELS, columns, BLOCK_PIXELS)
    return cut.swapaxes(1, 2).reshape(rows * columns, BLOCK_PIXELS**2)
