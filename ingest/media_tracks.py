"""What the decoding child does with the packets of each track: pictures to JPEG, sound to WAV, subtitles to text."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from PIL import Image

from ingest.pictures import PictureKeeper, look_of

MAX_SIDE_PIXELS = 1280
# Large enough for a hash, and 12 times faster to make than the full picture (1080p: 2 ms, not 25).
LOOK_SIDE_PIXELS = 320
JPEG_QUALITY = 85
MAX_ASPECT = 8.0
DECODER_THREADS = 2

# A group of pictures longer than this is decoded in full, and looked at once a second, until its next key frame.
MAX_SECONDS_WITHOUT_KEY = 20.0
MAX_HELD_BYTES = 64 << 20
# So many key frames may be on their way through a decoder that puts frames in order before the first picture comes out.
MAX_BLIND_KEYS = 8
LOOK_EVERY_SECONDS = 1.0
FEW_PICTURES = 2

SOUND_RATE = 16_000
SOUND_BYTES = 2
WAV_HEADER_BYTES = 44
MAX_WAV_BYTES = 0xFFFFFFFF
# Timestamps are rounded to milliseconds in some containers and jump by packets in others; more than this is a real gap.
MAX_DRIFT_SECONDS = 0.1

DEFAULT_CUE_SECONDS = 3.0
ASS_TEXT_FIELD = 8
ASS_OVERRIDE = re.compile(r"\{[^}]*\}")
ASS_DRAWING = re.compile(r"\{[^}]*\\p[1-9]")
ASS_BREAK = re.compile(r"\\[Nn]")


class Clock:
    """Presentation time in seconds from the container's start, and how far the content has reached."""

    def __init__(self, container: InputContainer, limit_seconds: float) -> None:
        self.start_seconds = (container.start_time or 0) / av.time_base
        self.limit_seconds = limit_seconds
        self.end_seconds = 0.0

    def seconds(self, stream: Stream, pts: int | None) -> float | None:
        """The time of a packet or frame of a stream; None for a missing timestamp or one that lies outside the file.

        Frames that a flushed decoder gives have timestamps in the stream's unit without saying so.
        """
        if pts is None or stream.time_base is None:
            return None
        time = float(pts * stream.time_base) - self.start_seconds
        return time if -self.limit_seconds <= time <= self.limit_seconds else None

    def packet_seconds(self, packet: Packet[Any]) -> float | None:
        """When a packet is shown, or decoded where the file does not say."""
        return self.seconds(packet.stream, packet.pts if packet.pts is not None else packet.dts)

    def see(self, packet: Packet[Any]) -> None:
        """Note where a packet ends."""
        time = self.packet_seconds(packet)
        if time is not None:
            end = time + float((packet.duration or 0) * packet.time_base)
            self.end_seconds = max(self.end_seconds, min(end, self.limit_seconds))


