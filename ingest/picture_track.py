"""Samples the pictures of a video: its key frames, and others where a shot begins between two of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from av.error import FFmpegError
from av.packet import Packet

from ingest.media_clock import Clock
from ingest.picture_groups import Group
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
# Packets are stored in order of decoding, not of showing: pictures so far around a likely cut are looked at.
AROUND_CUT_SECONDS = 0.4

Span = tuple[float, float]


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
        self._before: Look | None = None
        self._shows_until = -math.inf
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
        spans = [around(time) for time in group.cut_seconds()]
        if group.look.is_blank:
            spans.append((group.key_seconds, group.key_seconds + UNBLANK_SECONDS))
        if spans:
            self._read(group, spans)
        elif next_look and next_look.cut_from(group.look) and (keeps_rhythm or group.is_noisy()):
            return self._find_cut(group, group.look, next_look)
        return False if keeps_rhythm and not group.is_noisy() else None

    def _find_cut(self, group: Group, look: Look, next_look: Look) -> bool:
        """Look at every picture of a group after which all is different; whether a shot begins right after it."""
        keeper = self.sampler.keeper
        looks, cuts = [(group.key_seconds, look)], len(keeper.cut_seconds)
        self._read(group, [(-math.inf, math.inf)], looks)
        if next_look.cut_from(looks[-1][1]):
            return True
        turn = gradual_cut([*looks, (looks[-1][0], next_look)]) if len(keeper.cut_seconds) == cuts else None
        if turn is not None:
            keeper.cut_seconds.append(turn)
        return False

    def _read(
        self,
        group: Group,
        spans: Sequence[Span] = (),
        looks: list[tuple[float, Look]] | None = None,
        every: float = math.inf,
        ends: bool = True,
    ) -> None:
        """Decode what is held of a group; look at all pictures inside `spans`, of others at one `every` so many seconds.

        Without `every` decoding ends with the last span, and pictures that no other refers to are left out elsewhere.
        """
        if not group.is_being_read:
            self._key_frames.extend(self._drained())
            self._before, self._shows_until = group.look, -math.inf
            if group.look and group.look.is_blank:
                self._shows_until = group.key_seconds + UNBLANK_SECONDS
            group.is_being_read = True
        spans = spans or [around(time) for time in group.cut_seconds()]
        looks = [] if looks is None else looks
        last = math.inf if math.isfinite(every) else max(end for _, end in spans)
        needed = max((number for number, time in enumerate(group.seconds) if time <= last), default=-1) + 1
        for packet, seconds in zip(group.packets[:needed], group.seconds, strict=False):
            self.stream.codec_context.skip_frame = "DEFAULT" if is_inside(seconds, spans) else "NONREF"
            for frame in self._decode(packet):
                self._look_inside(frame, spans, looks, every)
        group.let_go()
        if ends:
            for frame in self._drained():
                self._look_inside(frame, spans, looks, every)
            self.stream.codec_context.skip_frame = "DEFAULT"

    def _look_inside(self, frame: Any, spans: Sequence[Span], looks: list[tuple[float, Look]], every: float) -> None:
        """Look at a picture between key frames; one that is needed only to see a cut by is not shown to the sampler."""
        time = self._time_of(frame)
        if time <= self._looked_seconds:
            return
        if not is_inside(time, spans):
            self._before = None
            if time - self._looked_seconds >= every or not self.sampler.keeper.seen:
                self.sampler.show(time, frame)
                self._looked_seconds = time
            return
        look = self.sampler.look(frame)
        looks.append((time, look))
        is_cut = self._before is not None and look.cut_from(self._before)
        self._before = look
        if is_cut:
            self._shows_until = time + SHARPER_SECONDS
        if time <= self._shows_until:
            self.sampler.show(time, frame, look, is_cut)
            self._looked_seconds = time

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


def around(time: float) -> Span:
    """The span in which a likely cut is looked for."""
    return time - AROUND_CUT_SECONDS, time + AROUND_CUT_SECONDS


def is_inside(time: float, spans: Sequence[Span]) -> bool:
    """Whether a time lies in one of the spans."""
    return any(start <= time <= end for start, end in spans)
