"""What changed from one release to another, by file, without reading any text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate.errors import ReleaseError
from stackcurate.release.manifest import MANIFEST
from stackcurate.workspace import Workspace, read_json

KEY = ("repo", "path")
_COLUMNS = [*KEY, "revision", "language", "license", "content_id", "size"]
CHANGES = pa.schema([
    ("change", pa.string()), ("repo", pa.string()), ("path", pa.string()), ("language", pa.string()),
    ("license", pa.string()), ("license_before", pa.string()), ("size", pa.int64()),
])  # fmt: skip
"""A file that was `added`, `removed`, `changed` in its text, or `relicensed` with the same text."""


def diff(old: Workspace, new: Workspace) -> pa.Table:
    """Return the files that differ between two releases, as `CHANGES`, by repository and path.

    Shards of equal SHA-256 are not read: the cost is that of what changed.

    Args:
        old: folder of a release, opened as a workspace-like root.
        new: folder of another one.

    Raises:
        ReleaseError: a folder holds no complete release.
    """
    before, after = _manifest(old), _manifest(new)
    same = {s["sha256"] for s in before["shards"]} & {s["sha256"] for s in after["shards"]}
    one, two = (_files(place, m, same) for place, m in ((old, before), (new, after)))
    joined = one.join(two, list(KEY), join_type="full outer", left_suffix="_old", right_suffix="_new")
    rows = sorted(_changes(joined), key=lambda row: (row["repo"], row["path"], row["change"]))
    return pa.Table.from_pylist(rows, schema=CHANGES)


def summary(changes: pa.Table) -> pa.Table:
    """Return number and bytes of the changed files by kind of change and language."""
    grouped = changes.group_by(["change", "language"], use_threads=False).aggregate(
        [([], "count_all"), ("size", "sum")]
    )
    named = grouped.rename_columns(["change", "language", "files", "bytes"])
    return named.sort_by([("change", "ascending"), ("language", "ascending")])


def _manifest(place: Workspace) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] | None = read_json(place, MANIFEST)
    if manifest is None:
        raise ReleaseError(f"{place.root}: no {MANIFEST}, so no complete release")
    return manifest


def _files(place: Workspace, manifest: Mapping[str, Any], same: set[str]) -> pa.Table:
    """Return the newest revision of each file in the shards that are not the same on both sides."""
    filesystem, folder = place.locate()
    tables = [
        pq.read_table(f"{folder}/{shard['path']}", columns=_COLUMNS, filesystem=filesystem)
        for shard in manifest["shards"]
        if shard["sha256"] not in same
    ]
    if not tables:
        return pa.table({name: pa.array([], pa.int64() if name == "size" else pa.string()) for name in _COLUMNS})
    rows = pa.concat_tables(tables).replace_schema_metadata()
    return rows.group_by([*KEY], use_threads=False).aggregate([
        (name, "last") for name in _COLUMNS if name not in KEY
    ]).rename_columns([*KEY, *(name for name in _COLUMNS if name not in KEY)])  # fmt: skip


def _changes(joined: pa.Table) -> Iterator[dict[str, Any]]:
    different = pc.or_kleene(
        pc.invert(pc.fill_null(pc.equal(joined["content_id_old"], joined["content_id_new"]), False)),
        pc.invert(pc.fill_null(pc.equal(joined["license_old"], joined["license_new"]), False)),
    )
    for row in joined.filter(different).to_pylist():
        side = "old" if row["content_id_new"] is None else "new"
        if row["content_id_old"] is None:
            change = "added"
        elif row["content_id_new"] is None:
            change = "removed"
        else:
            change = "changed" if row["content_id_old"] != row["content_id_new"] else "relicensed"
        yield {
            "change": change,
            **{name: row[name] for name in KEY},
            **{name: row[f"{name}_{side}"] for name in ("language", "license", "size")},
            "license_before": row["license_old"] if side == "new" else None,
        }
