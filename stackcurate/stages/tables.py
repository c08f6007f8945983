"""Tables of the workspace as DataFrames: read complete runs, write new ones from the tasks themselves."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.errors import WorkspaceError
from stackcurate.stage import Batches, RowFunction, spark_schema
from stackcurate.workspace import Part, Run, Workspace, carry, commit, part_paths, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

PART = pa.schema([("path", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64()), ("cpu_seconds", pa.float64())])
"""What a task returns for each Parquet file that it wrote."""

ROW_GROUP = 16_384
"""Rows of a row group at most: what a lookup reads at least."""

_ROWS, _BYTES = 10_000, 4 << 20
"""A batch made of rows ends with whichever comes first."""

OnRows = Callable[[int], None]
"""Called now and then with the number of rows that finished tasks have written."""


def read(spark: SparkSession, workspace: Workspace, table: schema.Table, found: list[Run]) -> DataFrame:
    """Return the rows of some runs; an empty DataFrame of the table's schema where there are none.

    Raises:
        WorkspaceError: a part is not as long as it was written. Spark would say so in pages of traces.
    """
    paths = whole_parts(workspace, found)
    columns = spark_schema(table.columns)
    if not paths:
        return spark.createDataFrame([], columns)
    if isinstance(workspace.locate()[0], pafs.LocalFileSystem):
        return spark.read.schema(columns).parquet(*(f"file://{path}" for path in paths))
    # Spark has no client for object stores of its own: tasks read through pyarrow
    return _listed(spark, paths).mapInArrow(partial(_read_parts, workspace=workspace, columns=table.columns), columns)


def scan(
    spark: SparkSession,
    workspace: Workspace,
    table: schema.Table,
    found: list[Run],
    rows: RowFunction,
    result: str | StructType,
) -> DataFrame:
    """Return what a function leaves of the rows of some runs, in the tasks that read them: others never reach Spark.

    Args:
        spark: the session.
        workspace: where the runs are.
        table: what they are runs of.
        found: the runs.
        rows: gets all columns.
        result: columns that it returns, as Spark knows or spells them.
    """
    paths = whole_parts(workspace, found)
    task = partial(_read_parts, workspace=workspace, columns=table.columns, rows=rows)
    return _listed(spark, paths).mapInArrow(task, result) if paths else spark.createDataFrame([], result)


def _listed(spark: SparkSession, paths: list[str]) -> DataFrame:
    return spark.createDataFrame([(path,) for path in paths], "path string").repartition(len(paths))


def whole_parts(workspace: Workspace, found: list[Run]) -> list[str]:
    """Return the paths of all parts of some runs, after a look at their sizes.

    Raises:
        WorkspaceError: a part is missing, or not as long as it was written.
    """
    for run in found:
        filesystem, folder = workspace.locate("tables", run.table, run.run_id)
        infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        sizes = {info.base_name: info.size for info in infos}
        for part in run.parts:
            if sizes.get(part.path) != part.bytes:
                raise WorkspaceError.damaged(workspace.root, run.table, run.run_id, part.path)
    return part_paths(workspace, found)


def frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """Return a table as a DataFrame. Spark stops reading at an empty chunk, so the chunks are put together first."""
    return spark.createDataFrame(table.combine_chunks())


def read_batches(
    workspace: Workspace, table: schema.Table, columns: Sequence[str], found: list[Run] | None = None
) -> Iterator[pa.Table]:
    """Yield some columns of runs without Spark, a stretch of rows at a time: they may outgrow memory.

    Args:
        workspace: where the runs are.
        table: what they are runs of.
        columns: names of the columns that are read.
        found: the runs; None means all that are complete.
    """
    kept = pa.schema([table.columns.field(name) for name in columns])
    found = runs(workspace, table.name) if found is None else found
    for batch in _batches_of(workspace, whole_parts(workspace, found), kept):
        yield pa.Table.from_batches([batch])


def _read_parts(
    batches: Batches, *, workspace: Workspace, columns: pa.Schema, rows: RowFunction | None = None
) -> Batches:
    for batch in batches:
        found = _batches_of(workspace, batch["path"].to_pylist(), columns)
        yield from rows(found) if rows else found


def _batches_of(workspace: Workspace, paths: Iterable[str], columns: pa.Schema) -> Batches:
    filesystem, _ = workspace.locate()
    for path in paths:
        with pq.ParquetFile(path, filesystem=filesystem) as file:
            for rows in file.iter_batches(columns=columns.names):
                yield rows.select(columns.names).cast(columns)


def blob_reader(workspace: Workspace) -> BlobReader:
    """Return a reader over all complete packs."""
    return BlobReader(workspace, tuple(whole_parts(workspace, runs(workspace, schema.BLOBS.name))))


def by_blob(df: DataFrame, tasks: int) -> DataFrame:
    """Spread rows over tasks by the range of their blob_id, sorted: each task reads its own stretch of the packs."""
    from pyspark.sql import functions as F

    prefix = F.conv(F.substring("blob_id", 1, 4), 16, 10).cast("int")
    return df.repartitionById(tasks, (prefix * tasks / 65536).cast("int")).sortWithinPartitions(*df.columns)


PACKED = "part int, block binary"
"""Columns of packed rows, see `kernels.blocks`, as Spark spells them."""


def by_part(blocks: DataFrame, *then: str) -> DataFrame:
    """Put the blocks of each part into one task, one after the other, in the order of further columns."""
    return blocks.repartition("part").sortWithinPartitions("part", *then)


def write(
    df: DataFrame,
    workspace: Workspace,
    table: schema.Table,
    run: Run,
    *,
    rows: RowFunction | None = None,
    on_rows: OnRows | None = None,
) -> Run:
    """Write a run and commit it.

    Args:
        workspace: where the run is written.
        df: the rows, or what `rows` turns into them inside the writing tasks.
        table: columns of the parts.
        run: identity of the run; the new parts are added to those that it has.
        rows: row-local work to do on the way, so that data crosses to Python once.
        on_rows: progress.
    """
    task = partial(_write_parts, workspace=workspace, table=table, run_id=run.run_id, rows=rows)
    with watch(workspace, table, run.run_id, on_rows):
        done = df.mapInArrow(task, spark_schema(PART)).collect()
    parts = (*run.parts, *(Part(**row.asDict()) for row in done))
    return commit(workspace, replace(run, parts=parts))


def write_table(rows: pa.Table, workspace: Workspace, table: schema.Table, run: Run) -> Run:
    """Write rows that are at hand as a run, and commit it."""
    part = write_part(iter(rows.to_batches()), workspace, table, run.run_id)
    return commit(workspace, replace(run, parts=(part,) if part else ()))


def carry_parts(workspace: Workspace, found: list[Run], run: Run) -> Run:
    """Return a run that begins with the parts of other runs of its table, which get a second place there."""
    for other in found:
        for part in other.parts:
            source, target = (("tables", run.table, each.run_id, part.path) for each in (other, run))
            carry(workspace, source, target)
    return replace(run, parts=tuple(part for other in found for part in other.parts))


def _write_parts(
    batches: Batches, *, workspace: Workspace, table: schema.Table, run_id: str, rows: RowFunction | None
) -> Batches:
    start = time.process_time()
    part = write_part(rows(batches) if rows else batches, workspace, table, run_id)
    if part is not None:
        seconds = time.process_time() - start
        yield pa.RecordBatch.from_pylist([{**part.__dict__, "cpu_seconds": seconds}], schema=PART)


def in_batches(rows: Iterable[dict[str, Any]], columns: pa.Schema) -> Batches:
    """Yield rows as batches, of which each ends with so many rows, or so many bytes of their `content`.

    Args:
        rows: values by name; what is missing is null.
        columns: of the batches.
    """
    pending, size = list[dict[str, Any]](), 0
    for row in rows:
        pending.append(row)
        size += len(row.get("content") or b"")
        if len(pending) == _ROWS or size >= _BYTES:
            yield pa.RecordBatch.from_pylist(pending, schema=columns)
            pending, size = [], 0
    if pending:
        yield pa.RecordBatch.from_pylist(pending, schema=columns)


def write_part(batches: Batches, workspace: Workspace, table: schema.Table, run_id: str) -> Part | None:
    """Write batches as one Parquet file under a name of its own; None where there are no rows."""
    filesystem, folder = workspace.locate("tables", table.name, run_id)
    name = f"part-{uuid.uuid4().hex}.parquet"  # attempts of one task must not meet
    writer = None
    count = 0
    try:
        for batch in batches:
            if not batch.num_rows:
                continue
            if writer is None:
                filesystem.create_dir(folder, recursive=True)
                writer = pq.ParquetWriter(f"{folder}/{name}", table.columns, filesystem=filesystem, compression="zstd")
            rows = pa.Table.from_batches([batch]).select(table.columns.names).cast(table.columns)
            writer.write_table(rows, row_group_size=ROW_GROUP)
            count += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return Part(name, count, filesystem.get_file_info(f"{folder}/{name}").size) if writer else None


@contextmanager
def watch(workspace: Workspace, table: schema.Table, run_id: str, on_rows: OnRows | None) -> Iterator[None]:
    """Report the rows of finished parts twice a second while a run is written."""
    if on_rows is None:
        yield
        return
    stop = threading.Event()
    watcher = threading.Thread(target=_count, args=(workspace.locate("tables", table.name, run_id), on_rows, stop))
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _count(place: tuple[pafs.FileSystem, str], on_rows: OnRows, stop: threading.Event) -> None:
    filesystem, folder = place
    known: dict[str, int] = {}
    while not stop.wait(0.5):
        for info in filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True)):
            if info.path not in known and info.base_name.endswith(".parquet"):
                try:
                    known[info.path] = pq.read_metadata(info.path, filesystem=filesystem).num_rows
                except (pa.ArrowInvalid, OSError):
                    continue  # still being written
        on_rows(sum(known.values()))
