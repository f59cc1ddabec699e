"""The child's side of the sandbox: limit yourself, import the program, give up every other right, then read the file.

| denied | by | missing |
|---|---|---|
| endless memory, processor time, file size, open files | `setrlimit` | Windows; macOS ignores the memory limit |
| network | seccomp (no `socket`, no `io_uring`), and a network namespace of its own | outside Linux |
| files outside the work folder, the media file and Python's libraries | Landlock | outside Linux, Linux before 5.13 |
| new processes; signals to, memory of and limits of others | seccomp | outside Linux on x86_64 and aarch64 |
| owners, modes, times and attributes of files; cutting files by name (Landlock sees to that from Linux 6.2 on) | seccomp | as above |
| rights gained through setuid programs | `PR_SET_NO_NEW_PRIVS` | outside Linux |

The environment, the pipes and the wall clock are the parent's part (`sandbox.py`). What a machine cannot deny is told
to the parent, which says so.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import platform
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ingest.schema import VideoError

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
CLONE_NEWNET, CLONE_NEWUSER, CLONE_THREAD = 0x40000000, 0x10000000, 0x00010000
CPU_GRACE_SECONDS = 5

# linux/landlock.h: 13 file rights in version 1, then REFER, TRUNCATE and IOCTL_DEV.
FILE_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST_FILE_RIGHTS = 16
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, TRUNCATE = (
    1 << bit for bit in (0, 1, 2, 3, 4, 5, 7, 8, 14)
)
WORK_RIGHTS = WRITE_FILE | READ_FILE | READ_DIR | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

# Per machine: the audit architecture, `clone`, `prlimit64`, and what is refused. Processes: socket, execve, execveat, fork,
# vfork, kill, tkill, rt_sigqueueinfo, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, pidfd_send_signal. What
# Landlock leaves to the owner of a file: truncate, then chmod, chown, utime and setxattr in all their forms.
SYSTEM_CALLS = {
    "x86_64": (
        0xC000003E, 56, 302,
        (
            41, 59, 322, 57, 58, 62, 200, 129, 101, 310, 311, 425, 424,
            76, 90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199, 463, 466, 469,
        ),
    ),
    "aarch64": (
        0xC00000B7, 220, 261,
        (
            198, 221, 281, 129, 130, 138, 117, 270, 271, 425, 424,
            45, 52, 53, 54, 55, 88, 452, 5, 6, 7, 14, 15, 16, 463, 466, 469,
        ),
    ),
}  # fmt: skip
CLONE3 = 435
X32_FIRST_CALL = 0x40000000


def run(job_text: str) -> None:
    """Do the job that `sandbox.run_limited` describes and end the process; the last line printed is the outcome as JSON."""
    job = json.loads(job_text)
    set_resource_limits(job["limits"])
    follow_parent(job["parent_pid"])
    main = importlib.import_module(job["module"]).main
    missing = give_up_rights(job["readable"])
    error = run_program(main, job["arguments"], job["limits"])
    sys.stdout.write(json.dumps({"missing": missing, "error": error}) + "\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # No destructors: the decoder's own clean-up is one more place where a damaged file can crash.


def run_program(
    main: Callable[[Sequence[str]], None], arguments: Sequence[str], limits: Mapping[str, int]
) -> str | None:
    """Why the program could not do its work, or None: the boundary where any exception becomes a reason."""
    try:
        main(arguments)
    except VideoError as error:
        return str(error)
    except MemoryError:
        return f"needed more memory than the limit of {limits['memory_bytes'] >> 20} MB. Re-encode it smaller."
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return f"unpacks to a file larger than the limit of {limits['file_bytes'] >> 20} MB. Split it."
        return f"could not be read ({type(error).__name__}: {error}). Check that it plays elsewhere."
    return None


def set_resource_limits(limits: Mapping[str, int]) -> None:
    """The limits that a process sets itself; what this system does not know is told by `give_up_rights`."""
    if sys.platform == "win32":
        return
    import resource

    cpu_seconds = limits["cpu_seconds"]
    wanted = {
        resource.RLIMIT_AS: (limits["memory_bytes"], limits["memory_bytes"]),
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + CPU_GRACE_SECONDS),
        resource.RLIMIT_FSIZE: (limits["file_bytes"], limits["file_bytes"]),
        resource.RLIMIT_NOFILE: (limits["open_files"], limits["open_files"]),
        resource.RLIMIT_CORE: (0, 0),
    }
    for name, (soft, hard) in wanted.items():
        _, most = resource.getrlimit(name)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        try:
            resource.setrlimit(name, (soft, hard))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise


def follow_parent(parent_pid: int) -> None:
    """Die with the parent, so that a killed ingest leaves no decoder behind (Linux)."""
    if sys.platform == "linux":
        libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)


def give_up_rights(readable: Sequence[str]) -> list[str]:
    """Keep the work folder (the current one), `readable` and Python's libraries; returns what could not be denied."""
    if sys.platform != "linux":
        memory = ["memory"] if sys.platform in ("darwin", "win32") else []
        return [*memory, "network", "files outside the work folder", "new processes"]
    libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    own_network = leave_network()
    missing = [] if deny_files(readable) else ["files outside the work folder"]
    if not deny_system_calls():
        missing += ["new processes"] if own_network else ["new processes", "network"]
    return missing


