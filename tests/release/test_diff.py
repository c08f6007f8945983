"""Differences of two releases: each kind of change, and nothing where nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackcurate.errors import ReleaseError
from stackcurate.release.diff import diff, summary
from stackcurate.workspace import Workspace
from tests.train.releases import row, write_release

SAME, GONE = row("o/r", "same.py", "s = 1\n"), row("o/r", "gone.c", "int g;\n", "C")
BEFORE, AFTER = row("o/r", "text.py", "t = 1\n"), row("o/r", "text.py", "t = 2\n")
FRESH = row("o/q", "fresh.py", "f = 1\n")


def place(folder: Path, *rows: dict[str, object]) -> Workspace:
    return Workspace(str(write_release(folder, rows)))


def test_each_change_is_told_once(tmp_path: Path) -> None:
    relicensed = SAME | {"license": "Apache-2.0"}
    old, new = place(tmp_path / "v1", SAME, GONE, BEFORE), place(tmp_path / "v2", relicensed, AFTER, FRESH)

    changes = diff(old, new)

    assert [(r["change"], r["path"], r["license_before"], r["license"]) for r in changes.to_pylist()] == [
        ("added", "fresh.py", None, "MIT"),
        ("removed", "gone.c", None, "MIT"),
        ("relicensed", "same.py", "MIT", "Apache-2.0"),
        ("changed", "text.py", "MIT", "MIT"),
    ]
    assert [(r["change"], r["language"], r["files"]) for r in summary(changes).to_pylist()] == [
        ("added", "Python", 1), ("changed", "Python", 1), ("relicensed", "Python", 1), ("removed", "C", 1),
    ]  # fmt: skip


def test_equal_releases_do_not_differ(tmp_path: Path) -> None:
    old, new = place(tmp_path / "v1", SAME, GONE), place(tmp_path / "v2", GONE, SAME)

    assert diff(old, new).num_rows == 0


def test_shards_of_equal_hash_are_not_read(tmp_path: Path) -> None:
    old, new = place(tmp_path / "v1", SAME, GONE), place(tmp_path / "v2", SAME, FRESH)
    for folder in (old, new):
        for shard in Path(folder.root).rglob("c/*.parquet"):
            shard.unlink()

    with pytest.raises(FileNotFoundError):
        diff(old, new)  # the C shard is gone from one side only, so it has to be read
    assert diff(old, old).num_rows == 0


def test_folder_without_release_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no complete release"):
        diff(Workspace(str(tmp_path)), Workspace(str(tmp_path)))
