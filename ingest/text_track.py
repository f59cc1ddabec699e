"""Collects the cues of an embedded subtitle track of text."""

from __future__ import annotations

import re
from typing import Any

from av.error import FFmpegError
from av.packet import Packet

from ingest.media_clock import Clock

DEFAULT_CUE_SECONDS = 3.0
ASS_TEXT_FIELD = 8
ASS_OVERRIDE = re.compile(r"\{[^}]*\}")
ASS_DRAWING = re.compile(r"\{[^}]*\\p[1-9]")
ASS_BREAK = re.compile(r"\\[Nn]")


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
