"""Removals: the rows that left each shard and those that came in, so that whoever holds a copy can correct it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.release.manifest import MANIFEST
from stackcurate.release.merkle import merkle_root
from stackcurate.release.shards import encode
from stackcurate.workspace import Workspace, read_bytes, read_json, write_bytes

FOLDER = "removed"
ROWS, PROMOTED = f"{FOLDER}/rows.parquet", f"{FOLDER}/promoted.parquet"

REMOVED_ROWS = pa.schema([
    schema.column("shard", pa.string(), "shard of the old release that the row left"),
    schema.column("row", pa.int64(), "number of the row in that shard, from 0"),
    schema.column("content_id", pa.string(), "git SHA-1 of the released bytes"),
    schema.column("name_sha256", pa.string(), "SHA-256 of repository, revision and path, a line each"),
    schema.column("reason", pa.string(), "`opted_out`, or why the row is not kept beside the others now"),
])  # fmt: skip
"""Rows that left. They bear no names: who holds the old release finds them by shard and row, and nobody else does."""
PROMOTED_ROWS = pa.schema([
    schema.column("shard", pa.string(), "shard of the new release that the row came into"), *schema.RELEASE.columns
])  # fmt: skip
"""Rows that came in, whole."""
_ORDER = [("repo", "ascending"), ("revision", "ascending"), ("path", "ascending")]


def corrected(table: pa.Table, gone: list[int], promoted: pa.Table) -> pa.Table:
    """Return the rows of a shard without some and with others, in the order of every shard.

    Args:
        table: as `release`.
        gone: numbers of the rows that leave.
        promoted: as `release`; the rows that come in.
    """
    numbers = pa.array(range(table.num_rows), pa.int64())
    kept = table.filter(pc.invert(pc.is_in(numbers, pa.array(gone, pa.int64()))))
    if promoted.num_rows:
        kept = pa.concat_tables([kept.cast(schema.RELEASE.columns), promoted.cast(schema.RELEASE.columns)])
        kept = kept.sort_by(_ORDER)
    return kept.combine_chunks()


def read_shard(folder: Workspace, shard: Mapping[str, Any]) -> pa.Table:
    """Return the rows of a shard whose bytes are those of its manifest.

    Raises:
        ReleaseError: the shard is missing or damaged.
    """
    data = read_bytes(folder, shard["path"])
    if data is None or hashlib.sha256(data).hexdigest() != shard["sha256"]:
        state = "missing" if data is None else "damaged, its SHA-256 is not that of the manifest"
        raise ReleaseError(f"{folder.root}/{shard['path']}: {state}; nothing was changed, restore it from a copy")
    return pq.read_table(pa.BufferReader(data)).cast(schema.RELEASE.columns)


def removed_rows(path: str, table: pa.Table, reasons: Mapping[str, str]) -> pa.Table:
    """Return the rows that leave a shard, as `REMOVED_ROWS`.

    Args:
        path: of the shard.
        table: its rows.
        reasons: why a row leaves, by its blob_id; the others stay.
    """
    blobs = table["blob_id"].combine_chunks()
    indices = pc.indices_nonzero(pc.is_in(blobs, pa.array(list(reasons), pa.string())))
    rows = table.select(["repo", "revision", "path", "content_id", "blob_id"]).take(indices).to_pylist()
    return pa.Table.from_pylist([
        {
            "shard": path, "row": index, "content_id": row["content_id"], "reason": reasons[row["blob_id"]],
            "name_sha256": hashlib.sha256("\n".join((row["repo"], row["revision"], row["path"])).encode()).hexdigest(),
        }
        for index, row in zip(indices.to_pylist(), rows, strict=True)
    ], schema=REMOVED_ROWS)  # fmt: skip


def write_removals(workspace: Workspace, version: str, removed: pa.Table, promoted: pa.Table) -> dict[str, str]:
    """Write both tables into a release and return their SHA-256 by path.

    Args:
        workspace: holds the release.
        version: of the release.
        removed: as `REMOVED_ROWS`.
        promoted: as `PROMOTED_ROWS`.
    """
    hashes = {}
    for path, table in ((ROWS, removed), (PROMOTED, promoted)):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        write_bytes(workspace, data, "releases", version, path)
        hashes[path] = hashlib.sha256(data).hexdigest()
    return hashes


def apply_removals(copy: Path, release: Path) -> int:
    """Bring a copy of a release to the next one from its removals and promotions alone, byte for byte.

    All is checked and made before the first file is replaced, and the manifest comes last; what stopped in the middle
    goes on when it is called again.

    Args:
        copy: folder with the old release; it becomes the new one.
        release: folder of the new release; of its `data` nothing is read.

    Returns:
        The number of shards that were written or deleted.

    Raises:
        ReleaseError: a file of the copy or of the removals is damaged, or the two releases do not follow one another.
    """
    mine, theirs = Workspace(str(copy)), Workspace(str(release))
    old, new = _manifests(mine, theirs)
    if old["merkle_root"] == new["merkle_root"] and old["version"] == new["version"]:
        return 0
    removed, promoted = (_removals(theirs, path, new["corrects"]["removals"]) for path in (ROWS, PROMOTED))
    before = {shard["path"]: shard for shard in old["shards"]}
    after = {shard["path"]: shard for shard in new["shards"]}
    touched = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    _check_rest(mine, [shard for path, shard in before.items() if path not in touched])
    ready = [path for path in touched if path in after and _is(mine, after[path])]
    made = {path: f"{path}.new" for path in touched if path in after and path not in ready}
    try:
        for path, fresh in made.items():
            rows = removed.filter(pc.equal(removed["shard"], path))["row"].to_pylist()
            arrivals = promoted.filter(pc.equal(promoted["shard"], path)).drop(["shard"])
            old_rows = read_shard(mine, before[path]) if path in before else schema.RELEASE.columns.empty_table()
            data = encode(corrected(old_rows, rows, arrivals), new["config"]["release"]["row_group_bytes"])
            if hashlib.sha256(data).hexdigest() != after[path]["sha256"]:
                raise ReleaseError(
                    f"{path}: came out with other bytes than {new['version']} has; nothing was changed, "
                    f"try pyarrow {new['software'].get('pyarrow')}"
                )
            write_bytes(mine, data, fresh)
        for path, fresh in made.items():
            Path(copy, fresh).replace(copy / path)
    finally:
        for fresh in made.values():
            Path(copy, fresh).unlink(missing_ok=True)
    for path in touched:
        if path not in after:
            Path(copy, path).unlink(missing_ok=True)
    _take_documents(mine, theirs)
    return len(touched)


def _manifests(mine: Workspace, theirs: Workspace) -> tuple[Any, Any]:
    old, new = read_json(mine, MANIFEST), read_json(theirs, MANIFEST)
    for manifest, folder in ((old, mine), (new, theirs)):
        if manifest is None:
            raise ReleaseError(f"{folder.root}: no {MANIFEST}, so no complete release")
        if manifest["merkle_root"] != merkle_root(manifest["shards"]):
            raise ReleaseError(f"{folder.root}/{MANIFEST}: damaged, its Merkle root is not that of its shards")
        for shard in manifest["shards"]:
            path = PurePosixPath(shard["path"])
            if path.is_absolute() or ".." in path.parts or path.parts[0] != "data":
                raise ReleaseError(f"{folder.root}/{MANIFEST}: {shard['path']!r} is no place of a shard")
    from_root = new.get("corrects", {}).get("merkle_root")
    if old["merkle_root"] not in (from_root, new["merkle_root"]):
        raise ReleaseError(f"{theirs.root}: does not correct the release in {mine.root}, which is {old['version']!r}")
    return old, new


def _removals(folder: Workspace, path: str, hashes: Mapping[str, str]) -> pa.Table:
    data = read_bytes(folder, path)
    if data is None or hashlib.sha256(data).hexdigest() != hashes[path]:
        raise ReleaseError(f"{folder.root}/{path}: {'missing' if data is None else 'damaged'}; fetch it again")
    return pq.read_table(pa.BufferReader(data))


def _is(folder: Workspace, shard: Mapping[str, Any]) -> bool:
    data = read_bytes(folder, shard["path"])
    return data is not None and hashlib.sha256(data).hexdigest() == shard["sha256"]


def _check_rest(folder: Workspace, shards: list[dict[str, Any]]) -> None:
    for shard in shards:
        if not _is(folder, shard):
            raise ReleaseError(f"{folder.root}/{shard['path']}: missing or damaged; nothing was changed, restore it")


def _take_documents(mine: Workspace, theirs: Workspace) -> None:
    """Copy all but the shards from the new release, and delete what only the old one had; the manifest comes last."""
    names = sorted(_documents(theirs), key=lambda name: name == MANIFEST)
    for name in set(_documents(mine)) - set(names):
        Path(mine.root, name).unlink()
    for name in names:
        write_bytes(mine, read_bytes(theirs, name) or b"", name)


def _documents(folder: Workspace) -> Iterator[str]:
    filesystem, root = folder.locate()
    for info in filesystem.get_file_info(pafs.FileSelector(root, recursive=True)):
        name = info.path.removeprefix(f"{root}/")
        if info.type == pafs.FileType.File and not name.startswith("data/"):
            yield name