class PictureTrack:
    """Decodes key frames, and ordinary frames where key frames are too far apart; keeps what shows something new."""

    def __init__(self, stream: Any, clock: Clock, max_frames: int, max_pixels: int) -> None:
        self.stream, self.clock, self.max_frames = stream, clock, max_frames
        self.keeper = PictureKeeper()
        self.kept: list[tuple[float, str, int]] = []
        self.damaged = self.left_out = 0
        self._held: list[Packet[Any]] = []
        self._held_bytes = self._keys = 0
        self._dense = self._blind = False
        self._key_seconds = self._looked_seconds = self._packet_seconds = 0.0
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        stream.thread_type, stream.thread_count = "AUTO", DECODER_THREADS
        self._decode_only("NONKEY")

    def take(self, packet: Packet[Any]) -> None:
        """Decode a key frame; hold other packets until it shows whether they are needed."""
        time = self.clock.packet_seconds(packet)
        self._packet_seconds = self._packet_seconds if time is None else time
        self.damaged += packet.is_corrupt
        if packet.is_keyframe and not self._blind:
            self._take_key(packet)
        elif self._dense:
            self._decode(packet)
        else:
            self._hold(packet)
            if self._packet_seconds - self._key_seconds > MAX_SECONDS_WITHOUT_KEY:
                self._decode_held()

    def finish(self) -> None:
        """Take the last pictures out of the decoder; a short video with one key frame is looked at in full."""
        if self.keeper.seen < FEW_PICTURES and self._held:
            self._decode_held()
        self._decode(None)

    def _take_key(self, packet: Packet[Any]) -> None:
        only_keys = not self._held and not self._dense
        if only_keys and 0.0 <= self._packet_seconds - self._key_seconds < LOOK_EVERY_SECONDS and self._keys:
            return  # Every frame is a key frame: one a second is enough.
        self._key_seconds, self._keys, self._dense = self._packet_seconds, self._keys + 1, False
        self._decode_only("NONKEY")
        self._decode(packet)
        if self.keeper.seen:
            self._held, self._held_bytes = [], 0
        else:
            self._hold(packet)
            if self._keys > MAX_BLIND_KEYS:
                self._decode_held()

    def _hold(self, packet: Packet[Any]) -> None:
        self._held.append(packet)
        self._held_bytes += packet.size
        if self._held_bytes > MAX_HELD_BYTES:
            self._decode_held()

    def _decode_held(self) -> None:
        if not self.keeper.seen:  # What claims to be key frames gave no picture: begin again and skip nothing.
            self.stream.codec_context.flush_buffers()
            self._blind = True
        self._dense = True
        self._decode_only("DEFAULT")
        packets, self._held, self._held_bytes = self._held, [], 0
        for packet in packets:
            self._decode(packet)

    def _decode_only(self, frames: str) -> None:
        self.stream.codec_context.skip_frame = frames

    def _decode(self, packet: Packet[Any] | None) -> None:
        try:
            for frame in self.stream.codec_context.decode(packet):
                self._look(frame)
        except (FFmpegError, ValueError):
            self.damaged += 1

    def _look(self, frame: Any) -> None:
        time = self.clock.seconds(self.stream, frame.pts)
        time = max(0.0, self._packet_seconds if time is None else time)
        if self._dense and self.keeper.seen and time - self._looked_seconds < LOOK_EVERY_SECONDS:
            return
        self._looked_seconds = time
        aspect = float(self.stream.sample_aspect_ratio or 1)
        look = look_of(upright(frame, aspect, LOOK_SIDE_PIXELS))
        if not self.keeper.wants(time, look):
            return
        if len(self.kept) >= self.max_frames:
            self.left_out += 1
            return
        file_name = f"{round(time * 1000):09}.jpg"
        Path("frames").mkdir(exist_ok=True)
        upright(frame, aspect, MAX_SIDE_PIXELS).save(Path("frames") / file_name, quality=JPEG_QUALITY)
        self.kept.append((time, file_name, look.perceptual_hash))


def upright(frame: Any, sample_aspect: float, max_side: int) -> Image.Image:
    """The frame as a person sees it: square pixels, turned upright, scaled down to `max_side` pixels at most."""
    aspect = sample_aspect if 1 / MAX_ASPECT <= sample_aspect <= MAX_ASPECT else 1.0
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, max_side / max(width, height))
    size = {"width": max(1, round(width * scale)), "height": max(1, round(height * scale))}
    image: Image.Image = frame.to_image(**size, interpolation="AREA")
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


