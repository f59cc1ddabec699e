"""Decodes a media file once, in a limited child, into pictures, sound and embedded captions that the rest can trust."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import stat
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ingest.captions import CaptionKind, CaptionTrack, Cue, one_line, printable, segments_from_cues, short_language
from ingest.containers import looks_like_media
from ingest.sandbox import ChildLimits, run_limited, short
from ingest.schema import Chapter, VideoError

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = ".mp4 .m4v .mov .qt .3gp .3g2 .mkv .webm .avi .flv .f4v .wmv .asf .ts .mts .m2ts .mpg .mpeg .vob .ogv"
AUDIO_SUFFIXES = ".mp3 .m4a .m4b .aac .wav .w64 .flac .ogg .oga .opus .mka .wma .aif .aiff .caf .amr .ac3"
MEDIA_SUFFIXES = frozenset(f"{VIDEO_SUFFIXES} {AUDIO_SUFFIXES}".split())
MAGIC_BYTES = 1024
MAX_FACTS_BYTES = 64 << 20
MAX_CUTS = 100_000
MAX_CHAPTERS = 10_000
MAX_CUES = 200_000
# Pictures and chapters may lie a little past a duration that is itself rounded or guessed.
TIME_TOLERANCE_SECONDS = 60.0
DURATION_TOLERANCE = 0.02
DECODER_LINE = re.compile(r"\[[\w, ./]+ @ 0x[0-9a-f]+\]")
MAX_TITLE_CHARACTERS = 500
MAX_CUE_CHARACTERS = 10_000
WAV_HEADER_BYTES = 44
MAX_AUDIO_CHANNELS = 2
NO_DETECTOR = "looking at every frame needs PySceneDetect. Install it: pip install 'playhead[shots]'"
FRAME_NAME = re.compile(r"[0-9]{9,12}\.jpg")
MAX_HASH = (1 << 64) - 1
MAX_WARNINGS = 20
# A child may use this much time for each second of a large file to be read, on top of what its limits say.
BYTES_PER_EXTRA_SECOND = 250_000


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one file may cost and declare; it gets a second more for each 250 KB. `max_frames` counts kept pictures."""

    wall_seconds: float = 900.0
    memory_bytes: int = 3 << 30
    file_bytes: int = 3 << 30
    open_files: int = 64
    max_pixels: int = 8192 * 4352
    max_duration_seconds: float = 24 * 3600.0
    max_streams: int = 128
    max_frames: int = 20_000
    max_frames_per_second: int = 1000

    def for_child(self, size_bytes: int) -> ChildLimits:
        """The limits of the child that reads a file of this size."""
        wall_seconds = self.wall_seconds + size_bytes / BYTES_PER_EXTRA_SECOND
        return ChildLimits(wall_seconds, self.memory_bytes, self.file_bytes, self.open_files)


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One kept picture: upright JPEG with square pixels, and its 64-bit perceptual hash."""

    time_seconds: float
    path: Path
    perceptual_hash: int


@dataclass(frozen=True, slots=True)
class DecodedMedia:
    """What one file holds; `width` and `height` as coded, before pictures are turned upright.

    `audio_path` is 16-bit WAV, 16 kHz, on the clock of the video: two channels where the source has two that differ, else
    one. `audio_language` is what the file says of it, two letters. All files are in the work folder.
    """

    duration_seconds: float
    container: str
    has_video: bool
    has_audio: bool
    title: str
    width: int
    height: int
    audio_path: Path | None
    audio_channels: int
    audio_language: str | None
    frames: tuple[DecodedFrame, ...]
    cut_seconds: tuple[float, ...]
    subtitles: tuple[CaptionTrack, ...]
    chapters: tuple[Chapter, ...]
    warnings: tuple[str, ...]


def is_media(path: Path) -> bool:
    """Whether a regular file starts like a media container; opens nothing else, and what it cannot read is no media."""
    try:
        return looks_like_media(read_head(path))
    except (VideoError, OSError):
        return False


def decode_media(
    path: Path,
    work_dir: Path,
    limits: MediaLimits | None = None,
    *,
    every_frame: bool = False,
    want_pictures: bool = True,
    want_sound: bool = True,
) -> DecodedMedia:
    """Decode the file once into `work_dir`, an empty or new folder; raises VideoError with one clear line.

    `every_frame` looks at all pictures, not at key frames and around likely cuts: many times slower, and cuts are those of
    PySceneDetect. What is not wanted is not decoded; `has_video` and `has_audio` then say whether the file holds it.
    """
    if every_frame and want_pictures and not find_spec("scenedetect"):
        raise VideoError(f"{printable(path.name)}: {NO_DETECTOR}")
    task = {"probe": False, "want_pictures": want_pictures, "want_sound": want_sound}
    program = "ingest.every_frame_track" if every_frame and want_pictures else "ingest.media_child"
    return run_child(path, work_dir, limits or MediaLimits(), task, program)


def probe_media(path: Path, limits: MediaLimits | None = None) -> DecodedMedia:
    """The facts alone (duration, tracks, title, chapters), nothing decoded: no frames, no sound file, no segments."""
    with tempfile.TemporaryDirectory(prefix="playhead-") as work_dir:
        return run_child(path, Path(work_dir), limits or MediaLimits(), {"probe": True})


def check_head(path: Path) -> None:
    """VideoError unless the file starts like media; quick, whatever its size."""
    if not looks_like_media(read_head(path)):
        raise VideoError(f"{printable(path.name)}: is not a media file by its content. Give a video or audio file.")


def run_child(
    path: Path, work_dir: Path, limits: MediaLimits, task: dict[str, bool], program: str = "ingest.media_child"
) -> DecodedMedia:
    """Check the file, let the child read it and check what the child wrote."""
    name = printable(path.name)
    check_head(path)
    work_dir.mkdir(parents=True, exist_ok=True)
    source = path.resolve()
    job = json.dumps({"path": os.fspath(source), **task, **asdict(limits)})
    child_limits = limits.for_child(source.stat().st_size)
    report = run_limited(program, [job], work_dir, child_limits, subject=name, readable=[source])
    for denial in report.missing_denials:
        warn_not_denied(denial)
    try:
        return checked_media(read_facts(work_dir / "media.json"), work_dir, limits, decoder_errors(report.log))
    except (ValueError, TypeError, KeyError, OSError, OverflowError, RecursionError) as error:
        reason = f"its decoder gave nonsense ({short(error)}). The file may be hostile: leave it out."
        raise VideoError(f"{name}: {reason}") from None


@cache
def warn_not_denied(denial: str) -> None:
    """Say once in a process what this machine cannot keep from a decoder."""
    log.warning("this system cannot deny the media decoder: %s", denial)


def read_head(path: Path) -> bytes:
    """The first 1,024 bytes of a regular file; raises VideoError for all else, and never waits on a pipe or device."""
    name = printable(path.name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise VideoError(f"{name}: is not a regular file. Give a video or audio file.")
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            head = file.read(MAGIC_BYTES)
    except FileNotFoundError:
        raise VideoError(f"{name}: there is no such file. Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{name}: cannot be read ({reason}). Check its permissions.") from None
    if not head:
        raise VideoError(f"{name}: is empty (0 bytes). Copy or download it again.")
    return head


def read_facts(path: Path) -> dict[str, Any]:
    """The child's `media.json`, as long as it is a regular file of a sane size that holds one JSON object."""
    if regular_size(path) > MAX_FACTS_BYTES:
        raise ValueError(f"media.json has more than {MAX_FACTS_BYTES >> 20} MB")
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError("media.json holds no object")
    return facts


