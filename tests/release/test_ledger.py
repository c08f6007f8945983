"""The ledger: appended to, never changed, and published without names."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from stackcurate.errors import WorkspaceError
from stackcurate.kernels.opt_outs import parse
from stackcurate.release.ledger import (
    check_chain,
    ledger_requests,
    parse_ledger,
    publish_ledger,
    read_ledger,
    record_decisions,
    record_requests,
)
from stackcurate.workspace import Workspace, read_bytes

TEXT = "id,owner,state\n1,Octocat,\n2,hubot,withdrawn\n3,two words,\n"


def requests(text: str = TEXT) -> pa.Table:
    return pa.Table.from_batches([parse(text, "mail.csv")])


def test_request_is_recorded_once_and_read_back(workspace: Workspace) -> None:
    record_requests(workspace, requests())
    record_requests(workspace, requests())
    record_requests(workspace, requests(TEXT + "4,later,\n"))

    assert [entry["event"] for entry in read_ledger(workspace)] == ["requested", "withdrawn", "unreadable", "requested"]
    assert ledger_requests(workspace).to_pylist() == requests(TEXT + "4,later,\n").to_pylist()


def test_decision_is_recorded_once_per_release(workspace: Workspace) -> None:
    for version in ("v2", "v2", "v3"):
        record_decisions(workspace, version, [("1", {"files": 3})])

    assert [(entry["from"], entry["files"]) for entry in read_ledger(workspace)] == [("v2", 3), ("v3", 3)]
    assert ledger_requests(workspace).num_rows == 0


def test_what_is_published_keeps_the_chain_and_no_names(workspace: Workspace) -> None:
    record_requests(workspace, requests())

    publish_ledger(workspace, "v1")

    content = read_bytes(workspace, "releases", "v1", "ledger.jsonl") or b""
    check_chain(parse_ledger(content, "v1"), "v1")
    assert b"octocat" not in content.lower()
    assert b"mail.csv" not in content


@pytest.mark.parametrize("change", ["value", "kind", "drop", "swap", "torn"])
def test_change_is_found(workspace: Workspace, change: str) -> None:
    record_requests(workspace, requests())
    entries = read_ledger(workspace)
    if change == "value":
        entries[0]["private"]["value"] = "someone"
    elif change == "kind":
        entries[0]["kind"] = "repository"
    elif change == "drop":
        entries = entries[1:]
    else:
        entries[0], entries[1] = entries[1], entries[0]
    text = "\n".join(json.dumps(entry) for entry in entries)[: -5 if change == "torn" else None]

    with pytest.raises(WorkspaceError, match="ledger"):
        check_chain(parse_ledger(text.encode(), "here"), "here")


def test_empty_ledger_is_not_published(workspace: Workspace) -> None:
    publish_ledger(workspace, "v1")

    assert read_bytes(workspace, "releases", "v1", "ledger.jsonl") is None
