"""A child that misbehaves in every way it can think of: each is denied or said to be possible, and the parent lives."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.confine import SYSTEM_CALLS, system_call_filter
from ingest.sandbox import MAX_OUTPUT_BYTES, ChildLimits, ChildReport, reason_of_death, run_limited
from ingest.schema import VideoError

ROOT = Path(__file__).parents[1]
LIMITS = ChildLimits(wall_seconds=30.0, memory_bytes=1 << 30, file_bytes=1 << 20, open_files=32)
NETWORK, FILES, PROCESSES = "network", "files outside the work folder", "new processes"
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs limits that only Linux enforces")

CHILD = '''
import json, os, socket, subprocess, sys, threading, time
from pathlib import Path
from ingest.schema import VideoError

def connect(port):
    socket.create_connection(("127.0.0.1", int(port)), 2)
def udp(port):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(port)))
def read(path):
    Path(path).read_bytes()
def list_folder(path):
    os.listdir(path)
def write(path):
    Path(path).write_text("x")
def remove(path):
    os.remove(path)
def link(path):
    os.symlink(path, "link"); Path("link").read_bytes()
def fork(_):
    if os.fork() == 0:
        os._exit(0)
def execute(_):
    subprocess.run(["/bin/true"])
def replace(_):
    os.execv("/bin/true", ["/bin/true"])
def signal_parent(_):
    os.kill(os.getppid(), 0)
def limit_parent(_):
    import resource
    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
def change_mode(path):
    os.chmod(path, 0o600)
def change_times(path):
    os.utime(path, (0, 0))
def set_attribute(path):
    os.setxattr(path, "user.playhead", b"x")
def cut(path):
    os.truncate(path, 0)
def attempt(name, value):
    try:
        globals()[name](value)
    except OSError as error:
        Path("result").write_text(type(error).__name__)
    else:
        Path("result").write_text("done")

def allowed(path):
    """What an honest program needs: the given file, its own folder, threads, imports."""
    seen = []
    threads = [threading.Thread(target=seen.append, args=(n,)) for n in range(4)]
    [t.start() for t in threads]; [t.join() for t in threads]
    import colorsys
    Path("folder").mkdir(); Path("folder/file").write_bytes(Path(path).read_bytes())
    Path("result").write_text(json.dumps({"threads": len(seen), "environment": dict(os.environ), "arguments": sys.argv,
        "stdin": sys.stdin.read(), "folder": os.getcwd()}))
def refuse(text):
    raise VideoError(text)
def fail(_):
    raise RuntimeError("no such thing")
def memory(_):
    kept = [bytearray(64 << 20) for _ in range(64)]
def file(_):
    with open("large", "wb") as target:
        target.write(bytes(2 << 20))
def files(_):
    kept = [open("many", "wb") for _ in range(64)]
def hang(_):
    time.sleep(600)
def spin(_):
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
    while True: pass
def shout(_):
    for _ in range(200): sys.stderr.write("x" * 10_000)
def die(number):
    os._exit(int(number))
def crash(_):
    import ctypes; ctypes.string_at(8)
def lie(_):
    print('{"missing": "all", "error": 5}'); sys.stdout.flush(); os._exit(0)

def main(arguments):
    name, value = arguments
    if name.startswith("try "):
        attempt(name.removeprefix("try "), value)
    else:
        globals()[name](value)
'''


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "hostile_child.py").write_text(CHILD)
    return folder


class Child:
    """Runs the functions of the hostile program, each in a folder of its own."""

    def __init__(self, programs: Path, tmp_path: Path) -> None:
        self.work = tmp_path / "work"
        self.work.mkdir()
        self._programs = programs

    def run(self, name: str, value: object = "", limits: ChildLimits = LIMITS, **keywords: Any) -> ChildReport:
        return run_limited(
            "hostile_child",
            [name, str(value)],
            self.work,
            limits,
            subject="clip.mp4",
            import_folder=self._programs,
            **keywords,
        )

    def result(self) -> str:
        return (self.work / "result").read_text()


@pytest.fixture
def child(programs: Path, tmp_path: Path) -> Child:
    return Child(programs, tmp_path)


@pytest.fixture
def server() -> Any:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def assert_denied(child: Child, report: ChildReport, denial: str) -> None:
    """Denied, or the report names what this machine cannot deny."""
    assert child.result() != "done" or denial in report.missing_denials
    if sys.platform == "linux" and os.uname().machine in SYSTEM_CALLS and denial != FILES:
        assert child.result() == "PermissionError"


@pytest.mark.parametrize("attempt", ["connect", "udp"])
def test_no_network(child: Child, server: int, attempt: str) -> None:
    assert_denied(child, child.run(f"try {attempt}", server), NETWORK)


@pytest.mark.parametrize("attempt", ["fork", "execute", "replace", "signal_parent", "limit_parent"])
def test_no_other_processes(child: Child, attempt: str) -> None:
    assert_denied(child, child.run(f"try {attempt}"), PROCESSES)


@pytest.mark.parametrize("attempt", ["read", "write", "remove", "link"])
def test_no_files_outside(child: Child, tmp_path: Path, attempt: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    report = child.run(f"try {attempt}", secret)
    assert_denied(child, report, FILES)
    if FILES not in report.missing_denials:
        assert secret.read_text() == "canary"


@only_linux
@pytest.mark.parametrize("attempt", ["change_mode", "change_times", "set_attribute", "cut"])
def test_what_an_owner_may_do_to_a_file_is_denied_outside(child: Child, tmp_path: Path, attempt: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    before = secret.stat()
    report = child.run(f"try {attempt}", secret)
    assert_denied(child, report, PROCESSES)
    if PROCESSES not in report.missing_denials:
        after = secret.stat()
        assert (after.st_mode, after.st_mtime, after.st_size) == (before.st_mode, before.st_mtime, before.st_size)


@only_linux
def test_limits_of_its_own_are_a_childs_to_lower(child: Child) -> None:
    with pytest.raises(VideoError, match="of processor time"):
        child.run("spin")


def test_no_new_files_outside_and_no_look_at_home(child: Child, tmp_path: Path) -> None:
    report = child.run("try write", tmp_path / "new")
    assert_denied(child, report, FILES)
    assert FILES in report.missing_denials or not (tmp_path / "new").exists()
    (child.work / "result").unlink()
    assert_denied(child, child.run("try list_folder", Path.home()), FILES)


def test_what_an_honest_program_needs_works(child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "PLAYHEAD_CANARY", "PYTHONPATH", "HTTP_PROXY"):
        monkeypatch.setenv(name, "canary-4711")
    given = tmp_path / "given"
    given.write_bytes(b"media")
    child.run("allowed", given, readable=[given])
    result = json.loads(child.result())
    assert result["threads"] == 4
    assert result["stdin"] == ""
    assert Path(result["folder"]).samefile(child.work)
    assert "canary-4711" not in json.dumps(result["environment"])
    assert Path(result["environment"]["HOME"]) == Path(result["environment"]["TMPDIR"]) == child.work
    assert (child.work / "folder" / "file").read_bytes() == b"media"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("refuse", "holds nothing. Leave it out.", "clip.mp4: holds nothing. Leave it out."),
        ("refuse", "two\nlines\x1b[31m", "clip.mp4: two lines [31m"),
        ("fail", "", "clip.mp4: could not be read (RuntimeError: no such thing)"),
        ("die", 3, "clip.mp4: the child stopped with exit code 3"),
        ("lie", "", "clip.mp4: 5"),
    ],
)
def test_any_end_that_is_not_clean_is_one_named_line(child: Child, name: str, value: object, message: str) -> None:
    with pytest.raises(VideoError) as caught:
        child.run(name, value)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@only_linux
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("memory", "needed more memory than the limit of 1024 MB"),
        ("file", "unpacks to a file larger than the limit of 1 MB"),
        ("files", "Too many open files"),
        ("spin", "of processor time (the limit)"),
        ("crash", "the child crashed (Segmentation fault)"),
    ],
)
def test_limits_stop_it(child: Child, name: str, message: str) -> None:
    with pytest.raises(VideoError, match="^clip.mp4: ") as caught:
        child.run(name)
    assert message in str(caught.value)


def test_a_child_that_hangs_is_killed_in_time(child: Child) -> None:
    started = time.monotonic()
    with pytest.raises(VideoError, match=r"took more than 1\.5 s \(the limit\).*PLAYHEAD_DECODE_SECONDS"):
        child.run("hang", limits=ChildLimits(1.5, 1 << 30, 1 << 20, 32))
    assert time.monotonic() - started < 10


@only_linux
def test_deaths_by_the_system_are_told_apart() -> None:
    deaths = {
        signal.SIGXCPU: "more than 60 s of processor time",
        signal.SIGKILL: "was killed",
        signal.SIGABRT: "crashed (Aborted)",
    }
    for number, words in deaths.items():
        assert words in reason_of_death(-number, LIMITS, "")


def test_loud_children_neither_block_nor_fill_memory(child: Child) -> None:
    assert len(child.run("shout").log) == MAX_OUTPUT_BYTES


def test_a_used_work_folder_is_a_wrong_call(child: Child) -> None:
    (child.work / "old").touch()
    with pytest.raises(ValueError, match="empty work folder"):
        child.run("shout")


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive memory_bytes, got 0"):
        ChildLimits(1.0, 0, 1, 1)


def test_the_filter_is_whole_instructions_that_end_in_allow() -> None:
    for machine in SYSTEM_CALLS.values():
        program = system_call_filter(*machine)
        assert len(program) % 8 == 0
        assert program[-8:] == bytes([6, 0, 0, 0, 0, 0, 0xFF, 0x7F])


def answer_of(program: bytes, number: int, architecture: int, argument: int = 0) -> int:
    """What the kernel would answer to a system call: the four kinds of instructions that the filter is made of."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    steps = [struct.unpack("HBBI", program[start : start + 8]) for start in range(0, len(program), 8)]
    position = loaded = 0
    while True:
        code, when_true, when_false, value = steps[position]
        position += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return value
        else:
            is_true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            position += when_true if is_true else when_false


