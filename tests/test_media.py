"""Decoding: made clips with known truth, files that are broken or hostile, and the shared real ones when they are there."""

from __future__ import annotations

import functools
import json
import os
import random
import socket
import sys
import time
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import (
    Caption,
    CaptionStream,
    Scene,
    make_clip,
    silence,
    spoken,
    tone,
)
from numpy.typing import NDArray
from PIL import Image

from ingest import media as media_module
from ingest.containers import looks_like_media
from ingest.media import (
    MEDIA_SUFFIXES,
    DecodedMedia,
    MediaLimits,
    checked_media,
    decode_media,
    is_media,
    probe_media,
)
from ingest.pictures import PictureKeeper, hash_distance, look_of, perceptual_hash
from ingest.sandbox import ChildLimits, ChildReport, run_limited
from ingest.schema import VideoError

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SCENES = (Scene(3, 1), Scene(4, 2, "HELLO"), Scene(3, 3))
CUTS = (3.0, 7.0)
FRAME = 0.1


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    captions = [Caption(1.0, 2.0, r"{\i1}First{\i0} words"), Caption(4.5, 6.0, r"Second\Nline")]
    folder = tmp_path_factory.mktemp("clips")
    track = CaptionStream("mov_text", captions)
    return make_clip(folder / "talk.mp4", SCENES, sound=tone(10), tracks=[track], title="My talk")


@pytest.fixture
def decode(tmp_path: Path) -> Any:
    """Decodes into a fresh folder for each call."""
    folders = iter(range(1000))
    return lambda path, **limits: decode_media(path, tmp_path / f"work{next(folders)}", MediaLimits(**limits))


def samples_of(media: DecodedMedia) -> NDArray[np.int16]:
    assert media.audio_path
    with wave.open(str(media.audio_path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def loud_seconds(samples: NDArray[np.int16]) -> tuple[float, float]:
    """Where the first and the last loud tenth of a second begin."""
    tenths = np.abs(samples[: len(samples) // 1600 * 1600].reshape(-1, 1600).astype(float)).mean(axis=1)
    loud = np.flatnonzero(tenths > 2000)
    return loud[0] / 10, loud[-1] / 10


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one.convert("RGB"), dtype=float) - np.asarray(other, dtype=float)).mean())


# What is in the file


def test_one_pass_gives_pictures_sound_and_captions(talk: Path, decode: Any) -> None:
    media = decode(talk)
    assert media.duration_seconds == pytest.approx(10.0, abs=FRAME)
    assert (media.title, media.width, media.height) == ("My talk", 320, 180)
    assert media.has_video and media.has_audio
    assert media.cut_seconds == pytest.approx(CUTS, abs=0.001)
    assert [frame.time_seconds for frame in media.frames] == pytest.approx([0.0, *CUTS], abs=0.001)
    assert [frame.path.name for frame in media.frames] == ["000000000.jpg", "000003000.jpg", "000007000.jpg"]
    for frame, scene in zip(media.frames, SCENES, strict=True):
        with Image.open(frame.path) as image:
            assert difference(image, scene.picture(320, 180)) < 8
            assert hash_distance(frame.perceptual_hash, perceptual_hash(image)) <= 4
    samples = samples_of(media)
    assert len(samples) / 16_000 == pytest.approx(10.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[16_000:32_000]))
    assert spectrum.argmax() == 440
    assert media.warnings == ()


def test_embedded_captions_keep_text_times_and_language(talk: Path, decode: Any) -> None:
    (track,) = decode(talk).subtitles
    assert track.language == "en"
    assert [(s.start_seconds, s.end_seconds, s.text) for s in track.segments] == [
        (1.0, 2.0, "First words"),
        (4.5, 6.0, "Second line"),
    ]
    assert {segment.source for segment in track.segments} == {"embedded captions"}


