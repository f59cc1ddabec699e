"""Runs a Python module on hostile bytes as a short-lived child with limits; `confine.py` tells what is denied and how."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ingest.captions import one_line
from ingest.schema import VideoError

MAX_OUTPUT_BYTES = 64 * 1024
MAX_REASON_CHARACTERS = 300
READ_CHUNK_BYTES = 16 * 1024
IMPORT_FOLDER = Path(__file__).resolve().parents[1]
CHILD_PROGRAM = "import sys; sys.path.extend(sys.argv[2:]); from ingest.confine import run; run(sys.argv[1])"
# What a dynamic linker or Windows itself may need to start the interpreter; everything else stays behind.
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use; `file_bytes` is for each file it writes."""

    wall_seconds: float
    memory_bytes: int
    file_bytes: int
    open_files: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"a child needs a positive {name}, got {value}")

    @property
    def cpu_seconds(self) -> int:
        """Processor time of all threads together: two threads may work all the while."""
        return math.ceil(2 * self.wall_seconds)


@dataclass(frozen=True, slots=True)
class ChildReport:
    """How a clean run went: the first 64 KB of its stderr, and what this machine could not deny it."""

    log: str
    missing_denials: tuple[str, ...]


def run_limited(
    module: str,
    arguments: Sequence[str],
    work_dir: Path,
    limits: ChildLimits,
    *,
    subject: str,
    readable: Sequence[Path] = (),
    import_folder: Path = IMPORT_FOLDER,
) -> ChildReport:
    """Import `module` in a child and call its `main(arguments)` there, with `work_dir` (empty) as all it can write to.

    `subject` names the input in errors; `readable` are files it may read. Any end that is not clean is one VideoError,
    the child's own VideoErrors among them.
    """
    if any(work_dir.iterdir()):
        raise ValueError(f"a child needs an empty work folder, {work_dir} is not")
    job = {
        "module": module,
        "arguments": list(arguments),
        "readable": [os.fspath(path) for path in readable],
        "limits": {**asdict(limits), "cpu_seconds": limits.cpu_seconds},
        "parent_pid": os.getpid(),
    }
    folders = dict.fromkeys((os.fspath(IMPORT_FOLDER), os.fspath(import_folder)))
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", CHILD_PROGRAM, json.dumps(job), *folders],
        cwd=work_dir,
        env=child_environment(work_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with child:
        output, log = CappedReader(child.stdout), CappedReader(child.stderr)
        try:
            child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            raise VideoError(f"{subject}: {too_long(limits.wall_seconds)}") from None
        finally:
            kill_group(child)
            output.join()
            log.join()
    report = read_outcome(output.text())
    reason = report.get("error") or (None if report else reason_of_death(child.returncode, limits, log.text()))
    if reason:
        raise VideoError(f"{subject}: {short(reason)}")
    missing = report.get("missing")
    return ChildReport(log.text(), tuple(map(short, missing)) if isinstance(missing, list) else ())


def child_environment(work_dir: Path) -> dict[str, str]:
    """All that a child gets to know: no credentials, no PYTHON* settings; libraries of arithmetic are told to use no threads."""
    folder = os.fspath(work_dir)
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **single, "PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "MALLOC_ARENA_MAX": "2"}


class CappedReader(threading.Thread):
    """Drains a pipe to its end, so that the child never blocks, and keeps the first 64 KB."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert pipe is not None
        self._pipe = pipe
        self._kept = bytearray()
        self.start()

    def run(self) -> None:
        while chunk := os.read(self._pipe.fileno(), READ_CHUNK_BYTES):
            self._kept += chunk[: MAX_OUTPUT_BYTES - len(self._kept)]

    def text(self) -> str:
        """What was kept; bytes that are no UTF-8 are replaced."""
        return self._kept.decode("utf-8", "replace")


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and whatever it may have started; nothing happens when all of it is gone."""
    if os.name == "posix":
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS says "not permitted" for a group of zombies.
            return
    else:
        child.kill()


def read_outcome(text: str) -> dict[str, object]:
    """The outcome that `confine.run` printed last, or nothing when the child did not live to print it."""
    last = text.strip().rpartition("\n")[2]
    try:
        outcome = json.loads(last)
    except ValueError:
        return {}
    return outcome if isinstance(outcome, dict) else {}


def reason_of_death(return_code: int, limits: ChildLimits, log: str) -> str:
    """Why a child ended without an outcome, as fact, value and remedy."""
    if return_code >= 0:
        reason = log.strip().rpartition("\n")[2] or "no reason given"
        return f"the child stopped with exit code {return_code} ({reason}). Check that the file plays elsewhere."
    name = signal.strsignal(-return_code) or f"signal {-return_code}"
    if -return_code == signal.SIGKILL:
        return "the child was killed, as the system does when memory runs out. Free memory or run fewer jobs at once."
    if -return_code == signal.SIGXCPU:
        return too_long(limits.cpu_seconds, "of processor time ")
    return f"the child crashed ({name}). The file is damaged or hostile: leave it out."


def too_long(seconds: float, kind: str = "") -> str:
    """The reason for passing a time limit, with the setting to raise."""
    return (
        f"decoding took more than {seconds:g} s {kind}(the limit). Raise PLAYHEAD_DECODE_SECONDS if you trust the file."
    )


def short(text: object) -> str:
    """Text from a child as one short line; a hostile child may have written anything."""
    return one_line(str(text))[:MAX_REASON_CHARACTERS]
