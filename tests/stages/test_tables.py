"""Tables as DataFrames: what tasks write is read back, and only what was committed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stackcurate import schema
from stackcurate.blobs import PackWriter
from stackcurate.errors import WorkspaceError
from stackcurate.kernels.content import blob_id
from stackcurate.stages.tables import blob_reader, by_blob, in_batches, read, whole_parts, write, write_part
from stackcurate.workspace import Run, Workspace, commit, runs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLE = schema.NEAR_DUPS
RUN = Run(table=TABLE.name, run_id="r1", digest="d")


def rows(count: int) -> pa.Table:
    ids = [blob_id(b"%d" % number) for number in range(count)]
    columns = {"blob_id": ids, "cluster_id": ids, "generation": [0] * count, "error": pa.nulls(count, pa.string())}
    return pa.table(columns, schema=TABLE.columns)


def test_rows_come_back_as_they_were_written(spark: SparkSession, workspace: Workspace) -> None:
    given = rows(100)

    run = write(spark.createDataFrame(given).repartition(3), workspace, TABLE, RUN)

    found = read(spark, workspace, TABLE, runs(workspace, TABLE.name))
    assert run.rows == 100
    assert len(run.parts) == 3
    assert found.columns == TABLE.columns.names
    assert found.toArrow().sort_by("blob_id").to_pylist() == given.sort_by("blob_id").to_pylist()


def test_table_without_runs_is_empty(spark: SparkSession, workspace: Workspace) -> None:
    found = read(spark, workspace, TABLE, [])

    assert found.columns == TABLE.columns.names
    assert found.count() == 0


@pytest.mark.parametrize("table", [TABLE, schema.BLOBS])
def test_a_part_that_is_cut_is_named_before_spark_meets_it(workspace: Workspace, table: schema.Table) -> None:
    some = pa.Table.from_pylist([dict.fromkeys(table.columns.names)] * 3, schema=table.columns)
    part = write_part(iter(some.to_batches()), workspace, table, "r1")
    assert part is not None
    run = commit(workspace, Run(table=table.name, run_id="r1", digest="d", parts=(part,)))
    path = Path(workspace.path("tables", table.name, "r1", part.path))
    assert whole_parts(workspace, [run]) == [str(path)]
    lost = workspace.root if table is schema.BLOBS else str(path.parent)

    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WorkspaceError) as raised:
        whole_parts(workspace, [run])
    path.unlink()
    with pytest.raises(WorkspaceError, match="damaged or missing"):
        whole_parts(workspace, [run])

    assert str(raised.value).startswith(f"{path}: damaged or missing; delete {lost} and")


def test_a_batch_of_rows_ends_by_their_number_or_their_bytes() -> None:
    columns = pa.schema([("number", pa.int64()), ("content", pa.binary())])
    small = ({"number": number} for number in range(20_001))
    large = ({"number": number, "content": bytes(1 << 20)} for number in range(9))

    assert [batch.num_rows for batch in in_batches(small, columns)] == [10_000, 10_000, 1]
    assert [batch.num_rows for batch in in_batches(large, columns)] == [4, 4, 1]
    assert list(in_batches([], columns)) == []


def test_no_rows_make_a_run_without_parts(spark: SparkSession, workspace: Workspace) -> None:
    run = write(spark.createDataFrame(rows(3)).where("false"), workspace, TABLE, RUN)

    assert run.parts == ()
    assert runs(workspace, TABLE.name) == [run]


def test_tasks_do_row_local_work_on_the_way_and_report_their_rows(spark: SparkSession, workspace: Workspace) -> None:
    def first_half(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.filter(pc.less(batch["blob_id"], "8"))

    seen: list[int] = []
    given = rows(200)

    run = write(spark.createDataFrame(given), workspace, TABLE, RUN, rows=first_half, on_rows=seen.append)

    assert run.rows == sum(key < "8" for key in given["blob_id"].to_pylist())
    assert seen == sorted(seen)
    assert all(count <= run.rows for count in seen)


def test_part_of_a_task_that_fails_does_not_count(spark: SparkSession, workspace: Workspace) -> None:
    def fail(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches
        raise ValueError("this task fails each time")

    with pytest.raises(Exception, match="this task fails each time"):
        write(spark.createDataFrame(rows(10)), workspace, TABLE, RUN, rows=fail)

    assert runs(workspace, TABLE.name) == []
    again = write(spark.createDataFrame(rows(10)), workspace, TABLE, RUN)
    assert read(spark, workspace, TABLE, [again]).count() == 10
    folder = Path(workspace.path("tables", TABLE.name, "r1"))
    assert {path.name for path in folder.iterdir()} == {"run.json", *(part.path for part in again.parts)}


def test_attempts_write_parts_of_their_own(workspace: Workspace) -> None:
    batch = rows(2).to_batches()[0]

    parts = [write_part(iter([batch]), workspace, TABLE, "r1") for _ in range(2)]

    assert None not in parts
    assert len({part.path for part in parts if part}) == 2
    assert write_part(iter([batch.slice(0, 0)]), workspace, TABLE, "r1") is None


def test_blobs_are_spread_by_range_and_sorted(spark: SparkSession) -> None:
    given = rows(300).select(["blob_id"])

    def bounds(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ids = [key for batch in batches for key in batch["blob_id"].to_pylist()]
        assert ids == sorted(ids)
        yield pa.record_batch({"first": ids[:1], "last": ids[-1:], "n": [len(ids)] if ids else []})

    found = by_blob(spark.createDataFrame(given).repartition(5), 4).mapInArrow(
        bounds, "first string, last string, n long"
    )
    ranges = sorted((row.first, row.last) for row in found.collect())

    assert len(ranges) == 4
    assert all(last < first for (_, last), (first, _) in pairwise(ranges))


def test_reader_sees_committed_packs_only(workspace: Workspace) -> None:
    for run_id, content in (("r1", b"committed"), ("r2", b"not yet")):
        packs = PackWriter(workspace, run_id)
        packs.add(blob_id(content), content)
        packs.flush()
        if run_id == "r1":
            commit(workspace, Run(table="blobs", run_id=run_id, digest="d", parts=tuple(packs.parts)))

    found = blob_reader(workspace).read(pa.array([blob_id(b"committed"), blob_id(b"not yet")]))

    assert found.to_pylist() == [b"committed", None]
