"""What requests mean: names of the past, forks, files, copies, scopes; withdrawals and contradictions."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels.opt_out_match import (
    REPOSITORY,
    copies_of,
    file_repositories,
    hits,
    meant_repositories,
    related,
)
from stackcurate.kernels.opt_outs import contradictions, parse, requests_digest, settled

REPOS = [
    ("git/1", "Acme", "Rocket", None, "2020-01-01"),
    ("git/1", "acme-labs", "rocket-two", None, "2020-01-01"),  # the same repository after a transfer and a rename
    ("git/2", "fan", "rocket", "git/1", "2021-01-01"),
    ("git/3", "fan-of-fan", "rocket", "git/2", "2022-01-01"),
    ("git/4", "acme", "later", None, "2026-06-01"),
    ("git/5", "acme", "undated", None, None),
]


def repos() -> pa.Table:
    names = ("repo_id", "owner", "name", "fork_of", "created_at")
    rows = [dict(zip(names, row, strict=True)) for row in REPOS]
    for row in rows:
        row["created_at"] = row["created_at"] and datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC)
    return pa.Table.from_pylist(rows, schema=pa.schema([schema.REPOS.columns.field(name) for name in names]))


def requests(text: str) -> pa.Table:
    return settled(pa.Table.from_batches([parse(text, "requests.csv")]))


def meant(text: str, copies: str = "owner-only") -> dict[str, str]:
    found = meant_repositories(repos(), requests(text), copies).to_pylist()
    return {row["repo_id"]: row["via"] for row in found}


@pytest.mark.parametrize("name", ["acme/rocket", "ACME-Labs/Rocket-Two", "git/1"])
def test_repository_is_meant_under_any_name_it_ever_bore(name: str) -> None:
    assert meant(f"repository\n{name}\n") == {"git/1": "repository"}


def test_forks_and_their_forks_go_as_the_policy_says() -> None:
    assert meant("repository\nacme/rocket\n", "forks") == {"git/1": "repository", "git/2": "fork", "git/3": "fork"}


@pytest.mark.parametrize(
    ("asked", "parent", "out"),
    [
        ("repository\nacme/rocket\n", "git/acme/rocket", {"git/1", "git/2"}),  # by name, where the number is known
        ("repository\ngone/away\n", "git/Gone/Away", {"git/2"}),  # the parent was never read
        ("owner\ngone\n", "git/gone/away", {"git/2"}),
        ("repository\ngit/7\n", "git/7", {"git/2"}),
        ("repository\ngit/acme/rocket\n", "git/1", {"git/1", "git/2"}),
        ("owner\ngone\n", "git/7", set()),
    ],
)
def test_forks_go_however_their_parent_is_named(asked: str, parent: str, out: set[str]) -> None:
    rows = [row | {"fork_of": parent if row["repo_id"] == "git/2" else None} for row in repos().to_pylist()]
    table = pa.Table.from_pylist(rows, schema=repos().schema)

    assert set(meant_repositories(table, requests(asked), "forks")["repo_id"].to_pylist()) == out
    assert "git/2" not in meant_repositories(table, requests(asked), "owner-only")["repo_id"].to_pylist()


def test_owner_now_leaves_out_what_came_later() -> None:
    now = "owner,scope,requested_at\nacme,now,2026-01-01\n"

    assert set(meant(now)) == {"git/1", "git/5"}
    assert set(meant(now.replace("now,", "now_and_future,"))) == {"git/1", "git/4", "git/5"}


def test_unknown_and_withdrawn_owners_mean_nothing() -> None:
    assert meant("owner\nnobody\n") == {}
    assert meant("owner,state\nacme,\nacme,withdrawn\n") == {}


def test_files_blobs_and_copies_are_found() -> None:
    blob = "a" * 40
    rows = [
        ("f1", "git/1", "src/A.c", "b1"),
        ("f2", "git/2", "x.c", blob),
        ("f3", "git/3", "y.c", "b1"),
        ("f4", "git/4", "z", "b4"),
    ]
    files = pa.Table.from_pylist(
        [dict(zip(("file_id", "repo_id", "path", "blob_id"), row, strict=True)) for row in rows]
    )
    asked = requests(f"kind,value\nfile,acme/rocket/src/a.c\nblob,{blob}\n")
    with_host = requests("kind,value\nfile,git/acme/rocket/src/a.c\n")

    assert hits(files, repos(), with_host, meant_repositories(repos(), with_host, "forks"))["file_id"].to_pylist() == [
        "f1"
    ]
    found = hits(files, repos(), asked, meant_repositories(repos(), asked, "forks"))
    copies = copies_of(files, found, {"b1": "b1", "b4": "b1"})

    assert {row["file_id"]: row["via"] for row in found.to_pylist()} == {"f1": "file", "f2": "blob"}
    assert {row["file_id"]: row["via"] for row in copies.to_pylist()} == {"f3": "copy", "f4": "copy"}


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("owner,requested_at,state\na,2025-01-01,\na,2025-02-01,withdrawn\n", ["withdrawn", "withdrawn"]),
        ("owner,requested_at,state\na,2025-03-01,\na,2025-02-01,withdrawn\n", ["active", "withdrawn"]),
        ("owner,requested_at,state\na,2025-02-01,withdrawn\na,2025-03-01,\n", ["withdrawn", "active"]),
        ("owner,state\na,\na,withdrawn\n", ["withdrawn", "withdrawn"]),
        ("owner,state\na,withdrawn\na,\n", ["withdrawn", "active"]),
        ("id,owner,state\n1,a,\n2,a,\n1,a,withdrawn\n", ["withdrawn", "active", "withdrawn"]),
        ("id,owner,state\n1,a,\n2,a,\n3,a,withdrawn\n", ["withdrawn", "withdrawn", "withdrawn"]),
        ("owner,state\na,\nb,withdrawn\n", ["active", "withdrawn"]),
    ],
)
def test_withdrawal_counts_if_it_came_later(text: str, states: list[str]) -> None:
    assert requests(text)["state"].to_pylist() == states


def test_settling_twice_changes_nothing() -> None:
    once = requests("owner,requested_at,state\na,2025-01-01,\na,2025-02-01,withdrawn\nb,,\n")

    assert settled(pa.concat_tables([once, once])).to_pylist() == once.to_pylist()
    assert requests_digest(once) == requests_digest(settled(once))


def test_contradiction_without_dates_is_told() -> None:
    def told(text: str) -> list[str]:
        return contradictions(pa.Table.from_batches([parse(text, "requests.csv")]))

    assert "owner a" in told("owner,state\na,\na,withdrawn\n")[0]
    assert told("owner,requested_at,state\na,2025-01-01,\na,2025-02-01,withdrawn\n") == []


def test_request_for_very_many_repositories_is_read() -> None:
    text = "repository\n" + "".join(f"acme/r{number}\n" for number in range(100_000)) + "acme/rocket\n"

    assert meant(text) == {"git/1": "repository"}


TANGLED = [
    ("git/acme/rocket", "gone", "elsewhere", None, "2020-01-01"),  # bears as its id what forks call their parent
    ("git/6", "x", "y", "git/acme/rocket", "2020-01-01"),
    ("git/7", "z", "y", "git/x/Y", None),  # its parent by name
    ("git/6", "w", "y", None, None),  # another name of it
    ("git/8", "v", "y", "git/W/y", None),
    ("git/9", "none", "of", None, None),
    ("git/10", "fan", "of-none", "git/9", None),
    ("local/bare", None, "bare", None, None),
]


@pytest.mark.parametrize("copies", ["owner-only", "forks"])
@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        ("acme\n", {"git/9", "git/10"}),
        ("acme-labs/rocket-two\n", {"git/4", "git/5", "git/9", "git/10"}),
        ("git/6\n", {"git/1", "git/9"}),
        ("kind,value\nfile,acme/rocket/src/a.c\n", {"git/9", "git/10"}),
        ("v\nnone\n", {"git/2"}),
        ("local/bare\n", {f"git/{number}" for number in range(1, 11)}),
        ("nobody\n", {f"git/{number}" for number in range(1, 11)}),
    ],
)
def test_the_rows_that_requests_relate_to_decide_as_all_do(asked: str, left_out: set[str], copies: str) -> None:
    names = ("repo_id", "owner", "name", "fork_of", "created_at")
    rows = [dict(zip(names, row, strict=True)) | {"created_at": None} for row in TANGLED]
    every = pa.concat_tables([repos(), pa.Table.from_pylist(rows, schema=REPOSITORY)])
    wishes = requests(asked)
    few = related(
        lambda keep: pa.concat_tables([keep(every.slice(n, 3)) for n in range(0, every.num_rows, 3)]), wishes, copies
    )

    assert meant_repositories(few, wishes, copies) == meant_repositories(every, wishes, copies)
    assert file_repositories(few, wishes).to_pylist() == file_repositories(every, wishes).to_pylist()
    assert not left_out & set(few["repo_id"].to_pylist())
