"""One clock for all tracks of a media file: seconds from its start, running on where its timestamps begin anew."""

from __future__ import annotations

import math
from typing import Any

from av.packet import Packet
from av.stream import Stream

# Decoding times of one track never run back in a whole file; joined recordings and broken clocks run back by more.
JUMP_BACK_SECONDS = 1.0
# A packet that comes so much later than the one before, and is followed by one in its old place, has a broken timestamp.
STRAY_SECONDS = 10.0


class Clock:
    """Sets the timestamps of packets right and knows how far the content has reached.

    A file that was joined from several has timestamps that begin anew. What follows such a jump is put after the latest end
    seen so far, for all tracks by the same shift. Times beyond `limit_seconds` (of each part) count as missing.
    """

    def __init__(self, start_seconds: float, limit_seconds: float, most_seconds: float = math.inf) -> None:
        self.end_seconds = 0.0
        self.jumps: list[float] = []
        self.start_seconds, self._most_seconds = start_seconds, most_seconds
        self._part_seconds = self._limit_seconds = limit_seconds
        self._shifts = [0.0]
        self._bases: dict[int, float] = {}
        self._parts: dict[int, int] = {}
        self._recent: dict[int, tuple[float, float]] = {}

    def set_right(self, packet: Packet[Any]) -> None:
        """Move a packet that lies after a jump, and note where it ends; for every packet, in the order of the file."""
        stamp, base = packet.dts if packet.dts is not None else packet.pts, self._base_seconds(packet.stream)
        if stamp is None or not base:
            return
        part = self._part_of(packet, stamp * base - self.start_seconds)
        shift = round(self._shifts[part] / base)
        if shift:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        time = self.packet_seconds(packet)
        if time is not None:
            end = time + (packet.duration or 0) * base
            self.end_seconds = max(self.end_seconds, min(end, self._limit_seconds))

    def seconds(self, stream: Stream, pts: int | None) -> float | None:
        """The time of a packet or frame of a stream; None for a missing timestamp or one that lies outside the file.

        Frames that a flushed decoder gives have timestamps in the stream's unit without saying so.
        """
        base = self._base_seconds(stream)
        if pts is None or not base:
            return None
        time = pts * base - self.start_seconds
        return time if -self._limit_seconds <= time <= self._limit_seconds else None

    def packet_seconds(self, packet: Packet[Any]) -> float | None:
        """When a packet is shown, or decoded where the file does not say."""
        return self.seconds(packet.stream, packet.pts if packet.pts is not None else packet.dts)

    def _base_seconds(self, stream: Stream) -> float:
        """The unit of a stream's timestamps; asked for once, as fractions are slow."""
        index = stream.index
        if index not in self._bases:
            self._bases[index] = float(stream.time_base or 0)
        return self._bases[index]

    def _part_of(self, packet: Packet[Any], time: float) -> int:
        """Which part of a joined file a packet belongs to; one stray timestamp, far ahead, begins no new part."""
        track = packet.stream_index
        part = self._parts.setdefault(track, 0)
        if abs(time) > self._part_seconds:
            return part
        last, before = self._recent.get(track, (time, time))
        was_stray = last - before > STRAY_SECONDS and time >= before - JUMP_BACK_SECONDS
        jumped = time < last - JUMP_BACK_SECONDS and not was_stray
        if jumped and packet.stream.type == "subtitle":  # Sparse and often out of order: they follow the others.
            jumped = part + 1 < len(self._shifts)
        if jumped:
            part += 1
            self._parts[track] = part
            if part == len(self._shifts):
                self.jumps.append(self.end_seconds)
                self._shifts.append(self.end_seconds - time)
                self._limit_seconds = min(self._most_seconds, self.end_seconds + self._part_seconds)
        self._recent[track] = (time, time if jumped else last)
        return part
