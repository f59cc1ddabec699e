"""The chat model against a real local endpoint that misbehaves in every way on the list."""

from __future__ import annotations

import email.utils
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import httpx
import openai
import pytest
from chat_server import (
    MODEL,
    Act,
    ChatServer,
    breaks_off,
    fails,
    hangs_up,
    refuses_option,
    says,
    sends,
    stalls,
    streams_raw,
    trickles,
    words,
)
from fakes import HashEmbedder, ScriptedChat

from app.chat_model import (
    MAX_RETRIES,
    OPENAI_DEFAULT_MODEL,
    ChatModel,
    ChatModelError,
    OpenAIChat,
    read_retry_after,
    retry_wait,
)
from app.usage import Usage
from prompts.draft import ChatMessage

KEY = "sk-canary-0123456789"
REPLY = "The fee is five euros [1]."
MESSAGES = [ChatMessage("system", "Answer."), ChatMessage("user", "How much is it? \u00fc")]


def chat(url: str, model: str | None = "m", timeout_seconds: float = 0.5, deadline_seconds: float = 4.0) -> OpenAIChat:
    return OpenAIChat(url, KEY, model, timeout_seconds=timeout_seconds, deadline_seconds=deadline_seconds)


def failure(model: ChatModel) -> tuple[str, str]:
    """The error's one line and the text that came before it; it must come and must not tell the key."""
    pieces: list[str] = []
    with pytest.raises(ChatModelError) as caught:
        for piece in model.stream(MESSAGES):
            pieces.append(piece)
    line = str(caught.value)
    assert "\n" not in line and line.endswith(".") and ".." not in line
    assert KEY not in line and KEY[:8] not in line and KEY not in repr(model)
    assert caught.value.__cause__ is None
    return line, "".join(pieces)


def test_a_reply_is_streamed() -> None:
    with ChatServer(says(REPLY)) as server:
        model = chat(server.url)
        pieces = list(model.stream(MESSAGES))
    assert "".join(pieces) == REPLY and len(pieces) > 3
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["stream"]) == ("m", 0, True)
    assert request["messages"][1] == {"role": "user", "content": "How much is it? \u00fc"}
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert model.name == "m"


def test_without_a_name_the_endpoints_first_model_answers() -> None:
    with ChatServer(says(REPLY), models=("first", "second")) as server:
        model = chat(server.url, model=None)
        assert "first model of http://127.0.0.1" in model.name
        assert "".join(model.stream(MESSAGES)) == REPLY
        assert model.name == server.requests[0]["model"] == "first"
    with ChatServer(models=()) as server:
        assert "lists no models" in failure(chat(server.url, model=None))[0]
    assert OpenAIChat(None, KEY).name == OPENAI_DEFAULT_MODEL
    assert MODEL != OPENAI_DEFAULT_MODEL


def test_options_that_a_model_refuses_are_left_out() -> None:
    with ChatServer(refuses_option("temperature"), refuses_option("max_tokens"), says(REPLY)) as server:
        assert "".join(chat(server.url).stream(MESSAGES)) == REPLY
    assert "temperature" not in server.requests[2] and server.requests[2]["max_completion_tokens"] > 0
    with ChatServer(refuses_option("temperature")) as server:
        assert "HTTP 400" in failure(chat(server.url))[0]


@pytest.mark.parametrize("first", [fails(429, retry_after="1"), fails(500), fails(503), hangs_up()])
def test_what_passes_is_tried_again(first: Act) -> None:
    with ChatServer(first, says(REPLY)) as server:
        assert "".join(chat(server.url).stream(MESSAGES)) == REPLY
    assert len(server.requests) == 2


