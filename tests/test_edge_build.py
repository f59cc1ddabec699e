"""Large writes of the embedded index: built by a child, swapped in whole, and safe against kills at every step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_index import REPOSITORY, TEXT, VISUAL, assert_same, full_point, point, question, tmp_path, unit

from evaluation.bench_index import TARGET_SECONDS, make_video, measure
from ingest import edge_build, edge_index, edge_shard
from ingest.edge_index import EdgeIndex
from ingest.edge_shard import copy_sparse, pack, stored_bytes, unpack
from ingest.index import Point, Scope
from ingest.quick_close import close_unwritten, skip_writes
from ingest.schema import LibraryError

__all__ = ["tmp_path"]

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals and seccomp are Linux's")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EdgeIndex]:
    """An index in which more than three moments are a large video, with one small video in it."""
    monkeypatch.setattr(edge_index, "IN_PROCESS_POINTS", 3)
    opened = EdgeIndex(tmp_path, TEXT, VISUAL)
    opened.replace("local", "small", [point(0, "valve", "small")])
    yield opened
    opened.close()


def video(words: str, count: int = 10, shift: float = 0, name: str = "v1") -> list[Point]:
    return [point(10.0 * number + shift, words, name) for number in range(count)]


def spoken(index: EdgeIndex, name: str = "v1") -> dict[float, str]:
    """What each moment of a video says, by its start."""
    return {one.moment.start_seconds: one.moment.speech for one in index.scroll("local", name)}


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_large_video_takes_over_with_all_that_was_there(index: EdgeIndex, tmp_path: Path) -> None:
    index.replace("other", "v1", [point(0, "crank", tenant="other")])
    index.replace("local", "v1", video("piston"))
    assert shards(tmp_path) == ["CURRENT", "shard-0002"]
    assert spoken(index) == {10.0 * number: "piston" for number in range(10)}
    assert (index.count("local"), index.count("other")) == (11, 1)
    assert len(index.search(question("piston"), Scope("local"), 50)["speech_bm25"]) == 10
    index.replace("local", "v1", video("gasket", 5, shift=5))
    assert spoken(index) == {10.0 * number + 5: "gasket" for number in range(5)}
    assert spoken(index, "small") == {0.0: "valve"}


def test_every_field_and_leg_survives_the_way_through_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_index, "IN_PROCESS_POINTS", 0)
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    index.replace("local", "v1", [full_point()])  # written by the child
    index.purge()  # copied by the child
    assert shards(tmp_path) == ["CURRENT", "shard-0003"]
    assert_same(next(index.scroll("local")), full_point())
    index.close()


def test_a_moment_that_a_child_wrote_can_still_be_changed_and_reopened(index: EdgeIndex, tmp_path: Path) -> None:
    """The engine ignores a change whose number in the log is not higher than the point's."""
    index.replace("local", "v1", video("piston"))
    index.replace("local", "small", [point(0, "changed", "small")])
    assert spoken(index, "small") == {0.0: "changed"}
    assert len(index.search(question("changed"), Scope("local"), 5)["speech_bm25"]) == 1
    index.close()
    again = EdgeIndex(tmp_path, TEXT, VISUAL)
    assert spoken(again, "small") == {0.0: "changed"}
    again.delete("local", "small")
    assert again.count("local") == 10
    again.close()


def test_a_built_shard_is_searched_exactly(index: EdgeIndex) -> None:
    points = [point(10.0 * n, "piston", speech_dense=unit(1, n, n * n, 1)) for n in range(40)]
    index.replace("local", "v1", points)
    query = unit(1, 2, 3, 4)
    hits = index.search({"speech_dense": query}, Scope("local", ("v1",)), 40)["speech_dense"]
    expected = {one.moment.moment_id: float(unit(*one.vectors["speech_dense"]) @ query) for one in points}  # type: ignore[misc]
    assert {hit.moment_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-5)


def test_a_new_log_is_short(index: EdgeIndex, tmp_path: Path) -> None:
    """Loading reads the log while it holds the interpreter: 0.1 s for the 64 MB that a build leaves."""
    index.replace("local", "v1", [point(10.0 * n, f"canary{n} " * 50) for n in range(200)])
    log = tmp_path / "shard-0002" / "wal"
    assert all(b"canary" not in path.read_bytes() for path in log.iterdir())


