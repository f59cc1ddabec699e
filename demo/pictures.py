"""The drawings of the demo videos: a pen that draws large and smooth, and one small function for each picture."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 960, 540
SMOOTHING = 2  # drawn this many times larger, then reduced: Pillow has no antialiasing of its own

INK, PAPER, GREY = "#14213d", "#f6f1e7", "#9fb0c8"
AMBER, CORAL, TEAL, SKY, LEAF, WOOD = "#ffc857", "#ff6b5e", "#2ec4b6", "#5fb4f0", "#6bbf59", "#a9714b"
GLOW = "#ffc85730"

XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws in units of its own box: (0, 0) is at `left`, `top` of a 960 x 540 picture."""

    draw: ImageDraw.ImageDraw
    left: float = 0.0
    top: float = 0.0

    def at(self, points: Sequence[XY]) -> list[XY]:
        return [((x + self.left) * SMOOTHING, (y + self.top) * SMOOTHING) for x, y in points]

    def disc(self, x: float, y: float, r: float, fill: str | None, line: str | None = None, width: float = 0) -> None:
        self.draw.ellipse(self.at([(x - r, y - r), (x + r, y + r)]), fill, line, round(width * SMOOTHING))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str, corner: float = 0) -> None:
        self.draw.rounded_rectangle(self.at([(x0, y0), (x1, y1)]), corner * SMOOTHING, fill)

    def shape(self, fill: str, *points: XY) -> None:
        self.draw.polygon(self.at(points), fill)

    def line(self, color: str, width: float, *points: XY) -> None:
        self.draw.line(self.at(points), color, round(width * SMOOTHING), "curve")

    def arrow(self, color: str, width: float, start: XY, end: XY) -> None:
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        self.line(color, width, start, end)
        tips = [(angle, 1.0), (angle + 2.3, 2.6), (angle - 2.3, 2.6)]
        self.shape(color, *((end[0] + math.cos(a) * width * s, end[1] + math.sin(a) * width * s) for a, s in tips))

    def text(self, x: float, y: float, words: str, size: float, color: str = PAPER, bold: bool = False) -> None:
        self.draw.text(self.at([(x, y)])[0], words, color, font(size, bold), "lm")


Picture = Callable[[Pen, float], None]
"""Draws on a pen what is seen at some seconds of its scene."""


@cache
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size * SMOOTHING)


@cache
def gradient(top: str, bottom: str) -> Image.Image:
    """A full picture that goes from one colour to the other, in drawing size."""
    column = Image.linear_gradient("L").resize((WIDTH * SMOOTHING, HEIGHT * SMOOTHING))
    ends = [Image.new("RGB", column.size, color) for color in (bottom, top)]
    return Image.composite(ends[0], ends[1], column)


def around(x: float, y: float, r: float, degrees: float) -> XY:
    """The point at a distance and a compass direction: 0 is up, 90 is right."""
    return x + r * math.sin(math.radians(degrees)), y - r * math.cos(math.radians(degrees))


# Pictures below sit beside the words of a slide, in a box of 400 x 400.


def lighthouse(pen: Pen, seconds: float) -> None:
    far = 94 + 60 * math.sin(seconds * 0.9)
    for spread in (22, 44, 70):
        pen.shape(GLOW, (225, 94), (-520, far - spread), (-520, far + spread))
        pen.shape(GLOW, (225, 94), (440, 188 - far - spread / 3), (440, 188 - far + spread / 3))
    pen.shape("#0b1730", (80, 400), (130, 335), (330, 330), (390, 400))
    pen.shape(PAPER, (196, 120), (254, 120), (274, 345), (176, 345))
    for y in (165, 245):
        half = 29 + (y - 120) / 11.25 + 1.5
        pen.shape(CORAL, (225 - half, y), (225 + half, y), (228.5 + half, y + 40), (221.5 - half, y + 40))
    pen.box(186, 114, 264, 122, INK)
    pen.box(203, 76, 247, 114, AMBER)
    pen.shape(CORAL, (197, 76), (253, 76), (225, 48))
    for row in range(3):
        pen.line(SKY, 3, *((x, 372 + row * 14 + 3 * math.sin(x / 19 + row + seconds)) for x in range(0, 400, 6)))