@pytest.mark.parametrize("codec", ["subrip", "ass", "webvtt"])
def test_matroska_captions_and_a_start_that_is_not_zero(tmp_path: Path, decode: Any, codec: str) -> None:
    tracks = [
        CaptionStream(codec, [Caption(1.0, 2.0, "Guten Morgen")], "ger"),
        CaptionStream(codec, [Caption(1.0, 2.0, "Good morning")], "eng"),
    ]
    path = make_clip(tmp_path / "late.mkv", SCENES, sound=tone(10), tracks=tracks, start_seconds=5.0)
    media = decode(path)
    assert [track.language for track in media.subtitles] == ["de", "en"]
    assert [(s.start_seconds, s.end_seconds, s.text) for s in media.subtitles[0].segments] == [(1, 2, "Guten Morgen")]
    assert media.cut_seconds == pytest.approx(CUTS, abs=0.02)
    assert media.duration_seconds == pytest.approx(10.0, abs=FRAME)
    assert media.warnings == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts", "avi", "webm"])
def test_containers(tmp_path: Path, decode: Any, suffix: str) -> None:
    codecs = {"webm": ("libvpx", "libopus"), "avi": ("mpeg4", "libmp3lame")}.get(suffix, ("libx264", "aac"))
    options = {"webm": {"deadline": "realtime", "cpu-used": "8"}}.get(suffix)
    audio = tone(10) if suffix != "webm" else None
    path = make_clip(
        tmp_path / f"clip.{suffix}",
        SCENES,
        sound=audio,
        video_codec=codecs[0],
        audio_codec=codecs[1],
        options=options,
    )
    media = decode(path)
    assert media.duration_seconds == pytest.approx(10.0, abs=0.2)
    assert media.has_video and media.has_audio == (audio is not None)
    times = [frame.time_seconds for frame in media.frames]
    # Key frames of mpeg4 lie 12 frames apart, so that a cut is seen up to 1.2 s late.
    assert all(any(0 <= time - cut <= 1.3 for time in times) for cut in (0.0, *CUTS)), times


def test_sound_alone_has_no_pictures(tmp_path: Path, decode: Any) -> None:
    for suffix, codec in (("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac"), ("m4a", "aac")):
        media = decode(make_clip(tmp_path / f"a.{suffix}", sound=tone(3), audio_codec=codec))
        assert (media.has_video, media.has_audio, media.frames) == (False, True, ())
        assert media.duration_seconds == pytest.approx(3.0, abs=0.1)
        assert len(samples_of(media)) / 16_000 == pytest.approx(3.0, abs=0.1)


def test_pictures_alone_have_no_sound(tmp_path: Path, decode: Any) -> None:
    media = decode(make_clip(tmp_path / "silent.mp4", SCENES))
    assert (media.has_video, media.has_audio, media.audio_path) == (True, False, None)


def test_captions_alone_are_enough(tmp_path: Path, decode: Any) -> None:
    path = make_clip(tmp_path / "words.mkv", tracks=[CaptionStream("subrip", [Caption(1, 2, "Only words")])])
    media = decode(path)
    assert (media.has_video, media.has_audio) == (False, False)
    assert [segment.text for segment in media.subtitles[0].segments] == ["Only words"]


def test_sound_stays_on_the_clock_of_the_video(tmp_path: Path, decode: Any) -> None:
    """Sound that begins two seconds after the picture begins two seconds into the WAV."""
    sound = np.concatenate([silence(1), tone(2), silence(1)])
    path = make_clip(tmp_path / "late.mkv", SCENES, sound=sound, sound_start_seconds=2.0)
    start, end = loud_seconds(samples_of(decode(path)))
    assert start == pytest.approx(3.0, abs=0.15)
    assert end == pytest.approx(4.9, abs=0.15)


