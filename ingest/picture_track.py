"""Samples the pictures of a video: its key frames, and others where a shot begins between two of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from av.error import FFmpegError
from av.packet import Packet

from ingest.inner_pictures import InnerPictures
from ingest.media_clock import Clock
from ingest.picture_groups import Group, Span, is_inside
from ingest.picture_sampler import PictureSampler
from ingest.pictures import SHARPER_SECONDS, UNBLANK_SECONDS, Look, gradual_cut

DECODER_THREADS = 2
# A group of pictures longer than this is decoded in full, and looked at once a second.
MAX_HELD_SECONDS = 20.0
MAX_HELD_BYTES = 64 << 20
LOOK_EVERY_SECONDS = 1.0
# So many key frames may be on their way through a decoder that puts frames in order before the first picture comes out.
MAX_BLIND_KEYS = 8
FEW_PICTURES = 2
# Key frames that come as late as others came are there because it was time, others because a shot begins.
SAME_DISTANCE_SECONDS = 0.1
SAME_TIME_SECONDS = 0.01


class PictureTrack:
    """Decodes key frames as they come, and packets between two of them where a shot likely begins there.

    Key frames go through the decoder one after the other, so that its threads work side by side. A group of pictures is
    settled when the key frame after it has come out, as that tells whether something changed in between.
    """

    def __init__(self, stream: Any, clock: Clock, max_frames: int, max_pixels: int) -> None:
        self.stream, self.clock = stream, clock
        self.sampler = PictureSampler(stream, max_frames)
        self.damaged = 0
        self._groups: deque[Group] = deque()
        self._key_frames: deque[Any] = deque()
        self._is_blind = False
        self._inner = InnerPictures(self.sampler, 0.0, None)
        self._seconds = self._looked_seconds = 0.0
        self._rhythm_seconds = -math.inf
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        stream.thread_type, stream.thread_count = "AUTO", DECODER_THREADS

    def take(self, packet: Packet[Any]) -> None:
        """Decode a key frame; hold other packets until it shows whether they are needed."""
        time = self.clock.packet_seconds(packet)
        self._seconds = self._seconds if time is None else time
        self.damaged += packet.is_corrupt
        if packet.is_keyframe and not self._is_blind and not self._is_one_of_many():
            self._begin_group(packet)
            return
        if not self._groups:
            self._groups.append(Group(self._seconds))
        group = self._groups[-1]
        group.add(packet, self._seconds)
        if group.held_seconds > MAX_HELD_SECONDS or group.held_bytes > MAX_HELD_BYTES:
            self._read_open_group()

    def finish(self) -> None:
        """Take the last pictures out of the decoder; a short video with one key frame is looked at in full."""
        self._take_key_frames(self._drained())
        if not self.sampler.keeper.seen:
            self._go_blind()
        while self._groups:
            group = self._groups.popleft()
            if group.is_being_read or self._is_blind or self.sampler.keeper.seen < FEW_PICTURES:
                self._read(group, every=LOOK_EVERY_SECONDS)
            else:
                self._settle(group, None)
        self.sampler.finish()

    def _is_one_of_many(self) -> bool:
        """Whether every frame is a key frame: then one a second begins a group."""
        group = self._groups[-1] if self._groups else None
        passed = self._seconds - group.key_seconds if group else math.inf
        return bool(group and group.packets and group.has_only_keys and 0.0 <= passed < LOOK_EVERY_SECONDS)

    def _begin_group(self, packet: Packet[Any]) -> None:
        previous = self._groups[-1] if self._groups else None
        if previous and previous.is_being_read:
            self._read(self._groups.pop(), every=LOOK_EVERY_SECONDS)
        distance = self._seconds - previous.key_seconds if previous else 0.0
        comes_early = abs(distance - self._rhythm_seconds) > SAME_DISTANCE_SECONDS
        self._rhythm_seconds = max(distance, self._rhythm_seconds)
        self._groups.append(Group(self._seconds, packet.size, comes_early))
        self._groups[-1].add(packet, self._seconds)
        self._take_key_frames(self._decode(packet))
        if len(self._groups) > MAX_BLIND_KEYS and not self.sampler.keeper.seen:
            self._read_open_group()

    def _read_open_group(self) -> None:
        """Read what is held of a group that goes on; key frames that are still in the decoder come first."""
        if not self._groups[-1].is_being_read:
            self._take_key_frames(self._drained())
            if not self.sampler.keeper.seen:
                self._go_blind()
            while len(self._groups) > 1:
                self._settle(self._groups.popleft(), None)
        self._read(self._groups[-1], every=LOOK_EVERY_SECONDS, ends=False)

    def _go_blind(self) -> None:
        """What claims to be key frames gave no picture: begin again, skip nothing and take all for one group."""
        whole = Group(self._groups[0].key_seconds if self._groups else 0.0)
        for group in self._groups:
            for packet, seconds in zip(group.packets, group.seconds, strict=True):
                whole.add(packet, seconds)
        self._groups = deque([whole])
        self._is_blind = True

    def _take_key_frames(self, frames: list[Any]) -> None:
        """Settle each group that lies before a key frame, then look at that; settling may bring more key frames out."""
        self._key_frames.extend(frames)
        while self._key_frames:
            frame = self._key_frames.popleft()
            time, look = self._time_of(frame), self.sampler.look(frame)
            is_cut: bool | None = None
            while len(self._groups) > 1 and self._groups[1].key_seconds <= time + SAME_TIME_SECONDS:
                is_cut = self._settle(self._groups.popleft(), look)
            if self._groups:
                self._groups[0].look = look
            self.sampler.show(time, frame, look, is_cut)
            self._looked_seconds = time

    def _settle(self, group: Group, next_look: Look | None) -> bool | None:
        """Find the shots that begin inside a group; returns whether one begins right after it, None if looks must tell."""
        if group.look is None:  # Its key frame gave no picture; packets before the first key frame never do.
            if group.key_bytes:
                self._read(group, every=LOOK_EVERY_SECONDS)
            return None
        keeps_rhythm = bool(self._groups) and not self._groups[0].comes_early
        spans = group.suspect_spans()
        if self.sampler.blank_seconds == self._looked_seconds:
            spans.append((group.key_seconds, group.key_seconds + UNBLANK_SECONDS))
        if spans:
            self._read(group, spans)
        elif next_look and next_look.cut_from(group.look) and (keeps_rhythm or group.is_noisy()):
            return self._find_cut(group, next_look)
        return False if keeps_rhythm and not group.is_noisy() else None

    def _find_cut(self, group: Group, next_look: Look) -> bool:
        """Look at every picture of a group after which all is different; whether a shot begins right after it."""
        cuts = len(self.sampler.keeper.cut_seconds)
        looks = self._read(group, [(-math.inf, math.inf)])
        if next_look.cut_from(looks[-1][1]):
            return True
        turn = gradual_cut([*looks, (looks[-1][0], next_look)])
        if turn is not None and len(self.sampler.keeper.cut_seconds) == cuts:
            self.sampler.keeper.cut_seconds.append(turn)
        return False

    def _read(
        self, group: Group, spans: Sequence[Span] = (), every: float = math.inf, ends: bool = True
    ) -> list[tuple[float, Look]]:
        """Decode what is held of a group; returns the looks of the pictures in `spans`, in each of which a shot may begin.

        With `every` all of it is decoded and a picture is shown that often, in seconds; without, decoding ends after the
        last span. Outside the spans, pictures that no other refers to are left out.
        """
        if not group.is_being_read:
            self._key_frames.extend(self._drained())
            self._inner = InnerPictures(self.sampler, self._looked_seconds, group.look)
            group.is_being_read = True
        spans = spans or group.suspect_spans()
        last = math.inf if math.isfinite(every) else max(end for _, end in spans) + SHARPER_SECONDS
        needed = max((number for number, time in enumerate(group.seconds) if time <= last), default=-1) + 1
        for packet, seconds in zip(group.packets[:needed], group.seconds, strict=False):
            self.stream.codec_context.skip_frame = "DEFAULT" if is_inside(seconds, spans) else "NONREF"
            self._take_inner(self._decode(packet), spans, every)
        group.let_go()
        if ends:
            self._take_inner(self._drained(), spans, every)
            self.stream.codec_context.skip_frame = "DEFAULT"
        self._looked_seconds = self._inner.looked_seconds
        return self._inner.looks

    def _take_inner(self, frames: list[Any], spans: Sequence[Span], every: float) -> None:
        for frame in frames:
            time = self._time_of(frame)
            self._inner.take(time, frame, is_inside(time, spans), every if self.sampler.keeper.seen else 0.0)

    def _drained(self) -> list[Any]:
        """What is still in the decoder; it begins anew after that."""
        frames = self._decode(None)
        self.stream.codec_context.flush_buffers()
        return frames

    def _decode(self, packet: Packet[Any] | None) -> list[Any]:
        try:
            return list(self.stream.codec_context.decode(packet))
        except (FFmpegError, ValueError):
            self.damaged += 1
            return []

    def _time_of(self, frame: Any) -> float:
        time = self.clock.seconds(self.stream, frame.pts)
        return max(0.0, self._seconds if time is None else time)
