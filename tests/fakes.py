"""Fakes that behave: deterministic, explainable, and used through the same door as the real part."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.usage import OnUsage, Usage
from ingest.text_embedding import TokenVectors
from prompts.draft import ChatMessage

Vectors = NDArray[np.float32]


class HashEmbedder:
    """A bag of words: each word has its own direction, so texts are near in the measure that they share words."""

    def __init__(self, dimension: int = 64, name: str = "hash", revision: str = "1") -> None:
        self.name = name
        self.revision = revision
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, shape (texts, dimension); a text without words is a vector of its own."""
        sums = [tokens.sum(axis=0) for tokens in self.embed_tokens(texts)]
        return _unit(np.stack(sums)) if sums else np.zeros((0, self.dimension), dtype=np.float32)

    def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One unit vector a word: shape (words, dimension) for each text."""
        return [np.stack([self._direction(word) for word in _words(text)]) for text in texts]

    def embed_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[TokenVectors]]:
        """The same, and each word with the character where it starts."""
        starts = [[match.start() for match in re.finditer(r"\w+", text)] or [0] for text in texts]
        tokens = [
            TokenVectors(rows, np.array(at, dtype=np.uint32))
            for rows, at in zip(self.embed_tokens(texts), starts, strict=True)
        ]
        return self.embed(texts), tokens

    def _direction(self, word: str) -> Vectors:
        seed = int.from_bytes(hashlib.sha256(f"{self.name}/{word}".encode()).digest()[:8], "big")
        row: Vectors = _unit(np.random.default_rng(seed).standard_normal((1, self.dimension)))[0]
        return row


class ScriptedChat:
    """Plays a queue of replies, an exception among them is raised, and keeps the list of prompts it was given."""

    def __init__(self, *replies: str | Exception, name: str = "scripted", chunk_characters: int = 7) -> None:
        self.name = name
        self.replies = list(replies)
        self.prompts: list[list[ChatMessage]] = []
        self._chunk_characters = chunk_characters

    def stream(
        self, messages: Sequence[ChatMessage], *, on_usage: OnUsage | None = None, ends_at: float = math.inf
    ) -> Iterator[str]:
        """The next reply in small pieces; asking more often than scripted is the test's mistake."""
        self.prompts.append(list(messages))
        if not self.replies:
            raise AssertionError(f"ScriptedChat was asked {len(self.prompts)} times and has no reply left")
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        for start in range(0, len(reply), self._chunk_characters):
            yield reply[start : start + self._chunk_characters]
        if on_usage:
            on_usage(Usage(100, len(reply)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower()) or ["(no words)"]


def _unit(rows: NDArray[np.floating]) -> Vectors:
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