def test_a_gap_in_the_sound_becomes_silence(tmp_path: Path, decode: Any) -> None:
    import av

    whole, path = make_clip(tmp_path / "whole.mkv", sound=tone(10)), tmp_path / "gap.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams[0])
        for packet in source.demux():
            if packet.size and not 3000 <= packet.pts <= 7000:
                packet.stream = stream
                target.mux(packet)
    samples = samples_of(decode(path))
    assert len(samples) / 16_000 == pytest.approx(10.0, abs=0.15)
    assert np.abs(samples[4 * 16_000 : 6 * 16_000]).max() == 0
    assert loud_seconds(samples) == pytest.approx((0.0, 9.9), abs=0.15)


def test_speech_survives(tmp_path: Path, decode: Any) -> None:
    voice = spoken("The quarterly budget is due on Friday.", tmp_path)
    if voice is None:
        pytest.skip("flite is not installed")
    samples = samples_of(decode(make_clip(tmp_path / "voice.mp4", SCENES, sound=voice)))
    assert len(samples) == pytest.approx(len(voice), abs=1600)
    envelopes = [
        np.abs(s[: len(voice) // 1600 * 1600].reshape(-1, 1600).astype(float)).mean(1) for s in (samples, voice)
    ]
    assert np.corrcoef(*envelopes)[0, 1] > 0.95


# Pictures


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotated_recordings_are_turned_upright(tmp_path: Path, decode: Any, rotation: int) -> None:
    (frame,) = decode(make_clip(tmp_path / "phone.mp4", [Scene(2, 2, "UP")], rotation=rotation)).frames
    with Image.open(frame.path) as image:
        assert difference(image, Scene(2, 2, "UP").picture(320, 180).rotate(rotation, expand=True)) < 8


def test_pixels_become_square_and_large_pictures_small(tmp_path: Path, decode: Any) -> None:
    wide = make_clip(tmp_path / "wide.mkv", [Scene(1, 1)], size=(320, 240), aspect=Fraction(2, 1))
    large = make_clip(tmp_path / "large.mp4", [Scene(0.5, 1)], size=(1440, 2560))
    with Image.open(decode(wide).frames[0].path) as image:
        assert image.size == (640, 240)
    with Image.open(decode(large).frames[0].path) as image:
        assert image.size == (720, 1280)


def test_cuts_that_no_key_frame_marks_are_found_within_a_group_of_pictures(tmp_path: Path, decode: Any) -> None:
    options = {"g": "20", "keyint_min": "20", "sc_threshold": "0", "x264-params": "scenecut=0"}
    media = decode(make_clip(tmp_path / "fixed.mp4", [Scene(5, 1), Scene(6, 2), Scene(5, 3)], options=options))
    assert len(media.cut_seconds) == 2
    assert all(0 <= found - cut <= 2.0 for found, cut in zip(media.cut_seconds, (5.0, 11.0), strict=True))


@pytest.mark.parametrize("seconds", [4, 15])
def test_one_endless_group_of_pictures_still_gives_every_scene(tmp_path: Path, decode: Any, seconds: int) -> None:
    options = {"g": "10000", "x264-params": "scenecut=0"}
    scenes = [Scene(seconds, number) for number in (1, 2, 3)]
    media = decode(make_clip(tmp_path / "endless.mp4", scenes, options=options, size=(160, 90)))
    assert [frame.time_seconds // seconds for frame in media.frames if frame.time_seconds % seconds <= 1] == [0, 1, 2]
    assert len(media.cut_seconds) == 2


def test_a_file_without_key_frames_still_gives_pictures(tmp_path: Path, decode: Any) -> None:
    """The first key frame is cut away and the rest refreshes itself row by row (intra refresh)."""
    import av

    options = {"g": "20", "x264-params": "intra-refresh=1:scenecut=0"}
    whole = make_clip(tmp_path / "whole.mkv", [Scene(12, 1)], options=options)
    path = tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams[0])
        for number, packet in enumerate(source.demux()):
            if packet.size and number >= 5:
                packet.stream = stream
                target.mux(packet)
    assert decode(path).frames


def test_a_still_video_keeps_one_picture_every_30_seconds(tmp_path: Path, decode: Any) -> None:
    media = decode(make_clip(tmp_path / "still.mp4", [Scene(65, 1)], size=(64, 48), rate=2, options={"g": "10"}))
    assert [frame.time_seconds for frame in media.frames] == [0.0, 30.0, 60.0]
    assert media.cut_seconds == ()


def test_cover_art_is_no_video(tmp_path: Path, decode: Any) -> None:
    import av

    sound, path = make_clip(tmp_path / "song.mp3", sound=tone(2), audio_codec="libmp3lame"), tmp_path / "cover.mp3"
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        audio = target.add_stream_from_template(source.streams[0])
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_image(Scene(1, 1).picture(64, 64)).reformat(format="yuvj420p")
        picture.pts = 0
        target.mux(cover.encode(picture))
        for packet in source.demux():
            if packet.size:
                packet.stream = audio
                target.mux(packet)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    media = decode(path)
    assert (media.has_video, media.has_audio) == (False, True)


def test_the_hash_is_the_one_of_imagehash() -> None:
    imagehash = pytest.importorskip("imagehash")
    pytest.importorskip("scipy")
    for number in range(20):
        image = Scene(1, number, "words" * (number % 3)).picture(320, 180)
        assert f"{perceptual_hash(image):016x}" == str(imagehash.phash(image))


def test_what_is_kept() -> None:
    one, two = (look_of(Scene(1, number).picture(64, 48)) for number in (1, 2))
    red, blue = (look_of(Image.new("RGB", (64, 48), colour)) for colour in ("red", "blue"))
    table = [
        (0.0, one, True, "the first"),
        (2.0, one, False, "nothing new"),
        (29.9, one, False, "nothing new"),
        (30.0, one, True, "30 s went by"),
        (30.2, two, True, "a cut, sooner than a second"),
        (40.0, red, True, "plain, but new"),
        (50.0, blue, True, "the same structure in another colour"),
        (51.0, blue, False, "nothing new"),
    ]
    keeper = PictureKeeper()
    for seconds, look, expected, why in table:
        assert keeper.wants(seconds, look) is expected, (seconds, why)
    assert keeper.cut_seconds == [30.2, 40.0, 50.0]


# Facts alone


def test_probing_decodes_nothing(talk: Path) -> None:
    media = probe_media(talk)
    assert media.duration_seconds == pytest.approx(10.0, abs=FRAME)
    assert (media.has_video, media.has_audio, media.title) == (True, True, "My talk")
    assert (media.frames, media.audio_path) == ((), None)
    assert [(track.language, track.segments) for track in media.subtitles] == [("en", ())]


def test_a_missing_duration_is_found_in_the_timestamps(tmp_path: Path, decode: Any) -> None:
    import av

    path = tmp_path / "live.mkv"
    with av.open(str(make_clip(tmp_path / "whole.mkv", SCENES))) as source, path.open("wb") as pipe:
        writer = type("Pipe", (), {"write": lambda self, data: pipe.write(bytes(data))})()  # cannot seek back
        with av.open(writer, "w", format="matroska") as target:
            stream = target.add_stream_from_template(source.streams[0])
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    with av.open(str(path)) as container:
        assert container.duration is None
    assert decode(path).duration_seconds == pytest.approx(10.0, abs=FRAME)
    assert probe_media(path).duration_seconds == pytest.approx(10.0, abs=FRAME)


def test_chapters(tmp_path: Path, decode: Any) -> None:
    import av

    path = tmp_path / "chapters.mkv"
    with av.open(str(make_clip(tmp_path / "whole.mkv", SCENES))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams[0])
        names = ((0, 4000, "Welcome"), (4000, 10_000, "<b>Main</b>\npart"))
        target.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for n, (start, end, title) in enumerate(names)
            ]
        )
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    chapters = decode(path).chapters
    assert [(c.start_seconds, c.end_seconds, c.title) for c in chapters] == [
        (0.0, 4.0, "Welcome"),
        (4.0, pytest.approx(10.0), "<b>Main</b> part"),
    ]


