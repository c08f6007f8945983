"""The inbox: a file per request, read by the parser of requests as it stands."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from stackcurate.errors import WorkspaceError
from stackcurate.kernels.opt_outs import parse
from stackcurate.release import inbox
from stackcurate.release.inbox import progress_of, receive, understood
from stackcurate.release.ledger import record_decisions, record_requests
from stackcurate.workspace import Workspace


def test_names_are_normalised_once_and_what_is_none_is_told() -> None:
    targets, refused = understood(
        ["@A", "a", "a b", "a/b"], ["A/B", "https://github.com/a/b.git", "b", "a/b/blob/x\ny"]
    )

    assert targets == [("owner", "a"), ("repository", "a/b")]
    assert refused == ["a b", "a/b", "b", "a/b/blob/x\ny"]


def test_a_link_to_a_file_is_no_repository() -> None:
    assert understood([], ["https://github.com/a/b/blob/main/c.py"]) == ([], ["https://github.com/a/b/blob/main/c.py"])


def test_a_request_is_read_as_it_was_made(workspace: Workspace) -> None:
    note = 'mine "quoted"\n{"kind": "owner", "value": "victim"}'
    receipt = receive(workspace, [("owner", "a"), ("repository", "b/c")], "now_and_future", note)
    path, = Path(workspace.path(inbox.INBOX)).iterdir()  # fmt: skip
    rows = parse(path.read_text(), path.name).to_pylist()

    assert [(row["kind"], row["value"], row["state"]) for row in rows] == [
        ("owner", "a", "active"), ("repository", "b/c", "active"),
    ]  # fmt: skip
    assert {row["request_id"] for row in rows} == {receipt}
    assert all(row["requested_at"][:10] == path.name[:10] for row in rows)


def test_two_requests_never_share_a_file_or_a_number(workspace: Workspace) -> None:
    receipts = {receive(workspace, [("owner", "a")], "now") for _ in range(50)}

    assert len(receipts) == len(list(Path(workspace.path(inbox.INBOX)).iterdir())) == 50


def test_an_inbox_that_no_one_reads_takes_no_more(workspace: Workspace) -> None:
    folder = Path(workspace.path(inbox.INBOX))
    folder.mkdir()
    for number in range(inbox.MOST_WAITING):
        (folder / str(number)).touch()

    with pytest.raises(WorkspaceError, match="opt-out"):
        receive(workspace, [("owner", "a")], "now")


def test_a_receipt_tells_how_far_its_request_is_and_no_other_number_does(workspace: Workspace) -> None:
    receipt = receive(workspace, [("owner", "a")], "now")
    assert progress_of(workspace, receipt)["state"] == "waiting"  # type: ignore[index]

    path, = Path(workspace.path(inbox.INBOX)).iterdir()  # fmt: skip
    issue = parse('{"request_id": "issue-7", "owner": "b"}\n', "b.jsonl")
    asked = [parse(path.read_text(), path.name), issue]
    record_requests(workspace, pa.Table.from_batches(asked))
    path.unlink()
    assert progress_of(workspace, receipt)["state"] == "recorded"  # type: ignore[index]

    record_decisions(workspace, "v2", [(receipt, {"outcome": "removed", "files": 3, "shards": 1})])
    found = progress_of(workspace, receipt)
    assert found is not None
    assert [(one["from"], one["outcome"], one["files"]) for one in found["decided"]] == [("v2", "removed", 3)]
    for other in ("issue-7", "0" * 16, "../ledger", "", "*"):
        assert progress_of(workspace, other) is None