GARBLED = ["[1]", "5", '{"choices": 3}', '{"choices": [null]}', "null"]
FAILURES: list[tuple[Act, str, str]] = [
    (
        fails(401, f"Incorrect key {KEY}\nprovided. "),
        "answered HTTP 401: Incorrect key *** provided. Check OPENAI_API_KEY.",
        "",
    ),
    (fails(400, "x" * 150 + KEY), "answered HTTP 400: xxx", ""),
    (fails(404, "no such model"), "HTTP 404: no such model. Check OPENAI_BASE_URL and PLAYHEAD_CHAT_MODEL.", ""),
    (fails(500), "HTTP 500: scripted failure. See its log.", ""),
    (sends("<html><body>Hello</body></html>", "text/html"), "sent text/html and no stream. Check OPENAI_BASE_URL", ""),
    (sends('{"choices": []}', "application/json"), "sent application/json and no stream", ""),
    (streams_raw("data: {oops\n\n"), "not JSON", ""),
    (streams_raw(*(f"data: {chunk}\n\n" for chunk in GARBLED)), "empty reply", ""),
    (
        streams_raw('data: {"error": {"message": "out of memory"}}\n\n'),
        "reported an error: out of memory. See its log.",
        "",
    ),
    (streams_raw(), "empty reply", ""),
    (says(""), "empty reply", ""),
    (says(" \n "), "empty reply", " \n "),
    (says("The fee", "length"), "tokens and no end", "The fee"),
    (says("The fee", "content_filter"), "content_filter", "The fee"),
    (streams_raw(*words("The fee")), "cut its reply short", "The fee"),
    (breaks_off("The fee"), "broke the connection", "The fee"),
    (stalls("The fee"), "sent nothing for 0.5 s", "The fee"),
    (stalls(), "sent nothing for 0.5 s", ""),
    (hangs_up(), "broke the connection", ""),
]


@pytest.mark.parametrize(
    ("act", "told", "before"), FAILURES, ids=lambda value: value[:24] if isinstance(value, str) else ""
)
def test_every_failure_is_one_line(act: Act, told: str, before: str) -> None:
    with ChatServer(act) as server:
        line, text = failure(chat(server.url))
        assert line.startswith(f"Model endpoint {server.url} ") and told in line
    assert text == before


@pytest.mark.parametrize("act", [trickles(), stalls(), fails(429, retry_after="2")], ids=["trickle", "stall", "storm"])
def test_the_deadline_holds_whatever_happens(act: Act) -> None:
    with ChatServer(act) as server:
        started = time.monotonic()
        failure(chat(server.url, timeout_seconds=30, deadline_seconds=1.0))
        assert time.monotonic() - started < 2.0


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    with ChatServer(fails(429, retry_after="60")) as server:
        started = time.monotonic()
        assert "HTTP 429" in failure(chat(server.url, deadline_seconds=20))[0]
        assert time.monotonic() - started < 3.0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("first", "requests"),
    [
        (fails(401), 1),
        (fails(404), 1),
        (fails(408), 1),
        (fails(409), 1),
        (stalls(), 1),
        (stalls("The fee"), 1),
        (breaks_off("The fee"), 1),
        (fails(429, code="insufficient_quota"), 1),
        (fails(429), 1 + MAX_RETRIES),
        (fails(500), 1 + MAX_RETRIES),
        (hangs_up(), 1 + MAX_RETRIES),
    ],
)
def test_only_what_may_pass_is_tried_again_and_not_for_ever(first: Act, requests: int) -> None:
    with ChatServer(first) as server:
        failure(chat(server.url, deadline_seconds=30))
    assert len(server.requests) == requests


def told_to_wait(header: str) -> openai.APIStatusError:
    """The SDK's error for a 429 with this Retry-After header."""
    response = httpx.Response(429, headers={"retry-after": header}, request=httpx.Request("POST", "http://h"))
    return openai.RateLimitError("wait", response=response, body=None)


def test_waits_are_drawn_from_zero_to_a_limit_that_doubles() -> None:
    broken = openai.APIConnectionError(request=httpx.Request("POST", "http://h"))
    for tries, limit in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0]):
        waits = [retry_wait(broken, tries) or 0.0 for _ in range(400)]
        assert 0 <= min(waits) < 0.1 * limit and 0.9 * limit < max(waits) <= limit


