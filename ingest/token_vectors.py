"""The token vectors of one video on the disk: what late interaction compares a question's words with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ingest.text_embedding import TokenVectors

LARGEST = 7  # four bits a number find as well as eight; only a row's direction is needed, so each fills the range

Stored = tuple[NDArray[np.uint8], NDArray[np.uint32]]


class VideoTokens:
    """A folder of safetensors files with the tokens of a video's embedded texts: 32 kB for a minute of speech.

    A text finds its tokens by what it says, so files may be written before the moments they belong to. What another
    model made is not found.
    """

    def __init__(self, folder: Path, revision: str) -> None:
        self._folder = folder
        self._revision = revision

    def read(self, texts: Collection[str]) -> dict[str, TokenVectors]:
        """The tokens of those of the texts that are stored."""
        found: dict[str, TokenVectors] = {}
        wanted = {_key(text): text for text in texts}
        for path in self._files():
            for key, (vectors, starts) in self._stored(path, wanted).items():
                found[wanted[key]] = TokenVectors(_unpacked(vectors), starts)
        return found

    def known(self, texts: Collection[str]) -> set[str]:
        """Those of the texts that are stored."""
        keys: set[str] = set()
        for path in self._files():
            with self._opened(path) as file:
                keys.update(_keys(file))
        return {text for text in texts if _key(text) in keys}

    def add(self, tokens: Mapping[str, TokenVectors]) -> None:
        """Store more texts; they are on the disk when this returns."""
        self._write({_key(text): (_packed(found.vectors), found.starts) for text, found in tokens.items()})

    def keep(self, texts: Collection[str]) -> None:
        """Forget all but these texts, and lay them together in one file."""
        files = self._files()
        wanted = {_key(text) for text in texts}
        kept = {key: stored for path in files for key, stored in self._stored(path, wanted).items()}
        self._write(kept)
        for path in files:
            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors"))

    def _stored(self, path: Path, wanted: Collection[str]) -> dict[str, Stored]:
        with self._opened(path) as file:
            keys = [key for key in _keys(file) if key in wanted]
            return {key: (file.get_tensor(f"{key}.vectors"), file.get_tensor(f"{key}.starts")) for key in keys}

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Any]:
        """The file, or nothing where it is damaged, gone or another model's: what it held can be made again."""
        try:
            with safe_open(path, "numpy") as file:
                yield file if (file.metadata() or {}).get("revision") == self._revision else None
        except (SafetensorError, FileNotFoundError):
            yield None

    def _write(self, tokens: Mapping[str, Stored]) -> None:
        if not tokens:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem) for path in self._files()), default=0) + 1
        tensors: dict[str, NDArray[Any]] = {f"{key}.vectors": vectors for key, (vectors, _) in tokens.items()}
        tensors |= {f"{key}.starts": starts for key, (_, starts) in tokens.items()}
        scratch = self._folder / "new"
        with scratch.open("wb") as file:
            file.write(save(tensors, {"revision": self._revision}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, self._folder / f"{number:04}.safetensors")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _keys(file: Any) -> list[str]:
    return [name.removesuffix(".starts") for name in file.keys() if name.endswith(".starts")] if file else []  # noqa: SIM118


def _packed(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Two numbers a byte: (tokens, dimension) becomes (tokens, dimension / 2)."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    levels = (np.round(vectors / np.maximum(largest, 1e-12) * LARGEST) + LARGEST).astype(np.uint8)
    packed: NDArray[np.uint8] = levels[:, ::2] << 4 | levels[:, 1::2]
    return packed


def _unpacked(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    vectors = np.empty((len(packed), 2 * packed.shape[1]), dtype=np.float32)
    vectors[:, ::2], vectors[:, 1::2] = packed >> 4, packed & 0x0F
    vectors -= LARGEST
    vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-12)[:, None]
    return vectors