def checked_media(facts: dict[str, Any], work_dir: Path, limits: MediaLimits, errors: int) -> DecodedMedia:
    """What the child says, as far as types, ranges, counts and files agree; raises ValueError, TypeError or KeyError."""
    duration = number(facts["duration_seconds"], 0.0, limits.max_duration_seconds * (1 + DURATION_TOLERANCE))
    last = duration + TIME_TOLERANCE_SECONDS
    frames = at_most(limits.max_frames, facts["frames"])
    audio = work_dir / "audio.wav"
    warnings = [short(warning) for warning in at_most(MAX_WARNINGS, facts["warnings"])]
    if errors and not any(warning.startswith("damaged") for warning in warnings):
        warnings.append(f"damaged: its decoder reported {errors} errors")
    return DecodedMedia(
        duration_seconds=duration,
        container=short(facts["container"]),
        has_video=facts["has_video"] is True,
        has_audio=facts["has_audio"] is True,
        title=one_line(str(facts["title"]))[:MAX_TITLE_CHARACTERS],
        width=int(number(facts["width"], 0, limits.max_pixels)),
        height=int(number(facts["height"], 0, limits.max_pixels)),
        audio_path=audio if os.path.lexists(audio) and regular_size(audio) > WAV_HEADER_BYTES else None,
        audio_channels=int(number(facts["audio_channels"], 0, MAX_AUDIO_CHANNELS)),
        audio_language=short_language(facts["audio_language"]) if facts["audio_language"] is not None else None,
        frames=tuple(checked_frame(frame, work_dir, last) for frame in frames),
        cut_seconds=tuple(number(cut, 0.0, last) for cut in at_most(MAX_CUTS, facts["cut_seconds"])),
        subtitles=checked_subtitles(at_most(limits.max_streams, facts["subtitles"]), limits),
        chapters=checked_chapters(at_most(MAX_CHAPTERS, facts["chapters"]), last),
        warnings=tuple(warnings),
    )


