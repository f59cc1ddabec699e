"""A chat model behind an OpenAI-compatible endpoint: one deadline for everything, every failure one line."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from app.endpoint_problems import Problem, connection_problem, status_problem
from ingest.schema import PlayheadError
from prompts.draft import ChatMessage

OPENAI_BASE_URL = "https://api.openai.com/v1"
# Asked for when the endpoint is OpenAI's and no name is set: small, and takes a temperature of 0.
OPENAI_DEFAULT_MODEL = "gpt-4.1-mini"
MAX_REPLY_TOKENS = 2048
# Beside the first try, for 429, 5xx and connections that break before the reply starts.
MAX_RETRIES = 2
# The longest silence, so that a local model has time to load.
SILENCE_SECONDS = 60.0
CONNECT_SECONDS = 10.0
# Newer models take these under another name, or not at all.
RENAMED_OPTIONS: dict[str, str | None] = {
    "max_tokens": "max_completion_tokens",
    "temperature": None,
    "stream_options": None,
}
# How endpoints say, with HTTP 400, that it is this question or picture that they do not take.
WITHHELD = ("content_filter", "content_policy_violation")
MAX_SAID_CHARACTERS = 160


class ChatModelError(PlayheadError):
    """The model endpoint gave no usable reply."""


class UnusableReplyError(ChatModelError):
    """The endpoint works, and has no reply to this: it withheld it, sent an empty one or wrote without an end."""


class ChatModel(Protocol):
    """Writes a reply to a conversation, piece by piece."""

    @property
    def name(self) -> str:
        """The model's name, recorded as the tier that answered."""

    def stream(self, messages: Sequence[ChatMessage]) -> Iterator[str]:
        """The reply as it arrives; raises ChatModelError, also in the middle."""


