"""Image embedders: real loading of tiny CLIP and SigLIP folders, and the fingerprint's separation of pictures."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from ingest import clip_openvino
from ingest.clip import ClipEmbedder, TorchTowers
from ingest.clip_openvino import OpenVinoTowers, compare, faster_form, is_better
from ingest.picture_print import fingerprint
from ingest.schema import PlayheadError, VideoError
from ingest.visual_embedding import CLIP, HUB_FILES, FingerprintEmbedder, load_image_embedder, read_picture

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PICTURES = 30


def picture(seed: int) -> Image.Image:
    """Ellipses of random colours and places."""
    rng = np.random.default_rng(seed)
    canvas = Image.new("RGB", (640, 360), tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(canvas)
    for _ in range(8):
        left, top, width, height = rng.integers(0, (560, 300, 250, 200)).tolist()
        pen.ellipse((left, top, left + 40 + width, top + 40 + height), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return canvas


def save(folder: Path, pictures: list[Image.Image]) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(pictures))]
    for path, image in zip(paths, pictures, strict=True):
        image.save(path)
    return paths


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    return image.crop((width * share, height * share, width * (1 - share), height * (1 - share)))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def make_clip(folder: Path) -> Path:
    """A CLIP with random weights, laid out as the hub's older repositories are."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    CLIPTokenizerFast({word: number for number, word in enumerate(words)}, []).save_pretrained(folder)
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config={**small, **ends, "vocab_size": len(words)},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    old_form = {"crop_size": 32, "size": 32, "resample": 3, "do_resize": True, "do_center_crop": True}
    old_form |= {"do_normalize": True, "feature_extractor_type": "CLIPFeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(old_form))
    return folder


def make_siglip(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, models
    from transformers import (
        PreTrainedTokenizerFast,
        SiglipConfig,
        SiglipImageProcessorPil,
        SiglipModel,
        SiglipProcessor,
    )

    words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    torch.manual_seed(0)
    small = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    config = SiglipConfig(
        text_config={**small, **ends, "vocab_size": len(words), "max_position_embeddings": 16},
        vision_config={**small, "image_size": 32, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(folder)
    SiglipProcessor(SiglipImageProcessorPil(size={"height": 32, "width": 32}), fast).save_pretrained(folder)
    return folder


def make_siglip2(folder: Path) -> Path:
    """SigLIP 2 in the form that takes pictures of any shape; those of one size are SigLIP folders."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import (
        PreTrainedTokenizerFast,
        Siglip2Config,
        Siglip2ImageProcessorPil,
        Siglip2Model,
        Siglip2Processor,
    )

    words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    torch.manual_seed(0)
    small = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    config = Siglip2Config(
        text_config={**small, **ends, "vocab_size": len(words), "max_position_embeddings": 16, "projection_size": 24},
        vision_config={**small, "num_patches": 256, "patch_size": 16},
    )
    Siglip2Model(config).save_pretrained(folder)
    Siglip2Processor(Siglip2ImageProcessorPil(), fast).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def siglip2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_siglip2(tmp_path_factory.mktemp("models") / "tiny-siglip2")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_siglip(tmp_path_factory.mktemp("models") / "tiny-siglip")


@pytest.mark.parametrize(("maker", "dimension"), [("clip_folder", 16), ("siglip_folder", 24), ("siglip2_folder", 24)])
def test_pictures_and_texts_share_one_space_of_unit_vectors(
    request: pytest.FixtureRequest, tmp_path: Path, maker: str, dimension: int
) -> None:
    folder = request.getfixturevalue(maker)
    embedder = load_image_embedder(str(folder))
    assert embedder is not None
    assert (embedder.name, embedder.dimension) == (str(folder), dimension)
    images = embedder.embed_images(save(tmp_path, [picture(seed) for seed in range(20)]))
    texts = embedder.embed_text(["a cat", "a very long " * 200, ""])
    assert texts is not None
    assert (images.shape, texts.shape) == ((20, dimension), (3, dimension))
    assert (images.dtype, texts.dtype) == (np.float32, np.float32)
    assert np.allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1.0, atol=1e-5)


def test_batches_and_single_pictures_agree(clip_folder: Path, tmp_path: Path) -> None:
    embedder = ClipEmbedder(clip_folder)
    paths = save(tmp_path, [picture(seed) for seed in range(18)])
    together = embedder.embed_images(paths)
    assert np.allclose(together[17], embedder.embed_images(paths[17:])[0], atol=1e-4)
    assert not np.allclose(together[0], together[17], atol=1e-2)
    padded = embedder.embed_text(["a cat", "a considerably longer text"])
    assert np.allclose(padded[0], embedder.embed_text(["a cat"])[0], atol=1e-4)


@pytest.fixture(scope="module", params=["clip_folder", pytest.param("siglip_folder", marks=pytest.mark.slow)])
def faster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model's folder, and the cache that holds its faster form; models this small are equally fast in any form."""
    weights, cache = request.getfixturevalue(request.param), tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_openvino, "_seconds_each", lambda calls: [2.0, 1.0])
        assert isinstance(load_image_embedder(str(weights), cache), ClipEmbedder)
    return weights, cache


def test_the_faster_form_gives_the_vectors_of_torch_under_the_same_name(
    faster: tuple[Path, Path], tmp_path: Path
) -> None:
    weights, cache = faster
    in_torch, in_openvino = (ClipEmbedder(weights, "some/clip", folder) for folder in (None, cache))
    assert isinstance(in_torch._towers, TorchTowers)
    assert isinstance(in_openvino._towers, OpenVinoTowers)
    for fact in ("name", "revision", "dimension", "logit_scale"):
        assert getattr(in_torch, fact) == getattr(in_openvino, fact)
    pictures = save(tmp_path, [picture(seed) for seed in range(18)])
    assert np.sum(in_torch.embed_images(pictures) * in_openvino.embed_images(pictures), axis=1).min() > 0.999
    texts = ["a cat", "A CAT and a dog", "a very long " * 200, ""]
    assert np.sum(in_torch.embed_text(texts) * in_openvino.embed_text(texts), axis=1).min() > 0.999
    assert in_openvino.embed_images([]).shape == in_openvino.embed_text([]).shape == (0, in_torch.dimension)


def test_the_faster_form_reads_texts_without_torch(faster: tuple[Path, Path]) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.visual_embedding import load_image_embedder\n"
        "print(load_image_embedder(sys.argv[1], Path(sys.argv[2])).embed_text(['a cat']).shape)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", program, *map(str, faster)]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[1] == "[]"


def kept_form(cache: Path) -> Path:
    [form] = cache.iterdir()
    return form


def test_the_comparison_measures_both_forms(faster: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    weights, cache = faster
    monkeypatch.setattr(clip_openvino, "TEST_SECONDS", 0.05)
    facts = compare(TorchTowers(weights), OpenVinoTowers(weights, kept_form(cache)))
    assert facts["least_cosine"] > 0.999
    assert facts["is_better"] == (facts["pictures_per_second"] > facts["pictures_per_second_in_torch"])


@pytest.mark.parametrize(
    ("before", "after", "cosine", "better"),
    [(2.0, 1.0, 1.0, True), (2.0, 1.0, 0.99, True), (2.0, 1.0, 0.989, False), (1.0, 1.0, 1.0, False)],
)
def test_a_form_must_be_faster_and_the_same(before: float, after: float, cosine: float, better: bool) -> None:
    assert is_better(before, after, cosine) is better


def test_torch_stays_where_it_was_found_faster(faster: tuple[Path, Path], tmp_path: Path) -> None:
    weights, cache = faster
    shutil.copytree(cache, tmp_path / "cache")
    facts = kept_form(tmp_path / "cache") / "facts.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"is_better": False}))
    embedder = ClipEmbedder(weights, cache_folder=tmp_path / "cache")
    assert isinstance(embedder._towers, TorchTowers)


@pytest.mark.parametrize("left", ["", "{", '{"form": 0}', "[]"])
def test_a_form_that_was_left_half_made_is_made_again(
    faster: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    weights, cache = faster
    monkeypatch.setattr(
        clip_openvino, "_make", lambda _, target: shutil.copytree(kept_form(cache), target, dirs_exist_ok=True)
    )
    (tmp_path / "form").mkdir()
    (tmp_path / "form" / "facts.json").write_text(left)
    assert isinstance(faster_form(weights, tmp_path / "form"), OpenVinoTowers)
    assert [path.name for path in tmp_path.iterdir()] == ["form"]


def test_a_model_for_pictures_of_any_shape_stays_with_torch(siglip2_folder: Path, tmp_path: Path) -> None:
    embedder = load_image_embedder(str(siglip2_folder), tmp_path / "cache")
    assert isinstance(embedder, ClipEmbedder) and isinstance(embedder._towers, TorchTowers)


def test_a_cache_that_cannot_be_written_leaves_torch(clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    embedder = ClipEmbedder(clip_folder, cache_folder=tmp_path / "file" / "cache")
    assert isinstance(embedder._towers, TorchTowers)


def test_nothing_in_nothing_out(clip_folder: Path) -> None:
    embedder = ClipEmbedder(clip_folder)
    assert embedder.embed_images([]).shape == (0, 16)
    assert embedder.embed_text([]).shape == (0, 16)
    assert FingerprintEmbedder().embed_images([]).shape == (0, FingerprintEmbedder.dimension)


def test_the_revision_tells_weights_apart(clip_folder: Path, siglip_folder: Path) -> None:
    assert len({ClipEmbedder(folder).revision for folder in (clip_folder, siglip_folder)}) == 2
    assert ClipEmbedder(clip_folder).revision == ClipEmbedder(clip_folder).revision


def test_loading_prints_nothing(clip_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ClipEmbedder(clip_folder)
    assert capfd.readouterr() == ("", "")


def pickled_weights(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "clip"}')
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def damaged_weights(folder: Path) -> None:
    make_clip(folder)
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


def no_processor(folder: Path) -> None:
    make_clip(folder)
    (folder / "preprocessor_config.json").unlink()


def another_kind_of_model(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    make_clip(folder)
    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(folder)


@pytest.mark.parametrize("spoil", [pickled_weights, damaged_weights, no_processor, another_kind_of_model])
def test_weights_that_cannot_be_used_are_refused_by_name_and_stepped_over_by_default(
    spoil: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path)
    with pytest.raises(PlayheadError) as told:
        load_image_embedder(str(tmp_path))
    assert str(tmp_path) in str(told.value) and "\n" not in str(told.value)
    monkeypatch.setattr("ingest.visual_embedding.find_weights", lambda name, patterns: tmp_path)
    assert isinstance(load_image_embedder("auto"), FingerprintEmbedder)
    assert str(tmp_path) in caplog.text


def test_without_network_the_fingerprint_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for model in ("auto", "fingerprint"):
        assert isinstance(load_image_embedder(model), FingerprintEmbedder)
    assert load_image_embedder("somebody/some-clip") is None


def test_the_default_comes_without_pickles(monkeypatch: pytest.MonkeyPatch, clip_folder: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "ingest.visual_embedding.find_weights", lambda name, files: asked.append((name, files)) or clip_folder
    )
    assert getattr(load_image_embedder("auto"), "name", None) == CLIP
    assert asked == [(CLIP, HUB_FILES)]
    assert not [pattern for pattern in HUB_FILES if pattern.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda image: as_jpeg(image, 20), 0.97),
        (lambda image: image.resize((160, 90)), 0.97),
        (lambda image: image.resize((1280, 960)), 0.97),
        (lambda image: ImageEnhance.Brightness(image).enhance(0.7), 0.95),
        (lambda image: ImageEnhance.Contrast(image).enhance(0.7), 0.95),
        (lambda image: image.convert("L"), 0.7),
        (lambda image: cropped(image, 0.03), 0.8),
        (lambda image: cropped(image, 0.06), 0.6),
    ],
)
def test_a_changed_picture_is_nearest_to_its_original(
    change: Callable[[Image.Image], Image.Image], least: float, tmp_path: Path
) -> None:
    embedder = FingerprintEmbedder()
    originals = embedder.embed_images(save(tmp_path, [picture(seed) for seed in range(PICTURES)]))
    copies = embedder.embed_images(save(tmp_path, [change(picture(seed)) for seed in range(PICTURES)]))
    cosines = copies @ originals.T
    assert (cosines.argmax(axis=1) == np.arange(PICTURES)).all()
    assert np.diag(cosines).min() > least
    others = cosines[~np.eye(PICTURES, dtype=bool)]
    assert np.percentile(others, 99) < 0.5


def test_frames_of_a_video_find_its_other_encoding() -> None:
    pairs = [("mdn/flower.mp4", "mdn/flower.webm"), ("gradio/video_sample.avi", "gradio/video_sample.webm")]
    if not all((DATA / "media" / name).is_file() for pair in pairs for name in pair):
        pytest.skip(f"no real videos at {DATA / 'media'}")
    first, second = (
        np.array([unit(fingerprint(frame)) for pair in pairs for frame in frames(DATA / "media" / pair[side])])
        for side in (0, 1)
    )
    cosines = first @ second.T
    per_video = len(first) // 2
    assert (cosines.argmax(axis=1) // per_video == np.arange(len(first)) // per_video).all()
    assert np.diag(cosines).min() > 0.9


def frames(video: Path) -> list[Image.Image]:
    """The first frame of each of the first four seconds."""
    import av

    with av.open(str(video)) as container:
        found: dict[int, Image.Image] = {}
        for frame in container.decode(video=0):
            found.setdefault(int(frame.time or 0), frame.to_image())
            if len(found) == 5:
                break
    return [found[second] for second in range(4)]


def unit(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(vector / np.linalg.norm(vector))


def test_flat_pictures_have_unit_vectors_and_are_like_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noisy_black = Image.fromarray(rng.integers(0, 2, (90, 160, 3), dtype=np.uint8))
    flat = [Image.new("RGB", (90, 160)), Image.new("RGB", (16, 16), "white"), Image.new("RGB", (1, 1)), noisy_black]
    vectors = FingerprintEmbedder().embed_images(save(tmp_path, flat))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (vectors @ vectors.T).min() > 0.5
    coloured = FingerprintEmbedder().embed_images(
        save(tmp_path, [Image.new("RGB", (9, 9), c) for c in ("red", "blue")])
    )
    assert coloured[0] @ coloured[1] < 0.5


def test_the_fingerprint_knows_no_text() -> None:
    assert FingerprintEmbedder().embed_text(["a cat"]) is None


def bomb() -> bytes:
    """A PNG that says it is 60,000 x 60,000."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def truncated(kind: str) -> bytes:
    buffer = io.BytesIO()
    picture(0).save(buffer, kind)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        bomb(),
        *(truncated(kind) for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP")),
    ],
    ids=["empty", "text", "postscript", "bomb", "jpeg", "png", "gif", "tiff", "webp"],
)
def test_damaged_pictures_are_one_line_errors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(VideoError, match=r"bad\.jpg cannot be read as a picture: .") as told:
        FingerprintEmbedder().embed_images([tmp_path / "bad.jpg"])
    assert "\n" not in str(told.value)


def test_a_missing_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.png"):
        read_picture(tmp_path / "gone.png")


def test_a_rotated_photograph_is_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "phone.jpg", exif=exif)
    assert read_picture(tmp_path / "phone.jpg").size == (20, 40)
