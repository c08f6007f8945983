"""Buckets: rows that share a band key, and the pairs of them that are worth a look.

In each bucket the first `full` members are paired with each other and every later one with the first `anchors`
of them: linear in the size of a hot bucket. A bucket that was paired before, when it had other members, gives
only the pairs that it did not give then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Indices: TypeAlias = npt.NDArray[np.integer[Any]]

CHUNK_ROWS = 1 << 20
"""Rows that are paired at once: texts that are alike meet in every band, and their repeats should meet here."""


def pair_rows(keys: Indices, rows: Indices, full: int, anchors: int) -> tuple[Indices, Indices]:
    """Pair rows of equal keys.

    Args:
        keys: N keys in any order.
        rows: N rows, the earlier ones first in each bucket.
        full: members of a bucket that are all paired with each other.
        anchors: members of a larger bucket with which the others are paired.

    Returns:
        Distinct pairs of rows, left < right where `rows` ascend, in order.

    >>> pair_rows(np.array([7, 8, 7, 7]), np.arange(4), 1, 1)
    (array([0, 0]), array([2, 3]))
    """
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    cuts = np.unique(np.searchsorted(keys, keys[::CHUNK_ROWS]))
    pairs = np.empty(0, np.uint64)
    for begin, end in pairwise([*cuts.tolist(), len(keys)]):
        left, right, _ = _pairs(keys[begin:end], rows[begin:end], None, None, None, _Open.nothing(), full, anchors)
        pairs = np.unique(np.concatenate([pairs, _packed(rows[begin:end][left], rows[begin:end][right])]))
    return _unpacked(pairs)


def pair_stream(
    batches: Iterable[pa.RecordBatch], full: int, anchors: int, chunk_rows: int = CHUNK_ROWS
) -> Iterator[pa.RecordBatch]:
    """Pair the members of buckets that arrive in batches, holding the first members of one bucket at most.

    Args:
        batches: `key`, `id` (64 bits each), where some members also meet in a bucket of their own, their number
            `alike` (32 bits; 0: none), and, where buckets were paired before, the flags `known` (was a member then)
            and `present` (is one now); all rows of a key one after the other, those known first, in the same order
            in each bucket.
        full: members of a bucket that are all paired with each other.
        anchors: members of a larger bucket with which the others are paired.
        chunk_rows: rows that are paired at once.

    Yields:
        `left` and `right`, the ids of pairs, the member that comes first in a bucket on the left; distinct within
        a chunk of rows.
    """
    carried = _Open.nothing()
    for chunk in _chunks(batches, chunk_rows):
        ids = np.concatenate([carried.ids, chunk["id"].to_numpy()])
        keys = np.concatenate([carried.keys, chunk["key"].to_numpy()])
        alike, known, present = (
            chunk[name] if name in chunk.schema.names else None for name in ("alike", "known", "present")
        )
        left, right, carried = _pairs(keys, ids, alike, known, present, carried, full, anchors)
        distinct, numbers = np.unique(ids, return_inverse=True)
        left, right = _unpacked(np.unique(_packed(numbers[left], numbers[right])))
        yield pa.RecordBatch.from_pydict({"left": distinct[left], "right": distinct[right]})


class _Open(NamedTuple):
    """The bucket at the end of a chunk, which may go on in the next: its first members and how many it had."""

    ids: Indices
    keys: Indices
    alike: Indices
    ranks: Indices
    present: int
    known: int

    @classmethod
    def nothing(cls) -> _Open:
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing.astype(np.int32), nothing, 0, 0)


def _pairs(
    keys: Indices, ids: Indices, alike: Any, known: Any, present: Any, carried: _Open, full: int, anchors: int
) -> tuple[Indices, Indices, _Open]:
    """Pair the rows of sorted keys, the carried ones in front; return also what is to be carried on."""
    from stackcurate.kernels import minhash_numba as loops

    fresh = len(keys) - len(carried.ranks)
    own = np.concatenate([carried.alike, np.zeros(fresh, np.int32) if alike is None else alike.to_numpy()])
    was = np.concatenate([carried.ranks >= 0, _flags(known, fresh, default=False)])
    there = np.concatenate([np.ones(len(carried.ranks), np.bool_), _flags(present, fresh, default=True)])
    counts = carried.present, carried.known
    found = loops.bucket_pairs(keys, own, was, there, carried.ranks, counts, full, anchors)
    left, right, head, ranks, *counted = found
    return left, right, _Open(ids[head], keys[head], own[head], ranks, *counted)


def _flags(values: pa.Array | None, count: int, default: bool) -> npt.NDArray[np.bool_]:
    return np.full(count, default) if values is None else values.to_numpy(zero_copy_only=False)


def _chunks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= rows:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _packed(left: Indices, right: Indices) -> npt.NDArray[np.uint64]:
    return left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)


def _unpacked(pairs: npt.NDArray[np.uint64]) -> tuple[Indices, Indices]:
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
