"""The ledger of opt-outs: who asked what, what was decided, from which release on; nothing in it is ever changed.

Entries form a chain: each holds the hash of the one before. What is hashed tells no one: who asked stands beside it in
`private`, salted, and the ledger that a release publishes lacks that part but keeps the chain.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from stackcurate import schema
from stackcurate.errors import WorkspaceError
from stackcurate.release.merkle import canonical, digest
from stackcurate.workspace import Workspace, read_bytes, write_bytes

LEDGER = "ledger.jsonl"
FOLDER = "ledger"
ASKED = ("requested", "withdrawn", "unreadable")
"""Events that are requests; the others are `decided` and `purged`."""
_IDENTITY = ("request_id", "kind", "value", "requested_at", "state")
"""Columns that make two requests one and the same."""


def read_ledger(workspace: Workspace) -> list[dict[str, Any]]:
    """Return all entries in order, after checking their chain.

    Raises:
        WorkspaceError: an entry was changed, taken out or put in.
    """
    filesystem, folder = workspace.locate(FOLDER)
    infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    entries: list[dict[str, Any]] = []
    for name in sorted(info.base_name for info in infos if info.base_name.endswith(".jsonl")):
        entries += parse_ledger(read_bytes(workspace, FOLDER, name) or b"", f"{folder}/{name}")
    check_chain(entries, folder)
    return entries


def parse_ledger(content: bytes, where: str) -> list[dict[str, Any]]:
    """Return the entries of a file of the ledger.

    Raises:
        WorkspaceError: a line is no entry.
    """
    try:
        entries = [json.loads(line) for line in content.splitlines()]
        if all(isinstance(entry, dict) for entry in entries):
            return entries
    except ValueError:
        pass
    raise WorkspaceError(f"{where}: damaged, a line is no entry of a ledger; restore it from a copy")


def check_chain(entries: Iterable[Mapping[str, Any]], where: str) -> None:
    """Prove that each entry follows the one before, and that names belong to their hashes.

    Args:
        entries: of the workspace, or of a release, where they lack `private`.
        where: named in errors.

    Raises:
        WorkspaceError: an entry does not.
    """
    last = ""
    for number, entry in enumerate(entries):
        public = {name: value for name, value in entry.items() if name not in ("private", "hash")}
        private = entry.get("private")
        true = entry.get("hash") == digest(public) and public.get("previous") == last and public.get("number") == number
        if not true or (private is not None and public.get("identity") != digest(private)):
            raise WorkspaceError(
                f"{where}: entry {number} of the opt-out ledger was changed, or one before it is missing; "
                "restore it from a copy"
            )
        last = entry["hash"]


def append(workspace: Workspace, events: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], now: str = "") -> None:
    """Append entries as one file, so that a crash leaves all of them or none; the workspace must be locked.

    Args:
        workspace: holds the ledger.
        events: what is published and what is not, the latter with a salt, of each entry.
        now: time of the entries; default: the clock's.
    """
    if not events:
        return
    entries = read_ledger(workspace)
    count, last = len(entries), entries[-1]["hash"] if entries else ""
    at = now or datetime.now(UTC).isoformat(timespec="seconds")
    lines = []
    for number, (public, private) in enumerate(events, count):
        entry = {**public, "identity": digest(private), "number": number, "at": at, "previous": last}
        last = digest(entry)
        lines.append(canonical({**entry, "hash": last, "private": private}))
    write_bytes(workspace, b"\n".join(lines) + b"\n", FOLDER, f"{count:09d}.jsonl")


def record_requests(workspace: Workspace, requests: pa.Table) -> None:
    """Append the requests that the ledger does not hold yet, those for a person to read among them.

    Args:
        workspace: holds the ledger.
        requests: as `opt_outs`.
    """
    known = {_identity(entry["private"]) for entry in read_ledger(workspace) if entry["event"] in ASKED}
    events = []
    for row in requests.to_pylist():
        if _identity(row) not in known:
            known.add(_identity(row))
            event = {"active": "requested", "withdrawn": "withdrawn"}.get(row["state"], "unreadable")
            public = {"event": event, "kind": row["kind"], "scope": row["scope"]}
            events.append((public, {**row, "salt": secrets.token_hex(16)}))
    append(workspace, events)


def record_decisions(workspace: Workspace, version: str, decided: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Append what was decided on requests from a release on; what is there already is not said twice.

    Args:
        workspace: holds the ledger.
        version: the release from which on it holds.
        decided: request_id and counts of each request.
    """
    known = {
        (entry["private"]["request_id"], entry["from"]) for entry in read_ledger(workspace)
        if entry["event"] == "decided"
    }  # fmt: skip
    append(workspace, [
        ({"event": "decided", "from": version, **counts}, {"request_id": request_id, "salt": secrets.token_hex(16)})
        for request_id, counts in decided if (request_id, version) not in known
    ])  # fmt: skip


def ledger_requests(workspace: Workspace) -> pa.Table:
    """Return the requests and withdrawals of the ledger in order, as `opt_outs`."""
    rows = [entry["private"] for entry in read_ledger(workspace) if entry["event"] in ASKED]
    names = schema.OPT_OUTS.columns.names
    return pa.Table.from_pylist([{n: row[n] for n in names} for row in rows], schema=schema.OPT_OUTS.columns)


def publish_ledger(workspace: Workspace, version: str) -> None:
    """Write the ledger without names into the folder of a release; nothing where it is empty."""
    entries = [{k: v for k, v in entry.items() if k != "private"} for entry in read_ledger(workspace)]
    if entries:
        write_bytes(workspace, b"".join(canonical(e) + b"\n" for e in entries), "releases", version, LEDGER)


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _IDENTITY)