# What is no media, or more than the limits


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"This is only text, whatever its name says.\n" * 20),
        ("noise.mp4", random.Random(7).randbytes(50_000)),
        ("zeroed.mp4", bytes(50_000)),
        ("utf16.mp3", "One line of UTF-16 text".encode("utf-16")),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        ("tagged.mp3", b"ID3\x03\x00\x00\x00\x00\x00\x00#EXTM3U\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("script.mp4", b"ffconcat version 1.0\nfile '{secret}'\n"),
        ("session.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        ("dash.mp4", b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>"),
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(100)),
        ("photo.avif", b"\x00\x00\x00\x20ftypavif" + bytes(100)),
        ("lines\nand \x1b[31m.mp4", b"no media"),
    ],
)
def test_what_is_no_media_is_refused_by_content(
    talk: Path, tmp_path: Path, decode: Any, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content.replace(b"{secret}", bytes(talk)))
    with pytest.raises(VideoError) as caught:
        decode(path)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert is_media(path) == (name == "tagged.mp3")


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '{secret}'\n",
    ],
)
def test_the_child_opens_no_playlist_even_when_asked(talk: Path, tmp_path: Path, content: bytes) -> None:
    path, work = tmp_path / "list.mp4", tmp_path / "work"
    path.write_bytes(content.replace(b"{secret}", bytes(talk)))
    work.mkdir()
    job = json.dumps({"path": str(path), "probe": False, "max_pixels": 10**9, "max_streams": 9})
    limits = ChildLimits(30.0, 1 << 30, 1 << 30, 64)
    with pytest.raises(VideoError, match="cannot be opened as media"):
        run_limited("ingest.media_child", [job], work, limits, subject="list.mp4", readable=[path, talk])