class SoundTrack:
    """Writes 16 kHz mono 16-bit WAV on the container's clock: gaps become silence, what overlaps is dropped."""

    def __init__(self, stream: Any, clock: Clock, path: Path) -> None:
        self.stream, self.clock = stream, clock
        self.damaged = 0
        self.written = 0
        self._path = path
        self._file = path.open("wb")
        self._file.seek(WAV_HEADER_BYTES)
        self._resampler: AudioResampler | None = None
        self._shape: tuple[Any, ...] = ()
        self._expected_seconds = 0.0
        self._drop = 0

    def take(self, packet: Packet[Any] | None) -> None:
        """Decode a packet and append its samples."""
        try:
            for frame in self.stream.codec_context.decode(packet):
                self._add(frame)
        except (FFmpegError, ValueError):
            self.damaged += 1

    def finish(self) -> None:
        """Flush decoder and resampler, then write the header over the room that was left for it."""
        self.take(None)
        self._end_run()
        size = min(self.written * SOUND_BYTES, MAX_WAV_BYTES - WAV_HEADER_BYTES)
        self._file.truncate(WAV_HEADER_BYTES + size)
        self._file.seek(0)
        self._file.write(wav_header(size))
        self._file.close()
        if not self.written:
            self._path.unlink()

    def _add(self, frame: Any) -> None:
        time = self.clock.seconds(self.stream, frame.pts)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        jumped = time is not None and abs(time - self._expected_seconds) > MAX_DRIFT_SECONDS
        if shape != self._shape or jumped:
            self._start_run(self._expected_seconds if time is None else time, shape)
        assert self._resampler is not None
        for resampled in self._resampler.resample(frame):
            self._write(resampled)
        self._expected_seconds += frame.samples / frame.sample_rate

    def _start_run(self, time: float, shape: tuple[Any, ...]) -> None:
        """Begin sound that does not join on to what came before: after a gap, a jump or a change of format."""
        self._end_run()
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SOUND_RATE)
        self._shape, self._expected_seconds = shape, time
        target = round(time * SOUND_RATE)
        self._drop = max(0, self.written - target)
        if target > self.written:
            self.written = target
            self._file.seek(WAV_HEADER_BYTES + target * SOUND_BYTES)  # A hole: silence that takes no room.

    def _end_run(self) -> None:
        if self._resampler is not None:
            for resampled in self._resampler.resample(None):
                self._write(resampled)
        self._resampler = None

    def _write(self, frame: Any) -> None:
        samples = frame.to_ndarray()[0]
        kept = samples[self._drop :]
        self._drop -= len(samples) - len(kept)
        self._file.write(kept.astype("<i2", copy=False).tobytes())
        self.written += len(kept)


def wav_header(data_bytes: int) -> bytes:
    """The 44 bytes before 16 kHz mono 16-bit samples."""
    riff = struct.pack("<4sI4s", b"RIFF", WAV_HEADER_BYTES - 8 + data_bytes, b"WAVE")
    rate = struct.pack("<HHIIHH", 1, 1, SOUND_RATE, SOUND_RATE * SOUND_BYTES, SOUND_BYTES, 8 * SOUND_BYTES)
    return riff + struct.pack("<4sI", b"fmt ", len(rate)) + rate + struct.pack("<4sI", b"data", data_bytes)


class TextTrack:
    """Collects the cues of one subtitle track as (start, end, text)."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        self.stream, self.clock = stream, clock
        self.damaged = 0
        self.cues: list[tuple[float, float, str]] = []

    def take(self, packet: Packet[Any]) -> None:
        """Read one packet: one cue, or several for different places on the screen."""
        start = self.clock.seconds(self.stream, packet.pts)
        if start is None:
            return
        try:
            subtitle = self.stream.codec_context.decode2(packet)
        except (FFmpegError, ValueError):
            self.damaged += 1
            return
        lasts = float((packet.duration or 0) * packet.time_base) or DEFAULT_CUE_SECONDS
        for rectangle in subtitle or ():
            text = plain_text(rectangle)
            if text:
                self.cues.append((max(0.0, start), max(0.0, start + lasts), text))

    def finish(self) -> None:
        """Put the cues in order of time."""
        self.cues.sort()


def plain_text(rectangle: Any) -> str:
    """The words of a decoded cue, without ASS fields, overrides, drawings and control codes."""
    if rectangle.type == b"text":
        return str(rectangle.text.decode("utf-8", "replace")).strip()
    if rectangle.type != b"ass":
        return ""
    text = rectangle.ass.decode("utf-8", "replace").split(",", ASS_TEXT_FIELD)[-1]
    if ASS_DRAWING.search(text):
        return ""
    return ASS_BREAK.sub("\n", ASS_OVERRIDE.sub("", text)).replace("\\h", " ").strip()
