"""CPU seconds of a command and of all processes below it, and the lines that benchmarks print.

`measure` runs the command under a supervisor, a process of its own that orphans are handed to. The supervisor waits
for every process, so that Linux adds up what they used. Linux does not add up the children of a process that ignores
SIGCHLD, as Spark's Python daemon does: what these used is sampled while they live.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[2]
SET_CHILD_SUBREAPER = 36
"""Option of prctl: orphans below this process become its children. Source: linux/prctl.h."""
SIGCHLD_BIT = 1 << 16
"""SIGCHLD in a mask of signals. Source: signal(7)."""
INTERVAL = 0.2
"""Seconds between two samples."""
GRACE = 30.0
"""Seconds that other processes may live on after the command itself has ended."""


@dataclass(frozen=True)
class Line:
    """One line of a benchmark: what was measured, of whom (`stackcurate` or the peer), and the goal if there is one."""

    subject: str
    name: str
    who: str
    value: float
    unit: str
    goal: float | None = None


def as_json(line: Line) -> str:
    """Return a line as JSON, three decimals."""
    return json.dumps({**asdict(line), "value": round(line.value, 3)})


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Args:
        cpu_seconds: user and system time of the command and of all processes below it.
        wall_seconds: from its start to the end of its last process.
        returncode: of the command itself.
        by_program: CPU seconds by the name of the program, such as `java`; sampled, so they lack the last instants.
    """

    cpu_seconds: float
    wall_seconds: float
    returncode: int
    by_program: dict[str, float]


def measure(command: Sequence[str]) -> Usage:
    """Run a command from the repository's root, its output on stderr, and return what it used.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "usage.json"
        supervisor = [sys.executable, "-m", "tests.bench.measure", str(result), *command]
        subprocess.run(supervisor, cwd=ROOT, stdout=sys.stderr, check=True)
        usage = Usage(**json.loads(result.read_text(encoding="utf-8")))
    if usage.returncode:
        raise subprocess.CalledProcessError(usage.returncode, list(command))
    return usage


def supervise(command: Sequence[str]) -> Usage:
    """Run a command, wait for all processes below it and add up what they used; for a process without other children.

    Raises:
        OSError: this system has no subreapers.
    """
    if ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed: CPU seconds can be measured on Linux alone")
    start = time.monotonic()
    first = subprocess.Popen(command)
    seen: dict[tuple[int, float], Sample] = {}
    returncode, deadline = 0, math.inf
    waited = set()
    while True:
        sample(seen)
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break  # none is left
        if pid == first.pid:
            returncode, deadline = os.waitstatus_to_exitcode(status), time.monotonic() + GRACE
        if pid:
            waited.add(pid)
        elif time.monotonic() > deadline:
            end_all()
        else:
            time.sleep(INTERVAL)
    added_up = resource.getrusage(resource.RUSAGE_CHILDREN)
    lost = sum(one.with_children for (pid, _), one in seen.items() if one.unwaited and pid not in waited)
    programs: dict[str, float] = {}
    for one in seen.values():
        programs[one.program] = programs.get(one.program, 0.0) + one.own
    return Usage(added_up.ru_utime + added_up.ru_stime + lost, time.monotonic() - start, returncode, programs)


class Sample(NamedTuple):
    """What a process had used when it was last seen, and whether its parent leaves it unwaited for."""

    program: str
    own: float
    with_children: float
    unwaited: bool


def sample(seen: dict[tuple[int, float], Sample]) -> None:
    """Note what each process below this one has used by now, by its id and time of creation."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, OSError):  # it ended meanwhile
            used = process.cpu_times()
            own = used.user + used.system
            total = own + used.children_user + used.children_system
            unwaited = ignores_children(process.ppid())
            seen[process.pid, process.create_time()] = Sample(process.name(), own, total, unwaited)


def ignores_children(pid: int) -> bool:
    """Say whether a process ignores SIGCHLD, so that nobody adds up what its children used."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    mask = next(line for line in lines if line.startswith("SigIgn:"))
    return bool(int(mask.split()[1], 16) & SIGCHLD_BIT)


def end_all() -> None:
    """Kill what is left below this process."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    usage = supervise(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(asdict(usage)), encoding="utf-8")
