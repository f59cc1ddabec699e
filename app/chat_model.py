"""A chat model behind an OpenAI-compatible endpoint: one deadline for everything, every failure one line."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import math
import random
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from app.circuit_breaker import CircuitBreaker
from app.endpoint_problems import Problem, connection_problem, status_problem
from app.token_cap import TokenCap
from app.usage import OnUsage, Prices, Usage
from ingest.schema import PlayheadError
from prompts.draft import ChatMessage
from prompts.packing import estimate_tokens

OPENAI_BASE_URL = "https://api.openai.com/v1"
# Asked for when the endpoint is OpenAI's and no name is set: small, and takes a temperature of 0.
OPENAI_DEFAULT_MODEL = "gpt-4.1-mini"
MAX_REPLY_TOKENS = 2048
# Beside the first try, for 429, 5xx and connections that break before the reply starts.
MAX_RETRIES = 2
# The longest wait before the first retry, doubled for each further one. The wait itself is drawn from 0 to this ("full
# jitter", AWS Architecture Blog 2015), so that clients that failed together do not come back together.
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0
# HTTP errors that say something about this request and nothing about the endpoint's health.
REQUEST_ERRORS = (400, 404, 413, 415, 422)
# A picture of 768 x 432 pixels by OpenAI's rules for gpt-4.1-mini.
TOKENS_PER_PICTURE = 545
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
    """The model endpoint gave no usable reply; `status` is its HTTP status where that was the reason."""

    status: int | None = None


class UnusableReplyError(ChatModelError):
    """The endpoint works, and has no reply to this: it withheld it, sent an empty one or wrote without an end."""


class ChatModel(Protocol):
    """Writes a reply to a conversation, piece by piece."""

    @property
    def name(self) -> str:
        """The model's name, recorded as the tier that answered."""

    def stream(
        self, messages: Sequence[ChatMessage], *, on_usage: OnUsage | None = None, ends_at: float = math.inf
    ) -> Iterator[str]:
        """The reply as it arrives; raises ChatModelError, also in the middle, and at `ends_at` (`time.monotonic`).

        `on_usage` is told once what the call took, also of one that failed after it was sent.
        """


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
        token_cap: TokenCap | None = None,
        prices: Prices | None = None,
    ) -> None:
        """`timeout_seconds` bounds each silence, `deadline_seconds` a whole reply with its retries.

        `model_setting` is what an error tells the user to change; `token_cap` may end the spending for a day, `prices`
        turn tokens into dollars.
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
        self._token_cap = token_cap
        self._prices = prices
        self._breaker = CircuitBreaker()

    def __repr__(self) -> str:
        return f"OpenAIChat({shown_address(self._url)!r}, model={self._model!r})"

    @property
    def name(self) -> str:
        """The model's name; until the first reply, where an endpoint's first model will be taken from."""
        return self._model or f"first model of {shown_address(self._url)}"

    def stream(
        self, messages: Sequence[ChatMessage], *, on_usage: OnUsage | None = None, ends_at: float = math.inf
    ) -> Iterator[str]:
        """The reply as it arrives; raises ChatModelError within the deadline, whatever the endpoint does."""
        from anyio.from_thread import start_blocking_portal

        seconds = min(ends_at - time.monotonic(), self._deadline_seconds)
        if seconds <= 0:
            raise self._error(Problem("was left no time to answer", "Raise PLAYHEAD_ANSWER_SECONDS"))
        call = _Call(conversation(messages), estimate_prompt(messages), seconds, time.monotonic() + seconds)
        reserved = self._admit(call)
        # The SDK runs on an event loop in a thread of its own: only there can a sleep before a retry, a silence and a
        # trickle of empty lines all be cut at the deadline.
        try:
            with start_blocking_portal() as portal:
                deltas = self._deltas(call)
                try:
                    while (delta := portal.call(self._next, deltas, call)) is not None:
                        call.reply_characters += len(delta)
                        yield delta
                    self._breaker.succeeded()
                finally:
                    portal.call(deltas.aclose)
        finally:
            if self._token_cap:
                self._token_cap.settle(reserved, call.usage().total_tokens)
            if on_usage and call.is_sent:
                on_usage(self._prices.priced(call.usage()) if self._prices else call.usage())

    def _admit(self, call: _Call) -> int:
        """The tokens set aside for a call; a ChatModelError when it may not be made."""
        wait_seconds = self._breaker.admit()
        if wait_seconds:
            remedy = f"It is tried again in {math.ceil(wait_seconds)} s"
            raise self._error(Problem("failed several times in a row and is left alone", remedy))
        reserved = call.prompt_tokens + self._max_reply_tokens
        if self._token_cap and not self._token_cap.reserve(reserved):
            fact = f"may take {self._token_cap.tokens_a_day:,} tokens a day, which are spent"
            raise self._error(Problem(fact, "Wait, or raise PLAYHEAD_ANSWER_TOKENS_A_DAY"))
        return reserved

    async def _next(self, deltas: AsyncGenerator[str], call: _Call) -> str | None:
        """The next piece, or None at the end; every failure of the endpoint becomes a ChatModelError here."""
        import openai

        status: int | None = None
        try:
            async with asyncio.timeout(call.ends_at - time.monotonic()):
                return await anext(deltas, None)
        except TimeoutError:
            remedy = "Raise PLAYHEAD_ANSWER_SECONDS or take a faster model"
            problem = Problem(f"was not done after {call.seconds:.3g} s", remedy)
        except openai.APITimeoutError:
            problem = Problem(f"sent nothing for {self._timeout_seconds:g} s", "See whether it is overloaded")
        except openai.APIConnectionError as error:
            problem = connection_problem(error)
        except openai.APIStatusError as error:
            problem, status = status_problem(error, self._model_setting), error.status_code
            if error.code in WITHHELD:
                self._breaker.succeeded()
                raise self._error(problem, UnusableReplyError) from None
        except openai.APIError as error:
            problem = Problem("reported an error", "See its log", error.message)
        except UnusableReplyError:
            self._breaker.succeeded()
            raise
        except ChatModelError:
            self._breaker.failed()
            raise
        except (ValueError, AttributeError, TypeError, KeyError):  # no JSON, or JSON that the SDK trips over
            problem = Problem("sent a reply that is not JSON", "Check that OPENAI_BASE_URL is a chat endpoint")
        if status not in REQUEST_ERRORS:
            self._breaker.failed()
        failure = self._error(problem)
        failure.status = status
        raise failure from None  # the SDK's errors hold the request, and with it the key

    async def _deltas(self, call: _Call) -> AsyncGenerator[str]:
        async with self._client() as client, await self._open_patiently(client, call) as chunks:
            call.is_sent = True
            content_type = chunks.response.headers.get("content-type", "")
            if "text/event-stream" not in content_type:
                kind = content_type.partition(";")[0] or "nothing"
                raise self._error(Problem(f"sent {kind} and no stream", "Check OPENAI_BASE_URL, it mostly ends in /v1"))
            empty, reason = True, None
            async for chunk in chunks:
                text, finished = read_chunk(chunk)
                reason = finished or reason
                call.counted = read_usage(chunk) or call.counted
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

    def _client(self) -> Any:
        import openai

        timeout = openai.Timeout(self._timeout_seconds, connect=min(CONNECT_SECONDS, self._timeout_seconds))
        http_client = openai.DefaultAsyncHttpxClient(
            # A proxy is for the world outside; a model on this machine would not be found through it.
            trust_env=not is_loopback(self._host),
            timeout=timeout,
        )
        return openai.AsyncOpenAI(
            base_url=self._url,
            api_key=self._api_key or "none",
            timeout=timeout,
            max_retries=0,  # ours are fewer: the SDK's also follow a silence, 408 and 409, and come back together
            http_client=http_client,
        )

    async def _open_patiently(self, client: Any, call: _Call) -> Any:
        """The stream of chunks, after retries where they can help and the time allows."""
        import openai

        tries = 0
        while True:
            try:
                self._model = self._model or await self._first_model(client)
                return await self._open(client, call.messages)
            except openai.APIError as error:
                wait_seconds = retry_wait(error, tries) if tries < MAX_RETRIES else None
                if wait_seconds is None or time.monotonic() + wait_seconds >= call.ends_at:
                    raise
                if not self._breaker.admit_retry():
                    raise
                self._breaker.failed()
                tries += 1
            await asyncio.sleep(wait_seconds)

    async def _open(self, client: Any, messages: Sequence[dict[str, Any]]) -> Any:
        """The stream of chunks; options that the model refuses are renamed or left out, each once."""
        import openai

        options: dict[str, Any] = {
            "temperature": 0,
            "max_tokens": self._max_reply_tokens,
            "stream_options": {"include_usage": True},
        }
        while True:
            try:
                return await client.chat.completions.create(
                    model=self._model, messages=messages, stream=True, **options
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = next(
                    (name for name in RENAMED_OPTIONS if name in options and names_option(error, name)), None
                )
                if refused is None:
                    raise
                value, renamed = options.pop(refused), RENAMED_OPTIONS[refused]
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


@dataclass(slots=True)
class _Call:
    """One call on its way: what is sent until when, and what came back so far."""

    messages: list[dict[str, Any]]
    prompt_tokens: int
    seconds: float
    ends_at: float
    is_sent: bool = False
    counted: Usage | None = None
    reply_characters: int = 0

    def usage(self) -> Usage:
        """What the endpoint counted, else an estimate; nothing for a call that was never accepted."""
        if not self.is_sent:
            return Usage()
        return self.counted or Usage(self.prompt_tokens, math.ceil(self.reply_characters / 4), is_estimated=True)


def conversation(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The messages in OpenAI's form, with the bytes of their pictures, never a link that someone fetches."""
    return [{"role": message.role, "content": _content(message)} for message in messages]


