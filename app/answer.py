"""The answer: what a person gets to see after every guard has passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.usage import Usage
from prompts.kinds import Kind
from retrievers.evidence import Evidence

Status = Literal["answered", "abstained", "restricted", "refused", "clarify"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A number in the answer's text, resolved by the program: moment, verbatim quote, and the second to play from."""

    number: int
    evidence: Evidence
    quote: str
    play_seconds: float
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A cited answer, or an abstention or refusal with its reason; `text` cites as `[2]`. Confidence is 0..1.

    `removed_by_rules` is the search's: what the rules kept from it. `prompt_version` is that of the template a model was
    asked with; `usage` is what the model calls took, None where there were none. `asked_as` is the question that a
    follow-up was understood as, `asked_in` the id of the video that it is about.
    """

    question: str
    route: str
    topic: str
    status: Status
    text: str
    citations: tuple[Citation, ...]
    evidence: tuple[Evidence, ...]
    confidence: float
    reason: str
    tiers: Mapping[str, str]
    timings_ms: Mapping[str, float]
    removed_by_rules: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = "explain"
    prompt_version: str | None = None
    usage: Usage | None = None
    asked_as: str | None = None
    asked_in: str | None = None
