"""Programs that a model wrote, run where they can do no harm: no network, no files, little memory, little time.

Linux namespaces hold the program; where they are not permitted it is not run at all.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from stackcurate.config import setting
from stackcurate.errors import TrainError
from stackcurate.train.jail import REFUSED

JAIL = Path(__file__).with_name("jail.py")


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """What a program may use."""

    seconds: int = setting(10, "seconds of CPU, and of time")
    memory: int = setting(512 << 20, "bytes of address space per process")
    disk: int = setting(16 << 20, "bytes in files, which lie in memory")
    processes: int = setting(16, "processes and threads")
    output: int = setting(64 << 10, "bytes it may print")

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Args:
        status: `passed`, `failed`, `timeout` or `output` (it printed too much).
        code: its exit code; negative or above 128 is a signal's.
        output: what it printed, both streams, as much as was read.
    """

    status: str
    code: int
    output: str


class SandboxError(TrainError):
    """The sandbox cannot be built here; nothing was run."""


def run_program(program: str, config: SandboxConfig = SandboxConfig()) -> Outcome:
    """Run a Python program to its end; it passes if its last line is reached and it exits with 0.

    Args:
        program: source of the program, standard library only.
        config: what it may use.

    Raises:
        SandboxError: namespaces are not permitted here; the program was not run.
    """
    proof = secrets.token_hex(16)  # `sys.exit(0)` before the tests is no pass
    source = f"{program}\nprint({proof!r})\n"
    why, child_why = os.pipe()
    process = _start(source, config, child_why)
    os.close(child_why)
    try:
        printed, reason = _read(process, config)
    finally:
        process.kill()  # and with it all that lives in the namespace
        code = process.wait()
        with os.fdopen(why, "rb") as pipe:
            refused = pipe.read().decode(errors="replace")
    if code == REFUSED and refused:
        raise SandboxError(f"the sandbox cannot be built here ({refused}); the program was not run")
    text = printed.decode("utf-8", "replace")
    if reason:
        return Outcome(reason, code, text)
    passed = code == 0 and text.endswith(f"{proof}\n")
    return Outcome("passed" if passed else "failed", code, text.removesuffix(f"{proof}\n"))


def _start(source: str, config: SandboxConfig, why: int) -> subprocess.Popen[bytes]:
    if sys.platform != "linux":
        raise SandboxError("the sandbox needs Linux; the program was not run")
    limits = json.dumps({name: getattr(config, name) for name in ("seconds", "memory", "disk", "processes")})
    command = [sys.executable, "-I", "-S", str(JAIL), limits, str(why)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(why,),
        env={},
        cwd="/",
    )
    assert process.stdin is not None
    process.stdin.write(source.encode("utf-8", "surrogatepass"))
    process.stdin.close()
    return process


def _read(process: subprocess.Popen[bytes], config: SandboxConfig) -> tuple[bytes, str]:
    """Return what is printed until the end, or until there is a reason to end it."""
    assert process.stdout is not None
    deadline = time.monotonic() + config.seconds
    printed = bytearray()
    with selectors.DefaultSelector() as selector, process.stdout:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(printed), "timeout"
            if not selector.select(left):
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                process.wait()
                return bytes(printed), ""
            printed += chunk
            if len(printed) > config.output:
                return bytes(printed[: config.output]), "output"
