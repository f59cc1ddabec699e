"""Turns a film, a table of scenes, into an MP4: speech by flite, pictures by Pillow, everything written by PyAV."""

from __future__ import annotations

import io
import subprocess
import textwrap
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet
from av.video.frame import PictureType
from numpy.typing import NDArray
from pictures import AMBER, HEIGHT, PAPER, SMOOTHING, WIDTH, Pen, Picture, gradient
from PIL import Image, ImageDraw

Sound = NDArray[np.float32]
"""Mono samples at SAMPLE_RATE, -1..1."""

SAMPLE_RATE = 16_000  # what flite speaks in
FRAMES_PER_SECOND = 10
KEY_FRAME_SECONDS = 5
LEAD_SECONDS, PAUSE_SECONDS = 0.6, 0.5  # before the first sentence of a scene, after each one
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default, Arial, 16, &Hffffff
"""  # without a style the captions would be written transparent
SAID_LIKE = {
    "Fresnel": "fray nell",
    "Cordouan": "core do on",
    "Rayleigh": "ray lee",
    "Mutianyu": "moo tee en you",
    "Liwei": "lee way",
}  # flite spells foreign names its own way


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture with its title, the lines written beside it, and what is said, one sentence a line."""

    picture: Picture
    title: str = ""
    written: str = ""
    said: str = ""
    seconds: float = 0.0  # of a scene where nothing is said
    moves: bool = False  # else one picture is drawn for the whole scene
    sky: tuple[str, str] | None = None  # else the film's


@dataclass(frozen=True, slots=True)
class Film:
    """One video; `title` is what its container says, and None leaves the file name as its title."""

    stem: str
    title: str | None
    scenes: tuple[Scene, ...]
    sky: tuple[str, str] = ("#14213d", "#2b4a7f")  # colours from top to bottom
    voice: Literal["slt", "rms"] | None = None
    captions: Literal["sidecar", "embedded"] | None = None
    music: bool = False


@dataclass(frozen=True, slots=True)
class Cue:
    """One sentence and the seconds it is heard in."""

    start_seconds: float
    end_seconds: float
    text: str


