"""Which repositories and files a request means: by owner, name, id or blob, in forks and copies as the policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.opt_outs import OWNER_ONLY, day

REPOSITORY = pa.schema([
    *((name, pa.string()) for name in ("repo_id", "owner", "name", "fork_of")),
    ("created_at", pa.timestamp("us", tz="UTC")),
])  # fmt: skip
"""What is looked at of a repository: a row for each name that it bears or bore."""
MEANT = pa.schema([("repo_id", pa.string()), ("request_id", pa.string()), ("via", pa.string())])
"""A repository that a request means, and why: `owner`, `repository` or `fork`."""
HIT = pa.schema([("file_id", pa.string()), ("request_id", pa.string()), ("via", pa.string())])
"""A file that a request means, and why: as `MEANT`, or `file`, `blob` or `copy`."""
Keep = Callable[[pa.Table], pa.Table]
"""Returns those rows of `REPOSITORY` that count; pickles."""


def active(requests: pa.Table, kind: str | None = None) -> pa.Table:
    """Return the requests in force, of one kind where given."""
    kept = requests.filter(pc.equal(requests["state"], "active"))
    return kept if kind is None else kept.filter(pc.equal(kept["kind"], kind))


def related(scan: Callable[[Keep], pa.Table], requests: pa.Table, copies: str) -> pa.Table:
    """Return the rows of repositories that decide what requests mean, so that no others need be held.

    These are what a request names, forks of what it names, and step by step all other names of these, and their forks.

    Args:
        scan: applies a function to all repositories, some at a time, and returns all that it lets through.
        requests: as `opt_outs`; only active ones count.
        copies: as in `meant_repositories`, which finds the same in these rows as in all.

    Returns:
        `REPOSITORY`, distinct and sorted.
    """
    owners = active(requests, "owner")["value"].combine_chunks()
    names = pa.concat_arrays([active(requests, "repository")["value"].combine_chunks(), _places(requests)])
    rows, ids, parents = REPOSITORY.empty_table(), _values(()), _values(())
    while len(owners) + len(names):
        rows = scan(partial(_related, owners=owners, names=names, ids=ids, parents=parents, copies=copies))
        known, before = rows, len(ids) + len(parents)
        if copies != OWNER_ONLY:
            above = _parents(rows)
            known = pa.concat_tables([rows, above.filter(_bears(above, owners, names))])
            called = (*pc.utf8_lower(known["repo_id"]).chunks, *spelled(known).chunks)
            parents = pa.chunked_array(called, pa.string()).drop_null().unique()  # null: all that are no forks
        ids = known["repo_id"].unique()
        if len(ids) + len(parents) == before:
            break
    return _distinct(rows).sort_by([(name, "ascending") for name in REPOSITORY.names])


def _related(
    rows: pa.Table, owners: pa.Array, names: pa.Array, ids: pa.Array, parents: pa.Array, copies: str
) -> pa.Table:
    """Return the rows that bear an owner, name or id of some, and where forks go those of which the parent does."""
    wanted = pc.or_(_bears(rows, owners, names), pc.is_in(rows["repo_id"], ids))
    if copies != OWNER_ONLY:
        above = _parents(rows)
        named = above["repo_id"].filter(_bears(above, owners, names)).combine_chunks()
        wanted = pc.or_(wanted, pc.is_in(pc.utf8_lower(rows["fork_of"]), pa.concat_arrays([named, parents])))
    return _distinct(rows.filter(wanted))


def meant_repositories(repos: pa.Table, requests: pa.Table, copies: str) -> pa.Table:
    """Return the repositories that requests for owners and repositories mean, under any name they ever bore.

    A request for an owner of scope `now` leaves out what was created after it.

    Args:
        repos: `REPOSITORY`; all, or those that are `related`.
        requests: as `opt_outs`; only active ones count.
        copies: `owner-only`, or the forks go as well, and theirs.

    Returns:
        `MEANT`, one row per repository and request.
    """
    held = repos["repo_id"].combine_chunks()
    if copies != OWNER_ONLY:
        repos = pa.concat_tables([repos, _parents(repos)])
    by_owner, by_name = _requests(requests, "owner"), _requests(requests, "repository")
    named = repos.filter(_bears(repos, _values(by_owner), _values(by_name)))
    created = _first_seen(named)
    found: dict[tuple[str, str], str] = {}
    columns = (named["repo_id"], pc.utf8_lower(named["owner"]), *_called(named))
    for repo_id, owner, *names in zip(*(column.to_pylist() for column in columns), strict=True):
        for row in by_owner.get(owner, ()):
            if not later_than(created.get(repo_id), row):
                found.setdefault((repo_id, row["request_id"]), "owner")
        for row in (row for name in names for row in by_name.get(name, ())):
            found.setdefault((repo_id, row["request_id"]), "repository")
    if copies != OWNER_ONLY:
        _add_forks(repos, found)
    rows = [{"repo_id": repo, "request_id": request, "via": via} for (repo, request), via in sorted(found.items())]
    meant = pa.Table.from_pylist(rows, schema=MEANT)
    return meant.filter(pc.is_in(meant["repo_id"], held))


def file_repositories(repos: pa.Table, requests: pa.Table) -> pa.Table:
    """Return repo_id and each lower-case name of the repositories in which a single file is asked to go.

    Args:
        repos: repo_id, owner and name.
        requests: as `opt_outs`.
    """
    every = pa.concat_tables(pa.table({"repo_id": repos["repo_id"], "prefix": names}) for names in _called(repos))
    return _distinct(every.filter(pc.is_in(every["prefix"], _places(requests))))


def wanted_rows(repos: pa.Table, requests: pa.Table, meant: pa.Table) -> pc.Expression:
    """Return the condition under which a row of files or decisions can be one that is asked to go.

    Args:
        repos: repo_id, owner and name.
        requests: as `opt_outs`.
        meant: as `meant_repositories`.
    """
    ids = pa.concat_arrays([
        *meant["repo_id"].chunks, *file_repositories(repos, requests)["repo_id"].chunks, pa.array([], pa.string())
    ])  # fmt: skip
    blobs = active(requests, "blob")["value"].combine_chunks()
    return pc.field("repo_id").isin(ids.unique()) | pc.field("blob_id").isin(blobs.unique())


def hits(files: pa.Table, repos: pa.Table, requests: pa.Table, meant: pa.Table) -> pa.Table:
    """Return the files that requests mean, one row per file and request.

    Args:
        files: file_id, repo_id, path and blob_id; those that `wanted_rows` lets through.
        repos: repo_id, owner and name.
        requests: as `opt_outs`.
        meant: as `meant_repositories`.

    Returns:
        `HIT`; copies are not in it, see `copies_of`.
    """
    by_repo: dict[str, list[tuple[str, str]]] = {}
    for row in meant.to_pylist():
        by_repo.setdefault(row["repo_id"], []).append((row["request_id"], row["via"]))
    prefixes: dict[str, set[str]] = {}
    for row in file_repositories(repos, requests).to_pylist():
        prefixes.setdefault(row["repo_id"], set()).add(row["prefix"])
    by_file, by_blob = _requests(requests, "file"), _requests(requests, "blob")
    found: dict[tuple[str, str], str] = {}
    for file in files.select(["file_id", "repo_id", "path", "blob_id"]).to_pylist():
        named = list(by_repo.get(file["repo_id"], ()))
        spelled = (f"{prefix}/{file['path']}".lower() for prefix in prefixes.get(file["repo_id"], ()))
        named += [(row["request_id"], "file") for value in spelled for row in by_file.get(value, ())]
        named += [(row["request_id"], "blob") for row in by_blob.get(file["blob_id"] or "", ())]
        for request_id, via in named:
            found.setdefault((file["file_id"], request_id), via)
    return _hit_table(found)


def copies_of(files: pa.Table, found: pa.Table, groups: Mapping[str, str]) -> pa.Table:
    """Return hits on the copies of files that are asked to go: the same blob elsewhere, or one of its cluster.

    Args:
        files: file_id and blob_id of hits and copies.
        found: as `hits`.
        groups: name of the cluster of each blob; a blob stands for itself where it has none.
    """
    blob_of = dict(zip(files["file_id"].to_pylist(), files["blob_id"].to_pylist(), strict=True))
    direct = set(found["file_id"].to_pylist())
    first: dict[str, str] = {}
    for row in sorted(found.to_pylist(), key=lambda row: str(row["request_id"])):
        if blob := blob_of.get(row["file_id"]):
            first.setdefault(groups.get(blob, blob), row["request_id"])
            first.setdefault(f"blob:{blob}", row["request_id"])
    copies = {}
    for file_id, blob in blob_of.items():
        if file_id not in direct and blob:
            request_id = first.get(f"blob:{blob}") or first.get(groups.get(blob, blob))
            if request_id:
                copies[file_id, request_id] = "copy"
    return _hit_table(copies)


def _hit_table(found: Mapping[tuple[str, str], str]) -> pa.Table:
    rows = [{"file_id": file, "request_id": request, "via": via} for (file, request), via in sorted(found.items())]
    return pa.Table.from_pylist(rows, schema=HIT)


def _requests(requests: pa.Table, kind: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in active(requests, kind).to_pylist():
        found.setdefault(row["value"], []).append(row)
    return found


def _values(found: Iterable[str]) -> pa.Array:
    return pa.array(list(found), pa.string())


def _places(requests: pa.Table) -> pa.Array:
    """Return all that stands before a slash in requests for files: one of them is the repository."""
    values = active(requests, "file")["value"].to_pylist()
    return _values({v.rsplit("/", n)[0] for v in values for n in range(1, v.count("/") + 1)})


def _distinct(rows: pa.Table) -> pa.Table:
    return rows.group_by(rows.column_names).aggregate([])


def _called(repos: pa.Table) -> tuple[pa.ChunkedArray, ...]:
    """Return what requests may call each repository: owner and name, without and with host, and its id."""
    names = pc.utf8_lower(pc.binary_join_element_wise(repos["owner"], repos["name"], "/"))
    return names, pc.utf8_lower(repos["repo_id"]), spelled(repos)


def _bears(repos: pa.Table, owners: pa.Array, names: pa.Array) -> pa.ChunkedArray:
    """Say of each row whether it bears an owner or a name of some, in lower case."""
    owned = pc.is_in(pc.utf8_lower(repos["owner"]), owners)
    return reduce(pc.or_, (pc.is_in(called, names) for called in _called(repos)), owned)


def spelled(repos: pa.Table) -> pa.ChunkedArray:
    """Return host, owner and name, in lower case: the repo_id of one whose number is not known.

    Args:
        repos: repo_id, owner and name.
    """
    host = pc.replace_substring_regex(repos["repo_id"], "/.*", "")
    return pc.utf8_lower(pc.binary_join_element_wise(host, repos["owner"], repos["name"], "/"))


def _parents(repos: pa.Table) -> pa.Table:
    """Return what forks name as that which they were made from, as repositories: it may not be held itself."""
    ids = pc.unique(pc.utf8_lower(repos["fork_of"].drop_null()))
    parts = pc.extract_regex(ids, r"^[^/]+/(?P<owner>[^/]+)/(?P<name>.+)$")
    found = {"repo_id": ids, "owner": pc.struct_field(parts, "owner"), "name": pc.struct_field(parts, "name")}
    missing = {field.name: pa.nulls(len(ids), field.type) for field in repos.schema if field.name not in found}
    return pa.table(found | missing).select(repos.schema.names).cast(repos.schema)


def _first_seen(repos: pa.Table) -> dict[str, str]:
    """Return the day on which each repository was created, as far as it is known."""
    grouped = repos.group_by("repo_id").aggregate([("created_at", "min")]).to_pylist()
    return {row["repo_id"]: row["created_at_min"].date().isoformat() for row in grouped if row["created_at_min"]}


def later_than(created: str | None, request: Mapping[str, Any]) -> bool:
    """Tell whether a repository came after a request that asks only for what was there.

    Args:
        created: the day on which it was made, as YYYY-MM-DD; null where that is not known.
        request: a row of `opt_outs`.
    """
    asked = day(request["requested_at"])
    return request["scope"] == "now" and created is not None and asked is not None and created > asked


def _add_forks(repos: pa.Table, found: dict[tuple[str, str], str]) -> None:
    """Add the forks of what was found, and their forks."""
    forks = repos.filter(pc.is_valid(repos["fork_of"]))
    parents = pc.utf8_lower(forks["fork_of"])
    children: dict[str, set[str]] = {}
    for parent, child in zip(parents.to_pylist(), forks["repo_id"].to_pylist(), strict=True):
        children.setdefault(parent, set()).add(child)
    full = spelled(repos)
    named = pc.fill_null(pc.is_in(full, parents.combine_chunks()), False)
    aliases: dict[str, set[str]] = {}
    for repo_id, name in zip(*(c.filter(named).to_pylist() for c in (repos["repo_id"], full)), strict=True):
        aliases.setdefault(repo_id, set()).add(name)
    pending = list(found)
    while pending:
        parent, request_id = pending.pop()
        for child in set().union(*(children.get(name, ()) for name in {parent.lower(), *aliases.get(parent, ())})):
            if (child, request_id) not in found:
                found[child, request_id] = "fork"
                pending.append((child, request_id))
