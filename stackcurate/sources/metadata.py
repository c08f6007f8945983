"""What is known of a file and of a repository: records, reason codes, and what manifests declare.

A manifest is a claim of whoever made the package, and hostile: nothing of it is executed, every value is
checked for its type, cut to one short line, and a manifest that does not parse declares nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import HeaderParser
from enum import StrEnum
from typing import Any

MANIFEST_BYTES = 1 << 20
"""A longer manifest is not parsed; real ones hold a few kilobytes."""

_FORGES = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "github", "gitlab", "bitbucket")
_NO_ACCOUNTS = frozenset({"sponsors", "orgs", "users", "topics", "features", "apps", "marketplace"})
_URL = re.compile(
    r"(?:git\+)?(?:[a-z]{2,5}://)?(?:[^@/\s]{0,200}@)?(?:www\.)?(?P<host>[\w.-]+)(?::\d+)?[:/]+(?P<path>[^\s?#]+)",
    re.IGNORECASE,
)
_SHORTHAND = re.compile(r"[\w.-]+/[\w.-]+")
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,212}[A-Za-z0-9])?")
_NPM_NAME = re.compile(r"(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*")
_SOURCE_LABEL = re.compile(r"source|repo|code|git", re.IGNORECASE)
_LONGEST = 200


class Reason(StrEnum):
    """Why a file or a repository was not read, or not to its end. The text of each is its `doc`."""

    doc: str

    def __new__(cls, code: str, doc: str) -> Reason:
        """Make a member that is its code and carries its doc."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.doc = doc
        return member

    # of one file
    UNSAFE_PATH = "unsafe_path", "absolute, with `..`, a drive letter, NUL, an empty or a `.git` component"
    PATH_TOO_LONG = "path_too_long", "path of more bytes than max_path_bytes"
    TOO_DEEP = "too_deep", "more folders above it than max_depth"
    DUPLICATE_PATH = "duplicate_path", "an earlier entry has the path; the first one wins"
    LINK = "link", "symbolic or hard link; links are not followed"
    SPECIAL_FILE = "special_file", "device, pipe, socket, sparse file or an unknown kind of entry"
    SUBMODULE = "submodule", "commit of another repository; submodules are not followed"
    LFS_POINTER = "lfs_pointer", "pointer of Git LFS in place of the content"
    TOO_LARGE = "too_large", "more bytes than max_file_bytes"
    BOMB_RATIO = "bomb_ratio", "expands by more than max_ratio (file, or archive as a whole)"
    OVERLAPPING = "overlapping", "zip member that shares its bytes with another member"
    ENCRYPTED = "encrypted", "zip member under a password"
    UNSUPPORTED = "unsupported", "compression method that is not read"
    CORRUPT_FILE = "corrupt_file", "does not decompress, ends early or does not match its checksum"
    MISSING_OBJECT = "missing_object", "git object that the repository lacks, as in partial clones"
    NOT_HELD = "not_held", "the row names a content that it does not hold, and [sources] contents names no store"
    UNREADABLE = "unreadable", "the file system refuses it (file, or input as a whole)"
    # of a whole repository
    TOO_MANY_ENTRIES = "too_many_entries", "more entries than max_entries; the rest is not listed"
    REPOSITORY_TOO_LARGE = "repository_too_large", "contents beyond max_repository_bytes are listed, not read"
    CORRUPT_ARCHIVE = "corrupt_archive", "the archive is damaged; what came before the damage is kept"
    CORRUPT_REPOSITORY = "corrupt_repository", "git cannot walk the tree; what came before is kept"
    NO_HEAD = "no_head", "HEAD is missing, or names a branch without a commit"
    UNNAMED = "unnamed", "a row of The Stack that names no repository; each counts as one"
    ALTERNATES = "alternates", "borrows objects from outside its own folder"
    TIMEOUT = "timeout", "git was silent for longer than git_timeout_s, or a fetch took longer than git_fetch_s"
    REFUSED_ADDRESS = "refused_address", "no plain address of a repository under one of git_protocols"
    GONE = "gone", "the host says that there is no such repository, or none that is public"
    UNREACHABLE = "unreachable", "the host did not answer, or with an error, git_attempts times"
    MIRROR_TOO_LARGE = "mirror_too_large", "the repository takes more disk than git_mirror_bytes"
    CACHE_FULL = "cache_full", "other mirrors, all in use, took what git_cache_bytes allows"


