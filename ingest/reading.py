"""Reads what one video says and shows; what was read before, or by a run that was killed, is not read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ingest.captions import CaptionTrack, read_caption_tracks
from ingest.checkpoint import Checkpoint
from ingest.descriptions import DESCRIPTION_WARNING, PictureDescriber, describe_frames
from ingest.media import DecodedMedia, MediaLimits, probe_media
from ingest.schema import Keyframe, Shot, Timeline, TranscriptSegment, Video, VideoError
from ingest.screen_text import ScreenReader, read_frames, screen_text_spans
from ingest.sources import Source
from ingest.speech import Transcriber
from ingest.tags import tag_frames
from ingest.text_embedding import Vectors
from ingest.transcripts import chapters_of, choose_transcript, descriptions_of, fit_to
from ingest.visual_embedding import ImageEmbedder

SPEECH_NOT_READ = "speech was not read: no recogniser can be loaded. See: playhead doctor"
CAPTION_WARNING = "captions: "
REMADE_WARNINGS = (CAPTION_WARNING, DESCRIPTION_WARNING, SPEECH_NOT_READ)
IMAGES_AT_ONCE = 16
MAX_LOST_SECONDS = 10.0

OnStage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Content:
    """What a video says and shows: its timeline, its pictures and their vectors by their time in seconds."""

    timeline: Timeline = field(default_factory=Timeline)
    frames: Mapping[float, Path] = field(default_factory=dict)
    frame_vectors: Mapping[float, Vectors] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of one video and what else its file told."""

    content: Content
    duration_seconds: float
    title: str | None
    language: str | None
    warnings: tuple[str, ...]


