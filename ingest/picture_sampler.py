"""Writes the pictures worth keeping, of those that a decoder gives, as JPEG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest.pictures import Look, PictureKeeper, is_better, look_of

MAX_SIDE_PIXELS = 1280
# Enough for a hash and for sharpness; it costs 1.4 ms, and 2.8 ms at 320 pixels (720p).
LOOK_SIDE_PIXELS = 160
JPEG_QUALITY = 85
MAX_ASPECT = 8.0


@dataclass(slots=True)
class Sample:
    """The picture to be kept next: the best since the one that was wanted."""

    wanted_seconds: float
    wanted_look: Look
    time_seconds: float
    look: Look
    frame: Any


class PictureSampler:
    """Is shown pictures in order of time, and keeps the sharpest of the few around each one that is wanted."""

    def __init__(self, stream: Any, max_frames: int) -> None:
        self.keeper = PictureKeeper()
        self.kept: list[tuple[float, str, int]] = []
        self.left_out = 0
        self._stream, self._max_frames = stream, max_frames
        self._sample: Sample | None = None

    def look(self, frame: Any) -> Look:
        """What a decoded frame looks like."""
        return look_of(upright(frame, self._aspect, LOOK_SIDE_PIXELS))

    def show(self, time: float, frame: Any, look: Look | None = None, is_cut: bool | None = None) -> Look:
        """Take a picture into account; `is_cut` as in `PictureKeeper.wants`."""
        look = look or self.look(frame)
        cuts = len(self.keeper.cut_seconds)
        is_wanted = self.keeper.wants(time, look, is_cut)
        sample = self._sample if len(self.keeper.cut_seconds) == cuts else None
        if sample and is_better(look, time - sample.wanted_seconds, sample.wanted_look, sample.look):
            sample.time_seconds, sample.look, sample.frame = time, look, frame
            self.keeper.take_instead(look)
        elif is_wanted:
            self.finish()
            self._sample = Sample(time, look, time, look, frame)
        return look

    @property
    def blank_seconds(self) -> float | None:
        """When the picture was shown that waits, with nothing to be seen in it, for a better one."""
        sample = self._sample
        return sample.wanted_seconds if sample and sample.look.is_blank else None

    def finish(self) -> None:
        """Write the picture that waits for a better one."""
        sample, self._sample = self._sample, None
        if not sample:
            return
        if len(self.kept) >= self._max_frames:
            self.left_out += 1
            return
        file_name = f"{round(sample.time_seconds * 1000):09}.jpg"
        if self.kept and self.kept[-1][1] >= file_name:
            return  # The same millisecond again, in a file whose times do not advance.
        Path("frames").mkdir(exist_ok=True)
        picture = upright(sample.frame, self._aspect, MAX_SIDE_PIXELS)
        picture.save(Path("frames") / file_name, quality=JPEG_QUALITY)
        self.kept.append((sample.time_seconds, file_name, sample.look.perceptual_hash))

    @property
    def _aspect(self) -> float:
        return float(self._stream.sample_aspect_ratio or 1)


def upright(frame: Any, sample_aspect: float, max_side: int) -> Image.Image:
    """The frame as a person sees it: square pixels, turned upright, scaled down to `max_side` pixels at most."""
    aspect = sample_aspect if 1 / MAX_ASPECT <= sample_aspect <= MAX_ASPECT else 1.0
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, max_side / max(width, height))
    size = {"width": max(1, round(width * scale)), "height": max(1, round(height * scale))}
    pixels = as_rgbx(frame, **size)
    image = Image.frombuffer("RGBX", (size["width"], size["height"]), pixels, "raw", "RGBX", 0, 1)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def as_rgbx(frame: Any, width: int, height: int) -> npt.NDArray[np.uint8]:
    """A decoded frame, scaled: (height, width, 4), of which Pillow needs no copy; the fourth value means nothing.

    In one thread: FFmpeg would start others for each picture, and wait 29 ms for them where the processor is busy (2 ms).
    """
    scaled = frame.to_ndarray(width=width, height=height, format="rgba", interpolation="AREA", threads=1)
    return np.ascontiguousarray(scaled, dtype=np.uint8)  # Some widths come with padding.
