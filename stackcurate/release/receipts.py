"""Receipts of a correction: what was decided on each request goes into the ledger and into a file of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate.errors import ReleaseError
from stackcurate.kernels.opt_out_match import active
from stackcurate.release.ledger import record_decisions
from stackcurate.release.merkle import canonical
from stackcurate.release.past import Past
from stackcurate.release.proof import SEARCHED, make_receipts, matches
from stackcurate.release.reelection import Outcome, matched
from stackcurate.workspace import Run, write_bytes

FOLDER = "receipts"


def write_receipts(
    past: Past,
    decided: Run,
    manifest: Mapping[str, Any],
    requests: pa.Table,
    outcome: Outcome,
    touched: list[str],
    copies: str,
) -> None:
    """Search a correction for what was asked to go, and write ledger and receipts; the latter name who asked.

    Args:
        past: the release that was corrected.
        decided: decisions of the correction.
        manifest: of the correction.
        requests: as `opt_outs`.
        outcome: what was decided.
        touched: paths of the shards that were written or deleted.
        copies: how far a request goes.

    Raises:
        ReleaseError: the search found something; nothing is published.
    """
    asked = active(requests)
    search = _search(past, decided, manifest, asked, touched, copies)
    outcomes: dict[str, dict[str, Any]] = {
        request_id: {"removed": 0, "repositories": [], "shards": set(), "search": search}
        for request_id in asked["request_id"].unique().to_pylist()
    }
    for row in outcome.repositories.select(["repo_id", "request_id", "repo_min"]).to_pylist():
        outcomes[row["request_id"]]["repositories"].append({"repo_id": row["repo_id"], "repo": row["repo_min"] or ""})
    for row in outcome.found.to_pylist():
        before = outcome.before[row["file_id"]]
        if before["kept"]:
            outcomes[row["request_id"]]["removed"] += 1
            outcomes[row["request_id"]]["shards"].add(before["shard"])
    given = asked.filter(pc.is_valid(asked["source"]))  # what was added to them is no one's words
    receipts = list(make_receipts(given.to_pylist(), past.release.manifest, manifest, outcomes))
    counts = [
        (r["request"]["request_id"], {"outcome": r["outcome"], "files": r["removed"], "shards": len(r["shards"])})
        for r in receipts
    ]
    record_decisions(past.workspace, manifest["version"], counts)
    lines = b"".join(canonical(receipt) + b"\n" for receipt in receipts)
    write_bytes(past.workspace, lines, FOLDER, f"{manifest['version']}.jsonl")


def _search(
    past: Past, decided: Run, manifest: Mapping[str, Any], asked: pa.Table, touched: list[str], copies: str
) -> dict[str, int]:
    """Look for what was asked to go in the decisions of a correction and in the shards that were written."""
    again = matched(replace(past, decided=decided), asked, copies)
    kept = sum(again.before[file_id]["kept"] for file_id in again.found["file_id"].to_pylist())
    repositories = again.repositories["repo_id"].combine_chunks()
    wanted = {(kind, value) for kind, value in zip(asked["kind"].to_pylist(), asked["value"].to_pylist(), strict=True)
              if kind in ("file", "blob")}  # fmt: skip
    filesystem, folder = past.workspace.locate("releases", manifest["version"])
    rows = found = shards = 0
    for shard in manifest["shards"]:
        if shard["path"] in touched:
            path = f"{folder}/{shard['path']}"
            table = pq.read_table(path, filesystem=filesystem, columns=list(SEARCHED))
            found += pc.sum(pc.is_in(table["repo_id"], repositories)).as_py() or 0
            found += sum(1 for _ in matches(table, wanted)) if wanted else 0
            rows, shards = rows + table.num_rows, shards + 1
    if kept or found:
        raise ReleaseError(f"{kept + found} files that were asked to go are still there; nothing is published")
    return {"decisions": decided.rows, "kept": kept, "shards": shards, "rows": rows, "found": found}
