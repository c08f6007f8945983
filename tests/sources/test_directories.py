"""Folders, and the rules for paths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackcurate.kernels.content import blob_id
from stackcurate.sources import directories
from stackcurate.sources.directories import Gate, SourcesConfig
from stackcurate.sources.local import discover, read
from stackcurate.sources.metadata import Reason


@pytest.mark.parametrize(
    ("raw", "path", "reason"),
    [
        (b"a/b.py", "a/b.py", None),
        (b"./a/./b.py", "a/b.py", None),
        (b"caf\xe9/\xff", "caf\\xe9/\\xff", None),
        ("ü/é".encode(), "ü/é", None),
        (b"...", "...", None),
        (b"a\\b", "a\\b", None),
        (b".gitignore", ".gitignore", None),
        (b".github/x.yml", ".github/x.yml", None),
        (b"a/.git.py", "a/.git.py", None),
        (b"", "", Reason.UNSAFE_PATH),
        (b".", ".", Reason.UNSAFE_PATH),
        (b"a/", "a/", Reason.UNSAFE_PATH),
        (b"/a", "/a", Reason.UNSAFE_PATH),
        (b"a/../b", "a/../b", Reason.UNSAFE_PATH),
        (b"a\\..\\b", "a\\..\\b", Reason.UNSAFE_PATH),
        (b"c:\\a", "c:\\a", Reason.UNSAFE_PATH),
        (b"a\0b", "a\\x00b", Reason.UNSAFE_PATH),
        (b"a/.git/x", "a/.git/x", Reason.UNSAFE_PATH),
        (b"a/.GIT. /x", "a/.GIT. /x", Reason.UNSAFE_PATH),
        (b".git::$INDEX_ALLOCATION/x", ".git::$INDEX_ALLOCATION/x", Reason.UNSAFE_PATH),
        (".g\u200cit/x".encode(), ".g\u200cit/x", Reason.UNSAFE_PATH),
    ],
)
def test_paths(raw: bytes, path: str, reason: Reason | None) -> None:
    assert Gate(SourcesConfig()).path(raw) == (path, reason)


@given(st.lists(st.binary(max_size=30), max_size=30))
def test_paths_of_entries_are_unique_text_below_the_root(raws: list[bytes]) -> None:
    gate = Gate(SourcesConfig())
    entries = [gate.admit(raw, 0o100644, 0) for raw in raws]

    assert len({entry.path for entry in entries}) == len(raws)
    for entry in entries:
        assert entry.path.encode("utf-8").decode() == entry.path
        if entry.error is None:
            absolute = os.path.normpath("/root/" + entry.path)
            assert absolute == "/root/" + entry.path


def test_revision_of_a_folder_is_a_digest_of_its_listing(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.py", "sub/a.py", "a.py"):
        (folder / name).write_text(name)
    row, files = read(discover([tmp_path])[0])
    entries = list(files)

    listing = sorted(f"{name}\0{blob_id(name.encode())}\n" for name in ("b.py", "sub/a.py", "a.py"))
    assert row.revision == hashlib.sha1("".join(listing).encode()).hexdigest()
    assert [entry.path for entry in entries] == ["a.py", "b.py", "sub/a.py"]
    assert (row.repo_id, row.source_kind, row.created_at) == ("local/plain", "directory", None)

    (folder / "a.py").write_text("A.PY")
    assert read(discover([tmp_path])[0])[0].revision != row.revision


def test_file_that_vanishes_or_turns_into_a_link_is_a_reason(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_text(name)
    files = directories.entries(str(tmp_path), Gate(SourcesConfig()))
    first = next(files)
    (tmp_path / "b").unlink()
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to("/etc/passwd")

    rest = {entry.path: entry.error for entry in files}
    assert (first.path, first.content) == ("a", b"a")
    assert rest == {"b": "unreadable", "c": "link", "d": None}
    assert directories.regular_file(tmp_path / "c", 10) is Reason.UNREADABLE


def test_manifest_of_a_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "Tool"
    folder.mkdir()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "tool"\nversion = "2.1.0"\nlicense = "MIT"\nrepository = "https://github.com/them/tool"\n'
    )
    row, _ = read(discover([tmp_path])[0])

    found = (row.repo_id, row.name, row.owner, row.version, row.host_license)
    assert found == ("local/tool", "Tool", "them", "2.1.0", "MIT")