@pytest.mark.parametrize("machine", SYSTEM_CALLS)
def test_the_filter_answers_as_it_should(machine: str) -> None:
    architecture, clone, limit_another, denied = SYSTEM_CALLS[machine]
    program = system_call_filter(*SYSTEM_CALLS[machine])
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    assert {answer_of(program, number, architecture) for number in denied} == {refuse}
    assert answer_of(program, 0, architecture) == answer_of(program, 400, architecture) == allow
    assert answer_of(program, 0, architecture + 1) == refuse
    assert answer_of(program, 0x40000000 | 41, architecture) == refuse
    assert answer_of(program, 435, architecture) == unknown
    assert answer_of(program, clone, architecture, 0x00010000) == allow
    assert answer_of(program, clone, architecture, signal.SIGTERM) == refuse
    assert answer_of(program, limit_another, architecture, 0) == allow
    assert answer_of(program, limit_another, architecture, os.getppid() or 1) == refuse


@only_linux
def test_a_killed_parent_takes_its_child_along(programs: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    program = (
        "from pathlib import Path; from ingest.sandbox import *; run_limited('hostile_child', ['hang', ''], "
        f"Path({str(work)!r}), ChildLimits(60.0, 1 << 30, 1, 32), subject='x', import_folder=Path({str(programs)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    child_pid = wait_for(lambda: children_of(parent.pid))[0]
    time.sleep(0.5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not is_running(child_pid))


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition: Any) -> Any:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen within 15 s")