def stepped_lens(pen: Pen, seconds: float) -> None:
    rays(pen, 215)
    edges = [-165, -135, -102, -66, 66, 102, 135, 165]
    for low, high in pairwise(edges):
        outer, rim = max(abs(low), abs(high)), 34 if low * high < 0 else 12
        heights = [low + (high - low) * step / 8 for step in range(9)]
        front = [(214 + rim + (outer**2 - y * y) / 340, 200 + y) for y in heights]
        pen.shape("#5fb4f0", (214, 200 + low), *front, (214, 200 + high))
        pen.line(PAPER, 2.5, (214, 200 + low), *front, (214, 200 + high), (214, 200 + low))


def rays(pen: Pen, lens_x: float) -> None:
    for y in range(-145, 146, 29):
        pen.line("#ffc857b0", 3, (35, 200), (lens_x, 200 + y), (400, 200 + y))
    pen.disc(35, 200, 30, GLOW)
    pen.disc(35, 200, 15, AMBER)


def ring_lens(pen: Pen, seconds: float) -> None:
    for radius in range(180, 40, -20):
        pen.disc(200, 200, radius, "#5fb4f040" if radius % 40 else "#2ec4b650", PAPER, 2)
    for angle in range(0, 360, 45):
        pen.line("#f6f1e760", 2, around(200, 200, 60, angle), around(200, 200, 180, angle))
    pen.disc(200, 200, 58, "#fff1c4", PAPER, 3)
    pen.disc(200, 200, 30, AMBER)


def flashes(pen: Pen, seconds: float) -> None:
    for row, (beat, color) in enumerate([("1000010000", AMBER), ("1101100110", CORAL), ("1010001010", TEAL)]):
        y = 90 + row * 110
        pen.line("#f6f1e740", 3, (10, y), (390, y))
        for step, lit in enumerate(beat):
            pen.disc(28 + step * 38, y, 15 if lit == "1" else 5, color if lit == "1" else GREY)


def rainbow_waves(pen: Pen, seconds: float) -> None:
    colors = [(CORAL, 92), ("#ff9f45", 78), (AMBER, 66), (LEAF, 55), (SKY, 44), ("#9b7bea", 36)]
    for row, (color, length) in enumerate(colors):
        y = 60 + row * 56
        pen.line(color, 8, *((x, y + 18 * math.sin((x / length - seconds * 0.5) * math.tau)) for x in range(0, 401, 3)))


def scattering(pen: Pen, seconds: float) -> None:
    pen.disc(40, 40, 70, GLOW)
    pen.disc(40, 40, 46, AMBER)
    for x, y in [(190, 120), (300, 190), (150, 250), (255, 320), (350, 80)]:
        pen.line("#ffc857c0", 3, (40, 40), (x, y))
        for angle in range(20, 380, 60):
            pen.arrow("#8ccbff", 3.5, around(x, y, 20, angle), around(x, y, 48, angle))
        pen.disc(x, y, 11, PAPER)


def sunset(pen: Pen, seconds: float) -> None:
    for radius, color in [(190, "#ff6b5e30"), (150, "#ff8f5040"), (110, "#ffb04c60"), (75, AMBER)]:
        pen.disc(200, 260, radius, color)
    pen.box(0, 260, 400, 400, "#3b1f3f", 10)
    for row in range(6):
        pen.line("#ffb04cb0", 5, (115 + row * 13, 280 + row * 18), (285 - row * 13, 280 + row * 18))


def mars(pen: Pen, seconds: float) -> None:
    pen.disc(200, 200, 170, "#c65d3b")
    for x, y, r in [(140, 130, 34), (260, 250, 46), (150, 290, 22), (275, 120, 18), (80, 210, 16)]:
        pen.disc(x, y, r, "#a84a2e")
        pen.disc(x - r / 6, y - r / 6, r * 0.8, "#b5532f")
    pen.disc(355, 50, 30, GREY)
    pen.disc(347, 44, 7, "#8496b0")


