"""Makes small media files whose cuts, times, sounds and captions are known."""

from __future__ import annotations

import shutil
import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SOUND_RATE = 16_000
MILLISECOND = Fraction(1, 1000)
ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
PATCHES = (8, 6)


@dataclass(frozen=True, slots=True)
class Scene:
    """A still picture that stays for some seconds; two scenes of different numbers look nothing alike."""

    seconds: float
    number: int
    text: str = ""

    def picture(self, width: int, height: int) -> Image.Image:
        """Coloured patches told by the number, with the text on a white band."""
        colours = np.random.default_rng(self.number).integers(0, 256, (*PATCHES[::-1], 3), dtype=np.uint8)
        image = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)
        if self.text:
            draw = ImageDraw.Draw(image)
            draw.rectangle((0, height // 3, width, 2 * height // 3), fill="white")
            font = ImageFont.load_default(height // 6)
            draw.text((width // 2, height // 2), self.text, font=font, fill="black", anchor="mm")
        return image


@dataclass(frozen=True, slots=True)
class Caption:
    """One cue of an embedded track."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class CaptionStream:
    """An embedded track: `codec` is mov_text in mp4, subrip, ass or webvtt in mkv."""

    codec: str
    captions: Sequence[Caption]
    language: str = "eng"
    disposition: int = 0


def make_clip(
    path: Path,
    scenes: Sequence[Scene] = (),
    *,
    sound: NDArray[np.int16] | None = None,
    sound_start_seconds: float = 0.0,
    sound_language: str = "",
    tracks: Sequence[CaptionStream] = (),
    size: tuple[int, int] = (320, 180),
    rate: int = 10,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    options: dict[str, str] | None = None,
    start_seconds: float = 0.0,
    rotation: float = 0.0,
    aspect: Fraction = Fraction(1),
    title: str = "",
) -> Path:
    """Write the scenes one after the other; the container follows from the suffix.

    `sound` is 16 kHz: mono (n,) or stereo (2, n). x264 puts a key frame at each cut; `options` are the video encoder's. All times are moved by
    `start_seconds`, as in a recording that was cut from a longer one.
    """
    import av

    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        video = container.add_stream(video_codec, rate=rate, options=options or {}) if scenes else None
        if video:
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
        layout = "stereo" if sound is not None and sound.ndim == 2 else "mono"
        audio = container.add_stream(audio_codec, rate=SOUND_RATE, layout=layout) if sound is not None else None
        if audio and sound_language:
            audio.metadata["language"] = sound_language
        texts = []
        for track in tracks:
            text = container.add_stream(track.codec)
            text.codec_context.subtitle_header, text.time_base = ASS_HEADER, MILLISECOND
            text.metadata["language"] = track.language
            text.disposition = av.stream.Disposition(track.disposition)
            texts.append(text)
        for track, text in zip(tracks, texts, strict=True):
            write_captions(container, text, track.captions, start_seconds)
        if audio:
            write_sound(container, audio, sound, start_seconds + sound_start_seconds)
        if video:
            write_scenes(container, video, scenes, start_seconds)
    return path


def write_scenes(container, stream, scenes: Sequence[Scene], start_seconds: float) -> None:
    import av

    rate = int(stream.average_rate)
    count, end = 0, 0.0
    for scene in scenes:
        end += scene.seconds
        picture = av.VideoFrame.from_image(scene.picture(stream.width, stream.height))
        while count < round(end * rate):
            frame = picture.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = count + round(start_seconds * rate), Fraction(1, rate)
            container.mux(stream.encode(frame))
            count += 1
    container.mux(stream.encode(None))


def write_sound(container, stream, samples: NDArray[np.int16], start_seconds: float) -> None:
    import av

    packed = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo" if samples.ndim == 2 else "mono")
    frame.rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
    frame.pts = round(start_seconds * SOUND_RATE)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_captions(container, stream, captions: Sequence[Caption], start_seconds: float) -> None:
    from av.subtitles.subtitle import SubtitleSet

    for number, caption in enumerate(captions):
        lasts = round((caption.end_seconds - caption.start_seconds) * 1000)
        event = f"{number},0,Default,,0,0,0,,{caption.text}".encode()
        packet = stream.codec_context.encode_subtitle(SubtitleSet.create(event, 0, lasts))
        packet.stream, packet.time_base, packet.duration = stream, MILLISECOND, lasts
        packet.pts = packet.dts = round((start_seconds + caption.start_seconds) * 1000)
        container.mux(packet)


NUMBER_BITS = 12
NUMBER_PIXELS = 16


def numbered(number: int, scene: int, size: tuple[int, int] = (320, 180)) -> Image.Image:
    """A picture of a scene with its frame number along the lower edge: black and white blocks, one changes a frame."""
    image = Scene(0, scene).picture(*size)
    draw = ImageDraw.Draw(image)
    width, top = size[0] // NUMBER_BITS, size[1] - NUMBER_PIXELS
    for bit in range(NUMBER_BITS):
        fill = "white" if (number ^ number >> 1) >> bit & 1 else "black"
        draw.rectangle((bit * width, top, (bit + 1) * width - 1, size[1]), fill=fill)
    return image


def number_of(image: Image.Image) -> int:
    """The frame number that a picture shows."""
    grey, width = image.convert("L"), image.width // NUMBER_BITS
    row = image.height - NUMBER_PIXELS // 2
    code = sum((grey.getpixel((bit * width + width // 2, row)) > 128) << bit for bit in range(NUMBER_BITS))
    number = 0
    while code:
        number, code = number ^ code, code >> 1
    return number


def make_numbered_clip(
    path: Path,
    times: Sequence[float],
    scene_of: Callable[[float], int],
    *,
    first: int = 0,
    rate: int = 25,
    video_codec: str = "libx264",
    options: dict[str, str] | None = None,
    rotation: float = 0.0,
    hidden_seconds: float = 0.0,
) -> Path:
    """Write one numbered picture for each time in seconds, from number `first` on.

    What lies before `hidden_seconds` is in the file, but an edit list begins after it (mp4).
    """
    import av

    base = Fraction(1, 1000 if any(round(time * rate) / rate != time for time in times) else rate)
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"} if hidden_seconds else {}) as container:
        stream = container.add_stream(video_codec, rate=rate, options=options or {})
        form = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
        stream.width, stream.height, stream.pix_fmt = 320, 180, form
        stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for number, time in enumerate(times, first):
            frame = av.VideoFrame.from_image(numbered(number, scene_of(time))).reformat(format=form)
            frame.pts, frame.time_base = round((time - hidden_seconds) / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tone(seconds: float, hertz: float = 440.0) -> NDArray[np.int16]:
    """A sine of half loudness, 16 kHz."""
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (16_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def silence(seconds: float) -> NDArray[np.int16]:
    """Nothing, 16 kHz."""
    return np.zeros(round(seconds * SOUND_RATE), dtype=np.int16)


def spoken(text: str, folder: Path) -> NDArray[np.int16] | None:
    """A synthetic voice that says the text, 16 kHz; None where the program `flite` is not installed."""
    program = shutil.which("flite")
    if not program:
        return None
    path = folder / "spoken.wav"
    subprocess.run([program, "-voice", "slt", "-t", text, "-o", str(path)], check=True, capture_output=True)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (SOUND_RATE, 1)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").copy()
