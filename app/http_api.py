"""The HTTP API: ask and search as JSON, the list of videos, and their files with byte ranges for any player."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from app.answer import Answer
from app.asking import AnsweringLibrary, Asker, one_line
from app.json_forms import answer_json, search_json
from app.video_forms import videos_json
from app.web_guard import guard
from ingest.schema import PlayheadError
from prompts.followup import CitedMoment, Turn
from retrievers.search import MAX_QUESTION_CHARACTERS

API = "/api/v1"
MAX_HITS = 100
MAX_BODY_BYTES = 256 << 10
MAX_TURNS, MAX_CITATIONS = 20, 50
MAX_TOLD_CHARACTERS, MAX_TITLE_CHARACTERS = 20_000, 2000
# Pictures of a video never change, but a deleted video's should not stay in the browser for long.
PICTURE_CACHE_SECONDS = 3600
WRONG_CALL, AWAY, CRASHED = 422, 503, 500


class CitationBody(BaseModel):
    """A citation of an earlier answer, as it came."""

    video_id: str = Field(max_length=100)
    video_title: str = Field(default="", max_length=MAX_TITLE_CHARACTERS)
    start_seconds: float = Field(ge=0, allow_inf_nan=False)
    end_seconds: float = Field(ge=0, allow_inf_nan=False)
    quote: str = Field(default="", max_length=MAX_TOLD_CHARACTERS)


class TurnBody(BaseModel):
    """An earlier answer, as it came; of its fields only these are read."""

    question: str = Field(max_length=MAX_QUESTION_CHARACTERS)
    answer: str = Field(default="", max_length=MAX_TOLD_CHARACTERS)
    asked_as: str | None = Field(default=None, max_length=2 * MAX_QUESTION_CHARACTERS)
    status: str = Field(default="", max_length=20)
    citations: list[CitationBody] = Field(default=[], max_length=MAX_CITATIONS)

    def turn(self) -> Turn:
        """The turn; ValueError for a moment that ends before it starts."""
        cited = tuple(
            CitedMoment(one.video_id, one.video_title, one.start_seconds, one.end_seconds, one.quote)
            for one in self.citations
        )
        return Turn(self.question, self.answer, cited, self.asked_as, self.status == "clarify" and bool(cited))


class AskBody(BaseModel):
    """The body of `ask`; `id` comes back as it went in, `history` holds the answers before, the oldest first."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)
    id: str | int | None = None
    history: list[TurnBody] = Field(default=[], max_length=MAX_TURNS)


class SearchBody(BaseModel):
    """The body of `search`."""

    query: str = Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)
    limit: int = Field(default=10, ge=1, le=MAX_HITS)
    id: str | int | None = None


def create_api(library: AnsweringLibrary, host: str = "127.0.0.1") -> FastAPI:
    """The API of one library, for requests that name this machine or `host`; no path ever comes from the client."""
    # The pages of /docs would load their script from a content network.
    api = FastAPI(
        title="Playhead", openapi_url=f"{API}/openapi.json", docs_url=None, redoc_url=None, max_body_size=MAX_BODY_BYTES
    )
    guard(api, host)
    asker = Asker(library)
    for kind in (RequestValidationError, ValueError, PlayheadError):
        api.add_exception_handler(kind, _failed)

    @api.get(f"{API}/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "videos": len(library.videos())}

    @api.get(f"{API}/videos")
    def videos() -> dict[str, Any]:
        return videos_json(library.videos())

    @api.post(f"{API}/search")
    def search(body: SearchBody) -> dict[str, Any]:
        return {**search_json(library.search(body.query, body.limit)), "id": body.id}

    @api.post(f"{API}/ask")
    async def ask(body: AskBody) -> dict[str, Any]:
        answer = await asker.ask(body.question, [turn.turn() for turn in body.history])
        if isinstance(answer, Answer):
            return {**answer_json(answer), "id": body.id}
        raise HTTPException(_status(answer), one_line(answer))

    @api.head(f"{API}/media/{{video_id}}", include_in_schema=False)
    @api.get(f"{API}/media/{{video_id}}")
    def media(video_id: str) -> FileResponse:
        path = library.media_path(video_id)
        return _file(path, media_type(path) if path else "", "private, no-cache")

    @api.head(f"{API}/thumbnails/{{video_id}}", include_in_schema=False)
    @api.get(f"{API}/thumbnails/{{video_id}}")
    def thumbnail(video_id: str, t: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0) -> FileResponse:
        return _file(library.thumbnail_path(video_id, t), "image/jpeg", f"private, max-age={PICTURE_CACHE_SECONDS}")

    return api


def media_type(path: Path) -> str:
    """The type by suffix, when it is one of sound or pictures: a video named .html is never a page."""
    guessed = mimetypes.guess_type(path.name)[0] or ""
    return guessed if guessed.startswith(("video/", "audio/")) else "application/octet-stream"


def _file(path: Path | None, content_type: str, cache_control: str) -> FileResponse:
    if path is None or not path.is_file():
        raise HTTPException(404, "The library holds no such file. GET /api/v1/videos lists what it holds.")
    return FileResponse(path, media_type=content_type, headers={"cache-control": cache_control})


def _failed(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RequestValidationError):
        problems = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        return JSONResponse({"detail": "; ".join(problems)}, WRONG_CALL)
    return JSONResponse({"detail": one_line(error)}, _status(error))


def _status(error: Exception) -> int:
    return WRONG_CALL if isinstance(error, ValueError) else AWAY if isinstance(error, PlayheadError) else CRASHED
