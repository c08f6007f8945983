"""Writers of the corpus: a tree of files to a folder, a git repository or an archive, the same bytes each time."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.corpus_text import Fakes, noise, python


@dataclass(frozen=True)
class Answer:
    """What must become of a file.

    Args:
        stage: stage that takes it out; None where it is kept.
        reason: its reason code; None where it is kept.
        gone: what must not be in the released text.
        content: the bytes of the file; None where they are not read.
    """

    stage: str | None = None
    reason: str | None = None
    gone: tuple[str, ...] = ()
    content: bytes | None = None

    @property
    def kept(self) -> bool:
        """The file is in the release."""
        return self.stage is None


Tree = dict[str, tuple[bytes, Answer]]
"""Content and answer by path."""

Writer = Callable[[Path, int], dict[str, Answer]]


def _answers(tree: Tree) -> dict[str, Answer]:
    return {path: replace(answer, content=content) for path, (content, answer) in tree.items()}


def folder_of(tree: Tree) -> Writer:
    """Write plain files."""

    def write(path: Path, seconds: int) -> dict[str, Answer]:
        for name, (content, _) in tree.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            os.utime(file, (seconds, seconds))
        return _answers(tree)

    return write


def git(tree: Tree, owner: str, *, bare: bool, links: bool = False) -> Writer:
    """Commit a tree without a checkout; a work tree also gets the files, and one that was never committed."""

    def write(path: Path, seconds: int) -> dict[str, Answer]:
        path.mkdir()
        _run(path, "init", "--quiet", *["--bare"] * bare)
        _run(path, "symbolic-ref", "HEAD", "refs/heads/main")
        _run(path, "config", "remote.origin.url", f"https://github.com/{owner}/{path.name.removesuffix('.git')}.git")
        who = b"committer Nobody <nobody@example.org> %d +0000\n" % seconds
        author = f"author {Fakes.author} <{Fakes.author_email}> {seconds} +0000\n".encode()
        stream = b"commit refs/heads/main\n" + author + who + b"data 6\nImport\n"
        for name, (content, _) in tree.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
        if links:
            stream += b"M 120000 inline link\ndata 9\nREADME.md\nM 160000 %s module\n" % (b"1" * 40)
        _run(path, "fast-import", "--quiet", stdin=stream)
        answers = _answers(tree)
        if links:
            answers |= {"link": Answer("files", "link"), "module": Answer("files", "submodule")}
        if not bare:
            folder_of(tree)(path, seconds)
            (path / "uncommitted.py").write_bytes(python("uncommitted"))
        return answers

    return write


def _run(path: Path, *arguments: str, stdin: bytes = b"") -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(path), "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1"}
    environment["GIT_CONFIG_GLOBAL"] = os.devnull
    subprocess.run(["git", *arguments], cwd=path, env=environment, input=stdin, check=True, timeout=60)


def hollow(path: Path, _seconds: int) -> dict[str, Answer]:
    """Make a git repository without a commit."""
    path.mkdir()
    _run(path, "init", "--quiet")
    return {}


def tar(tree: Tree, top: str, *, hostile: bool = False) -> Writer:
    """Pack a tree below a folder; a hostile archive also holds what must not be unpacked."""

    def write(path: Path, seconds: int) -> dict[str, Answer]:
        answers = _answers(tree)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, (content, _) in tree.items():
                archive.addfile(_member(top + name, seconds, len(content)), io.BytesIO(content))
            for name, kind, answer in _HOSTILE if hostile else ():
                member = _member(name, seconds, 0)
                member.type, member.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                archive.addfile(member)
                answers[name] = answer
            if hostile:  # an earlier entry has the path: the first one wins
                archive.addfile(_member(top + "nasty-1.0/fine.py", seconds, 0))
                answers[f"nasty-1.0/fine.py\\x00{len(answers) + 1}"] = Answer("files", "duplicate_path")
        path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
        return answers

    return write


_HOSTILE = (
    ("nasty-1.0/link.py", tarfile.SYMTYPE, Answer("files", "link")),
    ("nasty-1.0/hard.py", tarfile.LNKTYPE, Answer("files", "link")),
    ("nasty-1.0/pipe", tarfile.FIFOTYPE, Answer("files", "special_file")),
    ("nasty-1.0/device", tarfile.CHRTYPE, Answer("files", "special_file")),
    ("../escape.py", tarfile.REGTYPE, Answer("files", "unsafe_path")),
    ("/absolute.py", tarfile.REGTYPE, Answer("files", "unsafe_path")),
    ("nasty-1.0/.git/config", tarfile.REGTYPE, Answer("files", "unsafe_path")),
)


def _member(name: str, seconds: int, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mtime, member.size, member.mode = seconds, size, 0o644
    return member


def zip_(tree: Tree) -> Writer:
    """Pack a zip or a wheel."""

    def write(path: Path, seconds: int) -> dict[str, Answer]:
        day = datetime.fromtimestamp(seconds, UTC)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (content, _) in tree.items():
                member = zipfile.ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0))
                member.external_attr = 0o100644 << 16
                archive.writestr(member, content, zipfile.ZIP_DEFLATED)
        return _answers(tree)

    return write


def garbled(path: Path, _seconds: int) -> dict[str, Answer]:
    """Write what only begins like a gzip."""
    path.write_bytes(b"\x1f\x8b\x08\0" + bytes(range(256)) * 8)
    return {}


def truncated(path: Path, seconds: int) -> dict[str, Answer]:
    """A gzip cut in the middle of its last member: what stands before is kept."""
    tree: Tree = {"torn/whole.py": (python("whole"), Answer("licenses", "no_license"))}
    tar(tree | {"torn/half.bin": (noise(100_000), Answer())}, "")(path, seconds)
    path.write_bytes(path.read_bytes()[:-20_000])
    return _answers(tree) | {"torn/half.bin": Answer("files", "corrupt_file")}
