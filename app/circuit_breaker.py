"""Leaves an endpoint alone that fails again and again, and lets one call find out whether it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Tries in a row: two questions with their retries.
MAX_FAILURES = 6
PAUSE_SECONDS = 30.0
# Retries allowed at once, and how many a call earns: in the long run they add a tenth to an endpoint's load.
RETRIES_AT_ONCE = 10.0
RETRIES_PER_CALL = 0.1


class CircuitBreaker:
    """Counts what one endpoint did, for all threads. Closed it admits every call; open none but one trial a pause.

    Who is admitted says how each try ended. A caller that says nothing, because its listener left, changes nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never jump."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._paused_at = 0.0
        self._retries = RETRIES_AT_ONCE

    def admit(self) -> float:
        """0 when the caller may go ahead, else the seconds until the next trial. The trial itself begins a new pause."""
        with self._lock:
            now = self._clock()
            if self._failures >= MAX_FAILURES:
                left = self._paused_at + PAUSE_SECONDS - now
                if left > 0:
                    return left
                self._paused_at = now
            self._retries = min(self._retries + RETRIES_PER_CALL, RETRIES_AT_ONCE)
            return 0.0

    def admit_retry(self) -> bool:
        """Whether a try that failed may be made again; never while the endpoint is being left alone."""
        with self._lock:
            if self._failures >= MAX_FAILURES or self._retries < 1:
                return False
            self._retries -= 1
            return True

    def succeeded(self) -> None:
        """A try got its reply: the endpoint is well."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """A try got none, and the fault was the endpoint's."""
        with self._lock:
            self._failures += 1
            self._paused_at = self._clock()
