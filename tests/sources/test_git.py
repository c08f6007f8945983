"""Git: what is read of HEAD, and that it is what git itself says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stackcurate.errors import MissingDependencyError
from stackcurate.kernels.opt_out_targets import author
from stackcurate.sources import git, git_process
from stackcurate.sources.authors import author_rows, keyed_hash
from stackcurate.sources.directories import Gate, SourcesConfig
from stackcurate.sources.local import discover, read
from stackcurate.sources.metadata import Halt, Reason

from . import hostile
from .hostile import GOOD, blob, commit, repository


def entries(path: Path, **limits: object) -> list[tuple[str, str | None]]:
    return [(e.path, e.error) for e in git.entries(str(path), Gate(SourcesConfig(**limits)))]  # type: ignore[arg-type]


def test_files_are_those_that_git_lists_with_their_ids(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    (folder / "sub").mkdir()
    for i in range(300):
        (folder / "sub" / f"f{i}.txt").write_bytes(b"%d\n" % (i % 250) * i)
    hostile.git(folder, "add", ".")
    hostile.git(folder, "update-index", "--chmod=+x", "sub/f7.txt")
    hostile.git(folder, "commit", "-qm", "x")
    hostile.git(folder, "gc", "-q")
    found = {e.path: (e.mode, e.blob_id, e.size) for e in git.entries(str(folder), Gate(SourcesConfig()))}

    listed = hostile.git(folder, "ls-tree", "-r", "-l", "HEAD").decode().splitlines()
    expected = {}
    for line in listed:
        mode, _, oid, size, path = line.split(maxsplit=4)
        expected[path] = (int(mode, 8), oid, int(size))
    assert found == expected
    assert found["sub/f7.txt"][0] == 0o100755


def test_rows_of_a_work_tree_of_a_bare_clone_and_of_packed_refs_are_equal(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    made = commit(repository(inputs / "a"))
    shutil.copytree(inputs / "a" / ".git", inputs / "b.git")
    shutil.copytree(inputs / "a", inputs / "c")
    hostile.git(inputs / "c", "pack-refs", "--all")
    rows = [read(one) for one in discover([inputs])]

    assert [row.repo_id for row, _ in rows] == ["git/a", "git/b", "git/c"]
    assert {row.revision for row, _ in rows} == {made}
    assert {row.default_branch for row, _ in rows} == {"main"}
    assert {tuple(files) for _, files in rows} == {tuple(git.entries(str(inputs / "a"), Gate(SourcesConfig())))}


def test_the_traps_are_armed(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (one,) = [case for case in hostile.CASES if case.name == "fsmonitor"]
    folder = hostile.build(one, inputs)
    hostile.git(folder, "status")  # what stackcurate never does

    assert (tmp_path / hostile.EXECUTED).exists()


def test_origin_times_and_manifest(tmp_path: Path) -> None:
    folder = repository(tmp_path / "local-name")
    manifest = blob(folder, b'{"name": "x", "version": "3.1.4", "license": "MIT"}')
    commit(folder, ("100644", "blob", manifest, "package.json"))
    word = "pass" + "word"
    hostile.git(folder, "config", "remote.origin.url", f"https://me:{word}@git.example.org/Owner/Name.git")
    hostile.git(folder, "config", "include.path", "/etc/hostname")
    row, _ = read(discover([folder])[0])

    assert (row.repo_id, row.host, row.owner, row.name) == ("git/owner/name", "git", "Owner", "Name")
    assert (row.version, row.host_license, row.error) == ("3.1.4", "MIT", None)
    assert row.created_at == row.pushed_at
    assert row.pushed_at is not None
    assert row.pushed_at.timestamp() == 1_600_000_000
    assert word not in repr(row)


def test_detached_head_and_sha256(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r", "--object-format=sha256")
    made = commit(folder)
    (folder / ".git" / "HEAD").write_text(made + "\n")
    row, files = read(discover([folder])[0])

    assert (row.revision, row.default_branch, len(made)) == (made, None, 64)
    assert [(e.path, e.content) for e in files] == [("good.py", GOOD)]


def test_replacements_are_not_followed(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    commit(folder)
    hostile.git(folder, "replace", blob(folder), blob(folder, b"evil\n"))

    assert [e.content for e in git.entries(str(folder), Gate(SourcesConfig()))] == [GOOD]


def test_shallow_clone_is_read(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    first = commit(folder)
    tree = hostile.git(folder, "rev-parse", "HEAD^{tree}").decode().strip()
    second = hostile.git(folder, "commit-tree", "-p", first, "-m", "y", tree).decode().strip()
    hostile.git(folder, "update-ref", "HEAD", second)
    hostile.git(folder, "clone", "-q", "--bare", "--depth=1", f"file://{folder}", str(tmp_path / "shallow.git"))
    row, files = read(discover([tmp_path / "shallow.git"])[0])

    assert (row.error, row.revision, len(list(files))) == (None, second, 1)
    assert row.pushed_at is not None


def test_many_damaged_objects_are_each_a_reason(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    items = [("100644", "blob", blob(folder, b"%d\n" % i), f"f{i:03}") for i in range(12)]
    commit(folder, *items)
    for _, _, oid, _ in items[::2]:
        loose = folder / ".git" / "objects" / oid[:2] / oid[2:]
        loose.chmod(0o644)
        loose.write_bytes(b"damaged")
    found = entries(folder)

    assert len(found) == 13
    assert {error for _, error in found[1::2]} == {None}
    # git tells damage from absence only where the object's header can be read
    assert {error for path, error in found if path in {f"f{i:03}" for i in range(0, 12, 2)}} <= {
        "corrupt_file", "missing_object"
    }  # fmt: skip


def test_size_that_is_too_large_costs_no_memory_and_no_other_file(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    commit(folder, ("100644", "blob", blob(folder, b"x" * 100_000), "large"))

    assert entries(folder, max_file_bytes=1000) == [("good.py", None), ("large", "too_large")]


def test_silence_of_git_is_a_reason(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    patient = git_process.Patient(reader, 0.01)
    os.write(writer, b"x")

    assert patient.read(5) == b"x"
    with pytest.raises(Halt) as halted:
        patient.read(5)
    assert halted.value.reason is Reason.TIMEOUT
    os.close(reader)
    os.close(writer)


def test_missing_git_says_what_to_install(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    commit(folder)
    path = os.environ["PATH"]
    os.environ["PATH"] = str(tmp_path)
    try:
        with pytest.raises(MissingDependencyError, match="install git"):
            list(git.entries(str(folder), Gate(SourcesConfig())))
    finally:
        os.environ["PATH"] = path


def test_authors_are_counted_and_only_their_hashes_leave(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r")
    first = commit(folder)
    tree = hostile.git(folder, "rev-parse", "HEAD^{tree}").decode().strip()
    raw = f"tree {tree}\nparent {first}\nauthor Ada  L <Ada@Example.org> 1 +0000\ncommitter x <y> 1 +0000\n\nz\n"
    made = hostile.git(folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.encode()).decode().strip()
    hostile.git(folder, "update-ref", "HEAD", made)
    row, _ = read(discover([folder])[0])
    rows = list(author_rows(row, "i", b"key"))

    assert sorted(people[2] for people in row.authors) == [1, 1]
    assert {found["email_hash"] for found in rows} == {
        keyed_hash(b"key", author(e)) for e in ("a@example.org", "ada@example.org")
    }
    assert keyed_hash(b"key", "ada l") in {found["name_hash"] for found in rows}
    assert "example.org" not in repr(row)

    (folder / ".git" / "shallow").write_text(f"{made}\n")
    shallow, _ = read(discover([folder])[0])
    assert [people[2] for people in shallow.authors] == [1, 0]  # the rest was made by people unknown
    assert "example.org" not in repr(rows)
