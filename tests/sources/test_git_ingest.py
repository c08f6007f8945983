"""Lists of addresses into the workspace: once per snapshot, failures again, only new blobs written."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import blobs, schema
from stackcurate.facts import Build
from stackcurate.pipeline import load_config, take_in
from stackcurate.sources import ingest as ingesting
from stackcurate.sources.ingest import ingest
from stackcurate.sources.inputs import discover
from stackcurate.stages.tables import blob_reader
from stackcurate.workspace import Workspace, read_table, runs

from .git_server import serving
from .hostile_git import GOOD, blob, commit, repository
from .test_git_urls import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def take(spark: SparkSession, workspace: Workspace, listed: Path, folder: Path, snapshot: str) -> int:
    """Ingest a list and return how many inputs were announced as new."""
    announced = [0]

    def progress(_name: str, total: int) -> nullcontext[object]:
        announced.append(total)
        return nullcontext(lambda _rows: None)

    config = settings(folder, snapshot=snapshot, git_attempts=1)
    ingest(lambda: spark, workspace, discover([f"git:{listed}"]), config, lambda: 2, progress)  # type: ignore[arg-type]
    return announced[-1]


def rows(workspace: Workspace, table: schema.Table) -> pa.Table:
    return read_table(workspace, table, runs(workspace, table.name))


def test_snapshots_of_remote_repositories(spark: SparkSession, workspace: Workspace, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        folder = repository(server.folder / "o" / "a.git", "--bare")
        commit(folder)
        listed = tmp_path / "urls.txt"
        listed.write_text(f"{server.url}/o/a.git\n{server.url}/o/late.git\n{server.url}/o/gone.git\n")
        server.always = lambda h: "late" in h.path and h.answer(503)
        assert take(spark, workspace, listed, tmp_path, "one") == 3
        assert sorted(map(str, rows(workspace, schema.REPOS)["error"].to_pylist())) == ["None", "gone", "unreachable"]

        server.always = None
        commit(repository(server.folder / "o" / "late.git", "--bare"))
        assert take(spark, workspace, listed, tmp_path, "one") == 1
        assert take(spark, workspace, listed, tmp_path, "one") == 0
        values = {"inputs": f'["git:{listed}"]', "snapshot": "one", "git_protocols": '["http"]'}
        limits = {"git_mirror_bytes": 8 << 20, "git_timeout_s": 5.0}
        config = load_config(None, [f"sources.{key}={value}" for key, value in (values | limits).items()])
        under_way = Build(config, workspace)
        under_way.__dict__["spark"] = spark
        _, repos = take_in(under_way, discover(config["sources"].inputs))
        assert sorted(str(row["error"]) for row in repos.collect()) == ["None", "None", "gone"]

        commit(folder, ("100644", "blob", blob(folder, b"new = 1\n"), "new.py"))
        server.requests.clear()
        assert take(spark, workspace, listed, tmp_path, "two") == 3

    packed = [part.rows for run in runs(workspace, schema.BLOBS.name) for part in run.parts]
    files = rows(workspace, schema.FILES).to_pylist()
    ids = {row["blob_id"] for row in files}
    assert sum(packed) == len(ids) + 1  # two repositories of one run hold GOOD, each in a task of its own
    assert sorted(row["path"] for row in files) == ["good.py"] * 4 + ["new.py"]
    assert {bytes(c) for c in blob_reader(workspace).read(pa.array(sorted(ids))).to_pylist()} == {GOOD, b"new = 1\n"}


def test_many_packs_are_put_in_order(spark: SparkSession, workspace: Workspace, tmp_path: Path) -> None:
    for number in range(3):
        made = repository(tmp_path / "inputs" / f"r{number}")
        commit(made, *(("100644", "blob", blob(made, b"%d %d\n" % (number, i)), f"f{i:02}") for i in range(20)))
    inputs = discover([tmp_path / "inputs"])
    most, ingesting.OPEN_PACKS = ingesting.OPEN_PACKS, 1
    try:
        ingest(lambda: spark, workspace, inputs, settings(tmp_path), lambda: 3, lambda *_: nullcontext(lambda _: None))
    finally:
        ingesting.OPEN_PACKS = most

    (run,) = runs(workspace, schema.BLOBS.name)
    ranges = sorted(blobs.id_range(part.path) for part in run.parts)
    assert all(left[1] <= right[0] for left, right in pairwise(ranges))
    ids = set(rows(workspace, schema.FILES)["blob_id"].to_pylist())
    assert run.rows == len(ids) == 61
    blob_reader(workspace).read_many(pa.array(sorted(ids)))
