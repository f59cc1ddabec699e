"""The lock that gives a library folder one owner process, and tells the others who it is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ingest.schema import LibraryError


class OwnerLock:
    """An exclusive lock of the operating system on `folder/owner.lock`, whose content names the owner.

    The system drops it when the process ends, however it ends, so a lock is never stale. It survives in children that
    are forked without exec; children started by `subprocess` or spawned do not inherit it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self, purpose: str) -> None:
        """Take the lock or raise `LibraryError` at once; `purpose` is what other processes will read about this one."""
        descriptor = self._open()
        try:
            _lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps({"pid": os.getpid(), "purpose": purpose}).encode())
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise LibraryError(f"Library {self._folder} is open in {self._owner()}. Stop it, or ask there.") from error
        except OSError as error:
            os.close(descriptor)
            raise LibraryError(
                f"Library {self._folder} cannot be locked ({error.strerror}). "
                "Put it on a local disk with room, with --library DIR."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; without one it does nothing."""
        if self._descriptor is not None:
            # The file stays: removing it would let two processes lock two files of one name.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            return os.open(self._folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LibraryError(
                f"Library {self._folder} cannot be written ({error.strerror}). "
                "Make it writable, or choose another with --library DIR."
            ) from error

    def _owner(self) -> str:
        try:
            owner = json.loads((self._folder / "owner.lock").read_text())
            return f"process {owner['pid']} ({owner['purpose']})"
        except (OSError, ValueError, KeyError, TypeError):  # the owner may be writing it just now
            return "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind the content: a locked byte cannot be read by others
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