TRANSIENT = tuple(
    reason.value
    for reason in (
        Reason.UNREADABLE, Reason.TIMEOUT, Reason.MISSING_OBJECT, Reason.UNREACHABLE, Reason.CACHE_FULL
    )
)  # fmt: skip
"""Reasons that may be gone by the next run, which tries again."""
NO_PLACE = (Reason.UNSAFE_PATH.value, Reason.PATH_TOO_LONG.value, Reason.DUPLICATE_PATH.value)
"""Reasons of files whose path is no place in a tree, so that no licence is asked for there."""


class Halt(Exception):  # noqa: N818 - no error of the program: the reader stops here and says why
    """Raised inside a reader where the rest of an input cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    r"""A file of a repository, read or not.

    Args:
        path: path in the repository; bytes that are no UTF-8 are written as ``\xNN``. Unique in its repository.
        mode: Unix mode as git keeps it.
        size: bytes; None where the input does not say.
        content: the bytes; None where they were not read.
        blob_id: git SHA-1 of the content; None where it was not read.
        error: reason code; None where all went well.
    """

    path: str
    mode: int
    size: int | None
    content: bytes | None = field(default=None, repr=False)
    blob_id: str | None = None
    error: str | None = None


Authors = tuple[tuple[str, str, int], ...]
"""E-mail, name and number of commits of each author; only keyed hashes of the first two are ever written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A row of `schema.REPOS` but for `input_id`: the same names in the same order; beside it, who wrote commits."""

    repo_id: str
    revision: str | None = None
    host: str
    owner: str | None = None
    name: str
    owner_type: str | None = None
    owner_id: int | None = None
    fork_of: str | None = None
    stars: int | None = None
    forks: int | None = None
    default_branch: str | None = None
    version: str | None = None
    created_at: datetime | None = None
    pushed_at: datetime | None = None
    host_license: str | None = None
    source_kind: str
    source: str
    error: str | None = None
    authors: Authors = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What a manifest says of its package; `owner` is an account or a scope: names of persons are not published."""

    name: str | None = None
    version: str | None = None
    license: str | None = None
    owner: str | None = None


def file_id(repo_id: str, revision: str, path: str) -> str:
    """Return the id of one occurrence of a file: SHA-1 over repository, revision and path.

    >>> file_id("pypi/six", "ab12", "six.py")
    'd3c272f9c59e77958e5764e52488b29b10af1fb4'
    """
    return hashlib.sha1("\0".join((repo_id, revision, path)).encode(), usedforsecurity=False).hexdigest()


def file_row(repository: Repository, entry: Entry) -> dict[str, Any]:
    """Return what a row of `files` says of a file, but for the input that it came from."""
    return {
        "file_id": file_id(repository.repo_id, repository.revision or "", entry.path),
        "repo_id": repository.repo_id,
        "revision": repository.revision,
        "path": entry.path,
        "blob_id": entry.blob_id,
        "size": entry.size,
        "mode": entry.mode,
        "error": entry.error,
    }


def is_manifest(path: str) -> bool:
    """Tell whether a path is a manifest that counts: at the root, or in the one folder below it."""
    folder, _, name = path.rpartition("/")
    return "/" not in folder and (name in _PARSERS and (name != "METADATA" or folder.endswith(".dist-info")))


def declared(manifests: Mapping[str, bytes], names: Iterable[str]) -> Declared:
    """Merge what manifests declare; the first one that says something wins, value by value.

    Args:
        manifests: content by file name, such as ``{"PKG-INFO": b"..."}``.
        names: file names, most trusted first.
    """
    found = [_parse(name, manifests[name]) for name in names if name in manifests]

    def first(attribute: str) -> str | None:
        return next((value for one in found if (value := getattr(one, attribute))), None)

    return Declared(name=first("name"), version=first("version"), license=first("license"), owner=first("owner"))


def account(url: str, forges: Iterable[str] | None = _FORGES) -> tuple[str, str | None] | None:
    """Return the account and the repository that a URL names, never what else stands in it.

    Args:
        url: web, ssh or shorthand address of a repository.
        forges: hosts whose first path component is an account; None takes any host.

    >>> account("git+https://user:word@github.com/babel/babel.git")
    ('babel', 'babel')
    >>> account("https://example.org/babel/babel") is None
    True
    """
    match = _URL.match(url.strip()[:500])
    if not match or (forges is not None and match["host"].lower() not in forges):
        return None
    parts = [part for part in match["path"].split("/") if part]
    if not parts or parts[0].lower() in _NO_ACCOUNTS:
        return None
    name = parts[-1].removesuffix(".git") if len(parts) > 1 else None
    return _line(parts[0]) or "", _line(name)


