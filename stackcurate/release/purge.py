"""Purge: delete what must not be kept of files that were asked to go, and releases that still hold them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.release.export import clear
from stackcurate.release.ledger import append
from stackcurate.release.manifest import load_release
from stackcurate.stages.tables import write_part
from stackcurate.workspace import Run, Workspace, commit, locked, part_paths, read_table, runs

PURGED = (schema.BLOBS, schema.LICENSE_DETECTIONS, schema.LICENSES, schema.LANGUAGE, schema.QUALITY, schema.SIGNALS,
          schema.NEAR_DUP_BANDS, schema.MALWARE, schema.PII, schema.CONTAMINATION)  # fmt: skip
"""Tables that hold contents or what was found in them. Names, hashes and similarities stay, so that who asked to go is
known and the other members of a cluster keep their places."""


def purge(workspace: Workspace, version: str, releases: Sequence[str] = ()) -> dict[str, int]:
    """Delete contents and facts of the files that a release left out on request, and note it in the ledger.

    A content that others hold as well, and did not ask to take out, stays.

    Args:
        workspace: what is purged.
        version: the release that says which files were asked to go.
        releases: older releases to delete, with their decisions.

    Returns:
        Rows deleted by table, and the number of `releases`.

    Raises:
        ReleaseError: a release is missing, or `releases` names the one that stays.
        WorkspaceError: another process writes to the workspace.
    """
    with locked(workspace):
        for name in (version, *releases):
            if load_release(workspace, name) is None:
                raise ReleaseError(f"no complete release {name!r} in {workspace.root}")
        if version in releases:
            raise ReleaseError(f"{version!r} says what to purge and cannot be purged with it")
        files, blobs = _out(workspace, version)
        deleted = {}
        for table in PURGED:
            ids = files if table.key[0] == "file_id" else blobs
            deleted[table.name] = sum(_without(workspace, table, run, ids) for run in runs(workspace, table.name))
        for name in releases:
            clear(workspace, name)
            for table in (schema.DECISIONS, schema.LOOKUP):
                filesystem, folder = workspace.locate("tables", table.name, name)
                if filesystem.get_file_info(folder).type == pafs.FileType.Directory:
                    filesystem.delete_dir(folder)
        counts = {**deleted, "releases": len(releases)}
        append(workspace, [({"event": "purged", "from": version, **counts},
                            {"releases": list(releases), "salt": secrets.token_hex(16)})])  # fmt: skip
        return counts


def _out(workspace: Workspace, version: str) -> tuple[pa.Array, pa.Array]:
    """Return the files that are out on request, and the blobs that only they hold."""
    decided = [run for run in runs(workspace, schema.DECISIONS.name) if run.run_id == version]
    where = pc.field("reason") == "opted_out"
    out = read_table(workspace, schema.DECISIONS, decided, ["file_id", "blob_id"], where)
    files, blobs = (out[name].combine_chunks().unique() for name in ("file_id", "blob_id"))
    everything = runs(workspace, schema.FILES.name)
    held = read_table(workspace, schema.FILES, everything, ["file_id", "blob_id"], pc.field("blob_id").isin(blobs))
    others = held.filter(pc.invert(pc.is_in(held["file_id"], files)))["blob_id"].combine_chunks()
    return files, blobs.filter(pc.invert(pc.is_in(blobs, others))).drop_null()


def _without(workspace: Workspace, table: schema.Table, run: Run, ids: pa.Array) -> int:
    """Write the parts of a run that hold some keys without them; the old parts are deleted with the commit."""
    filesystem: pafs.FileSystem = workspace.locate()[0]
    parts, deleted, key = [], 0, table.key[0]
    for part, path in zip(run.parts, part_paths(workspace, [run]), strict=True):
        keys = pq.read_table(path, filesystem=filesystem, columns=[key])[key]
        found = pc.sum(pc.is_in(keys, ids)).as_py() or 0
        if found:
            rows = (batch.filter(pc.invert(pc.is_in(batch[key], ids))) for batch in
                    pq.ParquetFile(path, filesystem=filesystem).iter_batches(batch_size=1000))  # fmt: skip
            fresh = write_part(rows, workspace, table, run.run_id)
            parts += [fresh] if fresh else []
        else:
            parts.append(part)
        deleted += found
    if deleted:
        commit(workspace, replace(run, parts=tuple(parts)))
    return deleted
