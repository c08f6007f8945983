"""Lookup: by owner, name, repository, path and blob, without case; owners may be null."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.release.lookup import Lookup, carry_index, in_order, index_rows, lookup
from stackcurate.stages.tables import frame, write_part
from stackcurate.workspace import Run, Workspace, commit, open_workspace, part_paths, read_table, runs
from tests.synthetic_release import index_table, owner, write_release

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
    index(workspace)
    return workspace


def index(workspace: Workspace) -> None:
    decisions, repos = (
        read_table(workspace, table, runs(workspace, table.name)) for table in (schema.DECISIONS, schema.REPOS)
    )
    store(workspace, schema.LOOKUP, "v1", index_table(decisions, repos).to_pylist())


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


def test_a_blob_is_found_with_all_who_hold_it(decided: Workspace) -> None:
    store(decided, schema.DECISIONS, "v1", [
        {"file_id": n, "repo_id": "git/acme/atlas", "revision": "1", "path": path, "blob_id": "c" * 40, "kept": kept}
        for n, path, kept in (("1", "Src/a.py", True), ("3", "copy.py", False))
    ])  # fmt: skip
    index(decided)

    assert lookup(decided, "v1", "c" * 40)["path"].to_pylist() == ["Src/a.py", "copy.py"]
    assert lookup(decided, "v1", "acme/atlas/copy.py")["kept"].to_pylist() == [False]


def test_spark_makes_the_same_index(decided: Workspace, spark: SparkSession) -> None:
    decisions, repos = (
        read_table(decided, table, runs(decided, table.name)) for table in (schema.DECISIONS, schema.REPOS)
    )

    made = in_order(index_rows(frame(spark, decisions), frame(spark, repos)), ("key", "repo_id")).toArrow()

    assert sorted(map(str, made.to_pylist())) == sorted(map(str, index_table(decisions, repos).to_pylist()))
    assert made["key"].to_pylist() == sorted(made["key"].to_pylist())


def test_a_correction_takes_the_index_over_without_writing_it(decided: Workspace) -> None:
    run = Run(table=schema.LOOKUP.name, run_id="v2", digest="d")
    carry_index(decided, "v1", run)

    old, new = ([Path(p) for p in part_paths(decided, [r])] for r in runs(decided, schema.LOOKUP.name))
    assert [p.stat().st_ino for p in old] == [p.stat().st_ino for p in new]


def test_duckdb_answers_from_the_same_files(decided: Workspace) -> None:
    tables = decided.path("tables")
    found = duckdb.sql(
        f"select path, kept from '{tables}/lookup/v1/*.parquet' join '{tables}/decisions/v1/*.parquet' "
        "using (repo_id, revision) where key = 'acme/atlas'"
    ).fetchall()

    assert found == [("Src/a.py", True)]


def test_a_question_reads_a_small_part_of_a_large_release(tmp_path: Path) -> None:
    write_release(tmp_path / "workspace", 60_000, 100)
    opened = Lookup(open_workspace(tmp_path / "workspace"), "v1")
    spent = []
    for number in (7, 70, 700):
        start = time.perf_counter()
        rows = opened.find(owner(number))
        spent.append(time.perf_counter() - start)
        assert rows.num_rows == 50
        assert opened.find(f"{rows['repo'][0]}/{rows['path'][0]}").num_rows == 1

    assert median(spent) < 0.05