def bee_at(pen: Pen, x: float, y: float, degrees: float, size: float = 1.0) -> None:
    """A bee seen from above whose head points to a compass direction."""

    def body(along: float, across: float) -> XY:
        ahead = around(x, y, along * size, degrees)
        return around(*ahead, across * size, degrees + 90)

    for side in (-1, 1):
        for along in (2, -10):
            pen.disc(*body(along, side * 20), 15 * size, "#e8f4ffb0")
        pen.line(INK, 2.5 * size, body(28, side * 4), body(42, side * 12))
    for step, along in enumerate((-30, -20, -10, 0, 10)):
        pen.disc(*body(along, 0), (9, 13, 15, 15, 14)[step] * size, INK if step % 2 == 0 else AMBER)
    pen.disc(*body(24, 0), 10 * size, INK)


def bee_and_flower(pen: Pen, seconds: float) -> None:
    pen.line(LEAF, 9, (130, 400), (125, 240))
    pen.line(LEAF, 9, (300, 400), (305, 320))
    for x, y, r, color in [(125, 230, 46, CORAL), (305, 310, 32, "#c58cf0")]:
        for angle in range(0, 360, 60):
            pen.disc(*around(x, y, r, angle), r * 0.62, color)
        pen.disc(x, y, r * 0.6, AMBER)
    bee_at(pen, 265 + 22 * math.sin(seconds * 1.3), 120 + 14 * math.sin(seconds * 2.1), -70, 1.9)


def honeycomb(pen: Pen) -> None:
    for row in range(7):
        for column in range(6):
            x, y = 34 + column * 66 + row % 2 * 33, 28 + row * 57
            pen.shape("#d9952e", *(around(x, y, 35, a) for a in range(0, 360, 60)))
            pen.shape("#f0b549", *(around(x, y, 29, a) for a in range(0, 360, 60)))


def waggle_dance(pen: Pen, seconds: float) -> None:
    honeycomb(pen)
    loop = seconds / 4 % 2
    side, phase = (1 if loop < 1 else -1), loop % 1
    pen.disc(200, 200, 95, None, "#14213d90", 4)
    pen.line(CORAL, 5, (200, 295), (200, 105))
    if phase < 0.5:
        bee_at(pen, 200 + 7 * math.sin(seconds * 40), 295 - 380 * phase, 12 * math.sin(seconds * 40), 1.2)
    else:
        turned = (phase - 0.5) * 360
        bee_at(pen, *around(200, 200, 95, side * turned), side * (turned + 90), 1.2)


def comb_angle(pen: Pen, seconds: float) -> None:
    honeycomb(pen)
    pen.disc(200, 42, 34, AMBER, PAPER, 4)
    pen.line(INK, 4, (200, 345), (200, 90))
    pen.arrow(CORAL, 9, (200, 345), around(200, 345, 265, 40))
    pen.line(INK, 4, *(around(200, 345, 120, a) for a in range(0, 41, 4)))
    pen.box(222, 176, 300, 216, INK, 10)
    pen.text(236, 196, "40°", 24, PAPER, True)
    bee_at(pen, 200, 345, 40, 1.2)


def distance(pen: Pen, seconds: float) -> None:
    for row, (length, words) in enumerate([(135, "1 second"), (250, "2 seconds"), (370, "3 seconds")]):
        y = 90 + row * 115
        pen.line(AMBER, 7, *((x, y + 10 * math.sin(x / 7)) for x in range(5, length - 40, 2)))
        bee_at(pen, length - 8, y, 90)
        pen.text(5, y + 40, words, 19, GREY)


def cable_ship(pen: Pen, seconds: float) -> None:
    pen.box(0, 190, 400, 400, "#1d4e79", 14)
    pen.shape("#6b4f3a", (0, 330), (90, 350), (190, 380), (300, 372), (400, 385), (400, 400), (0, 400))
    pen.line(AMBER, 4, *((70 + i * 6, 182 + 190 * (1 - math.exp(-i / 9)) ** 2) for i in range(54)))
    pen.shape(PAPER, (50, 150), (370, 150), (335, 196), (80, 196))
    for x in (130, 210, 290):
        pen.line(WOOD, 5, (x, 150), (x, 40))
        pen.shape("#e4dccb", (x + 6, 52), (x + 56, 128), (x + 6, 128))
    pen.box(246, 105, 268, 150, CORAL)


