"""Image vectors: CLIP and its kin through transformers, or a perceptual fingerprint where no weights can be had."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.picture_print import PRINT_DIMENSION, fingerprint
from ingest.schema import PlayheadError, VideoError
from ingest.text_embedding import unit_rows
from ingest.weights import find_weights

if TYPE_CHECKING:
    from PIL import Image

# The repository openai/clip-vit-base-patch32 holds its weights as a pickle only; this CLIP ViT-B/32 has safetensors.
CLIP = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
HUB_FILES = ("model.safetensors", "*.json", "merges.txt")

PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")  # none that runs another program to be read
MAX_PICTURE_PIXELS = 80_000_000

log = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


class ImageEmbedder(Protocol):
    """Turns pictures, and texts when it knows them, into vectors that are near when they show the same."""

    name: str
    revision: str
    dimension: int
    logit_scale: float  # what the model was trained to multiply cosines with before a softmax

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        """One unit vector a picture: shape (images, dimension). Raises VideoError for a picture that is damaged."""

    def embed_text(self, texts: Sequence[str]) -> Vectors | None:
        """One unit vector a text: shape (texts, dimension); None when the model knows pictures only."""


class FingerprintEmbedder:
    """A perceptual fingerprint: finds the picture again after re-encoding, scaling and mild crops, and knows no text.

    Measured on 209 pictures (frames of real videos, slides, shapes), cosine of a changed picture to its original, median
    and 5th percentile: JPEG quality 20, 1/4 size, brightness and contrast 0.95 at least; 5% cropped from each side 0.89
    and 0.74; 10% 0.62 and 0.39. The original is first of all in 97%, 97% and 93%. Other pictures: mean 0.01, 99th
    percentile 0.37. Mirrored and rotated pictures are not found.
    """

    name = "fingerprint"
    revision = "1"
    logit_scale = 1.0
    dimension = PRINT_DIMENSION

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        prints = [fingerprint(read_picture(image)) for image in images]
        return unit_rows(np.array(prints, dtype=np.float32).reshape(len(images), self.dimension))

    def embed_text(self, texts: Sequence[str]) -> None:
        return None


def load_image_embedder(model: str, cache_folder: Path | None = None) -> ImageEmbedder | None:
    """The embedder for a hub name, a folder, or the fingerprint's name; None when its weights cannot be had here.

    "auto" is CLIP ViT-B/32, else the fingerprint. A faster form of a model is made once and kept below `cache_folder`;
    without one the model runs as it comes. Raises PlayheadError when weights asked for by name cannot be used.
    """
    if model == FingerprintEmbedder.name:
        return FingerprintEmbedder()
    if model != "auto":
        return _load_clip(model, cache_folder)
    try:
        return _load_clip(CLIP, cache_folder) or FingerprintEmbedder()
    except PlayheadError as error:
        log.warning("%s", error)
        return FingerprintEmbedder()


def _load_clip(name: str, cache_folder: Path | None) -> ImageEmbedder | None:
    from ingest.clip import ClipEmbedder

    weights = find_weights(name, HUB_FILES)
    return ClipEmbedder(weights, name, cache_folder) if weights else None


def read_picture(image: Path) -> Image.Image:
    """The picture upright in RGB. Raises VideoError when it is damaged, too large or not a picture."""
    from PIL import Image, ImageOps

    try:
        with Image.open(image, formats=PICTURE_FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PICTURE_PIXELS:
                raise ValueError(f"{width}x{height} is more than {MAX_PICTURE_PIXELS:,} pixels")
            upright = ImageOps.exif_transpose(picture)
            return (eight_bits(upright) if upright.mode.startswith("I") else upright).convert("RGB")
    except Exception as error:  # each of Pillow's decoders has its own ways to fail on damaged bytes
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise VideoError(f"{image.name} cannot be read as a picture: {reason}") from error


def eight_bits(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 bits as one of 8: Pillow would turn all but the darkest 256 of its values white."""
    from PIL import Image

    return Image.fromarray((np.asarray(picture).clip(0, 0xFFFF) // 257).astype(np.uint8))
