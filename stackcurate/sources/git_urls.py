"""Remote git repositories from a list of addresses: fetched into a mirror, then read like any other repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from stackcurate.errors import SourceError
from stackcurate.sources import local
from stackcurate.sources.directories import SourcesConfig, Wanted, refused
from stackcurate.sources.git_mirrors import address, mirrored
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Entry, Halt, Reason, Repository

KIND = "git-url"
_ANY = ("https", "http", "file")
_HOSTS = {"github.com": "github"}
"""Hosts that have a name of their own in the tables."""
_GIVEN = frozenset(f.name for f in fields(Repository)) - {"revision", "source_kind", "source", "error", "authors"}
"""What a list may say of a repository."""
_SEEN = ("revision", "version", "created_at", "pushed_at", "error", "authors")
"""What is known once it is fetched."""
_NUMBERS, _TIMES = ("stars", "forks", "owner_id"), ("created_at", "pushed_at")


def listed(path: str) -> list[Input]:
    """Return the repositories of a list.

    Args:
        path: a text file with an address a line, or Parquet or JSON lines with a column `url`, or `owner` and `name`
            of a repository of GitHub, and columns of the `repos` table where they are known: these go into its rows
            where the metadata of the workspace does not say otherwise.

    Raises:
        SourceError: the list cannot be read, or names nothing.
    """
    try:
        rows = _rows(Path(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"git:{path}: cannot be read as a list of addresses ({type(error).__name__})") from error
    found = [_input(row, number) for number, row in enumerate(rows, 1)]
    if not found:
        raise SourceError(f"git:{path}: no addresses; expected one a line, such as https://example.org/owner/name")
    return found


def read(
    one: Input, config: SourcesConfig, known: Set[str] = frozenset(), wanted: Wanted | None = None
) -> Iterator[tuple[Repository, Iterator[Entry]]]:
    """Fetch a repository and yield it with its files.

    Args:
        one: as `listed` gives it.
        config: limits.
        known: ids of blobs that are held already; their files are listed without content.
        wanted: tells of which entries the content is read; None means of all.
    """
    with ExitStack() as held:
        if address(one.path, config.git_protocols) is None:
            yield replace(described(one), error=Reason.REFUSED_ADDRESS.value), iter(())
            return
        try:
            mirror = held.enter_context(mirrored(one.path, config))
        except Halt as halt:
            yield replace(described(one), error=halt.reason.value), iter(())
            return
        here = Input(path=str(mirror.path), name=one.name, kind="git", fingerprint="")
        row, entries = local.read(here, config, known, wanted)
        given = described(one)
        seen = {name: getattr(row, name) for name in _SEEN} | {"default_branch": mirror.branch}
        seen["host_license"] = given.host_license or row.host_license  # the host's word comes before a manifest's
        if given.created_at and row.created_at:  # a mirror may hold the last commit alone
            seen["created_at"] = min(given.created_at, row.created_at)
        yield (
            replace(given, **{name: value for name, value in seen.items() if value is not None}),
            map(_left_out, entries) if mirror.partial else entries,
        )


def known_as(one: Input) -> tuple[str, ...]:
    """Return what metadata may know a listed repository by, in lower case: its id, its host with owner and name."""
    row = described(one)
    return row.repo_id.lower(), f"{row.host}/{row.owner}/{row.name}".lower()


def with_record(one: Input, record: Mapping[str, Any]) -> str:
    """Return the facts of a listed repository with what a host says of it, which comes before what the list says.

    Args:
        one: as `listed` gives it.
        record: a row of `repo_records`.
    """
    told = {name: value for name in sorted(_GIVEN & record.keys()) if (value := _plain(name, record[name])) is not None}
    return json.dumps(json.loads(one.facts or "{}") | told)


def _left_out(entry: Entry) -> Entry:
    """Name the reason for which the host sent no blob: we asked it to leave large ones out."""
    return refused(entry, Reason.TOO_LARGE) if entry.error == Reason.MISSING_OBJECT else entry


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        names = pq.read_schema(path).names
        wanted = [name for name in names if name in _GIVEN or name == "url"]
        rows: list[dict[str, Any]] = pq.read_table(path, columns=wanted).to_pylist()
        return [row for row in rows if _url(row)]
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.suffix in (".jsonl", ".ndjson"):
        return [row for row in map(json.loads, lines) if isinstance(row, dict) and _url(row)]
    return [{"url": line} for line in lines]


def _url(row: Mapping[str, Any]) -> str:
    if row.get("url") or row.get("host", "github") != "github" or not (row.get("owner") and row.get("name")):
        return str(row.get("url") or "")
    return f"https://github.com/{row['owner']}/{row['name']}"


def _input(row: Mapping[str, Any], number: int) -> Input:
    url = address(_url(row), _ANY)
    given = {name: value for name in sorted(_GIVEN & row.keys()) if (value := _plain(name, row[name])) is not None}
    # What is no address may hold anything, a password included: it is counted and named by its line alone.
    name = url or f"(refused) line {number}"
    return Input(path=name, name=name, kind=KIND, fingerprint="", facts=json.dumps(given) if given else "")


def _plain(name: str, value: Any) -> str | int | None:
    """Return a value that fits its column, as JSON holds it; None for any other."""
    if name in _NUMBERS:
        return value if type(value) is int and 0 <= value < 1 << 62 else None
    if name in _TIMES:
        with suppress(ValueError):
            time = value if isinstance(value, datetime) else datetime.fromisoformat(value) if value else None
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat() if time else None
        return None
    return value if isinstance(value, str) and value else None


def described(one: Input) -> Repository:
    """Return what is known of a repository of a list before it is fetched; its id stays."""
    parts = urlsplit(one.path)
    path = parts.path.strip("/").removesuffix(".git")
    owner, _, name = path.rpartition("/")
    host = _HOSTS.get(parts.netloc, parts.netloc or "git")
    given = json.loads(one.facts) if one.facts else {}
    times = {key: datetime.fromisoformat(given[key]) for key in _TIMES if key in given}
    known = {
        "repo_id": f"{host}/{path}".lower(),
        "host": host,
        "owner": owner.partition("/")[0] or None,
        "name": name or path,
        **given,
        **times,
    }
    return Repository(**known, source_kind="git", source=one.name)
