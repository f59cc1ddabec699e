"""Rerankers: read the question and each text together."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ingest.text_embedding import TextEmbedder, TokenVectors, Vectors
from ingest.weights import find_weights

CROSS_ENCODER = "cross-encoder/ms-marco-MiniLM-L6-v2"
REMEMBERED_TEXTS = 128  # at most 0.4 MB each
HUB_FILES = ("model.safetensors", "*.json", "vocab.txt")


class Reranker(Protocol):
    """Scores how well texts answer a question."""

    name: str

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """One score a text; higher is better, comparable within one call."""


class LateInteractionReranker:
    """For each token of the question the most similar token of the text, averaged (ColBERT, Khattab and Zaharia 2020).

    It remembers the last texts, since quoting reads again what the sufficiency judge has just read. One text at a time costs a
    fifth more than batches of four: 14 against 12 ms for 150 words on two idle cores.
    """

    def __init__(self, embedder: TextEmbedder) -> None:
        self.name = f"late interaction over {embedder.name}"
        self._embedded = functools.lru_cache(REMEMBERED_TEXTS)(lambda text: embedder.embed_with_tokens([text]))

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Mean cosine, -1..1."""
        asked = self.tokens(question).vectors if texts else None
        return [float((asked @ self.tokens(text).vectors.T).max(axis=1).mean()) for text in texts if asked is not None]

    def tokens(self, text: str) -> TokenVectors:
        """The text token by token."""
        return self._embedded(text)[1][0]

    def vector(self, text: str) -> Vectors:
        """The text as a whole: a unit vector (dimension,)."""
        whole: Vectors = self._embedded(text)[0][0]
        return whole


class CrossEncoderReranker:
    """A cross-encoder from sentence-transformers; its logit is the score."""

    def __init__(self, name: str, weights: Path) -> None:
        from sentence_transformers import CrossEncoder

        self.name = f"cross-encoder {name}"
        self._model = CrossEncoder(str(weights), trust_remote_code=False, model_kwargs={"use_safetensors": True})

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        scores = self._model.predict([(question, text) for text in texts], show_progress_bar=False)
        return [float(score) for score in np.asarray(scores).reshape(len(texts), -1)[:, 0]]


def load_cross_encoder(model: str) -> CrossEncoderReranker | None:
    """The cross-encoder of a name or folder ("auto" is ms-marco-MiniLM), or None when its weights cannot be had."""
    name = CROSS_ENCODER if model == "auto" else model
    weights = find_weights(name, HUB_FILES)
    return CrossEncoderReranker(name, weights) if weights else None
