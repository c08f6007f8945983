r"""Trees of files: the limits and the rules for paths that every source obeys, and the reader of plain folders.

A reader walks its input and asks the `Gate` about each file before it reads one: the gate normalises the
path, counts, and refuses with a reason code. Nothing is ever followed, executed or written.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from stackcurate.config import setting
from stackcurate.kernels.content import blob_id
from stackcurate.sources.metadata import Entry, Halt, Reason

REGULAR, EXECUTABLE, SYMLINK, COMMIT, FOLDER = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000
"""The modes that git keeps."""

_GIT = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Characters that HFS+ drops from names. Source: git's `next_hfs_char`."""
_DRIVE = re.compile(rb"[A-Za-z]:")
_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_BYTES = 1024
"""A pointer is smaller. Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""


@dataclass(frozen=True, kw_only=True)
class SourcesConfig:
    """What is read, and how much of it at most. Links, submodules and nested archives are never followed."""

    inputs: tuple[str, ...] = setting(
        (),
        "folders of repositories and archives, or single ones, also on `s3://`; `git:FILE` names a list of addresses, "
        "`the-stack:FOLDER` Parquet files in the layout of The Stack v1, v2 or v3",
    )
    snapshot: str = setting("", "name of the snapshot: each address of a `git:` list is fetched once under one name")
    max_file_bytes: int = setting(10 << 20, "a larger file is listed as `too_large` and not read: no code is that long")
    max_repository_bytes: int = setting(4 << 30, "contents read of one repository; the rest is listed only")
    max_entries: int = setting(500_000, "files and folders listed of one repository")
    max_ratio: float = setting(200.0, "expansion of an archive or a zip member beyond which it counts as a bomb")
    max_depth: int = setting(100, "folders above a file")
    max_path_bytes: int = setting(4096, "bytes of a path")
    git_timeout_s: float = setting(60.0, "seconds that git may be silent")
    git_fetch_s: float = setting(900.0, "seconds that one fetch may take")
    git_attempts: int = setting(3, "times that a fetch is tried in one run where the host does not answer")
    git_depth: int = setting(
        1, "commits of HEAD's history that are fetched; one is enough for the files; requests of authors need all"
    )
    git_protocols: tuple[str, ...] = setting(("https",), "protocols that addresses of repositories may have")
    git_cache: str = setting("", "folder of mirrors, on each worker; the default lies in the temporary folder")
    git_cache_bytes: int = setting(20 << 30, "disk that all mirrors of a worker may take; the least used go first")
    git_mirror_bytes: int = setting(2 << 30, "disk that one mirror may take; a larger repository is not fetched")
    contents: str = setting("", "folder or URI of contents by SHA-1, gzipped or not, for rows that hold ids alone")

    def __post_init__(self) -> None:
        """Refuse limits that would admit nothing."""
        for name, value in vars(self).items():
            if isinstance(value, int | float) and value <= 0:
                raise ValueError(f"{name}: expected a positive number, found {value}")
        if found := set(self.git_protocols) - {"https", "http", "file"}:
            raise ValueError(f"git_protocols: expected https, http or file, found {', '.join(sorted(found))}")
        if not 4 << 20 <= self.git_mirror_bytes <= self.git_cache_bytes:
            raise ValueError("git_mirror_bytes: expected 4 MiB or more, and no more than git_cache_bytes")


Wanted = Callable[[Entry], bool]
"""Tells whether a content is worth reading by what is known before: path, mode, and size where it is declared."""
_LARGEST = 1 << 48
"""Sizes from here on are lies."""


class Gate:
    """Admit the files of one repository: normalise paths, count, and refuse with a reason.

    Args:
        config: the limits.
        prefix: folder, with its slash, that is taken off each path.
        wanted: tells by an admitted entry whether its content is read; None means all.

    Attributes:
        error: reason why the repository as a whole is not complete; None where it is.
        oldest: smallest modification time of an entry, seconds since 1970; None where none is known.
        newest: largest modification time of an entry.
    """

    def __init__(self, config: SourcesConfig, prefix: str = "", wanted: Wanted | None = None) -> None:
        self.config = config
        self.error: Reason | None = None
        self.oldest: float | None = None
        self.newest: float | None = None
        self._prefix, self._wanted = prefix, wanted
        self._seen: set[str] = set()
        self._entries = self._bytes = 0

    def count(self) -> None:
        """Count an entry.

        Raises:
            Halt: there are more than `max_entries`.
        """
        self._entries += 1
        if self._entries > self.config.max_entries:
            raise Halt(Reason.TOO_MANY_ENTRIES)

    def path(self, raw: bytes) -> tuple[str, Reason | None]:
        """Return a path as it is written in the tables, and why it is refused."""
        text = raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        if len(raw) > self.config.max_path_bytes:
            return f"{text[:200]}...{hashlib.sha256(raw).hexdigest()}", Reason.PATH_TOO_LONG
        parts = [part for part in text.split("/") if part != "."]
        if b"\0" in raw or _unsafe(raw, parts):
            return text, Reason.UNSAFE_PATH
        path = "/".join(parts).removeprefix(self._prefix)
        return path, Reason.TOO_DEEP if len(parts) - 1 > self.config.max_depth else None

    def admit(
        self, raw: bytes, mode: int, size: int | None, reason: Reason | None = None, modified: float | None = None
    ) -> Entry:
        """Return the entry of a file whose content is not read yet, with the reason where it must not be.

        Args:
            raw: path as the input spells it.
            mode: Unix mode as git keeps it.
            size: bytes, as far as the input declares them.
            reason: what the reader already knows to be wrong.
            modified: seconds since 1970.

        Raises:
            Halt: there are more than `max_entries`.
        """
        self.count()
        path, problem = self.path(raw)
        problem = problem or reason or (Reason.TOO_LARGE if (size or 0) > self.config.max_file_bytes else None)
        if path in self._seen:
            problem = Reason.DUPLICATE_PATH
            while path in self._seen:  # keys stay unique: no file bears a NUL
                path = f"{path}\\x00{self._entries}"
        self._seen.add(path)
        if problem is None:
            self._bytes += size or 0
            if self._bytes > self.config.max_repository_bytes:
                problem = Reason.REPOSITORY_TOO_LARGE
                self.error = self.error or problem
        if modified is not None:
            self.oldest = modified if self.oldest is None else min(self.oldest, modified)
            self.newest = modified if self.newest is None else max(self.newest, modified)
        told = size if size is not None and size < _LARGEST else None  # archives may claim what no column holds
        return Entry(path=path, mode=mode, size=told, error=problem and problem.value)

    def wants(self, entry: Entry) -> bool:
        """Tell whether the content of an admitted entry is to be read."""
        return entry.error is None and entry.blob_id is None and (self._wanted is None or self._wanted(entry))


def filled(entry: Entry, content: bytes) -> Entry:
    """Return an entry with its content and blob id; a pointer of Git LFS is refused instead."""
    if content.startswith(_LFS) and len(content) < _LFS_BYTES:
        return refused(entry, Reason.LFS_POINTER)
    return Entry(path=entry.path, mode=entry.mode, size=len(content), content=content, blob_id=blob_id(content))


def refused(entry: Entry, reason: Reason) -> Entry:
    """Return an entry with a reason in place of its content."""
    return replace(entry, error=reason.value)


def unix_mode(mode: int) -> int:
    """Return the mode that git would keep for a regular file."""
    return EXECUTABLE if mode & 0o100 else REGULAR


def regular_file(path: bytes | os.PathLike[str], most: int) -> bytes | Reason:
    """Return the bytes of a regular file, or why there are none.

    Args:
        path: the file; what was one when it was listed may be a link or a pipe by now.
        most: bytes; a larger file is `too_large`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor is no path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Reason.SPECIAL_FILE
            content = file.read(most + 1)
    except OSError:
        return Reason.UNREADABLE
    return Reason.TOO_LARGE if len(content) > most else content


