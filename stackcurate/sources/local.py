"""Local inputs: find the repositories, packages and archives below folders, and read each of them.

    for one in discover(["downloads"]):
        repository, files = read(one)

An input that cannot be read is not an exception but a repository with a reason code, so that it has its place
in the funnel. An `Input` is plain data: it travels to a Spark worker, and `read` runs there.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stackcurate.errors import SourceError
from stackcurate.sources import archives, directories, git
from stackcurate.sources.directories import Gate, SourcesConfig, Wanted
from stackcurate.sources.metadata import (
    Declared,
    Entry,
    Halt,
    Reason,
    Repository,
    declared,
    is_manifest,
    npm_name,
    pypi_name,
)

_EXPECTED = "git repositories, archives (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip, .whl) or folders"
_MANIFESTS = ("pyproject.toml", "package.json", "Cargo.toml", "PKG-INFO")
_YEARS = (datetime(1990, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""Times outside are placeholders: 1970 of tar, 1980 of zip, 1985 of npm."""
_LISTED = 1_000_000
"""Children of one folder that a fingerprint looks at."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One repository, package, archive or folder.

    Args:
        path: where it lies.
        name: path relative to the folder that was given.
        kind: `git`, `directory`, or by its name `wheel`, `npm`, `zip` or `tar`; `inputs` adds others.
        fingerprint: digest of sizes and times, of refs for git: changes when the input does.
        facts: what is known of the repository beside its files, as JSON; empty where nothing is.
    """

    path: str
    name: str
    kind: str
    fingerprint: str
    facts: str = ""


@dataclass(kw_only=True)
class _Survey:
    """What a first pass over an input found; contents but for manifests are not kept."""

    reason: Reason | None = None
    manifests: dict[str, bytes] = field(default_factory=dict)
    tops: set[str] = field(default_factory=set)
    listing: list[str] = field(default_factory=list)
    oldest: float | None = None
    newest: float | None = None

    @property
    def top(self) -> str:
        """The single folder that holds everything, with its slash; empty where there is none."""
        return next(iter(self.tops)) if len(self.tops) == 1 else ""


def discover(inputs: Iterable[str | os.PathLike[str]]) -> list[Input]:
    """Find the inputs in folders, each folder's children in order of their names.

    Args:
        inputs: a git repository or an archive stands for itself; any other folder for the git repositories,
            archives and folders in it. Loose files and what hides behind links are not inputs of their own.

    Raises:
        SourceError: a path does not exist, or holds nothing that can be read.
    """
    found: dict[str, Input] = {}
    for given in inputs:
        for one in _inputs(os.path.realpath(os.fspath(given))):
            found.setdefault(one.path, one)
    if not found:
        raise SourceError(f"no inputs: expected paths of {_EXPECTED}; set sources.inputs")
    return list(found.values())


def single(path: str | os.PathLike[str]) -> Input:
    """Return a folder, archive or git repository as one input, without looking for inputs in it.

    Raises:
        SourceError: the path does not exist.
    """
    given = os.path.realpath(os.fspath(path))
    if not os.path.lexists(given):
        raise SourceError(f"{given}: no such file or folder; expected {_EXPECTED}")
    return _input(given, Path(given).name)


def read(
    one: Input, config: SourcesConfig | None = None, known: Set[str] = frozenset(), wanted: Wanted | None = None
) -> tuple[Repository, Iterator[Entry]]:
    """Read an input: its row for the repos table, and its files as a stream.

    The input is walked twice: first for manifests, times, damage and the digest of a folder's listing, so that
    `repo_id` and `revision` are known before the first file; then, while the iterator is consumed, for the
    contents. Memory holds one file at a time, and paths.

    Args:
        one: as `discover` found it.
        config: the limits; the defaults where None.
        known: ids of blobs that need not be read again; heeded for git alone.
        wanted: tells of which entries the content is read; None means of all.

    Returns:
        The repository, with a reason code in `error` where it is not complete, and an iterator of entries,
        readable or not, each with a path of its own.
    """
    config = config or SourcesConfig()
    survey = _survey(one, config)
    repository, prefix = _DESCRIBE.get(one.kind, _describe_archive)(one, survey, config)
    return repository, _stopped(one, Gate(config, prefix, wanted), known)


