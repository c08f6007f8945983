"""Repositories of GitHub: listed by owner or all of them, then described 500 at a time.

    client = Client(read_tokens("tokens.txt"))
    for row in describe(client, by_name(["octocat/hello-world"])):
        ...

Rows are those of `schema.REPO_RECORDS`. A repository is its number: a rename or a transfer gives the same row with
another name, and what was asked by an old name notes that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from stackcurate.errors import ConfigError
from stackcurate.sources.gharchive_events import RECORD, record, repo_id, utc
from stackcurate.sources.github_client import Client, GaveUpError

BATCH = 500
"""Repositories in one GraphQL request."""
PAGE = 100
"""Items of a page of a listing, and ids in one `nodes` field, at most.
Source: https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api"""
DELETED, BLOCKED, PRIVATE = "deleted", "blocked", "private"

_FULL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,98})/[A-Za-z0-9._-]{1,100}", re.ASCII)
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,98})", re.ASCII)
_NODE_ID = re.compile(r"[A-Za-z0-9_=+/-]{4,120}", re.ASCII)
_FIELDS = (
    "fragment F on Repository{databaseId nameWithOwner owner{__typename login ...on User{databaseId} "
    "...on Organization{databaseId}} isFork parent{databaseId} stargazerCount forkCount diskUsage isArchived isPrivate "
    "isDisabled licenseInfo{spdxId} defaultBranchRef{name target{oid}} createdAt pushedAt}"
)


@dataclass(frozen=True)
class Wanted:
    """A repository to describe: by its node id, by name, or both."""

    name: str | None = None
    node_id: str | None = None


def by_name(names: Iterable[str]) -> Iterator[Wanted]:
    """Yield what is wanted by owner and name, each once.

    Raises:
        ConfigError: a name is none of GitHub's.
    """
    seen = set()
    for name in names:
        if not _FULL_NAME.fullmatch(name):
            raise ConfigError(f"expected owner/name of a repository on GitHub, found {name!r}")
        if name.lower() not in seen:
            seen.add(name.lower())
            yield Wanted(name=name)


def owned(client: Client, owner: str) -> Iterator[dict[str, Any]]:
    """Yield the public repositories of an account as the API lists them, oldest first, each once.

    Raises:
        ConfigError: the name is none of GitHub's, or nobody has it.
    """
    if not _OWNER.fullmatch(owner):
        raise ConfigError(f"expected an account on GitHub, found {owner!r}")
    order = {"type": "owner", "sort": "created", "direction": "asc", "per_page": PAGE}
    seen = set()
    for reply in client.pages(f"/users/{owner}/repos", order):
        if reply.status != 200:
            raise ConfigError(f"{owner}: GitHub answers {reply.status}; no such account?")
        for one in _items(reply.json()):
            if one["id"] not in seen:
                seen.add(one["id"])
                yield one


def everything(client: Client, since: int = 0) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield all public repositories in order of their numbers, a page at a time.

    Args:
        client: the client.
        since: the number after which the listing goes on.

    Yields:
        The number to go on from, and the repositories of the page, none of them seen before.
    """
    for reply in client.pages("/repositories", {"since": since}):
        if reply.status != 200:
            raise GaveUpError(f"/repositories: status {reply.status}")
        page = [one for one in _items(reply.json()) if one["id"] > since]
        since = max((one["id"] for one in page), default=since)
        yield since, page


