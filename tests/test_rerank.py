"""Rerankers put the text that answers first, and a cross-encoder is loaded from its real format."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import HashEmbedder

from retrievers.rerank import CrossEncoderReranker, LateInteractionReranker, Reranker, load_cross_encoder

TEXTS = ["the dough rises in the bowl", "the bee dances on the comb", "a lamp in a tower"]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random cross-encoder in the real format."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for text in TEXTS for word in text.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_late_interaction_prefers_the_text_that_answers() -> None:
    scores = LateInteractionReranker(HashEmbedder()).score("who dances on the comb", TEXTS)
    assert scores.index(max(scores)) == 1
    assert all(-1.0 <= score <= 1.0 for score in scores)


def test_a_cross_encoder_folder_is_used_when_it_is_there(cross_encoder: Path) -> None:
    reranker = load_cross_encoder(str(cross_encoder))
    assert isinstance(reranker, CrossEncoderReranker)
    scores = reranker.score("who dances", TEXTS)
    assert len(scores) == len(TEXTS)
    assert scores == reranker.score("who dances", TEXTS)


def test_without_weights_there_is_none() -> None:
    assert load_cross_encoder("auto") is None


def test_nothing_to_read_is_nothing_to_score(cross_encoder: Path) -> None:
    rerankers: list[Reranker] = [LateInteractionReranker(HashEmbedder()), CrossEncoderReranker("tiny", cross_encoder)]
    assert [reranker.score("x", []) for reranker in rerankers] == [[], []]