def leave_network() -> bool:
    """Move into an empty network namespace: with privileges, or through a user namespace where one is allowed."""
    return any(libc().unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def deny_files(readable: Sequence[str]) -> bool:
    """Landlock (docs.kernel.org/userspace-api/landlock.html); needs no privilege. False where the kernel has none."""
    call = libc().syscall
    version = call(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = (1 << FILE_RIGHTS_BY_VERSION.get(version, LATEST_FILE_RIGHTS)) - 1
    no_connections, no_signals = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    fields = 1 + (version >= 4) + (version >= 6)
    ruleset = struct.pack("QQQ", handled, no_connections, no_signals)[: 8 * fields]
    handle = call(LANDLOCK_CREATE_RULESET, ruleset, ctypes.c_size_t(len(ruleset)), 0)
    if handle < 0:
        return False
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    rules = [(os.curdir, WORK_RIGHTS)]
    rules += [(path, READ_FILE) for path in readable]
    rules += [(path, READ_FILE | READ_DIR | EXECUTE) for path in libraries if Path(path).is_dir()]
    for path, rights in rules:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights & handled, folder))
        allowed = call(LANDLOCK_ADD_RULE, handle, 1, rule, 0)
        os.close(folder)
        if allowed != 0:
            raise OSError(ctypes.get_errno(), f"Landlock refused a rule for {path}")
    return bool(call(LANDLOCK_RESTRICT_SELF, handle, 0) == 0)


def deny_system_calls() -> bool:
    """Install the seccomp filter of `system_call_filter`; False on machines it is not written for."""
    if platform.machine() not in SYSTEM_CALLS or sys.maxsize < 1 << 32:
        return False
    program = system_call_filter(*SYSTEM_CALLS[platform.machine()])
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return bool(libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def system_call_filter(architecture: int, clone: int, limit_another: int, denied: Sequence[int]) -> bytes:
    """A BPF program over `struct seccomp_data`: refused calls give EPERM, threads still start, all else passes.

    `prlimit64` may only name process 0, the caller: it could lower the limits of the parent.
    """
    load, equal, at_least, has_bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

    def step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, when_true, when_false, value)

    program = step(load, 4) + step(equal, architecture, 1, 0) + step(answer, refuse)
    program += step(load, 0) + step(at_least, X32_FIRST_CALL, 0, 1) + step(answer, refuse)
    # "No such call" makes the C library start threads with `clone`, whose flags a filter can see.
    program += step(equal, CLONE3, 0, 1) + step(answer, unknown)
    for call in denied:
        program += step(equal, call, 0, 1) + step(answer, refuse)
    program += step(equal, limit_another, 0, 4) + step(load, 16) + step(equal, 0, 1, 0) + step(answer, refuse)
    program += step(answer, allow)
    program += step(equal, clone, 0, 3) + step(load, 16) + step(has_bits, CLONE_THREAD, 1, 0) + step(answer, refuse)
    return program + step(answer, allow)


def libc() -> ctypes.CDLL:
    """The C library this interpreter runs on."""
    return ctypes.CDLL(None, use_errno=True)