def telegraph(pen: Pen, seconds: float) -> None:
    pen.box(40, 300, 360, 345, WOOD, 8)
    pen.box(90, 250, 120, 300, AMBER, 4)
    pen.box(262, 262, 292, 300, AMBER, 4)
    pen.line(PAPER, 14, (70, 240), (330, 252))
    pen.disc(318, 238, 26, INK)
    for step, width in enumerate((12, 44, 12, 12, 44, 12)):
        x = 50 + step * 54
        pen.box(x, 110, x + width, 124, TEAL, 7)
    for radius in (40, 70, 100):
        pen.line("#f6f1e760", 4, *(around(105, 240, radius, a) for a in range(-40, 41, 5)))


def broken_cable(pen: Pen, seconds: float) -> None:
    for left, right, tilt in [(0, 165, 30), (235, 400, -30)]:
        pen.line("#0b1730", 46, (left, 200 + tilt), (right, 200))
        pen.line(AMBER, 14, (left, 200 + tilt), (right, 200))
    for side in (-1, 1):
        for spread in (-26, 0, 26):
            pen.line(AMBER, 4, (200 + side * 35, 200), (200 + side * 10, 200 + spread))
    for angle in range(0, 360, 45):
        pen.line(CORAL, 5, around(200, 200, 62, angle), around(200, 200, 92, angle))


def great_eastern(pen: Pen, seconds: float) -> None:
    for index in range(5):
        pen.box(70 + index * 60, 100, 92 + index * 60, 190, CORAL)
        pen.disc(85 + index * 60 - 14, 78, 17, "#9fb0c860")
        pen.disc(85 + index * 60 - 36, 62, 23, "#9fb0c840")
    pen.shape(INK, (5, 185), (398, 185), (365, 265), (40, 265))
    pen.line(PAPER, 4, (10, 195), (392, 195))
    pen.disc(205, 235, 52, WOOD)
    for angle in range(0, 360, 30):
        pen.line(PAPER, 4, (205, 235), around(205, 235, 50, angle))
    pen.box(0, 258, 400, 380, "#1d4e79", 14)


def two_shores(pen: Pen, seconds: float) -> None:
    pen.box(0, 70, 400, 350, "#1d4e79", 18)
    pen.shape(LEAF, (0, 90), (60, 80), (95, 150), (70, 210), (100, 260), (50, 330), (0, 330))
    pen.shape(LEAF, (400, 90), (345, 100), (310, 160), (335, 230), (315, 290), (360, 335), (400, 335))
    pen.line(AMBER, 6, *((82 + i * 6, 195 + 34 * math.sin(i / 39 * math.pi)) for i in range(40)))
    pen.disc(82, 195, 12, CORAL)
    pen.disc(316, 195, 12, CORAL)


def great_wall(pen: Pen, seconds: float) -> None:
    for color, base, height in [("#2f5d50", 250, 60), ("#3f7a5c", 300, 40)]:
        hill = [(x, base - height * math.sin(x / 85 + base)) for x in range(0, 401, 8)]
        pen.shape(color, (0, 400), *hill, (400, 400))
    ridge = [(x, 290 - 62 * math.sin(x / 75 + 0.6)) for x in range(0, 401, 4)]
    pen.shape("#c9b08a", *ridge, *((x, y + 46) for x, y in reversed(ridge)))
    for x, y in ridge[::4]:
        pen.box(x - 4, y - 10, x + 5, y + 6, "#c9b08a")
    for x, y in (ridge[18], ridge[56], ridge[92]):
        watchtower(pen, x, y + 50, 0.55)