class VideoReader:
    """Reads videos with the models of one run; a model that a video does not need is never loaded."""

    def __init__(
        self,
        image_embedder: ImageEmbedder | None,
        load_transcriber: Callable[[], Transcriber | None],
        load_screen_reader: Callable[[], ScreenReader | None],
        limits: MediaLimits,
        *,
        tag_words: Sequence[str] = (),
        describer: PictureDescriber | None = None,
        every_frame: bool = False,
        hear_captioned: bool = False,
    ) -> None:
        """`every_frame` looks for cuts in every frame; `hear_captioned` recognises speech where there are captions too."""
        self._image_embedder = image_embedder
        self._load_transcriber = load_transcriber
        self._load_screen_reader = load_screen_reader
        self._limits = limits
        self._tag_words = tag_words
        self._describer = describer
        self._every_frame = every_frame
        self._hear_captioned = hear_captioned

    @property
    def options(self) -> str:
        """What a reading depends on besides files and models."""
        options = {"every frame": self._every_frame, "speech beside captions": self._hear_captioned}
        return ", ".join(name for name, is_on in options.items() if is_on)

    def can_hear(self) -> bool:
        """Whether a recogniser can be loaded."""
        return self._load_transcriber() is not None

    def probe(self, path: Path) -> None:
        """VideoError for a file that no decoder opens; quick, whatever its size."""
        probe_media(path, self._limits)

    def read(
        self,
        source: Source,
        captions: Sequence[Path],
        known: tuple[Video, Content] | None,
        checkpoint: Checkpoint,
        on_stage: OnStage,
    ) -> Reading:
        """Read a source; of a known video what it shows stays, and only captions and speech are looked at again."""
        warnings: list[str] = []
        sidecars = self._sidecars(captions, warnings, is_all=source.media is None)
        was_heard = _heard_before(known[0], known[1].timeline) if known else None
        media = None
        if source.media:
            on_stage("decode")
            wants_sound = was_heard is None and self._wants_speech(sidecars)
            options = {"want_pictures": not known, "want_sound": wants_sound, "every_frame": self._every_frame}
            media = checkpoint.decode(source.media, self._limits, **options)
        tracks = [*(media.subtitles if media else ()), *sidecars]
        duration = media.duration_seconds if media else _last_second(source, tracks)
        tracks = [_inside(track, duration, warnings) for track in tracks]
        heard = was_heard or ()
        if was_heard is None and media and self._wants_speech(tracks):
            on_stage("speech")
            heard = self._hear(media, checkpoint, warnings)
        spoken = (media.audio_language if media else None) or (heard[0].language if heard else None)
        told = choose_transcript(tracks, heard, spoken)
        seen = self._look(known[1], duration, checkpoint) if known else self._see(media, checkpoint, on_stage)
        timeline = replace(
            seen.timeline,
            transcript=told.chosen,
            other_transcripts=told.others,
            chapters=chapters_of(tracks) or (media.chapters if media else ()),
            descriptions=(
                *descriptions_of(tracks),
                *(d for d in seen.timeline.descriptions if d.source != "description track"),
            ),
        )
        timeline = with_tier(timeline, "speech", self._speech_tier(timeline, is_new=was_heard is None))
        if self._describer:
            on_stage("descriptions")
        content = self._describe(replace(seen, timeline=timeline), duration, checkpoint, warnings)
        kept = [w for w in known[0].warnings if not w.startswith(REMADE_WARNINGS)] if known else []
        return Reading(
            content,
            duration,
            media.title if media else None,
            told.language,
            tuple(dict.fromkeys([*kept, *(media.warnings if media else ()), *warnings])),
        )

    def read_again(
        self,
        video: Video,
        content: Content,
        channels: Collection[str],
        find_media: Callable[[], Path | None],
        checkpoint: Checkpoint,
    ) -> tuple[Content, tuple[str, ...]]:
        """The content with the named channels made by the models of this run, where others or none made them; warnings.

        Speech is heard again from the file, and only where no captions come first; without the file it stays as it is.
        """
        tiers = dict(content.timeline.channels)
        warnings = [w for w in video.warnings if w != SPEECH_NOT_READ]
        transcriber = self._load_transcriber() if "speech" in channels and is_heard(content.timeline) else None
        media = find_media() if transcriber and tiers.get("speech") != transcriber.name else None
        if media:
            decoded = checkpoint.decode(media, self._limits, want_pictures=False)
            timeline = replace(content.timeline, transcript=self._hear(decoded, checkpoint, []))
            tier = self._speech_tier(timeline, is_new=True)
            content = replace(content, timeline=with_tier(timeline, "speech", tier))
        elif SPEECH_NOT_READ in video.warnings:
            warnings.append(SPEECH_NOT_READ)
        reader = self._load_screen_reader() if "screen" in channels else None
        if reader and tiers.get("screen") != reader.name:
            content = self._read_screen(content, video.duration_seconds, reader, checkpoint)
        if {"visual", "description"} & set(channels):
            content = self._look(content, video.duration_seconds, checkpoint)
        if "description" in channels and self._describer:
            warnings = [w for w in warnings if not w.startswith(DESCRIPTION_WARNING)]
            content = self._describe(content, video.duration_seconds, checkpoint, warnings)
        return content, tuple(warnings)

    def _sidecars(self, captions: Sequence[Path], warnings: list[str], *, is_all: bool) -> list[CaptionTrack]:
        """The tracks of caption files; a file that cannot be read is a warning, unless nothing else tells of the video."""
        tracks: list[CaptionTrack] = []
        errors: list[VideoError] = []
        for path in captions:
            try:
                tracks.extend(read_caption_tracks(path, "sidecar captions"))
            except VideoError as error:
                errors.append(error)
        if is_all and not tracks and errors:
            raise errors[0]
        warnings.extend(f"{CAPTION_WARNING}{error}" for error in errors)
        return tracks

    def _wants_speech(self, tracks: Sequence[CaptionTrack]) -> bool:
        """Whether speech is to be recognised beside these tracks."""
        whole = any(track.kind == "captions" and track.segments and not track.is_partial for track in tracks)
        return self._hear_captioned or not whole

    def _hear(self, media: DecodedMedia, checkpoint: Checkpoint, warnings: list[str]) -> tuple[TranscriptSegment, ...]:
        """What the recogniser hears, going on where an earlier run was stopped."""
        if not media.audio_path:
            return ()
        transcriber = self._load_transcriber()
        if transcriber is None:
            warnings.append(SPEECH_NOT_READ)
            return ()
        # A file's English tag is often a default that nobody set: the recogniser listens for itself.
        language = media.audio_language if media.audio_language != "en" else None
        log = checkpoint.log("speech", f"{transcriber.name} {language}")
        heard = [TranscriptSegment(**segment) for block in log.done for segment in block["segments"]]
        start = log.done[-1]["end_seconds"] if log.done else 0.0
        for block in transcriber.transcribe(media.audio_path, language, start):
            log.add(asdict(block))
            heard.extend(block.segments)
        lost = sum(block["not_understood_seconds"] for block in log.done)
        if lost > MAX_LOST_SECONDS:
            warnings.append(f"speech: {lost:.0f} s of it were not understood: another language, or noise")
        return fit_to(heard, media.duration_seconds, warnings)

    def _speech_tier(self, timeline: Timeline, *, is_new: bool) -> str | None:
        """Who wrote the transcript: where captions came from, or the name of the recogniser."""
        if not timeline.transcript or not is_heard(timeline):
            return timeline.transcript[0].source if timeline.transcript else None
        transcriber = self._load_transcriber() if is_new else None
        return transcriber.name if transcriber else dict(timeline.channels).get("speech", "speech recogniser")

    def _see(self, media: DecodedMedia | None, checkpoint: Checkpoint, on_stage: OnStage) -> Content:
        """What a newly decoded file shows."""
        if not media or not media.has_video:
            return Content()
        frames = {frame.time_seconds: frame.path for frame in sorted(media.frames, key=lambda f: f.time_seconds)}
        keyframes = tuple(Keyframe(frame.time_seconds, frame.perceptual_hash) for frame in media.frames)
        cuts = sorted({cut for cut in media.cut_seconds if 0.0 < cut < media.duration_seconds})
        edges = [0.0, *cuts, media.duration_seconds]
        shots = tuple(Shot(start, end) for start, end in zip(edges, edges[1:], strict=False))
        content = Content(
            Timeline(shots=shots, keyframes=tuple(sorted(keyframes, key=lambda k: k.time_seconds))), frames
        )
        reader = self._load_screen_reader() if frames else None
        if reader:
            on_stage("screen text")
            content = self._read_screen(content, media.duration_seconds, reader, checkpoint)
        on_stage("pictures")
        return self._look(content, media.duration_seconds, checkpoint)

    def _read_screen(
        self, content: Content, duration_seconds: float, reader: ScreenReader, checkpoint: Checkpoint
    ) -> Content:
        log = checkpoint.log("screen", reader.name)
        known = {seconds: [(text, confidence) for text, confidence in lines] for seconds, lines in log.done}
        read = []
        for seconds, lines in read_frames(reader, sorted(content.frames.items()), known):
            if seconds not in known:
                log.add([seconds, lines])
            read.append((seconds, lines))
        spans = tuple(screen_text_spans(read, duration_seconds))
        timeline = replace(content.timeline, screen_text=spans)
        return replace(content, timeline=with_tier(timeline, "screen", reader.name if spans else None))

    def _look(self, content: Content, duration_seconds: float, checkpoint: Checkpoint) -> Content:
        """Embed the pictures that have no vector yet, and tag them."""
        if not self._image_embedder or not set(content.frames) - set(content.frame_vectors):
            return content
        log = checkpoint.log("pictures", f"{self._image_embedder.name} {self._image_embedder.revision}")
        vectors = {seconds: np.array(vector, dtype=np.float32) for seconds, vector in log.done} | dict(
            content.frame_vectors
        )
        missing = [seconds for seconds in content.frames if seconds not in vectors]
        for first in range(0, len(missing), IMAGES_AT_ONCE):
            batch = missing[first : first + IMAGES_AT_ONCE]
            for seconds, vector in zip(
                batch, self._image_embedder.embed_images([content.frames[s] for s in batch]), strict=True
            ):
                vectors[seconds] = vector
                log.add([seconds, vector.tolist()])
        times = sorted(content.frames)
        tags = tag_frames(
            self._image_embedder, np.array([vectors[s] for s in times]), times, duration_seconds, self._tag_words
        )
        others = [d for d in content.timeline.descriptions if d.source != "tags"]
        timeline = replace(content.timeline, descriptions=(*others, *tags))
        timeline = with_tier(timeline, "visual", self._image_embedder.name)
        return replace(content, timeline=timeline, frame_vectors=vectors)

    def _describe(
        self, content: Content, duration_seconds: float, checkpoint: Checkpoint, warnings: list[str]
    ) -> Content:
        """Add what a vision model says of the pictures, and name who made the description channel."""
        timeline = content.timeline
        descriptions = timeline.descriptions
        tiers = dict(timeline.channels).get("description", "").split(", ")
        by_model = next((tier for tier in tiers if tier not in ("", "tags", "description track")), "vision model")
        if self._describer and content.frames:
            before = [d for d in descriptions if d.source == "vision model" and by_model == self._describer.name]
            log = checkpoint.log("descriptions", self._describer.name)
            described, warning = describe_frames(
                self._describer, content.frames, timeline.transcript, duration_seconds, log, before
            )
            warnings.extend([warning] if warning else [])
            if described:  # else a model that cannot be reached would wipe out what another one made
                by_model = self._describer.name
                descriptions = (*(d for d in descriptions if d.source != "vision model"), *described)
        tier = ", ".join(dict.fromkeys(by_model if d.source == "vision model" else d.source for d in descriptions))
        return replace(content, timeline=with_tier(replace(timeline, descriptions=descriptions), "description", tier))


