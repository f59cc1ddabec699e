"""The text embedder: the same vectors as sentence-transformers, checked weights, any model of the known kinds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.schema import PlayheadError
from ingest.text_embedding import (
    MINILM,
    SentenceEmbedder,
    is_known_language,
    load_text_embedder,
    packaged_minilm,
)

TEXTS = ["A bee dances.", "", "Fresnel built a lens " * 60, "蜜蜂 🐝 naïve", "dough"]
needs_minilm = pytest.mark.skipif(packaged_minilm() is None, reason="the extra `offline` is not installed")


@needs_minilm
def test_the_vectors_are_those_of_sentence_transformers(model_cache: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours = load_text_embedder("auto", model_cache)
    assert ours is not None
    assert (ours.name, ours.dimension) == (MINILM, 384)
    theirs = SentenceTransformer(str(packaged_minilm()), device="cpu").encode(TEXTS, normalize_embeddings=True)
    assert np.sum(ours.embed(TEXTS) * theirs, axis=1).min() > 0.995
    tokens = ours.embed_tokens(TEXTS)
    assert [rows.shape[1] for rows in tokens] == [384] * len(TEXTS)
    assert np.allclose(np.linalg.norm(np.concatenate(tokens), axis=1), 1.0, atol=1e-3)
    assert ours.embed([]).shape == (0, 384)


@needs_minilm
def test_other_weights_under_the_name_of_minilm_are_refused(tmp_path: Path, model_cache: Path) -> None:
    weights = packaged_minilm()
    assert weights is not None
    shutil.copytree(weights, tmp_path / "model")
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x01\x02\x03")
    with pytest.raises(PlayheadError, match="SHA-256"):
        SentenceEmbedder(MINILM, tmp_path / "model", model_cache)


def tiny_model(folder: Path, pooling: str) -> Path:
    """A random model of two layers in the real format."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {
        word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "bee", "dance", "bread"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=7, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return folder


@pytest.mark.parametrize("pooling", [pytest.param("mean_tokens", marks=pytest.mark.slow), "cls_token"])
def test_a_folder_with_another_model_is_loaded_by_its_pooling(tmp_path: Path, pooling: str) -> None:
    folder = tiny_model(tmp_path / "model", pooling)
    embedder = load_text_embedder(str(folder), tmp_path / "cache")
    assert embedder is not None
    assert embedder.dimension == 32
    vectors = embedder.embed(["bee dance", "bread", "bee dance bread bee"])
    assert vectors.shape == (3, 32)
    again = load_text_embedder(str(folder), tmp_path / "cache")
    assert again is not None
    assert np.allclose(vectors, again.embed(["bee dance", "bread", "bee dance bread bee"]), atol=1e-3)


def test_an_unknown_pooling_is_told(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", "lasttoken")
    with pytest.raises(PlayheadError, match="mean or CLS"):
        load_text_embedder(str(folder), tmp_path / "cache")


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", "mean_tokens")
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    embedder = load_text_embedder(str(folder), blocked / "cache")
    assert embedder is not None
    assert embedder.embed(["bee"]).shape == (1, 32)


def test_a_model_that_cannot_be_had_is_none(tmp_path: Path) -> None:
    assert load_text_embedder("somebody/some-model", tmp_path) is None


def test_minilm_reads_english_only_and_unknown_models_are_trusted() -> None:
    assert is_known_language(MINILM, "en")
    assert not is_known_language(MINILM, "de")
    assert is_known_language("intfloat/multilingual-e5-small", "de")