def watchtower(pen: Pen, x: float, y: float, size: float) -> None:
    """A tower that stands with the middle of its foot at a point."""
    pen.shape("#d8c19c", *((x + a * size, y + b * size) for a, b in [(-70, 0), (-58, -150), (58, -150), (70, 0)]))
    pen.box(x - 70 * size, y - 172 * size, x + 70 * size, y - 148 * size, "#b99c72")
    for step in range(-3, 4, 2):
        pen.box(x + (step * 20 - 12) * size, y - 192 * size, x + (step * 20 + 12) * size, y - 170 * size, "#b99c72")
    for step in (-1, 1):
        pen.box(x + (step * 28 - 11) * size, y - 120 * size, x + (step * 28 + 11) * size, y - 80 * size, INK, 8 * size)


def tower(pen: Pen, seconds: float) -> None:
    pen.disc(310, 80, 38, AMBER)
    for row in range(3):
        for column in range(7):
            x, y = column * 60 - row % 2 * 30, 310 + row * 30
            pen.box(x, y, x + 55, y + 26, "#b99c72", 3)
    watchtower(pen, 190, 308, 1.3)


def ruler(pen: Pen, seconds: float) -> None:
    great_wall(pen, seconds)
    pen.box(0, 60, 400, 130, AMBER, 8)
    for step in range(1, 20):
        pen.line(INK, 3, (step * 20, 62), (step * 20, 100 if step % 5 == 0 else 82))


def ruined_wall(pen: Pen, seconds: float) -> None:
    chance = random.Random(4)
    for row in range(8):
        for column in range(8):
            if chance.random() < 1.25 - row * 0.02 - abs(7 - row) * (0.06 + 0.02 * (column % 5)):
                x, y = column * 52 - row % 2 * 24 - 6, 90 + row * 36
                pen.box(x, y, x + 48, y + 32, ("#c9b08a", "#b99c72", "#d8c19c")[(row + column) % 3], 4)
    for x in (40, 150, 265, 350):
        pen.line(LEAF, 6, (x, 384), (x - 8, 345))
        pen.line(LEAF, 6, (x, 384), (x + 10, 350))


def earth(pen: Pen, seconds: float) -> None:
    for x, y in [(20, 40), (370, 30), (390, 240), (15, 320), (70, 390), (330, 380), (120, 8)]:
        pen.disc(x, y, 3, PAPER)
    pen.disc(200, 205, 160, "#3f8fd6")
    pen.shape(LEAF, (110, 110), (190, 80), (235, 130), (200, 190), (140, 200), (95, 165))
    pen.shape(LEAF, (230, 220), (310, 190), (330, 255), (280, 310), (235, 280))
    pen.shape(PAPER, (320, 60), (372, 44), (384, 84), (332, 100))
    pen.line(SKY, 12, (300, 88), (400, 56))


def chess_player(pen: Pen, seconds: float) -> None:
    pen.box(140, 120, 260, 260, "#8c3f5d", 26)
    pen.disc(200, 95, 40, "#e3b58c")
    pen.box(152, 32, 248, 76, PAPER, 22)
    pen.disc(200, 34, 13, CORAL)
    pen.line("#8c3f5d", 30, (165, 160), (110, 225), (170, 240))
    pen.box(30, 245, 370, 262, "#d8a878", 4)
    pen.box(45, 262, 355, 390, WOOD, 6)
    for x in (60, 208):
        pen.box(x, 276, x + 132, 376, "#7d4f33", 4)
    for x, y, r in [(100, 330, 30), (150, 310, 22), (265, 326, 32), (312, 342, 18)]:
        pen.disc(x, y, r, None, AMBER, 6)
    for x in (215, 250, 285):
        pen.disc(x, 228, 9, PAPER)
        pen.box(x - 10, 235, x + 10, 246, PAPER, 3)


def chessboard(pen: Pen, seconds: float) -> None:
    for row in range(6):
        for column in range(6):
            x, y = 50 + column * 50, 60 + row * 50
            pen.box(x, y, x + 50, y + 50, PAPER if (row + column) % 2 else "#8c5a3c")
    for column, row, color in [(1, 4, AMBER), (3, 3, INK), (4, 1, INK), (2, 5, AMBER), (0, 1, INK)]:
        x, y = 75 + column * 50, 85 + row * 50
        pen.shape(color, (x - 17, y + 18), (x + 17, y + 18), (x + 5, y - 8), (x - 5, y - 8))
        pen.disc(x, y - 10, 10, color)


