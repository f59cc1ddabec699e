"""Describes pictures with a vision model behind the OpenAI-compatible endpoint, within a budget of tokens."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from app.chat_model import OpenAIChat, UnusableReplyError
from app.usage import Usage
from ingest.schema import PlayheadError
from prompts.describe import build_describe_prompt, read_description
from prompts.draft import Picture

MAX_SIDE_PIXELS = 768
JPEG_QUALITY = 85
# Two sentences take about 60; the rest is room for a model that thinks first.
MAX_REPLY_TOKENS = 1000
# Assumed: 550 for a picture of 768 x 432 pixels (by OpenAI's rules 425 with gpt-4o, 545 with gpt-4.1-mini), 400 for the
# prompt with what is said, 50 for the reply. Some models count a picture several times as high.
TOKENS_PER_PICTURE = 1000
# Pictures in a row that brought no description, after which this run sends no more.
MAX_IN_VAIN = 5


class ModelDescriber:
    """A vision model, what one run may still spend on it, and an end to asking it in vain."""

    def __init__(self, chat: OpenAIChat, budget_tokens: int, templates: Path | None = None) -> None:
        """`templates` is the user's folder of prompts."""
        self.name = chat.name
        self.tokens_left = budget_tokens
        self._chat = chat
        self._templates = templates
        self._in_vain = 0
        self._problem = ""

    def describe(self, picture: Path, said: str) -> str:
        """One or two sentences; empty when the model declines. Raises PlayheadError when it cannot be used."""
        if self._in_vain >= MAX_IN_VAIN:
            raise PlayheadError(f"{self.name} described none of the last {MAX_IN_VAIN} pictures. {self._problem}")
        self._in_vain += 1
        try:
            text = self._ask(picture, said)
        except PlayheadError as error:
            self._problem = str(error)
            raise
        if text:
            self._in_vain = 0
        return text

    def _ask(self, picture: Path, said: str) -> str:
        *before, last = build_describe_prompt(said, self._templates)
        messages = [*before, replace(last, pictures=(Picture("", scaled_jpeg(picture)),))]
        pieces: list[str] = []
        used: list[Usage] = []
        is_answered = False
        try:
            pieces.extend(self._chat.stream(messages, on_usage=used.append))
            is_answered = True
            self._problem = "See whether PLAYHEAD_DESCRIBE_MODEL is a model that sees pictures."
            return read_description("".join(pieces))
        except UnusableReplyError as error:
            is_answered = True
            self._problem = str(error)
            return ""
        finally:
            counted = [usage.total_tokens for usage in used if not usage.is_estimated]
            self.tokens_left -= max(counted, default=TOKENS_PER_PICTURE if is_answered or pieces else 0)


def scaled_jpeg(picture: Path) -> bytes:
    """The picture as a JPEG whose longest side is MAX_SIDE_PIXELS at most. Raises VideoError when it is damaged."""
    from ingest.visual_embedding import read_picture

    image = read_picture(picture)
    image.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=JPEG_QUALITY)
    return held.getvalue()


def estimate_tokens(pictures: int) -> int:
    """What describing so many pictures takes, assuming TOKENS_PER_PICTURE for each, prompt and reply together."""
    return pictures * TOKENS_PER_PICTURE


def told_cost(model: str, pictures: int, budget_tokens: int, dollars_per_million: float | None = None) -> str:
    """The estimate in one line, before anything is sent; in money only where a price is given."""
    tokens = min(estimate_tokens(pictures), budget_tokens)
    price = f", about {tokens * dollars_per_million / 1e6:.2f} dollars" if dollars_per_million is not None else ""
    reach = tokens // TOKENS_PER_PICTURE
    of_all = f"{reach:,} of {pictures:,}" if reach < pictures else f"{pictures:,}"
    return f"{model} describes about {of_all} pictures for about {tokens:,} tokens{price} (at most {budget_tokens:,})."
