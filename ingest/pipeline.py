"""The path of one video: identify, decode, captions or speech, screen text, moments, vectors, publish."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ingest.captions import CaptionTrack, find_sidecars, read_captions
from ingest.catalog import Catalog
from ingest.index import VideoIndex
from ingest.library import LibraryFolder, frame_name
from ingest.media import DecodedMedia, MediaLimits, check_head, decode_media
from ingest.points import make_points
from ingest.schema import Keyframe, PlayheadError, ScreenText, Shot, Timeline, TranscriptSegment, Video, VideoError
from ingest.screen_text import ScreenReader, screen_text_spans
from ingest.sources import Source, printable, readable_stem
from ingest.speech import Transcriber
from ingest.text_embedding import TextEmbedder, file_sha256, is_known_language
from ingest.visual_embedding import ImageEmbedder

VIDEO_ID_LENGTH = 24
UNDESCRIBED = "/no manifest"
SPEECH_NOT_READ = "speech was not read: no recogniser can be loaded. See: playhead doctor"

log = logging.getLogger(__name__)

OnStage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """How one source ended."""

    path: str
    title: str
    status: Literal["indexed", "unchanged", "updated", "failed"]
    video_id: str | None = None
    moments: int = 0
    keyframes: int = 0
    duration_seconds: float = 0.0
    channels: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str | None = None


class Ingester:
    """Reads sources into one tenant of one library. Models that a video does not need are never loaded."""

    def __init__(
        self,
        tenant: str,
        folder: LibraryFolder,
        catalog: Catalog,
        index: VideoIndex,
        embedder: TextEmbedder | None,
        image_embedder: ImageEmbedder | None,
        load_transcriber: Callable[[], Transcriber | None],
        load_screen_reader: Callable[[], ScreenReader | None],
        limits: MediaLimits,
    ) -> None:
        self._tenant = tenant
        self._folder = folder
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._image_embedder = image_embedder
        self._load_transcriber = load_transcriber
        self._load_screen_reader = load_screen_reader
        self._limits = limits

    def ingest(self, source: Source, on_stage: OnStage = lambda stage: None) -> IngestResult:
        """Bring one source into the library; a bad one is a result with status "failed", never an exception."""
        path = printable(source.path)
        try:
            return self._ingest(source, on_stage)
        except (PlayheadError, OSError) as error:
            return IngestResult(path, source.title or path, "failed", error=" ".join(str(error).split()))
        except Exception as error:  # one bad input, or one library's fault with it, must not end the others
            log.debug("%s failed", path, exc_info=True)
            fact = " ".join(f"{type(error).__name__}: {error}".split())
            return IngestResult(path, source.title or path, "failed", error=f"{path} cannot be read ({fact}).")

    def _ingest(self, source: Source, on_stage: OnStage) -> IngestResult:
        on_stage("identify")
        path = _storable_path(source.path)
        video_id = self._identify(source)
        known = self._catalog.get(self._tenant, video_id)
        there = [known_path for known_path in known.paths if os.path.exists(known_path)] if known else []
        paths = tuple(dict.fromkeys([*there, path]))
        captions = _all_captions(source, paths)
        described = _is_described(source) or not known or known.fingerprint.endswith(UNDESCRIBED)
        if known and not described:
            source = _as_described(source, known)
        fingerprint = _fingerprint(source, captions)
        if known and not described and not captions:
            fingerprint = known.fingerprint  # the captions that a manifest named are not at hand, and not gone
        if known and known.fingerprint == fingerprint and not self._misses_something(known):
            replaced = self._retire_previous(source, path, video_id)
            self._catalog.put_paths(self._tenant, video_id, paths)
            return self._result(known, path, "updated" if replaced else "unchanged")
        with self._folder.work_folder() as work:
            media = None
            if source.media:
                on_stage("decode")
                media = decode_media(source.media, work, self._limits)
            video, timeline = self._read(source, video_id, paths, fingerprint, captions, media, on_stage)
            on_stage("embed")
            try:
                self._keep_frames(video, media)
                points = make_points(video, timeline, self._folder, self._embedder, self._image_embedder)
                on_stage("publish")
                self._index.replace(self._tenant, video_id, points)
            except BaseException:
                if not known:  # else no purge would ever find the pictures
                    self._folder.remove_frames(self._tenant, video_id)
                raise
        replaced = self._retire_previous(source, path, video_id)
        self._catalog.put(video, timeline)
        return self._result(video, path, "updated" if known or replaced else "indexed")

    def _identify(self, source: Source) -> str:
        """The id from the media's bytes; without media from tenant and url, or from the caption bytes."""
        if source.media:
            check_head(source.media)
            return file_sha256(source.media)[:VIDEO_ID_LENGTH]
        content = source.url or "".join(file_sha256(path) for path in source.captions)
        return hashlib.sha256(f"{self._tenant}\n{content}".encode()).hexdigest()[:VIDEO_ID_LENGTH]

    def _read(
        self,
        source: Source,
        video_id: str,
        paths: tuple[str, ...],
        fingerprint: str,
        captions: Sequence[Path],
        media: DecodedMedia | None,
        on_stage: OnStage,
    ) -> tuple[Video, Timeline]:
        """What a source says and shows."""
        warnings = list(media.warnings) if media else []
        transcript, language = self._transcript(captions, media, warnings, on_stage)
        duration = media.duration_seconds if media else source.duration_seconds or 0.0
        if not media:
            duration = max([duration, *(segment.end_seconds for segment in transcript)])
        frames = sorted(media.frames, key=lambda frame: frame.time_seconds) if media else []
        if language and self._embedder and not is_known_language(self._embedder.name, language):
            warnings.append(
                f"language {language} is not known to {self._embedder.name}: search by meaning will be poor. Set "
                "PLAYHEAD_TEXT_MODEL to a multilingual model and run: playhead reindex"
            )
        on_stage("screen text")
        screen_text, screen_tier = self._screen_text(media)
        timeline = Timeline(
            transcript=tuple(transcript),
            screen_text=tuple(screen_text),
            shots=_shots(media, duration),
            keyframes=tuple(Keyframe(frame.time_seconds, frame.perceptual_hash) for frame in frames),
            channels=self._channels(transcript, screen_tier if screen_text else None, media),
        )
        title = source.title or (media.title if media else None) or readable_stem(Path(paths[0]))
        video = Video(
            tenant=self._tenant,
            video_id=video_id,
            title=title,
            duration_seconds=duration,
            fingerprint=fingerprint,
            paths=paths,
            url=source.url,
            language=language,
            tags=source.tags,
            published_at=source.published_at,
            warnings=tuple(warnings),
        )
        return video, timeline

    def _transcript(
        self, captions: Sequence[Path], media: DecodedMedia | None, warnings: list[str], on_stage: OnStage
    ) -> tuple[Sequence[TranscriptSegment], str | None]:
        """Captions first: an embedded track, then a sidecar, then the recogniser; with their language."""
        embedded = [track for track in (media.subtitles if media else ()) if track.segments]
        for tracks in (embedded, self._sidecars(captions, media, warnings) if not embedded else []):
            if tracks:
                track = _preferred(tracks)
                warnings.extend(track.warnings)
                inside = fit_to(track.segments, media.duration_seconds, warnings) if media else track.segments
                if inside:
                    return inside, track.language
        if not media or not media.audio_path:
            return (), None
        on_stage("speech")
        transcriber = self._load_transcriber()
        if transcriber is None:
            warnings.append(SPEECH_NOT_READ)
            return (), None
        segments = fit_to(transcriber.transcribe(media.audio_path, None), media.duration_seconds, warnings)
        return segments, segments[0].language if segments else None

    def _sidecars(
        self, captions: Sequence[Path], media: DecodedMedia | None, warnings: list[str]
    ) -> list[CaptionTrack]:
        tracks = []
        for path in captions:
            try:
                tracks.append(read_captions(path, "sidecar captions"))
            except VideoError as error:
                if not media:
                    raise
                warnings.append(str(error))
        return tracks

    def _screen_text(self, media: DecodedMedia | None) -> tuple[list[ScreenText], str]:
        reader = self._load_screen_reader() if media and media.frames else None
        if not media or not reader:
            return [], "off"
        frames = [(frame.time_seconds, reader.read(frame.path)) for frame in media.frames]
        return screen_text_spans(frames, media.duration_seconds), reader.name

    def _channels(
        self, transcript: Sequence[TranscriptSegment], screen_tier: str | None, media: DecodedMedia | None
    ) -> tuple[tuple[str, str], ...]:
        """For each channel that holds something, the tier that made it."""
        channels = {}
        if transcript:
            source = transcript[0].source
            transcriber = self._load_transcriber() if source == "speech recogniser" else None
            channels["speech"] = transcriber.name if transcriber else source
        if screen_tier:
            channels["screen"] = screen_tier
        if media and media.frames and self._image_embedder:
            channels["visual"] = self._image_embedder.name
        return tuple(channels.items())

    def _keep_frames(self, video: Video, media: DecodedMedia | None) -> None:
        """Move the decoded keyframes to their place, all or none."""
        if not media:
            return
        frames = media.frames[0].path.parent if media.frames else None
        target = self._folder.frames_folder(video.tenant, video.video_id)
        self._folder.remove_frames(video.tenant, video.video_id)
        if frames:
            for frame in media.frames:
                frame.path.rename(frames / frame_name(frame.time_seconds))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(frames, target)

    def _retire_previous(self, source: Source, path: str, video_id: str) -> bool:
        """Drop the videos that these files were before: other content at this path, or captions that now have media.

        A video that still lies elsewhere only loses the path. Captions that a manifest gave an address are their own video.
        """
        if not source.media and source.url:
            return False
        taken = {path, *(os.path.abspath(caption) for caption in source.captions)}
        previous = [
            video
            for video in self._catalog.at_paths(self._tenant, taken)
            if video.video_id != video_id and not (video.url and path not in video.paths)
        ]
        for video in previous:
            elsewhere = [other for other in video.paths if other not in taken and os.path.exists(other)]
            if elsewhere:
                self._catalog.put_paths(self._tenant, video.video_id, elsewhere)
            else:
                remove_video(video, self._index, self._catalog, self._folder)
        return bool(previous)

    def _misses_something(self, known: Video) -> bool:
        """Whether the index lost a known video, or a recogniser has come since it was read without one."""
        if not self._index.count(self._tenant, known.video_id):
            return True
        return SPEECH_NOT_READ in known.warnings and self._load_transcriber() is not None

    def _result(self, video: Video, path: str, status: Literal["indexed", "unchanged", "updated"]) -> IngestResult:
        timeline = self._catalog.timeline(self._tenant, video.video_id)
        return IngestResult(
            path=path,
            title=video.title,
            status=status,
            video_id=video.video_id,
            moments=self._index.count(self._tenant, video.video_id),
            keyframes=len(timeline.keyframes),
            duration_seconds=video.duration_seconds,
            channels=dict(timeline.channels),
            warnings=video.warnings,
        )


