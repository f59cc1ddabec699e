"""Which pictures of a video are worth keeping, and the 64-bit perceptual hash that says how alike two pictures are."""

from __future__ import annotations

import functools
import math
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
# Mean difference of 8 x 8 colours, of 255: tells plain colours and fades apart, where a hash sees no structure.
CHANGED_COLOUR = 16.0
CUT_COLOUR = 40.0
MAX_SECONDS_BETWEEN_KEPT = 30.0
MIN_SECONDS_BETWEEN_KEPT = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture looks like, small enough to compare: its hash and its 8 x 8 x 3 colours (0 to 255)."""

    perceptual_hash: int
    colours: npt.NDArray[np.float32]

    def changed_from(self, other: Look) -> bool:
        """Whether a person would call it another picture."""
        return self._differs(other, CHANGED_BITS, CHANGED_COLOUR)

    def cut_from(self, other: Look) -> bool:
        """Whether it likely belongs to another shot."""
        return self._differs(other, CUT_BITS, CUT_COLOUR)

    def _differs(self, other: Look, bits: int, colour: float) -> bool:
        distance = hash_distance(self.perceptual_hash, other.perceptual_hash)
        return distance > bits or float(np.abs(self.colours - other.colours).mean()) > colour


class PictureKeeper:
    """Decides picture by picture, in order of time, what is kept; remembers the likely cuts it passed."""

    def __init__(self) -> None:
        self.cut_seconds: list[float] = []
        self.seen = 0
        self._last_seen: Look | None = None
        self._kept: Look | None = None
        self._kept_seconds = -math.inf

    def wants(self, time_seconds: float, look: Look) -> bool:
        """Whether to keep it: the first, a changed one (one a second, cuts aside), and one every 30 s."""
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


def look_of(image: Image.Image) -> Look:
    """What an upright RGB picture looks like."""
    from PIL import Image

    small = image.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    return Look(perceptual_hash(image), np.asarray(small.convert("RGB"), dtype=np.float32))


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
