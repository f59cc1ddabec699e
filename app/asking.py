"""What the doors ask of a library, and how they ask it: in threads of their own, sentence by sentence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from app.answer import Answer
from ingest.schema import PlayheadError, Video
from prompts.followup import Turn
from retrievers.evidence import SearchResult

QUESTIONS_AT_ONCE = 4
LOG = logging.getLogger(__name__)


class AnsweringLibrary(Protocol):
    """One tenant's open library; every method may be called from several threads."""

    def ask(self, question: str, on_sentence: Callable[[str], None] = ..., turns: Sequence[Turn] = ()) -> Answer:
        """The complete answer; `on_sentence` hears each sentence on the way, as it becomes final.

        `turns` are what was asked and answered before, the oldest first.
        """

    def search(self, query: str, limit: int) -> SearchResult:
        """The best `limit` moments."""

    def videos(self) -> Sequence[Video]:
        """Every video."""

    def video(self, video_id: str) -> Video | None:
        """The video with this id."""

    def media_path(self, video_id: str) -> Path | None:
        """The file to play; None for captions without media, and for an id that is no video of this tenant."""

    def thumbnail_path(self, video_id: str, seconds: float) -> Path | None:
        """The JPEG that shows a second; None where no picture was kept, and for an id that is no video of this tenant."""


class Asker:
    """Asks a few questions at once; the others wait for a seat."""

    def __init__(self, library: AnsweringLibrary) -> None:
        self._library = library
        self._seats = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def tell(self, question: str, turns: Sequence[Turn] = ()) -> AsyncIterator[str | Answer | Exception]:
        """Each sentence as it becomes final, then the answer, or the error that came instead."""
        told: asyncio.Queue[str | Answer | Exception] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def later(call: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped and nobody listens
                loop.call_soon_threadsafe(call, *arguments)

        def work() -> None:
            try:
                answer = self._library.ask(question, lambda sentence: later(told.put_nowait, sentence), turns)
                later(told.put_nowait, answer)
            except Exception as error:
                later(told.put_nowait, error)
            finally:
                later(self._seats.release)

        await self._seats.acquire()
        # A daemon, because a worker of the server's pool would keep it from stopping until the model has answered.
        threading.Thread(target=work, name="ask", daemon=True).start()
        while isinstance(item := await told.get(), str):
            yield item
        yield item

    async def ask(self, question: str, turns: Sequence[Turn] = ()) -> Answer | Exception:
        """What `tell` ends with."""
        async for item in self.tell(question, turns):
            last = item
        assert not isinstance(last, str)
        return last


def one_line(error: Exception) -> str:
    """Our own errors as they are; any other is logged, and its words stay in the log."""
    if isinstance(error, (PlayheadError, ValueError)):
        return " ".join(str(error).split())
    LOG.error("a question failed", exc_info=error)
    return f"The question could not be answered ({type(error).__name__}). The server's log says more; ask again."
