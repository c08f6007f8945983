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
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile

from stackcurate.sources.directories import COMMIT, SYMLINK, Gate, filled, refused, unix_mode, walk
from stackcurate.sources.git_process import OBJECT_ID, PACKED_REFS_BYTES, TEXT_BYTES, run, session, text
from stackcurate.sources.metadata import Authors, Entry, Halt, Reason, account

_REF = re.compile(rb"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_LISTED = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]{40,64}) +(\d+|-|BAD)\t(.+)", re.DOTALL)
_RECORD_BYTES, _NAME_BYTES = 1 << 20, 500
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
        authors: e-mail, name and commits of each author of the commits looked at.
    """

    revision: str | None
    branch: str | None
    owner: str | None = None
    name: str | None = None
    oldest: float | None = None
    newest: float | None = None
    authors: Authors = field(default=(), repr=False)


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
            digest.update(b"%s\0%s\0" % (name, text(folder / os.fsdecode(name), PACKED_REFS_BYTES)))
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
    people: Authors = ()
    with session(folder, commit) as private, suppress(Halt):
        owner, name = _origin(folder, private, timeout_s)
        people = _authors(folder, private, commit, timeout_s)
        times = _times(private, commit, timeout_s)
    oldest, newest = (min(times), times[0]) if times else (None, None)
    return Head(revision=commit, branch=branch, owner=owner, name=name, oldest=oldest, newest=newest,
                authors=people)  # fmt: skip


def entries(path: str, gate: Gate, known: Set[str] = frozenset()) -> Iterator[Entry]:
    """Yield the files of HEAD in git's order.

    Args:
        path: work tree or bare repository.
        gate: admits or refuses each file.
        known: ids of blobs that are held already: their files are listed, and not read again.

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
    with session(folder, commit) as private:
        for window in _windows(_listing(private, commit, gate)):
            yield from _read(private, [_held(entry, oid, known) for entry, oid in window], gate)


def _held(entry: Entry, oid: str, known: Set[str]) -> tuple[Entry, str]:
    held = entry.error is None and oid in known
    return (replace(entry, blob_id=oid) if held else entry), oid


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
    with run(session, arguments, gate.config.git_timeout_s) as (process, output):
        pending = b""
        while chunk := output.read1(TEXT_BYTES):
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
        with run(session, ("cat-file", "--batch", "--buffer"), gate.config.git_timeout_s, names) as (_, output):
            for entry, oid in window:
                answer = _answer(output, entry, oid, gate.config.max_file_bytes) if gate.wants(entry) else entry
                if answer is None:
                    return
                yield answer


def _answer(output: io.BufferedReader, entry: Entry, oid: str, most: int) -> Entry | None:
    words = output.readline(TEXT_BYTES).split()
    if len(words) == 2 and words[1] == b"missing":
        return refused(entry, Reason.MISSING_OBJECT)
    if len(words) != 3:
        return None
    size, reason = int(words[2]), None
    content = output.read(min(size, most))
    if size > most or words[1] != b"blob":
        for start in range(most, size, TEXT_BYTES):
            output.read(min(size - start, TEXT_BYTES))
        reason = Reason.TOO_LARGE if size > most else Reason.CORRUPT_FILE
    if output.read(1) != b"\n":
        return None
    answer = refused(entry, reason) if reason else filled(entry, content)
    # A pack's index may lie about what an id stands for.
    lies = len(oid) == 40 and answer.blob_id not in (None, oid)
    return refused(entry, Reason.CORRUPT_FILE) if lies else answer


def _head(folder: Path) -> tuple[str | None, str | None]:
    """Return commit and branch of HEAD, following refs as text."""
    value, branch = text(folder / "HEAD", TEXT_BYTES).strip(), None
    for _ in range(5):
        if not value.startswith(b"ref:"):
            break
        ref = value[4:].strip()
        if not _REF.fullmatch(ref) or b".." in ref:
            return None, None
        branch = branch or ref.removeprefix(b"refs/heads/").decode("utf-8", "backslashreplace")
        packed = (line.partition(b" ") for line in text(folder / "packed-refs", PACKED_REFS_BYTES).splitlines())
        loose = text(folder / os.fsdecode(ref), TEXT_BYTES).strip()
        value = loose or next((commit for commit, _, name in packed if name == ref), b"")
    return value.decode() if OBJECT_ID.fullmatch(value) else None, branch


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
        config.write(text(folder / "config", _RECORD_BYTES))
        config.seek(0)
        arguments = ("config", "--file", "-", "--no-includes", "--get", "remote.origin.url")
        with run(session, arguments, timeout_s, config) as (_, output):
            url = output.read(TEXT_BYTES).decode("utf-8", "replace").strip()
    found = account(url, forges=None)
    return found if found and found[1] and not url.startswith("file:") else (None, None)


def _times(session: dict[str, str], commit: str, timeout_s: float) -> list[float]:
    arguments = ("rev-list", "--timestamp", "--first-parent", f"--max-count={_COMMITS}", commit)
    with run(session, arguments, timeout_s) as (_, output):
        words = (line.split() for line in output)
        return [float(line[0]) for line in words if len(line) == 2 and line[0].isdigit() and len(line[0]) < 12]


def _authors(folder: Path, session: dict[str, str], commit: str, timeout_s: float) -> Authors:
    """Return who made the commits; an author without a name stands for those of commits that are not looked at."""
    arguments = ("log", "--no-patch", f"--max-count={_COMMITS}", "--format=%ae%x00%an", commit)
    with run(session, arguments, timeout_s) as (_, output):
        found = Counter(line.rstrip(b"\n")[:_NAME_BYTES] for line in output)
    people = ((line.decode("utf-8", "replace").split("\0"), commits) for line, commits in found.items())
    seen = sorted((pair[0], pair[1], commits) for pair, commits in people if len(pair) == 2)
    more = os.path.lexists(folder / "shallow") or found.total() >= _COMMITS
    return (*seen, *([("", "", 0)] if more else []))
