"""Whom a request means: under every name and number that the metadata knows, and by the commits that were read.

Requests name what they mean as it was called on some day. Here they get further rows: numbers, which neither a rename
nor a transfer changes, and the names that these numbers bore. Matching stays a comparison of names, and a new name
does not bring back what was opted out. A name that several accounts bore, one after the other, means those that may
have borne it on the day of the request, all where that is not known; what was read under the name itself goes anyhow.

An author takes out the repositories whose commits are all his; one commit among those of others takes nothing out, nor
does a history that was not read to its end (`sources.git_depth`), so that nobody removes what is not his. A commit
takes out the repositories that were read at it. Both hold for what these repositories become later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.kernels.opt_out_match import active, later_than, spelled
from stackcurate.kernels.opt_out_targets import spelled_author
from stackcurate.kernels.opt_outs import day
from stackcurate.sources.accounts import known_accounts
from stackcurate.sources.authors import keyed_hash
from stackcurate.sources.selection import names_of
from stackcurate.stages.tables import read_batches
from stackcurate.workspace import Workspace, author_key, read_table, runs

Row = Mapping[str, Any]
Wish = tuple[str, str]
"""Kind and value of a request."""
Where = Callable[[pa.Table], pa.Array]
"""Tells which rows are wanted."""


def in_all_names(workspace: Workspace, requests: pa.Table) -> pa.Table:
    """Add to requests what else the metadata calls the owners, repositories and files that they name.

    An owner is meant by every name of the account, with each repository that the account ever had.

    Args:
        workspace: holds `repo_records`.
        requests: as `opt_outs`.

    Returns:
        `schema.OPT_OUTS`: the requests, then further rows with the same request_id and no source.
    """
    asked = [row for row in active(requests).to_pylist() if row["kind"] in ("owner", "repository", "file")]
    return pa.concat_tables([requests, _more(asked, _in_all_names(workspace, asked))])


def _in_all_names(workspace: Workspace, asked: list[Row]) -> Callable[[Row], Iterable[Wish]]:
    """Return what gives the names of what a request names."""
    if not asked or not runs(workspace, schema.REPO_RECORDS.name):
        return lambda _: ()
    owners = {row["value"] for row in asked if row["kind"] == "owner"}
    accounts = known_accounts(workspace, owners)
    repositories = {_repository(row) for row in asked if row["kind"] != "owner"}
    by_owner, by_name = _bearers(workspace, owners | accounts.names_of(accounts.names), repositories)
    numbers = {row["repo_id"] for found in (by_owner, by_name) for rows in found.values() for row in rows}
    borne: dict[str, set[str]] = defaultdict(set)
    for row in _names(workspace, lambda names: pc.is_in(names["repo_id"], pa.array(numbers, pa.string()))):
        borne[row["repo_id"]] |= {row["repo_id"], row["called"]}

    def wishes(row: Row) -> Iterator[Wish]:
        if row["kind"] == "owner":
            meant = accounts.meant(row["value"], day(row["requested_at"]))
            logins = {row["value"], *accounts.names_of(meant)}
            yield from (("owner", login) for login in logins)
            had = (one for login in logins for one in by_owner[login])
            theirs = (one for one in had if accounts.may_have_had(meant, one["repo_id"], one["owner"]))
            found = {one["repo_id"] for one in theirs if not later_than(one["created"], row)}
        else:
            found = {one["repo_id"] for one in by_name[_repository(row)]}
        path = row["value"].removeprefix(_repository(row)) if row["kind"] == "file" else ""
        for name in (name for number in found for name in borne[number]):
            yield ("file" if path else "repository"), name + path

    return wishes


def with_authors(workspace: Workspace, requests: pa.Table) -> pa.Table:
    """Add to requests of authors and of commits the repositories that they take out, in all their names.

    Args:
        workspace: holds `authors` and `repos`.
        requests: as `opt_outs`.

    Returns:
        `schema.OPT_OUTS`: the requests, then further rows with the same request_id and no source.
    """
    asked = [row for row in active(requests).to_pylist() if row["kind"] in ("author", "commit")]
    if not asked:
        return requests
    own = _own(workspace, [row for row in asked if row["kind"] == "author"])
    commits = pa.array({row["value"] for row in asked if row["kind"] == "commit"}, pa.string())
    found = runs(workspace, schema.REPOS.name) if len(commits) else []
    read = read_table(workspace, schema.REPOS, found, ["repo_id", "revision"], pc.field("revision").isin(commits))
    at = defaultdict(set)
    for row in read.to_pylist():
        at[row["revision"]].add(row["repo_id"])

    def wishes(row: Row) -> Iterator[Wish]:
        taken = at[row["value"]] if row["kind"] == "commit" else own[row["request_id"]]
        yield from (("repository", repo_id.lower()) for repo_id in taken)

    return pa.concat_tables([requests, in_all_names(workspace, _more(asked, wishes))])


def _more(asked: Iterable[Row], wishes: Callable[[Row], Iterable[Wish]]) -> pa.Table:
    """Return a row for each wish of a request that is not the request's own."""
    rows = [
        {**row, "kind": kind, "value": value, "source": None}
        for row in asked for kind, value in sorted(set(wishes(row)) - {(row["kind"], row["value"])})
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema.OPT_OUTS.columns)


