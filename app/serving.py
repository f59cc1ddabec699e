"""Serves one open library: what the chat page and the HTTP API ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.answer import Answer
from app.answerer import OnSentence, ignore
from app.build import OpenLibrary
from app.settings import Settings
from app.web_chat import serve
from ingest.captions import CAPTION_SUFFIXES
from ingest.index import Scope
from ingest.schema import PlayheadError, Video
from prompts.followup import Turn
from retrievers.evidence import SearchResult


class LibraryService:
    """One tenant's view of an open library; safe to call from several threads."""

    def __init__(self, library: OpenLibrary) -> None:
        self._library = library
        self._scope = Scope(library.settings.tenant)

    def ask(self, question: str, on_sentence: OnSentence = ignore, turns: Sequence[Turn] = ()) -> Answer:
        with self._kept_in():
            return self._library.converser.ask(question, self._scope, turns, on_sentence)

    def search(self, query: str, limit: int) -> SearchResult:
        with self._kept_in():
            return self._library.masker.result(self._library.planned_searcher.search(query, self._scope, limit))

    @contextmanager
    def _kept_in(self) -> Iterator[None]:
        """Errors without keys and paths: who asks over the network need not sit at this machine."""
        try:
            yield
        except PlayheadError as error:
            raise PlayheadError(self._library.outputs.redact(str(error))) from error

    def videos(self) -> Sequence[Video]:
        return [self._library.masker.video(video) for video in self._library.catalog.videos(self._scope.tenant)]

    def video(self, video_id: str) -> Video | None:
        video = self._library.catalog.get(self._scope.tenant, video_id)
        return self._library.masker.video(video) if video else None

    def media_path(self, video_id: str) -> Path | None:
        """The first copy of the video that still exists; None for captions without media."""
        video = self.video(video_id)
        paths = [Path(path) for path in video.paths] if video else []
        return next((path for path in paths if path.suffix.lower() not in CAPTION_SUFFIXES and path.is_file()), None)

    def thumbnail_path(self, video_id: str, seconds: float) -> Path | None:
        """The keyframe at a second, else the one before it, else the first; None for a video that is not this tenant's."""
        if self.video(video_id) is None:
            return None
        exact = self._library.folder.frame_path(self._scope.tenant, video_id, seconds)
        if exact.is_file():  # what the cards ask for: no need to read the timeline
            return exact
        frames = self._library.catalog.timeline(self._scope.tenant, video_id).keyframes
        if not frames:
            return None
        before = [frame for frame in frames if frame.time_seconds <= seconds]
        chosen = before[-1] if before else frames[0]
        return self._library.folder.frame_path(self._scope.tenant, video_id, chosen.time_seconds)


def serve_library(settings: Settings, host: str | None = None, port: int | None = None) -> None:
    """Open the library and serve it until Ctrl-C; an empty library is made when there is none."""
    address, number = host or settings.host, port or settings.port
    with OpenLibrary(settings, f"playhead serve on http://{address}:{number}", create=True) as library:
        library.answerer  # noqa: B018  a wrong endpoint or model is told before the page opens
        serve(LibraryService(library), address, number)
