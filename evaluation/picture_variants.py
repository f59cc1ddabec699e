"""What becomes of a frame on its way to a search: scaled, recompressed, cropped, in a player, on a desktop, photographed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Change = Callable[["Image.Image", random.Random], "Image.Image"]

MAX_TILT_DEGREES, MAX_PERSPECTIVE = 5.0, 0.03
SURROUNDINGS = (90, 80, 70)
WHITE, GREY, DARK, RED = (255, 255, 255, 255), (120, 120, 120, 255), (30, 30, 34), (230, 30, 30, 255)


def scaled(picture: Image.Image, width: int) -> Image.Image:
    from PIL import Image

    return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.LANCZOS)


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    from PIL import Image

    held = io.BytesIO()
    picture.save(held, "JPEG", quality=quality)
    return Image.open(io.BytesIO(held.getvalue())).convert("RGB")


def cropped(picture: Image.Image, area: float, choice: random.Random) -> Image.Image:
    """A part of the picture of this share of its area, of any shape between, at any place."""
    across = choice.uniform(area, 1.0)
    width, height = round(picture.width * across), round(picture.height * area / across)
    left, top = choice.randint(0, picture.width - width), choice.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def brightened(picture: Image.Image, choice: random.Random) -> Image.Image:
    from PIL import ImageEnhance

    lit = ImageEnhance.Brightness(picture).enhance(choice.choice((0.6, 1.4)))
    return ImageEnhance.Contrast(lit).enhance(choice.uniform(0.8, 1.2))


def letterboxed(picture: Image.Image, choice: random.Random) -> Image.Image:
    from PIL import Image

    more = choice.uniform(1.15, 1.4)
    is_wide = choice.random() < 0.5
    size = (picture.width, round(picture.height * more)) if is_wide else (round(picture.width * more), picture.height)
    black = Image.new("RGB", size)
    black.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return black


def under_controls(picture: Image.Image, choice: random.Random) -> Image.Image:
    """The lowest tenth under a player's bar: progress, a triangle, a time, buttons."""
    from PIL import ImageDraw

    played = picture.copy()
    pen = ImageDraw.Draw(played, "RGBA")
    width, height = played.size
    top = round(height * 0.9)
    pen.rectangle((0, top, width, height), fill=(20, 20, 20, choice.choice((200, 255))))
    line, thick, side = top + max(1, (height - top) // 5), max(1, height // 150), max(1, (height - top) // 3)
    middle = top + (height - top) // 2
    pen.line((0, line, width, line), fill=GREY, width=thick)
    pen.line((0, line, round(width * choice.uniform(0.1, 0.9)), line), fill=RED, width=thick)
    pen.polygon(((side, middle), (side, middle + side), (2 * side, middle + side // 2)), fill=WHITE)
    pen.text((4 * side, middle), f"{choice.randint(0, 9)}:{choice.randint(10, 59)} / 12:40", fill=WHITE)
    for number in range(1, 4):
        left = width - number * 2 * side
        pen.rectangle((left, middle, left + side, middle + side), outline=WHITE)
    return played


def titled(picture: Image.Image, choice: random.Random) -> Image.Image:
    """With a window's title bar on top."""
    from PIL import Image, ImageDraw

    bar = max(8, picture.height // 16)
    window = Image.new("RGB", (picture.width, picture.height + bar), choice.choice(((240, 240, 240), (45, 45, 48))))
    pen = ImageDraw.Draw(window)
    pen.text((6, bar // 4), "Player - a film.mp4", fill=GREY)
    for number, colour in enumerate(((255, 90, 80), (255, 190, 40), (40, 200, 60)), start=1):
        left = picture.width - number * bar + bar // 4
        pen.ellipse((left, bar // 4, left + bar // 2, bar * 3 // 4), fill=colour)
    window.paste(picture, (0, bar))
    return window


def on_desktop(picture: Image.Image, choice: random.Random) -> Image.Image:
    """A player's window that is 55 to 85% as wide as the desktop around it, with icons and a task bar."""
    from PIL import Image, ImageDraw

    player = titled(under_controls(picture, choice), choice)
    width = round(player.width / choice.uniform(0.55, 0.85))
    height = max(round(width * 9 / 16), round(player.height / 0.9))
    top, bottom = (tuple(choice.randint(0, 255) for _ in range(3)) for _ in range(2))
    shade = Image.linear_gradient("L").resize((width, height))
    desktop = Image.composite(Image.new("RGB", shade.size, bottom), Image.new("RGB", shade.size, top), shade)
    pen = ImageDraw.Draw(desktop)
    for number in range(6):
        left, upper = width // 40, height // 12 + number * height // 8
        colour = tuple(choice.randint(0, 255) for _ in range(3))
        pen.rectangle((left, upper, left + width // 30, upper + width // 30), fill=colour)
        pen.text((left, upper + width // 28), f"file {number}", fill=WHITE)
    pen.rectangle((0, height - height // 20, width, height), fill=DARK)
    room = max(0, height - height // 20 - player.height)
    desktop.paste(player, (choice.randint(0, width - player.width), choice.randint(0, room)))
    return desktop


def photographed(picture: Image.Image, choice: random.Random) -> Image.Image:
    """Turned by up to 5 degrees and seen a little from the side, with something around it."""
    from PIL import Image

    size = (round(picture.width * 1.2), round(picture.height * 1.2))
    around = Image.new("RGB", size, SURROUNDINGS)
    around.paste(picture, (round(picture.width * 0.1), round(picture.height * 0.1)))
    degrees = choice.uniform(-MAX_TILT_DEGREES, MAX_TILT_DEGREES)
    turned = around.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=SURROUNDINGS)
    corners = ((0.05, 0.05), (0.05, 0.95), (0.95, 0.95), (0.95, 0.05))
    shifted = [at + choice.uniform(-MAX_PERSPECTIVE, MAX_PERSPECTIVE) for corner in corners for at in corner]
    quad = [at * size[number % 2] for number, at in enumerate(shifted)]
    return turned.transform(picture.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)


VARIANTS: dict[str, Change] = {
    "as it is": lambda picture, _: picture,
    "160 wide": lambda picture, _: scaled(picture, 160),
    "twice as large": lambda picture, _: scaled(picture, 2 * picture.width),
    "JPEG 20": lambda picture, _: recompressed(picture, 20),
    "brighter, darker": brightened,
    "letterbox": letterboxed,
    "control bar": under_controls,
    "title bar": titled,
    "desktop": on_desktop,
    "crop to 80%": lambda picture, choice: cropped(picture, 0.8, choice),
    "crop to 60%": lambda picture, choice: cropped(picture, 0.6, choice),
    "photographed": photographed,
    "crop 60%, 320 wide, JPEG 40": lambda picture, choice: recompressed(scaled(cropped(picture, 0.6, choice), 320), 40),
}
