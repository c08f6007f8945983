"""Git repositories: the files of HEAD, without a checkout and without the repository's own settings.

Git runs in an empty private repository that borrows the object folder, so that hooks, fsmonitor, filters,
promisor remotes, replacements and whatever else the repository's config holds are never even read. HEAD and
its ref are read as text. What borrows objects from outside its folder is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from stackcurate.errors import MissingDependencyError
from stackcurate.sources.directories import COMMIT, SYMLINK, Gate, filled, refused, regular_file, unix_mode, walk
from stackcurate.sources.metadata import Entry, Halt, Reason, account

_COMMAND = (
    "git", "--no-pager", "--no-replace-objects", "--no-optional-locks",
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false",
    "-c", "protocol.allow=never", "-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false",
    "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=256m", "-c", "core.deltaBaseCacheLimit=64m",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "",  # none: nothing is ever fetched
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_ALLOC_LIMIT": "512m",  # a small delta may stand on a base of any size
    "LC_ALL": "C",
}
_OBJECT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(rb"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_LISTED = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]{40,64}) +(\d+|-|BAD)\t(.+)", re.DOTALL)
_TEXT_BYTES, _RECORD_BYTES, _PACKED_REFS_BYTES = 1 << 16, 1 << 20, 64 << 20
_WINDOW = 10_000
"""Files per `cat-file`: bounds the memory of a listing of any length."""
_RESTARTS = 100
"""Damaged objects in a window; each ends a `cat-file`, and a repository with more of them is given up."""
_COMMITS = 20_000
"""Commits on the first-parent line that are looked at for the oldest time."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the refs and the first-parent line of a repository say.

    Args:
        revision: commit id of HEAD; None without one.
        branch: branch that HEAD names; None where it is detached.
        owner: account in the origin's address; None where there is none.
        name: repository in the origin's address; None where there is none.
        oldest: time of the oldest commit looked at, seconds since 1970.
        newest: time of HEAD's commit.
    """

    revision: str | None
    branch: str | None
    owner: str | None = None
    name: str | None = None
    oldest: float | None = None
    newest: float | None = None


def git_folder(path: str) -> Path | None:
    """Return the folder that holds HEAD and the objects, of a work tree or a bare repository; else None."""
    dot_git = Path(path, ".git")
    if _is_folder(dot_git):
        return dot_git
    bare = Path(path)
    marks = any(os.path.lexists(bare / name) for name in ("HEAD", "config", "packed-refs"))
    return bare if marks and _is_folder(bare / "refs") and os.path.lexists(bare / "objects") else None


def fingerprint(path: str) -> str:
    """Return a digest of HEAD and all refs; it changes when a branch moves."""
    digest = hashlib.sha1(usedforsecurity=False)
    if folder := git_folder(path):
        names = [b"HEAD", b"packed-refs"]
        with suppress(OSError):
            refs = walk(str(folder / "refs"), lambda raw: raw.count(b"/") < 20, _WINDOW)
            names += [b"refs/" + raw for raw, _, _ in islice(refs, 10 * _WINDOW)]
        for name in names:
            digest.update(b"%s\0%s\0" % (name, _text(folder / os.fsdecode(name), _PACKED_REFS_BYTES)))
    return digest.hexdigest()


def describe(path: str, timeout_s: float) -> Head:
    """Return revision, branch, origin and times of a repository.

    Args:
        path: work tree or bare repository.
        timeout_s: seconds that git may be silent.

    Raises:
        MissingDependencyError: there is no git on PATH.
    """
    folder = git_folder(path)
    commit, branch = _head(folder) if folder else (None, None)
    owner = name = None
    if not folder or not commit:
        return Head(revision=None, branch=branch)
    times: list[float] = []
    with _session(folder, commit) as session, suppress(Halt):
        owner, name = _origin(folder, session, timeout_s)
        times = _times(session, commit, timeout_s)
    oldest, newest = (min(times), times[0]) if times else (None, None)
    return Head(revision=commit, branch=branch, owner=owner, name=name, oldest=oldest, newest=newest)


def entries(path: str, gate: Gate) -> Iterator[Entry]:
    """Yield the files of HEAD in git's order.

    Args:
        path: work tree or bare repository.
        gate: admits or refuses each file.

    Raises:
        Halt: the rest cannot be read.
        MissingDependencyError: there is no git on PATH.
    """
    folder = git_folder(path)
    if not folder:
        raise Halt(Reason.NO_HEAD)
    if reason := _borrowed(folder):
        raise Halt(reason)
    commit, _ = _head(folder)
    if not commit:
        raise Halt(Reason.NO_HEAD)
    with _session(folder, commit) as session:
        for window in _windows(_listing(session, commit, gate)):
            yield from _read(session, window, gate)


def _read(session: dict[str, str], window: list[tuple[Entry, str]], gate: Gate) -> Iterator[Entry]:
    """Yield the entries of a window with their contents; git is started again after each object it dies of."""
    for _ in range(_RESTARTS):
        done = 0
        for entry in _contents(session, window, gate):
            yield entry
            done += 1
        if done == len(window):
            return
        yield refused(window[done][0], Reason.CORRUPT_FILE)
        window = window[done + 1 :]
    raise Halt(Reason.CORRUPT_REPOSITORY)


def _listing(session: dict[str, str], commit: str, gate: Gate) -> Iterator[tuple[Entry, str]]:
    """Yield the entry and the object id of each file, contents not read."""
    arguments = ("ls-tree", "-r", "-z", "--full-tree", "-l", commit)
    with _git(session, arguments, gate.config.git_timeout_s) as (process, output):
        pending = b""
        while chunk := output.read1(_TEXT_BYTES):
            *records, pending = (pending + chunk).split(b"\0")
            for record in records:
                yield _admitted(record, gate)
            if len(pending) > _RECORD_BYTES:
                raise Halt(Reason.CORRUPT_REPOSITORY)
        if process.wait() != 0 or pending:
            raise Halt(Reason.CORRUPT_REPOSITORY)


def _windows(listing: Iterator[tuple[Entry, str]]) -> Iterator[list[tuple[Entry, str]]]:
    """Yield what is listed in parts; where the listing halts, what came before it first."""
    window = []
    try:
        for item in listing:
            window.append(item)
            if len(window) == _WINDOW:
                yield window
                window = []
    except Halt:
        yield window
        raise
    yield window


def _admitted(record: bytes, gate: Gate) -> tuple[Entry, str]:
    match = _LISTED.fullmatch(record)
    if not match:
        raise Halt(Reason.CORRUPT_REPOSITORY)
    mode, reason, size = int(match[1], 8), None, int(match[4]) if match[4].isdigit() else None
    if mode in (SYMLINK, COMMIT):
        reason = Reason.LINK if mode == SYMLINK else Reason.SUBMODULE
    else:
        mode = unix_mode(mode)
        reason = Reason.MISSING_OBJECT if size is None else None
    return gate.admit(match[5], mode, size, reason), match[3].decode()


def _contents(session: dict[str, str], window: list[tuple[Entry, str]], gate: Gate) -> Iterator[Entry]:
    """Yield the entries with their contents; fewer than asked for where git dies of one."""
    wanted = [oid for entry, oid in window if gate.wants(entry)]
    if not wanted:
        yield from (entry for entry, _ in window)
        return
    with TemporaryFile() as names:  # a file, not a pipe: nobody has to feed it while we read
        names.write("".join(f"{oid}\n" for oid in wanted).encode())
        names.seek(0)
        with _git(session, ("cat-file", "--batch", "--buffer"), gate.config.git_timeout_s, names) as (_, output):
            for entry, oid in window:
                answer = _answer(output, entry, oid, gate.config.max_file_bytes) if gate.wants(entry) else entry
                if answer is None:
                    return
                yield answer


def _answer(output: io.BufferedReader, entry: Entry, oid: str, most: int) -> Entry | None:
    words = output.readline(_TEXT_BYTES).split()
    if len(words) == 2 and words[1] == b"missing":
        return refused(entry, Reason.MISSING_OBJECT)
    if len(words) != 3:
        return None
    size, reason = int(words[2]), None
    content = output.read(min(size, most))
    if size > most or words[1] != b"blob":
        for start in range(most, size, _TEXT_BYTES):
            output.read(min(size - start, _TEXT_BYTES))
        reason = Reason.TOO_LARGE if size > most else Reason.CORRUPT_FILE
    if output.read(1) != b"\n":
        return None
    answer = refused(entry, reason) if reason else filled(entry, content)
    # A pack's index may lie about what an id stands for.
    lies = len(oid) == 40 and answer.blob_id not in (None, oid)
    return refused(entry, Reason.CORRUPT_FILE) if lies else answer


class _Patient(io.RawIOBase):
    """A pipe that gives up when nothing comes for a while."""

    def __init__(self, descriptor: int, timeout_s: float) -> None:
        self._descriptor, self._timeout_ms = descriptor, int(timeout_s * 1000)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._poll.poll(self._timeout_ms):
            raise Halt(Reason.TIMEOUT)
        return os.readv(self._descriptor, [buffer])


@contextmanager
def _git(
    session: dict[str, str], arguments: tuple[str, ...], timeout_s: float, stdin: IO[bytes] | None = None
) -> Iterator[tuple[Popen[bytes], io.BufferedReader]]:
    try:
        process = Popen(
            [*_COMMAND, *arguments], bufsize=0, env=session, cwd=session["GIT_DIR"],
            stdin=stdin or DEVNULL, stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingDependencyError("git is needed to read git repositories: install git 2.20 or later") from None
    with process:
        try:
            assert process.stdout
            yield process, io.BufferedReader(_Patient(process.stdout.fileno(), timeout_s), _TEXT_BYTES)
        finally:
            process.kill()


@contextmanager
def _session(folder: Path, commit: str) -> Iterator[dict[str, str]]:
    """Make the private repository and yield the environment that git runs in."""
    with TemporaryDirectory(prefix="stackcurate-git-") as private:
        Path(private, "refs").mkdir()
        Path(private, "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        sha256 = "[core]\nrepositoryFormatVersion = 1\n[extensions]\nobjectFormat = sha256\n"
        Path(private, "config").write_text("" if len(commit) == 40 else sha256, encoding="ascii")
        cut = _text(folder / "shallow", _PACKED_REFS_BYTES).splitlines(keepends=True)
        Path(private, "shallow").write_bytes(b"".join(line for line in cut if _OBJECT.fullmatch(line.strip())))
        yield {
            **_ENVIRONMENT,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": private,
            "GIT_DIR": private,
            "GIT_OBJECT_DIRECTORY": str((folder / "objects").resolve()),
        }


def _head(folder: Path) -> tuple[str | None, str | None]:
    """Return commit and branch of HEAD, following refs as text."""
    value, branch = _text(folder / "HEAD", _TEXT_BYTES).strip(), None
    for _ in range(5):
        if not value.startswith(b"ref:"):
            break
        ref = value[4:].strip()
        if not _REF.fullmatch(ref) or b".." in ref:
            return None, None
        branch = branch or ref.removeprefix(b"refs/heads/").decode("utf-8", "backslashreplace")
        packed = (line.partition(b" ") for line in _text(folder / "packed-refs", _PACKED_REFS_BYTES).splitlines())
        loose = _text(folder / os.fsdecode(ref), _TEXT_BYTES).strip()
        value = loose or next((commit for commit, _, name in packed if name == ref), b"")
    return value.decode() if _OBJECT.fullmatch(value) else None, branch


def _text(path: Path, most: int) -> bytes:
    """Return a small regular file, and nothing for whatever else stands there."""
    content = regular_file(path, most)
    return b"" if isinstance(content, Reason) else content


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _borrowed(folder: Path) -> Reason | None:
    """Say why the objects are not the repository's own: links, or alternates."""
    objects = folder / "objects"
    if os.path.lexists(objects / "info" / "alternates"):
        return Reason.ALTERNATES
    packs = objects / "pack"
    inside = packs.iterdir() if _is_folder(packs) else ()
    links = any(path.is_symlink() for path in (objects, packs, *inside))
    return Reason.LINK if links else None


def _origin(folder: Path, session: dict[str, str], timeout_s: float) -> tuple[str | None, str | None]:
    """Return owner and name from the origin's address; credentials in it go nowhere."""
    with TemporaryFile() as config:  # as text on stdin: no include, no link
        config.write(_text(folder / "config", _RECORD_BYTES))
        config.seek(0)
        arguments = ("config", "--file", "-", "--no-includes", "--get", "remote.origin.url")
        with _git(session, arguments, timeout_s, config) as (_, output):
            url = output.read(_TEXT_BYTES).decode("utf-8", "replace").strip()
    found = account(url, forges=None)
    return found if found and found[1] and not url.startswith("file:") else (None, None)


def _times(session: dict[str, str], commit: str, timeout_s: float) -> list[float]:
    arguments = ("rev-list", "--timestamp", "--first-parent", f"--max-count={_COMMITS}", commit)
    with _git(session, arguments, timeout_s) as (_, output):
        words = (line.split() for line in output)
        return [float(line[0]) for line in words if len(line) == 2 and line[0].isdigit() and len(line[0]) < 12]
