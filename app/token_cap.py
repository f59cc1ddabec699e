"""Caps the tokens that one process may spend in a day on a model, prompts and replies together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

DAY_SECONDS = 24 * 3600.0


class TokenCap:
    """Counts by days of 24 hours that begin with the first call; threads share it."""

    def __init__(self, tokens_a_day: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never jump."""
        if tokens_a_day < 1:
            raise ValueError(f"a day needs at least one token, got {tokens_a_day}")
        self.tokens_a_day = tokens_a_day
        self._clock = clock
        self._lock = threading.Lock()
        self._began_at = clock()
        self._spent = 0

    def reserve(self, tokens: int) -> bool:
        """Set the most that a call can take aside; False when the day has less left."""
        with self._lock:
            if self._clock() - self._began_at >= DAY_SECONDS:
                self._began_at, self._spent = self._clock(), 0
            if self._spent + tokens > self.tokens_a_day:
                return False
            self._spent += tokens
            return True

    def settle(self, reserved: int, spent: int) -> None:
        """Put in place of what was set aside what the call took."""
        with self._lock:
            self._spent = max(self._spent + spent - reserved, 0)