def hidden_player(pen: Pen, seconds: float) -> None:
    pen.box(20, 60, 380, 80, "#d8a878", 4)
    pen.box(30, 80, 370, 370, WOOD, 8)
    pen.box(46, 96, 354, 354, "#3a2a22", 6)
    pen.box(102, 232, 178, 354, TEAL, 30)
    pen.disc(142, 198, 34, "#e3b58c")
    pen.line(TEAL, 22, (150, 258), (215, 240), (248, 184))
    pen.disc(248, 182, 13, "#e3b58c")
    pen.line(GREY, 5, (248, 180), (280, 96))
    flicker = 3 * math.sin(seconds * 9)
    pen.disc(305, 250, 55 + flicker, GLOW)
    pen.box(297, 270, 313, 340, PAPER, 3)
    pen.disc(305, 254, 10, AMBER)
    for x in (90, 150, 210, 330):
        pen.box(x - 9, 100, x + 9, 116, CORAL, 4)


def speech_bubble(pen: Pen, seconds: float) -> None:
    pen.box(50, 50, 370, 215, PAPER, 34)
    pen.shape(PAPER, (110, 205), (175, 205), (105, 260))
    for row, length in enumerate((230, 180, 210)):
        pen.box(92, 88 + row * 36, 92 + length, 100 + row * 36, CORAL if row == 1 else GREY, 6)
    pen.box(20, 285, 190, 390, TEAL, 20)
    pen.disc(70, 335, 14, INK)
    pen.disc(140, 335, 14, INK)
    pen.line(TEAL, 6, (105, 285), (105, 262))
    pen.disc(105, 258, 9, AMBER)


def flame(pen: Pen, seconds: float) -> None:
    for color, scale in [(CORAL, 1.0), ("#ff9f45", 0.72), (AMBER, 0.45)]:
        sway = 8 * math.sin(seconds * 5 + scale * 4)
        left = [(-95, 0), (-115, -110), (-60, -170), (-40, -130)]
        tips = [*left, (sway, -330), (55, -170), (80, -200), (115, -90), (90, 0)]
        pen.shape(color, *((200 + x * scale, 370 + y * scale) for x, y in tips))
    pen.line(WOOD, 24, (90, 385), (310, 360))
    pen.line(WOOD, 24, (90, 360), (310, 385))


# The sailing film fills the whole picture and has no words.


def sailing(pen: Pen, seconds: float, hour: str) -> None:
    """A boat that crosses the sea from left to right at dawn, noon, rain, sunset or night."""
    light, water, sail = SAILING_LIGHT[hour]
    x = 190 + seconds * 38
    swell = 15 if hour == "rain" else 6
    SAILING_SKY[hour](pen, seconds)
    for row in range(6):
        y, drift = 350 + row * 34, seconds * (22 + row * 8)
        crest = [(a, y + swell * math.sin((a + drift) / (60 + row * 9) + row * 2)) for a in range(-10, 971, 10)]
        pen.shape(water[row % len(water)], (-10, 540), *crest, (970, 540))
        if row == 1:
            boat(pen, x, 372 + swell * math.sin((x + drift) / 69 + 2), math.sin(seconds * 1.4) * swell / 60, sail)
    for step in range(7):
        half = max(8, 70 - step * 9 + 12 * math.sin(seconds * 2 + step))
        pen.line(light + "90", 4, (700 - half, 395 + step * 20), (700 + half, 395 + step * 20))


def boat(pen: Pen, x: float, y: float, tilt: float, sail: str) -> None:
    def turned(*points: XY) -> list[XY]:
        cos, sin = math.cos(tilt), math.sin(tilt)
        return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in points]

    pen.line("#5a3d2b", 5, *turned((0, -10), (0, -190)))
    pen.shape(sail, *turned((8, -186), (100, -34), (8, -34)))
    pen.shape(CORAL, *turned((-8, -170), (-72, -34), (-8, -34)))
    pen.shape("#7d4f33", *turned((-88, -20), (108, -20), (74, 22), (-62, 22)))
    pen.line(PAPER, 4, *turned((-84, -13), (103, -13)))


