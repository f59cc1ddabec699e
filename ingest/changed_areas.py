"""Finds where a picture differs from the one before, as a few rectangles that are worth reading again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A tile has changed when its pixels differ by more than this, of 255 and on average. Measured on 1280x720 JPEG: one digit
# of 12 to 24 pixels, black or white, changes a tile by 22 at least (by 9 with the faint contrast of 60 levels); unchanged
# pictures of compressed video differ by 2 to 8 in their worst tile.
TILE_PIXELS = 8
CHANGED_LEVELS = 12.0
# Rectangles end at multiples of this: a text detector prepares itself for each new size, which costs 0.15 of a reading.
CELL_PIXELS = 64
WHOLE_SHARE = 0.5  # with more than this changed, reading everything at once costs no more than reading the parts

Luma = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels or cells; right and bottom are outside it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def grown(self, step: int) -> Box:
        return Box(self.left - step, self.top - step, self.right + step, self.bottom + step)

    def moved(self, right: int, down: int) -> Box:
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)


def changed_areas(before: Luma, now: Luma, lines: Sequence[Box]) -> list[Box]:
    """Where `now` differs from `before`, two pictures of one shape (height, width), in pixels.

    The areas do not overlap, and hold each of `lines` (where text was read) wholly or not at all. Empty when nothing
    changed; one area, the whole picture, when most did.
    """
    height, width = now.shape
    changed = _changed_cells(before, now)
    if not changed.any():
        return []
    spans = [_in_cells(line) for line in lines]
    areas = _merged([Box(x, y, x + 1, y + 1) for y, x in np.argwhere(changed).tolist()], spans)
    if sum(area.area for area in areas) > WHOLE_SHARE * changed.size:
        return [Box(0, 0, width, height)]
    return [
        Box(
            area.left * CELL_PIXELS,
            area.top * CELL_PIXELS,
            min(area.right * CELL_PIXELS, width),
            min(area.bottom * CELL_PIXELS, height),
        )
        for area in areas
    ]


def _changed_cells(before: Luma, now: Luma) -> NDArray[np.bool_]:
    """Which cells hold a changed tile or lie beside one: shape (rows, columns) of cells."""
    difference = np.abs(now.astype(np.int16) - before)
    rows, columns = (-(-side // CELL_PIXELS) for side in difference.shape)
    canvas = np.zeros((rows * CELL_PIXELS, columns * CELL_PIXELS), dtype=np.float32)
    canvas[: difference.shape[0], : difference.shape[1]] = difference
    per_cell = CELL_PIXELS // TILE_PIXELS
    shape = (rows * per_cell, TILE_PIXELS, columns * per_cell, TILE_PIXELS)
    tiles = np.pad(canvas.reshape(shape).mean(axis=(1, 3)) > CHANGED_LEVELS, 1)
    beside = tiles[:-2, 1:-1] | tiles[2:, 1:-1] | tiles[1:-1, :-2] | tiles[1:-1, 2:] | tiles[1:-1, 1:-1]
    cells: NDArray[np.bool_] = beside.reshape(rows, per_cell, columns, per_cell).any(axis=(1, 3))
    return cells


def _merged(boxes: list[Box], lines: Sequence[Box]) -> list[Box]:
    """Rectangles around all that touch each other, grown over the lines they cut."""
    waiting, done = list(boxes), list[Box]()
    while waiting:
        box = waiting.pop()
        touching = [other for other in done if other.overlaps(box.grown(1))]
        hull = _hull([box, *touching, *(line for line in lines if line.overlaps(box))])
        done = [other for other in done if other not in touching]
        (done if hull == box else waiting).append(hull)
    return done


def _hull(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def _in_cells(box: Box) -> Box:
    return Box(
        box.left // CELL_PIXELS,
        box.top // CELL_PIXELS,
        -(-box.right // CELL_PIXELS),
        -(-box.bottom // CELL_PIXELS),
    )
