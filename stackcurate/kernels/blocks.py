"""Blocks: rows of a shuffle packed by the part that they go to, so that Spark moves bytes and not rows.

Moving a row through Spark costs more than pairing it does. A block of rows is one row to Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

Rows: TypeAlias = npt.NDArray[np.void]

BLOCKS = pa.schema([("part", pa.int32()), ("block", pa.binary())])
PART_BITS = 12
"""So that the keys of 10^9 files make parts of a few hundred megabytes: what a task holds at once."""
STRETCH_BYTES = 1 << 25
"""Bytes of blocks that are worked on at once: enough for numpy, few enough to hold."""

_SPARK_SEED = 42
"""Seed of Spark's xxhash64. Source: org.apache.spark.sql.catalyst.expressions.XxHash64."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def spark_hash(value: bytes) -> int:
    """Return what Spark's `xxhash64` gives for a string: a signed number.

    >>> spark_hash(b"Spark")
    -4294468057691064905
    """
    hashed = xxhash.xxh64_intdigest(value, seed=_SPARK_SEED)
    return hashed - (1 << 64) if hashed >> 63 else hashed


def pack(rows: Rows, keys: npt.NDArray[np.integer[Any]]) -> pa.RecordBatch:
    """Pack rows into one block per part.

    Args:
        rows: (N,) records of a fixed width.
        keys: (N,) 64-bit keys; rows of one key go to one part.

    Returns:
        `part` and `block`, as `BLOCKS`.
    """
    part = part_of(keys)
    order = np.argsort(part, kind="stable")  # by radix
    found, starts = np.unique(part[order], return_index=True)
    offsets = (np.append(starts, len(rows)) * rows.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows[order])]
    blocks = pa.BinaryArray.from_buffers(pa.binary(), len(found), buffers)
    return pa.RecordBatch.from_arrays([pa.array(found, pa.int32()), blocks], schema=BLOCKS)


def part_of(keys: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint16]:
    """Return the part of each of some 64-bit keys."""
    return (keys.astype(np.uint64) * _GOLDEN >> np.uint64(64 - PART_BITS)).astype(np.uint16)


def unpack(batches: Iterable[pa.RecordBatch], kind: np.dtype[np.void]) -> Iterator[Rows]:
    """Yield the rows of whole parts, of many at once.

    Args:
        batches: `part` and `block`; the blocks of a part one after the other.
        kind: type of the records.
    """
    for stretch in whole_parts(batches):
        yield rows_of(stretch["block"], kind)


def whole_parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of whole parts, of about `STRETCH_BYTES` at once.

    Args:
        batches: `part` and `block`; the blocks of a part one after the other.
    """
    held: list[pa.RecordBatch] = []
    last = -1
    for batch in batches:
        parts = batch["part"].to_numpy()
        if not len(parts):
            continue
        others = np.flatnonzero(parts != last)
        if len(others) and sum(one.nbytes for one in held) >= STRETCH_BYTES:
            yield pa.concat_batches([*held, batch.slice(0, others[0])])
            held, batch = [], batch.slice(others[0])  # noqa: PLW2901 - what is left of it
        held.append(batch)
        last = parts[-1]
    if held:
        yield pa.concat_batches(held)


def rows_of(blocks: pa.BinaryArray, kind: np.dtype[np.void]) -> Rows:
    """Return the rows of all blocks."""
    size = pc.sum(pc.binary_length(blocks)).as_py() or 0
    if not size:
        return np.empty(0, kind)
    _, offsets, data = blocks.buffers()
    start = int(np.frombuffer(offsets, np.int32)[blocks.offset])
    return np.frombuffer(data, kind, size // kind.itemsize, start)
