"""Reads paths into a library: one report over all sources, and the watched folder."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.build import OpenLibrary
from app.estimating import estimate_sources
from app.progress import Progress
from app.settings import Settings
from app.text_forms import safe
from ingest.pipeline import IngestResult
from ingest.schema import LibraryError, WrongCallError, timecode
from ingest.sources import Source, SourceFailure, find_sources, printable

FileState = tuple[float, int]
"""When a file was changed, and its size."""
WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """How every source ended."""

    results: tuple[IngestResult, ...]
    seconds: float

    @property
    def failed(self) -> bool:
        return any(result.status == "failed" for result in self.results)

    def as_json(self) -> dict[str, Any]:
        rows = [asdict(result) for result in self.results]
        return {"videos": rows, "seconds": round(self.seconds, 2)}

    def as_text(self) -> str:
        lines = [_result_line(result) for result in self.results if result.status != "failed"]
        lines += [f"  warning: {warning}" for result in self.results for warning in _warnings(result)]
        failures = [result for result in self.results if result.status == "failed"]
        counts = {
            status: sum(r.status == status for r in self.results)
            for status in ("indexed", "updated", "unchanged", "failed")
        }
        lines.append(f"{', '.join(f'{n} {status}' for status, n in counts.items() if n)} in {self.seconds:.1f} s")
        return "\n".join([*lines, *(f"failed    {safe(result.path)}: {result.error}" for result in failures)])


def ingest_paths(settings: Settings, paths: Sequence[Path]) -> IngestReport:
    """Bring everything found under the paths into the library; where nothing is found, none is made."""
    sources, failures = find_sources(paths)
    if not sources:
        return IngestReport(tuple(_failed(failure) for failure in failures), 0.0)
    if settings.describe_model:
        print(f"playhead: {estimate_sources(settings, sources).description_cost}", file=sys.stderr)
    with OpenLibrary(settings, "playhead ingest", create=True) as library:
        return ingest_sources(library, sources, failures)


def ingest_sources(
    library: OpenLibrary, sources: Sequence[Source], failures: Sequence[SourceFailure] = ()
) -> IngestReport:
    """Bring sources into an open library, one after the other, with a progress bar."""
    started = time.monotonic()
    ingester = library.ingester
    results = []
    with Progress("ingest") as progress:
        for source in sources:
            name = source.title or printable(source.path.name)
            progress.step(name, len(sources))
            results.append(ingester.ingest(source, functools.partial(progress.describe, name)))
    results += [_failed(failure) for failure in failures]
    return IngestReport(tuple(results), time.monotonic() - started)


def watch_folder(settings: Settings, folder: Path, on_report: Callable[[IngestReport], None]) -> None:
    """Look at a folder every few seconds and ingest what changed; a file is read once its size has stayed the same."""
    if not folder.is_dir():
        raise WrongCallError(f"{folder} is not a folder. Give watch a folder.")
    print(f"Following {folder} (Ctrl-C stops)", file=sys.stderr)
    done: dict[Path, FileState] = {}
    before: dict[Path, FileState] = {}
    while True:
        now = _file_states(folder)
        settled = {path for path, state in now.items() if before.get(path) == state}
        changed = {path for path in settled if done.get(path) != now[path]}
        sources = find_sources([folder])[0] if changed else []
        ready = [source for source in sources if _files(source) <= settled and _files(source) & changed]
        if ready:
            try:
                with OpenLibrary(settings, "playhead watch", create=True) as library:
                    on_report(ingest_sources(library, ready))
            except LibraryError as error:  # somebody else has it open: the next look tries again
                print(f"playhead: {error}", file=sys.stderr)
                changed = set()
        done.update({path: now[path] for path in changed})
        before = now
        time.sleep(WATCH_SECONDS)


def _files(source: Source) -> set[Path]:
    """The files that a source is read from."""
    return {*([source.media] if source.media else []), *source.captions}


def _file_states(folder: Path) -> dict[Path, FileState]:
    states: dict[Path, FileState] = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                states[path] = (path.stat().st_mtime, path.stat().st_size)
        except OSError:
            continue  # it went away between two looks
    return states


def _failed(failure: SourceFailure) -> IngestResult:
    return IngestResult(failure.path, failure.path, "failed", error=failure.message)


def _result_line(result: IngestResult) -> str:
    channels = ", ".join(f"{channel}: {tier}" for channel, tier in result.channels.items()) or "nothing heard or read"
    length = timecode(result.duration_seconds)
    copy = f"  a copy of {result.duplicate_of}" if result.duplicate_of else ""
    return f"{result.status:9} {safe(result.title)}  {length}  {count(result.moments, 'moment')}  ({channels}){copy}"


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 moment, 2 moments."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _warnings(result: IngestResult) -> list[str]:
    return [safe(f"{result.title}: {warning}") for warning in result.warnings]