def _inputs(given: str) -> list[Input]:
    if not os.path.lexists(given):
        raise SourceError(f"{given}: no such file or folder; expected {_EXPECTED}")
    if not Path(given).is_dir():
        if archives.is_archive(given):
            return [_input(given, Path(given).name)]
        raise SourceError(f"{given}: not an archive that can be read; expected {_EXPECTED}")
    if git.git_folder(given):
        return [_input(given, Path(given).name)]
    try:
        names = sorted(os.listdir(given))  # noqa: PTH208 - names are enough
    except OSError as error:
        raise SourceError(f"{given}: cannot be listed: {error.strerror}") from error
    children = [(str(Path(given, name)), name) for name in names]
    found = [_input(path, name) for path, name in children if Path(path).is_dir() or archives.is_archive(name)]
    if not found:
        what = f"only {len(names)} loose files; give the folder above it" if names else "nothing"
        raise SourceError(f"{given}: expected {_EXPECTED} in it, found {what}")
    return found


def _input(path: str, name: str) -> Input:
    lower = name.lower()
    if Path(path).is_dir():
        kind = "git" if not Path(path).is_symlink() and git.git_folder(path) else "directory"
    else:
        kinds = {".whl": "wheel", ".tgz": "npm", ".zip": "zip"}
        kind = next((kind for suffix, kind in kinds.items() if lower.endswith(suffix)), "tar")
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    return Input(path=path, name=shown, kind=kind, fingerprint=_fingerprint(path, kind))


def _fingerprint(path: str, kind: str) -> str:
    if kind == "git":
        return git.fingerprint(path)
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        info = os.lstat(path)
        digest.update(b"%o %d %d\0" % (info.st_mode, info.st_size, 0 if kind == "directory" else info.st_mtime_ns))
        if stat.S_ISDIR(info.st_mode):
            for raw, _, below in directories.walk(path, lambda raw: raw.count(b"/") < 100, _LISTED):
                if below and not stat.S_ISDIR(below.st_mode):
                    digest.update(b"%s\0%d %d\0" % (raw, below.st_size, below.st_mtime_ns))
    except OSError as error:
        digest.update(type(error).__name__.encode())
    return digest.hexdigest()


def _stopped(one: Input, gate: Gate, known: Set[str] = frozenset()) -> Iterator[Entry]:
    """Yield the entries of an input; what ends them early is noted at the gate."""
    try:
        _check_kind(one)
        if one.kind == "git":
            yield from git.entries(one.path, gate, known)
        else:
            yield from _READ.get(one.kind, archives.entries)(one.path, gate)
    except Halt as halt:
        gate.error = gate.error or halt.reason
    except OSError:
        gate.error = gate.error or Reason.UNREADABLE


def _check_kind(one: Input) -> None:
    mode = os.lstat(one.path).st_mode
    if stat.S_ISLNK(mode):
        raise Halt(Reason.LINK)
    if not (stat.S_ISDIR(mode) if one.kind in _DESCRIBE else stat.S_ISREG(mode)):
        raise Halt(Reason.SPECIAL_FILE)  # a pipe would be waited for


def _survey(one: Input, config: SourcesConfig) -> _Survey:
    survey = _Survey()
    gate = Gate(config, wanted=None if one.kind == "directory" else lambda entry: is_manifest(entry.path))
    for entry in _stopped(one, gate):
        if entry.content is not None and is_manifest(entry.path):
            survey.manifests[entry.path] = entry.content
        if entry.error not in (Reason.UNSAFE_PATH, Reason.PATH_TOO_LONG) and len(survey.tops) < 2:
            survey.tops.add(entry.path.partition("/")[0] + "/" if "/" in entry.path else "")
        if one.kind == "directory":
            survey.listing.append(f"{entry.path}\0{entry.blob_id or entry.error}\n")
    survey.reason, survey.oldest, survey.newest = gate.error, gate.oldest, gate.newest
    return survey