def test_a_long_log_is_merged_by_the_next_write(
    index: EdgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.replace("local", "v1", video("piston", 2))
    assert shards(tmp_path) == ["CURRENT", "shard-0001"]
    monkeypatch.setattr(edge_index, "MAX_LOG_BYTES", 0)
    index.replace("local", "v1", video("gasket", 1))
    assert shards(tmp_path) == ["CURRENT", "shard-0002"]
    assert (spoken(index), spoken(index, "small")) == ({0.0: "gasket"}, {0.0: "valve"})


def test_a_large_video_is_deleted_by_a_child(index: EdgeIndex, tmp_path: Path) -> None:
    index.replace("local", "v1", video("piston"))
    assert index.delete("local", "v1") == 10
    assert (index.count("local", "v1"), index.count("local")) == (0, 1)
    assert shards(tmp_path) == ["CURRENT", "shard-0003"]


def test_the_last_of_two_requests_at_once_wins(index: EdgeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    convert = edge_build.point_line

    def convert_and_tell(one: Point) -> bytes:
        started.set()
        return convert(one)

    monkeypatch.setattr(edge_build, "point_line", convert_and_tell)
    building = threading.Thread(target=index.replace, args=("local", "v1", video("piston")))
    building.start()
    assert started.wait(60)
    assert index.count("local", "v1") == 0  # readers go on meanwhile
    assert index.delete("local", "v1") == 10  # waits for the build
    building.join()
    assert (spoken(index), index.count("local")) == ({}, 1)


def test_a_killed_child_leaves_the_old_index(index: EdgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            children.append(self)

    convert = edge_build.point_line

    def convert_then_kill(one: Point) -> bytes:
        if one.moment.start_seconds == 50:
            children[-1].kill()
            children[-1].wait()
        return convert(one)

    monkeypatch.setattr(edge_build.subprocess, "Popen", Recorded)
    monkeypatch.setattr(edge_build, "point_line", convert_then_kill)
    with pytest.raises(LibraryError, match=r"ended with -9\); the old one serves on\. Free memory and disk"):
        index.replace("local", "v1", video("piston"))
    assert shards(tmp_path) == ["CURRENT", "shard-0001"]
    index.replace("local", "v1", video("gasket", 2))
    assert (len(spoken(index)), len(spoken(index, "small"))) == (2, 1)


def test_what_the_child_says_is_the_error(index: EdgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that gets fewer points than were told, as from a parent that dies, does not finish."""
    monkeypatch.setattr(edge_build, "point_line", lambda one: b"")
    with pytest.raises(LibraryError, match=r"has 1 points instead of 11\. Try again\.$"):
        index.replace("local", "v1", video("piston"))
    assert (index.count("local"), shards(tmp_path)) == (1, ["CURRENT", "shard-0001"])


def test_a_full_disk_refuses_a_build_before_anything_is_changed(
    index: EdgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    room = edge_index.MIN_FREE_BYTES + edge_index.BUILD_ROOM * stored_bytes(tmp_path / "shard-0001")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=room - 1))
    monkeypatch.setattr(edge_index, "build_in_child", lambda *_: pytest.fail("a child was started"))
    for write in (index.purge, lambda: index.replace("local", "v1", video("piston"))):
        with pytest.raises(LibraryError, match=r"--library DIR"):
            write()
    assert (index.count("local"), shards(tmp_path)) == (1, ["CURRENT", "shard-0001"])


def test_the_child_gets_no_secrets(index: EdgeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    environments: list[dict[str, str]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            environments.append(dict(part.split("=", 1) for part in read_environment(self.pid)))

    monkeypatch.setattr(edge_build.subprocess, "Popen", Recorded)
    index.purge()
    (environment,) = environments
    assert "PATH" in environment
    assert "OPENAI_API_KEY" not in environment


def read_environment(pid: int) -> list[str]:
    if sys.platform != "linux":
        pytest.skip("a process's environment is read from /proc")
    until = time.monotonic() + 10
    while not (text := Path(f"/proc/{pid}/environ").read_text()) and time.monotonic() < until:
        time.sleep(0.01)  # empty until the new program is in place
    return [part for part in text.split("\0") if "=" in part]


# One run of a program that is killed at a step, named by what it is about to call. What is found after it is the
# video's old moments or all of its new ones, by the step.
KILLED_AT = """
import os, signal, sys, types
from pathlib import Path
from ingest import edge_index, edge_shard
from ingest.bm25 import bm25_document
from ingest.index import Point
from ingest.schema import Moment
folder, step, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def video(shift, count):
    moments = [Moment("local", "v1", start + shift, start + shift + 1, description="x") for start in range(count)]
    return [Point(one, {"description_bm25": bm25_document("piston")}) for one in moments]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
edge_index.IN_PROCESS_POINTS = 30
index = edge_index.EdgeIndex(folder, 4, 3)
index.replace("local", "v1", video(0.0, 20))
if step == "between the updates":
    class Updates:
        upsert_points = staticmethod(edge_index.edge.UpdateOperation.upsert_points)
        delete_points = staticmethod(die)
    edge_index.edge = types.SimpleNamespace(**{**vars(edge_index.edge), "UpdateOperation": Updates})
elif step == "rename":
    os.replace = die
elif step == "after the pointer":
    point_to = edge_index.point_to
    edge_index.point_to = lambda *arguments: (point_to(*arguments), die())
else:
    setattr(edge_index, step, die)
index.replace("local", "v1", video(0.5, count))
"""


@pytest.mark.parametrize(
    ("step", "count", "new"),
    [
        ("engine_point", 20, False),  # before a small write
        ("between the updates", 20, True),
        ("sync_tree", 20, True),  # after a small write, before its log is on the disk
        ("build_in_child", 40, False),
        ("rename", 40, False),
        ("read_ahead", 40, False),
        ("point_to", 40, False),
        ("after the pointer", 40, True),
        ("close_unwritten", 40, True),
        ("remove_shards", 40, True),
    ],
)
def test_a_kill_at_any_step_leaves_the_old_video_or_the_new_one(
    tmp_path: Path, step: str, count: int, new: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, str(tmp_path), step, str(count)], cwd=REPOSITORY, stderr=subprocess.PIPE
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    starts = sorted(one.moment.start_seconds for one in index.scroll("local"))
    assert starts == ([n + 0.5 for n in range(count)] if new else [float(n) for n in range(20)])
    assert index.count("local", "v1") == len(starts)
    index.replace("local", "v1", video("gasket", 1))
    index.purge()
    assert spoken(index) == {0.0: "gasket"}
    index.close()
    assert len(shards(tmp_path)) == 2


HANGING_PARENT = """
import sys, time
from pathlib import Path
from ingest import edge_build, edge_index
from ingest.index import Point
from ingest.schema import Moment
popen = edge_build.subprocess.Popen
def told(*arguments, **options):
    child = popen(*arguments, **options)
    print(child.pid, flush=True)
    return child
edge_build.subprocess.Popen = told
edge_build.point_line = lambda one: time.sleep(1000)
edge_index.IN_PROCESS_POINTS = 0
edge_index.EdgeIndex(Path(sys.argv[1]), 4, 3).replace("local", "v1", [Point(Moment("local", "v1", 0.0, 1.0), {})])
"""


@LINUX
def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", HANGING_PARENT, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.building")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.glob("*.building"))  # it is at work
    parent.kill()
    parent.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)
    EdgeIndex(tmp_path, TEXT, VISUAL).close()
    assert shards(tmp_path) == ["CURRENT", "shard-0001"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("kept_bytes", [0, 1, 1000, 100_000])
def test_a_truncated_log_opens_with_all_or_refuses(tmp_path: Path, kept_bytes: int) -> None:
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    index.replace("local", "v1", video("piston", 5))
    index.close()
    os.truncate(tmp_path / "shard-0001" / "wal" / "open-1", kept_bytes)
    try:
        index = EdgeIndex(tmp_path, TEXT, VISUAL)
    except LibraryError as refusal:
        assert "restore" in str(refusal)
        return
    assert len(spoken(index)) == 5
    index.close()


def test_a_missing_pointer_beside_two_shards_names_the_remedy(index: EdgeIndex, tmp_path: Path) -> None:
    index.close()
    shutil.copytree(tmp_path / "shard-0001", tmp_path / "shard-0002")
    (tmp_path / "CURRENT").unlink()
    with pytest.raises(
        LibraryError, match=r"the shards here are shard-0001, shard-0002\. Write the name of the newest"
    ):
        EdgeIndex(tmp_path, TEXT, VISUAL)


def test_a_payload_is_filtered_by_its_keys_and_read_back_whole() -> None:
    payload = {"tenant": "local", "video_id": "v1", "tag": ["a"], "transcript": [{"text": "größer"}]}
    packed = pack(payload)
    assert {key: packed[key] for key in ("tenant", "video_id", "tag")} == {
        k: payload[k] for k in ("tenant", "video_id", "tag")
    }
    assert unpack(packed) == payload
    assert unpack(payload) == payload  # as older libraries hold it
    with pytest.raises(LibraryError, match="cannot be read"):
        unpack({**packed, "moment": '{"tenant'})


def test_a_library_from_before_packed_payloads_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(edge_shard, "pack", dict)
        before.setattr(edge_shard, "FULL_SCAN", None)
        before.setattr(edge_shard, "FOUR_BITS", None)
        before.setattr(edge_shard, "BUILD_ALL", None)
        old = EdgeIndex(tmp_path, TEXT, VISUAL)
        old.replace("local", "v1", [full_point()])
        old.close()
    index = EdgeIndex(tmp_path, TEXT, VISUAL)
    for _ in range(2):
        assert_same(next(index.scroll("local")), full_point())
        assert index.fetch("local", [full_point().moment.moment_id]) == [full_point().moment]
        index.purge()
    index.replace("local", "v1", video("valve", 1))
    assert spoken(index) == {0.0: "valve"}
    index.close()


def test_copies_keep_holes(tmp_path: Path) -> None:
    block = edge_shard.BLOCK
    source, target = tmp_path / "source", tmp_path / "target"
    contents = [b"", b"x", bytes(10), bytes(len(block)) + b"end", b"start" + bytes(3 * len(block)), b"a" * len(block)]
    for content in contents:
        source.write_bytes(content)
        copy_sparse(source, target)
        assert target.read_bytes() == content
    source.write_bytes(b"start" + bytes(8 * len(block)))
    copy_sparse(source, target)
    assert stored_bytes_of(target) < 3 * len(block)


def stored_bytes_of(path: Path) -> int:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        os.link(path, Path(folder) / "one")
        return stored_bytes(Path(folder))


@LINUX
def test_closing_what_is_deleted_skips_the_disk_and_only_in_its_thread(tmp_path: Path) -> None:
    done: list[str] = []

    def write_nowhere() -> None:
        reading, writing = os.pipe()
        os.fsync(writing)  # a pipe cannot be synced: an error unless the call does nothing
        os.close(reading)
        os.close(writing)
        done.append("closed")

    close_unwritten(write_nowhere)
    assert done == ["closed"]
    with pytest.raises(OSError, match="Invalid argument"):
        write_nowhere()


def test_an_error_while_closing_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        close_unwritten(lambda: 1 / 0)


def test_without_the_filter_it_just_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not skip_writes()
    done: list[int] = []
    close_unwritten(lambda: done.append(1))
    assert done == [1]


@pytest.mark.slow
def test_no_thread_waits_long_while_the_index_is_written(tmp_path: Path) -> None:
    """A smaller run of `bench_index`; three tries, since a busy machine alone can make a thread wait longer."""
    videos = {f"small{number}": make_video(f"small{number}", 200) for number in range(5)}
    videos["large"] = make_video("large", 1000)
    longest = []
    for attempt in range(3):
        run = measure(tmp_path / str(attempt), videos)
        assert (run.busy.failures, run.busy.parts_seen) == ([], 0)
        assert len(run.busy.seconds) > 50
        longest.append(run.longest_wait)
        if run.longest_wait < TARGET_SECONDS:
            break
    assert min(longest) < TARGET_SECONDS
