"""What calls of a chat model took: tokens, and dollars where prices are set."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of model calls; `is_estimated` where an endpoint did not count them all, `dollars` where prices are set."""

    prompt_tokens: int = 0
    reply_tokens: int = 0
    is_estimated: bool = False
    dollars: float | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.reply_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reply_tokens + other.reply_tokens,
            self.is_estimated or other.is_estimated,
            None if self.dollars is None or other.dollars is None else self.dollars + other.dollars,
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for a million tokens of prompts and of replies."""

    prompt_dollars: float
    reply_dollars: float

    def priced(self, usage: Usage) -> Usage:
        """The usage with what it costs."""
        dollars = usage.prompt_tokens * self.prompt_dollars + usage.reply_tokens * self.reply_dollars
        return replace(usage, dollars=dollars / 1e6)


OnUsage = Callable[[Usage], None]


def total_usage(spent: Sequence[Usage]) -> Usage | None:
    """What several calls took together; None where there were none."""
    return functools.reduce(operator.add, spent) if spent else None