def test_what_is_no_regular_file_is_named_and_never_waited_for(tmp_path: Path, decode: Any) -> None:
    started = time.monotonic()
    (tmp_path / "empty.mp4").touch()
    words = {
        tmp_path / "missing.mp4": "no such file",
        tmp_path / "empty.mp4": "0 bytes",
        tmp_path: "not a regular file",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        (tmp_path / "link.mp4").symlink_to("/dev/zero")
        words |= {tmp_path / "pipe.mp4": "not a regular", tmp_path / "link.mp4": "not a regular"}
        short = Path(os.path.relpath(tmp_path / "socket.mp4"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(short))
        words[short] = "not a regular"
    if Path("/proc/version").exists():
        words[Path("/proc/self/mem")] = "cannot be read"
    words[tmp_path / ("x" * 300)] = "cannot be read"
    for path, reason in words.items():
        assert not is_media(path)
        with pytest.raises(VideoError, match=reason):
            decode(path)
    assert time.monotonic() - started < 5


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_an_unreadable_file_is_named(talk: Path, tmp_path: Path, decode: Any) -> None:
    path = tmp_path / "closed.mp4"
    path.write_bytes(talk.read_bytes())
    path.chmod(0)
    with pytest.raises(VideoError, match="Permission denied"):
        decode(path)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_pixels": 320 * 180 - 1}, "has pictures of 320 x 180, the limit is 57599 pixels"),
        ({"max_duration_seconds": 9.0}, "lasts 10 s, the limit is 9 s"),
        ({"max_streams": 2}, "has 3 streams, the limit is 2"),
        ({"max_frames_per_second": 9}, "has 10 pictures a second, the limit is 9"),
        ({"file_bytes": 100_000}, "unpacks to a file larger"),
        ({"memory_bytes": 50 << 20}, "talk.mp4: "),
    ],
)
def test_more_than_the_limits(talk: Path, decode: Any, limits: dict[str, Any], reason: str) -> None:
    with pytest.raises(VideoError, match=reason):
        decode(talk, **limits)