def checked_frame(row: list[object], work_dir: Path, last: float) -> DecodedFrame:
    """One picture of the list, whose file is a regular one inside the work folder."""
    time, file_name, perceptual_hash = row
    if not (isinstance(file_name, str) and FRAME_NAME.fullmatch(file_name)):
        raise ValueError(f"a frame has the name {file_name!r}")
    if type(perceptual_hash) is not int or not 0 <= perceptual_hash <= MAX_HASH:
        raise ValueError(f"a frame has the hash {perceptual_hash!r}")
    path = work_dir / "frames" / file_name
    if path.parent.is_symlink() or regular_size(path) == 0:
        raise ValueError(f"the frame {file_name} is empty")
    return DecodedFrame(number(time, 0.0, last), path, perceptual_hash)


def checked_subtitles(rows: list[Any], limits: MediaLimits) -> tuple[CaptionTrack, ...]:
    """Tracks of all lines before those of forced lines or comments, and of these the default one first."""
    tracks = []
    for row in sorted(rows, key=lambda row: (row["is_partial"] is True, row["is_default"] is not True)):
        cues = [
            Cue(number(start, 0.0, math.inf), number(end, 0.0, math.inf), str(text)[:MAX_CUE_CHARACTERS])
            for start, end, text in at_most(MAX_CUES, row["cues"])
            if start < limits.max_duration_seconds
        ]
        language = row["language"] if isinstance(row["language"], str) else None
        kind: CaptionKind = "descriptions" if row["kind"] == "descriptions" else "captions"
        track = segments_from_cues(cues, "embedded captions", language, kind)
        tracks.append(replace(track, is_partial=row["is_partial"] is True))
    return tuple(tracks)


def checked_chapters(rows: list[Any], last: float) -> tuple[Chapter, ...]:
    """The chapters that lie inside the video."""
    return tuple(
        Chapter(
            number(start, 0.0, end),
            min(number(end, start, math.inf), last),
            one_line(str(title))[:MAX_TITLE_CHARACTERS],
        )
        for start, end, title in rows
        if start < last
    )


def number(value: Any, least: float, most: float) -> float:
    """A finite number inside its range."""
    if type(value) not in (int, float) or not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{value!r} is no number from {least} to {most}")
    return float(value)


def at_most(count: int, values: object) -> list[Any]:
    """A list that is not longer than it may be."""
    if not isinstance(values, list) or len(values) > count:
        raise ValueError(f"a list of {count} at most was expected")
    return values


def regular_size(path: Path) -> int:
    """The size of a regular file; links and pipes that a hostile child may have left raise ValueError."""
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path.name} is no regular file")
    return state.st_size


def decoder_errors(text: str) -> int:
    """How many complaints the decoders wrote, of those that fit the report: lines that begin with `[h264 @ 0x...]`."""
    return sum(1 for line in text.splitlines() if DECODER_LINE.match(line))
