"""A scripted OpenAI-compatible endpoint on 127.0.0.1: each chat request plays the next act, and it ends by itself."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted-model"
LIFETIME_SECONDS = 120.0


class ChatServer:
    """Plays `acts` in order, then the last one again; use it in a `with`. `requests` are the chat bodies received."""

    def __init__(
        self, *acts: Act, models: Sequence[str] = (MODEL,), lifetime_seconds: float = LIFETIME_SECONDS
    ) -> None:
        self.acts = list(acts) or [says("The fee is five euros [1].")]
        self.models = tuple(models)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._ends_at = time.monotonic() + lifetime_seconds
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.scripted = self
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL would be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self._thread.join(timeout=5)

    def next_act(self, body: dict[str, Any], headers: dict[str, str]) -> Act:
        """The act for this request, which is written down."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]

    def _serve(self) -> None:
        self._server.timeout = 0.05
        while not self.stopping.is_set() and time.monotonic() < self._ends_at:
            self._server.handle_request()
        self.stopping.set()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    scripted: ChatServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in self.server.scripted.models
        ]
        self.send(200, json.dumps({"object": "list", "data": listed}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.scripted.next_act(body, headers)(self)

    def send(self, status: int, body: str, content_type: str = "application/json", **headers: str) -> None:
        """One whole response."""
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: Iterable[str]) -> None:
        """Server-sent events in chunks, without the last chunk."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def wait(self, seconds: float) -> None:
        """Do nothing, but not longer than the server lives."""
        self.server.scripted.stopping.wait(seconds)


Act = Callable[[_Handler], None]


def event(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


def words(text: str) -> list[str]:
    """One event a word; the words and spaces together are the text."""
    return [event({"content": piece}) for piece in re.findall(r"\S+\s*|\s+", text)]


def says(text: str, finish_reason: str = "stop", total_tokens: Any = None, **counts: Any) -> Act:
    """The whole reply, streamed word by word; an empty text is an empty reply. `total_tokens` and others add a last count."""
    counts = {"total_tokens": total_tokens, **counts} if total_tokens is not None else counts
    counted = [usage(counts)] if counts else []

    def act(handler: _Handler) -> None:
        handler.stream(
            [event({"role": "assistant"}), *words(text), event({}, finish_reason), *counted, "data: [DONE]\n\n"]
        )
        handler.end_stream()

    return act


def usage(counts: dict[str, Any]) -> str:
    """The chunk without choices in which an endpoint says what it counted."""
    body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": []}
    return f"data: {json.dumps(body | {'usage': counts})}\n\n"


def fails(status: int, message: str = "scripted failure", code: str | None = None, **headers: str) -> Act:
    """An HTTP error in OpenAI's form; headers such as retry_after="1"."""
    return lambda handler: handler.send(status, json.dumps({"error": {"message": message, "code": code}}), **headers)


def refuses_option(option: str) -> Act:
    """HTTP 400 for an option that the model does not take."""
    body = {"error": {"message": f"Unsupported parameter: {option}", "param": option, "code": "unsupported_parameter"}}
    return lambda handler: handler.send(400, json.dumps(body))


def sends(body: str, content_type: str) -> Act:
    """Status 200 with any body: HTML, or JSON of another kind."""
    return lambda handler: handler.send(200, body, content_type)


def streams_raw(*events: str) -> Act:
    """A stream of exactly these events, ended properly."""

    def act(handler: _Handler) -> None:
        handler.stream(events)
        handler.end_stream()

    return act


def breaks_off(text: str) -> Act:
    """Some words, then the connection is closed in the middle of the stream."""

    def act(handler: _Handler) -> None:
        handler.stream(words(text))
        handler.hang_up()

    return act


def stalls(text: str = "", seconds: float = 30.0) -> Act:
    """Some words, then silence with the connection open; without words not even a status line."""

    def act(handler: _Handler) -> None:
        if text:
            handler.stream(words(text))
        handler.wait(seconds)
        handler.hang_up()

    return act


def trickles(seconds: float = 30.0) -> Act:
    """Keep-alive comments and never a word."""

    def act(handler: _Handler) -> None:
        def comments() -> Iterable[str]:
            for _ in range(int(seconds / 0.05)):
                handler.wait(0.05)
                yield ": still thinking\n\n"

        handler.stream(comments())
        handler.hang_up()

    return act


def hangs_up() -> Act:
    """The connection is closed without a word."""
    return lambda handler: handler.hang_up()
