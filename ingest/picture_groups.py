"""Groups of pictures: the packets of a video from one key frame to the next, and where in them a shot likely begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from av.packet import Packet

from ingest.pictures import Look

# A packet that holds a whole new picture, although it is no key frame: measured on films with known cuts, it has a third
# of the bytes of the key frame or more, and 6 times those of all but a tenth of the packets around it.
CUT_SHARE_OF_KEY = 0.25
CUT_TIMES_OF_MOST = 2.5
# A new line on a slide has fewer, but stands out more, as nothing else moves: measured 0.2 of the key frame and 13 times.
SLIDE_SHARE_OF_KEY = 0.05
SLIDE_TIMES_OF_MOST = 10.0
MOST = 0.9
# Where most packets are as large as this share of the key frame, a cut would not stand out.
NOISY_SHARE_OF_KEY = 1 / 3
MIN_PACKETS_TO_COMPARE = 8
# A packet is stored before the pictures that lie just before it and refer to it: one of them may begin the shot.
BEFORE_CUT_SECONDS = 0.35

Span = tuple[float, float]


@dataclass(slots=True)
class Group:
    """Packets in the order of the file, and the times at which they are shown; `look` is that of its key frame.

    It comes early when its key frame is nearer to the one before than the encoder's rhythm: a shot likely begins there.
    """

    key_seconds: float
    key_bytes: int = 0
    comes_early: bool = False
    look: Look | None = None
    packets: list[Packet[Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    held_bytes: int = 0
    has_only_keys: bool = True
    is_being_read: bool = False

    def add(self, packet: Packet[Any], seconds: float) -> None:
        """Hold a packet."""
        self.packets.append(packet)
        self.seconds.append(seconds)
        self.held_bytes += packet.size
        self.has_only_keys &= packet.is_keyframe

    @property
    def held_seconds(self) -> float:
        """How much time the held packets span."""
        return self.seconds[-1] - self.seconds[0] if self.seconds else 0.0

    def suspect_spans(self) -> list[Span]:
        """The spans of time in each of which a shot likely begins."""
        suspects = likely_cuts([packet.size for packet in self.packets], self.key_bytes)
        return [(self.seconds[index] - BEFORE_CUT_SECONDS, self.seconds[index]) for index in suspects]

    def is_noisy(self) -> bool:
        """Whether packets are so large that a cut would not stand out among them, or too few to tell."""
        sizes = [packet.size for packet in self.packets]
        return len(sizes) < MIN_PACKETS_TO_COMPARE or size_of_most(sizes) > NOISY_SHARE_OF_KEY * self.key_bytes

    def let_go(self) -> None:
        """Hold nothing any more."""
        self.packets, self.seconds, self.held_bytes = [], [], 0


def likely_cuts(sizes: Sequence[int], key_bytes: int) -> list[int]:
    """Which packets likely begin a shot, by their sizes in bytes; the first holds the key frame, if there is one."""
    if len(sizes) < MIN_PACKETS_TO_COMPARE:
        return []
    most = size_of_most(sizes)
    new_picture = max(CUT_SHARE_OF_KEY * key_bytes, CUT_TIMES_OF_MOST * most)
    new_slide = max(SLIDE_SHARE_OF_KEY * key_bytes, SLIDE_TIMES_OF_MOST * most)
    least = min(new_picture, new_slide)
    return [index for index, size in enumerate(sizes) if size >= least and (index or not key_bytes)]


def size_of_most(sizes: Sequence[int]) -> int:
    """The size in bytes that nine of ten do not pass."""
    return sorted(sizes)[int(MOST * (len(sizes) - 1))]


def is_inside(time: float, spans: Sequence[Span]) -> bool:
    """Whether a time lies in one of the spans."""
    return any(start <= time <= end for start, end in spans)
