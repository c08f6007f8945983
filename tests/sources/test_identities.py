"""Whom requests mean: renames and transfers bring nothing back, and authors take out what is theirs alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.facts import Build
from stackcurate.kernels.opt_out_match import meant_repositories
from stackcurate.kernels.opt_out_targets import author
from stackcurate.kernels.opt_outs import OWNER_ONLY, parse
from stackcurate.pipeline import load_config, take_in
from stackcurate.sources.authors import keyed_hash
from stackcurate.sources.identities import in_all_names, with_authors
from stackcurate.sources.inputs import discover
from stackcurate.stages.tables import write_part
from stackcurate.workspace import Run, Workspace, author_key
from stackcurate.workspace import commit as commit_run

from .git_server import Server, serving
from .hostile_git import commit, repository

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def store(workspace: Workspace, table: schema.Table, run_id: str, rows: list[dict[str, Any]]) -> None:
    part = write_part(iter(pa.Table.from_pylist(rows, schema=table.columns).to_batches()), workspace, table, run_id)
    commit_run(workspace, Run(table=table.name, run_id=run_id, digest=run_id, parts=(part,) if part else ()))


def record(number: int, owner: str, name: str, owner_id: int | None = None, **more: Any) -> dict[str, Any]:
    return {"repo_id": f"github/{number}", "host": "github", "host_id": number, "owner": owner, "name": name,
            "owner_id": owner_id, "source": "github", **more}  # fmt: skip


def requests(text: str) -> pa.Table:
    return pa.Table.from_batches([parse(text, "requests.csv")], schema=schema.OPT_OUTS.columns)


def added(found: pa.Table) -> set[tuple[str, str]]:
    return {(row["kind"], row["value"]) for row in found.to_pylist() if row["source"] is None}


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """Alice renamed herself and a repository, and gave another one to Bob; two snapshots of the API know it."""
    made = datetime(2024, 1, 1, tzinfo=UTC)
    store(workspace, schema.REPO_RECORDS, "first", [record(1, "Alice", "Old", 7), record(2, "alice", "given", 7)])
    store(workspace, schema.REPO_RECORDS, "second", [
        record(1, "alice2", "New", 7), record(2, "bob", "given", 8, former_names=["alice/given"]),
        record(3, "alice2", "later", 7, created_at=made), record(4, "bob", "own", 8), record(5, "carol", "old", 9),
    ])  # fmt: skip
    return workspace


def test_an_owner_is_meant_by_every_name_and_by_what_was_given_away(told: Workspace) -> None:
    found = in_all_names(told, requests("owner\nalice\n"))

    assert ("owner", "alice2") in added(found)
    assert {value for kind, value in added(found) if kind == "repository"} >= {"github/1", "github/2", "github/3"}
    assert not {("owner", "bob"), ("repository", "github/4"), ("repository", "github/5")} & added(found)
    assert in_all_names(told, requests("owner\nnobody\n")).num_rows == 1


def test_a_repository_and_a_file_are_meant_by_every_name(told: Workspace) -> None:
    assert added(in_all_names(told, requests("repository\nalice/old\n"))) == {
        ("repository", "alice2/new"), ("repository", "github/1")
    }  # fmt: skip
    assert added(in_all_names(told, requests("repository\ngithub/2\n"))) == {
        ("repository", "alice/given"), ("repository", "bob/given")
    }  # fmt: skip
    assert added(in_all_names(told, requests("file\nalice/old/src/a.c\n"))) == {
        ("file", "alice2/new/src/a.c"), ("file", "github/1/src/a.c")
    }  # fmt: skip


def test_a_request_for_now_and_a_withdrawn_one_reach_no_further(told: Workspace) -> None:
    now = in_all_names(told, requests("owner,scope,requested_at\nalice,now,2023-01-01\n"))
    assert ("repository", "github/3") not in added(now)
    assert ("repository", "github/1") in added(now)
    assert added(in_all_names(told, requests("owner,state\nalice,withdrawn\n"))) == set()


@pytest.mark.parametrize(
    ("on", "means"),
    [
        ("2026-01-01", {9}),  # she is alice2 by then, and somebody else has the name
        ("2023-01-01", {1, 2, 9}),  # nobody knows when the name changed hands
        ("2019-01-01", {1, 2, 9}),
        ("", {1, 2, 9}),
    ],
)
@pytest.mark.parametrize("told_by", ["snapshots", "events"])
def test_who_takes_over_a_name_takes_out_nothing_of_the_account_before(
    workspace: Workspace, told_by: str, on: str, means: set[int]
) -> None:
    """Alice gave her name up between 2022 and 2025; events tell names of the past without their days."""
    before, now = ({"recorded_at": datetime(year, 1, 1, tzinfo=UTC)} for year in (2022, 2025))
    past = {"former_names": ["alice/old"], "accounts": [{"owner": "Alice", "owner_id": 7}]}
    if told_by == "snapshots":
        store(workspace, schema.REPO_RECORDS, "before", [record(1, "alice", "old", 7, **before)])
    store(workspace, schema.REPO_RECORDS, "now", [
        record(1, "alice2", "new", 7, **now, **past), record(2, "alice2", "other", 7, **now),
        record(9, "Alice", "mine", 12, **now),
    ])  # fmt: skip

    found = added(in_all_names(workspace, requests(f"owner,requested_at\nalice,{on}\n")))

    assert {value for kind, value in found if value.startswith("github/")} == {f"github/{number}" for number in means}
    assert (("owner", "alice2") in found) == (1 in means)


def test_who_gave_a_name_up_is_still_meant_by_it(told: Workspace) -> None:
    found = added(in_all_names(told, requests("owner,requested_at\nalice,2026-01-01\n")))

    assert {("owner", "alice2"), ("repository", "github/1")} <= found


def people(workspace: Workspace, *rows: tuple[str, str]) -> None:
    key = author_key(workspace)
    store(workspace, schema.AUTHORS, "people", [
        {"repo_id": repo, "revision": "r", "email_hash": keyed_hash(key, author(email)), "commits": 1}
        for repo, email in rows
    ])  # fmt: skip


def test_an_author_takes_out_what_is_his_alone(workspace: Workspace) -> None:
    people(
        workspace, ("git/a", "ada@x.example"), ("git/b", "ada@x.example"), ("git/b", "other@x.example"),
        ("git/c", "41+Ada@users.noreply.github.com"), ("git/d", "ada@x.example"), ("git/d", "ada@y.example"),
        ("git/e", "ada@x.example"), ("git/e", ""),  # and commits that were not looked at
    )  # fmt: skip

    def taken(text: str) -> set[str]:
        return {value for _, value in added(with_authors(workspace, requests(text)))}

    assert taken("author\nAda@X.example\n") == {"git/a"}
    assert taken("kind,value\nauthor,ada\n") == {"git/c"}
    assert taken("id,author\n1,ada@x.example\n1,ada@y.example\n") == {"git/a", "git/d"}
    assert taken("author\nnobody@x.example\n") == set()
    assert "ada@" not in str(requests("author\nada@x.example\n").to_pylist())


def test_a_commit_takes_out_what_was_read_at_it(workspace: Workspace) -> None:
    assert added(with_authors(workspace, requests(f"commit\n{'a' * 40}\n"))) == set()
    row = {"host": "git", "name": "x", "source_kind": "git", "source": "x"}
    store(workspace, schema.REPOS, "r", [
        row | {"repo_id": "git/A", "revision": "a" * 40}, row | {"repo_id": "git/b", "revision": "b" * 40}
    ])  # fmt: skip

    assert added(with_authors(workspace, requests(f"commit\n{'a' * 40}\n"))) == {("repository", "git/a")}


def test_what_an_author_took_out_stays_out_once_its_number_and_other_names_are_known(told: Workspace) -> None:
    people(told, ("github/alice/old", "ada@x.example"))

    assert added(with_authors(told, requests("author\nada@x.example\n"))) == {
        ("repository", name) for name in ("github/alice/old", "alice/old", "alice2/new", "github/1")
    }


def take(spark: SparkSession, workspace: Workspace, tmp_path: Path, server: Server, name: str) -> dict[str, Any]:
    """Read one repository from the server under its GitHub name, and return its row."""
    listed = tmp_path / "list.jsonl"
    owner, _, short = name.partition("/")
    url = f"{server.url}/{name}.git"
    listed.write_text(json.dumps({"url": url, "host": "github", "owner": owner, "name": short}) + "\n")
    values = {"inputs": f'["git:{listed}"]', "git_protocols": '["http"]', "git_cache": str(tmp_path / "cache"),
              "git_mirror_bytes": 8 << 20}  # fmt: skip
    config = load_config(None, [f"sources.{k}={v}" for k, v in values.items()] + [f"workspace.path={workspace.root}"])
    under_way = Build(config, workspace)
    under_way.__dict__["spark"] = spark
    _, repos = take_in(under_way, discover(config["sources"].inputs))
    (row,) = repos.toArrow().to_pylist()
    return dict(row)


def test_metadata_reaches_the_files_through_renames(spark: SparkSession, workspace: Workspace, tmp_path: Path) -> None:
    """The latest record gives stars and numbers; an old name still takes the repository out after a transfer."""
    then, now = (datetime(year, 1, 1, tzinfo=UTC) for year in (2024, 2025))
    told = record(1, "alice", "tool", 7, stars=10, recorded_at=then, host_license="MIT", created_at=then)
    store(workspace, schema.REPO_RECORDS, "one", [told, record(9, "other", "tool", 9, former_names=["alice/tool"])])
    with serving(tmp_path / "served") as server:
        for name in ("alice/tool", "bob/gift"):
            commit(repository(server.folder / f"{name}.git", "--bare"))
        before = take(spark, workspace, tmp_path, server, "alice/tool")
        store(workspace, schema.REPO_RECORDS, "two", [record(1, "bob", "gift", 8, stars=70, forks=3, recorded_at=now)])
        after = take(spark, workspace, tmp_path, server, "bob/gift")

    assert [before[n] for n in ("repo_id", "owner_id", "stars", "host_license")] == ["github/1", 7, 10, "MIT"]
    assert [after[n] for n in ("repo_id", "owner", "owner_id", "stars", "forks")] == ["github/1", "bob", 8, 70, 3]
    repos = pa.Table.from_pylist([after], schema=schema.REPOS.columns)
    for asked, named in [("owner\nalice", 0), ("repository\nalice/tool", 0), ("repository\nbob/gift", 1)]:
        assert meant_repositories(repos, requests(asked), OWNER_ONLY).num_rows == named
        assert meant_repositories(repos, in_all_names(workspace, requests(asked)), OWNER_ONLY).num_rows == 1