def speak(sentence: str, voice: str) -> Sound:
    """One sentence without the silence around it."""
    for written, heard in SAID_LIKE.items():
        sentence = sentence.replace(written, heard)
    command = ["flite", "-voice", voice, "--setf", "duration_stretch=1.06", "-t", sentence, "-o", "/dev/stdout"]
    with wave.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)) as file:
        sound = np.frombuffer(file.readframes(-1), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    return np.asarray(sound[max(0, loud[0] - 400) : loud[-1] + 1600], np.float32)


def melody(seconds: float) -> Sound:
    """Soft pentatonic notes over the noise of waves."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chance = np.random.default_rng(5)
    hiss = np.convolve(chance.normal(size=time.size), np.ones(24) / 24, "same")
    sound = hiss * 0.07 * (1.2 + np.sin(time * 0.9))
    for beat in np.arange(0.5, seconds - 3, 0.75):
        pitch = 220 * 2 ** (chance.choice([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
        after = time[time >= beat] - beat
        note = np.exp(-after * 1.6) * np.minimum(after * 40, 1)
        wave_angle = after * pitch * 2 * np.pi
        sound[time >= beat] += 0.11 * note * (np.sin(wave_angle) + 0.3 * np.sin(2 * wave_angle))
    return np.asarray(sound * np.minimum(1, np.minimum(time, seconds - time)), np.float32)


def narrate(film: Film) -> tuple[list[float], list[Cue], Sound | None]:
    """The seconds of each scene, the cues and the sound track of the whole film."""
    lengths, cues, track = [], [], [np.zeros(0, np.float32)]
    clock = 0
    for scene in film.scenes:
        parts = [silence(scene.seconds if film.voice is None else LEAD_SECONDS)]
        for sentence in sentences(scene.said):
            sound = speak(sentence, film.voice or "slt")
            start = clock + sum(map(len, parts))
            cues.append(Cue(start / SAMPLE_RATE, (start + len(sound)) / SAMPLE_RATE, sentence))
            parts += [sound, silence(PAUSE_SECONDS)]
        # A scene ends on a frame, so that sound and picture never drift apart.
        frames = -(-sum(map(len, parts)) * FRAMES_PER_SECOND // SAMPLE_RATE)
        lengths.append(frames / FRAMES_PER_SECOND)
        end = round(sum(lengths) * SAMPLE_RATE)
        parts.append(np.zeros(end - clock - sum(map(len, parts)), np.float32))
        track, clock = track + parts, end
    if film.voice:
        whole = np.concatenate(track)
        return lengths, cues, whole * (0.8 / np.abs(whole).max())
    return lengths, cues, melody(sum(lengths)) if film.music else None


def sentences(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def paint(film: Film, number: int, seconds: float) -> Image.Image:
    """One frame: the picture alone, or words at the left and the picture at the right."""
    scene = film.scenes[number]
    image = gradient(*(scene.sky or film.sky)).copy()
    draw = ImageDraw.Draw(image, "RGBA")
    pen = Pen(draw)
    if not scene.title:
        scene.picture(pen, seconds)
        return image.reduce(SMOOTHING)
    pen.disc(720, 270, 232, "#ffffff12")
    scene.picture(Pen(draw, 520, 70), seconds)
    size = 40 if scene.written else 52
    title = textwrap.wrap(scene.title, 17 if scene.written else 12)
    lines = [part for line in sentences(scene.written) for part in textwrap.wrap(line, 31)]
    top = 270 - (len(title) * size * 1.22 + len(lines) * 38 + 24) / 2
    pen.box(60, top - 22, 124, top - 15, AMBER, 3)
    for row, words in enumerate(title):
        pen.text(58, top + size * (0.6 + row * 1.22), words, size, PAPER, bold=True)
    for row, words in enumerate(lines):
        pen.text(60, top + len(title) * size * 1.22 + 40 + row * 38, words, 24, "#dbe4f0")
    for dot in range(len(film.scenes)):
        pen.disc(66 + dot * 20, 500, 5, AMBER if dot == number else "#ffffff50")
    return image.reduce(SMOOTHING)


def frames(film: Film, lengths: list[float]) -> Iterator[av.VideoFrame]:
    """All frames in order; the first of a scene is marked to become a key frame."""
    clock = 0
    for number, (scene, length) in enumerate(zip(film.scenes, lengths, strict=True)):
        image = paint(film, number, 0.0)
        for tick in range(round(length * FRAMES_PER_SECOND)):
            if scene.moves and tick:
                image = paint(film, number, tick / FRAMES_PER_SECOND)
            frame = av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")
            frame.pts, frame.time_base = clock, Fraction(1, FRAMES_PER_SECOND)
            frame.pict_type = PictureType.NONE if tick else PictureType.I
            clock += 1
            yield frame


def write(film: Film, folder: Path) -> Path:
    """Make one film, with its sidecar captions where it has them, and return its file."""
    lengths, cues, sound = narrate(film)
    path = folder / f"{film.stem}.mp4"
    with av.open(path, "w", options={"movflags": "+faststart"}) as output:
        output.metadata.update({"title": film.title} if film.title else {})
        picture = output.add_stream("libx264", FRAMES_PER_SECOND)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        every = str(KEY_FRAME_SECONDS * FRAMES_PER_SECOND)
        picture.options = {"crf": "30", "preset": "medium", "tune": "animation", "threads": "1"}
        picture.options |= {"g": every, "forced-idr": "1"}
        speaker = output.add_stream("aac", SAMPLE_RATE, layout="mono", bit_rate=48_000) if sound is not None else None
        words = output.add_stream("mov_text") if film.captions == "embedded" else None
        if speaker:
            speaker.metadata["language"] = "eng"
        if words:
            words.metadata["language"] = "eng"
            words.codec_context.subtitle_header = ASS_HEADER
            words.codec_context.time_base = Fraction(1, 1000)
        packets = [packet for frame in frames(film, lengths) for packet in picture.encode(frame)] + picture.encode()
        if speaker and sound is not None:
            samples = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
            samples.sample_rate, samples.pts = SAMPLE_RATE, 0
            packets += speaker.encode(samples) + speaker.encode()
        if words:
            packets += [caption_packet(words, number, cue) for number, cue in enumerate(cues)]
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            output.mux(packet)
    if film.captions == "sidecar":
        text = "".join(f"\n{stamp(cue.start_seconds)} --> {stamp(cue.end_seconds)}\n{cue.text}\n" for cue in cues)
        path.with_suffix(".en.vtt").write_text("WEBVTT\n" + text, encoding="utf-8")
    return path


def caption_packet(stream: SubtitleStream, number: int, cue: Cue) -> av.Packet[SubtitleStream]:
    """One embedded caption; times in milliseconds."""
    start, end = (round(seconds * 1000) for seconds in (cue.start_seconds, cue.end_seconds))
    line = f"{number},0,Default,,0,0,0,,{cue.text}"
    packet = stream.codec_context.encode_subtitle(SubtitleSet.create(line.encode(), 0, end - start, start))
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = start
    packet.duration = end - start
    return packet


def stamp(seconds: float) -> str:
    """Seconds as WebVTT writes them."""
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"
