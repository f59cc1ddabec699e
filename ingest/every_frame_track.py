"""The program that decodes every picture of a file, with the cuts that PySceneDetect's adaptive detector finds.

It is `media_child.py` with another way of looking, in a module of its own: a child imports all it needs before it gives up
its rights.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from av.error import FFmpegError
from av.packet import Packet
from scenedetect import AdaptiveDetector, FrameTimecode

from ingest import media_child
from ingest.media_clock import Clock
from ingest.picture_sampler import PictureSampler, as_rgbx
from ingest.pictures import SHARPER_SECONDS

DECODER_THREADS = 2
# PySceneDetect scales pictures down to about this width, and its thresholds are made for it.
DETECTOR_SIDE_PIXELS = 256
LOOK_EVERY_SECONDS = 1.0
FALLBACK_RATE = 25.0


def main(arguments: Sequence[str]) -> None:
    """Do the job as `media_child.main` does, but look at every picture."""
    media_child.main(arguments, EveryFrameTrack)


class EveryFrameTrack:
    """Decodes every picture once, for the detector and for the sampler; the detector is some pictures late."""

    def __init__(self, stream: Any, clock: Clock, max_frames: int, max_pixels: int) -> None:
        self.stream, self.clock = stream, clock
        self.sampler = PictureSampler(stream, max_frames)
        self.damaged = 0
        self._detector = AdaptiveDetector()
        self._rate = float(stream.average_rate or 0) or FALLBACK_RATE
        self._undecided: deque[tuple[int, float, Any]] = deque()
        self._count = 0
        self._seconds = 0.0
        self._looked_seconds = self._shows_until = -math.inf
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        stream.thread_type, stream.thread_count = "AUTO", DECODER_THREADS

    def take(self, packet: Packet[Any] | None) -> None:
        """Decode a packet and look at what comes out."""
        if packet:
            time = self.clock.packet_seconds(packet)
            self._seconds = self._seconds if time is None else time
            self.damaged += packet.is_corrupt
        try:
            for frame in self.stream.codec_context.decode(packet):
                self._detect(frame)
        except (FFmpegError, ValueError):
            self.damaged += 1

    def finish(self) -> None:
        """Take the last pictures out of the decoder."""
        self.take(None)
        self._decide(self._count, set())
        self.sampler.finish()

    def _detect(self, frame: Any) -> None:
        time = self.clock.seconds(self.stream, frame.pts)
        self._undecided.append((self._count, max(0.0, self._seconds if time is None else time), frame))
        scale = min(1.0, DETECTOR_SIDE_PIXELS / frame.width)
        size = {"width": max(1, round(frame.width * scale)), "height": max(1, round(frame.height * scale))}
        picture = as_rgbx(frame, **size)[:, :, 2::-1]  # PySceneDetect takes blue first.
        cuts = self._detector.process_frame(FrameTimecode(self._count, self._rate), picture)
        self._decide(self._count - self._detector.event_buffer_length, {cut.frame_num for cut in cuts})
        self._count += 1

    def _decide(self, last: int, cuts: set[int]) -> None:
        """Show the pictures up to number `last`: those that begin a shot, a few after them, and one a second."""
        while self._undecided and self._undecided[0][0] <= last:
            number, time, frame = self._undecided.popleft()
            is_cut = number in cuts
            if is_cut:
                self._shows_until = time + SHARPER_SECONDS
            if time <= self._shows_until or time - self._looked_seconds >= LOOK_EVERY_SECONDS:
                self.sampler.show(time, frame, None, is_cut)
                self._looked_seconds = time
