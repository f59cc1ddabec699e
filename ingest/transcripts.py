"""Chooses among a video's caption tracks and what a recogniser heard: one transcript is searched, the others are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.captions import CaptionTrack, preferred_track
from ingest.schema import Chapter, Description, TranscriptSegment


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The transcript that is searched and cited, its language, and the segments of all others."""

    chosen: tuple[TranscriptSegment, ...]
    language: str | None
    others: tuple[TranscriptSegment, ...]


def choose_transcript(
    tracks: Sequence[CaptionTrack], heard: Sequence[TranscriptSegment], spoken: str | None
) -> Transcripts:
    """Captions in the spoken language first, embedded before sidecar; then other captions, then what was heard.

    Tracks of forced lines alone come last: they leave out most of what is said.
    """
    captions = [track for track in tracks if track.kind == "captions" and track.segments]
    chosen = _preferred(captions, spoken)
    if not chosen or (chosen.is_partial and heard):
        language = heard[0].language if heard else None
        return Transcripts(tuple(heard), language, _all_but(None, captions))
    return Transcripts(chosen.segments, chosen.language, (*_all_but(chosen, captions), *heard))


def chapters_of(tracks: Sequence[CaptionTrack]) -> tuple[Chapter, ...]:
    """The chapters that caption tracks tell, those of one language."""
    return tuple(Chapter(s.start_seconds, s.end_seconds, s.text) for s in _one_of_kind(tracks, "chapters"))


def descriptions_of(tracks: Sequence[CaptionTrack]) -> tuple[Description, ...]:
    """What description tracks tell of the picture, those of one language."""
    told = _one_of_kind(tracks, "descriptions")
    return tuple(Description(s.start_seconds, s.end_seconds, s.text, "description track") for s in told)


def fit_to(
    transcript: Sequence[TranscriptSegment], duration_seconds: float, warnings: list[str]
) -> tuple[TranscriptSegment, ...]:
    """The segments that lie inside the video, the last one shortened to its end; what lies beyond is counted."""
    inside = [segment for segment in transcript if segment.start_seconds < duration_seconds]
    if len(inside) < len(transcript):
        warnings.append(f"{len(transcript) - len(inside)} captions start after the end of the video and were left out")
    return tuple(replace(s, end_seconds=min(s.end_seconds, duration_seconds)) for s in inside)


def _one_of_kind(tracks: Sequence[CaptionTrack], kind: str) -> tuple[TranscriptSegment, ...]:
    found = [track for track in tracks if track.kind == kind and track.segments]
    return preferred_track(found, None).segments if found else ()


def _preferred(captions: Sequence[CaptionTrack], spoken: str | None) -> CaptionTrack | None:
    """A whole track before a partial one, one in the spoken language before others, embedded before sidecar."""
    candidates = [track for track in captions if not track.is_partial] or captions
    candidates = [track for track in candidates if spoken and track.language == spoken] or candidates
    first = [track for track in candidates if track.segments[0].source == candidates[0].segments[0].source]
    return preferred_track(first, spoken) if first else None


def _all_but(chosen: CaptionTrack | None, captions: Sequence[CaptionTrack]) -> tuple[TranscriptSegment, ...]:
    return tuple(segment for track in captions if track is not chosen for segment in track.segments)
