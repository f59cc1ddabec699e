"""Looks at the pictures between two key frames, as far as a shot may begin there."""

from __future__ import annotations

import math
from typing import Any

from ingest.picture_sampler import PictureSampler
from ingest.pictures import SHARPER_SECONDS, UNBLANK_SECONDS, Look


class InnerPictures:
    """Takes the decoded pictures of one group in order of time, and shows the sampler those that a shot begins with."""

    def __init__(self, sampler: PictureSampler, looked_seconds: float, key_look: Look | None) -> None:
        self.looked_seconds = looked_seconds
        self.looks = [(looked_seconds, key_look)] if key_look else []
        self._sampler = sampler
        self._previous: tuple[Any, Look | None] = (None, key_look)
        # A key frame that shows nothing is followed until something better comes.
        self._shows_until = looked_seconds + UNBLANK_SECONDS if key_look and key_look.is_blank else -math.inf

    def take(self, time: float, frame: Any, is_suspect: bool, every: float) -> None:
        """Compare a suspect picture with the one before; show others only near a cut, or one `every` so many seconds."""
        if time <= self.looked_seconds:
            return
        before_frame, before_look = self._previous
        self._previous = frame, None
        look, is_cut, is_new = None, None, False
        if is_suspect:
            look = self._sampler.look(frame)
            self.looks.append((time, look))
            self._previous = frame, look
            if before_frame or before_look:
                before = before_look or self._sampler.look(before_frame)
                is_cut, is_new = look.cut_from(before), look.changed_from(before)
        if is_new:  # Another shot, or another slide.
            self._shows_until = time + SHARPER_SECONDS
        if time <= self._shows_until or time - self.looked_seconds >= every:
            self._sampler.show(time, frame, look, is_cut)
            self.looked_seconds = time
