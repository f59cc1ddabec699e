"""Image and text vectors by a model of the CLIP or SigLIP family, from a transformers folder with safetensors weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.schema import PlayheadError
from ingest.text_embedding import file_sha256, unit_rows
from ingest.visual_embedding import CLIP, read_picture

if TYPE_CHECKING:
    from PIL import Image

BATCH_IMAGES = 16
GPU_DEVICE = Path("/dev/nvidiactl")  # looked for without torch, whose import takes seconds

Vectors = NDArray[np.float32]


class Towers(Protocol):
    """The two halves of a model, in whatever form runs them; vectors are not scaled to length one yet."""

    dimension: int
    logit_scale: float

    def images(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Shape (pictures, dimension), for a batch that fits into memory."""

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimension)."""


class ClipEmbedder:
    """A model of the CLIP or SigLIP family. Name and revision are those of its weights, whichever form of it runs.

    With a `cache_folder` and no GPU, the form that OpenVINO runs is made once and used where it is faster and the same.
    """

    def __init__(self, weights: Path, name: str | None = None, cache_folder: Path | None = None) -> None:
        from ingest.clip_openvino import faster_form

        if not (weights / "model.safetensors").is_file():
            raise PlayheadError(f"{weights} has no model.safetensors and pickled weights are not read. Choose {CLIP}")
        self.name = name or weights.name
        self.revision = file_sha256(weights / "model.safetensors")
        faster: Towers | None = None
        if cache_folder and not GPU_DEVICE.exists():
            faster = faster_form(weights, cache_folder / f"clip-{self.revision[:16]}")
        self._towers: Towers = faster or TorchTowers(weights)
        self.dimension, self.logit_scale = self._towers.dimension, self._towers.logit_scale

    def embed_images(self, images: Sequence[Path]) -> Vectors:
        batches = [images[start : start + BATCH_IMAGES] for start in range(0, len(images), BATCH_IMAGES)]
        vectors = [unit_rows(self._towers.images(list(map(read_picture, batch)))) for batch in batches]
        return np.concatenate([np.empty((0, self.dimension), dtype=np.float32), *vectors])

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        batches = [texts[start : start + BATCH_IMAGES] for start in range(0, len(texts), BATCH_IMAGES)]
        vectors = [unit_rows(self._towers.texts(batch)) for batch in batches]
        return np.concatenate([np.empty((0, self.dimension), dtype=np.float32), *vectors])


class TorchTowers:
    """The model as it comes, on a GPU where torch finds one."""

    def __init__(self, weights: Path) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model, self.processor = _open(weights)
        self.model.to(self._device)
        self.dimension = self.texts([""]).shape[1]
        self.logit_scale = float(self.model.logit_scale.detach().exp())

    def images(self, pictures: Sequence[Image.Image]) -> Vectors:
        return self._features(self.model.get_image_features, self.processor(images=list(pictures), return_tensors="pt"))

    def texts(self, texts: Sequence[str]) -> Vectors:
        tensors = self.processor(text=self.prepared(texts), return_tensors="pt", truncation=True, **self.padding)
        return self._features(self.model.get_text_features, tensors)

    @property
    def is_siglip(self) -> bool:
        """SigLIP was trained on lower case, padded to full length and without a mask; CLIP lowers by itself."""
        return str(self.model.config.model_type).startswith("siglip")

    @property
    def padding(self) -> dict[str, Any]:
        """How its tokenizer pads and where it cuts."""
        length = self.model.config.text_config.max_position_embeddings
        if self.is_siglip:
            return {"max_length": length, "padding": "max_length", "return_attention_mask": False}
        return {"max_length": length, "padding": True}

    def prepared(self, texts: Sequence[str]) -> list[str]:
        """The texts as the model knows them."""
        return [text.lower() if self.is_siglip else text for text in texts]

    def _features(self, part: Any, tensors: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            features = part(**tensors.to(self._device)).pooler_output
        vectors: Vectors = features.float().cpu().numpy()
        return vectors


def _open(weights: Path) -> tuple[Any, Any]:
    """The model and its processor, which needs no torchvision."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(weights, use_safetensors=True, trust_remote_code=False).eval()
        processor = AutoProcessor.from_pretrained(weights, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise PlayheadError(f"The weights in {weights} cannot be read: {reason}. Delete the folder") from error
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise PlayheadError(f"{weights} is a {type(model).__name__}, not a model of the CLIP family. Choose {CLIP}")
    return model, processor
