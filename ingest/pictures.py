"""Which pictures of a video are worth keeping, and the 64-bit perceptual hash that says how alike two pictures are."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

HASH_SIDE = 8
DCT_SIDE = 32
COLOUR_SIDE = 8

# Bits of 64, measured: a still picture differs by 0 to 6, a new line on a slide by 8 to 18, another scene by 18 to 34.
CHANGED_BITS = 6
CUT_BITS = 18
# Mean difference of 8 x 8 colours, of 255: tells plain colours and fades apart, where a hash sees no structure. Noise in
# the dark changes any number of bits, but colours by less than 3.
CHANGED_COLOUR = 16.0
CUT_COLOUR = 40.0
MIN_CUT_COLOUR = 10.0
MAX_SECONDS_BETWEEN_KEPT = 30.0
MIN_SECONDS_BETWEEN_KEPT = 1.0
# Black, white and plain colours, with grain: the variance of a Laplacian on grey values, 160 pixels wide, and the standard
# deviation of the 8 x 8 colours stay below. A picture out of focus has little of the one, but not of the other.
BLANK_SHARPNESS = 12.0
BLANK_SPREAD = 6.0
# How long after a wanted picture a sharper one is as good a sample of the same shot, and how long a blank one may wait.
SHARPER_SECONDS = 0.3
SHARPER_SHARE = 1.2
UNBLANK_SECONDS = 3.0
# How far a mixture of two pictures lies from the line between their colours, of their distance: measured 0.01 in a
# cross-fade, 0.6 and more where a camera moves.
MAX_ASIDE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture looks like, small enough to compare: its hash, its 8 x 8 x 3 colours (0 to 255), its sharpness."""

    perceptual_hash: int
    colours: npt.NDArray[np.float32]
    sharpness: float

    @property
    def is_blank(self) -> bool:
        """Whether there is next to nothing to be seen."""
        return self.sharpness < BLANK_SHARPNESS and float(self.colours.std(axis=(0, 1)).max()) < BLANK_SPREAD

    def changed_from(self, other: Look) -> bool:
        """Whether a person would call it another picture."""
        return self._bits_from(other) > CHANGED_BITS or self._colour_from(other) > CHANGED_COLOUR

    def cut_from(self, other: Look) -> bool:
        """Whether it likely belongs to another shot."""
        colour = self._colour_from(other)
        return colour > CUT_COLOUR or (colour > MIN_CUT_COLOUR and self._bits_from(other) > CUT_BITS)

    def distance_to(self, other: Look) -> float:
        """How unlike two pictures are; 1 is the least that makes a cut."""
        return max(self._bits_from(other) / CUT_BITS, self._colour_from(other) / CUT_COLOUR)

    def _bits_from(self, other: Look) -> int:
        return hash_distance(self.perceptual_hash, other.perceptual_hash)

    def _colour_from(self, other: Look) -> float:
        return float(np.abs(self.colours - other.colours).mean())


class PictureKeeper:
    """Decides picture by picture, in order of time, what is kept; remembers the likely cuts it passed."""

    def __init__(self) -> None:
        self.cut_seconds: list[float] = []
        self.seen = 0
        self._last_seen: Look | None = None
        self._kept: Look | None = None
        self._kept_seconds = -math.inf

    def wants(self, time_seconds: float, look: Look, is_cut: bool | None = None) -> bool:
        """Whether to keep it: the first, a changed one (one a second, cuts aside), and one every 30 s.

        `is_cut` says whether a shot begins here, where that is known; else the picture before tells.
        """
        if is_cut is None:
            is_cut = self._last_seen is not None and look.cut_from(self._last_seen)
        if is_cut:
            self.cut_seconds.append(time_seconds)
        self._last_seen, self.seen = look, self.seen + 1
        waited = time_seconds - self._kept_seconds
        changed = self._kept is None or look.changed_from(self._kept)
        if not (waited >= MAX_SECONDS_BETWEEN_KEPT or (changed and (is_cut or waited >= MIN_SECONDS_BETWEEN_KEPT))):
            return False
        self._kept, self._kept_seconds = look, time_seconds
        return True

    def take_instead(self, look: Look) -> None:
        """Note that another picture of the same shot was kept in place of the last one."""
        self._kept = look


def is_better(look: Look, waited_seconds: float, wanted: Look, best: Look) -> bool:
    """Whether a picture that comes later in the same shot is a better sample than the best since the one that was wanted."""
    if wanted.is_blank:
        return waited_seconds <= UNBLANK_SECONDS and look.sharpness > best.sharpness and not look.is_blank
    is_near = waited_seconds <= SHARPER_SECONDS and not look.changed_from(wanted)
    return is_near and look.sharpness > SHARPER_SHARE * best.sharpness


def gradual_cut(looks: Sequence[tuple[float, Look]]) -> float | None:
    """Where a shot turns into another without a sharp cut, from pictures in order of time; None if one camera moved along.

    A cross-fade goes through mixtures of both pictures, a fade through one that is blank.
    """
    first, last = looks[0][1], looks[-1][1]
    if not last.cut_from(first):
        return None
    between = looks[1:-1]
    blank = [time for time, look in between if look.is_blank]
    turned = [(time, look) for time, look in between if look.distance_to(last) <= look.distance_to(first)]
    if blank or not turned:
        return blank[0] if blank else None
    time, middle = turned[0]
    way, gone = (last.colours - first.colours).ravel(), (middle.colours - first.colours).ravel()
    share = float(way @ gone) / max(float(way @ way), 1.0)
    aside = float(np.abs(gone - share * way).mean())
    return time if aside <= MAX_ASIDE_SHARE * float(np.abs(way).mean()) else None


def look_of(image: Image.Image) -> Look:
    """What an upright RGB picture looks like; sharpness depends on its size."""
    from PIL import Image

    small = image.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    colours = np.asarray(small.convert("RGB"), dtype=np.float32)
    return Look(perceptual_hash(image), colours, sharpness(np.asarray(image.convert("L"), dtype=np.float32)))


def sharpness(grey: npt.NDArray[np.float32]) -> float:
    """The variance of the Laplacian of grey values, (height, width); 0 for a picture too small to have one."""
    if min(grey.shape) < 3:
        return 0.0
    middle = grey[1:-1, 1:-1]
    return float(np.var(4 * middle - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]))


def perceptual_hash(image: Image.Image) -> int:
    """The 64 bits of `imagehash.phash`, first bit highest, without its slow import of scipy.

    Coefficients are rounded first, so that a plain picture gives no bits of rounding noise.
    """
    from PIL import Image

    grey = image.convert("L").resize((DCT_SIDE, DCT_SIDE), Image.Resampling.LANCZOS)
    basis = dct_basis()
    low = np.round(basis @ np.asarray(grey, dtype=np.float64) @ basis.T, 6)
    bits = (low > np.median(low)).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_distance(one: int, other: int) -> int:
    """How many of 64 bits differ: 0 is the same picture."""
    return (one ^ other).bit_count()


@functools.cache
def dct_basis() -> npt.NDArray[np.float64]:
    """The first 8 rows of the unscaled 32-point DCT-II matrix: (8, 32)."""
    row, column = np.arange(HASH_SIDE)[:, None], np.arange(DCT_SIDE)[None, :]
    basis: npt.NDArray[np.float64] = 2.0 * np.cos(np.pi * row * (2 * column + 1) / (2 * DCT_SIDE))
    return basis
