"""Makes small media files whose cuts, times, sounds and captions are known."""

from __future__ import annotations

import shutil
import subprocess
import wave
from collections.abc import Sequence
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


def make_clip(
    path: Path,
    scenes: Sequence[Scene] = (),
    *,
    sound: NDArray[np.int16] | None = None,
    sound_start_seconds: float = 0.0,
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

    `sound` is 16 kHz mono. x264 puts a key frame at each cut; `options` are the video encoder's. All times are moved by
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
        audio = container.add_stream(audio_codec, rate=SOUND_RATE, layout="mono") if sound is not None else None
        texts = []
        for track in tracks:
            text = container.add_stream(track.codec)
            text.codec_context.subtitle_header, text.time_base = ASS_HEADER, MILLISECOND
            text.metadata["language"] = track.language
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

    frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
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
