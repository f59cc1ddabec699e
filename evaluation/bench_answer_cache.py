"""Measures which questions the answer cache takes for the same: real ones, ones changed in one word, and rewordings."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from evaluation.ranking import wilson_interval
from ingest.bm25 import STOP_WORDS, stem
from ingest.text_embedding import TextEmbedder, Vectors, load_text_embedder
from prompts.question_form import SAME_MEANING, question_form, without_courtesies

# What a cache by cosine alone would take for the same.
COSINE_ALONE = 0.95
OPPOSITES = {
    "before": "after", "after": "before", "first": "last", "last": "first", "more": "less", "most": "least", "who": "when",
    "when": "where", "where": "when", "why": "how", "how": "why", "is": "was", "was": "is", "in": "outside", "with": "without",
    "from": "to", "to": "from", "all": "no", "largest": "smallest", "north": "south", "south": "north", "many": "few",
}  # fmt: skip
REWORDED = (
    ("What is the capital of France?", "Can you tell me what the capital of France is?"),
    ("Who invented the steam engine?", "Please tell me who invented the steam engine"),
    ("How do honey bees dance?", "How does the honey bee dance?"),
    ("What's the highest mountain in Africa?", "What is the highest mountain in Africa"),
    ("When did the war end?", "Do you know when did the war end?"),
    ("What's the fee?", "I would like to know what the fee is"),
    ("Why is the sky blue?", "could you explain why the sky is blue?"),
    ("Why are leaves green?", "So, why are the leaves green?"),
    ("How many keepers lived in the tower?", "how many keepers lived in the tower??"),
    ("Which countries sell the most oil?", "Which country sells the most oil?"),
    ("What causes earthquakes?", "According to the video, what causes earthquakes?"),
    ("How is bread baked?", "Could you please explain how bread is baked?"),
    ("Who won the Nobel Prize for the bee dance?", "Who won a Nobel prize for the bee dances?"),
    ("What was the occupation of Tesla's father?", "What was Tesla's father's occupation?"),
    ("Who won the Nobel Prize for the bee dance?", "Who received the Nobel Prize for the dance of the bees?"),
    ("How far could sailors see the lamp?", "From how far away could the lamp be seen by sailors?"),
    ("What does the immune system protect against?", "The immune system protects organisms against what?"),
    ("Who proved that air is needed for combustion?", "What researcher showed that combustion needs air?"),
    ("Where was a lab for Tesla set up?", "Where was Tesla's new lab?"),
    ("How long does the dough rest?", "For how long should the dough rest?"),
)


def bench_answer_cache(data: Path, cache_folder: Path) -> None:
    """Of the questions of a file, how many would be given the answer to another one, and how many rewordings are known."""
    embedder = load_text_embedder("auto", cache_folder)
    if embedder is None:
        print("answer cache: skipped, there is no text model")
        return
    lines = [json.loads(line) for line in (data / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    questions = [line["question"].strip() for line in lines]
    answers = [{text.casefold() for text in line["answers"]} for line in lines]
    vectors = embedder.embed([without_courtesies(question) for question in questions])
    near = np.argwhere(np.triu(vectors @ vectors.T >= COSINE_ALONE, 1)).tolist()
    by_form: dict[object, list[int]] = defaultdict(list)
    for number, question in enumerate(questions):
        by_form[question_form(question)].append(number)
    same = [
        (one, other)
        for group in by_form.values()
        for one, other in combinations(group, 2)
        if float(vectors[one] @ vectors[other]) >= SAME_MEANING
    ]
    for name, pairs in (("the cache", same), (f"cosine {COSINE_ALONE} alone", near)):
        wrong = [(one, other) for one, other in pairs if not answers[one] & answers[other]]
        low, high = wilson_interval(len({number for pair in wrong for number in pair}), len(questions))
        print(f"answer cache: {name} takes {len(pairs)} pairs of {len(questions)} questions for the same, "
              f"{len(wrong)} have different answers; questions mixed up, 95% interval [{low:.4f}, {high:.4f}]")  # fmt: skip
    others = [(question, other) for question in questions for other in changed(question)]
    told("questions changed in one word taken for the same", others, embedder)
    told("rewordings known", REWORDED, embedder)


def changed(question: str) -> Iterator[str]:
    """The question with another meaning: another number, an opposite, a negation, two neighbouring words of content swapped."""
    for match in re.finditer(r"\d+", question):
        yield f"{question[: match.start()]}{int(match[0]) + 1}{question[match.end() :]}"
    for match in re.finditer(r"[a-z]+", question, re.IGNORECASE):
        opposite = OPPOSITES.get(match[0].lower())
        if opposite:
            yield f"{question[: match.start()]}{opposite}{question[match.end() :]}"
    words = question.split()
    yield " ".join([*words[:2], "not", *words[2:]])
    bare = [re.sub(r"[\W_]", "", word).lower() for word in words]
    for at in range(len(words) - 1):
        pair = bare[at], bare[at + 1]
        if all(word and word not in STOP_WORDS for word in pair) and stem(pair[0]) != stem(pair[1]):
            yield " ".join([*words[:at], words[at + 1], words[at], *words[at + 2 :]])
            return


def told(name: str, pairs: Sequence[tuple[str, str]], embedder: TextEmbedder) -> None:
    alike = [pair for pair in pairs if question_form(pair[0]) == question_form(pair[1])]
    known = [pair for pair, near in zip(alike, nearness(alike, embedder), strict=True) if near >= SAME_MEANING]
    low, high = wilson_interval(len(known), len(pairs))
    print(f"answer cache: {name}: {len(known)} of {len(pairs)} [{low:.4f}, {high:.4f}]")


def nearness(pairs: Sequence[tuple[str, str]], embedder: TextEmbedder) -> list[float]:
    """The cosine of each pair."""
    ones, others = (embed(embedder, [pair[side] for pair in pairs]) for side in (0, 1))
    return [float(one @ other) for one, other in zip(ones, others, strict=True)]


def embed(embedder: TextEmbedder, questions: Sequence[str]) -> Vectors:
    return embedder.embed([without_courtesies(question) for question in questions])
