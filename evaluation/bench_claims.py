"""The claim check on questions turned into claims: with their own citation, and with swapped, shifted and forged ones."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.answering import holds_words
from evaluation.ranking import wilson_interval
from guards.citations import check_sentence
from guards.claims import ClaimChecker
from ingest.text_embedding import load_text_embedder
from prompts.draft import DraftSentence
from retrievers.rerank import LateInteractionReranker

PLAYHEAD = Path(sys.executable).parent / "playhead"
QUESTIONS = 300
OFFERED = 6
SEED = 5
# What a question asks with; the answer in its place makes a claim in words that are not the video's.
ASKS = re.compile(
    r"^(?:in |on |at |by |to |for |from |of )?(?:what|which|whom?|whose|when|where|how (?:many|much|long|old|far)|why|how)\b"
    r"(?:\s+(?:year|date|city|country|name|kind|type|percentage|person|group|century))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence with the number it cites, what was done to that number, and the texts that were offered."""

    text: str
    cited: int
    kind: str
    offered: Mapping[int, str]
    question: str


def bench_claims(data: Path, library: Path) -> None:
    """Precision and recall of citations, kinds of false ones in equal numbers; and what is shown of forged ones."""
    if not library.is_dir():
        subprocess.run(
            [PLAYHEAD, "--library", library, "ingest", data / "manifest.jsonl"], check=True, capture_output=True
        )
    embedder = load_text_embedder("auto", Path(tempfile.gettempdir()))
    if embedder is None:
        print("claims: skipped, there is no text model")
        return
    claims = list(make_claims(data, library))
    checker = ClaimChecker(LateInteractionReranker(embedder))
    kept: dict[str, list[bool]] = {}
    for claim in claims:

        def problem(text: str, numbers: object, offered: Mapping[int, str], claim: Claim = claim) -> str:
            return checker.problem(text, (claim.cited,), offered, claim.question)

        shown = check_sentence(DraftSentence(claim.text, (claim.cited,)), claim.offered, problem)
        kept.setdefault(claim.kind, []).append(shown is not None)
    for kind, shown_of in kept.items():
        low, high = wilson_interval(sum(shown_of), len(shown_of))
        print(f"claims, citation {kind}: shown {sum(shown_of)} of {len(shown_of)}, "
              f"{sum(shown_of) / len(shown_of):.3f} [{low:.3f}, {high:.3f}]")  # fmt: skip
    right = sum(kept["right"]) / len(kept["right"])
    for false in ("swapped", "shifted", "of a wrong answer"):
        wrong = sum(kept[false]) / len(kept[false])
        print(f"  precision, as many right as {false}: {right / (right + wrong):.3f}, recall {right:.3f}")


def make_claims(data: Path, library: Path) -> Iterator[Claim]:
    """Claims about what was found for the questions; a false citation is one whose text does not hold the answer."""
    draw = random.Random(SEED)
    questions = [json.loads(line) for line in (data / "questions.jsonl").read_text("utf-8").splitlines()]
    answers: dict[str, list[str]] = {}
    for question in questions:
        answers.setdefault(question["video"], []).append(question["answers"][0])
    chosen = draw.sample(questions, QUESTIONS)
    for question, found in zip(chosen, search(library, chosen), strict=True):
        offered = {hit["rank"]: f"{hit['video_title']}. {hit['text']}" for hit in found["hits"][:OFFERED]}
        holding = [
            hit["rank"]
            for hit in found["hits"][:OFFERED]
            if Path(hit["video_path"]).stem == question["video"]
            and hit["start_seconds"] <= question["answer_start_seconds"] <= hit["end_seconds"]
            and any(holds_words(hit["text"], answer) for answer in question["answers"])
        ]
        if not holding:
            continue
        right, claim = holding[0], claimed(question["question"], question["answers"][0])
        false = [
            n for n, text in offered.items() if not any(holds_words(text, answer) for answer in question["answers"])
        ]
        yield Claim(claim, right, "right", offered, question["question"])
        yield Claim(claim, 99, "forged", offered, question["question"])
        if false:
            yield Claim(claim, draw.choice(false), "swapped", offered, question["question"])
        if right % OFFERED + 1 in false:
            yield Claim(claim, right % OFFERED + 1, "shifted", offered, question["question"])
        other = draw.choice(answers[question["video"]])
        if not any(holds_words(text, other) for text in offered.values()):
            made_up = claimed(question["question"], other)
            yield Claim(made_up, right, "of a wrong answer", offered, question["question"])


def claimed(question: str, answer: str) -> str:
    """The question as a claim, with the answer in place of what it asks with, or behind it."""
    asked = question.rstrip("? ")
    said = ASKS.sub(answer, asked, count=1)
    return said if said != asked else f"{asked} {answer}"


def search(library: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"id": q["id"], "question": q["question"]}) + "\n" for q in questions)
        file.flush()
        command = [
            str(PLAYHEAD),
            "--library",
            str(library),
            "--json",
            "search",
            "--k",
            str(OFFERED),
            "--questions",
            file.name,
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
