"""Facts: run a stage for the keys that lack them, and read them all back.

Facts of one digest (code, versions and config of the stage) add up over runs, so a later build looks only at
what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.config import Config
from stackcurate.session import spark_session, task_count
from stackcurate.stage import Stage
from stackcurate.stages import licenses, near_dup_bands, near_dups
from stackcurate.stages.near_dups import candidate_pairs, verify, with_clusters
from stackcurate.stages.tables import OnRows, blob_reader, by_blob, read, write
from stackcurate.workspace import Run, Workspace, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Progress = Callable[[str, int], AbstractContextManager[OnRows]]
"""Called with a stage's name and its number of rows; gives a function that takes the rows done so far."""


def silent(_name: str, _total: int) -> AbstractContextManager[OnRows]:
    """Show no progress."""
    return nullcontext(lambda _rows: None)


@dataclass(frozen=True)
class Build:
    """One build under way: config, workspace, progress, and a Spark session once something needs it."""

    config: Config
    workspace: Workspace
    progress: Progress = silent

    @cached_property
    def spark(self) -> SparkSession:
        """The session, started on first use."""
        return spark_session(self.config["spark"])

    @cached_property
    def tasks(self) -> int:
        """Number of tasks per stage."""
        return task_count(self.config["spark"], self.spark)

    @property
    def blobs(self) -> BlobReader:
        """A reader over all packs."""
        return blob_reader(self.workspace)

    def stored(self, stage: Stage) -> list[Run]:
        """Return the complete runs of a stage whose facts are of the present digest."""
        return runs(self.workspace, stage.table.name, digest=stage.digest(self.config.sections))

    def read(self, table: schema.Table, found: list[Run]) -> DataFrame:
        """Return the rows of some runs."""
        return read(self.spark, self.workspace, table, found)

    def next_run(self, table: schema.Table, digest: str, inputs: str | None = None) -> Run:
        """Return a fresh run; one that crashed is overwritten, one that is complete never."""
        numbers = [int(run.run_id.rpartition("-")[2]) for run in runs(self.workspace, table.name, digest=digest)]
        number = max(numbers, default=-1) + 1
        return Run(table=table.name, run_id=f"{digest[:16]}-{number:05d}", digest=digest, inputs=inputs)


def ensure(build: Build, stage: Stage, keys: DataFrame) -> DataFrame:
    """Return the facts of a stage, after computing those that `keys` lacks.

    Args:
        build: the build under way.
        stage: a stage with a kernel.
        keys: key and columns read; instead of `content`, `blob_id` and `size`.
    """
    digest = stage.digest(build.config.sections)
    config = build.config[stage.section]
    known = build.read(stage.table, build.stored(stage)).select(*stage.table.key)
    missing = keys.join(known, list(stage.table.key), "left_anti")
    total = missing.count()
    if total:
        run = build.next_run(stage.table, digest)
        needed = [*stage.table.key, *stage.reads, "blob_id", "size"]
        columns = [name for name in dict.fromkeys(needed) if name not in ("content", "blob_id")]
        spread = by_blob(missing.select("blob_id", *columns), build.tasks)
        with build.progress(stage.name, total) as on_rows:
            rows = stage.rows(config, build.blobs)
            write(spread, build.workspace, stage.table, run, rows=rows, on_rows=on_rows)
    return build.read(stage.table, build.stored(stage))


def ensure_licenses(build: Build, files: DataFrame, **tables: DataFrame) -> DataFrame:
    """Return the licence of each file; decided again where the files have changed, since neighbours decide too.

    Args:
        build: the build under way.
        files: all files, readable or not: a licence file that cannot be read bars what lies below it.
        tables: what the stage's transform takes.
    """
    digest = licenses.digest(build.config.sections)
    claims = tables["repos"].select("repo_id", "revision", "host_license")
    seen = files.join(claims, ["repo_id", "revision"], "left")
    inputs = _set_digest(seen, "file_id", "blob_id", "mode", "error", "host_license")
    if not runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs):
        run = build.next_run(licenses.table, digest, inputs)
        with build.progress(licenses.name, files.count()) as on_rows:
            facts = licenses(files, build.config[licenses.section], **tables)
            write(facts, build.workspace, licenses.table, run, on_rows=on_rows)
    return build.read(licenses.table, runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs))


def ensure_clusters(build: Build, blobs: DataFrame) -> tuple[DataFrame, pa.Table]:
    """Return clusters and verified edges of some blobs; computed again only where the blobs have changed.

    Args:
        build: the build under way.
        blobs: blob_id and size of the candidates.
    """
    bands = ensure(build, near_dup_bands, blobs).join(blobs.select("blob_id"), "blob_id", "left_semi")
    digest = near_dups.digest(build.config.sections)
    inputs = _set_digest(blobs, "blob_id")
    if not runs(build.workspace, schema.NEAR_DUPS.name, digest=digest, inputs=inputs):
        edges_run = build.next_run(schema.NEAR_DUP_EDGES, digest, inputs)
        config = build.config[near_dups.section]
        pairs = _with_sizes(candidate_pairs(bands, config), blobs)
        with build.progress(near_dups.name, blobs.count()) as on_rows:
            edges = verify(by_left(pairs, build.tasks), config, build.blobs)
            if not runs(build.workspace, schema.NEAR_DUP_EDGES.name, digest=digest, inputs=inputs):
                write(edges, build.workspace, schema.NEAR_DUP_EDGES, edges_run)
            clusters = with_clusters(blobs, _edges(build, digest, inputs))
            run = build.next_run(schema.NEAR_DUPS, digest, inputs)
            write(clusters, build.workspace, schema.NEAR_DUPS, run, on_rows=on_rows)
    found = runs(build.workspace, schema.NEAR_DUPS.name, digest=digest, inputs=inputs)
    return build.read(schema.NEAR_DUPS, found), _edges(build, digest, inputs)


def by_left(pairs: DataFrame, tasks: int) -> DataFrame:
    """Spread pairs over tasks by their left blob, sorted."""
    renamed = by_blob(pairs.withColumnRenamed("left_blob_id", "blob_id"), tasks)
    return renamed.withColumnRenamed("blob_id", "left_blob_id")


def _with_sizes(pairs: DataFrame, blobs: DataFrame) -> DataFrame:
    """Add to each pair the bytes of both contents."""
    left = blobs.selectExpr("blob_id as left_blob_id", "size as left_size")
    right = blobs.selectExpr("blob_id as right_blob_id", "size as right_size")
    return (
        pairs.join(left, "left_blob_id")
        .join(right, "right_blob_id")
        .selectExpr("left_blob_id", "right_blob_id", "left_size + right_size as size")
    )


def _edges(build: Build, digest: str, inputs: str) -> pa.Table:
    found = runs(build.workspace, schema.NEAR_DUP_EDGES.name, digest=digest, inputs=inputs)
    return read_table(build.workspace, schema.NEAR_DUP_EDGES, found).sort_by("left_blob_id")


def _set_digest(rows: DataFrame, *columns: str) -> str:
    """Return a digest of a set of rows, whatever their order; null differs from the empty string."""
    text = "concat_ws('\\u0001', " + ", ".join(f"coalesce(cast({name} as string), '\\u0002')" for name in columns) + ")"
    row: Any = rows.selectExpr(
        "count(*) as n", f"bit_xor(xxhash64({text})) as x", f"bit_xor(xxhash64(reverse({text}))) as y"
    ).first()
    return f"{row['n']}-{row['x'] or 0:x}-{row['y'] or 0:x}"
