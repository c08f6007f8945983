"""Git as a process: in an empty private repository that borrows the object folder, and patient only so long."""

from __future__ import annotations

import io
import os
import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import IO, Any

from stackcurate.errors import MissingDependencyError
from stackcurate.sources.directories import regular_file
from stackcurate.sources.metadata import Halt, Reason

COMMAND = (
    "git", "--no-pager", "--no-replace-objects", "--no-optional-locks",
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false",
    "-c", "protocol.allow=never", "-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false",
    "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=256m", "-c", "core.deltaBaseCacheLimit=64m",
)  # fmt: skip
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "",  # none: nothing is ever fetched
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ALLOC_LIMIT": "512m",  # a small delta may stand on a base of any size
    "LC_ALL": "C",
}
OBJECT_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
TEXT_BYTES = 1 << 16
"""Bytes of a line or of a small file."""
PACKED_REFS_BYTES = 64 << 20


class Patient(io.RawIOBase):
    """A pipe that gives up when nothing comes for a while."""

    def __init__(self, descriptor: int, timeout_s: float) -> None:
        self._descriptor, self._timeout_ms = descriptor, int(timeout_s * 1000)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer with what comes first.

        Raises:
            Halt: nothing came.
        """
        if not self._poll.poll(self._timeout_ms):
            raise Halt(Reason.TIMEOUT)
        return os.readv(self._descriptor, [buffer])


@contextmanager
def run(
    session: dict[str, str], arguments: tuple[str, ...], timeout_s: float, stdin: IO[bytes] | None = None
) -> Iterator[tuple[Popen[bytes], io.BufferedReader]]:
    """Start git and yield the process and what it prints; at the end it is killed.

    Args:
        session: the environment, as `session` yields it.
        arguments: of git.
        timeout_s: seconds that it may be silent.
        stdin: what it reads.

    Raises:
        MissingDependencyError: there is no git on PATH.
    """
    try:
        process = Popen(
            [*COMMAND, *arguments], bufsize=0, env=session, cwd=session["GIT_DIR"],
            stdin=stdin or DEVNULL, stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingDependencyError("git is needed to read git repositories: install git 2.20 or later") from None
    with process:
        try:
            assert process.stdout
            yield process, io.BufferedReader(Patient(process.stdout.fileno(), timeout_s), TEXT_BYTES)
        finally:
            process.kill()


@contextmanager
def session(folder: Path, commit: str) -> Iterator[dict[str, str]]:
    """Make the private repository and yield the environment that git runs in."""
    with TemporaryDirectory(prefix="stackcurate-git-") as private:
        Path(private, "refs").mkdir()
        Path(private, "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        sha256 = "[core]\nrepositoryFormatVersion = 1\n[extensions]\nobjectFormat = sha256\n"
        Path(private, "config").write_text("" if len(commit) == 40 else sha256, encoding="ascii")
        cut = text(folder / "shallow", PACKED_REFS_BYTES).splitlines(keepends=True)
        Path(private, "shallow").write_bytes(b"".join(line for line in cut if OBJECT_ID.fullmatch(line.strip())))
        yield {
            **ENVIRONMENT,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": private,
            "GIT_DIR": private,
            "GIT_OBJECT_DIRECTORY": str((folder / "objects").resolve()),
        }


def text(path: Path, most: int) -> bytes:
    """Return a small regular file, and nothing for whatever else stands there."""
    content = regular_file(path, most)
    return b"" if isinstance(content, Reason) else content