def describe(client: Client, wanted: Iterable[Wanted], *, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """Describe repositories, `batch` in a request and as many requests at once as there are tokens.

    A batch that GitHub does not finish is cut in halves. What GraphQL does not know is asked for by itself, which tells
    deleted from blocked ones. Without a token each repository takes a request.

    Args:
        client: the client.
        wanted: the repositories.
        batch: repositories in one request.

    Returns:
        Rows of `schema.REPO_RECORDS`, each repository once, in the order in which they were wanted.
    """
    pending, seen = iter(wanted), set[str]()
    with ThreadPoolExecutor(client.at_once) as threads:
        while block := list(islice(pending, batch * client.at_once)):
            batches = [block[n : n + batch] for n in range(0, len(block), batch)]
            for rows in threads.map(lambda some: _described(client, some), batches):
                for row in rows:
                    if row["repo_id"] not in seen:
                        seen.add(row["repo_id"])
                        yield row


def listed_row(one: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return the row of a repository as the REST API gives it; a listing leaves some fields null."""
    owner, _, name = str(one["full_name"]).partition("/")
    parent = one.get("parent")
    found = record(one)
    return _row(
        one["id"], owner, name, now,
        **{**found, "fork_of": repo_id(parent["id"]) if isinstance(parent, dict) else None},
        error=BLOCKED if one.get("disabled") else PRIVATE if one.get("private") else None,
    )  # fmt: skip


def wanted_of(one: Mapping[str, Any]) -> Wanted:
    """Return what describes a listed repository further."""
    node = one.get("node_id")
    return Wanted(str(one["full_name"]), node if isinstance(node, str) and _NODE_ID.fullmatch(node) else None)


def _described(client: Client, wanted: list[Wanted]) -> list[dict[str, Any]]:
    if client.anonymous:
        return [_asked_alone(client, one) for one in wanted]
    try:
        nodes = _nodes(client.graphql(_query(wanted)), wanted)
    except GaveUpError:
        if len(wanted) == 1:
            return [_asked_alone(client, wanted[0])]
        half = len(wanted) // 2
        return [*_described(client, wanted[:half]), *_described(client, wanted[half:])]
    now = client.clock.now()
    return [
        _node_row(node, one, now) if node else _asked_alone(client, one)
        for one, node in zip(wanted, nodes, strict=True)
    ]


def _query(wanted: list[Wanted]) -> str:
    """Return a query for some repositories: `nodes` fields of 100 ids each, and a field for each name."""
    ids = [one.node_id for one in wanted if one.node_id]
    fields = [f"n{n}:nodes(ids:{json.dumps(ids[n : n + PAGE])}){{...F}}" for n in range(0, len(ids), PAGE)]
    for number, one in enumerate(wanted):
        if not one.node_id:
            owner, _, name = str(one.name).partition("/")
            fields.append(f"r{number}:repository(owner:{json.dumps(owner)},name:{json.dumps(name)}){{...F}}")
    return f"query{{{' '.join(fields)}}} {_FIELDS}"


def _nodes(answer: Mapping[str, Any], wanted: list[Wanted]) -> list[dict[str, Any] | None]:
    """Return the node of each repository in order; None where GraphQL knows none."""
    data, ids = answer["data"], [one.node_id for one in wanted if one.node_id]
    found: dict[str, Any] = {}
    for n in range(0, len(ids), PAGE):
        found |= zip(ids[n : n + PAGE], data.get(f"n{n}") or [None] * PAGE, strict=False)
    nodes = [found.get(one.node_id) if one.node_id else data.get(f"r{n}") for n, one in enumerate(wanted)]
    return [node if isinstance(node, dict) and isinstance(node.get("databaseId"), int) else None for node in nodes]


def _asked_alone(client: Client, wanted: Wanted) -> dict[str, Any]:
    """Return the row of one repository by REST; where there is none, one that says why."""
    owner, _, name = str(wanted.name).partition("/")
    reply = client.get(f"/repos/{owner}/{name}")
    now = client.clock.now()
    if reply.status == 200:
        return _renamed(listed_row(reply.json(), now), wanted)
    missing = {404: DELETED, 410: DELETED, 451: BLOCKED, 403: BLOCKED}.get(reply.status)
    if missing is None:
        raise GaveUpError(f"/repos/{owner}/{name}: status {reply.status}")
    row = _row(None, owner, name, now, error=missing)
    return {**row, "repo_id": f"github/{owner}/{name}".lower()}


def _node_row(node: Mapping[str, Any], wanted: Wanted, now: float) -> dict[str, Any]:
    owner, _, name = str(node["nameWithOwner"]).partition("/")
    who, branch = node.get("owner") or {}, node.get("defaultBranchRef") or {}
    parent, license_ = node.get("parent") or {}, node.get("licenseInfo") or {}
    size = node.get("diskUsage")
    row = _row(
        node["databaseId"], owner, name, now,
        owner_id=who.get("databaseId"),
        owner_type=str(who.get("__typename", "")).lower() or None,
        fork=node.get("isFork"),
        fork_of=repo_id(parent["databaseId"]) if parent.get("databaseId") else None,
        stars=node.get("stargazerCount"),
        forks=node.get("forkCount"),
        size=None if size is None else size * 1024,
        host_license=license_.get("spdxId"),
        default_branch=branch.get("name"),
        archived=node.get("isArchived"),
        created_at=utc(node.get("createdAt")),
        pushed_at=utc(node.get("pushedAt")),
        head=(branch.get("target") or {}).get("oid"),
        error=BLOCKED if node.get("isDisabled") else PRIVATE if node.get("isPrivate") else None,
    )  # fmt: skip
    return _renamed(row, wanted)


def _renamed(row: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Note the name that was asked for where the repository has another one now."""
    now = f"{row['owner']}/{row['name']}"
    return row if wanted.name is None or wanted.name.lower() == now.lower() else {**row, "former_names": [wanted.name]}


def _row(number: int | None, owner: str, name: str, now: float, **fields: Any) -> dict[str, Any]:
    times = {key: datetime.fromisoformat(fields[key]) for key in ("created_at", "pushed_at") if fields.get(key)}
    empty = dict.fromkeys(("former_names", "accounts", "head", "error", *RECORD))
    return {
        "repo_id": repo_id(number) if number is not None else None, "host": "github", "host_id": number,
        "owner": owner, "name": name, "source": "github",
        **empty, **fields, **times, "recorded_at": datetime.fromtimestamp(now, UTC),
    }  # fmt: skip


def _items(page: Any) -> list[dict[str, Any]]:
    """Return the repositories of a page; GitHub leaves gaps as nulls."""
    known = isinstance(page, list)
    return [one for one in page if isinstance(one, dict) and isinstance(one.get("id"), int)] if known else []