def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    if not message.pictures:
        return message.content
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
    for picture in message.pictures:
        if picture.label:
            parts.append({"type": "text", "text": picture.label})
        data = base64.b64encode(picture.jpeg).decode()
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
    return parts


def estimate_prompt(messages: Sequence[ChatMessage]) -> int:
    """About how many tokens the messages take."""
    return sum(estimate_tokens(message.content) + TOKENS_PER_PICTURE * len(message.pictures) for message in messages)


def retry_wait(error: Any, tries: int) -> float | None:
    """Seconds to wait before trying again what failed with this error; None when trying again cannot help.

    Tried again are 429, 5xx and connections that broke, but no silence, which has used up its time.
    """
    import openai

    if isinstance(error, openai.APITimeoutError):
        return None
    backoff_seconds = random.uniform(0, min(FIRST_BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS))
    if isinstance(error, openai.APIStatusError):
        if error.code == "insufficient_quota" or (error.status_code != 429 and error.status_code < 500):
            return None
        asked_seconds = read_retry_after(error.response.headers.get("retry-after", ""))
        return backoff_seconds if asked_seconds is None else asked_seconds + backoff_seconds
    return backoff_seconds if isinstance(error, openai.APIConnectionError) else None


def read_retry_after(header: str) -> float | None:
    """The seconds that a Retry-After header asks to wait, given as such or as a date; None where it says neither."""
    with suppress(ValueError):
        seconds = float(header)
        return max(seconds, 0.0) if not math.isnan(seconds) else None
    with suppress(ValueError, OverflowError):
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    return None


def names_option(error: Any, name: str) -> bool:
    """Whether an endpoint refuses this option: OpenAI says so in a field of its own, others in their words."""
    return error.param == name if error.param else name in str(error.body)


def read_usage(chunk: Any) -> Usage | None:
    """The tokens counted so far; None where a chunk does not say or says nonsense. A total alone counts as the prompt's."""
    told = getattr(chunk, "usage", None)
    prompt, reply, total = (
        count if isinstance(count, int) and count > 0 else 0
        for count in (getattr(told, f"{part}_tokens", 0) for part in ("prompt", "completion", "total"))
    )
    return Usage(prompt or total - reply, reply) if prompt or total > reply else None


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
