"""Ingest: read inputs in tasks, write repositories, files and contents; only inputs that are new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import PackWriter
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import Input, read
from stackcurate.sources.metadata import file_id
from stackcurate.stage import Batches, spark_schema
from stackcurate.stages.tables import PART, OnRows, watch, write_part
from stackcurate.workspace import Part, Run, Workspace, commit, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INPUT = pa.schema([(name, pa.string()) for name in ("input_id", "path", "name", "kind", "fingerprint")])
_PARTS = PART.insert(0, pa.field("table", pa.string()))
_ROWS = 10_000
"""Rows of the files table that a task holds."""


def input_id(one: Input, config: SourcesConfig) -> str:
    """Return the digest of an input's name and state, and of the limits under which it is read."""
    limits = {name: value for name, value in asdict(config).items() if name != "inputs"}
    parts = [schema.VERSION, one.name, one.kind, one.fingerprint, limits]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def identify(inputs: list[Input], config: SourcesConfig) -> dict[str, Input]:
    """Return the inputs by id; where two look alike from outside, their paths tell them apart."""
    found: dict[str, Input] = {}
    for one in sorted(inputs, key=lambda one: one.path):
        key = input_id(one, config)
        if key in found:
            key = hashlib.sha256(f"{key}\0{one.path}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        found[key] = one
    return found


def ingest(
    spark: Callable[[], SparkSession],
    workspace: Workspace,
    inputs: list[Input],
    config: SourcesConfig,
    tasks: Callable[[], int],
    progress: Callable[[str, int], AbstractContextManager[OnRows]],
) -> None:
    """Read the inputs that no complete run holds yet.

    Args:
        spark: gives the session; called only where there is something to read.
        workspace: where the tables are.
        inputs: all inputs of the build.
        config: limits.
        tasks: gives the number of tasks.
        progress: shows inputs as they are read.
    """
    found = runs(workspace, schema.REPOS.name)
    known = set(pc.unique(read_table(workspace, schema.REPOS, found, ["input_id"])["input_id"]).to_pylist())
    rows = [{"input_id": key, **asdict(one)} for key, one in identify(inputs, config).items() if key not in known]
    if not rows:
        return
    digest = hashlib.sha256(json.dumps([row["input_id"] for row in rows]).encode()).hexdigest()
    run = Run(table="", run_id=digest[:16], digest=digest)
    session = spark()  # first: a JVM that starts writes across a progress bar
    with progress("sources", len(rows)) as on_rows:
        parts = _read_all(session, workspace, rows, config, run.run_id, tasks(), on_rows)
    for table in (schema.BLOBS, schema.FILES, schema.REPOS):  # repositories last: they say what is known
        mine = tuple(Part(**part) for name, part in parts if name == table.name)
        commit(workspace, replace(run, table=table.name, parts=mine))


def _read_all(
    spark: SparkSession, workspace: Workspace, rows: list[dict[str, Any]], config: SourcesConfig, run_id: str,
    tasks: int, on_rows: OnRows,
) -> list[tuple[str, dict[str, Any]]]:  # fmt: skip
    from pyspark.sql import functions as F

    listed = spark.createDataFrame(pa.Table.from_pylist(rows, schema=INPUT))
    spread = listed.repartitionById(
        min(tasks, len(rows)), F.pmod(F.xxhash64("input_id"), F.lit(min(tasks, len(rows)))).cast("int")
    )
    task = partial(_read_task, workspace=workspace, config=config, run_id=run_id)
    with watch(workspace, schema.REPOS, run_id, on_rows):
        done = spread.mapInArrow(task, spark_schema(_PARTS)).collect()
    parts = [row.asDict() for row in done]
    return [(part.pop("table"), part) for part in parts]


def _read_task(batches: Batches, *, workspace: Workspace, config: SourcesConfig, run_id: str) -> Batches:
    packs = PackWriter(workspace, run_id)
    repos: list[dict[str, Any]] = []
    inputs = (row for batch in batches for row in batch.to_pylist())
    files = _files(inputs, packs, repos, config)
    written = [(schema.FILES, write_part(_batches(files, schema.FILES), workspace, schema.FILES, run_id))]
    packs.flush()
    written += [(schema.BLOBS, part) for part in packs.parts]
    written += [(schema.REPOS, write_part(_batches(iter(repos), schema.REPOS), workspace, schema.REPOS, run_id))]
    rows = [{"table": table.name, **asdict(part)} for table, part in written if part is not None]
    yield pa.RecordBatch.from_pylist(rows, schema=_PARTS)


def _files(
    inputs: Iterator[dict[str, Any]], packs: PackWriter, repos: list[dict[str, Any]], config: SourcesConfig
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `files` of some inputs; contents go to the packs, repositories to a list."""
    for row in inputs:
        key = row.pop("input_id")
        repository, entries = read(Input(**row), config)
        repos.append({**asdict(repository), "input_id": key})
        for entry in entries:
            if entry.content is not None and entry.blob_id is not None:
                packs.add(entry.blob_id, entry.content)
            yield {
                "file_id": file_id(repository.repo_id, repository.revision or "", entry.path),
                "repo_id": repository.repo_id,
                "revision": repository.revision,
                "path": entry.path,
                "blob_id": entry.blob_id,
                "size": entry.size,
                "mode": entry.mode,
                "input_id": key,
                "error": entry.error,
            }


def _batches(rows: Iterator[dict[str, Any]], table: schema.Table) -> Batches:
    pending = []
    for row in rows:
        pending.append(row)
        if len(pending) == _ROWS:
            yield pa.RecordBatch.from_pylist(pending, schema=table.columns)
            pending = []
    if pending:
        yield pa.RecordBatch.from_pylist(pending, schema=table.columns)
