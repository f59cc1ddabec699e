"""Caption files and embedded tracks, of any format and as damaged as they come, into transcript segments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.caption_formats import WrittenTrack, written_tracks
from ingest.caption_names import CAPTION_SUFFIXES, CaptionKind, caption_name, find_sidecars, language_of_name
from ingest.cues import Cue, Word, clean_cue_text, shown_with_speaker, timed_words
from ingest.language import detect_language, short_language
from ingest.plain_text import one_line, printable
from ingest.schema import TranscriptSegment, TranscriptSource, VideoError
from ingest.text_decoding import MAX_CAPTION_BYTES, read_text

__all__ = [
    "CAPTION_SUFFIXES",
    "MAX_CAPTION_BYTES",
    "MAX_CAPTION_SECONDS",
    "CaptionKind",
    "CaptionTrack",
    "Cue",
    "clean_cue_text",
    "detect_language",
    "find_sidecars",
    "language_of_name",
    "one_line",
    "preferred_track",
    "printable",
    "read_caption_tracks",
    "read_captions",
    "segments_from_cues",
    "short_language",
]

MAX_CAPTION_SECONDS = 48 * 3600.0  # later cues are typing errors, and would stretch the video with empty moments
MAX_UNSPLIT_SECONDS = 12.0  # a longer cue is cut between words where it times them; moments cut the others evenly
PIECE_SECONDS = 10.0  # leaves room for a word that goes on
MAX_ROLLING_LINES = 4  # roll-up captions show four rows at most (CEA-608)
ROLLING_GAP_SECONDS = 1.0
ROLLING_SHARE = 0.25  # of neighbours; YouTube's automatic captions reach 0.5, 70 files made by people 0.0


@dataclass(frozen=True, slots=True)
class CaptionTrack:
    """What one language of a caption file or one embedded track says, and what was left out.

    Segments are in order of time. Those of a chapters track are titles, those of a descriptions track tell the picture.
    A partial track has only the lines that a viewer of the dubbed film needs.
    """

    segments: tuple[TranscriptSegment, ...]
    language: str | None
    warnings: tuple[str, ...] = ()
    kind: CaptionKind = "captions"
    is_partial: bool = False


def read_caption_tracks(path: Path, source: TranscriptSource) -> tuple[CaptionTrack, ...]:
    """The tracks of one file, one for each language; raises VideoError if it is unreadable, binary or without a cue."""
    text, notes = read_text(path)
    written = written_tracks(text, path)
    tracks = [_named(track, path, source, is_alone=len(written) == 1) for track in written]
    found = tuple(replace(track, warnings=(*notes, *track.warnings)) for track in tracks if track.segments)
    if not found:
        counted = "; ".join(warning for track in tracks for warning in track.warnings)
        fact = f"holds no caption that can be shown{f' ({counted})' if counted else ''}"
        raise VideoError(f"{printable(path)} {fact}. Give captions with times.")
    return found


def read_captions(path: Path, source: TranscriptSource) -> CaptionTrack:
    """The track of one file, or the preferred one of several languages; raises VideoError as read_caption_tracks."""
    return preferred_track(read_caption_tracks(path, source), None)


def preferred_track(tracks: Sequence[CaptionTrack], spoken: str | None) -> CaptionTrack:
    """The best of one track or more; `spoken` is the two-letter code of what is spoken, where that is known.

    Captions come before chapters and descriptions, whole tracks before partial ones, the spoken language before English,
    which the default text model reads, and that before others; then what people wrote before what a recogniser did,
    which gives confidences. Among equals the first is taken: put the default track first.
    """

    def rank(track: CaptionTrack) -> tuple[bool, ...]:
        is_spoken = spoken is not None and track.language == spoken
        is_recognised = any(segment.confidence is not None for segment in track.segments)
        return track.kind != "captions", track.is_partial, not is_spoken, track.language != "en", is_recognised

    return min(tracks, key=rank)


def segments_from_cues(
    cues: Iterable[Cue],
    source: TranscriptSource,
    language: str | None = None,
    kind: CaptionKind = "captions",
    stated_language: str | None = None,
) -> CaptionTrack:
    """Cleaned, sorted segments without repeats.

    `language` is any tag (eng, pt-BR) that is to be believed. Without one the text tells it, and where that is too short
    or too mixed `stated_language`: what a file says of itself is often copied from another one.
    """
    every = list(cues)
    timed = [cue for cue in every if _is_possible(cue)]
    seen = dict.fromkeys(_seen(cue) for cue in timed)
    shown = sorted((cue for cue in seen if cue.lines), key=lambda cue: (cue.start_seconds, cue.end_seconds))
    if kind == "captions":
        shown = [piece for cue in _without_rolling(shown) for piece in _split_at_words(cue)]
    found = short_language(language) or detect_language(" ".join(" ".join(cue.lines) for cue in shown))
    found = found or short_language(stated_language)
    segments = dict.fromkeys(
        TranscriptSegment(
            cue.start_seconds, cue.end_seconds, " ".join(cue.lines), source, found, cue.confidence, cue.speaker
        )
        for cue in shown
    )
    in_order = tuple(sorted(segments, key=lambda segment: (segment.start_seconds, segment.end_seconds)))
    dropped = len(every) - len(timed)
    warnings = (f"captions left out for impossible times: {dropped}",) if dropped else ()
    return CaptionTrack(in_order, found, warnings, kind)


def _named(written: WrittenTrack, path: Path, source: TranscriptSource, is_alone: bool) -> CaptionTrack:
    """The track of a file, by what its name and then the file itself say of it."""
    name = caption_name(path)
    language = name.language if is_alone else None
    kind = written.kind if name.kind == "captions" else name.kind
    track = segments_from_cues(written.cues, source, language, kind, written.language)
    return replace(track, is_partial=name.is_partial)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A cue as a viewer reads it."""

    start_seconds: float
    end_seconds: float
    lines: tuple[str, ...]
    speaker: str | None = None
    confidence: float | None = None
    words: tuple[Word, ...] = ()


