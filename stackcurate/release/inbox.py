"""The inbox: opt-out requests as they come in from outside, one file each, until a person runs `stackcurate opt-out`.

inbox/<day>-<receipt>.jsonl    a line per account or repository; `[opt_outs] requests` takes the folder
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow.fs as pafs

from stackcurate.errors import WorkspaceError
from stackcurate.kernels.opt_out_targets import target
from stackcurate.release.ledger import ASKED, read_ledger
from stackcurate.workspace import Workspace, write_bytes

INBOX = "inbox"
MOST_WAITING = 20_000
"""Files that may wait: 226 requests came on a busy day, so that is three months without anyone looking."""
Target = tuple[str, str]
_RECEIPT = re.compile(r"^[0-9a-f]{16}$")


def understood(accounts: Iterable[str], repositories: Iterable[str]) -> tuple[list[Target], list[str]]:
    """Return kind and normalised value of each name, once, and the names that are none.

    >>> understood(["@Octocat"], ["https://github.com/a/B", "no repository"])
    ([('owner', 'octocat'), ('repository', 'a/b')], ['no repository'])
    """
    given = [("owner", name) for name in accounts] + [("repository", name) for name in repositories]
    found: dict[Target, None] = {}
    refused = []
    for kind, name in given:
        meant, value = target({"kind": kind, "value": name})
        if meant == kind and value:
            found[meant, value] = None
        else:
            refused.append(name)
    return list(found), refused


def receive(workspace: Workspace, targets: Sequence[Target], scope: str, note: str = "") -> str:
    """Put a request into the inbox and return the number of its receipt, which is its request_id from then on.

    Args:
        workspace: holds the inbox.
        targets: kind and value of each account and repository.
        scope: `now` or `now_and_future`.
        note: what the person adds, for whoever reads the inbox; it goes no further.

    Raises:
        WorkspaceError: too many requests wait.
    """
    filesystem, folder = workspace.locate(INBOX)
    waiting = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    if len(waiting) >= MOST_WAITING:
        raise WorkspaceError(f"{folder}: {MOST_WAITING:,} requests wait; process them with `stackcurate opt-out`")
    now, receipt = datetime.now(UTC), secrets.token_hex(8)
    said = {"request_id": receipt, "requested_at": now.isoformat(timespec="seconds"), "scope": scope, "note": note}
    lines = [json.dumps({**said, "kind": kind, "value": value}) for kind, value in targets]
    write_bytes(workspace, ("\n".join(lines) + "\n").encode(), INBOX, f"{now:%Y-%m-%d}-{receipt}.jsonl")
    return receipt


def progress_of(workspace: Workspace, receipt: str) -> dict[str, Any] | None:
    """Return how far a request has come; None where no request bears the number.

    Only numbers that `receive` gave are answered: nobody can guess them, and those of issues anyone can.

    Args:
        workspace: holds the inbox and the ledger.
        receipt: the number that `receive` returned.

    Returns:
        `state`, which is `waiting`, `recorded` or `decided`, the time `at` which it came to be, and `decided`: for each
        release from which on the decision holds, its `outcome` and the number of `files` removed.

    Raises:
        WorkspaceError: the ledger was changed.
    """
    if not _RECEIPT.match(receipt):
        return None
    entries = [entry for entry in read_ledger(workspace) if entry["private"].get("request_id") == receipt]
    decided = [
        {name: entry[name] for name in ("from", "at", "outcome", "files")}
        for entry in entries if entry["event"] == "decided"
    ]  # fmt: skip
    if decided:
        return {"state": "decided", "at": decided[-1]["at"], "decided": decided}
    recorded = [entry["at"] for entry in entries if entry["event"] in ASKED]
    if recorded:
        return {"state": "recorded", "at": recorded[0], "decided": []}
    filesystem, folder = workspace.locate(INBOX)
    infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    days = [info.base_name[:10] for info in infos if info.base_name[10:] == f"-{receipt}.jsonl"]
    return {"state": "waiting", "at": days[0], "decided": []} if days else None
