"""The form of a CLIP or SigLIP model that OpenVINO runs: made once, compared with torch, kept, and used where it is better."""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ingest.text_embedding import unit_rows

if TYPE_CHECKING:
    from PIL import Image

    from ingest.clip import TorchTowers

FORM = 1  # of the folder; what an older program wrote is made again
ONE_PICTURE_SIZE = ("clip", "siglip")  # models whose pictures are all of one size; others stay with torch
MIN_COSINE = 0.99
TEST_SECONDS = 2.0
TEST_ROUNDS = 3  # at least; of one round each a busy machine called the wrong one faster
TEST_PICTURES = 8
TEST_TEXTS = ("a photo of a dog", "two people talk in front of a blackboard", "Red", "")

log = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


class OpenVinoTowers:
    """Both halves run by OpenVINO, from the folder that `faster_form` wrote. Texts need neither torch nor transformers."""

    def __init__(self, weights: Path, folder: Path) -> None:
        import openvino
        from tokenizers import Tokenizer

        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self.dimension, self.logit_scale = int(facts["dimension"]), float(facts["logit_scale"])
        self._lower_case = bool(facts["lower_case"])
        self._weights = weights
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        core = openvino.Core()
        self._images, self._texts = (core.compile_model(folder / f"{part}.xml", "CPU") for part in ("images", "texts"))

    def images(self, pictures: Sequence[Image.Image]) -> Vectors:
        pixels = self._processor(images=list(pictures), return_tensors="np")["pixel_values"]
        vectors: Vectors = self._images.create_infer_request().infer([pixels])[0].copy()
        return vectors

    def texts(self, texts: Sequence[str]) -> Vectors:
        words = [text.lower() for text in texts] if self._lower_case else list(texts)
        encoded = self._tokenizer.encode_batch(words)
        inputs = [np.array([row.ids for row in encoded]), np.array([row.attention_mask for row in encoded])]
        vectors: Vectors = self._texts.create_infer_request().infer(inputs[: len(self._texts.inputs)])[0].copy()
        return vectors

    @functools.cached_property
    def _processor(self) -> Any:
        from transformers import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(self._weights, trust_remote_code=False)


def faster_form(weights: Path, folder: Path) -> OpenVinoTowers | None:
    """The model in OpenVINO's form, or None where torch serves better on this machine.

    The first call for new weights makes it, compares both for about two seconds and writes the verdict into `folder`;
    later calls read it. Measured on the size of CLIP ViT-B/32, random weights, two busy cores: 1.5 times as fast as torch with
    the preparation of the pictures, 2.2 times without, cosine 1.0000.
    """
    if not _is_kept(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                made = Path(scratch) / "form"
                made.mkdir()
                _make(weights, made)
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(made, folder)
        except OSError as error:
            if not _is_kept(folder):  # another process may have been first
                log.warning("no faster form of %s can be kept in %s: %s", weights.name, folder, error)
                return None
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return OpenVinoTowers(weights, folder) if facts["is_better"] else None


def _is_kept(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "facts.json").read_text(encoding="utf-8"))["form"] == FORM)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(weights: Path, folder: Path) -> None:
    """Convert both halves into `folder`, compare them with torch and write `facts.json`, last."""
    from ingest.clip import TorchTowers

    torch_form = TorchTowers(weights)
    facts = {
        "form": FORM,
        "is_better": False,
        "dimension": torch_form.dimension,
        "logit_scale": torch_form.logit_scale,
        "lower_case": torch_form.is_siglip,
    }
    can_be_made = torch_form.model.config.model_type in ONE_PICTURE_SIZE and hasattr(
        torch_form.processor.tokenizer, "backend_tokenizer"
    )
    if can_be_made:
        _convert(torch_form, folder)
        _write(folder, facts)
        facts |= compare(torch_form, OpenVinoTowers(weights, folder))
    _write(folder, facts)


def _write(folder: Path, facts: dict[str, Any]) -> None:
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def compare(torch_form: Any, other: Any) -> dict[str, Any]:
    """How near and how fast the other form is, on the same drawn pictures and on texts."""
    pictures = drawn_pictures()
    similar = [
        np.sum(unit_rows(torch_form.images(pictures)) * unit_rows(other.images(pictures)), axis=1).min(),
        np.sum(unit_rows(torch_form.texts(TEST_TEXTS)) * unit_rows(other.texts(TEST_TEXTS)), axis=1).min(),
    ]
    before, after = _seconds_each([lambda: torch_form.images(pictures), lambda: other.images(pictures)])
    least = float(min(similar))
    return {
        "is_better": is_better(before, after, least),
        "least_cosine": least,
        "pictures_per_second": TEST_PICTURES / after,
        "pictures_per_second_in_torch": TEST_PICTURES / before,
    }


def is_better(seconds_before: float, seconds_after: float, least_cosine: float) -> bool:
    """Whether a form is worth taking: faster, and the same for every picture and text."""
    return seconds_after < seconds_before and least_cosine >= MIN_COSINE


def _seconds_each(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The least seconds of each call, in turns, until the time of the test is over; other work on the machine only adds."""
    spent: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + TEST_SECONDS
    while len(spent[-1]) < TEST_ROUNDS or time.perf_counter() < end:
        for call, seconds in zip(calls, spent, strict=True):
            begun = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begun)
    return [min(seconds) for seconds in spent]


def drawn_pictures() -> list[Image.Image]:
    """Drawn pictures that differ: soft gradients with discs on them."""
    from PIL import Image, ImageDraw

    chance = np.random.default_rng(0)
    pictures = []
    for _ in range(TEST_PICTURES):
        corners = Image.fromarray(chance.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        picture = corners.resize((320, 240), Image.Resampling.BICUBIC)
        for left, top, side in chance.integers(10, 180, (5, 3)).tolist():
            colour = tuple(chance.integers(0, 256, 3).tolist())
            ImageDraw.Draw(picture).ellipse((left, top, left + side, top + side), fill=colour)
        pictures.append(picture)
    return pictures


def _convert(towers: TorchTowers, folder: Path) -> None:
    """Write `images.xml`, `texts.xml` and `tokenizer.json`, which pads and cuts as the model wants it."""
    import openvino
    import torch
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    model = towers.model

    class Images(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.model.get_image_features(pixel_values=pixel_values).pooler_output
            return features

    class Texts(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
            features: torch.Tensor = self.model.get_text_features(
                input_ids=input_ids, attention_mask=attention_mask
            ).pooler_output
            return features

    pictures = towers.processor(images=drawn_pictures()[:2], return_tensors="pt")
    words = towers.processor(text=towers.prepared(TEST_TEXTS), return_tensors="pt", truncation=True, **towers.padding)
    ids = (words["input_ids"],) if towers.is_siglip else (words["input_ids"], words["attention_mask"])
    with warnings.catch_warnings():  # tracing warns of constants; the comparison with torch tells whether they matter
        warnings.simplefilter("ignore")
        for name, part, example in (("images", Images(), (pictures["pixel_values"],)), ("texts", Texts(), ids)):
            converted = openvino.convert_model(part, example_input=example)
            openvino.save_model(converted, folder / f"{name}.xml", compress_to_fp16=True)
    tokenizer = towers.processor.tokenizer
    fast = tokenizer.backend_tokenizer
    length = towers.padding["max_length"]
    fast.enable_truncation(length)
    fast.enable_padding(
        pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token, length=length if towers.is_siglip else None
    )
    fast.save(str(folder / "tokenizer.json"))
