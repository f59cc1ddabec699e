"""Image vectors: CLIP where its weights can be had, else a perceptual fingerprint that finds the same picture again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.schema import VideoError
from ingest.text_embedding import file_sha256, unit_rows
from ingest.weights import find_weights

# The ViT-B/32 that has safetensors on the hub; OpenAI's own is a pickle, which is refused.
CLIP = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
HUB_FILES = ("model.safetensors", "*.json", "merges.txt", "vocab.txt")
BATCH_IMAGES = 16
GREY_SIDE, COLOUR_SIDE = 12, 4
COLOUR_WEIGHT = 0.5

Vectors = NDArray[np.float32]


class ImageEmbedder(Protocol):
    """Turns pictures into vectors that are near when the pictures are alike."""

    name: str
    revision: str
    dimension: int

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        """One unit vector a picture, shape (images, dimension); VideoError for a file that is no picture."""

    def embed_text(self, texts: Sequence[str]) -> Vectors | None:
        """One unit vector a text in the space of the pictures; None when the model reads no text."""


class FingerprintEmbedder:
    """Coarse light and colour of a picture: finds it again re-encoded, scaled or brightened, and knows no meaning."""

    name = "fingerprint"
    revision = "1"
    dimension = GREY_SIDE**2 + 2 * COLOUR_SIDE**2

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        rows = [self._vector(path) for path in images]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def embed_text(self, texts: Sequence[str]) -> Vectors | None:
        return None

    def _vector(self, path: Path) -> Vectors:
        """Mean-free light on a 12x12 grid, and two colour differences on a 4x4 grid at half weight."""
        from PIL import Image

        light, *colours = read_picture(path).convert("YCbCr").split()
        grey = np.asarray(light.resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX), dtype=np.float32).ravel()
        tones = [
            np.asarray(colour.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX), dtype=np.float32).ravel() - 128
            for colour in colours
        ]
        # A floor under the length keeps the noise of an even picture from being blown up into a pattern.
        parts = [(grey - grey.mean()) / max(float(grey.std()), 4.0), COLOUR_WEIGHT * np.concatenate(tones) / 16.0]
        vector = np.concatenate(parts)
        return unit_rows(vector[None])[0] if vector.any() else np.eye(1, self.dimension, dtype=np.float32)[0]


class ClipEmbedder:
    """CLIP or SigLIP from a transformers folder with safetensors weights; on the GPU when torch sees one."""

    def __init__(self, name: str, weights: Path) -> None:
        import torch
        from transformers import AutoModel, AutoProcessor

        self.name = name
        self.revision = file_sha256(weights / "model.safetensors")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModel.from_pretrained(weights, use_safetensors=True, trust_remote_code=False)
        self._model = model.eval().to(self._device)
        self._processor = AutoProcessor.from_pretrained(weights, trust_remote_code=False)
        self.dimension = int(self.embed_text(["a picture"]).shape[1])

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        batches = [images[start : start + BATCH_IMAGES] for start in range(0, len(images), BATCH_IMAGES)]
        rows = [
            self._run("get_image_features", images=[read_picture(path) for path in batch])
            for batch in batches
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        return self._run("get_text_features", text=list(texts), padding="max_length", truncation=True)

    def _run(self, method: str, **inputs: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            prepared = self._processor(return_tensors="pt", **inputs).to(self._device)
            features = getattr(self._model, method)(**prepared)
            features = getattr(features, "pooler_output", features)  # transformers 5 returns an output object
            return unit_rows(features.float().cpu().numpy())


def load_image_embedder(model: str) -> ImageEmbedder | None:
    """The embedder for a hub name or folder, or None when its weights cannot be had; "auto" is CLIP, else the fingerprint."""
    if model == FingerprintEmbedder.name:
        return FingerprintEmbedder()
    name = CLIP if model == "auto" else model
    weights = find_weights(name, HUB_FILES)
    if weights:
        return ClipEmbedder(name, weights)
    return FingerprintEmbedder() if model == "auto" else None


def read_picture(path: Path) -> Any:
    """An RGB Pillow image, upright; VideoError in one line when the file is no picture or a bomb."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(path)
        picture.draft("RGB", (512, 512))
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise VideoError(f"{path} is not a picture that can be read ({error}). Give a JPEG or PNG file.") from error