def remove_video(video: Video, index: VideoIndex, catalog: Catalog, folder: LibraryFolder) -> int:
    """Remove a video from every store; returns the number of moments removed."""
    removed = index.delete(video.tenant, video.video_id)
    catalog.delete(video.tenant, video.video_id)
    folder.remove_frames(video.tenant, video.video_id)
    return removed


def fit_to(
    transcript: Sequence[TranscriptSegment], duration_seconds: float, warnings: list[str]
) -> tuple[TranscriptSegment, ...]:
    """The segments that lie inside the video, the last one shortened to its end; what lies beyond is counted."""
    inside = [segment for segment in transcript if segment.start_seconds < duration_seconds]
    if len(inside) < len(transcript):
        warnings.append(f"{len(transcript) - len(inside)} captions start after the end of the video and were left out")
    return tuple(replace(s, end_seconds=min(s.end_seconds, duration_seconds)) for s in inside)


def _preferred(tracks: Sequence[CaptionTrack]) -> CaptionTrack:
    """The first English track, since the default text model reads English, else the first."""
    return next((track for track in tracks if track.language == "en"), tracks[0])


def _all_captions(source: Source, paths: Sequence[str]) -> tuple[Path, ...]:
    """The source's caption files and those beside every other copy of the video, so that its name does not matter."""
    others = [Path(path) for path in paths if source.media and os.path.isfile(path)]
    return tuple(dict.fromkeys([*source.captions, *(found for path in others for found in find_sidecars(path))]))


