"""Verification: which candidates are near-duplicates, by the exact similarity of their blobs.

The sketch could decide most of them: that takes less CPU here, and more than it saves where a sketch of each blob is
kept and moved to the pairs. So no estimate removes a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import CHUNK_BYTES, BlobReader
from stackcurate.kernels.blocks import BLOCKS, Rows, pack, part_of, rows_of
from stackcurate.kernels.jaccard import Sets, joined, sets_of, similarities
from stackcurate.kernels.minhash import NearDupConfig
from stackcurate.kernels.pair_ends import NAMED, by_family, names, with_left
from stackcurate.stage import Batches, spark_schema
from stackcurate.stages.tables import PACKED, by_part, scan, write_part
from stackcurate.workspace import Run, Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def unverified(found: DataFrame) -> DataFrame:
    """Return candidates as `near_dup_edges` whose similarity nobody looked at."""
    return found.mapInArrow(_unverified, spark_schema(schema.NEAR_DUP_EDGES.columns))


def _unverified(batches: Batches) -> Batches:
    yield from map(without_similarity, with_left(batches))


def without_similarity(pairs: Rows) -> pa.RecordBatch:
    """Return pairs, `pair_ends.NAMED`, as `near_dup_edges` whose similarity nobody looked at."""
    columns = [*names(pairs), pa.nulls(len(pairs), pa.float32())]
    return pa.RecordBatch.from_arrays(columns, schema=schema.NEAR_DUP_EDGES.columns)


def verify(found: DataFrame, config: NearDupConfig, blobs: BlobReader) -> DataFrame:
    """Return the candidates whose exact similarity reaches the threshold, as `near_dup_edges`.

    Pairs of similar blobs go to one task, which reads each of these once.

    Args:
        found: as `candidates` returns them.
        config: tokeniser, shingles, threshold.
        blobs: where the contents are.
    """
    task = partial(_verify, config=config, blobs=blobs)
    families = by_part(found.mapInArrow(by_family, PACKED))
    return families.mapInArrow(task, spark_schema(schema.NEAR_DUP_EDGES.columns))


def verify_pairs(
    spark: SparkSession,
    workspace: Workspace,
    pairs: Rows,
    config: NearDupConfig,
    blobs: BlobReader,
    run: Run,
    tasks: int,
) -> DataFrame:
    """Return what `verify` does, of pairs on the driver.

    Args:
        spark: the session.
        workspace: where tasks find the pairs, since Spark would hold them in its heap.
        pairs: `pair_ends.NAMED`.
        config: tokeniser, shingles, threshold.
        blobs: where the contents are.
        run: the run that is about to be written; the pairs lie in its folder until it is committed.
        tasks: most tasks; fewer where a cut holds all, since each task reads much of the packs.
    """
    ids, sizes = (np.concatenate([pairs[side][name] for side in ("left", "right")]) for name in ("id", "size"))
    _, first = np.unique(ids, return_index=True)
    tasks = min(tasks, 1 + int(sizes[first].sum()) // _CUT_BYTES)
    packed = replace(schema.NEAR_DUP_EDGES, columns=BLOCKS)
    task_of = part_of(pairs["family"]) % tasks
    shares = (pairs[task_of == task] for task in range(tasks))
    parts = [write_part(iter([pack(rows, rows["family"])]), workspace, packed, run.run_id) for rows in shares]
    held = replace(run, parts=tuple(part for part in parts if part))
    verified = partial(_verify, config=config, blobs=blobs)
    return scan(spark, workspace, packed, [held], verified, spark_schema(schema.NEAR_DUP_EDGES.columns))


_CUT_BYTES = 24 * CHUNK_BYTES
"""Bytes of the blobs that are compared at once, for whose shingles a task has room: each cut reads much of the packs,
since ends are anywhere."""
_HELD_PAIRS = 1 << 20
"""Pairs among which cuts are made: 120 MB."""


def _verify(batches: Batches, *, config: NearDupConfig, blobs: BlobReader) -> Batches:
    for held in _gathered(rows_of(batch["block"], NAMED) for batch in batches):
        for rows in _bounded(held):
            left, right = names(rows)
            ends = pa.concat_arrays([left, right])
            ids = ends.unique().sort()
            sizes = pa.array(np.tile(_sizes(rows), 2)).take(pc.index_in(ids, ends))
            del ends
            contents = blobs.attach(pa.RecordBatch.from_arrays([ids, sizes], ["blob_id", "size"]))
            sets = joined(sets_of(some["content"], config.tokenizer, config.shingle_tokens) for some in contents)
            yield similar(left, right, ids, sets, config)


def _sizes(pairs: Rows) -> npt.NDArray[np.int64]:
    """Return about how large each end of a pair is: both are alike."""
    sizes: npt.NDArray[np.int64] = (pairs["left"]["size"] + pairs["right"]["size"]) // 2
    return sizes


def _gathered(batches: Iterable[Rows]) -> Iterator[Rows]:
    """Yield many pairs at once, those of a family together."""
    held: list[Rows] = []
    for rows in batches:
        held.append(rows)
        if sum(map(len, held)) >= _HELD_PAIRS:
            yield _in_families(held)
    if held:
        yield _in_families(held)


def _in_families(held: list[Rows]) -> Rows:
    """Return what was held in order, and hold it no more."""
    pairs = np.concatenate(held)
    held.clear()
    ordered: Rows = pairs[np.lexsort((pairs["left"]["id"], pairs["family"]))]
    return ordered


def _bounded(pairs: Rows) -> Iterator[Rows]:
    """Cut pairs so that the distinct blobs of one cut stay below some chunks."""
    while len(pairs):
        _, first = np.unique(np.stack([pairs["left"]["id"], pairs["right"]["id"]], axis=1), return_index=True)
        new = np.bincount(first // 2, minlength=len(pairs))
        rows = max(1, int(np.searchsorted(np.cumsum(new * _sizes(pairs)), _CUT_BYTES, "right")))
        yield pairs[:rows]
        pairs = pairs[rows:]


def similar(
    left: pa.StringArray, right: pa.StringArray, ids: pa.Array, sets: Sets, config: NearDupConfig
) -> pa.RecordBatch:
    """Return the pairs that are verified, as `near_dup_edges`.

    Args:
        left: (N,) blob ids of one end of each pair.
        right: (N,) those of the other.
        ids: (M,) ids of the blobs.
        sets: their M sets of shingles.
        config: threshold.
    """
    rows, others = (pc.index_in(side, ids).to_numpy() for side in (left, right))
    similarity = similarities(sets, rows, others, config.normalized)
    keep = pa.array(similarity >= np.float32(config.threshold))
    columns = [left, right, pa.array(similarity, pa.float32())]
    return pa.RecordBatch.from_arrays(columns, schema=schema.NEAR_DUP_EDGES.columns).filter(keep)
