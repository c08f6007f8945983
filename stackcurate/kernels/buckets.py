"""Buckets: rows that share a band key, and the pairs of them that are worth a look.

In each bucket the first `full` members are paired with each other and every later one with the first `anchors`
of them: linear in the size of a hot bucket. Rows that share all bands meet in one more bucket, and only the first
`full` of them meet others band by band: a million equal sketches are not a million rows in each band. A bucket that
was paired before, when it had other members, gives only the pairs that it did not give then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels import bloom
from stackcurate.kernels.blocks import Rows, pack, unpack

Indices: TypeAlias = npt.NDArray[np.integer[Any]]

MEMBER = np.dtype(
    [("key", "<i8"), ("id", "<i8"), ("alike", "<i4"), ("generation", "<i4"), ("known", "?"), ("present", "?")]
)
"""A member of a bucket. `alike` is one number for all that share all bands, and 0 in the bucket that stands for these;
`known` members took part in an earlier run, `present` ones take part now; earlier generations come first."""
PAIR = np.dtype([("left", "<i8"), ("right", "<i8")])
CHUNK_ROWS = 1 << 20
"""Members that are paired at once."""
_BITS_PER_KEY = 16
_ODD = np.int64(-0x61C8864680B583EB)
"""2^64 over the golden ratio: a key times this and `alike` are as good as the pair of both."""


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
    members = np.zeros(len(keys), MEMBER)
    members["key"], members["id"], members["present"] = keys[order], rows[order], True
    cuts = np.unique(np.searchsorted(members["key"], members["key"][::CHUNK_ROWS]))
    pairs = np.empty(0, PAIR)
    for begin, end in pairwise([*cuts.tolist(), len(keys)]):
        pairs = distinct(np.concatenate([pairs, *pair_stream([members[begin:end]], full, anchors)]))
    return pairs["left"].copy(), pairs["right"].copy()


def whole_keys(bands: pa.ListArray) -> npt.NDArray[np.int64]:
    """Hash the keys of all bands of each row to one: rows that share it share all bands.

    Args:
        bands: (N,) lists of keys without nulls.
    """
    from stackcurate.kernels import minhash_numba as loops

    keys: npt.NDArray[np.int64] = loops.whole_keys(bands.flatten().to_numpy(), _bounds(bands))
    return keys


def member_blocks(batches: Iterable[pa.RecordBatch], full: int) -> Iterator[pa.RecordBatch]:
    """Pack the members of all buckets.

    Args:
        batches: `id` (64 bits) and `bands`, the keys of its buckets; where there are any, `whole` (as `whole_keys`, if
            `bands` does not hold all), `language` (64 bits; others do not meet), `generation`, `known`, `present`.
        full: as `pair_rows`.

    Yields:
        Blocks of `MEMBER`.
    """
    for batch in batches:
        rows = bucket_rows(batch.filter(pc.is_valid(batch["bands"])), full)
        yield pack(rows, rows["key"])


def bucket_rows(batch: pa.RecordBatch, full: int) -> Rows:
    """Return the members of all buckets, as `member_blocks` packs them; `bands` has no nulls.

    >>> rows = bucket_rows(pa.record_batch({"id": [1, 2], "bands": [[5, 6], [5, 6]]}), 1)
    >>> rows[rows["alike"] > 0][["key", "id"]].tolist()
    [(5, 1), (6, 1)]
    """
    names, bands = batch.schema.names, batch["bands"]
    whole = np.zeros(batch.num_rows, MEMBER)
    whole["present"] = True
    for name in {"id", "generation", "known", "present"}.intersection(names):
        whole[name] = batch[name].to_numpy(zero_copy_only=False)
    each, counts = whole.copy(), np.diff(_bounds(bands))
    language = batch["language"].to_numpy() if "language" in names else np.zeros(batch.num_rows, np.int64)
    whole["key"] = language ^ (batch["whole"].to_numpy() if "whole" in names else whole_keys(bands))
    each["alike"] = whole["key"] & 0x7FFFFFFF
    _leave_first(each, np.lexsort((each["id"], each["generation"])), full)
    banded = np.repeat(each, counts)
    banded["key"] = np.repeat(language, counts) ^ bands.flatten().to_numpy()
    return np.concatenate([whole, _flagged(banded)])


def bands_of(batches: Iterable[pa.RecordBatch], ids: pa.Array) -> Iterator[pa.RecordBatch]:
    """Leave the bands of some blobs.

    Args:
        batches: `blob_id` and `bands`.
        ids: (N,) blob ids.

    Yields:
        `bands` without nulls.
    """
    for batch in batches:
        wanted = pc.and_(pc.is_valid(batch["bands"]), pc.is_in(batch["blob_id"], ids))
        yield batch.select(["bands"]).filter(wanted)


def filter_over(bands: pa.ListArray) -> bloom.Blocks:
    """Return a filter over all keys of some blobs, for `touching`.

    Args:
        bands: (N,) lists of keys without nulls.
    """
    keys = np.concatenate([bands.flatten().to_numpy(), whole_keys(bands)])
    return bloom.build(keys.view(np.uint64), _BITS_PER_KEY)


def touching(batches: Iterable[pa.RecordBatch], touched: bloom.Blocks | None) -> Iterator[pa.RecordBatch]:
    """Leave the keys that pass a filter, and the rows that have such a key.

    Args:
        batches: `blob_id` and `bands`.
        touched: a filter over keys of bands and of `whole_keys`; None lets all pass.

    Yields:
        `blob_id`, `bands`, and `whole` as `whole_keys` of all bands.
    """
    from stackcurate.kernels import minhash_numba as loops

    for batch in batches:
        rows = batch.filter(pc.is_valid(batch["bands"]))
        keys, whole = rows["bands"].flatten().to_numpy(), whole_keys(rows["bands"])
        hit, wholly = (
            np.ones(len(values), np.bool_)
            if touched is None
            else loops.in_filter(touched, values.view(np.uint64), bloom.SALTS)
            for values in (keys, whole)
        )
        ends = np.concatenate([[0], np.cumsum(hit)])[_bounds(rows["bands"])].astype(np.int32)
        left = pa.ListArray.from_arrays(pa.array(ends), pa.array(keys[hit]))
        near = (np.diff(ends) > 0) | wholly
        columns = {"blob_id": rows["blob_id"], "bands": left, "whole": pa.array(whole)}
        yield pa.RecordBatch.from_pydict(columns).filter(pa.array(near))


def pair_blocks(batches: Iterable[pa.RecordBatch], full: int, anchors: int) -> Iterator[pa.RecordBatch]:
    """Pair the members of buckets, packed by the right end: repeats of a pair meet there, and a hot bucket has many.

    Args:
        batches: blocks of `MEMBER`, those of a part one after the other.
        full: as `pair_rows`.
        anchors: as `pair_rows`.

    Yields:
        Blocks of `PAIR`: ids, the member that comes first in a bucket on the left.
    """
    buckets = (in_order(rows, full) for rows in unpack(batches, MEMBER))
    for pairs in pair_stream(buckets, full, anchors):
        yield pack(pairs, pairs["right"])


def in_order(rows: Rows, full: int) -> Rows:
    """Return the members of whole buckets without those that meet nobody, one bucket after the other.

    Args:
        rows: `MEMBER` in any order.
        full: as `pair_rows`.

    Returns:
        `MEMBER`, in each bucket in the order in which they are paired.
    """
    from stackcurate.kernels import minhash_numba as loops

    keys, ids, generations = (np.ascontiguousarray(rows[name]) for name in ("key", "id", "generation"))
    order = np.argsort(keys)
    sizes = _sizes(keys[order])
    few, many = order[(sizes > 1) & (sizes <= full)], order[sizes > full]
    loops.order_buckets(few, keys, generations, ids)
    many = many[np.lexsort((ids[many], generations[many], keys[many]))]
    rows = rows[np.concatenate([few, many])]
    _leave_first(rows[len(few) :], np.arange(len(many)), full)
    return _flagged(rows)


def pair_stream(stretches: Iterable[Rows], full: int, anchors: int, chunk_rows: int = CHUNK_ROWS) -> Iterator[Rows]:
    """Pair the members of buckets, holding the pairs of a chunk of them at most.

    Args:
        stretches: `MEMBER`, all rows of a key one after the other, in the same order in each bucket, those known first.
        full: as `pair_rows`.
        anchors: as `pair_rows`.
        chunk_rows: rows that are paired at once.

    Yields:
        `PAIR`, the member that comes first in a bucket on the left; distinct within a chunk of rows.
    """
    opened = _Open(0, np.empty(0, MEMBER), np.empty(0, np.int64), 0, 0)
    for stretch in stretches:
        for start in range(0, len(stretch), chunk_rows):
            rows = np.concatenate([opened.head, stretch[start : start + chunk_rows]])
            left, right, opened = _pairs(rows, opened, full, anchors)
            pairs = np.empty(len(left), PAIR)
            pairs["left"], pairs["right"] = rows["id"][left], rows["id"][right]
            yield distinct(pairs)


class _Open(NamedTuple):
    """The bucket at the end of a chunk, which may go on in the next: its first members and how many it had."""

    key: int
    head: Rows
    ranks: npt.NDArray[np.int64]
    present: int
    known: int


def _pairs(rows: Rows, opened: _Open, full: int, anchors: int) -> tuple[Indices, Indices, _Open]:
    """Pair rows, those of the open bucket in front; return also the bucket that is open then."""
    from stackcurate.kernels import minhash_numba as loops

    key, alike, known, present = (np.ascontiguousarray(rows[name]) for name in ("key", "alike", "known", "present"))
    counts = (opened.present, opened.known) if rows["key"][0] == opened.key else (0, 0)
    found = loops.bucket_pairs(key, alike, known, present, opened.ranks, counts, full, anchors)
    left, right, head, ranks, *counted = found
    return left, right, _Open(int(rows["key"][-1]), rows[head], ranks, *counted)


def _leave_first(rows: Rows, order: Indices, full: int) -> None:
    """Take the flags from all but the first `full` members of a bucket that are alike; `order` sorts each bucket."""
    alike = (rows["key"] * _ODD + rows["alike"])[order]
    order = order[grouped := np.argsort(alike, kind="stable")]
    first = _starts(alike[grouped])
    group = np.cumsum(first) - 1
    for flag in ("known", "present"):
        flags = rows[flag][order]
        before = np.cumsum(flags) - flags
        early = before - before[first][group] < full
        rows[flag][order] = flags & (early | (rows["alike"][order] == 0))


def _starts(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Say which of some sorted values are the first of their kind."""
    return np.concatenate([np.ones(min(1, len(values)), np.bool_), values[1:] != values[:-1]])


def _flagged(rows: Rows) -> Rows:
    flagged: Rows = rows[rows["known"] | rows["present"]]
    return flagged


def _sizes(keys: Indices) -> npt.NDArray[np.int64]:
    """Return for each of some sorted keys how often it is there."""
    counts = np.diff(np.append(np.flatnonzero(_starts(keys)), len(keys)))
    sizes: npt.NDArray[np.int64] = np.repeat(counts, counts)
    return sizes


def distinct(pairs: Rows) -> Rows:
    """Return the distinct pairs in order."""
    pairs = pairs[np.lexsort((pairs["right"], pairs["left"]))]
    distinct: Rows = pairs[_starts(pairs)]
    return distinct


def _bounds(bands: pa.ListArray) -> npt.NDArray[np.int64]:
    """Return where each list begins and the last one ends among all keys of the lists."""
    bounds: npt.NDArray[np.int64] = bands.offsets.to_numpy().astype(np.int64)
    bounds -= bounds[0]
    return bounds
