"""On-screen text: real readings of drawn pictures, and a truth table of frames and spans."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ingest.schema import ScreenText, VideoError
from ingest.screen_text import MIN_LINE_CONFIDENCE, RapidOcrReader, is_same_line, load_screen_reader, screen_text_spans

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


@pytest.mark.parametrize("size", [14, 40])
def test_lines_are_read_in_order_small_and_large(reader: RapidOcrReader, tmp_path: Path, size: int) -> None:
    read = reader.read(draw(tmp_path / "slide.jpg", LINES, size))
    assert [text for text, _ in read] == list(LINES)
    assert all(MIN_LINE_CONFIDENCE <= confidence <= 1.0 for _, confidence in read)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_any_colour_mode_is_read(reader: RapidOcrReader, tmp_path: Path, mode: str) -> None:
    draw(tmp_path / "slide.png", LINES[:1], 40, ink="black", paper="white")
    Image.open(tmp_path / "slide.png").convert(mode).save(tmp_path / "other.png")
    assert [text for text, _ in reader.read(tmp_path / "other.png")] == [LINES[0]]


@pytest.mark.parametrize("size", [(1280, 720), (1, 1), (3000, 2), (30, 9000), (3000, 30), (64, 36)])
def test_a_picture_without_text_has_no_lines(reader: RapidOcrReader, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "navy").save(tmp_path / "blank.png")
    assert reader.read(tmp_path / "blank.png") == []


def test_a_damaged_picture_is_told_in_one_line(reader: RapidOcrReader, tmp_path: Path) -> None:
    whole = draw(tmp_path / "slide.jpg", LINES)
    whole.write_bytes(whole.read_bytes()[:900])
    with pytest.raises(VideoError, match=r"slide\.jpg cannot be read as a picture") as told:
        reader.read(whole)
    assert "\n" not in str(told.value)


def test_reading_is_silent(reader: RapidOcrReader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    RapidOcrReader().read(draw(tmp_path / "blank.jpg", ()))
    assert capfd.readouterr() == ("", "")


def test_a_printed_page_is_read_whole(reader: RapidOcrReader) -> None:
    page = DATA / "ocr" / "phototest.tif"
    if not page.is_file():
        pytest.skip(f"no real page at {page}")
    read = " ".join(text for text, _ in reader.read(page)).split()
    truth = (DATA / "ocr" / "phototest.gold.txt").read_text().split()
    assert sum(word in read for word in truth) / len(truth) > 0.95


def test_text_of_real_videos_is_read(reader: RapidOcrReader, tmp_path: Path) -> None:
    rows = DATA / "media" / "onscreen_text.jsonl"
    if not rows.is_file():
        pytest.skip(f"no real videos at {rows}")
    wanted = {"AV1 Test", "SPB TV", "Audioless Video", "01:00:12:00", "THE PEACH OPEN MOVIE PROJECT PRESENTS"}
    missed = []
    for row in map(json.loads, rows.read_text().splitlines()):
        if row["text"] in wanted:
            save_frame(rows.parent / row["path"], (row["start"] + row["end"]) / 2, tmp_path / "frame.jpg")
            read = letters("".join(text for text, _ in reader.read(tmp_path / "frame.jpg")))
            missed += [] if letters(row["text"]) in read else [row["text"]]
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
