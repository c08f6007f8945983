"""Lookup: by owner, name, repository, path and blob, without case; owners may be null."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.release.lookup import lookup
from stackcurate.stages.tables import write_part
from stackcurate.workspace import Run, Workspace, commit


def store(workspace: Workspace, table: schema.Table, run_id: str, rows: list[dict[str, object]]) -> None:
    whole = [dict.fromkeys(table.columns.names) | row for row in rows]
    part = write_part(iter([pa.RecordBatch.from_pylist(whole, schema=table.columns)]), workspace, table, run_id)
    assert part is not None
    commit(workspace, Run(table=table.name, run_id=run_id, digest="d", parts=(part,)))


@pytest.fixture
def decided(workspace: Workspace) -> Workspace:
    blob = "a" * 40
    store(workspace, schema.REPOS, "r", [
        {"repo_id": "git/acme/atlas", "revision": "1", "owner": "Acme", "name": "Atlas"},
        {"repo_id": "local/notes", "revision": "1", "owner": None, "name": "notes"},
    ])  # fmt: skip
    store(workspace, schema.DECISIONS, "v1", [
        {"file_id": "1", "repo_id": "git/acme/atlas", "revision": "1", "path": "Src/a.py", "blob_id": blob,
         "kept": True},
        {"file_id": "2", "repo_id": "local/notes", "revision": "1", "path": "b.py", "blob_id": "b" * 40, "kept": False,
         "stage": "licenses", "reason": "no_license"},
    ])  # fmt: skip
    return workspace


@pytest.mark.parametrize(
    "query",
    [
        "acme",
        "@ACME",
        "atlas",
        "acme/atlas",
        "git/acme/atlas",
        "acme/atlas/src/A.py",
        "a" * 40,
        "https://github.com/acme/atlas",
    ],
)
def test_every_way_to_name_a_file_finds_it(decided: Workspace, query: str) -> None:
    assert lookup(decided, "v1", query)["path"].to_pylist() == ["Src/a.py"]


@pytest.mark.parametrize("query", ["notes", "local/notes"])
def test_a_repository_without_an_owner_is_found_with_its_reason(decided: Workspace, query: str) -> None:
    assert lookup(decided, "v1", query).select(["kept", "reason"]).to_pylist() == [
        {"kept": False, "reason": "no_license"}
    ]


def test_what_was_never_read_gives_no_rows_and_an_unknown_release_an_error(decided: Workspace) -> None:
    assert lookup(decided, "v1", "nobody").num_rows == 0
    with pytest.raises(ReleaseError, match="v9"):
        lookup(decided, "v9", "acme")
