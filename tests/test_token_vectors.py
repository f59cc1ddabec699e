"""Token vectors on the disk: found again by their text, near what they were, and none of another model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder

from ingest.text_embedding import TokenVectors
from ingest.token_vectors import VideoTokens

TEXTS = ["a bee dances", "the dough rises", "a lens of glass"]


def tokens_of(*texts: str) -> dict[str, TokenVectors]:
    return dict(zip(texts, HashEmbedder().embed_with_tokens(texts)[1], strict=True))


def test_what_is_stored_comes_back_in_its_direction(tmp_path: Path) -> None:
    made = tokens_of(*TEXTS)
    VideoTokens(tmp_path, "1").add(made)
    found = VideoTokens(tmp_path, "1").read([*TEXTS, "unknown"])
    assert found.keys() == made.keys()
    for text in TEXTS:
        assert found[text].starts.tolist() == made[text].starts.tolist()
        cosines = np.sum(found[text].vectors * made[text].vectors, axis=1)
        assert cosines.min() > 0.98
        assert np.allclose(np.linalg.norm(found[text].vectors, axis=1), 1.0, atol=1e-5)


def test_a_token_takes_half_a_byte_a_dimension(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((200, 384)).astype(np.float32)
    VideoTokens(tmp_path, "1").add({"a minute": TokenVectors(rows, np.arange(200, dtype=np.uint32))})
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 200 * (384 / 2 + 4) + 1000


def test_batches_are_found_together_and_laid_into_one_file(tmp_path: Path) -> None:
    tokens = VideoTokens(tmp_path, "1")
    for text in TEXTS:
        tokens.add(tokens_of(text))
    assert tokens.known(TEXTS) == set(TEXTS)
    tokens.keep(TEXTS[:2])
    assert len(list(tmp_path.iterdir())) == 1
    assert tokens.known(TEXTS) == set(TEXTS[:2])
    tokens.add(tokens_of(TEXTS[2]))
    tokens.keep(TEXTS[1:])
    assert tokens.read(TEXTS).keys() == set(TEXTS[1:])
    tokens.keep([])
    assert not list(tmp_path.iterdir())


def test_tokens_of_another_model_are_not_there(tmp_path: Path) -> None:
    VideoTokens(tmp_path, "1").add(tokens_of(TEXTS[0]))
    other = VideoTokens(tmp_path, "2")
    assert not other.known(TEXTS) and not other.read(TEXTS)
    other.add(tokens_of(TEXTS[1]))
    other.keep(TEXTS)
    assert not VideoTokens(tmp_path, "1").known(TEXTS)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100])
def test_a_damaged_file_holds_nothing_and_does_no_harm(tmp_path: Path, damage: bytes) -> None:
    tokens = VideoTokens(tmp_path, "1")
    tokens.add(tokens_of(TEXTS[0]))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    tokens.add(tokens_of(TEXTS[1]))
    assert tokens.read(TEXTS).keys() == {TEXTS[1]}


def test_a_text_without_tokens_is_known(tmp_path: Path) -> None:
    empty = TokenVectors(np.zeros((0, 64), dtype=np.float32), np.zeros(0, dtype=np.uint32))
    VideoTokens(tmp_path, "1").add({"...": empty})
    assert len(VideoTokens(tmp_path, "1").read(["..."])["..."].vectors) == 0


def test_each_token_must_start_somewhere() -> None:
    with pytest.raises(ValueError, match="2 tokens, 1 starts"):
        TokenVectors(np.zeros((2, 4), dtype=np.float32), np.zeros(1, dtype=np.uint32))