def test_too_many_pictures_are_left_out_and_said(talk: Path, decode: Any) -> None:
    media = decode(talk, max_frames=2)
    assert len(media.frames) == 2
    assert media.warnings == ("1 pictures past the limit of 2 were left out",)


def test_a_header_that_declares_huge_pictures_is_refused(tmp_path: Path, decode: Any) -> None:
    path = make_clip(tmp_path / "huge.avi", [Scene(1, 1)], size=(64, 48), video_codec="rawvideo")
    content, size = path.read_bytes(), b"\x40\x00\x00\x00\x30\x00\x00\x00"
    assert content.count(size) >= 2
    path.write_bytes(content.replace(size, b"\x00\x00\x01\x00\x00\x00\x01\x00"))
    with pytest.raises(VideoError, match="huge.avi: "):
        decode(path)


def test_time_runs_out(tmp_path: Path, decode: Any) -> None:
    path = make_clip(tmp_path / "long.mp4", [Scene(120, 1)], size=(64, 48), rate=2)
    with pytest.raises(VideoError, match=r"long\.mp4: decoding took more than 0\.\d+ s"):
        decode(path, wall_seconds=0.01)


# Damage


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_truncated_file_gives_its_beginning(tmp_path: Path, decode: Any, suffix: str) -> None:
    path = make_clip(tmp_path / f"whole.{suffix}", [Scene(3, n) for n in range(6)], options={"g": "20"})
    content = path.read_bytes()
    (tmp_path / f"half.{suffix}").write_bytes(content[: len(content) // 2])
    media = decode(tmp_path / f"half.{suffix}")
    assert 5 < media.duration_seconds < 14
    assert media.frames
    assert media.warnings or suffix == "ts"  # a stream of packets has no length to fall short of


def test_damage_is_flagged_and_the_rest_kept(tmp_path: Path, decode: Any) -> None:
    path = make_clip(tmp_path / "whole.mkv", [Scene(3, n) for n in range(6)], sound=tone(18), options={"g": "20"})
    content, rng = bytearray(path.read_bytes()), random.Random(3)
    for _ in range(40):
        content[rng.randrange(2000, len(content))] = rng.randrange(256)
    (tmp_path / "damaged.mkv").write_bytes(content)
    media = decode(tmp_path / "damaged.mkv")
    assert len(media.frames) >= 4
    assert any(warning.startswith("damaged: ") for warning in media.warnings)


def survives(path: Path, work_dir: Path) -> str:
    """What decoding ends with: how much was read, or the named reason. Anything else fails the test."""
    try:
        media = decode_media(path, work_dir, MediaLimits(wall_seconds=60.0))
    except VideoError as error:
        assert "\n" not in str(error) and str(error).endswith("."), error
        return "VideoError"
    assert media.has_video or media.has_audio or media.subtitles
    return "decoded"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_flipped_bytes_never_end_in_anything_else(tmp_path: Path, suffix: str) -> None:
    captions = [CaptionStream("mov_text" if suffix == "mp4" else "subrip", [Caption(0, 1, "word")])]
    clip = functools.partial(make_clip, tmp_path / f"whole.{suffix}", [Scene(2, 1), Scene(2, 2)], size=(96, 64))
    content = clip(sound=tone(4), tracks=captions if suffix in ("mp4", "mkv") else ()).read_bytes()
    outcomes = []
    for seed in range(6):
        rng, broken = random.Random(seed), bytearray(content)
        for _ in range(1 + 3 * seed):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path = tmp_path / f"{seed}.{suffix}"
        path.write_bytes(broken)
        outcomes.append(survives(path, tmp_path / f"work{seed}"))
    assert outcomes.count("decoded") >= 2


# What the child says is not believed


FACTS: dict[str, Any] = {
    "duration_seconds": 9.0, "container": "mp4", "title": "x", "width": 9, "height": 9, "chapters": [], "frames": [],
    "cut_seconds": [], "warnings": [], "has_video": False, "has_audio": True, "subtitles": [],
    "audio_channels": 1, "audio_language": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"duration_seconds": float("nan")},
        {"duration_seconds": float("inf")},
        {"duration_seconds": -1},
        {"duration_seconds": "9"},
        {"duration_seconds": True},
        {"duration_seconds": 10**400},
        {"frames": [[0.0, "../../secret.jpg", 1]]},
        {"frames": [[0.0, "000000001.jpg", 1]]},
        {"frames": [[0.0, "000000002.jpg", 1]]},
        {"frames": [[0.0, "000000000.jpg", 1 << 64]]},
        {"frames": [[999.0, "000000000.jpg", 1]]},
        {"frames": [[0.0]]},
        {"frames": {}},
        {"cut_seconds": [None]},
        {"cut_seconds": [0.0] * 200_000},
        {
            "subtitles": [
                {"language": "en", "kind": "captions", "is_default": True, "is_partial": False, "cues": [[0, "1", "x"]]}
            ]
        },
        {"audio_channels": 3},
        {"audio_language": 5},
        {"subtitles": [5]},
        {"chapters": [[0, 1]]},
        {"warnings": ["x"] * 1000},
    ],
)
def test_nonsense_from_the_child_is_one_error(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def hostile_child(module: str, arguments: Any, work_dir: Path, *rest: Any, **keywords: Any) -> Any:
        (work_dir / "frames").mkdir()
        (work_dir / "frames" / "000000000.jpg").write_bytes(b"picture")
        (work_dir / "frames" / "000000001.jpg").symlink_to(talk)
        (work_dir / "media.json").write_text(json.dumps({**FACTS, **change}))
        return ChildReport("", ())

    monkeypatch.setattr(media_module, "run_limited", hostile_child)
    with pytest.raises(VideoError, match="its decoder gave nonsense"):
        decode_media(talk, tmp_path / "work")


def test_the_facts_that_the_nonsense_is_put_into_are_sound(tmp_path: Path) -> None:
    media = checked_media(FACTS, tmp_path, MediaLimits(), 0)
    assert (media.duration_seconds, media.audio_channels, media.audio_language) == (9.0, 1, None)


def test_suffixes_and_first_bytes() -> None:
    assert {".mp4", ".mkv", ".webm", ".mp3", ".wav"} <= MEDIA_SUFFIXES
    assert not {".srt", ".m3u8", ".txt", ".jpg"} & MEDIA_SUFFIXES
    assert not looks_like_media(b"")
    assert not looks_like_media(b"\xff")
    assert looks_like_media((b"G" + bytes(187)) * 3)


# Real files, where they are at hand


def real_files(folder: str) -> list[Any]:
    files = sorted(path for path in (DATA / folder).rglob("*") if path.suffix in MEDIA_SUFFIXES)
    if not files:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"the shared test data are not at {DATA}"))]
    return [pytest.param(path, id=path.name) for path in files]


@pytest.mark.slow
@pytest.mark.parametrize("path", real_files("media"))
def test_real_media(path: Path, decode: Any) -> None:
    rows = [json.loads(line) for line in (DATA / "media" / "manifest.jsonl").read_text().splitlines()]
    row = next(row for row in rows if (DATA / "media" / row["path"]) == path)
    media = decode(path)
    assert media.warnings == ()
    if row["duration_s"]:  # of an older FFmpeg, which counts the padding of MP3 in
        assert media.duration_seconds == pytest.approx(row["duration_s"], abs=0.15)
    kinds = {stream.partition(":")[0] for stream in row["streams"]}
    assert (media.has_video, media.has_audio) == ("video" in kinds, "audio" in kinds)


@pytest.mark.slow
@pytest.mark.parametrize("path", real_files("bad_inputs/media"))
def test_real_bad_media(path: Path, tmp_path: Path) -> None:
    assert survives(path, tmp_path / "work") == ("VideoError" if path.stat().st_size == 0 else "decoded")
