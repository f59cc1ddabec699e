"""The perceptual fingerprint of a picture: the low frequencies of its brightness and colours, as one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

GRID = 32
LUMA_WAVES, CHROMA_WAVES = 10, 4
CHROMA_WEIGHT = 0.7
CROPS = (0.0, 0.04, 0.08)
EDGE_FADE = 0.7
LUMA_NOISE_LEVELS, CHROMA_NOISE_LEVELS = 1.0, 4.0
FLATNESS = 0.1
PRINT_DIMENSION = LUMA_WAVES**2 - 1 + 2 * CHROMA_WAVES**2 + 1

Plane = NDArray[np.float64]


def fingerprint(picture: Image.Image) -> Plane:
    """The mean of the prints of slightly tighter crops, so that a cropped copy stays near."""
    from PIL import Image

    side = 8 * GRID
    small = picture.resize((side, side), Image.Resampling.BOX).convert("YCbCr")
    boxes = [(crop * side, crop * side, side - crop * side, side - crop * side) for crop in CROPS]
    grids = [small.resize((GRID, GRID), Image.Resampling.BOX, box=box) for box in boxes]
    prints = [_print(*(np.asarray(plane, dtype=np.float64) for plane in grid.split())) for grid in grids]
    return sum(prints, np.zeros_like(prints[0]))


def _print(luma: Plane, blue: Plane, red: Plane) -> Plane:
    """The low frequencies of brightness (its mean left out) and colour; a flat picture is the last component alone."""
    grey = bounded(waves(luma - luma.mean(), LUMA_WAVES)[1:], LUMA_NOISE_LEVELS)
    colour = np.concatenate([waves(plane - 128.0, CHROMA_WAVES, radius_from=1.0) for plane in (blue, red)])
    whole = np.concatenate([grey, CHROMA_WEIGHT * bounded(colour, CHROMA_NOISE_LEVELS), [FLATNESS]])
    unit: Plane = whole / np.linalg.norm(whole)
    return unit


def waves(plane: Plane, count: int, radius_from: float = 0.0) -> Plane:
    """The count x count lowest cosine waves (DCT-II) of a plane that fades towards its edges, where logos and captions are.

    Weighted by frequency, because a natural picture's amplitudes fall with it and the lowest would drown the others.
    """
    size = len(plane)
    fade = 1.0 - EDGE_FADE * np.linspace(-1.0, 1.0, size) ** 4
    order = np.arange(count)
    basis = np.cos(np.pi * np.outer(order, 2 * np.arange(size) + 1) / (2 * size)) * np.sqrt(2.0 / size)
    basis[0] /= np.sqrt(2.0)
    amplitudes = basis @ (plane * np.outer(fade, fade)) @ basis.T / size
    weighted: Plane = amplitudes * (np.hypot.outer(order, order) + radius_from)
    return weighted.reshape(-1)


def bounded(amplitudes: Plane, noise_level: float) -> Plane:
    """Amplitudes squeezed into -1..1 around their own size, so that contrast does not count; noise stays near zero."""
    size = max(noise_level, float(np.sqrt((amplitudes**2).mean())))
    squeezed: Plane = amplitudes / np.hypot(amplitudes, size)
    return squeezed
