"""Scores a question by its likeness to labelled prompts: a kernel classifier over the text model's vectors, run offline."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from ingest.text_embedding import TextEmbedder

PROMPTS = Path(__file__).parent / "topic_prompts.txt"
FITTED = Path(__file__).parent / "topic_classifier.safetensors"
NO_TOPIC = "none"
# What is scored together as harm; the other topics are advice, or copies of works.
HARMFUL = ("violence", "crime", "weapons", "drugs", "self_harm", "hate", "sexual", "privacy", "prompt_attack")
MAX_VARIANTS = 8  # of one line: of 2, 4 and 12, more variants route more unsafe questions, at the price of room
GAMMA = 2.0  # exp(-GAMMA |a-b|^2); chosen of 1.5, 2, 3 and 5
RIDGE = 0.1
BIAS = 0.1
STEPS_PER_UNIT = 400.0  # unit vectors are kept as whole steps in eight bits; MiniLM's components stay below 0.3

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A labelled question; `weight` is 1 over the variants of its line, so that every line counts once."""

    topic: str
    claimed: bool
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class TopicScores:
    """About -1 (surely not) to 1 (surely): whether the question asks for harm, and how near it is to each topic."""

    harm: float
    topics: dict[str, float]

    def nearest(self, among: Sequence[str]) -> str:
        """The topic with the highest score."""
        return max(among, key=lambda topic: self.topics[topic])


class TopicClassifier:
    """Weighs the labelled prompts by their nearness to a question, as fitted by kernel ridge regression."""

    def __init__(
        self, embedder: TextEmbedder, topics: Sequence[str], vectors: NDArray[np.int8], weights: Vectors
    ) -> None:
        """`vectors` (prompts, dimension) in steps of 1/STEPS_PER_UNIT, `weights` (prompts, 1 + topics), harm first."""
        if weights.shape != (len(vectors), 1 + len(topics)):
            raise ValueError(f"weights must be ({len(vectors)}, {1 + len(topics)}), got {weights.shape}")
        self._embedder = embedder
        self._topics = tuple(topics)
        self._vectors = as_units(vectors)
        self._weights = weights

    def scores(self, texts: Sequence[str]) -> list[TopicScores]:
        """The scores of each text."""
        kernel = nearness(self._embedder.embed(texts), self._vectors)
        return [
            TopicScores(float(row[0]), dict(zip(self._topics, map(float, row[1:]), strict=True)))
            for row in kernel @ self._weights
        ]


def load_topic_classifier(embedder: TextEmbedder | None, path: Path = FITTED) -> TopicClassifier | None:
    """The classifier fitted for this text model, or None without a model or with another one: rules alone decide then."""
    if embedder is None or not path.is_file():
        return None
    with safe_open(path, framework="numpy") as fitted:
        about = fitted.metadata()
        if about["revision"] != embedder.revision:
            return None
        vectors, weights = fitted.get_tensor("vectors"), fitted.get_tensor("weights")
    return TopicClassifier(embedder, json.loads(about["topics"]), vectors, weights.astype(np.float32))


def fit_topic_classifier(embedder: TextEmbedder, prompts: Sequence[Prompt], path: Path) -> None:
    """Fit on labelled prompts (seconds to minutes, most of it for their vectors) and write the file that is loaded."""
    vectors = as_steps(embedder.embed([prompt.text for prompt in prompts]))
    topics = list(dict.fromkeys(prompt.topic for prompt in prompts if prompt.topic != NO_TOPIC))
    about = {"revision": embedder.revision, "prompts": prompts_sha256(), "topics": json.dumps(topics)}
    weights = kernel_ridge(as_units(vectors), prompts, topics).astype(np.float16)
    save_file({"vectors": vectors, "weights": weights}, path, about)


def kernel_ridge(vectors: Vectors, prompts: Sequence[Prompt], topics: Sequence[str]) -> Vectors:
    """Weights (prompts, 1 + topics) that give 1 to what is claimed and -1 to the rest; harm and no harm weigh the same."""
    claimed = np.array(
        [
            [
                prompt.claimed and prompt.topic in HARMFUL,
                *(prompt.claimed and prompt.topic == topic for topic in topics),
            ]
            for prompt in prompts
        ]
    )
    weight = np.sqrt([prompt.weight for prompt in prompts])
    harm = claimed[:, 0]
    weight[harm] *= weight[~harm].sum() / weight[harm].sum()
    kernel = nearness(vectors, vectors) + np.diag(RIDGE * weight.mean() / weight).astype(np.float32)
    solved: Vectors = np.linalg.solve(kernel, np.where(claimed, 1.0, -1.0).astype(np.float32))
    return solved


def nearness(left: Vectors, right: Vectors) -> Vectors:
    """The Gaussian kernel of unit rows, with a constant that stands for the offset: (left, right)."""
    near: Vectors = np.exp(2 * GAMMA * (left @ right.T - 1.0)) + np.float32(BIAS)
    return near


def as_steps(vectors: Vectors) -> NDArray[np.int8]:
    return np.clip(np.round(vectors * STEPS_PER_UNIT), -127, 127).astype(np.int8)


def as_units(steps: NDArray[np.int8]) -> Vectors:
    return steps.astype(np.float32) / np.float32(STEPS_PER_UNIT)


def prompts_sha256(path: Path = PROMPTS) -> str:
    """Tells whether the fitted file belongs to the prompts."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_prompts(path: Path = PROMPTS) -> list[Prompt]:
    """The labelled prompts of the file, whose first lines tell its form; raises ValueError for a line of another form."""
    prompts: list[Prompt] = []
    topic = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            topic = heading[1]
        elif topic and line.startswith(("+ ", "- ")):
            variants = list(spread(line[2:].strip()))
            prompts += [Prompt(topic, line[0] == "+", text, 1 / len(variants)) for text in variants]
        else:
            raise ValueError(f"line {number} of {path.name} is no [topic], + question or - question: {line!r}")
    return prompts


def spread(line: str) -> Iterator[str]:
    """What a line with (a|b) stands for; of more than MAX_VARIANTS, that many evenly."""
    parts = re.split(r"\(([^()]*)\)", line)
    choices = [part.split("|") if position % 2 else [part] for position, part in enumerate(parts)]
    variants = ["".join(chosen) for chosen in itertools.product(*choices)]
    kept = min(len(variants), MAX_VARIANTS)
    return (variants[position * len(variants) // kept] for position in range(kept))