def _describe_git(one: Input, survey: _Survey, config: SourcesConfig) -> tuple[Repository, str]:
    head = git.Head(revision=None, branch=None)
    if survey.reason not in (Reason.LINK, Reason.ALTERNATES):
        head = git.describe(one.path, config.git_timeout_s)
    found = declared(survey.manifests, _MANIFESTS)
    name = head.name or Path(one.name).name.removesuffix(".git")
    repository = Repository(
        repo_id="/".join(part for part in ("git", head.owner, name) if part).lower(),
        host="git",
        owner=head.owner or found.owner,
        name=name,
        default_branch=head.branch,
        revision=head.revision,
        version=found.version,
        created_at=_time(head.oldest),
        pushed_at=_time(head.newest),
        host_license=found.license,
        source_kind="git",
        source=one.name,
        error=survey.reason and survey.reason.value,
        authors=head.authors,
    )
    return repository, ""


def _describe_directory(one: Input, survey: _Survey, config: SourcesConfig) -> tuple[Repository, str]:  # noqa: ARG001 - one signature for all kinds
    found = declared(survey.manifests, _MANIFESTS)
    listing = hashlib.sha1(usedforsecurity=False)
    for line in sorted(survey.listing):
        listing.update(line.encode())
    repository = Repository(
        repo_id=f"local/{one.name}".lower(),
        host="local",
        owner=found.owner,
        name=one.name,
        revision=listing.hexdigest(),
        version=found.version,
        host_license=found.license,
        source_kind="directory",
        source=one.name,
        error=survey.reason and survey.reason.value,
    )
    return repository, ""


def _describe_archive(one: Input, survey: _Survey, config: SourcesConfig) -> tuple[Repository, str]:  # noqa: ARG001 - one signature for all kinds
    top = survey.top
    root = {path.removeprefix(top): content for path, content in survey.manifests.items() if path.startswith(top)}
    kind, found = _package(one.kind, top, root, survey.manifests)
    name, version = archives.stem(Path(one.name).name)
    host, identity = _HOSTS.get(kind, ("local", lambda _: None))
    known = identity(found.name)
    shown = known.rpartition("/")[2] if known else name
    repository = Repository(
        repo_id=f"{host}/{known}" if known else f"local/{name}".lower(),
        host=host if known else "local",
        owner=found.owner or (shown if known else None),
        name=shown,
        revision=None if survey.reason in (Reason.LINK, Reason.SPECIAL_FILE) else _sha256(one.path),
        version=found.version or version,
        created_at=_time(survey.oldest),
        pushed_at=_time(survey.newest),
        host_license=found.license,
        source_kind=kind,
        source=one.name,
        error=survey.reason and survey.reason.value,
    )
    return repository, top if kind in ("sdist", "npm") else ""


def _package(named: str, top: str, root: dict[str, bytes], all_: dict[str, bytes]) -> tuple[str, Declared]:
    """Return kind and declarations of an archive by what is in it; a name alone proves nothing."""
    wheel = next((content for path, content in sorted(all_.items()) if path.endswith(".dist-info/METADATA")), None)
    if named == "wheel" and wheel is not None:
        return "wheel", declared({"METADATA": wheel}, ("METADATA",))
    if top and "PKG-INFO" in root:
        return "sdist", declared(root, ("PKG-INFO", "pyproject.toml"))
    if top and "package.json" in root and (named == "npm" or top == "package/"):
        return "npm", declared(root, ("package.json",))
    return "zip" if named in ("zip", "wheel") else "tar", declared(root, _MANIFESTS)


def _sha256(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _time(seconds: float | None) -> datetime | None:
    known = seconds is not None and math.isfinite(seconds) and _YEARS[0] <= seconds <= _YEARS[1]
    return datetime.fromtimestamp(int(seconds or 0), UTC) if known else None


_READ: dict[str, Callable[[str, Gate], Iterator[Entry]]] = {"directory": directories.entries}
_DESCRIBE = {"git": _describe_git, "directory": _describe_directory}
_HOSTS: dict[str, tuple[str, Callable[[str | None], str | None]]] = {
    "sdist": ("pypi", pypi_name),
    "wheel": ("pypi", pypi_name),
    "npm": ("npm", npm_name),
}