def _is_described(source: Source) -> bool:
    """Whether a manifest says something about the video."""
    return bool(source.title or source.url or source.tags or source.published_at or source.duration_seconds)


def _as_described(source: Source, known: Video) -> Source:
    """The source with what a manifest once said of the video."""
    return replace(
        source, title=known.title, url=known.url, tags=known.tags, published_at=known.published_at,
        duration_seconds=None if source.media else known.duration_seconds,
    )  # fmt: skip


def _fingerprint(source: Source, captions: Sequence[Path]) -> str:
    """What a video is built from besides its media: a digest of its captions and one of what a manifest says of it."""
    heard = hashlib.sha256("".join(sorted({file_sha256(path) for path in captions})).encode()).hexdigest()
    if not _is_described(source):
        return heard + UNDESCRIBED
    said = [source.title, source.url, source.tags, source.published_at]
    return f"{heard}/{hashlib.sha256(json.dumps(said).encode()).hexdigest()}"


def _shots(media: DecodedMedia | None, duration_seconds: float) -> tuple[Shot, ...]:
    if not media or not media.has_video:
        return ()
    cuts = sorted({cut for cut in media.cut_seconds if 0.0 < cut < duration_seconds})
    edges = [0.0, *cuts, duration_seconds]
    return tuple(Shot(start, end) for start, end in zip(edges, edges[1:], strict=False))


def _storable_path(path: Path) -> str:
    """The absolute path as the catalog stores it."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VideoError(f"{printable(path)}: the file name is not valid UTF-8. Rename the file.") from error
    return absolute
