"""Shards of a release: nothing is read that the manifest does not vouch for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate.errors import ReleaseError, SchemaError
from stackcurate.train.shards import Shards, open_shards, read_group


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def first_shard(folder: Path) -> Path:
    return folder / json.loads((folder / "manifest.json").read_bytes())["shards"][0]["path"]


def edit_manifest(folder: Path, edit: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    edit(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_every_row_of_the_release_is_there(release: Path, shards: Shards) -> None:
    manifest = json.loads((release / "manifest.json").read_bytes())

    assert shards.rows.sum() == manifest["rows"]
    assert sum(read_group(shards, group).num_rows for group in range(len(shards.rows))) == manifest["rows"]
    assert set(shards.languages) == set(manifest["languages"])


def change(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def cut(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "message"), [(Path.unlink, "is missing"), (cut, "the manifest says"), (change, "has SHA-256")]
)
def test_a_damaged_shard_is_refused(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(first_shard(copy))

    with pytest.raises(ReleaseError, match=message):
        open_shards(copy)


def test_the_manifest_of_another_release_is_refused(copy: Path) -> None:
    def rename(manifest: dict[str, object]) -> None:
        for shard in manifest["shards"]:  # type: ignore[attr-defined]
            shard["sha256"] = "f" * 64

    edit_manifest(copy, rename)

    with pytest.raises(ReleaseError, match="Fetch the release again"):
        open_shards(copy)


@pytest.mark.parametrize("path", ["../secret.parquet", "/etc/passwd"])
def test_a_manifest_cannot_point_outside(copy: Path, path: str) -> None:
    edit_manifest(copy, lambda manifest: manifest["shards"][0].update(path=path))  # type: ignore[index]

    with pytest.raises(ReleaseError, match="outside the release"):
        open_shards(copy)


def test_a_folder_without_manifest_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no manifest\.json"):
        open_shards(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 1, "shards": [{"path": 3}]}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")

    with pytest.raises(ReleaseError, match="no manifest of a release"):
        open_shards(tmp_path)


def test_another_schema_version_is_refused(copy: Path) -> None:
    edit_manifest(copy, lambda manifest: manifest.update(schema_version=99))

    with pytest.raises(SchemaError, match="schema version 99"):
        open_shards(copy)


def test_a_receipt_saves_hashing_and_never_vouches_for_a_changed_shard(copy: Path, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    before = open_shards(copy, receipt=receipt)
    written = receipt.stat().st_mtime_ns

    again = open_shards(copy, receipt=receipt)
    assert (again.digest, again.rows.tolist()) == (before.digest, before.rows.tolist())
    assert receipt.stat().st_mtime_ns == written

    shard = first_shard(copy)
    stamp = shard.stat().st_mtime_ns
    change(shard)
    os.utime(shard, ns=(stamp + 1, stamp + 1))
    with pytest.raises(ReleaseError, match="has SHA-256"):
        open_shards(copy, receipt=receipt)


def test_a_damaged_receipt_counts_as_none(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text('{"manifest":', encoding="utf-8")

    assert open_shards(copy, receipt=tmp_path / "receipt.json").rows.sum() > 0


def test_a_shard_that_changes_later_is_noticed(copy: Path) -> None:
    shards = open_shards(copy)
    pq.write_table(pa.table({"repo": ["a"]}), first_shard(copy))

    with pytest.raises(ReleaseError, match="after it was checked"):
        read_group(shards, 0)
