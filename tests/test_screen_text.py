"""On-screen text: real readings of drawn pictures, and a truth table of frames and spans."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ingest.changed_areas import Box
from ingest.schema import PlayheadError, ScreenText, VideoError
from ingest.screen_models import DETECTION_FILE, RECOGNITION_FILE, models_folder
from ingest.screen_text import (
    MIN_LINE_CONFIDENCE,
    Line,
    Picture,
    PlacedLine,
    RapidOcrReader,
    ScreenReader,
    is_same_line,
    load_screen_reader,
    quarter_turns_to_try,
    read_frames,
    screen_text_spans,
    without_counters,
)
from ingest.weights import HUB_TIMEOUT_SECONDS

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
LINES = ("Photosynthesis in six steps", "light reactions", "the Calvin cycle 1950")
FRAMES = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.lists(st.tuples(st.text("ab 1", min_size=1).filter(str.strip), st.floats(0, 1)), max_size=4),
    ),
    max_size=6,
)


def draw(path: Path, lines: tuple[str, ...], size: int = 32, ink: str = "white", paper: str = "#102040") -> Path:
    picture = Image.new("RGB", (1280, 720), paper)
    pen = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        pen.text((80, 80 + row * 90), line, fill=ink, font=ImageFont.load_default(size=size))
    picture.save(path, quality=80)
    return path


@pytest.fixture(scope="module")
def reader() -> RapidOcrReader:
    pytest.importorskip("rapidocr")
    found = load_screen_reader()
    assert found is not None
    return found


def read(reader: ScreenReader, path: Path) -> list[Line]:
    [(_, lines)] = read_frames(reader, [(0.0, path)])
    return lines


@pytest.mark.parametrize("size", [14, 40])
def test_lines_are_read_in_order_small_and_large(reader: RapidOcrReader, tmp_path: Path, size: int) -> None:
    lines = read(reader, draw(tmp_path / "slide.jpg", LINES, size))
    assert [text for text, _ in lines] == list(LINES)
    assert all(MIN_LINE_CONFIDENCE <= confidence <= 1.0 for _, confidence in lines)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_any_colour_mode_is_read(reader: RapidOcrReader, tmp_path: Path, mode: str) -> None:
    draw(tmp_path / "slide.png", LINES[:1], 40, ink="black", paper="white")
    Image.open(tmp_path / "slide.png").convert(mode).save(tmp_path / "other.png")
    assert [text for text, _ in read(reader, tmp_path / "other.png")] == [LINES[0]]


@pytest.mark.parametrize("size", [(1280, 720), (1, 1), (3000, 2), (30, 9000), (3000, 30), (64, 36)])
def test_a_picture_without_text_has_no_lines(reader: RapidOcrReader, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "navy").save(tmp_path / "blank.png")
    assert read(reader, tmp_path / "blank.png") == []


def test_a_damaged_picture_is_told_in_one_line(reader: RapidOcrReader, tmp_path: Path) -> None:
    whole = draw(tmp_path / "slide.jpg", LINES)
    whole.write_bytes(whole.read_bytes()[:900])
    with pytest.raises(VideoError, match=r"slide\.jpg cannot be read as a picture") as told:
        read(reader, whole)
    assert "\n" not in str(told.value)


def test_reading_is_silent(reader: RapidOcrReader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_screen_reader("en")
    assert loaded is not None
    read(loaded, draw(tmp_path / "blank.jpg", ()))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "turn",
    ["", "-rotated-180", *(pytest.param(side, marks=pytest.mark.slow) for side in ("-rotated-L", "-rotated-R"))],
)
def test_a_printed_page_is_read_whole_and_in_order_however_it_lies(reader: RapidOcrReader, turn: str) -> None:
    page = DATA / "ocr" / f"phototest{turn}{'.png' if turn else '.tif'}"
    if not page.is_file():
        pytest.skip(f"no real page at {page}")
    words = " ".join(text for text, _ in read(reader, page)).split()
    truth = (DATA / "ocr" / "phototest.gold.txt").read_text().split()
    assert sum(word in words for word in truth) / len(truth) > 0.95
    assert words[:6] == truth[:6]


@pytest.mark.slow
def test_text_of_real_videos_is_read(reader: RapidOcrReader, tmp_path: Path) -> None:
    rows = DATA / "media" / "onscreen_text.jsonl"
    if not rows.is_file():
        pytest.skip(f"no real videos at {rows}")
    wanted = {"AV1 Test", "SPB TV", "Audioless Video", "01:00:12:00", "THE PEACH OPEN MOVIE PROJECT PRESENTS"}
    missed = []
    for row in map(json.loads, rows.read_text().splitlines()):
        if row["text"] in wanted:
            save_frame(rows.parent / row["path"], (row["start"] + row["end"]) / 2, tmp_path / "frame.jpg")
            shown = letters("".join(text for text, _ in read(reader, tmp_path / "frame.jpg")))
            missed += [] if letters(row["text"]) in shown else [row["text"]]
    assert missed == []


def save_frame(video: Path, seconds: float, target: Path) -> None:
    """The frame shown at a time."""
    import av

    with av.open(str(video)) as container:
        shown = None
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time > seconds and shown is not None:
                break
            shown = frame
        assert shown is not None
        shown.to_image().save(target, quality=90)


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


class BlockReader:
    """Reads white blocks on black: each is a line whose text is its height and width; keeps the sizes it was asked for."""

    name = "blocks"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def read(self, picture: Picture) -> list[PlacedLine]:
        height, width, _ = picture.shape
        self.asked.append((width, height))
        lines, rest = [], picture[:, :, 0] > 128
        while rest.any():
            y, x = (int(side[0]) for side in np.nonzero(rest))
            right = x + int(np.argmin(np.append(rest[y, x:], False)))
            down = y + int(np.argmin(np.append(rest[y:, x], False)))
            rest[y:down, x:right] = False
            lines.append(PlacedLine(f"{right - x} x {down - y}", 0.9, Box(x, y, right, down)))
        return lines


def frames_of(folder: Path, *pictures: Sequence[tuple[int, int, int, int]]) -> list[tuple[float, Path]]:
    """One frame a second of 640 x 384, each with white blocks (left, top, width, height) on black."""
    paths = [folder / f"{second}.png" for second in range(len(pictures))]
    for path, blocks in zip(paths, pictures, strict=True):
        canvas = np.zeros((384, 640, 3), dtype=np.uint8)
        for left, top, width, height in blocks:
            canvas[top : top + height, left : left + width] = 255
        Image.fromarray(canvas).save(path)
    return [(float(second), path) for second, path in enumerate(paths)]


SLIDE = [(20, 20, 200, 20), (20, 70, 150, 20)]


@pytest.mark.parametrize(
    ("second", "texts", "asked"),
    [
        (SLIDE, ["200 x 20", "150 x 20"], []),  # nothing changed
        (
            [*SLIDE, (500, 300, 40, 30)],
            ["200 x 20", "150 x 20", "40 x 30"],
            [(128, 128)],
        ),  # below, over four cells
        ([(300, 25, 60, 20), *SLIDE], ["200 x 20", "60 x 20", "150 x 20"], [(128, 64)]),  # beside the first line
        (SLIDE[:1], ["200 x 20"], [(256, 128)]),  # a line went, close below another
        ([(20, 20, 208, 20), SLIDE[1]], ["208 x 20", "150 x 20"], [(256, 64)]),  # a line grew: it is read as a whole
        ([(0, 0, 640, 300)], ["640 x 300"], [(640, 384)]),  # another picture
        ([], [], [(256, 128)]),
    ],
    ids=["same", "below", "beside", "less", "longer", "cut", "empty"],
)
def test_only_what_changed_is_read_again(
    tmp_path: Path, second: list[tuple[int, int, int, int]], texts: list[str], asked: list[tuple[int, int]]
) -> None:
    reader = BlockReader()
    (_, first), (_, lines) = read_frames(reader, frames_of(tmp_path, SLIDE, second))
    assert [text for text, _ in first] == ["200 x 20", "150 x 20"]
    assert [text for text, _ in lines] == texts
    assert reader.asked == [(640, 384), *asked]


def test_a_slow_fade_is_seen_in_the_end(tmp_path: Path) -> None:
    paths = [tmp_path / f"{level}.png" for level in range(0, 256, 8)]
    for level, path in enumerate(paths):
        Image.new("RGB", (128, 128), (level * 8,) * 3).save(path)
    *_, (_, last) = read_frames(BlockReader(), [(float(n), path) for n, path in enumerate(paths)])
    assert [text for text, _ in last] == ["128 x 128"]


def test_frames_of_another_size_are_read_whole(tmp_path: Path) -> None:
    Image.new("RGB", (100, 80), "white").save(tmp_path / "small.png")
    reader = BlockReader()
    frames = [*frames_of(tmp_path, SLIDE), (1.0, tmp_path / "small.png")]
    assert [[text for text, _ in lines] for _, lines in read_frames(reader, frames)][1] == ["100 x 80"]


def test_what_an_earlier_run_read_is_given_back_without_reading(tmp_path: Path) -> None:
    frames = frames_of(tmp_path, SLIDE, SLIDE, [*SLIDE, (400, 300, 40, 30)], SLIDE)
    whole = list(read_frames(BlockReader(), frames))
    for done in range(len(frames) + 1):
        known = dict(whole[:done])
        for _, path in frames[:done]:
            path.unlink(missing_ok=True)  # so that reading one again would fail
        assert list(read_frames(BlockReader(), frames, known)) == whole


@given(st.lists(st.lists(st.tuples(*[st.integers(0, 9)] * 4), max_size=4), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_reading_what_changed_finds_what_reading_everything_finds(
    pictures: list[list[tuple[int, int, int, int]]],
) -> None:
    """Blocks a cell apart, so that a part of the picture shows the same blocks as the whole."""
    with tempfile.TemporaryDirectory() as folder:
        blocks = [
            sorted({(64 * x + 8, 64 * (y % 6) + 8, 8 * (w % 6) + 8, 8 * (h % 6) + 8) for x, y, w, h in picture})
            for picture in pictures
        ]
        blocks = [list({(x, y): (x, y, w, h) for x, y, w, h in picture}.values()) for picture in blocks]
        frames = frames_of(Path(folder), *blocks)
        in_parts = [sorted(lines) for _, lines in read_frames(BlockReader(), frames)]
        assert in_parts == [sorted(read(BlockReader(), path)) for _, path in frames]


def test_a_clock_beside_a_slide_costs_the_clock(reader: RapidOcrReader, tmp_path: Path) -> None:
    asked: list[float] = []

    class Counting:
        name = reader.name

        def read(self, picture: Picture) -> list[PlacedLine]:
            asked.append(picture.shape[0] * picture.shape[1] / (1280 * 720))
            return reader.read(picture)

    frames = []
    for second in range(3):
        draw(tmp_path / f"{second}.jpg", LINES, 40)
        with Image.open(tmp_path / f"{second}.jpg") as slide:
            ImageDraw.Draw(slide).text((1000, 600), f"00:00:1{second}", fill="white", font=ImageFont.load_default(32))
            slide.save(tmp_path / f"{second}.jpg", quality=80)
        frames.append((float(second), tmp_path / f"{second}.jpg"))
    read_lines = [[text for text, _ in lines] for _, lines in read_frames(Counting(), frames)]
    assert read_lines == [[*LINES, f"00:00:1{second}"] for second in range(3)]
    assert len(asked) == 3 and max(asked[1:]) < 0.05


def box_lines(count: int, width: int, height: int, confidence: float, text: str = "word") -> list[PlacedLine]:
    return [PlacedLine(text, confidence, Box(0, 50 * n, width, 50 * n + height)) for n in range(count)]


@pytest.mark.parametrize(
    ("lines", "turns"),
    [
        (box_lines(8, 300, 20, 0.99), ()),
        (box_lines(8, 300, 20, 0.7), (2,)),
        (box_lines(3, 300, 20, 0.7), ()),  # too few to tell
        (box_lines(8, 20, 300, 0.99), (1, 3)),
        (box_lines(8, 20, 30, 0.3, "X"), ()),  # lone letters, as on a chess board
        ([*box_lines(5, 300, 20, 0.99), *box_lines(4, 20, 300, 0.7)], ()),  # labels along an axis
        ([], ()),
    ],
)
def test_only_a_page_that_reads_badly_or_sideways_is_turned(lines: list[PlacedLine], turns: tuple[int, ...]) -> None:
    assert quarter_turns_to_try(lines) == turns


@pytest.mark.parametrize(
    "language", ["auto", "zh", *(pytest.param(name, marks=pytest.mark.slow) for name in ("en", "EN", "de", "ja"))]
)
def test_the_wheel_reads_latin_letters_chinese_and_japanese(reader: RapidOcrReader, language: str) -> None:
    loaded = load_screen_reader(language)
    assert loaded is not None and loaded.name == reader.name


def test_other_languages_are_off_with_a_reason_where_their_model_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("rapidocr")
    from huggingface_hub import constants
    from rapidocr.utils.download_file import DownloadFile

    if (models_folder() / "korean_PP-OCRv5_rec_mobile.onnx").is_file():
        pytest.skip("the Korean model is installed here")
    asked: list[float] = []

    def fail(url: str, logger: object) -> None:
        asked.append(DownloadFile.REQUEST_TIMEOUT)
        raise OSError("no route to host")

    monkeypatch.setattr(DownloadFile, "_make_http_request", fail)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_screen_reader("ko") is None
    assert asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert load_screen_reader("ko") is None
    assert asked == [HUB_TIMEOUT_SECONDS]
    assert [record.message.partition(". ")[0] for record in caplog.records] == [
        "The screen text model korean is not here, and HF_HUB_OFFLINE is set",
        "The screen text model korean cannot be downloaded",
    ]
    assert not (models_folder() / "korean_PP-OCRv5_rec_mobile.onnx").exists()


def test_an_unknown_language_is_told(reader: RapidOcrReader) -> None:
    with pytest.raises(PlayheadError, match=r"'klingon' on the screen. Choose auto .* or one of ar, .*uk"):
        load_screen_reader("klingon")


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_models_that_cannot_be_opened_are_told_at_once(reader: RapidOcrReader, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "model.onnx"
    if damage == "damaged":
        file.write_bytes(b"no model")
    with pytest.raises(PlayheadError, match="cannot be opened .*Reinstall it"):
        RapidOcrReader("some", file)


def test_the_models_in_use_are_those_of_the_wheel(reader: RapidOcrReader) -> None:
    assert (models_folder() / DETECTION_FILE).is_file()
    assert (models_folder() / RECOGNITION_FILE).is_file()


def spans(*frames: tuple[float, list[str]], duration: float = 60.0) -> list[tuple[float, float, str]]:
    shown = screen_text_spans([(at, [(text, 0.9) for text in lines]) for at, lines in frames], duration)
    return [(span.start_seconds, span.end_seconds, span.text) for span in shown]


def test_a_line_holds_until_the_next_frame_that_does_not_show_it() -> None:
    assert spans((0, ["intro"]), (10, ["intro", "agenda"]), (25, ["agenda"]), (40, [])) == [
        (0, 25, "intro"),
        (10, 40, "agenda"),
    ]


def test_the_last_line_holds_until_the_end_of_the_video() -> None:
    assert spans((50, ["the end"]), duration=55) == [(50, 55, "the end")]
    assert spans((50, ["the end"]), duration=50) == [(50, 50, "the end")]
    assert spans((70, ["late"]), duration=50) == [(50, 50, "late")]


def test_a_line_that_comes_back_is_two_spans() -> None:
    assert spans((0, ["logo"]), (5, []), (9, ["logo"]), (12, [])) == [(0, 5, "logo"), (9, 12, "logo")]


def test_a_line_that_one_frame_misses_for_a_moment_goes_on() -> None:
    assert spans((0, ["title", "agenda"]), (1, ["agenda"]), (2, ["title", "agenda"]), (3, []), (9, [])) == [
        (0, 3, "title"),
        (0, 3, "agenda"),
    ]
    assert spans((0, ["title"]), (1, []), (2, []), (3, ["title"]), (4, [])) == [(0, 1, "title"), (3, 4, "title")]


def test_readings_that_differ_by_a_letter_are_one_line_in_its_surest_reading() -> None:
    frames = [(0.0, [("Photosynthesls", 0.7)]), (5.0, [("Photosynthesis", 0.95)]), (9.0, [("PhotosynthesIs", 0.8)])]
    assert screen_text_spans(frames, 20) == [ScreenText(0.0, 20.0, "Photosynthesis", 0.95)]


def test_running_numbers_stay_apart() -> None:
    assert spans((0, ["01:00:00:00"]), (1, ["01:00:01:00"]), (2, ["01:00:01:00"]), duration=3) == [
        (0, 1, "01:00:00:00"),
        (1, 3, "01:00:01:00"),
    ]


def test_one_line_read_twice_in_a_frame_is_one_span() -> None:
    assert spans((0, ["SPB TV", "spb tv"]), duration=9) == [(0, 9, "SPB TV")]


def test_a_counter_is_left_out_of_what_is_embedded_but_for_its_first_reading() -> None:
    clock = [(n, [f"01:00:0{n}:00", "Slide 1" if n < 3 else "Slide 2"]) for n in range(6)]
    shown = screen_text_spans([(at, [(text, 0.9) for text in lines]) for at, lines in clock], 6)
    assert len(shown) == 8
    assert [span.text for span in without_counters(shown)] == ["01:00:00:00", "Slide 1", "Slide 2"]
    table = screen_text_spans([(0.0, [(f"19{n}0", 0.9) for n in range(1, 8)])], 6)
    assert without_counters(table) == table


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Gradient descent", "Gradient  descent.", True),
        ("Gradient descent", "Gradlent descent", True),
        ("Chapter 1", "Chapter 2", False),
        ("yes", "no", False),
        ("mean", "median", False),
        ("光合成", "光合成", True),
    ],
)
def test_what_counts_as_the_same_line(first: str, second: str, same: bool) -> None:
    assert is_same_line(first, second) is same


@given(FRAMES, st.floats(0, 100))
def test_spans_stay_inside_the_video_and_follow_each_other(
    frames: list[tuple[float, list[tuple[str, float]]]], duration: float
) -> None:
    found = screen_text_spans(frames, duration)
    assert all(0 <= span.start_seconds <= span.end_seconds <= duration for span in found)
    assert [span.start_seconds for span in found] == sorted(span.start_seconds for span in found)
    read = {text for _, lines in frames for text, _ in lines}
    assert {span.text for span in found} <= read
    assert bool(found) == bool(read)
