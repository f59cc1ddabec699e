"""Verdicts as plain values: an expected no is a value with a reason, not an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Route = Literal["answer", "restricted", "refused", "support"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something passed a guard, and why, in words for people."""

    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """Where a question goes. `topic` is the policy's name for it; `message` is what the person asking is shown."""

    route: Route
    topic: str
    reason: str
    message: str = ""
