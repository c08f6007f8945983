"""GH Archive into the workspace: one hour per task, only hours that no run holds whole, then one row per repository.

What an hour says is merged by operations that do not mind order or repetition, so that an hour may be read again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.sources.gharchive import HourFile, read_hour
from stackcurate.sources.repos_config import GHARCHIVE, ReposConfig
from stackcurate.stage import Batches, spark_schema
from stackcurate.stages.tables import PART, OnRows, read, write, write_part
from stackcurate.workspace import Part, Run, Workspace, commit, read_table, remove, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TASK = pa.schema(
    [*schema.ARCHIVE_HOURS.columns, *PART.remove(PART.get_field_index("bytes")), ("part_bytes", pa.int64())]
)
"""What a task returns of an hour: how well it was read, and the part that holds its rows."""
_FILE = pa.schema([("number", pa.int32()), ("hour", pa.timestamp("us", tz="UTC")), ("location", pa.string()),
                   ("input_id", pa.string())])  # fmt: skip

Progress = Callable[[str, int], AbstractContextManager[OnRows]]


def ingest_hours(
    spark: SparkSession, workspace: Workspace, files: Iterable[HourFile], config: ReposConfig, progress: Progress
) -> None:
    """Read the hours that no run holds whole, one per task, and commit every `hours_per_run` of them.

    Args:
        spark: the session.
        workspace: where `archive_hours` and `repo_hours` are.
        files: as `hour_files` gives them.
        config: how many hours a run holds.
        progress: shows hours as they are read.
    """
    done = read_table(
        workspace, schema.ARCHIVE_HOURS, runs(workspace, schema.ARCHIVE_HOURS.name), ["input_id", "error"]
    )
    whole = {key for key, error in zip(*done.to_pydict().values(), strict=True) if error is None}
    pending = [file for file in files if file.input_id not in whole]
    if not pending:
        return
    with progress("hours", len(pending)) as on_rows:
        for first in range(0, len(pending), config.hours_per_run):
            on_rows(first)
            _read_hours(spark, workspace, pending[first : first + config.hours_per_run])


def _read_hours(spark: SparkSession, workspace: Workspace, files: list[HourFile]) -> None:
    number = len(runs(workspace, schema.ARCHIVE_HOURS.name))  # an hour that was cut may be read again
    digest = hashlib.sha256(json.dumps([number, *(file.input_id for file in files)]).encode()).hexdigest()
    run = Run(table=schema.REPO_HOURS.name, run_id=digest[:16], digest=digest)
    listed = pa.Table.from_pylist([{"number": n, **asdict(file)} for n, file in enumerate(files)], schema=_FILE)
    spread = spark.createDataFrame(listed).repartitionById(len(files), "number")
    task = partial(_read_task, workspace=workspace, run_id=run.run_id)
    rows = [row.asDict() for row in spread.mapInArrow(task, spark_schema(_TASK)).collect()]
    parts = tuple(
        Part(row["path"], row["rows"], row["part_bytes"], row["cpu_seconds"]) for row in rows if row["path"] is not None
    )
    commit(workspace, replace(run, parts=parts))
    hours = pa.RecordBatch.from_pylist(rows, schema=schema.ARCHIVE_HOURS.columns)  # last: they say what is known
    summary = write_part(iter([hours]), workspace, schema.ARCHIVE_HOURS, run.run_id)
    commit(workspace, replace(run, table=schema.ARCHIVE_HOURS.name, parts=(summary,) if summary else ()))


def _read_task(batches: Batches, *, workspace: Workspace, run_id: str) -> Batches:
    for batch in batches:
        for row in batch.drop_columns(["number"]).to_pylist():
            start = time.process_time()
            summary, rows = read_hour(HourFile(**row))
            part = write_part(iter([rows]), workspace, schema.REPO_HOURS, run_id)
            if part is not None:
                summary |= {"path": part.path, "rows": part.rows, "part_bytes": part.bytes,
                            "cpu_seconds": time.process_time() - start}  # fmt: skip
            yield pa.RecordBatch.from_pylist([summary], schema=_TASK)


def merge_hours(rows: DataFrame) -> DataFrame:
    """Merge hours to one row per repository.

    Stars and forks are those of the last record and the events of later hours, or all events where there is no record.
    Events count once however often their hours were read.

    Args:
        rows: `repo_hours`.

    Returns:
        `repo_records`.
    """
    from pyspark.sql import functions as F

    record = F.struct("recorded_at", *(F.col(n) for n in schema.REPO_RECORD.names if n != "recorded_at"), "hour")
    alone = "size(names) = 1 and owner_id is not null"  # else the name may not be that of the record
    account = F.expr(f"case when {alone} then struct(split_part(names[0], '/', 1) as owner, owner_id) end")
    merged = rows.groupBy("repo_id").agg(
        F.max(F.when(F.col("recorded_at").isNotNull(), record)).alias("r"),
        F.max(F.when(F.size("names") > 0, F.struct("last_event_at", F.get("names", F.size("names") - 1).alias("name"))))
        .alias("n"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("names")))).alias("names"),
        F.array_sort(F.collect_set(account)).alias("accounts"),
        F.collect_list(F.struct("hour", F.col("star_events").alias("e"))).alias("s"),
        F.collect_list(F.struct("hour", F.col("fork_events").alias("e"))).alias("f"),
        F.max(F.when(F.col("default_branch").isNotNull(), F.struct("last_event_at", "default_branch"))).alias("d"),
        F.min("created_at").alias("created_at"), F.max("fork_of").alias("fork_of"), F.max("fork").alias("fork"),
    )  # fmt: skip

    def counted(events: str, base: str) -> str:
        later = f"filter({events}, x -> r is null or x.hour > r.hour)"
        distinct = f"array_distinct(flatten(transform({later}, x -> coalesce(x.e, array()))))"
        return f"coalesce(r.{base}, 0L) + size({distinct})"

    named = {
        "host": "'github'", "host_id": "cast(substring(repo_id, 8) as bigint)",
        "owner": "split_part(n.name, '/', 1)", "name": "split_part(n.name, '/', 2)",
        "former_names": "nullif(array_remove(names, n.name), array())", "head": "cast(null as string)",
        "accounts": "nullif(accounts, array())",
        "owner_id": "case when exists(accounts, x -> x.owner = split_part(n.name, '/', 1) and x.owner_id = r.owner_id) "
                    "then r.owner_id end",
        "source": f"'{GHARCHIVE}'", "error": "cast(null as string)",
        "stars": counted("s", "stars"), "forks": counted("f", "forks"),
        "default_branch": "coalesce(r.default_branch, d.default_branch)",
        **{name: f"coalesce(r.{name}, {name})" for name in ("created_at", "fork_of", "fork")},
    }  # fmt: skip
    columns = {name: named.get(name, f"r.{name}") for name in schema.REPO_RECORDS.columns.names if name != "repo_id"}
    return merged.selectExpr("repo_id", *(f"{value} as {name}" for name, value in columns.items()))


def record_hours(spark: SparkSession, workspace: Workspace) -> Run:
    """Merge all hours that were read, unless that is done, and return the run of `repo_records`, the only one of them.

    Merges before it are removed: the hours hold all that they say.
    """
    hours = runs(workspace, schema.REPO_HOURS.name)
    inputs = hashlib.sha256(json.dumps([run.digest for run in hours]).encode()).hexdigest()
    run = Run(table=schema.REPO_RECORDS.name, run_id=f"gharchive-{inputs[:16]}", digest=GHARCHIVE, inputs=inputs,
              metrics={"runs": len(hours)})  # fmt: skip
    merged = next(iter(runs(workspace, run.table, inputs=inputs)), None)
    if merged is None:
        rows = read(spark, workspace, schema.REPO_HOURS, hours)
        merged = write(merge_hours(rows), workspace, schema.REPO_RECORDS, run)
    for other in runs(workspace, run.table, digest=GHARCHIVE):
        if other.run_id != merged.run_id:
            remove(workspace, other)
    return merged