def test_the_wait_that_is_asked_for_is_kept() -> None:
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    for header, least, most in [("3", 3.0, 3.5), ("0.25", 0.25, 0.75), (in_a_minute, 57.0, 61.0), ("soon", 0.0, 0.5)]:
        wait = retry_wait(told_to_wait(header), 0)
        assert wait is not None and least <= wait <= most
    assert [read_retry_after(odd) for odd in ("", "nan", "-5", "99" * 9)] == [None, None, 0.0, float("99" * 9)]


def test_a_total_alone_or_nonsense_is_counted_as_far_as_it_goes() -> None:
    told: list[Usage] = []
    for counts in ({"prompt_tokens": 9, "completion_tokens": 4}, {"total_tokens": 20}, {"prompt_tokens": "many"}):
        with ChatServer(says(REPLY, **counts)) as server:
            assert "".join(chat(server.url).stream(MESSAGES, on_usage=told.append)) == REPLY
    assert [(u.prompt_tokens, u.reply_tokens, u.is_estimated) for u in told[:2]] == [(9, 4, False), (20, 0, False)]
    assert told[2].is_estimated and told[2].total_tokens > 0
    with ChatServer(fails(401)) as server, pytest.raises(ChatModelError):
        list(chat(server.url).stream(MESSAGES, on_usage=told.append))
    assert len(told) == 3


def test_an_earlier_end_holds() -> None:
    with ChatServer(trickles()) as server:
        started = time.monotonic()
        with pytest.raises(ChatModelError, match="not done after 0.5 s"):
            list(chat(server.url, timeout_seconds=30).stream(MESSAGES, ends_at=time.monotonic() + 0.5))
        assert time.monotonic() - started < 2.0


def test_a_listener_may_leave_early() -> None:
    with ChatServer(says(REPLY)) as server:
        stream = chat(server.url).stream(MESSAGES)
        assert next(stream) == "The "
        stream.close()  # type: ignore[attr-defined]
        assert "".join(chat(server.url).stream(MESSAGES)) == REPLY


def test_refused_connection_says_what_to_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    line, _ = failure(chat(url))
    assert line == f"Model endpoint {url} refused the connection. Start it or unset OPENAI_BASE_URL."


def test_secrets_in_the_address_are_not_shown() -> None:
    with ChatServer(fails(404)) as server:
        line, _ = failure(chat(server.url.replace("//", "//user:pass@") + "?token=abc"))
    assert "pass" not in line and "abc" not in line


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "localhost:11434/v1", "ftp://host/v1", "http://", "http://h:99999", "http://[::1"]
)
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(ChatModelError, match="OPENAI_BASE_URL is"):
        OpenAIChat(url, KEY)


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(ChatModelError, match="OPENAI_API_KEY") as caught:
        OpenAIChat(None, "sk-\u201ckey\u201d")
    assert "sk-" not in str(caught.value)


def test_making_one_imports_no_client_and_sends_nothing() -> None:
    code = "import sys, app.chat_model as c; c.OpenAIChat('http://127.0.0.1:1/v1'); print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def ask(model: ChatModel, messages: Sequence[ChatMessage]) -> str:
    return "".join(model.stream(messages))


def test_the_fakes_behave() -> None:
    model = ScriptedChat(REPLY, ChatModelError("down"))
    assert ask(model, MESSAGES) == REPLY and model.prompts == [MESSAGES]
    with pytest.raises(ChatModelError, match="down"):
        ask(model, MESSAGES)
    with pytest.raises(AssertionError, match="3 times"):
        ask(model, MESSAGES)
    near, far, same = HashEmbedder().embed(["the red fox runs", "stock prices fell", "The fox: red, it runs"])
    assert near @ same > 0.7 > 0.5 > near @ far
    assert HashEmbedder().embed([]).shape == (0, 64) and HashEmbedder().embed([""]).shape == (1, 64)
