"""What can be wrong with a model endpoint: the fact, and what to do about it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """What went wrong, what to do about it, and the endpoint's own words, which are untrusted."""

    fact: str
    remedy: str
    said: str = ""


def connection_problem(error: BaseException) -> Problem:
    """What kept the connection from being made or kept, told from the errors below."""
    causes = list(_causes(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Problem("refused the connection", "Start it or unset OPENAI_BASE_URL")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Problem("has no certificate that this machine trusts", "Check the address, http or https")
    said = str(causes[-1]) or type(causes[-1]).__name__
    return Problem("broke the connection", "Check the address and the network", said)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__


REMEDIES = {
    401: "Check OPENAI_API_KEY",
    403: "Check OPENAI_API_KEY",
    404: "Check OPENAI_BASE_URL and {model_setting}",
    429: "Wait, or take another endpoint",
}


def status_problem(error: Any, model_setting: str) -> Problem:
    """An HTTP error with what the server says about it."""
    status, body = error.status_code, error.body
    message = body.get("message") if isinstance(body, dict) else None
    remedy = REMEDIES.get(status, "See its log" if status >= 500 else "Check {model_setting}")
    remedy = remedy.format(model_setting=model_setting)
    return Problem(f"answered HTTP {status}", remedy, message if isinstance(message, str) else "")
