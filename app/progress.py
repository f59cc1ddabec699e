"""A progress bar on stderr, shown only on a terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress:
    """One bar over a known number of things, with the name of the one at hand; use it in a `with`."""

    def __init__(self, task: str) -> None:
        columns = (TextColumn("{task.fields[verb]}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        self._bars = Bars(*columns, TextColumn("{task.description}", markup=False), console=console, transient=True,
                          disable=not sys.stderr.isatty())  # fmt: skip
        self._task = self._bars.add_task("", total=None, verb=task)

    def step(self, name: str, total: int) -> None:
        """The next thing begins."""
        done = self._bars.tasks[0].fields.get("begun", 0)
        self._bars.update(self._task, description=name, total=total, completed=done, begun=done + 1)

    def describe(self, name: str, stage: str) -> None:
        """The thing at hand reaches a stage."""
        self._bars.update(self._task, description=f"{name}: {stage}")

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
