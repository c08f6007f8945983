"""Lookup: is this owner, repository, path, blob or file in a release, and why or why not.

Two tables of the workspace answer, by a few row groups each: `lookup`, sorted by what people ask for, says which
repository a name or a blob means, and `decisions`, sorted by repository, what was decided there. DuckDB reads both.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.kernels.opt_out_targets import normalise
from stackcurate.workspace import Run, Workspace, carry, commit, part_paths, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BLOB = re.compile(r"^[0-9a-f]{40}$")
ANSWER = ("repo", "revision", "path", "kept", "stage", "reason", "detail", "shard")
"""Columns of an answer."""


class Lookup:
    """The opened index of a release: footers are read once, then each question reads the row groups that fit.

    Args:
        workspace: where the release was built.
        version: name of the release.

    Raises:
        ReleaseError: the release has no decisions here, or no index.
    """

    def __init__(self, workspace: Workspace, version: str) -> None:
        self._names = _Sorted(workspace, schema.LOOKUP, version, "key")
        self._decisions = _Sorted(workspace, schema.DECISIONS, version, "repo_id")

    def find(self, query: str) -> pa.Table:
        """Return what the release decided on the files that a query means.

        Args:
            query: an owner, a repository's name, `owner/repository`, a repo_id, `owner/repository/path` or a blob id;
                without case.

        Returns:
            One row per file, columns `ANSWER`, by repository and path; no rows where nothing of that name was read.
        """
        wanted = normalise(query)
        parts = wanted.split("/")
        keys = sorted({wanted, *("/".join(parts[:count]) for count in range(2, len(parts)))})
        named = self._names.rows(keys)
        rows = self._decisions.rows(sorted(named["repo_id"].unique().to_pylist()))
        joined = rows.join(named, ["repo_id", "revision"], join_type="inner")
        if _BLOB.match(wanted):
            meant = pc.or_kleene(pc.equal(joined["blob_id"], wanted), pc.not_equal(joined["key"], wanted))
        else:
            path = pc.binary_join_element_wise(joined["key"], pc.utf8_lower(joined["path"]), "/")
            meant = pc.or_(pc.equal(joined["key"], wanted), pc.equal(path, wanted))
        found = joined.filter(meant).select(list(ANSWER))
        return found.sort_by([("repo", "ascending"), ("path", "ascending")])


def lookup(workspace: Workspace, version: str, query: str) -> pa.Table:
    """Return the answer to one query; whoever asks more keeps a `Lookup` open.

    Args:
        workspace: where the release was built.
        version: name of the release.
        query: as `Lookup.find` takes it.

    Raises:
        ReleaseError: the release has no decisions here, or no index.
    """
    return Lookup(workspace, version).find(query)


class _Sorted:
    """A run whose parts are sorted by a column, with the smallest and largest value of each row group."""

    def __init__(self, workspace: Workspace, table: schema.Table, version: str, column: str) -> None:
        found = [run for run in runs(workspace, table.name) if run.run_id == version]
        if not found:
            raise ReleaseError(
                f"no table {table.name!r} of a release {version!r} in {workspace.root}; is the version right? "
                "`stackcurate build` writes it"
            )
        self._filesystem, _ = workspace.locate()
        self._table, self._column, self._parts = table, column, part_paths(workspace, found)
        self._footers = [pq.read_metadata(path, filesystem=self._filesystem) for path in self._parts]
        place = table.columns.get_field_index(column)
        self._groups = [
            (part, group, footer.row_group(group).column(place).statistics)
            for part, footer in enumerate(self._footers)
            for group in range(footer.num_row_groups)
        ]

    def rows(self, values: list[str]) -> pa.Table:
        """Return the rows whose column holds one of some sorted values."""
        wanted: dict[int, list[int]] = {}
        for part, group, known in self._groups:
            if known is None or not known.has_min_max or _between(values, known.min, known.max):
                wanted.setdefault(part, []).append(group)
        found = [self._read(part, groups) for part, groups in wanted.items()]
        rows = pa.concat_tables([self._table.columns.empty_table(), *found])
        return rows.filter(pc.is_in(rows[self._column], pa.array(values, pa.string())))

    def _read(self, part: int, groups: list[int]) -> pa.Table:
        with pq.ParquetFile(self._parts[part], metadata=self._footers[part], filesystem=self._filesystem) as file:
            return file.read_row_groups(groups).cast(self._table.columns)


def _between(values: list[str], low: str, high: str) -> bool:
    """Say whether one of some sorted values lies in a range."""
    at = bisect_left(values, low)
    return at < len(values) and values[at] <= high


def index_rows(decisions: DataFrame, repos: DataFrame) -> DataFrame:
    """Return the rows of `lookup`: each owner, name, repository, repo_id and blob with the revision that holds it.

    Args:
        decisions: as `decisions`.
        repos: owners and names by repo_id and revision.
    """
    named = repos.selectExpr("repo_id", "revision", "owner", "name", "concat_ws('/', owner, name) as repo")
    keys = "array(blob_id, lower(owner), lower(name), lower(repo), lower(repo_id))"
    held = decisions.join(named, ["repo_id", "revision"], "left")
    rows = held.selectExpr(f"explode({keys}) as key", "repo_id", "revision", "repo")
    return rows.where("key is not null").distinct().select(*schema.LOOKUP.columns.names)


def in_order(rows: DataFrame, columns: Iterable[str]) -> DataFrame:
    """Return rows in parts by ranges of the first column, each sorted, so that a lookup reads few row groups."""
    first, *rest = columns
    return rows.repartitionByRange(first).sortWithinPartitions(first, *rest)


def carry_index(workspace: Workspace, older: str, run: Run) -> None:
    """Take over the index of an older release that decided on the same files; none is made where it has none.

    Args:
        workspace: holds both.
        older: version of the older release.
        run: identity of the new run; its parts are filled in.
    """
    for found in runs(workspace, run.table):
        if found.run_id == older:
            for part in found.parts:
                place = ("tables", run.table)
                carry(workspace, (*place, older, part.path), (*place, run.run_id, part.path))
            commit(workspace, replace(run, parts=found.parts))
