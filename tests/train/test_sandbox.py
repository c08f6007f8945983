"""Hostile programs in the sandbox."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from stackcurate.train.sandbox import Outcome, SandboxConfig, SandboxError, run_program

SMALL = SandboxConfig(seconds=4, memory=256 << 20, disk=4 << 20)


def works() -> str:
    """Return why the sandbox cannot be built here; empty where it can."""
    try:
        run_program("pass", SMALL)
    except SandboxError as error:
        return str(error)
    return ""


WHY_NOT = works()
locked = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it can be built")


def run(program: str) -> Outcome:
    return run_program(program, SMALL)


@locked
def test_a_program_passes_when_it_reaches_its_end() -> None:
    assert run("print(sum(range(5)))") == Outcome("passed", 0, "10\n")
    assert run("assert 1 == 2").status == "failed"
    assert run("import sys; sys.exit(0)").status == "failed"
    assert run("import os; os._exit(0)").status == "failed"
    assert run("this is no Python").status == "failed"


@locked
def test_endless_programs_end() -> None:
    begun = time.monotonic()

    short = SandboxConfig(seconds=1)

    assert run_program("while True: pass", short).status in ("timeout", "failed")
    assert run_program("import time; time.sleep(99)", short).status == "timeout"
    assert time.monotonic() - begun < 9


@locked
def test_bombs_do_not_go_off() -> None:
    forked = run(
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    for _ in range(1000):\n"
        "        if os.fork() == 0: time.sleep(99)\n"
        "        made += 1\n"
        "except OSError as error: print(type(error).__name__, made)\n"
    )
    memory = run("x = []\ntry:\n    while True: x.append(bytes(1 << 20))\nexcept MemoryError: print('none left')")

    assert forked.output.startswith("BlockingIOError")
    assert int(forked.output.split()[1]) < 16
    assert memory.output == "none left\n"
    assert run("print('x' * 10_000_000)").status == "output"
    assert len(run("while True: print('x' * 1000)").output) == SMALL.output


@locked
def test_the_file_system_is_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("known")
    looked = run(f"import os; print(os.path.exists({str(secret)!r}), sorted(os.listdir('/')), os.listdir('/tmp'))")
    wrote = "".join(
        f"try: open({str(path)!r}, 'w').write('x'); print('wrote')\nexcept OSError: print('refused')\n"
        for path in (tmp_path / "new", "/usr/lib/new", "/new", "/etc/passwd", "/dev/new")
    )
    full = run("try: open('/tmp/big', 'wb').write(bytes(8 << 20)); print('wrote')\nexcept OSError: print('refused')")

    assert looked.output.startswith("False")
    assert "program.py" in looked.output
    assert "'root'" not in looked.output or "/root" in os.path.realpath(os.sys.base_prefix)  # type: ignore[attr-defined]
    assert run(wrote).output == "refused\n" * 5
    assert full.output == "refused\n"
    assert not (tmp_path / "new").exists()
    assert run("open('/tmp/small', 'w').write('x'); print(open('/tmp/small').read())").output == "x\n"


@locked
def test_there_is_no_network_and_nobody_else() -> None:
    connect = (
        "import socket\ntry: socket.create_connection(('{}', {}), 1); print('connected')\nexcept OSError: print('none')"
    )
    killed = run(
        "import os\nfor pid in range(2, 40000):\n    try: os.kill(pid, 0); print(pid)\n    except OSError: pass"
    )

    assert run(connect.format("127.0.0.1", 22)).output == "none\n"
    assert run(connect.format("192.0.2.1", 80)).output == "none\n"
    assert len(killed.output.split()) <= 1  # itself
    assert run("import os; print(os.getuid(), os.environ.get('HOME'))").output == "65534 /tmp\n"
    regained = "import ctypes; print(ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, b''))"
    assert run(regained).output == "-1\n"


@locked
def test_nothing_lives_on() -> None:
    before = set(processes())
    run("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(77)")
    time.sleep(0.2)

    assert "time.sleep(77)" not in " ".join(set(processes()) - before)
    assert [line for line in set(processes()) - before if "program.py" in line] == []


def processes() -> list[str]:
    return subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