def _is_possible(cue: Cue) -> bool:
    return 0.0 <= cue.end_seconds <= MAX_CAPTION_SECONDS and cue.start_seconds <= cue.end_seconds


def _seen(cue: Cue) -> _Shown:
    lines, speaker = shown_with_speaker(cue)
    is_long = cue.end_seconds - cue.start_seconds > MAX_UNSPLIT_SECONDS
    words = timed_words(cue) if is_long else ()
    return _Shown(max(cue.start_seconds, 0.0), cue.end_seconds, lines, speaker, cue.confidence, words)


def _split_at_words(cue: _Shown) -> Iterator[_Shown]:
    """A long cue in pieces of even length, cut between words; whole where its words have no times or are not its text."""
    if clean_cue_text("".join(word.text for word in cue.words)) != " ".join(cue.lines):
        yield cue
        return
    seconds = cue.end_seconds - cue.start_seconds
    piece_seconds = seconds / math.ceil(seconds / PIECE_SECONDS)
    for _, group in itertools.groupby(
        cue.words, lambda word: (word.start_seconds - cue.start_seconds) // piece_seconds
    ):
        words = list(group)
        text = clean_cue_text("".join(word.text for word in words))
        if text:
            start, end = words[0].start_seconds, words[-1].end_seconds
            yield replace(cue, start_seconds=start, end_seconds=end, lines=(text,), words=())


def _without_rolling(shown: Sequence[_Shown]) -> list[_Shown]:
    """Each line once: in rolling captions a cue repeats the last lines of the one before, and adds one."""
    repeats = [0, *(_repeated_lines(before, after) for before, after in itertools.pairwise(shown))]
    growing = sum(0 < repeat < len(cue.lines) for repeat, cue in zip(repeats, shown, strict=False))
    if not growing or growing < ROLLING_SHARE * (len(shown) - 1):
        return list(shown)
    rolled = zip(repeats, shown, strict=True)
    return [replace(cue, lines=cue.lines[repeat:]) for repeat, cue in rolled if cue.lines[repeat:]]


def _repeated_lines(before: _Shown, after: _Shown) -> int:
    """How many of the first lines of a cue are the last lines of the cue just before it."""
    if after.start_seconds - before.end_seconds > ROLLING_GAP_SECONDS:
        return 0
    most = min(len(before.lines), len(after.lines), MAX_ROLLING_LINES)
    return next((count for count in range(most, 0, -1) if before.lines[-count:] == after.lines[:count]), 0)