class OpenAIChat:
    """Any endpoint that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp.

    Without a model name OpenAI's own endpoint is asked for OPENAI_DEFAULT_MODEL, and any other for the first model it
    lists. Nothing is sent before the first `stream`. The key appears in no error and no repr.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        model: str | None = None,
        *,
        timeout_seconds: float = SILENCE_SECONDS,
        deadline_seconds: float = 60.0,
        max_reply_tokens: int = MAX_REPLY_TOKENS,
        model_setting: str = "PLAYHEAD_CHAT_MODEL",
    ) -> None:
        """`timeout_seconds` bounds each silence, `deadline_seconds` a whole reply with its retries.

        `model_setting` is what an error tells the user to change.
        """
        self._url = (base_url or OPENAI_BASE_URL).strip().rstrip("/")
        self._host = check_address(self._url)
        self._api_key = (api_key or "").strip()
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise ChatModelError("The API key holds a character that no key has. Copy OPENAI_API_KEY again.")
        self._model = model or (OPENAI_DEFAULT_MODEL if self._host == "api.openai.com" else None)
        self._timeout_seconds = timeout_seconds
        self._deadline_seconds = deadline_seconds
        self._max_reply_tokens = max_reply_tokens
        self._model_setting = model_setting

    def __repr__(self) -> str:
        return f"OpenAIChat({shown_address(self._url)!r}, model={self._model!r})"

    @property
    def name(self) -> str:
        """The model's name; until the first reply, where an endpoint's first model will be taken from."""
        return self._model or f"first model of {shown_address(self._url)}"

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        jpeg: bytes | None = None,
        on_tokens: Callable[[int], None] | None = None,
    ) -> Iterator[str]:
        """The reply as it arrives; raises ChatModelError within the deadline, whatever the endpoint does.

        `jpeg` is a picture that goes with the last message; `on_tokens` is told what the endpoint counted so far,
        prompt and reply together, where it counts.
        """
        from anyio.from_thread import start_blocking_portal

        ends_at = time.monotonic() + self._deadline_seconds
        # The SDK runs on an event loop in a thread of its own: only there can a sleep before a retry, a silence and a
        # trickle of empty lines all be cut at the deadline.
        with start_blocking_portal() as portal:
            deltas = self._deltas(conversation(messages, jpeg), on_tokens, ends_at)
            try:
                while (delta := portal.call(self._next, deltas, ends_at)) is not None:
                    yield delta
            finally:
                portal.call(deltas.aclose)

    async def _next(self, deltas: AsyncGenerator[str], ends_at: float) -> str | None:
        """The next piece, or None at the end; every failure of the endpoint becomes a ChatModelError here."""
        import openai

        try:
            async with asyncio.timeout(ends_at - time.monotonic()):
                return await anext(deltas, None)
        except TimeoutError:
            remedy = "Raise PLAYHEAD_ANSWER_SECONDS or take a faster model"
            problem = Problem(f"was not done after {self._deadline_seconds:g} s", remedy)
        except openai.APITimeoutError:
            problem = Problem(f"sent nothing for {self._timeout_seconds:g} s", "See whether it is overloaded")
        except openai.APIConnectionError as error:
            problem = connection_problem(error)
        except openai.APIStatusError as error:
            problem = status_problem(error, self._model_setting)
            if error.code in WITHHELD:
                raise self._error(problem, UnusableReplyError) from None
        except openai.APIError as error:
            problem = Problem("reported an error", "See its log", error.message)
        except ChatModelError:
            raise
        except (ValueError, AttributeError, TypeError, KeyError):  # no JSON, or JSON that the SDK trips over
            problem = Problem("sent a reply that is not JSON", "Check that OPENAI_BASE_URL is a chat endpoint")
        raise self._error(problem) from None  # the SDK's errors hold the request, and with it the key

    async def _deltas(
        self, messages: Sequence[dict[str, Any]], on_tokens: Callable[[int], None] | None, ends_at: float
    ) -> AsyncGenerator[str]:
        async with self._client(ends_at) as client:
            self._model = self._model or await self._first_model(client)
            async with await self._open(client, messages, counts=on_tokens is not None) as chunks:
                content_type = chunks.response.headers.get("content-type", "")
                if "text/event-stream" not in content_type:
                    kind = content_type.partition(";")[0] or "nothing"
                    raise self._error(
                        Problem(f"sent {kind} and no stream", "Check OPENAI_BASE_URL, it mostly ends in /v1")
                    )
                empty, reason = True, None
                async for chunk in chunks:
                    text, finished = read_chunk(chunk)
                    reason = finished or reason
                    tokens = read_tokens(chunk)
                    if on_tokens and tokens:
                        on_tokens(tokens)
                    if text:
                        empty = empty and not text.strip()
                        yield text
        self._check_end(empty, reason)

    def _check_end(self, empty: bool, reason: str | None) -> None:
        other_model = f"Set {self._model_setting} to another model"
        if reason == "length":
            problem = Problem(f"wrote {self._max_reply_tokens} tokens and no end", other_model)
        elif reason == "content_filter":
            problem = Problem("withheld its reply (content_filter)", "Ask in other words")
        elif empty:
            problem = Problem("sent an empty reply", f"Set {self._model_setting} to a chat model")
        elif reason is None:
            raise self._error(Problem("cut its reply short", "Ask again, or see its log"))
        else:
            return
        raise self._error(problem, UnusableReplyError)

    def _client(self, ends_at: float) -> Any:
        import openai

        async def give_up_on_long_waits(response: Any) -> None:
            """Make the SDK fail now, and not at the deadline, when the endpoint asks for a longer wait than that."""
            wait_seconds = response.headers.get("retry-after", "")
            if wait_seconds.isdigit() and time.monotonic() + int(wait_seconds) > ends_at:
                response.headers["x-should-retry"] = "false"

        timeout = openai.Timeout(self._timeout_seconds, connect=min(CONNECT_SECONDS, self._timeout_seconds))
        http_client = openai.DefaultAsyncHttpxClient(
            # A proxy is for the world outside; a model on this machine would not be found through it.
            trust_env=not is_loopback(self._host),
            timeout=timeout,
            event_hooks={"response": [give_up_on_long_waits]},
        )
        return openai.AsyncOpenAI(
            base_url=self._url,
            api_key=self._api_key or "none",
            timeout=timeout,
            max_retries=MAX_RETRIES,
            http_client=http_client,
        )

    async def _open(self, client: Any, messages: Sequence[dict[str, Any]], *, counts: bool) -> Any:
        """The stream of chunks; options that the model refuses are renamed or left out, each once."""
        import openai

        options: dict[str, Any] = {"temperature": 0, "max_tokens": self._max_reply_tokens}
        if counts:
            options["stream_options"] = {"include_usage": True}
        while True:
            try:
                return await client.chat.completions.create(
                    model=self._model, messages=messages, stream=True, **options
                )
            except openai.BadRequestError as error:
                if error.param not in RENAMED_OPTIONS or error.param not in options:
                    raise
                value, renamed = options.pop(error.param), RENAMED_OPTIONS[error.param]
                if renamed:
                    options[renamed] = value

    async def _first_model(self, client: Any) -> str:
        page = await client.models.list()
        listed = getattr(page, "data", None)
        names = [getattr(model, "id", None) for model in listed] if isinstance(listed, list) else []
        name = next((name for name in names if isinstance(name, str) and name), None)
        if name is None:
            raise self._error(Problem("lists no models", f"Load one there, or set {self._model_setting}"))
        return name

    def _error(self, problem: Problem, kind: type[ChatModelError] = ChatModelError) -> ChatModelError:
        said = " ".join(problem.said.split())
        # The key goes before the cut, which could leave a part of it.
        said = (said.replace(self._api_key, "***") if self._api_key else said)[:MAX_SAID_CHARACTERS].rstrip(". ")
        fact = f"{problem.fact}: {said}" if said else problem.fact
        return kind(f"Model endpoint {shown_address(self._url)} {fact}. {problem.remedy}.")


def conversation(messages: Sequence[ChatMessage], jpeg: bytes | None) -> list[dict[str, Any]]:
    """The messages in OpenAI's form, with the picture in the last one: its bytes, never a link that someone fetches."""
    sent: list[dict[str, Any]] = [{"role": message.role, "content": message.content} for message in messages]
    if jpeg is not None:
        picture = {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"}
        sent[-1]["content"] = [
            {"type": "text", "text": sent[-1]["content"]},
            {"type": "image_url", "image_url": picture},
        ]
    return sent


def read_tokens(chunk: Any) -> int:
    """The tokens counted so far, 0 where a chunk does not say or says nonsense."""
    tokens = getattr(getattr(chunk, "usage", None), "total_tokens", None)
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def read_chunk(chunk: Any) -> tuple[str, str | None]:
    """The text and the reason to finish of one chunk, as far as it has them: servers differ in what they leave out."""
    choices = getattr(chunk, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    text = getattr(getattr(choice, "delta", None), "content", None)
    reason = getattr(choice, "finish_reason", None)
    return text if isinstance(text, str) else "", reason if isinstance(reason, str) and reason else None


def check_address(url: str) -> str:
    """The host of an http(s) address; raises ChatModelError for anything else."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ChatModelError(
            f"OPENAI_BASE_URL is {shown_address(url)!r}, not an address. Write it like http://127.0.0.1:11434/v1"
        )
    return parts.hostname


def shown_address(url: str) -> str:
    """The address without a user, a password or a query, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
