"""The topic classifier: its prompt file, the file fitted from it, and what it does with another text model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from guards.topic_classifier import (
    FITTED,
    MAX_VARIANTS,
    STEPS_PER_UNIT,
    Prompt,
    as_steps,
    as_units,
    fit_topic_classifier,
    kernel_ridge,
    load_topic_classifier,
    prompts_sha256,
    read_prompts,
)
from ingest.text_embedding import load_text_embedder
from tests.fakes import HashEmbedder


def test_the_fitted_file_belongs_to_the_prompts() -> None:
    with safe_open(FITTED, framework="numpy") as fitted:
        assert fitted.metadata()["prompts"] == prompts_sha256(), "run: python -m evaluation.fit_topics"


def test_a_line_stands_for_its_variants(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("# about\n\n[cats]\n+ (May|Can) I pet (it|her)?\n- What is a cat?\n", "utf-8")
    prompts = read_prompts(path)
    assert [prompt.text for prompt in prompts] == [
        "May I pet it?",
        "May I pet her?",
        "Can I pet it?",
        "Can I pet her?",
        "What is a cat?",
    ]
    assert prompts[0] == Prompt("cats", True, "May I pet it?", 0.25)
    assert prompts[-1] == Prompt("cats", False, "What is a cat?", 1.0)


def test_of_many_variants_a_few_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("[x]\n+ (a|b|c|d) (1|2|3|4)\n", "utf-8")
    texts = [prompt.text for prompt in read_prompts(path)]
    assert len(texts) == MAX_VARIANTS
    assert {text[0] for text in texts} == set("abcd")


@pytest.mark.parametrize("text", ["+ before a topic\n", "[x]\nno sign\n", "[x]\n* a star\n"])
def test_a_line_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="is no"):
        read_prompts(path)


def test_no_prompt_is_on_both_sides() -> None:
    sides: dict[str, set[bool]] = {}
    for prompt in read_prompts():
        sides.setdefault(prompt.text, set()).add(prompt.claimed)
    assert [text for text, both in sides.items() if len(both) > 1] == []


def test_what_is_fitted_tells_its_own_prompts_apart() -> None:
    vectors = np.eye(4, dtype=np.float32)
    prompts = [
        Prompt("violence", True, "a", 1.0),
        Prompt("violence", False, "b", 1.0),
        Prompt("legal", True, "c", 1.0),
        Prompt("none", False, "d", 1.0),
    ]
    weights = kernel_ridge(vectors, prompts, ["violence", "legal"])
    scores = np.exp(4 * (vectors @ vectors.T - 1)) @ weights
    assert (scores[:, 0] > 0).tolist() == [True, False, False, False]
    assert (scores[:, 2] > 0).tolist() == [False, False, True, False]


def test_steps_keep_a_unit_vector() -> None:
    vector = np.array([[0.25, -0.3, 0.001]], dtype=np.float32)
    assert np.abs(as_units(as_steps(vector)) - vector).max() <= 0.5 / STEPS_PER_UNIT + 1e-6


def test_without_the_model_it_was_fitted_for_there_is_none(tmp_path: Path) -> None:
    assert load_topic_classifier(None) is None
    assert load_topic_classifier(HashEmbedder()) is None
    assert load_topic_classifier(HashEmbedder(), tmp_path / "missing.safetensors") is None


@pytest.mark.slow
def test_the_fitted_file_is_what_the_prompts_give(tmp_path: Path, model_cache: Path) -> None:
    embedder = load_text_embedder("auto", model_cache)
    if embedder is None:
        pytest.skip("MiniLM's weights are not here")
    fit_topic_classifier(embedder, read_prompts(), tmp_path / "again.safetensors")
    again, shipped = (load_topic_classifier(embedder, path) for path in (tmp_path / "again.safetensors", FITTED))
    assert again and shipped
    questions = ["How do I kill a nurse?", "What is a cell?", "Why are Poles so lazy?", "Should I sell my shares?"]
    for ours, theirs in zip(again.scores(questions), shipped.scores(questions), strict=True):
        assert abs(ours.harm - theirs.harm) < 0.05
