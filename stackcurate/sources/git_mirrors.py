"""Mirrors of remote repositories: bare, shallow, without large blobs, in a folder that never outgrows its budget.

A mirror is fetched by git in a repository of our own making: no template, hook, filter, credential, helper,
submodule or setting of the user or of the other side is in play, and every process is cut off in time, CPU, memory
and file size. What the host says on the way is looked at for its kind and then forgotten.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from stackcurate.errors import ConfigError, MissingDependencyError
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.git_process import COMMAND, ENVIRONMENT
from stackcurate.sources.metadata import Halt, Reason

HEAD = "refs/stackcurate/head"
"""The one ref of a mirror."""

_LIMITED = 'ulimit -f "$1" && ulimit -t "$2" && ulimit -v "$3" && shift 3 && exec "$@"'
_MEMORY_KB = 4 << 20
_SLACK = 1 << 20
"""Bytes of a mirror beside its packs."""
_WAIT_S = 0.2
_SAID = 1 << 16
_BLOCK = 4096
_FETCH = (
    "-c", "credential.helper=", "-c", "http.cookieFile=", "-c", "http.followRedirects=initial",
    "-c", "http.lowSpeedLimit=1", "-c", "transfer.bundleURI=false", "-c", "fetch.unpackLimit=1", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "pack.threads=1", "-c", "core.bigFileThreshold=32m",
    "-c", "fetch.writeCommitGraph=false", "-c", "protocol.version=2", "-c", "fetch.recurseSubmodules=false",
)  # fmt: skip
_PASSED = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE")
"""How this machine reaches the net; nothing else of its environment is passed on."""
_SYMREF = re.compile(rb"ref: refs/heads/([^\x00-\x20\x7f]+)\tHEAD")
_HEAD_ID = re.compile(rb"([0-9a-f]{40}(?:[0-9a-f]{24})?)\tHEAD")
_SAYS: tuple[tuple[Reason, re.Pattern[bytes]], ...] = (
    (Reason.REFUSED_ADDRESS, re.compile(rb"transport '.{0,40}' not allowed|not supported or disabled")),
    (Reason.GONE, re.compile(
        rb"repository '.{0,2000}' not found|could not read (?:Username|Password)|Authentication failed"
        rb"|returned error: (?:404|410|451)|does not (?:appear to be a git repository|exist)", re.DOTALL,
    )),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A mirror that is held for reading.

    Args:
        path: bare repository; HEAD is detached.
        branch: branch that the remote's HEAD names; None where it names none.
        partial: blobs may be missing because they are larger than `max_file_bytes`.
    """

    path: Path
    branch: str | None
    partial: bool


