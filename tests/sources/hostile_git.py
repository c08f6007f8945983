"""Hostile git repositories, and how a hostile input is declared; `hostile` adds the others.

`build(case, folder)` writes an input below the folder. Whatever would be executed of it creates the file
`EXECUTED` in the folder's parent, and whatever would be extracted lands there as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
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


# --- settings, refs and objects that lie -------------------------------------------------------------------------


def _trap(path: Path) -> str:
    return f"touch {path.parent.parent / EXECUTED}"


def _configured(path: Path, *names: str) -> Path:
    """Make a repository whose settings name a command under each of some names."""
    commit(repository(path))
    for name in names:
        git(path, "config", name, _trap(path))
    return path


@case("work-tree-outside")
def _work_tree(path: Path) -> None:
    _configured(path)
    git(path, "config", "core.worktree", "/")
    git(path, "config", "core.bare", "false")


@case("include-outside")
def _include(path: Path) -> None:
    _configured(path)
    evil = path.parent.parent / "evil.config"
    evil.write_text(f"[core]\n\tfsmonitor = {_trap(path)}\n\tpager = {_trap(path)}\n")
    git(path, "config", "include.path", str(evil))
    git(path, "config", "includeIf.gitdir:/.path", str(evil))


@case("ssh-and-proxies")
def _proxies(path: Path) -> None:
    _configured(path, "core.sshCommand", "core.gitProxy", "http.proxy", "core.askPass", "sequence.editor")


@case("remote-ext")
def _remote_ext(path: Path) -> None:
    _configured(path)
    git(path, "config", "remote.origin.url", f"ext::{_trap(path)}")
    git(path, "config", "remote.origin.vcs", "ext")
    git(path, "config", "url.ext::.insteadOf", "https://")
    git(path, "config", "protocol.ext.allow", "always")


@case("bundle-and-lazy-fetch")
def _bundle(path: Path) -> None:
    _configured(path, "fetch.bundleURI", "uploadpack.packObjectsHook")
    git(path, "config", "extensions.partialClone", "origin")


@case("maintenance")
def _maintenance(path: Path) -> None:
    _configured(path, "gc.recentObjectsHook", "core.alternateRefsCommand", "maintenance.repo", "gpg.program")
    git(path, "config", "gc.auto", "1")
    git(path, "config", "log.showSignature", "true")


@case("config-damaged")
def _config_damaged(path: Path) -> None:
    _configured(path)
    (path / ".git" / "config").write_bytes(b"[core\n\0\xff repositoryformatversion = 99")


@case("config-is-a-pipe")
def _config_pipe(path: Path) -> None:
    _configured(path)
    (path / ".git" / "config").unlink()
    os.mkfifo(path / ".git" / "config")


@case("unknown-format")
def _unknown_format(path: Path) -> None:
    _configured(path)
    git(path, "config", "core.repositoryFormatVersion", "1")
    git(path, "config", "extensions.noSuchThing", "true")


@case("hooks-path")
def _hooks_path(path: Path) -> None:
    _configured(path)
    hooks = path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\n{_trap(path)}\n")
        (hooks / name).chmod(0o755)
    git(path, "config", "core.hooksPath", "hooks")


@case("filter-process", good=("good.py", ".gitattributes"))
def _filter_process(path: Path) -> None:
    attributes = blob(repository(path), b"* filter=lfs diff=x merge=y text working-tree-encoding=UTF-16\n")
    commit(path, ("100644", "blob", attributes, ".gitattributes"))
    for name in ("filter.lfs.process", "filter.lfs.required", "diff.x.command", "merge.y.driver"):
        git(path, "config", name, _trap(path))
    info = path / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("* filter=lfs export-ignore export-subst\n")


@case("http-alternates")
def _http_alternates(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (path / ".git" / "objects" / "info" / "http-alternates").write_text("http://127.0.0.1:9/objects\n")


@case("alternates-are-a-link", error="alternates", good=())
def _alternates_link(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "objects" / "info" / "alternates").symlink_to("/etc/hostname")


@case("objects-are-a-link", error="link", good=())
def _objects_link(path: Path) -> None:
    commit(repository(path))
    elsewhere = path.parent.parent / "objects"
    shutil.move(path / ".git" / "objects", elsewhere)
    (path / ".git" / "objects").symlink_to(elsewhere)


@case("ref-loop", error="no_head", good=())
def _ref_loop(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "refs" / "heads" / "main").write_text("ref: refs/heads/main\n")


@case("ref-is-a-pipe", error="no_head", good=())
def _ref_pipe(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "refs" / "heads" / "main").unlink()
    os.mkfifo(path / ".git" / "refs" / "heads" / "main")


@case("head-is-an-option", error="no_head", good=())
def _head_option(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "HEAD").write_text(f"--upload-pack={_trap(path)}\n")


@case("head-names-a-blob", error="corrupt_repository", good=())
def _head_blob(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "HEAD").write_text(blob(path) + "\n")


@case("head-names-nothing", error="corrupt_repository", good=())
def _head_nothing(path: Path) -> None:
    commit(repository(path))
    (path / ".git" / "HEAD").write_text("f" * 40 + "\n")


@case("grafts-and-replacements")
def _grafts(path: Path) -> None:
    made = commit(repository(path))
    other = git(path, "commit-tree", "-m", "other", tree(path, ("100644", "blob", blob(path, b"evil\n"), "evil.py")))
    git(path, "update-ref", f"refs/replace/{made}", other.decode().strip())
    (path / ".git" / "info").mkdir(exist_ok=True)
    (path / ".git" / "info" / "grafts").write_text(f"{made} {other.decode().strip()}\n")


@case("case-collisions", good=("good.py", "GOOD.py", "Good.PY", "a", "A"))
def _case_collisions(path: Path) -> None:
    repository(path)
    commit(path, *(("100644", "blob", blob(path), name) for name in ("GOOD.py", "Good.PY", "a", "A")))


_ALIKE = ("x" * 255, "x" * 256, "nfc-\xe9", "nfc-e\u0301", "con", "aux.py")


@case("length-collisions", unsafe_path=1, good=("good.py", *_ALIKE))
def _lengths(path: Path) -> None:
    repository(path)
    commit(path, *(("100644", "blob", blob(path), name) for name in (*_ALIKE, "a:b")))


@case("twice-in-a-tree", duplicate_path=1)
def _twice(path: Path) -> None:
    evil = blob(repository(path), b"evil\n")
    raw = b"".join(b"100644 good.py\0" + bytes.fromhex(oid) for oid in (blob(path), evil))
    _committed(path, raw)


@case("slashes-in-a-name", unsafe_path=3)
def _slashes(path: Path) -> None:
    oid = bytes.fromhex(blob(repository(path)))
    names = (b"../../executed", b"/executed", b"a//b")
    _committed(path, b"".join(b"100644 " + name + b"\0" + oid for name in (b"good.py", *names)))


@case("git-in-disguise", unsafe_path=5)
def _disguise(path: Path) -> None:
    oid = bytes.fromhex(blob(repository(path)))
    names = (b".g\xe2\x80\x8cit", b".git ", b".git.", b"GIT~1", b".git::$INDEX_ALLOCATION")
    _committed(path, b"".join(b"100644 " + name + b"\0" + oid for name in (b"good.py", *names)))


@case("odd-modes", good=("good.py", "other.py", "run.sh"))
def _odd_modes(path: Path) -> None:
    oid = bytes.fromhex(blob(repository(path)))
    modes = ((b"100664", b"good.py"), (b"0100644", b"other.py"), (b"104755", b"run.sh"))
    _committed(path, b"".join(mode + b" " + name + b"\0" + oid for mode, name in modes))


def _committed(path: Path, raw: bytes) -> None:
    """Commit a tree given as bytes, which git would not write."""
    oid = git(path, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw).decode().strip()
    made = git(path, "commit-tree", "-m", "x", oid).decode().strip()
    git(path, "update-ref", "HEAD", made)


@case("blob-that-is-a-tree", corrupt_file=1)
def _blob_is_tree(path: Path) -> None:
    inside = tree(repository(path), ("100644", "blob", blob(path), "x"))
    _committed(path, b"100644 good.py\0" + bytes.fromhex(blob(path)) + b"100644 z.py\0" + bytes.fromhex(inside))


@case("many-entries", error="too_many_entries", limits={"max_entries": 1000})
def _many_entries(path: Path) -> None:
    oid = bytes.fromhex(blob(repository(path)))
    _committed(
        path, b"".join(b"100644 " + name + b"\0" + oid for name in (b"good.py", *(b"h%06d" % i for i in range(20_000))))
    )


@case("truncated-pack", error="corrupt_repository", good=())
def _truncated_pack(path: Path) -> None:
    commit(repository(path))
    git(path, "repack", "-adq")
    pack = next((path / ".git" / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:30])


@case("damaged-index", error="corrupt_repository", good=())
def _damaged_index(path: Path) -> None:
    commit(repository(path))
    git(path, "repack", "-adq")
    index = next((path / ".git" / "objects" / "pack").glob("*.idx"))
    index.chmod(0o644)
    index.write_bytes(b"\xfftOc" + b"\xff" * 2000)


@case("damaged-graph-and-midx")
def _damaged_graph(path: Path) -> None:
    commit(repository(path))
    objects = path / ".git" / "objects"
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info" / "commit-graph").write_bytes(b"CGPH" + b"\xff" * 500)
    (objects / "pack" / "multi-pack-index").write_bytes(b"MIDX" + b"\xff" * 500)


@case("loose-bomb", too_large=1, limits={"max_file_bytes": 1 << 20})
def _loose_bomb(path: Path) -> None:
    zeros = blob(repository(path), bytes(64 << 20))
    commit(path, ("100644", "blob", zeros, "zeros"))


@case("size-lie", corrupt_file=1)
def _size_lie(path: Path) -> None:
    lie = blob(repository(path), b"lie\n")
    commit(path, ("100644", "blob", lie, "lie.py"))
    _loose(path, lie).chmod(0o644)
    _loose(path, lie).write_bytes(zlib.compress(b"blob 99\0lie\n"))