def cloud(pen: Pen, x: float, y: float, color: str) -> None:
    for dx, dy, r in [(-55, 8, 28), (-20, -10, 38), (25, -4, 34), (60, 10, 24)]:
        pen.disc(x + dx, y + dy, r, color)


def dawn(pen: Pen, seconds: float) -> None:
    pen.disc(700, 350 - seconds * 5, 58, "#ffe3a8")
    pen.shape("#6d5a7d", (-10, 400), (-10, 250), (90, 215), (200, 290), (330, 355), (380, 400))
    for step, (height, color) in enumerate([(64, PAPER), (84, "#f3c9a8"), (56, "#e9a38b")]):
        left = 20 + step * 62
        pen.box(left, 340 - height, left + 50, 345, color)
        pen.shape("#9c4a4a", (left - 6, 340 - height), (left + 56, 340 - height), (left + 25, 312 - height))


def noon(pen: Pen, seconds: float) -> None:
    pen.disc(700, 90, 52, "#fff3b0")
    for x, y, speed in [(160, 110, 6), (470, 160, 9), (870, 210, 7)]:
        cloud(pen, x + seconds * speed, y, "#ffffffd8")
    for bird in range(4):
        left, top = 300 + bird * 95 + seconds * 14, 210 + 26 * math.sin(bird * 2 + seconds)
        wing = 9 * math.sin(seconds * 7 + bird)
        pen.line("#3a4a5c", 4, (left - 22, top - wing), (left, top + 5), (left + 22, top - wing))


def rain(pen: Pen, seconds: float) -> None:
    for index in range(6):
        cloud(pen, 60 + index * 175 + seconds * 5, 60 + index % 2 * 45, ("#4a5666", "#5a6778")[index % 2])
    drops = random.Random(7)
    for _ in range(110):
        x, y = drops.uniform(0, 1060) - seconds * 30 % 100, (drops.uniform(0, 420) + seconds * 330) % 420
        pen.line("#c9d6e590", 2, (x, y), (x - 7, y + 22))


def evening(pen: Pen, seconds: float) -> None:
    for radius, color in [(150, "#ffd27a30"), (115, "#ffd27a50"), (82, "#ffd97f")]:
        pen.disc(700, 285 + seconds * 4, radius, color)
    for x, y in [(180, 130), (420, 90)]:
        cloud(pen, x + seconds * 4, y, "#b8506b90")


def night(pen: Pen, seconds: float) -> None:
    stars = random.Random(3)
    for _ in range(70):
        x, y, phase = stars.uniform(0, 960), stars.uniform(0, 300), stars.uniform(0, 6)
        pen.disc(x, y, 1.2 + 0.8 * math.sin(seconds * 2 + phase), PAPER)
    pen.disc(700, 110, 48, "#f3ecd0")
    pen.disc(722, 98, 42, "#16254a")
    sweep = 60 * math.sin(seconds * 0.8)
    pen.shape("#ffe9a040", (90, 228), (960, 190 + sweep), (960, 270 + sweep))
    pen.shape("#0d1730", (20, 400), (50, 335), (150, 330), (190, 400))
    pen.shape("#d9d3c4", (78, 240), (102, 240), (112, 345), (68, 345))
    pen.box(80, 216, 100, 240, AMBER)


SAILING_SKY = {"dawn": dawn, "noon": noon, "rain": rain, "sunset": evening, "night": night}
SAILING_LIGHT = {
    "dawn": ("#ffe3a8", ("#7a86ad", "#6a78a4", "#5b6a98"), PAPER),
    "noon": ("#ffffff", ("#3fa7d6", "#2f93c6", "#2582b4"), "#ffffff"),
    "rain": ("#9fb0c8", ("#4b6178", "#40556b", "#374a5f"), "#dfe3e6"),
    "sunset": ("#ffd97f", ("#8c4a6b", "#7a3f63", "#66355a"), "#ffe8c4"),
    "night": ("#f3ecd0", ("#1c3460", "#172c54", "#122448"), "#cfd6e6"),
}
