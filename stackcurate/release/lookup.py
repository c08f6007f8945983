"""Lookup: is this owner, repository, file or blob in a release, and why or why not."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.kernels.opt_out_targets import normalise
from stackcurate.workspace import Workspace, read_table, runs

_BLOB = re.compile(r"^[0-9a-f]{40}$")
ANSWER = ("repo", "revision", "path", "kept", "stage", "reason", "detail", "shard")
"""Columns of an answer."""


def lookup(workspace: Workspace, version: str, query: str) -> pa.Table:
    """Return what a release decided on the files that a query means.

    Args:
        workspace: where the release was built.
        version: name of the release.
        query: an owner, a repository's name, `owner/repository`, a repo_id, `owner/repository/path` or a blob id;
            without case.

    Returns:
        One row per file, columns `ANSWER`, by repository and path; no rows where nothing of that name was read.

    Raises:
        ReleaseError: the release has no decisions here.
    """
    found = [run for run in runs(workspace, schema.DECISIONS.name) if run.run_id == version]
    if not found:
        raise ReleaseError(f"no decisions of a release {version!r} in {workspace.root}; is the version right?")
    decisions = read_table(workspace, schema.DECISIONS, found)
    repos = _repositories(workspace)
    joined = decisions.join(repos, ["repo_id", "revision"], join_type="left outer")
    return (
        joined.filter(_meant(joined, query))
        .select(list(ANSWER))
        .sort_by([("repo", "ascending"), ("path", "ascending")])
    )


def _repositories(workspace: Workspace) -> pa.Table:
    columns = ["repo_id", "revision", "owner", "name"]
    rows = read_table(workspace, schema.REPOS, runs(workspace, schema.REPOS.name), columns)
    distinct = rows.group_by(columns).aggregate([])
    repo = pc.binary_join_element_wise(distinct["owner"], distinct["name"], "/")
    return distinct.append_column("repo", repo)


def _meant(rows: pa.Table, query: str) -> pa.ChunkedArray:
    """Return a mask of the rows that the query means."""
    wanted = normalise(query)
    if _BLOB.match(wanted):
        return pc.equal(rows["blob_id"], wanted)
    repo, repo_id = pc.utf8_lower(rows["repo"]), pc.utf8_lower(rows["repo_id"])
    if "/" not in wanted:
        return pc.or_kleene(*(pc.equal(pc.utf8_lower(rows[column]), wanted) for column in ("owner", "name")))
    path = pc.utf8_lower(pc.binary_join_element_wise(repo, rows["path"], "/"))
    named = pc.or_kleene(pc.equal(repo, wanted), pc.equal(repo_id, wanted))  # an owner may be null
    return pc.or_kleene(named, pc.equal(path, wanted))
