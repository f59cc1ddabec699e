"""What stands before every route: security headers, the check of the Host header, and the few doors of Gradio left open."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# gr.HTML and Gradio's events build functions from strings ('unsafe-eval'), its components write style attributes.
# No inline script runs but those of the page as served, told by their hashes; handlers in attributes never run.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
OURS = ("/api/v1/", "/web/")
# What the page asks of Gradio. Not among them: upload, file=, proxy=, stream, call, info, monitoring, login.
GRADIO_PATHS = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/(?:assets|static)/.+"
    r"|/gradio_api/(?:queue/(?:join|data)|heartbeat/\w+|startup-events|reset|cancel)"
)


def guard(app: FastAPI, host: str) -> None:
    """Put the guards before an app that is served as `host`; the headers are on refusals too."""
    names = ["127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host]
    app.add_middleware(OpenDoors)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    app.add_middleware(SecurityHeaders)


class OpenDoors:
    """Answers 404 for every path that neither the API nor the page needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] == "lifespan" or (
            scope["type"] == "http" and (scope["path"].startswith(OURS) or GRADIO_PATHS.fullmatch(scope["path"]))
        )
        await (self._app if known else PlainTextResponse("Not found", 404))(scope, receive, send)


class SecurityHeaders:
    """Sets the headers on every response; the page's own inline scripts are allowed by hash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/":
            await self._send_page(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, b""))

    async def _send_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the page back until it is whole, uncompressed, so that its scripts can be hashed."""
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app({**scope, "headers": plain, "query_string": b""}, receive, hold)
        page = b"".join(message.get("body", b"") for message in held)
        for message in held:
            await _with_headers(send, page)(message)


def _with_headers(send: Send, page: bytes) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "content-security-policy": POLICY.format(hashes=script_hashes(page))})
        await send(message)

    return send_with_headers


def script_hashes(page: bytes) -> str:
    """The inline scripts of a page as CSP sources, each with a space before it."""
    digests = (hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(page))
    return "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
