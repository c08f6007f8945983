"""A release of the past: what it decided on each file, and the facts that it was made from, read without Spark."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.config import Config
from stackcurate.errors import ReleaseError
from stackcurate.release.manifest import Release, load_release, public_config
from stackcurate.release.merkle import canonical
from stackcurate.workspace import Run, Workspace, read_table, runs

_MOVES = ("version", "shards_of")
"""Values of [release] that differ from one release to the next under the same policy."""


@dataclass(frozen=True)
class Past:
    """A release with the runs that it was made from.

    Args:
        workspace: where it was built.
        release: what was published.
        decided: the run of its decisions.
        used: ids of the runs that it read, by table.
        changed: sections of the config that are no longer those of the release, of those that may change.
    """

    workspace: Workspace
    release: Release
    decided: Run
    used: Mapping[str, Sequence[str]]
    changed: tuple[str, ...] = ()

    def decisions(self, where: pc.Expression) -> pa.Table:
        """Return decisions under a condition."""
        return read_table(self.workspace, schema.DECISIONS, [self.decided], where=where)

    def rows(self, table: schema.Table, keys: pa.Array, column: str = "") -> pa.Table:
        """Return the facts of some keys.

        Args:
            table: which facts.
            keys: values of the column.
            column: default: the table's first.
        """
        where = pc.field(column or table.key[0]).isin(keys)
        return read_table(self.workspace, table, self.runs(table), where=where)

    def runs(self, table: schema.Table) -> list[Run]:
        """Return the runs of a table that the release read."""
        return [run for run in runs(self.workspace, table.name) if run.run_id in self.used.get(table.name, ())]

    def edges(self, blobs: pa.Array) -> pa.Table:
        """Return the verified edges between blobs of whole clusters."""
        made = {(run.digest, run.inputs) for run in self.runs(schema.NEAR_DUPS)}
        found = [run for run in runs(self.workspace, schema.NEAR_DUP_EDGES.name) if (run.digest, run.inputs) in made]
        where = pc.field("left_blob_id").isin(blobs)
        return read_table(self.workspace, schema.NEAR_DUP_EDGES, found, where=where).sort_by("left_blob_id")

    def members(self, blobs: pa.Array) -> pa.Table:
        """Return blob_id, cluster_id and generation of all that shares a cluster with some blobs, and of these."""
        known = self.rows(schema.NEAR_DUPS, blobs)
        everyone = self.rows(schema.NEAR_DUPS, known["cluster_id"].unique(), "cluster_id")
        alone = blobs.filter(pc.invert(pc.is_in(blobs, everyone["blob_id"].combine_chunks())))
        own = pa.table({"blob_id": alone, "cluster_id": alone})
        everyone = everyone.select([*own.column_names, "generation"])
        return pa.concat_tables([everyone.replace_schema_metadata(), own.cast(own.schema)],
                                promote_options="permissive")  # fmt: skip


def load_past(workspace: Workspace, version: str, config: Config, may_change: Collection[str] = ()) -> Past:
    """Return a release to be corrected.

    Args:
        workspace: where it was built.
        version: its name.
        config: of the correction.
        may_change: sections that need not be those of the release.

    Raises:
        ReleaseError: it is not complete, its facts are not known, or the config asks for another policy.
    """
    release = load_release(workspace, version)
    decided = [run for run in runs(workspace, schema.DECISIONS.name) if run.run_id == version]
    if release is None or not decided:
        raise ReleaseError(f"no complete release {version!r} in {workspace.root}; `stackcurate build` makes it")
    used = decided[0].metrics.get("runs")
    if used is None:
        raise ReleaseError(f"release {version!r} does not say which facts it was made from; build it anew")
    changed = _changed(release.manifest["config"], public_config(config.to_dict()))
    if barred := [f"[{name}]" for name in changed if name not in may_change]:
        raise ReleaseError(
            f"the config asks for another policy than release {version!r} in {', '.join(barred)}; "
            "a correction changes nothing else: use `stackcurate release`"
        )
    return Past(workspace, release, decided[0], used, changed)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sections that differ, apart from what differs from one release to the next anyway."""

    def spelled(config: Mapping[str, Any], section: str) -> bytes:
        values = dict(config.get(section, {}))
        return canonical({name: value for name, value in values.items() if section != "release" or name not in _MOVES})

    return tuple(name for name in sorted({*old, *new}) if spelled(old, name) != spelled(new, name))


def whole_first(rows: pa.Table, table: schema.Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return one row per key, whole ones first: one commit or archive may have been given twice.

    Args:
        rows: as `table`.
        table: `files` or `repos`.
    """
    others = [name for name in table.columns.names if name not in ("error", *table.key)]
    best: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}
    for row in rows.to_pylist():
        key = tuple(row[name] for name in table.key)
        rank = [_rank(row["error"], first=True), *(_rank(row[name]) for name in others)]
        if key not in best or rank < best[key][0]:
            best[key] = rank, row
    return {key: row for key, (_, row) in best.items()}


def _rank(value: Any, *, first: bool = False) -> tuple[bool, Any]:
    """Return what sorts a value with null first or last."""
    known = value.timestamp() if isinstance(value, datetime) else value
    return (value is None) != first, known if known is not None else 0
