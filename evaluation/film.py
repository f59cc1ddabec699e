"""Makes a long film whose cuts are known: detailed pictures that pan, zoom and stand still, with grain and a moving thing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, RATE = 1280, 720, 24
# Room around the picture to pan in.
MARGIN = (320, 180)
# Random patches of these many columns, blurred into each other, with their weights: structure of every size.
DETAIL = ((3, 1.0), (12, 0.6), (60, 0.4), (240, 0.15))
GRAIN = 2.5
MAX_PAN_PIXELS, MAX_ZOOM = 1.2, 3e-4
SHOT_SECONDS = (2, 3, 4, 6, 8, 12)
SEED = 7

Picture = npt.NDArray[np.uint8]


def write_film(
    path: Path, part_seconds: int, repeats: int, options: dict[str, str], codec: str = "libx264"
) -> list[float]:
    """Encode a part of a film and repeat it, packets and all; returns the second at which each shot begins."""
    part = path.with_name(f"part-{path.name}")
    starts = write_part(part, part_seconds, options, codec)
    repeat(part, path, repeats, part_seconds)
    part.unlink()
    return [number * part_seconds + start for number in range(repeats) for start in starts]


def write_part(path: Path, seconds: int, options: dict[str, str], codec: str) -> list[float]:
    import av

    lengths = list(shot_lengths(seconds))
    numbers = np.random.default_rng(SEED)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        count = 0
        for shot, length in enumerate(lengths):
            for picture in pictures(numbers, shot, length * RATE):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = count, Fraction(1, RATE)
                container.mux(stream.encode(frame))
                count += 1
        container.mux(stream.encode(None))
    return [float(sum(lengths[:shot])) for shot in range(len(lengths))]


def shot_lengths(seconds: int) -> Iterator[int]:
    """Whole seconds of each shot."""
    choice = random.Random(SEED)
    while seconds > 0:
        length = min(seconds, choice.choice(SHOT_SECONDS))
        seconds -= length
        yield length


def pictures(numbers: np.random.Generator, shot: int, count: int) -> Iterator[Picture]:
    """The pictures of one shot, (height, width, 3); each third shot stands still, each second one zooms."""
    from PIL import Image

    scene = Image.fromarray(texture(numbers))
    pan = numbers.uniform(-MAX_PAN_PIXELS, MAX_PAN_PIXELS, 2) if shot % 3 else (0.0, 0.0)
    zoom = numbers.uniform(-MAX_ZOOM, MAX_ZOOM) if shot % 2 else 0.0
    grain = numbers.normal(0, GRAIN, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.int16)
    for number in range(count):
        left, top = (bounce(room / 2 + step * number, room) for step, room in zip(pan, MARGIN, strict=True))
        scale = 1 + zoom * number
        how = (scale, 0, left, 0, scale, top)
        view = scene.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, how, Image.Resampling.BILINEAR)
        x, y = numbers.integers(0, 64, 2)
        picture = np.clip(np.asarray(view) + grain[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8)
        thing = int(bounce(40 + 5 * number, WIDTH - 200))
        picture[300:420, thing : thing + 120] = (230, 40, 40)
        yield picture


def texture(numbers: np.random.Generator) -> Picture:
    """A picture larger than the film's by the margin."""
    from PIL import Image

    width, height = WIDTH + MARGIN[0], HEIGHT + MARGIN[1]
    total = np.zeros((height, width, 3), np.float32)
    for columns, weight in DETAIL:
        small = numbers.integers(0, 256, (max(2, columns * height // width), columns, 3), dtype=np.uint8)
        large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(large, np.float32)
    total -= total.min()
    scaled: Picture = (total * (255 / total.max())).astype(np.uint8)
    return scaled


def bounce(position: float, room: float) -> float:
    """A position that turns around at both ends of the room."""
    position %= 2 * room
    return min(position, 2 * room - position)


def repeat(part: Path, path: Path, repeats: int, part_seconds: int) -> None:
    import av

    with av.open(str(path), "w") as target:
        stream: Any = None
        for number in range(repeats):
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                assert video.time_base
                shift = round(number * part_seconds / video.time_base)
                for packet in source.demux(video):
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        target.mux(packet)
