"""One owner for a library: the second process is told who has it, and a dead owner leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.owner_lock import OwnerLock
from ingest.schema import LibraryError

HOLD = """
import sys, time
from pathlib import Path
from ingest.owner_lock import OwnerLock
lock = OwnerLock(Path(sys.argv[1]))
lock.acquire("playhead serve on http://127.0.0.1:7860")
print("held", flush=True)
time.sleep(60)
"""
REPOSITORY = Path(__file__).parents[1]


def start_owner(folder: Path) -> subprocess.Popen[str]:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    return owner


def test_the_second_process_is_told_who_the_owner_is_and_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    owner = start_owner(tmp_path)
    try:
        with pytest.raises(LibraryError) as refusal:
            OwnerLock(tmp_path).acquire("playhead ingest")
        assert str(refusal.value) == (
            f"Library {tmp_path} is open in process {owner.pid} (playhead serve on http://127.0.0.1:7860). "
            "Stop it, or ask there."
        )
    finally:
        owner.kill()
        owner.wait()
    lock = OwnerLock(tmp_path)
    lock.acquire("playhead ingest")
    assert json.loads((tmp_path / "owner.lock").read_text()) == {"pid": os.getpid(), "purpose": "playhead ingest"}
    lock.release()


def test_release_lets_the_next_one_in(tmp_path: Path) -> None:
    first, second = OwnerLock(tmp_path), OwnerLock(tmp_path)
    first.acquire("first")
    with pytest.raises(LibraryError, match=rf"process {os.getpid()} \(first\)"):
        second.acquire("second")
    first.release()
    second.acquire("second")
    with pytest.raises(LibraryError, match="second"):
        first.acquire("first")
    second.release()
    second.release()


def test_a_child_of_the_owner_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = OwnerLock(tmp_path)
    lock.acquire("parent")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lock.release()
        OwnerLock(tmp_path).acquire("next")
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 3}', "\x00"])
def test_an_unreadable_name_is_another_process(tmp_path: Path, content: str) -> None:
    lock = OwnerLock(tmp_path)
    lock.acquire("owner")
    (tmp_path / "owner.lock").write_text(content)
    with pytest.raises(LibraryError, match="is open in another process"):
        OwnerLock(tmp_path).acquire("second")


def test_a_folder_that_cannot_be_written_gives_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"cannot be written .*--library DIR"):
        OwnerLock(tmp_path / "absent").acquire("owner")
    (tmp_path / "owner.lock").mkdir()
    with pytest.raises(LibraryError, match=r"cannot be written .*--library DIR"):
        OwnerLock(tmp_path).acquire("owner")