def _repository(row: Row) -> str:
    """Return owner and name of the repository of a request, or its repo_id."""
    return "/".join(row["value"].split("/")[:2]) if row["kind"] == "file" else str(row["value"])


def _bearers(
    workspace: Workspace, owners: Collection[str], repositories: Collection[str]
) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """Return repo_id and day of creation of the repositories that some owners have or had, and that bore some names."""
    by_owner, by_name = defaultdict(list), defaultdict(list)
    who, what = pa.array(owners, pa.string()), pa.array(repositories, pa.string())
    spellings = ("called", "repo_id", "spelled")

    def meant(names: pa.Table) -> pa.Array:
        return reduce(pc.or_, (pc.is_in(names[name], what) for name in spellings), pc.is_in(names["owner"], who))

    for row in _names(workspace, meant):
        by_owner[row["owner"]].append(row)
        for name in spellings:
            by_name[row[name]].append(row)
    return by_owner, by_name


def _names(workspace: Workspace, wanted: Where) -> Iterator[Row]:
    """Yield repo_id, owner, name in full without and with host, and day of creation, for each name ever borne."""
    columns = ("repo_id", "owner", "name", "former_names", "fork_of", "created_at")
    for rows in read_batches(workspace, schema.REPO_RECORDS, columns):
        names = names_of(rows)
        table = pa.table({
            "repo_id": pc.utf8_lower(names["repo_id"]),
            "owner": pc.utf8_lower(names["owner"]),
            "called": pc.utf8_lower(pc.binary_join_element_wise(names["owner"], names["name"], "/")),
            "spelled": spelled(names),
            "created": pc.strftime(names["created_at"], "%Y-%m-%d"),
        })  # fmt: skip
        yield from table.filter(pc.and_(pc.is_valid(table["called"]), wanted(table))).to_pylist()


def _own(workspace: Workspace, asked: Iterable[Row]) -> dict[str, set[str]]:
    """Return the repositories in which every commit looked at bears an e-mail of a request, by request_id."""
    found = runs(workspace, schema.AUTHORS.name)
    hashes: dict[str, set[str]] = defaultdict(set)
    for row in asked if found else ():
        hashes[row["request_id"]].add(keyed_hash(author_key(workspace), spelled_author(row["value"])))
    columns, own = ["repo_id", "email_hash"], defaultdict[str, set[str]](set)
    wanted = pa.array({one for some in hashes.values() for one in some}, pa.string())
    if not len(wanted):
        return own
    some = read_table(workspace, schema.AUTHORS, found, columns, pc.field("email_hash").isin(wanted))
    ids = some["repo_id"].combine_chunks().unique()
    people: dict[str, set[str]] = defaultdict(set)
    for row in read_table(workspace, schema.AUTHORS, found, columns, pc.field("repo_id").isin(ids)).to_pylist():
        people[row["repo_id"]].add(row["email_hash"])
    for request_id, mine in hashes.items():
        own[request_id] = {repo_id for repo_id, everyone in people.items() if everyone <= mine}
    return own