_PATH = re.compile(r"/[\w.~%+@/()\[\],=!-]+")
_ESCAPED = re.compile(r"%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
"""Letters, digits and `-._~`. Source: RFC 3986, 2.3 and 6.2.2.2."""


def address(url: str, protocols: tuple[str, ...]) -> str | None:
    """Return a clean address: no user, password, query or fragment; None where it is none that git may fetch.

    >>> address("https://me:word@Example.org/a/b.git?x=1", ("https",))
    'https://example.org/a/b.git'
    >>> address("ext::sh -c id", ("https",)), address("--upload-pack=x", ("https",))
    (None, None)
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return None
    # What need not be escaped is not: else one repository has many names, and requests know one.
    path = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), parts.path)
    plain = re.fullmatch(r"[a-z0-9.-]*(?::\d+)?|\[[0-9a-f:.]+\](?::\d+)?", host) and _PATH.fullmatch(path)
    if parts.scheme not in protocols or not plain or bool(host) == (parts.scheme == "file"):
        return None
    if len(url) > 2000 or re.search(r"[\x00-\x20\x7f]", url.strip()) or ".." in path.split("/"):
        return None
    return urlunsplit((parts.scheme, host, path, "", ""))


@contextmanager
def mirrored(url: str, config: SourcesConfig) -> Iterator[Mirror]:
    """Bring the mirror of an address up to date and hold it; it is reused as long as the budget leaves it there.

    Args:
        url: as `address` gives it.
        config: limits, and where the mirrors are.

    Raises:
        Halt: it cannot be fetched, with the reason.
        MissingDependencyError: there is no git on PATH.
        ConfigError: the folder for mirrors was made by another user, and none is configured.
    """
    default = Path(tempfile.gettempdir(), f"stackcurate-git-{os.getuid()}")
    cache = Path(config.git_cache or default)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not config.git_cache:
        check_own(default)
    key = hashlib.sha256(url.encode()).hexdigest()[:32]
    with _held(cache, key, config):
        folder = cache / f"{key}.git"
        try:
            branch = _up_to_date(folder, url, config)
        except Halt:
            if not (folder / HEAD).is_file():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            _sweep(folder)
        yield Mirror(path=folder, branch=branch, partial=any((folder / "objects/pack").glob("*.promisor")))


def check_own(folder: Path) -> None:
    """Refuse a folder in a place for everyone that somebody else made: what git reads there it obeys.

    Raises:
        ConfigError: it is of another user.
    """
    if folder.lstat().st_uid != os.getuid():
        raise ConfigError(f"{folder}: belongs to another user; set sources.git_cache to a folder of your own")


# --- the budget ------------------------------------------------------------------------------------------------


@contextmanager
def _held(cache: Path, key: str, config: SourcesConfig) -> Iterator[None]:
    """Hold the lock of a mirror and room for it; whoever waits for room holds nothing."""
    deadline = time.monotonic() + config.git_fetch_s
    while (lock := _granted(cache, key, config)) is None:
        if time.monotonic() > deadline:
            raise Halt(Reason.CACHE_FULL)
        time.sleep(_WAIT_S)
    with lock:
        yield


def _granted(cache: Path, key: str, config: SourcesConfig) -> IO[str] | None:
    """Return the lock of a mirror once the others leave it `git_mirror_bytes`, after evicting the least used."""
    with (cache / "lock").open("a") as all_of_it:
        fcntl.flock(all_of_it, fcntl.LOCK_EX)
        own = _locked(cache / f"{key}.lock")
        if own is None:
            return None
        free = config.git_cache_bytes - config.git_mirror_bytes
        others = sorted((p for p in cache.glob("*.git") if p.stem != key), key=_last_used)
        sizes = {path: _size(path) for path in others}
        for path in others:
            lock = _locked(path.with_suffix(".lock"))
            if lock is None:  # in use: it may be growing
                sizes[path] = config.git_mirror_bytes
                continue
            with lock:
                if sum(sizes.values()) > free:
                    shutil.rmtree(path, ignore_errors=True)
                    path.with_suffix(".lock").unlink(missing_ok=True)  # nobody waits for it: all hold `lock` first
                    del sizes[path]
        if sum(sizes.values()) > free:
            own.close()
            return None
        return own


def _locked(path: Path) -> IO[str] | None:
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _last_used(path: Path) -> float:
    with suppress(OSError):
        return (path / "HEAD").stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            info = path.lstat()
            total += max(info.st_size, 512 * info.st_blocks)
    return total


def _sweep(folder: Path) -> None:
    """Remove what a fetch that was cut off left behind."""
    for left in (folder / "objects").rglob("tmp_*"):
        left.unlink(missing_ok=True)
    for lock in folder.rglob("*.lock"):
        lock.unlink(missing_ok=True)


# --- fetching --------------------------------------------------------------------------------------------------


def _up_to_date(folder: Path, url: str, config: SourcesConfig) -> str | None:
    """Fetch HEAD where it has moved, and return the branch that it names."""
    if (folder / HEAD).is_file() and _size(folder) > config.git_mirror_bytes // 2:
        shutil.rmtree(folder)  # packs pile up; a fresh mirror is smaller
    _make(folder)
    _sweep(folder)
    said = _again(folder, ("ls-remote", "--symref", "--", url, "HEAD"), config)
    wanted, names = _HEAD_ID.search(said), _SYMREF.search(said)
    if not wanted:
        raise Halt(Reason.NO_HEAD)
    if len(wanted[1]) == 64:
        _make(folder, "sha256")
    ref = folder / HEAD
    if not ref.is_file() or ref.read_bytes().strip() != wanted[1]:
        arguments = (
            "fetch", "--quiet", f"--depth={config.git_depth}", f"--filter=blob:limit={config.max_file_bytes + 1}",
            "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--force",
            "--", url, f"+HEAD:{HEAD}",
        )  # fmt: skip
        _again(folder, arguments, config)
        if not ref.is_file():
            raise Halt(Reason.NO_HEAD)
    (folder / "HEAD").write_bytes(ref.read_bytes())  # and so it counts as used now
    return names[1].decode("utf-8", "backslashreplace") if names else None


def _make(folder: Path, objects: str = "sha1") -> None:
    """Write an empty repository, as `git init` would without a template."""
    if (folder / "config").is_file() and objects == "sha1":
        return
    for below in ("refs", "objects/pack", "objects/info"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    sha256 = "" if objects == "sha1" else "[extensions]\n\tobjectFormat = sha256\n"
    core = "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n"
    (folder / "config").write_text(core + sha256, encoding="ascii")


def _again(folder: Path, arguments: tuple[str, ...], config: SourcesConfig) -> bytes:
    """Run git, several times where the host does not answer, and return what it prints."""
    for attempt in range(config.git_attempts - 1):
        with suppress(_Unanswered):
            return _run(folder, arguments, config)
        time.sleep(0.5 * 2**attempt)
    return _run(folder, arguments, config)


class _Unanswered(Halt):
    """The host did not answer: worth another try at once."""


def _run(folder: Path, arguments: tuple[str, ...], config: SourcesConfig) -> bytes:
    room = max(config.git_mirror_bytes - _size(folder) - _SLACK, _SLACK) // 2  # a pack and its index
    limits = (str(room // 512), str(int(config.git_fetch_s) + 1), str(_MEMORY_KB))
    slow = ("-c", f"http.lowSpeedTime={max(1, round(config.git_timeout_s))}")
    with (
        tempfile.TemporaryDirectory(prefix="stackcurate-git-") as home,
        tempfile.TemporaryFile() as out,  # files, not pipes: the limit on file sizes holds for them too
        tempfile.TemporaryFile() as said,
    ):
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        environment = {
            **ENVIRONMENT, **passed, "PATH": os.environ.get("PATH", os.defpath), "HOME": home,
            "GIT_ALLOW_PROTOCOL": ":".join(config.git_protocols), "GIT_DIR": str(folder), "GIT_ASKPASS": "false",
        }  # fmt: skip
        command = ("sh", "-c", _LIMITED, "sh", *limits, *COMMAND, *_FETCH, *slow, *arguments)
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(config.git_fetch_s)
        except subprocess.TimeoutExpired:
            raise Halt(Reason.TIMEOUT) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # what it started goes with it
                process.wait()
        if process.returncode:
            cut = any(path.stat().st_size >= room - _BLOCK for path in (folder / "objects").rglob("tmp_*"))
            raise Halt(Reason.MIRROR_TOO_LARGE) if cut else _failure(process.returncode, said)
        out.seek(0)
        return out.read(_SAID)


def _failure(code: int, said: IO[bytes]) -> Exception:
    if code == 127:
        return MissingDependencyError("git is needed to fetch repositories: install git 2.30 or later")
    said.seek(0)
    text = said.read(_SAID)
    said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID))
    text += said.read(_SAID)
    found = next((reason for reason, pattern in _SAYS if pattern.search(text)), None)
    return Halt(found) if found else _Unanswered(Reason.UNREACHABLE)