def entries(path: str, gate: Gate) -> Iterator[Entry]:
    """Yield the files of a plain folder, folder by folder in order of their names.

    Args:
        path: the folder.
        gate: admits or refuses each file.

    Raises:
        Halt: the rest cannot be listed.
        OSError: the folder itself cannot be listed.
    """
    for raw, full, info in walk(path, lambda raw: gate.path(raw)[1] is None, gate.config.max_entries):
        if info is None:
            yield gate.admit(raw, REGULAR, None, Reason.UNREADABLE)
        elif stat.S_ISDIR(info.st_mode):
            if gate.path(raw)[1] is None:
                gate.count()
            else:
                yield gate.admit(raw, FOLDER, None)
        elif stat.S_ISREG(info.st_mode):
            entry = gate.admit(raw, unix_mode(info.st_mode), info.st_size)
            yield _read(entry, full, gate.config.max_file_bytes) if gate.wants(entry) else entry
        else:
            link = stat.S_ISLNK(info.st_mode)
            reason = Reason.LINK if link else Reason.SPECIAL_FILE
            yield gate.admit(raw, SYMLINK if link else stat.S_IFMT(info.st_mode), None, reason)


def walk(
    path: str, descend: Callable[[bytes], bool], most: int
) -> Iterator[tuple[bytes, bytes, os.stat_result | None]]:
    """Yield relative path, full path and status of all below a folder, each folder before what is in it.

    Args:
        path: the folder.
        descend: tells by relative path whether a folder is entered.
        most: children listed of one folder, so that a folder of millions does not fill the memory.

    Returns:
        Triples in order of names; the status is None where the file system refuses it.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    yield from _children(os.fsencode(path), b"", descend, most)


def _children(
    folder: bytes, above: bytes, descend: Callable[[bytes], bool], most: int
) -> Iterator[tuple[bytes, bytes, os.stat_result | None]]:
    with os.scandir(folder) as listing:
        children = sorted(islice(listing, most + 1), key=lambda child: child.name)
    for child in children:
        raw = above + child.name
        try:
            info = child.stat(follow_symlinks=False)
        except OSError:
            yield raw, child.path, None
            continue
        yield raw, child.path, info
        if stat.S_ISDIR(info.st_mode) and descend(raw):
            try:
                yield from _children(child.path, raw + b"/", descend, most)
            except OSError:
                yield raw, child.path, None


def _read(entry: Entry, full: bytes, most: int) -> Entry:
    content = regular_file(full, most)
    return refused(entry, content) if isinstance(content, Reason) else filled(entry, content)


def _unsafe(raw: bytes, parts: list[str]) -> bool:
    if b"\\" in raw:  # a separator where the archive was made on Windows
        windows = raw.decode("utf-8", "replace").replace("\\", "/").split("/")
        if raw.startswith(b"\\") or any(part == ".." or _is_git(part) for part in windows):
            return True
    return (
        not parts or _DRIVE.match(raw) is not None or any(not part or part == ".." or _is_git(part) for part in parts)
    )


def _is_git(part: str) -> bool:
    name = part if part.isascii() else _IGNORABLE.sub("", part)
    return name[:1] in ".gG" and _GIT.fullmatch(name) is not None
