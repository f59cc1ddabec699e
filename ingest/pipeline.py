"""The path of one video: identify, read, embed, publish; what is known and unchanged is not done again."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ingest.catalog import Catalog
from ingest.checkpoint import Checkpoint
from ingest.duplicates import duration_range, shows_the_same
from ingest.fingerprint import UNDESCRIBED, Fingerprint, all_captions, as_described, fingerprint_of, is_described
from ingest.index import Point, VideoIndex
from ingest.library import LibraryFolder, frame_name
from ingest.media import check_head, is_media
from ingest.points import StoredVectors, make_points, stored_vectors
from ingest.reading import SPEECH_NOT_READ, Content, OnStage, VideoReader, is_heard
from ingest.schema import Job, PlayheadError, Timeline, Video, VideoError
from ingest.sources import Source, printable, readable_stem
from ingest.text_embedding import TextEmbedder, file_sha256, is_known_language

VIDEO_ID_LENGTH = 24
PROBED_FIRST_BYTES = 4 << 30  # hashing takes a second for each 500 MB, too long for what turns out to be no video
LANGUAGE_WARNING = "language "

log = logging.getLogger(__name__)


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
    duplicate_of: str | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None


class StageClock:
    """Passes the stages of a reading on, and counts the seconds of each."""

    def __init__(self, on_stage: OnStage) -> None:
        self._on_stage = on_stage
        self._begun: list[tuple[str, float]] = []

    def __call__(self, stage: str) -> None:
        self._begun.append((stage, time.monotonic()))
        self._on_stage(stage)

    def seconds(self) -> dict[str, float]:
        """The stages begun so far, in order; the last one ends now."""
        ends = [*(begun for _, begun in self._begun[1:]), time.monotonic()]
        return {stage: round(end - begun, 3) for (stage, begun), end in zip(self._begun, ends, strict=True)}


class Ingester:
    """Brings sources into one tenant of one library."""

    def __init__(
        self,
        tenant: str,
        folder: LibraryFolder,
        catalog: Catalog,
        index: VideoIndex,
        embedder: TextEmbedder | None,
        reader: VideoReader,
    ) -> None:
        self._tenant = tenant
        self._folder = folder
        self._catalog = catalog
        self._index = index
        self._embedder = embedder
        self._reader = reader

    def ingest(self, source: Source, on_stage: OnStage = lambda stage: None) -> IngestResult:
        """Bring one source into the library; a bad one is a result with status "failed", never an exception."""
        path = printable(source.path)
        clock = StageClock(on_stage)
        try:
            return replace(self._ingest(source, clock), stage_seconds=clock.seconds())
        except (PlayheadError, OSError) as error:
            return IngestResult(path, source.title or path, "failed", error=_one_line(error))
        except Exception as error:  # one bad input, or one library's fault with it, must not end the others
            log.debug("%s failed", path, exc_info=True)
            fact = f"{path} cannot be read ({_one_line(error, with_type=True)})."
            return IngestResult(path, source.title or path, "failed", error=fact)

    def _ingest(self, source: Source, on_stage: OnStage) -> IngestResult:
        on_stage("identify")
        plan, known = self._plan(source)
        path = _storable_path(source.path)
        if known and known.fingerprint == str(plan.made_from) and not self._misses_something(known):
            replaced = self._retire_previous(plan.source, path, plan.video_id)
            self._catalog.put_paths(self._tenant, plan.video_id, plan.paths)
            return self._result(known, path, "updated" if replaced else "unchanged")
        job = Job(path, plan.video_id, time.time())
        checkpoint = Checkpoint(self._folder.work_folder(self._tenant, plan.video_id))
        self._catalog.put_job(self._tenant, job)
        try:
            video = self._bring_in(plan, known, checkpoint, on_stage)
        except Exception as error:
            if not known:  # else no purge would ever find the pictures
                self._folder.remove_frames(self._tenant, plan.video_id)
            if isinstance(error, VideoError):  # going on would not help
                checkpoint.remove()
            self._catalog.put_job(self._tenant, replace(job, reason=_one_line(error)))
            raise
        replaced = self._retire_previous(plan.source, path, plan.video_id)
        checkpoint.remove()
        return self._result(video, path, "updated" if known or replaced else "indexed")

    def _plan(self, source: Source) -> tuple[_Plan, Video | None]:
        """What a source is made of, and the video that it already is in the library."""
        path, state = _storable_path(source.path), _file_state(source.path)
        video_id = self._identify(source)
        known = self._catalog.get(self._tenant, video_id)
        there = [known_path for known_path in known.paths if os.path.exists(known_path)] if known else []
        paths = tuple(dict.fromkeys([*there, path]))
        captions = all_captions(source, paths)
        made_from = fingerprint_of(source, captions, self._reader.options)
        was_made_from = Fingerprint.read(known.fingerprint) if known else None
        if known and was_made_from and was_made_from.manifest != UNDESCRIBED and not is_described(source):
            source = as_described(source, known)
            made_from = replace(made_from, manifest=was_made_from.manifest)
            if not captions:  # those that the manifest named are not at hand, and not gone
                made_from = replace(made_from, captions=was_made_from.captions)
        return _Plan(source, video_id, paths, captions, made_from, state), known

    def reindex(self, video: Video, channels: Collection[str], stored: StoredVectors) -> None:
        """Make the named channels of a known video again with the models of this run, and publish it.

        `stored` are the vectors that today's models would make again just so.
        """
        checkpoint = Checkpoint(self._folder.work_folder(video.tenant, video.video_id))
        content, warnings = self._reader.read_again(
            video, self._known_content(video, stored), channels, lambda: self._media_of(video), checkpoint
        )
        transcript = content.timeline.transcript
        language = transcript[0].language if transcript and is_heard(content.timeline) else video.language
        video = replace(video, language=language, warnings=self._with_language_warning(language, warnings))
        self._index.replace(video.tenant, video.video_id, self._points(video, content, stored, checkpoint))
        self._catalog.put(video, content.timeline)
        checkpoint.remove()

    def _media_of(self, video: Video) -> Path | None:
        """A file that still holds this video."""
        files = (Path(path) for path in video.paths)
        return next((path for path in files if is_media(path) and _id_of_bytes(path) == video.video_id), None)

    def _bring_in(self, plan: _Plan, known: Video | None, checkpoint: Checkpoint, on_stage: OnStage) -> Video:
        """Read a new or changed video and publish it."""
        stored = self._stored(known)
        content = self._kept_content(known, plan.made_from, stored)
        before = (known, content) if known and content else None
        reading = self._reader.read(plan.source, plan.captions, before, checkpoint, on_stage)
        if _file_state(plan.source.path) != plan.state:
            name = printable(plan.source.path)
            raise VideoError(f"{name}: changed while it was read. Ingest it again once it is whole.")
        video = Video(
            tenant=self._tenant,
            video_id=plan.video_id,
            title=plan.source.title or reading.title or readable_stem(Path(plan.paths[0])),
            duration_seconds=reading.duration_seconds,
            fingerprint=str(plan.made_from),
            paths=plan.paths,
            url=plan.source.url,
            language=reading.language,
            tags=plan.source.tags,
            published_at=plan.source.published_at,
            warnings=self._with_language_warning(reading.language, reading.warnings),
        )
        video = replace(video, duplicate_of=self._original_of(video, reading.content.timeline))
        on_stage("embed")
        points = self._points(video, reading.content, stored, checkpoint)
        on_stage("publish")
        self._keep_frames(video, reading.content)
        self._index.replace(self._tenant, plan.video_id, points)
        self._catalog.put(video, reading.content.timeline)
        return video

    def _points(self, video: Video, content: Content, stored: StoredVectors, checkpoint: Checkpoint) -> list[Point]:
        tokens = self._folder.tokens_folder(video.tenant, video.video_id)
        return make_points(video, content, self._embedder, stored.texts, checkpoint, tokens)

    def _identify(self, source: Source) -> str:
        """The id from the media's bytes; without media from tenant and url, or from the caption bytes."""
        if source.media:
            check_head(source.media)
            if source.media.stat().st_size > PROBED_FIRST_BYTES:
                self._reader.probe(source.media)
            return _id_of_bytes(source.media)
        content = source.url or "".join(file_sha256(path) for path in source.captions)
        return hashlib.sha256(f"{self._tenant}\n{content}".encode()).hexdigest()[:VIDEO_ID_LENGTH]

    def _stored(self, known: Video | None) -> StoredVectors:
        """What the index holds of a known video."""
        if not known:
            return StoredVectors()
        return stored_vectors(known.title, self._index.scroll(self._tenant, known.video_id))

    def _kept_content(self, known: Video | None, made_from: Fingerprint, stored: StoredVectors) -> Content | None:
        """What is kept of a known video; None where it must be read whole, as its pictures or its options are others."""
        if not known or Fingerprint.read(known.fingerprint).options != made_from.options:
            return None
        content = self._known_content(known, stored)
        return content if len(content.frames) == len(content.timeline.keyframes) else None

    def _known_content(self, known: Video, stored: StoredVectors) -> Content:
        """What the library holds of a video, with the pictures that are not lost."""
        timeline = self._catalog.timeline(known.tenant, known.video_id)
        times = [frame.time_seconds for frame in timeline.keyframes]
        frames = {seconds: self._folder.frame_path(known.tenant, known.video_id, seconds) for seconds in times}
        return Content(timeline, {seconds: path for seconds, path in frames.items() if path.is_file()}, stored.frames)

    def _with_language_warning(self, language: str | None, warnings: tuple[str, ...]) -> tuple[str, ...]:
        """The warnings, with one that the text model does not know the language where that is so."""
        others = tuple(warning for warning in warnings if not warning.startswith(LANGUAGE_WARNING))
        if not language or not self._embedder or is_known_language(self._embedder.name, language):
            return others
        told = (
            f"{LANGUAGE_WARNING}{language} is not known to {self._embedder.name}: search by meaning will be poor. Set "
            "PLAYHEAD_TEXT_MODEL to a multilingual model and run: playhead reindex"
        )
        return (*others, told)

    def _original_of(self, video: Video, timeline: Timeline) -> str | None:
        """The id of the video that came first and shows the same."""
        for other in self._catalog.lasting(self._tenant, *duration_range(video.duration_seconds)):
            timeline_of_other = self._catalog.timeline(self._tenant, other.video_id)
            if other.video_id != video.video_id and shows_the_same(timeline, timeline_of_other):
                return other.video_id
        return None

    def _keep_frames(self, video: Video, content: Content) -> None:
        """Put the pictures to their place, all or none; those that lie there already stay."""
        target = self._folder.frames_folder(video.tenant, video.video_id)
        if all(frame.parent == target for frame in content.frames.values()):
            return
        scratch = target.with_name(f"{target.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for seconds, frame in content.frames.items():
            shutil.copyfile(frame, scratch / frame_name(seconds))
        self._folder.remove_frames(video.tenant, video.video_id)
        scratch.rename(target)

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
        return SPEECH_NOT_READ in known.warnings and self._reader.can_hear()

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
            duplicate_of=video.duplicate_of,
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a source is before it is read; `state` tells whether its file changed meanwhile."""

    source: Source
    video_id: str
    paths: tuple[str, ...]
    captions: tuple[Path, ...]
    made_from: Fingerprint
    state: tuple[int, int]


def remove_video(video: Video, index: VideoIndex, catalog: Catalog, folder: LibraryFolder) -> int:
    """Remove a video from every store; returns the number of moments removed."""
    removed = index.delete(video.tenant, video.video_id)
    catalog.delete(video.tenant, video.video_id)
    folder.remove_frames(video.tenant, video.video_id)
    for place in (folder.tokens_folder, folder.work_folder):
        shutil.rmtree(place(video.tenant, video.video_id), ignore_errors=True)
    return removed


def _file_state(path: Path) -> tuple[int, int]:
    """The size of a file and when it was changed, in nanoseconds."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _id_of_bytes(path: Path) -> str:
    return file_sha256(path)[:VIDEO_ID_LENGTH]


def _one_line(error: Exception, *, with_type: bool = False) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split() if with_type else str(error).split())


def _storable_path(path: Path) -> str:
    """The absolute path as the catalog stores it."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VideoError(f"{printable(path)}: the file name is not valid UTF-8. Rename the file.") from error
    return absolute
