"""Hostile git repositories, and how a hostile input is declared; `hostile` adds the others.

`build(case, folder)` writes an input below the folder. Whatever would be executed of it creates the file
`EXECUTED` in the folder's parent, and whatever would be extracted lands there as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GOOD = b"print('good')\n"
EXECUTED = "executed"
CASES: list[Case] = []


@dataclass(frozen=True)
class Case:
    """A hostile input.

    Args:
        name: of the file or folder that is built.
        write: writes the input at a path.
        errors: number of files by reason code.
        error: reason code of the repository.
        good: paths that must survive with content.
        limits: values of the config that differ from the defaults.
    """

    name: str
    write: Callable[[Path], None]
    errors: Mapping[str, int]
    error: str | None = None
    good: tuple[str, ...] = ("good.py",)
    limits: Mapping[str, Any] = field(default_factory=dict)


def case(name: str, *, error: str | None = None, good: tuple[str, ...] = ("good.py",), **rest: Any) -> Any:
    """Register a builder; keywords that are no fields of `Case` are the expected reason codes."""
    limits = rest.pop("limits", {})

    def register(write: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(Case(name, write, rest, error, good, limits))
        return write

    return register


def build(one: Case, folder: Path) -> Path:
    """Write the input of a case and return its path."""
    path = folder / one.name
    one.write(path)
    return path


# --- git ---------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git on a repository that we are building, untouched by the settings of whoever runs the tests."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    people = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "1600000000 +0000", "GIT_COMMITTER_DATE": "1600000000 +0000"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=True,
        env=environment | people | dates,
    )
    return done.stdout


def blob(folder: Path, content: bytes = GOOD) -> str:
    return git(folder, "hash-object", "-w", "--stdin", stdin=content).decode().strip()


def tree(folder: Path, *items: tuple[str, str, str, str | bytes]) -> str:
    lines = (f"{mode} {kind} {oid}\t".encode() + (os.fsencode(name)) + b"\0" for mode, kind, oid, name in items)
    return git(folder, "mktree", "-z", "--missing", stdin=b"".join(lines)).decode().strip()


def commit(folder: Path, *items: tuple[str, str, str, str | bytes]) -> str:
    """Commit a tree of `good.py` and the items, which git itself might refuse, and let HEAD name it."""
    whole = tree(folder, ("100644", "blob", blob(folder), "good.py"), *items)
    made = git(folder, "commit-tree", "-m", "x", whole).decode().strip()
    git(folder, "update-ref", "HEAD", made)
    return made


def repository(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *options)
    return folder


def nested(folder: Path, path: str) -> tuple[str, str, str, str]:
    """Return the item of the first component of a deep path."""
    *folders, name = path.split("/")
    item = ("100644", "blob", blob(folder), name)
    for above in reversed(folders):
        item = ("040000", "tree", tree(folder, item), above)
    return item


@case("fsmonitor", good=("good.py", ".gitattributes"))
def _fsmonitor(path: Path) -> None:
    command = f"touch {path.parent.parent / EXECUTED}"
    repository(path)
    attributes = blob(path, b"* filter=evil diff=evil\n")
    commit(path, ("100644", "blob", attributes, ".gitattributes"))
    names = ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external", "core.gitProxy")
    names += ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "credential.helper", "alias.ls-tree")
    for name in names:
        git(path, "config", name, f"!{command}" if name == "alias.ls-tree" else command)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        file = path / ".git" / "hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)


@case("git-symlinks", link=2)
def _git_symlinks(path: Path) -> None:
    target = blob(repository(path), b"/etc/passwd")
    commit(path, ("120000", "blob", target, "leak"), ("120000", "blob", target, "other"))


@case("git-entries", unsafe_path=4)
def _git_entries(path: Path) -> None:
    inside = tree(repository(path), ("100644", "blob", blob(path), "config"))
    names = (".git", ".GIT", "git~1", "..")
    commit(path, *(("040000", "tree", inside, name) for name in sorted(names)))


@case("submodule", submodule=1, good=("good.py", ".gitmodules"))
def _submodule(path: Path) -> None:
    evil = f'[submodule "s"]\n\tpath = s\n\turl = ext::touch {path.parent.parent / EXECUTED}\n'
    modules = blob(repository(path), evil.encode())
    commit(path, ("100644", "blob", modules, ".gitmodules"), ("160000", "commit", "1" * 40, "s"))


@case("no-head", error="no_head", good=())
def _no_head(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "HEAD").unlink()


@case("unborn", error="no_head", good=())
def _unborn(path: Path) -> None:
    repository(path)


@case("head-outside", error="no_head", good=())
def _head_outside(path: Path) -> None:
    made = commit(repository(path))
    (path.parent.parent / "secret").write_text(made)
    (path / ".git" / "HEAD").write_text("ref: refs/heads/../../../../../secret\n")


@case("head-link", error="no_head", good=())
def _head_link(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "HEAD").unlink()
    (path / ".git" / "HEAD").symlink_to("refs/heads/main")


@case("corrupt-pack", corrupt_file=1, good=("good.py", "last.py"))
def _corrupt_pack(path: Path) -> None:
    bad = blob(repository(path), os.urandom(5000))
    commit(path, ("100644", "blob", bad, "bad.bin"), ("100644", "blob", blob(path, b"last = 1\n"), "last.py"))
    git(path, "repack", "-adq")
    pack = next((path / ".git" / "objects" / "pack").glob("*.pack"))
    listed = git(path, "verify-pack", "-v", str(pack.with_suffix(".idx"))).decode().splitlines()
    offset = next(int(line.split()[4]) for line in listed if line.startswith(bad))
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[offset + 20 : offset + 40] = bytes(20)
    pack.write_bytes(data)


def _loose(path: Path, oid: str) -> Path:
    return path / ".git" / "objects" / oid[:2] / oid[2:]


@case("missing-tree", error="corrupt_repository")
def _missing_tree(path: Path) -> None:
    inside = tree(repository(path), ("100644", "blob", blob(path), "lost.py"))
    commit(path, ("040000", "tree", inside, "z"))
    _loose(path, inside).unlink()


@case("promisor", missing_object=1)
def _promisor(path: Path) -> None:
    lost = blob(repository(path), b"lost\n")
    commit(path, ("100644", "blob", lost, "lost.py"))
    _loose(path, lost).unlink()
    evil = f"touch {path.parent.parent / EXECUTED}"
    for name, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::{evil}"),
        ("remote.origin.uploadpack", evil),
        ("protocol.ext.allow", "always"),
    ):
        git(path, "config", name, value)


@case("wrong-id", corrupt_file=1)
def _wrong_id(path: Path) -> None:
    claimed, other = blob(repository(path), b"claimed\n"), blob(path, b"other!!\n")
    commit(path, ("100644", "blob", claimed, "claimed.py"))
    _loose(path, claimed).unlink()
    shutil.copy(_loose(path, other), _loose(path, claimed))


@case("alternates", error="alternates", good=())
def _alternates(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "objects" / "info" / "alternates").write_text("/srv/private/objects\n")


@case("linked-pack", error="link", good=())
def _linked_pack(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "objects" / "pack" / "pack-1.pack").symlink_to("/srv/private.pack")


@case("tree-bomb", error="too_many_entries", limits={"max_entries": 500})
def _tree_bomb(path: Path) -> None:
    level = tree(repository(path), *(("100644", "blob", blob(path), f"f{i}") for i in range(10)))
    for _ in range(12):
        level = tree(path, *(("040000", "tree", level, f"d{i}") for i in range(10)))
    commit(path, ("040000", "tree", level, "z"))


@case("git-paths", path_too_long=1, too_deep=1, too_large=1, lfs_pointer=1, limits={"max_file_bytes": 5000},
      good=("good.py", "caf\\xe9.py", "tab\tand\nline.py", "zero.bin"))  # fmt: skip
def _git_paths(path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 9\n" % 0
    long = "/".join(["l" * 200] * 25)
    contents = {b"caf\xe9.py": GOOD, b"tab\tand\nline.py": GOOD, b"zero.bin": b"\0" * 9, b"big": b"x" * 5001}
    contents[b"pointer.bin"] = pointer
    repository(path)
    files = [("100644", "blob", blob(path, content), os.fsdecode(name)) for name, content in contents.items()]
    commit(path, *files, nested(path, long), nested(path, "/".join(["d"] * 102)))
