"""The inside of the sandbox: `python -I -S jail.py LIMITS PIPE`, with the program on stdin.

Three processes: this one waits and writes the map of users; its child enters new namespaces (user, mount, process,
network, IPC, host name); the child's child is process 1 there, builds a file system of its own in memory and starts
the program, without privileges. Exits with the program's code, or with 120 and a reason where it could not be locked
in: then nothing was run. Imports the standard library alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys

REFUSED = 120
"""Exit code: the program was not started."""
NOBODY = 65534
_CLONE = 0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWIPC, NEWUTS. Source: linux/sched.h."""
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
"""Flags of mount(2)."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
"""Numbers of system calls that libc has no function for."""
_AT_RECURSIVE, _AT_FDCWD, _ATTR_SAFE = 0x8000, -100, 1 | 2 | 4
"""For mount_setattr(2): read-only, no set-user-id, no devices, with all that is mounted below."""
_ROOT = "/tmp"
"""Where the new root is mounted: a folder that is always there."""
_libc = ctypes.CDLL(None, use_errno=True)


def _check(what: str, answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    text = [None if one is None else one.encode() for one in (source, target, kind, options)]
    _check(f"mount {target}", _libc.mount(text[0], text[1], text[2], ctypes.c_ulong(flags), text[3]))


def _show(path: str, root: str) -> None:
    """Make a folder or a device of the host visible below a new root, read-only."""
    target = root + path
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if not os.path.exists(path):
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT))
    _mount(path, target, None, _BIND | _REC)
    if path.startswith("/dev/"):
        return
    attributes = (ctypes.c_uint64 * 4)(_ATTR_SAFE, 0, 0, 0)
    call = (_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
    _check(f"read-only {path}", _libc.syscall(*call))


def _build(program: str, home: str, memory: int) -> None:
    """Change to a root in memory that holds the interpreter, three devices and the program, and nothing else."""
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("tmpfs", _ROOT, "tmpfs", _NOSUID | _NODEV, f"size={memory},mode=755")
    for path in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/urandom"):
        _show(path, _ROOT)
    if not home.startswith("/usr/"):
        _show(home, _ROOT)
    for name in ("tmp", "old"):
        os.makedirs(f"{_ROOT}/{name}", exist_ok=True)
    _mount("tmpfs", f"{_ROOT}/tmp", "tmpfs", _NOSUID | _NODEV, f"size={memory},mode=1777")
    with open(f"{_ROOT}/tmp/program.py", "w", encoding="utf-8") as file:
        file.write(program)
    number = _PIVOT_ROOT[os.uname().machine]
    _check("pivot_root", _libc.syscall(number, _ROOT.encode(), f"{_ROOT}/old".encode()))
    os.chdir("/tmp")
    _check("umount", _libc.umount2(b"/old", 2))
    _mount("none", "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _start(python: str, limits: dict[str, int]) -> None:
    """Give up privileges, set limits and become the program."""
    _check("no_new_privs", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for name, most in (
        (resource.RLIMIT_AS, limits["memory"]), (resource.RLIMIT_CPU, limits["seconds"]),
        (resource.RLIMIT_FSIZE, limits["disk"]), (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(name, (most, most))
    if os.getuid() != NOBODY:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    names = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    os.execve(python, [python, "-I", "-S", "-B", "program.py"], names)


def _first(program: str, limits: dict[str, int]) -> int:
    """Be process 1: build, start the program, and wait for it; whatever else lives ends with this process."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    python = os.path.realpath(sys.executable)
    _build(program, os.path.realpath(sys.base_prefix), limits["disk"])
    child = os.fork()
    if child == 0:
        _guarded(lambda: _start(python, limits))
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) % 256


def _guarded(work) -> None:  # type: ignore[no-untyped-def]
    """Run something in a forked child, and leave with its code; a failure leaves with the reason."""
    code = REFUSED
    try:
        code = work()
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent's code
        _tell(error)
    finally:
        os._exit(code)


def _tell(error: BaseException) -> None:
    """Write the reason to the pipe that the program never gets."""
    os.write(int(sys.argv[2]), str(error).encode()[:500])


def _enter(ready: int, mapped: int, program: str, limits: dict[str, int]) -> int:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _check("namespaces", _libc.unshare(_CLONE))
    os.write(ready, b"1")
    if os.read(mapped, 1) != b"1":
        raise OSError("the map of users was refused")
    child = os.fork()
    if child == 0:
        _guarded(lambda: _first(program, limits))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256


def _map_users(pid: int) -> None:
    """Map users of the new namespace: root keeps a nobody to change to, as limits do not bind it; others are nobody."""
    root = os.getuid() == 0
    if not root:
        _write(f"/proc/{pid}/setgroups", "deny")
    for kind, own in (("uid", os.getuid()), ("gid", os.getgid())):
        _write(f"/proc/{pid}/{kind}_map", f"0 0 1\n{NOBODY} {NOBODY} 1" if root else f"{NOBODY} {own} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def main() -> int:
    """Run the program on stdin and return its exit code."""
    limits, program = json.loads(sys.argv[1]), sys.stdin.read()
    os.set_inheritable(int(sys.argv[2]), False)
    entered, ready = os.pipe()
    mapped, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(entered)
        os.close(go)
        _guarded(lambda: _enter(ready, mapped, program, limits))
    os.close(ready)
    if os.read(entered, 1) == b"1":
        try:
            _map_users(child)
            os.write(go, b"1")
        except OSError as error:
            _tell(error)
            os.write(go, b"0")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256


if __name__ == "__main__":
    os._exit(main())
