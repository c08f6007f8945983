"""The Stack as a source: Parquet files in the layout of version 1, 2 or 3 that somebody already holds.

Each row becomes what it would be if the repository had been read: a repository at a revision and its files, so
that licences, duplicates and opt-outs are decided anew. A row of version 1 knows up to three repositories of a blob,
and each of them is an occurrence of its own. Version 2 holds ids alone: contents come from `[sources] contents`.
The full corpus of version 3 keeps contents apart: `the_stack_full` joins them to rows of files first.

Source: the data set cards of bigcode/the-stack, bigcode/the-stack-v2 and HuggingFaceCode/stack-v3-train.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from stackcurate.sources.directories import REGULAR, Gate, SourcesConfig, Wanted, filled, refused
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Entry, Halt, Reason, Repository
from stackcurate.sources.object_stores import content, files_below
from stackcurate.workspace import locate

KIND = "the-stack"
_HOST = "github"
_BATCH = {"v1": 1000, "v2": 1000, "v2-grouped": 16, "v3": 16, "v3-files": 1000}
"""Rows that are held at once: a row is a file, or a repository where the layout groups them."""
_V1_KINDS = ("stars", "issues", "forks")
_V1 = tuple(f"max_{kind}_{name}" for kind in _V1_KINDS
            for name in ("repo_path", "repo_name", "repo_head_hexsha", "repo_licenses", "count"))  # fmt: skip
_NAMES = (("repo_name",), ("repo_path",), *((f"max_{kind}_repo_name", f"max_{kind}_repo_path") for kind in _V1_KINDS))
"""Columns without which a row is of no repository."""
_V2_REPO = ("origin", "repo_name", "github_id", "revision_id", "branch_name", "revision_date", "gha_created_at",
            "gha_license_id", "star_events_count", "fork_events_count")  # fmt: skip
_V2_FILE = ("blob_id", "path", "length_bytes", "content")
_V3_REPO = ("repo_path", "repo_id", "commit_id", "github_metadata")
_COLUMNS = {
    "v1": ("content", *_V1),
    "v2": (*_V2_REPO, *_V2_FILE),
    "v2-grouped": (*_V2_REPO, "files"),
    "v3": (*_V3_REPO, "files"),
    "v3-files": (*_V3_REPO, "content_id", "content", "size_bytes", "file_path"),
}

_OWNERS: dict[bool | None, str] = {True: "organization", False: "user"}


class _File(NamedTuple):
    """A file of a row: its content, or the id under which a store keeps it."""

    path: str | None
    content: Any
    sha1: str | None = None
    size: int | None = None


class _Layout(NamedTuple):
    """Names of columns, and what makes records of rows."""

    name: str
    revision: str
    path: str
    repository: Callable[[Mapping[str, Any], str], Repository]
    file: Callable[[Mapping[str, Any]], _File]


def listed(folder: str) -> list[Input]:
    """Return the Parquet files below a folder or URI as inputs.

    Raises:
        SourceError: there are none.
    """
    found = files_below(folder, (".parquet",))
    return [Input(path=path, name=name, kind=KIND, fingerprint=state) for path, name, state in found]


def read(
    one: Input, config: SourcesConfig, wanted: Wanted | None = None
) -> Iterator[tuple[Repository, Iterator[Entry]]]:
    """Yield the repositories of a Parquet file, each with the files of it that stand near each other.

    Args:
        one: as `listed` gives it.
        config: limits, and where contents are.
        wanted: tells of which entries the content is read; None means of all.

    Returns:
        Repositories, one possibly several times; a file that is no such Parquet is a repository with a reason code.
    """
    try:
        filesystem, path = locate(one.path)
        with pq.ParquetFile(path, filesystem=filesystem) as file:
            layout = _layout(set(file.schema_arrow.names))
            names, first = [name for name in _COLUMNS[layout] if name in file.schema_arrow.names], 0
            for batch in file.iter_batches(batch_size=_BATCH[layout], columns=names):
                rows = batch.to_pylist()
                for number in (number for number, row in enumerate(rows, first) if not _is_named(row)):
                    yield _lost(one, Reason.UNNAMED, f"/{number}"), iter(())
                for repository, files in _ROWS[layout]([row for row in rows if _is_named(row)], one.name):
                    yield repository, _entries(files, Gate(config, wanted=wanted), config)
                first += len(rows)
    except (OSError, pa.ArrowException, KeyError, TypeError, AttributeError) as error:
        yield _lost(one, Reason.UNREADABLE if isinstance(error, OSError) else Reason.CORRUPT_ARCHIVE), iter(())


def _is_named(row: Mapping[str, Any]) -> bool:
    """Tell whether a row says of which repository it is; in version 1 that takes the path there as well."""
    return any(all(row.get(name) for name in names) for names in _NAMES)


def _lost(one: Input, reason: Reason, row: str = "") -> Repository:
    """Return what stands for a file, or for a row of it, of which the repository is not known."""
    name = f"{one.name.lower()}{row}"
    return _repository(f"local/{name}", "local", None, name, source=one.name, error=reason.value)


def _layout(names: set[str]) -> str:
    """Tell the layout by the columns that it cannot do without; KeyError where it is none."""
    if {"content", "max_stars_repo_name"} <= names:
        return "v1"
    if {"repo_path", "commit_id"} <= names and names & {"files", "file_path"}:
        return "v3" if "files" in names else "v3-files"
    if {"repo_name", "revision_id"} <= names:
        return "v2-grouped" if "files" in names else "v2"
    raise KeyError("layout")


def _entries(files: Iterable[_File], gate: Gate, config: SourcesConfig) -> Iterator[Entry]:
    for file in files:
        with suppress(Halt):
            entry = gate.admit((file.path or "").lstrip("/").encode("utf-8", "surrogateescape"), REGULAR, _size(file))
            yield _filled(entry, file, config) if gate.wants(entry) else entry


def _filled(entry: Entry, file: _File, config: SourcesConfig) -> Entry:
    found: bytes | Reason = Reason.MISSING_OBJECT if config.contents else Reason.NOT_HELD
    if file.content is not None:
        found = file.content.encode("utf-8", "surrogatepass") if isinstance(file.content, str) else bytes(file.content)
    elif file.sha1 and config.contents:
        found = content(config.contents, file.sha1, config.max_file_bytes)
    if not isinstance(found, Reason) and len(found) > config.max_file_bytes:
        found = Reason.TOO_LARGE
    return refused(entry, found) if isinstance(found, Reason) else filled(entry, found)


def _size(file: _File) -> int | None:
    if file.content is None:
        return file.size
    plain = not isinstance(file.content, str) or file.content.isascii()
    return len(file.content if plain else file.content.encode("utf-8", "surrogatepass"))


def _v1(rows: list[dict[str, Any]], source: str) -> Iterator[tuple[Repository, list[_File]]]:
    found: dict[tuple[str, str], tuple[dict[str, Any], dict[str, _File]]] = {}
    for row in rows:
        for kind in _V1_KINDS:
            name, revision, path = (row.get(f"max_{kind}_repo_{part}") for part in ("name", "head_hexsha", "path"))
            if not name or not path:
                continue
            facts, files = found.setdefault((name, revision or ""), ({}, {}))
            facts[kind] = _count(row.get(f"max_{kind}_count")) or facts.get(kind)
            facts["licenses"] = row.get(f"max_{kind}_repo_licenses") or facts.get("licenses")
            files.setdefault(path, _File(path, row["content"]))
    for (name, revision), (facts, files) in found.items():
        # A repository was in only where all of its licences were permissive: they hold together.
        stated = " AND ".join(sorted(facts["licenses"] or ())) or None
        repository = _on_github(
            name, "v1", source=source, revision=revision or None, stars=facts.get("stars"), forks=facts.get("forks"),
            host_license=stated,
        )  # fmt: skip
        yield repository, list(files.values())


def _of_files(layout: _Layout, rows: list[dict[str, Any]], source: str) -> Iterator[tuple[Repository, list[_File]]]:
    """Yield the repositories of rows that are files each; a row without a path is a repository without files."""
    found: dict[tuple[str, str], tuple[dict[str, Any], list[_File]]] = {}
    for row in rows:
        _, files = found.setdefault((row[layout.name], row[layout.revision] or ""), (row, []))
        files += [layout.file(row)] if row.get(layout.path) else []
    for row, files in found.values():
        repository = layout.repository(row, source)
        whole = files or repository.revision
        yield (repository if whole else replace(repository, error=Reason.NO_HEAD.value)), files


def _of_repositories(
    layout: _Layout, rows: list[dict[str, Any]], source: str
) -> Iterator[tuple[Repository, list[_File]]]:
    """Yield the repositories of rows that hold all files of one."""
    for row in rows:
        yield layout.repository(row, source), [layout.file(file) for file in row["files"] or ()]


def _v2_file(row: Mapping[str, Any]) -> _File:
    return _File(row["path"], row.get("content"), row.get("blob_id"), _count(row.get("length_bytes")))


def _v2_repository(row: Mapping[str, Any], source: str) -> Repository:
    return _at(row.get("origin"))(
        row["repo_name"], "v2", _count(row.get("github_id")), source=source, revision=row["revision_id"],
        default_branch=(row.get("branch_name") or "").removeprefix("refs/heads/") or None,
        stars=_count(row.get("star_events_count")), forks=_count(row.get("fork_events_count")),
        host_license=row.get("gha_license_id"), created_at=_time(row.get("gha_created_at")),
        pushed_at=_time(row.get("revision_date")),
    )  # fmt: skip


def _v3_file(row: Mapping[str, Any]) -> _File:
    return _File(row["file_path"], row.get("content"), row.get("content_id"), _count(row.get("size_bytes")))


def _v3_repository(row: Mapping[str, Any], source: str) -> Repository:
    facts = row.get("github_metadata") or {}
    fork_of = facts.get("forked_from")
    return _on_github(
        row["repo_path"], "v3", _count(row.get("repo_id")), source=source, revision=row["commit_id"],
        default_branch=facts.get("branch"), stars=_count(facts.get("stars")), forks=_count(facts.get("forks")),
        owner_type=_OWNERS.get(facts.get("is_org_owned")), fork_of=f"{_HOST}/{fork_of}".lower() if fork_of else None,
        created_at=_time(facts.get("repo_created_at")),
    )  # fmt: skip


def _at(origin: str | None) -> Callable[..., Repository]:
    """Return what makes a repository of an origin; rows without one are of GitHub."""
    host = urlsplit(origin or "").netloc
    return _on_github if host in ("", "github.com") else partial(_on_host, host)


def _on_host(host: str, name: str, version: str, _number: int | None = None, **rest: Any) -> Repository:
    above, _, bare = name.rpartition("/")
    owner = above.partition("/")[0] or None
    return _repository(f"{host}/{name}".lower(), host, owner, bare, kind=f"{KIND}-{version}", **rest)


def _on_github(name: str, version: str, number: int | None = None, **rest: Any) -> Repository:
    """Return a repository under its number at GitHub, or under its name where that is not known."""
    owner, _, bare = name.partition("/")
    known = f"{_HOST}/{name if number is None else number}".lower()
    return _repository(known, _HOST, owner, bare or name, kind=f"{KIND}-{version}", **rest)


def _repository(repo_id: str, host: str, owner: str | None, name: str, kind: str = KIND, **rest: Any) -> Repository:
    return Repository(repo_id=repo_id, host=host, owner=owner, name=name, source_kind=kind, **rest)


def _count(value: Any) -> int | None:
    """Return a count, which readers of nullable columns may have made a float."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


_V2_LAYOUT = _Layout("repo_name", "revision_id", "path", _v2_repository, _v2_file)
_V3_LAYOUT = _Layout("repo_path", "commit_id", "file_path", _v3_repository, _v3_file)
_ROWS: dict[str, Callable[[list[dict[str, Any]], str], Iterator[tuple[Repository, list[_File]]]]] = {
    "v1": _v1,
    "v2": partial(_of_files, _V2_LAYOUT),
    "v2-grouped": partial(_of_repositories, _V2_LAYOUT),
    "v3": partial(_of_repositories, _V3_LAYOUT),
    "v3-files": partial(_of_files, _V3_LAYOUT),
}
