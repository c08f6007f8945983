"""Corrections of a synthetic release: only what is touched is written, at any size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate import pipeline, schema
from stackcurate.errors import ReleaseError
from stackcurate.kernels.opt_outs import parse
from stackcurate.release import proof, receipts
from stackcurate.release.correction import correct
from stackcurate.release.ledger import read_ledger
from stackcurate.release.lookup import lookup
from stackcurate.release.past import load_past, whole_first
from stackcurate.release.purge import purge
from stackcurate.release.reelection import matched
from stackcurate.release.verify import verify
from stackcurate.workspace import Workspace, open_workspace, read_table, runs
from tests.bench import opt_out
from tests.synthetic_release import owner, settings, write_release

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_one_owner_of_many_touches_one_shard_per_language(tmp_path: Path, spark: SparkSession) -> None:
    place, requests = tmp_path / "workspace", tmp_path / "requests.csv"
    write_release(place, 4000, 100)
    requests.write_text(f"owner\n{owner(7)}\n{owner(60)}\n")
    config = pipeline.load_config(None, settings(place, requests))

    release = correct(config, "v1", "v2")

    removed = pq.read_table(place / "releases/v2/removed/rows.parquet")
    promoted = pq.read_table(place / "releases/v2/removed/promoted.parquet")
    assert removed.num_rows == 92  # owner 60, in the second half, lost five files to copies and three to similar ones
    assert promoted.num_rows == 7
    assert len(removed["shard"].unique()) <= 20
    folder = Workspace(release.path)
    assert verify(folder, opted_out=pipeline.active_requests(config), rescan=False).problems == []
    given = proof.read_receipts((place / receipts.FOLDER / "v2.jsonl").read_text(), "v2")
    assert proof.prove(given, folder) == []
    assert sum(receipt["removed"] for receipt in given) == removed.num_rows
    answer = lookup(open_workspace(place), "v2", owner(60))
    assert set(answer["reason"].to_pylist()) == {"opted_out"}
    assert sum(lookup(open_workspace(place), "v1", owner(60))["kept"].to_pylist()) > 0


def test_requests_are_matched_without_a_session(tmp_path: Path) -> None:
    place = tmp_path / "workspace"
    config = write_release(place, 4000, 100)
    asked = pa.Table.from_batches([parse(f"kind,value\nrepository,{owner(3)}/r6\nowner,{owner(70)}\n", "requests.csv")])

    outcome = matched(load_past(open_workspace(place), "v1", config), asked, "all-copies")

    vias = Counter(outcome.found["via"].to_pylist())
    assert vias["repository"] == 25
    assert vias["owner"] == 50
    assert vias["copy"] > 0
    assert all(row["reason"] == "opted_out" for row in outcome.after.values())


def test_whole_rows_come_first() -> None:
    empty = dict.fromkeys(schema.FILES.columns.names)
    rows = [
        {**empty, "file_id": "a", "error": "torn"},
        {**empty, "file_id": "a", "repo_id": "r"},
        {**empty, "file_id": "b"},
    ]

    best = whole_first(pa.Table.from_pylist(rows, schema=schema.FILES.columns), schema.FILES)

    assert {key: (row["repo_id"], row["error"]) for key, row in best.items()} == {
        ("a",): ("r", None),
        ("b",): (None, None),
    }


def test_purge_deletes_contents_and_facts_that_nobody_else_holds(tmp_path: Path) -> None:
    place, requests = tmp_path / "workspace", tmp_path / "requests.csv"
    write_release(place, 4000, 100)
    requests.write_text(f"owner\n{owner(60)}\n")  # nobody takes the places of its files: no session is started
    correct(pipeline.load_config(None, settings(place, requests)), "v1", "v2")
    workspace = open_workspace(place)

    counts = purge(workspace, "v2", ["v1"])

    assert counts["blobs"] == 45  # five of fifty are copies that another owner holds
    assert counts["licenses"] == counts["language"] == 50
    assert counts["pii"] == counts["contamination"] == 42
    assert counts["releases"] == 1
    facts = {table.name for table in schema.TABLES if table.key[0] in ("blob_id", "file_id")}
    assert facts - counts.keys() == {"files", "near_dups", "opt_out_matches", "decisions"}
    assert purge(workspace, "v2")["blobs"] == 0
    assert not (place / "releases/v1").exists()
    assert len(read_table(workspace, schema.BLOBS, runs(workspace, "blobs"), ["blob_id"])) == 4000 - 200 - 45
    assert verify(Workspace(str(place / "releases/v2")), rescan=False).problems == []
    assert [entry["event"] for entry in read_ledger(workspace)] == ["requested", "decided", "purged", "purged"]
    with pytest.raises(ReleaseError, match="cannot be purged"):
        purge(workspace, "v2", ["v2"])


@pytest.mark.slow
def test_benchmark_reaches_its_goals() -> None:
    missed = [line for line in opt_out.run() if line.goal is not None and line.value > line.goal]

    assert missed == []


@pytest.mark.slow
def test_correction_that_was_killed_leaves_the_old_release_whole_and_the_next_one_completes(tmp_path: Path) -> None:
    place, requests, result = tmp_path / "workspace", tmp_path / "requests.csv", tmp_path / "result.json"
    write_release(place, 4000, 100)
    requests.write_text(f"owner\n{owner(7)}\n")
    command = [sys.executable, "-m", "tests.bench.opt_out", str(place), str(requests), "v2", str(result)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (place / "releases/v2/data").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (place / "releases/v2/manifest.json").exists()
    assert verify(Workspace(str(place / "releases/v1")), rescan=False).problems == []

    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)

    config = pipeline.load_config(None, settings(place, requests))
    found = verify(Workspace(str(place / "releases/v2")), opted_out=pipeline.active_requests(config), rescan=False)
    assert found.problems == []
