"""What is seen of a video: cuts and times where key frames do not tell them, and the better of two pictures."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import Scene, make_clip, make_numbered_clip, number_of, tone
from PIL import Image, ImageFilter

from ingest import media as media_module
from ingest.media import DecodedMedia, decode_media
from ingest.schema import VideoError

RATE = 25
FRAME = 1 / RATE + 0.002
# Shots that begin at these seconds; none of them where a rhythm of 2 or 4 seconds would put a key frame.
STARTS = (0.0, 1.56, 3.4, 5.12, 5.92, 9.24, 11.0)
SECONDS = 13.0
NO_SCENECUT = {"sc_threshold": "0", "preset": "veryfast"}


def scene_of(time: float) -> int:
    return bisect.bisect(STARTS, time + 0.001)


def steady(seconds: float = SECONDS) -> list[float]:
    return [number / RATE for number in range(round(seconds * RATE))]


@pytest.fixture
def decode(tmp_path: Path) -> Callable[..., DecodedMedia]:
    folders = itertools.count()
    return lambda path, **options: decode_media(path, tmp_path / f"work{next(folders)}", **options)


def assert_times_are_true(media: DecodedMedia, times: Sequence[float], rotation: int = 0) -> None:
    """Each kept picture shows the number of the frame that is on at its time, one frame more or less."""
    for kept in media.frames:
        with Image.open(kept.path) as image:
            number = number_of(image.rotate(-rotation, expand=True))
        assert abs(kept.time_seconds - times[number]) <= FRAME, (kept.time_seconds, number)


def assert_every_shot_is_held(media: DecodedMedia, starts: Sequence[float] = STARTS, end: float = SECONDS) -> None:
    times = [frame.time_seconds for frame in media.frames]
    for start, stop in itertools.pairwise([*starts, end]):
        assert any(start - 0.01 <= time < stop for time in times), (start, stop, times)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"preset": "veryfast"}),
        ("mp4", "libx264", {**NO_SCENECUT, "g": "100"}),
        ("mp4", "libx264", {**NO_SCENECUT, "g": "10000", "bf": "8", "b_strategy": "0"}),
        ("mkv", "libx264", {**NO_SCENECUT, "g": "50", "bf": "0"}),
        ("ts", "libx264", {**NO_SCENECUT, "g": "100"}),
        pytest.param(
            *("webm", "libvpx", {"deadline": "good", "cpu-used": "5", "g": "100", "sc_threshold": "0"}),
            marks=pytest.mark.slow,
        ),
        ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "100"}),
        ("avi", "mpeg4", {"g": "100", "sc_threshold": "1000000000", "q": "4"}),
        ("mkv", "mjpeg", {}),
    ],
)
def test_cuts_between_key_frames_are_found_to_the_frame(
    tmp_path: Path, decode: Any, suffix: str, codec: str, options: dict[str, str]
) -> None:
    path = make_numbered_clip(tmp_path / f"clip.{suffix}", steady(), scene_of, video_codec=codec, options=options)
    media = decode(path)
    assert_every_shot_is_held(media)
    assert len(media.cut_seconds) == len(STARTS) - 1
    assert media.cut_seconds == pytest.approx(STARTS[1:], abs=FRAME)
    assert_times_are_true(media, steady())
    assert media.warnings == ()


def test_a_shot_hidden_between_two_like_key_frames_is_found(tmp_path: Path, decode: Any) -> None:
    options = {**NO_SCENECUT, "g": "100"}
    path = make_numbered_clip(tmp_path / "a.mp4", steady(8), lambda time: 5 <= time < 6.2, options=options)
    media = decode(path)
    assert media.cut_seconds == pytest.approx((5.0, 6.2), abs=FRAME)
    assert_every_shot_is_held(media, (0.0, 5.0, 6.2), 8.0)


def test_a_moving_camera_is_no_cut_and_a_cross_fade_is_one(tmp_path: Path, decode: Any) -> None:
    """Both change everything from one key frame to the next, and neither from one picture to the next."""
    one, two = (np.asarray(Scene(1, n).picture(640, 180).filter(ImageFilter.GaussianBlur(8)), float) for n in (1, 2))
    options = {**NO_SCENECUT, "g": "50"}

    def fade(time: float) -> Any:
        share = np.clip((time - 4.6) / 0.8, 0, 1)
        return ((1 - share) * one + share * two)[:, :320]

    def pan(time: float) -> Any:
        left = round(60 * max(0.0, time - 4))
        return one[:, left : left + 320]

    assert decode(write_pictures(tmp_path / "fade.mp4", steady(8), fade, options)).cut_seconds == pytest.approx(
        (5,), abs=0.4
    )
    assert decode(write_pictures(tmp_path / "pan.mp4", steady(8), pan, options)).cut_seconds == ()


def write_pictures(
    path: Path, times: Sequence[float], picture_at: Callable[[float], Any], options: dict[str, str]
) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture_at(time).astype(np.uint8), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def test_a_slide_between_key_frames_is_seen_and_is_no_cut(tmp_path: Path, decode: Any) -> None:
    slides = [
        np.asarray(Scene(1, 0, text).picture(320, 180))
        for text in ("A title of a slide", "Another heading here", "A title of a slide")
    ]
    options = {**NO_SCENECUT, "g": "250"}
    media = decode(write_pictures(tmp_path / "a.mp4", steady(12), lambda t: slides[(t >= 4) + (t >= 7)], options))
    assert media.cut_seconds == ()
    assert [frame.time_seconds for frame in media.frames] == pytest.approx([0.0, 4.0, 7.0], abs=0.4)


# True times


def test_a_variable_frame_rate(tmp_path: Path, decode: Any) -> None:
    steps = itertools.cycle([0.02, 0.04, 0.3, 0.05, 1.1, 0.04])
    times = list(itertools.takewhile(lambda time: time < 30, itertools.accumulate(steps, initial=0.0)))
    path = make_numbered_clip(
        tmp_path / "phone.mp4", times, lambda time: int(time / 4), options={"g": "250", **NO_SCENECUT}
    )
    media = decode(path)
    assert len(media.frames) >= 8
    assert_times_are_true(media, times)


@pytest.mark.parametrize("rotation", [90, 180])
def test_a_rotated_recording(tmp_path: Path, decode: Any, rotation: int) -> None:
    media = decode(make_numbered_clip(tmp_path / "phone.mp4", steady(), scene_of, rotation=rotation))
    assert_every_shot_is_held(media)
    assert_times_are_true(media, steady(), rotation)


def test_a_start_that_is_not_zero(tmp_path: Path, decode: Any) -> None:
    late = [time + 7.0 for time in steady()]
    media = decode(make_numbered_clip(tmp_path / "late.mkv", late, lambda time: scene_of(time - 7)))
    assert media.cut_seconds == pytest.approx(STARTS[1:], abs=FRAME)
    assert_times_are_true(media, steady())


def test_an_edit_list_hides_the_beginning(tmp_path: Path, decode: Any) -> None:
    """The first key frame lies before the part that is shown, and gives no picture."""
    path = make_numbered_clip(
        tmp_path / "cut.mp4", steady(), scene_of, hidden_seconds=2.0, options={**NO_SCENECUT, "g": "100", "bf": "0"}
    )
    media = decode(path)
    starts = (0.0, *(start - 2 for start in STARTS if start > 2))
    assert_times_are_true(media, [time - 2 for time in steady()])
    assert_every_shot_is_held(media, starts, SECONDS - 2)


def test_two_recordings_joined_by_cat_are_read_in_whole(tmp_path: Path, decode: Any) -> None:
    options, split = {"preset": "veryfast"}, 200
    for name, first, last in (("a", 0, split), ("b", split, len(steady()))):
        part = tmp_path / f"{name}.ts"
        make_numbered_clip(
            part,
            steady()[: last - first],
            lambda time, first=first: scene_of(time + first / RATE),
            first=first,
            options=options,
        )
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    media = decode(joined)
    assert media.duration_seconds == pytest.approx(SECONDS, abs=0.2)
    assert media.cut_seconds == pytest.approx(STARTS[1:], abs=0.1)
    assert_every_shot_is_held(media)
    assert_times_are_true(media, [time + 0.04 for time in steady()])
    assert media.warnings[0].startswith("its timestamps begin anew at second 8.0")


@pytest.mark.parametrize("shown", ["same", "back"])
def test_times_that_do_not_advance_end_well(tmp_path: Path, decode: Any, shown: str) -> None:
    import av

    whole, path = (
        make_numbered_clip(tmp_path / "a.mkv", steady(4), scene_of, options={"g": "5", "bf": "0"}),
        tmp_path / "b.avi",
    )
    with av.open(str(whole)) as source, av.open(str(path.with_suffix(".ts")), "w") as target:
        stream = target.add_stream_from_template(source.streams[0])
        for number, packet in enumerate(source.demux()):
            if packet.size:
                packet.stream = stream
                packet.pts = packet.dts if shown == "same" else packet.dts + (number % 2) * 40
                target.mux(packet)
    media = decode(path.with_suffix(".ts"))
    assert media.frames
    assert [frame.time_seconds for frame in media.frames] == sorted({frame.time_seconds for frame in media.frames})


# Which picture


def test_a_black_key_frame_gives_way_to_what_fades_in(tmp_path: Path, decode: Any) -> None:
    scene = np.asarray(Scene(1, 4, "HELLO").picture(320, 180), dtype=float)
    media = decode(
        write_pictures(tmp_path / "fade.mp4", steady(6), lambda t: scene * np.clip((t - 0.2) / 2, 0, 1), {"g": "250"})
    )
    with Image.open(media.frames[0].path) as image:
        assert np.asarray(image).mean() > 60
    assert media.frames[0].time_seconds <= 3.0


def test_the_sharpest_picture_after_a_cut_is_kept(tmp_path: Path, decode: Any) -> None:
    """A shot that begins out of focus, cut in where no key frame is."""
    second = Scene(1, 2, "FOCUS").picture(320, 180)

    def picture_at(time: float) -> Any:
        blur = max(0.0, 4 * (1 - (time - 3) / 0.2))
        return np.asarray(Scene(1, 1).picture(320, 180) if time < 3 else second.filter(ImageFilter.GaussianBlur(blur)))

    media = decode(write_pictures(tmp_path / "focus.mp4", steady(5), picture_at, {**NO_SCENECUT, "g": "250"}))
    assert media.cut_seconds == pytest.approx((3.0,), abs=FRAME)
    assert len(media.frames) == 2
    assert 3.1 <= media.frames[1].time_seconds <= 3.34


def test_an_all_black_video_keeps_one_picture_every_30_seconds(tmp_path: Path, decode: Any) -> None:
    black = np.zeros((180, 320, 3))
    media = decode(write_pictures(tmp_path / "black.mp4", steady(33), lambda _: black, {"g": "25"}))
    assert [frame.time_seconds for frame in media.frames] == [0.0, 30.0]
    assert media.cut_seconds == ()


# Every frame, and parts


def test_looking_at_every_frame_finds_the_same_cuts(tmp_path: Path, decode: Any) -> None:
    pytest.importorskip("scenedetect")
    path = make_numbered_clip(tmp_path / "a.mp4", steady(), scene_of, options={**NO_SCENECUT, "g": "100"})
    media = decode(path, every_frame=True)
    assert media.cut_seconds == pytest.approx(STARTS[1:], abs=FRAME)
    assert_every_shot_is_held(media)
    assert_times_are_true(media, steady())


def test_without_the_detector_one_line_says_how_to_get_it(
    tmp_path: Path, decode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", [Scene(1, 1)])
    monkeypatch.setattr(media_module, "find_spec", lambda name: None)
    with pytest.raises(VideoError, match=r"a\.mp4: looking at every frame needs PySceneDetect.*playhead\[shots\]"):
        decode(path, every_frame=True)
    assert decode(path).frames


def test_only_the_wanted_parts_are_decoded(tmp_path: Path, decode: Any) -> None:
    path = make_clip(tmp_path / "a.mp4", [Scene(2, 1), Scene(2, 2)], sound=tone(4))
    sound, pictures = decode(path, want_pictures=False), decode(path, want_sound=False)
    assert (sound.frames, sound.has_video) == ((), True)
    assert sound.audio_path and sound.audio_channels == 1
    assert (pictures.audio_path, pictures.audio_channels, pictures.has_audio) == (None, 0, True)
    assert len(pictures.frames) == 2
    neither = decode(path, want_pictures=False, want_sound=False)
    assert neither.duration_seconds == pytest.approx(4.0, abs=0.1)
    assert neither.warnings == ()
