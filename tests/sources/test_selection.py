"""Selection: what bars a repository, in which order, and that an opt-out holds under every name and in every fork."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from stackcurate import schema
from stackcurate.cli import app
from stackcurate.config import load
from stackcurate.errors import ConfigError, SourceError
from stackcurate.facts import silent
from stackcurate.kernels.opt_outs import FORKS, OWNER_ONLY, parse
from stackcurate.sources.repos_config import ReposConfig
from stackcurate.sources.repositories import damaged_hours, pull, repository_records
from stackcurate.sources.selection import REASONS, clone_urls, counts, opted_out, reasons, select
from stackcurate.stages.tables import frame
from stackcurate.workspace import Run, Workspace, commit
from tests.sources.archive_events import event, pull_request, whole, write_hour

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def records(*rows: dict[str, Any]) -> pa.Table:
    whole_rows = [{"repo_id": f"github/{n}", "owner": "owner", "name": f"project-{n}", "stars": 50, "size": 1024,
                   "fork": False, "archived": False} | row for n, row in enumerate(rows, 1)]  # fmt: skip
    return pa.Table.from_pylist(whole_rows, schema=schema.REPO_RECORDS.columns)


def test_each_reason_and_their_order() -> None:
    bad = {"stars": 1, "size": 10**9, "fork": True, "archived": True, "host_license": "GPL-3.0"}
    config = ReposConfig(
        min_stars=10, max_size=10**6, forks=False, archived=False, denied_licenses=("GPL-*",),
        deny=("owner/project-2",), allow=("owner",),
    )  # fmt: skip
    table = records(
        bad, bad, bad | {"owner": "else"}, bad | {"error": "blocked"}, bad | {"name": None}, bad,
        bad | {"archived": False}, bad | {"archived": False, "fork": None, "fork_of": "github/1"},
        {"stars": 9}, {"size": 10**6 + 1}, {"host_license": "gpl-3.0"}, {},
    )  # fmt: skip

    assert reasons(table, config, barred=["github/1"]).to_pylist() == [
        "opted_out", "denied", "not_allowed", "unavailable", "unnamed", "archived", "fork", "fork", "few_stars",
        "too_large", "license_denied", None,
    ]  # fmt: skip
    assert set(reasons(table, config, ["github/1"]).to_pylist()) <= {*REASONS, None}


def test_what_is_not_known_bars_nothing() -> None:
    unknown = dict.fromkeys(("stars", "size", "fork", "archived", "host_license", "fork_of"))
    strict = ReposConfig(min_stars=10, max_size=1, forks=False, archived=False, denied_licenses=("*",))

    assert reasons(records(unknown), strict).to_pylist() == [None]
    assert reasons(records({}, {"stars": 0, "archived": True, "fork": True}), ReposConfig()).to_pylist() == [None, None]
    assert reasons(records(), strict).to_pylist() == []


def test_a_licence_that_is_claimed_vetoes_and_never_admits() -> None:
    config = ReposConfig(min_stars=100, denied_licenses=("AGPL-3.0", "GPL-*"))
    table = records(
        {"host_license": "MIT"}, {"stars": 100, "host_license": "MIT"}, {"stars": 100, "host_license": "AGPL-3.0"}
    )

    assert reasons(table, config).to_pylist() == ["few_stars", None, "license_denied"]


def test_lists_take_owners_names_patterns_and_former_names() -> None:
    table = records(
        {"owner": "Alpha"}, {"owner": "beta", "name": "Tool"}, {"owner": "beta", "name": "tool.js"},
        {"owner": "new", "former_names": ["x/y", "alpha/thing"]}, {"owner": "gamma"},
    )  # fmt: skip
    denied = reasons(table, ReposConfig(deny=("ALPHA", "beta/tool", "g?mma/*"))).to_pylist()
    allowed = reasons(table, ReposConfig(allow=("beta", "gam*"))).to_pylist()

    assert denied == ["denied", "denied", None, "denied", "denied"]
    assert allowed == ["not_allowed", None, None, "not_allowed", None]


def test_slices_are_honoured() -> None:
    table = records(*({"stars": n, "former_names": [f"f/{n}"]} for n in range(6)))
    config = ReposConfig(min_stars=3, deny=("f/4",))
    batch = table.combine_chunks().to_batches()[0]

    assert reasons(batch.slice(2, 3), config).to_pylist() == reasons(table, config).to_pylist()[2:5]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_stars", -1), ("hours_per_run", 0), ("sources", ("npm:x",)), ("sources", ("github",)),
        ("deny", ("@alice",)), ("deny", ("https://github.com/a/b",)), ("allow", ("",)), ("allow", ("[a-z]/x",)),
    ],
)  # fmt: skip
def test_values_that_mean_nothing_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        ReposConfig(**{setting: value})


def test_a_day_of_toml_is_a_bound_like_its_text() -> None:
    sections = [
        load(None, {"repos": ReposConfig}, [f"repos.since={day}"])["repos"] for day in ("2021-01-02", '"2021-01-02"')
    ]

    assert [section.since for section in sections] == ["2021-01-02"] * 2


def test_a_folder_for_addresses_is_asked_for_before_the_work(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["repos", "--source", "github:x", "--urls", str(tmp_path / "none" / "urls.txt")])

    assert "no such folder" in str(result.exception)


def requests(text: str) -> pa.Table:
    return pa.Table.from_batches([parse(text, "requests.csv")], schema=schema.OPT_OUTS.columns)


def tangle(spark: SparkSession) -> DataFrame:
    """A repository that was renamed and transferred, its forks and theirs, and others."""
    return frame(spark, records(
        {"owner": "bob", "name": "new", "former_names": ["Alice/Old", "alice/older"]},
        {"owner": "carol", "name": "new", "fork": True, "fork_of": "github/1"},
        {"owner": "dan", "name": "new", "fork": True, "fork_of": "github/2"},
        {"owner": "erin", "name": "old"},
        {"owner": "frank", "name": "x", "created_at": datetime(2024, 1, 1, tzinfo=UTC)},
        {"owner": "alicea", "name": "old"},
        {"owner": "gina", "name": "copy", "fork": True, "fork_of": "github/99"},
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "copies", "out"),
    [
        ("alice\n", FORKS, {1, 2, 3}),
        ("alice/old\n", OWNER_ONLY, {1}),
        ("github/2\n", FORKS, {2, 3}),
        ("github/bob/new\n", OWNER_ONLY, {1}),
        ("github/99\n", FORKS, {7}),
        ("owner,requested_at,scope\nfrank,2023-01-01,now\n", FORKS, set()),
        ("owner,requested_at,scope\nfrank,2025-01-01,now\n", FORKS, {5}),
    ],
)
def test_an_opt_out_holds_under_every_name_and_in_forks(
    spark: SparkSession, text: str, copies: str, out: set[int]
) -> None:
    assert opted_out(tangle(spark), requests(text), copies) == [f"github/{n}" for n in sorted(out)]


def test_selection_keeps_every_row_and_gives_addresses(spark: SparkSession) -> None:
    chosen = select(
        tangle(spark), ReposConfig(allow=("erin", "bob", "carol"), deny=("carol",)), requests("bob\n"), OWNER_ONLY
    )

    assert counts(chosen) == {"selected": 1, "opted_out": 1, "denied": 1, "not_allowed": 4}
    assert list(clone_urls(chosen)) == ["https://github.com/erin/old.git"]


@pytest.mark.parametrize(
    ("source", "said"),
    [((), "--source"), (("gharchive:nowhere",), "nowhere"), (("github:someone",), "tokens_file")],
)
def test_a_source_is_asked_for_before_spark_starts(workspace: Workspace, source: tuple[str, ...], said: str) -> None:
    config = ReposConfig(sources=source, tokens_file="no/such/file")
    with pytest.raises((ConfigError, SourceError), match=said):
        pull(lambda: pytest.fail("started"), workspace, config, silent, str)


def test_the_latest_record_of_all_sources_counts(spark: SparkSession, workspace: Workspace, tmp_path: Path) -> None:
    """An archive of events, then the API: names add up, the later record wins, damage is told."""
    from stackcurate.stages.tables import write_part

    repo = (1, "old/name")
    pull_event = event("PullRequestEvent", 1, repo, pull_request(repo, trimmed=False))
    forked = event("ForkEvent", 2, repo, {"forkee": whole(2, "some/fork")})
    write_hour(tmp_path, "2021-01-01-7", [pull_event, forked, b"{torn"])
    arguments = ["repos", "--source", f"gharchive:{tmp_path}", "--urls", str(tmp_path / "urls")]
    values = {"workspace.path": workspace.root, "repos.since": "2021-01-01-7", "repos.until": "2021-01-01-8",
              "repos.forks": "false"}  # fmt: skip
    result = CliRunner().invoke(app, [*arguments, *(f"--set={name}={value}" for name, value in values.items())])
    first = {row["repo_id"]: row for row in repository_records(spark, workspace).collect()}
    newer = records({"repo_id": "github/1", "owner": "new", "name": "name", "stars": 7, "source": "github",
                     "recorded_at": datetime(2025, 1, 1, tzinfo=UTC)}).to_batches()  # fmt: skip
    part = write_part(iter(newer), workspace, schema.REPO_RECORDS, "github-x")
    commit(workspace, Run(table="repo_records", run_id="github-x", digest="x", parts=(part,) if part else ()))
    second = {row["repo_id"]: row for row in repository_records(spark, workspace).collect()}

    assert result.stdout.splitlines()[-2:] == ["selected: 1", "fork: 1"]
    assert (tmp_path / "urls").read_text() == "https://github.com/old/name.git\n"
    assert (first["github/1"]["stars"], first["github/1"]["forks"], first["github/1"]["former_names"]) == (
        100,
        10,
        None,
    )
    assert (second["github/1"]["stars"], second["github/1"]["owner"]) == (7, "new")
    assert second["github/1"]["former_names"] == ["old/name"]
    assert second["github/2"] == first["github/2"]
    assert damaged_hours(workspace) == [
        "1 of 2 hours are not whole: 1 missing; the next run tries them again", "1 torn lines"
    ]  # fmt: skip
