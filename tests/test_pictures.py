"""Which pictures are kept, which of two is better, and where packets betray a cut: truth tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from clips import Scene
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from ingest.picture_groups import likely_cuts
from ingest.pictures import Look, PictureKeeper, gradual_cut, is_better, look_of

SIZE = (160, 90)
ONE, TWO = (look_of(Scene(1, number).picture(*SIZE)) for number in (1, 2))
SOFT = look_of(Scene(1, 1).picture(*SIZE).filter(ImageFilter.GaussianBlur(3)))
BLACK = look_of(Image.new("RGB", SIZE))


def dark_noise(seed: int) -> Look:
    values = np.random.default_rng(seed).integers(0, 12, (*SIZE[::-1], 3), dtype=np.uint8)
    return look_of(Image.fromarray(values))


@pytest.mark.parametrize(
    ("name", "image", "is_blank"),
    [
        ("black", Image.new("RGB", SIZE), True),
        ("white", Image.new("RGB", SIZE, "white"), True),
        ("red", Image.new("RGB", SIZE, "red"), True),
        ("one pixel", Image.new("RGB", (1, 1), "red"), True),
        ("a picture", Scene(1, 1).picture(*SIZE), False),
        ("out of focus", Scene(1, 1).picture(*SIZE).filter(ImageFilter.GaussianBlur(12)), False),
        ("a few words on white", Scene(1, 1, "I").picture(*SIZE), False),
    ],
)
def test_what_is_blank(name: str, image: Image.Image, is_blank: bool) -> None:
    assert look_of(image).is_blank is is_blank, name


def test_noise_in_the_dark_is_no_cut() -> None:
    looks = [dark_noise(seed) for seed in range(12)]
    assert not any(look.cut_from(other) for look in looks for other in looks)
    assert ONE.cut_from(looks[0])


@pytest.mark.parametrize(
    ("why", "look", "waited", "wanted", "best", "expected"),
    [
        ("sharper, same picture, soon", ONE, 0.2, SOFT, SOFT, True),
        ("too late", ONE, 0.4, SOFT, SOFT, False),
        ("not sharper", SOFT, 0.2, ONE, ONE, False),
        ("another picture", TWO, 0.2, ONE, ONE, False),
        ("instead of nothing", SOFT, 2.9, BLACK, BLACK, True),
        ("instead of nothing, too late", SOFT, 3.1, BLACK, BLACK, False),
        ("sharper than what came instead of nothing", ONE, 2.9, BLACK, SOFT, True),
        ("nothing instead of nothing", BLACK, 1.0, BLACK, BLACK, False),
    ],
)
def test_the_better_of_two(why: str, look: Look, waited: float, wanted: Look, best: Look, expected: bool) -> None:
    assert is_better(look, waited, wanted, best) is expected, why


def test_a_known_cut_counts_whatever_it_looks_like() -> None:
    keeper = PictureKeeper()
    assert keeper.wants(0.0, ONE, False)
    assert not keeper.wants(0.5, TWO, False)
    assert keeper.wants(0.6, TWO, True)
    assert keeper.cut_seconds == [0.6]


def mixtures(shares: Sequence[float]) -> list[tuple[float, Look]]:
    one, two = (np.asarray(Scene(1, number).picture(*SIZE), float) for number in (1, 2))
    pictures = [((1 - share) * one + share * two).astype(np.uint8) for share in shares]
    return [(float(second), look_of(Image.fromarray(picture))) for second, picture in enumerate(pictures)]


def test_gradual_cuts() -> None:
    assert gradual_cut(mixtures([0, 0.2, 0.4, 0.6, 0.8, 1])) == pytest.approx(2.5, abs=0.5)
    assert gradual_cut(mixtures([0, 0.1, 0, 0.1])) is None
    assert gradual_cut([(0.0, ONE), (1.0, BLACK), (2.0, TWO)]) == 1.0
    elsewhere = look_of(Scene(1, 3).picture(*SIZE))
    assert gradual_cut([(0.0, ONE), (1.0, elsewhere), (2.0, TWO)]) is None


QUIET = [900, 300, 310, 1000, 290, 310, 950, 300, 310, 1100, 300, 300]


@pytest.mark.parametrize(
    ("why", "sizes", "key_bytes", "expected"),
    [
        ("nothing happens", [20_000, *QUIET], 20_000, []),
        ("a new picture", [20_000, *QUIET, 9000, *QUIET], 20_000, [13]),
        ("two", [20_000, *QUIET, 9000, *QUIET, 8000, *QUIET], 20_000, [13, 26]),
        ("too small beside the key frame", [90_000, *QUIET, 9000, *QUIET], 90_000, []),
        ("large beside large ones is no news", [20_000, *[7000] * 20, 9000, 7000], 20_000, []),
        ("a new line on a slide", [20_000, *[50] * 20, 1200, *[50] * 20], 20_000, [21]),
        ("too few to tell", [20_000, 300, 9000], 20_000, []),
        ("no key frame, so the first may be one", [9000, *QUIET, *QUIET], 0, [0]),
    ],
)
def test_packets_that_betray_a_cut(why: str, sizes: list[int], key_bytes: int, expected: list[int]) -> None:
    assert likely_cuts(sizes, key_bytes) == expected, why


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(0, 10**9))
def test_fewer_than_one_packet_in_ten_betrays_a_cut(sizes: list[int], key_bytes: int) -> None:
    found = likely_cuts([size + 1 for size in sizes], key_bytes)
    assert len(found) <= 1 + len(sizes) / 10
    assert not (key_bytes and 0 in found)


def test_sharpness_tells_focus() -> None:
    shades = [Scene(1, 5, "WORDS").picture(*SIZE).filter(ImageFilter.GaussianBlur(blur)) for blur in (0, 1, 2, 4)]
    values = [look_of(shade).sharpness for shade in shades]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * values[1]