def pypi_name(name: str | None) -> str | None:
    """Return the normalised name of a project; None for what is no name.

    Source: https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower() if name and _PYPI_NAME.fullmatch(name) else None


def npm_name(name: str | None) -> str | None:
    """Return the lower-cased name of a package, scope included; None for what is no name."""
    return name.lower() if name and len(name) <= 214 and _NPM_NAME.fullmatch(name) else None


def _parse(name: str, content: bytes) -> Declared:
    if len(content) > MANIFEST_BYTES:
        return Declared()
    try:
        return _PARSERS[name](content)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return Declared()


def _line(value: Any) -> str | None:
    """Return a string as one short line, and None for anything else."""
    return (
        " ".join("".join(c if c.isprintable() else " " for c in value[:_LONGEST]).split()) or None
        if (isinstance(value, str))
        else None
    )


def _owner(urls: Iterable[Any], scope: str | None = None) -> str | None:
    found = (account(url) for url in urls if isinstance(url, str))
    return next((pair[0] for pair in found if pair), None) or scope


def _core_metadata(content: bytes) -> Declared:
    """Read PKG-INFO or METADATA, headers only."""
    head = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]
    message = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    labelled = [pair.partition(",")[::2] for pair in message.get_all("Project-URL", [])]
    labelled.sort(key=lambda pair: not _SOURCE_LABEL.search(pair[0]))
    return Declared(
        name=_line(message.get("Name")),
        version=_line(message.get("Version")),
        license=_python_license(message.get_all("License-Expression", []), message.get("License"), message),
        owner=_owner([*(url for _, url in labelled), message.get("Home-page"), message.get("Download-URL")]),
    )


def _python_license(expressions: list[str], free_text: str | None, message: Any) -> str | None:
    """Take the expression, else a short licence field, else the classifiers."""
    if expressions:
        return _line(expressions[0])
    if free_text and "\n" not in free_text.strip() and len(free_text) <= _LONGEST and free_text.strip() != "UNKNOWN":
        return _line(free_text)
    classifiers = (value.split(" :: ") for value in message.get_all("Classifier", []))
    return _line("; ".join(parts[-1] for parts in classifiers if parts[0] == "License" and len(parts) > 1))


def _pyproject(content: bytes) -> Declared:
    data = tomllib.loads(content.decode())
    project = data.get("project") or data.get("tool", {}).get("poetry") or {}
    stated = project.get("license")
    urls = [*_strings(project.get("urls")), project.get("repository"), project.get("homepage")]
    return Declared(
        name=_line(project.get("name")),
        version=_line(project.get("version")),
        license=_line(stated.get("text") if isinstance(stated, dict) else stated),
        owner=_owner(urls),
    )


def _package_json(content: bytes) -> Declared:
    data = json.loads(content)
    name = _line(data.get("name"))
    repository = data.get("repository")
    url = repository.get("url") if isinstance(repository, dict) else repository
    if isinstance(url, str) and _SHORTHAND.fullmatch(url):
        url = f"github:{url}"
    stated = data.get("license") or data.get("licenses")
    several = stated if isinstance(stated, list) else [stated]
    licenses = [_line(one.get("type") if isinstance(one, dict) else one) for one in several[:9]]
    scope = name[1:].partition("/")[0] if name and name.startswith("@") else None
    return Declared(
        name=name,
        version=_line(data.get("version")),
        license=_line(" OR ".join(one for one in licenses if one)),
        owner=_owner([url, data.get("homepage")], scope),
    )


def _cargo(content: bytes) -> Declared:
    package = tomllib.loads(content.decode()).get("package", {})
    return Declared(
        name=_line(package.get("name")),
        version=_line(package.get("version")),
        license=_line(package.get("license")),
        owner=_owner([package.get("repository"), package.get("homepage")]),
    )


def _strings(value: Any) -> Iterator[str]:
    return (text for text in value.values() if isinstance(text, str)) if isinstance(value, dict) else iter(())


_PARSERS = {
    "PKG-INFO": _core_metadata,
    "METADATA": _core_metadata,
    "package.json": _package_json,
    "pyproject.toml": _pyproject,
    "Cargo.toml": _cargo,
}