def with_tier(timeline: Timeline, channel: str, tier: str | None) -> Timeline:
    """The timeline with the name of what made a channel; None where the channel holds nothing."""
    tiers = {**dict(timeline.channels), channel: tier}
    return replace(timeline, channels=tuple((name, made) for name, made in tiers.items() if made))


def is_heard(timeline: Timeline) -> bool:
    """Whether the transcript is what a recogniser heard, or nothing, rather than captions."""
    return not timeline.transcript or timeline.transcript[0].source == "speech recogniser"


def _heard_before(video: Video, timeline: Timeline) -> tuple[TranscriptSegment, ...] | None:
    """What a recogniser heard in a known video; None where none listened."""
    segments = (*timeline.transcript, *timeline.other_transcripts)
    heard = tuple(segment for segment in segments if segment.source == "speech recogniser")
    listened = heard or (not segments and SPEECH_NOT_READ not in video.warnings)
    return heard if listened else None


def _inside(track: CaptionTrack, duration_seconds: float, warnings: list[str]) -> CaptionTrack:
    """The track without what lies beyond the end of the video; what is wrong with it goes to the warnings."""
    found = list(track.warnings)
    segments = fit_to(track.segments, duration_seconds, found)
    warnings.extend(f"{CAPTION_WARNING}{warning}" for warning in found)
    return replace(track, segments=segments)


def _last_second(source: Source, tracks: Sequence[CaptionTrack]) -> float:
    """How long a video without media lasts: what its manifest says, or longer where its captions go on."""
    ends = [segment.end_seconds for track in tracks for segment in track.segments]
    return max([source.duration_seconds or 0.0, *ends])
