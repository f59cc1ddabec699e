"""The nouns of a library: what a video is made of once it has been read."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import Literal

TranscriptSource = Literal["embedded captions", "sidecar captions", "speech recogniser"]
DescriptionSource = Literal["description track", "tags", "vision model"]

MAX_MOMENT_SECONDS = 60.0
MOMENT_NAMESPACE = uuid.UUID("6f0c3c52-5f0a-5e0e-9d0b-3f1f6f1f8a51")


class PlayheadError(Exception):
    """A wrong world, told in one line: the fact, the value and the remedy."""


class WrongCallError(ValueError):
    """What was asked for cannot be meant: an unknown video, an empty question, a bad option."""


class VideoError(PlayheadError):
    """One file cannot be indexed; the others are not harmed."""


class LibraryError(PlayheadError):
    """The library folder cannot be opened, read or written."""


class IndexMismatchError(LibraryError):
    """The library was built with other models or another format than this run uses."""


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """One utterance: a caption cue or what the recogniser heard between two pauses."""

    start_seconds: float
    end_seconds: float
    text: str
    source: TranscriptSource
    language: str | None = None
    confidence: float | None = None
    speaker: str | None = None

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if not self.text.strip():
            raise ValueError(f"a transcript segment needs text, got {self.text!r}")


@dataclass(frozen=True, slots=True)
class ScreenText:
    """Text read from the picture, with the span of time it was seen in; confidence is 0..1."""

    start_seconds: float
    end_seconds: float
    text: str
    confidence: float

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence is 0..1, got {self.confidence}")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named span of the video."""

    start_seconds: float
    end_seconds: float
    title: str

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be seen, in words, with the span of time it tells of."""

    start_seconds: float
    end_seconds: float
    text: str
    source: DescriptionSource

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if not self.text.strip():
            raise ValueError(f"a description needs text, got {self.text!r}")


@dataclass(frozen=True, slots=True)
class Shot:
    """The span between two cuts."""

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)


@dataclass(frozen=True, slots=True)
class Keyframe:
    """One kept picture: its time and its 64-bit perceptual hash; its JPEG is named by its time."""

    time_seconds: float
    perceptual_hash: int

    def __post_init__(self) -> None:
        check_span(self.time_seconds, self.time_seconds)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What was heard and seen in one video, and for each channel the tier that made it.

    `transcript` is searched and cited; `other_transcripts` holds the segments of every other language and source, shown
    beside it.
    """

    transcript: tuple[TranscriptSegment, ...] = ()
    other_transcripts: tuple[TranscriptSegment, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    descriptions: tuple[Description, ...] = ()
    screen_text: tuple[ScreenText, ...] = ()
    shots: tuple[Shot, ...] = ()
    keyframes: tuple[Keyframe, ...] = ()
    channels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One reading of a file that has not ended well: it runs, was interrupted (ingest the file again) or failed.

    `started_at` is Unix time in seconds.
    """

    path: str
    video_id: str
    started_at: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """The span of time, 60 s at most, that is embedded, stored, retrieved and cited."""

    tenant: str
    video_id: str
    start_seconds: float
    end_seconds: float
    transcript: tuple[TranscriptSegment, ...] = ()
    screen_text: tuple[ScreenText, ...] = ()
    description: str = ""
    chapter: str = ""
    keyframe_seconds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if self.end_seconds - self.start_seconds > MAX_MOMENT_SECONDS + 0.001:
            raise ValueError(
                f"a moment is {MAX_MOMENT_SECONDS} s at most, got {self.start_seconds}..{self.end_seconds}"
            )

    @property
    def moment_id(self) -> str:
        """The uuid5 of (tenant, video, start, end): the same content gives the same id."""
        key = f"{self.tenant}/{self.video_id}/{self.start_seconds:.3f}/{self.end_seconds:.3f}"
        return str(uuid.uuid5(MOMENT_NAMESPACE, key))

    @property
    def speech(self) -> str:
        """What is said, as one line."""
        return " ".join(segment.text for segment in self.transcript)

    @property
    def screen(self) -> str:
        """What is written on the screen, as one line."""
        return " ".join(span.text for span in self.screen_text)


@dataclass(frozen=True, slots=True)
class Video:
    """One video of the library.

    `fingerprint` tells what it was built from, so that a second ingest can tell nothing changed; `duplicate_of` is the id
    of the video that shows the same and came first.
    """

    tenant: str
    video_id: str
    title: str
    duration_seconds: float
    fingerprint: str
    paths: tuple[str, ...] = ()
    url: str | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    published_at: str | None = None
    duplicate_of: str | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ValueError(f"a video needs a title, got {self.title!r}")
        check_span(0.0, self.duration_seconds)


def check_span(start_seconds: float, end_seconds: float) -> None:
    """Refuse spans that no player could seek to."""
    if not (math.isfinite(start_seconds) and math.isfinite(end_seconds) and 0.0 <= start_seconds <= end_seconds):
        raise ValueError(f"a span needs 0 <= start <= end in seconds, got {start_seconds}..{end_seconds}")


def timecode(seconds: float) -> str:
    """Seconds as people write them: 1:05, 1:02:09. The only function that makes timecodes."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
