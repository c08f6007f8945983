"""Ends of pairs: from the numbers under which blobs met to their names and sizes, in blocks.

Blobs travel to the right ends of pairs first, where repeats of a pair meet, and to the left ones then: a hot bucket has
few left ends with many pairs each, and those are worked on as they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.blocks import Rows, pack, part_of, rows_of, whole_parts
from stackcurate.kernels.buckets import PAIR, distinct

BLOB = np.dtype([("id", "<i8"), ("size", "<i8"), ("name", "S40")])
"""A blob: its number, its bytes, and its blob_id."""
HALF = np.dtype([("family", "<i8"), ("left", "<i8"), ("right", BLOB)])
NAMED = np.dtype([("family", "<i8"), ("left", BLOB), ("right", BLOB)])
"""`family` is the first of the left ends that a right end meets: mostly one number for all pairs of similar blobs."""

_SENT = 1 << 19
"""Pairs that are packed at once: 34 MB."""


def blob_blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pack blobs by their number.

    Args:
        batches: `id` (64 bits), `blob_id` and `size`, null as good as 0.

    Yields:
        Blocks of `BLOB`.
    """
    for batch in batches:
        rows = blobs_of(batch["id"].to_numpy(), batch["blob_id"], batch["size"])
        yield pack(rows, rows["id"])


def blobs_of(numbers: npt.NDArray[np.int64], ids: pa.StringArray, sizes: pa.Int64Array) -> Rows:
    """Return blobs as `BLOB`; a size that is null is as good as 0."""
    rows = np.empty(len(ids), BLOB)
    rows["id"], rows["size"] = numbers, pc.fill_null(sizes, 0).to_numpy()
    rows["name"] = ids.to_numpy(zero_copy_only=False)
    return rows


def with_right(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Leave each pair once and add the blob of its right end.

    Args:
        batches: blocks of `BLOB`, and of `PAIR` (`is_pair`) packed by the right end; all of a part one after the other.

    Yields:
        Blocks of `HALF`, packed by the left end.
    """
    for stretch in whole_parts(batches):
        for rows in _halves(_of_kind(stretch, True, PAIR), _of_kind(stretch, False, BLOB)):
            yield pack(rows, rows["left"])


def with_left(batches: Iterable[pa.RecordBatch]) -> Iterator[Rows]:
    """Add the blob of the left end to each pair.

    Should two blobs share a number, both are ends of its pairs, and a pair with each other once.

    Args:
        batches: blocks of `BLOB`, and then of `HALF` (`is_pair`), all of a part one after the other.

    Yields:
        `NAMED`.
    """
    blobs = np.empty(0, BLOB)
    for batch in batches:
        if not batch.num_rows:
            continue
        blobs = np.concatenate([blobs, _of_kind(batch, False, BLOB)])
        yield _named(_of_kind(batch, True, HALF), blobs)
        blobs = blobs[part_of(blobs["id"]) == batch["part"][-1].as_py()]  # a part may go on in the next batch


def ended(pairs: Rows, blobs: Rows) -> Iterator[Rows]:
    """Leave each pair once and add the blobs of both ends, where they are all at hand.

    Args:
        pairs: `PAIR`.
        blobs: `BLOB`.

    Yields:
        `NAMED`.
    """
    for halves in _halves(pairs, blobs):
        yield _named(halves, blobs)


def by_family(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add the left ends as `with_left` does, and yield blocks of `NAMED`, packed by family."""
    for rows in with_left(batches):
        yield pack(rows, rows["family"])


def names(pairs: Rows) -> list[pa.StringArray]:
    """Return the names of pairs, the smaller ones and then the larger ones."""
    left, right = pairs["left"]["name"], pairs["right"]["name"]
    ends = (np.where(left < right, *sides) for sides in ((left, right), (right, left)))
    return [pa.table({"name": end})["name"].cast(pa.string()).combine_chunks() for end in ends]


def _halves(pairs: Rows, blobs: Rows) -> Iterator[Rows]:
    """Leave each pair once and add the blob of its right end; `pairs` are all that this end has."""
    pairs = distinct(pairs)
    _, first, place = np.unique(pairs["right"], return_index=True, return_inverse=True)
    family = pairs["left"][first][place]  # pairs are sorted by their left end
    matched, ends = _matches(pairs["right"], blobs)
    for start in range(0, len(matched), _SENT):
        at = matched[start : start + _SENT]
        rows = np.empty(len(at), HALF)
        rows["family"], rows["left"] = family[at], pairs["left"][at]
        rows["right"] = blobs[ends[start : start + _SENT]]
        yield rows


def _named(halves: Rows, blobs: Rows) -> Rows:
    """Add the blob of the left end."""
    at, ends = _matches(halves["left"], blobs)
    rows = np.empty(len(at), NAMED)
    rows["family"], rows["left"], rows["right"] = halves["family"][at], blobs[ends], halves["right"][at]
    left, right = rows["left"], rows["right"]
    named: Rows = rows[(left["id"] != right["id"]) | (left["name"] < right["name"])]
    return named


def _of_kind(batch: pa.RecordBatch, is_pair: bool, kind: np.dtype[np.void]) -> Rows:
    return rows_of(batch.filter(pc.equal(batch["is_pair"], is_pair))["block"], kind)


def _matches(ids: npt.NDArray[np.int64], blobs: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Join numbers to blobs: places in both, a number several times where blobs share it."""
    order = np.argsort(blobs["id"])
    known = blobs["id"][order]
    first = np.searchsorted(known, ids)
    counts = np.searchsorted(known, ids, "right") - first
    at = np.repeat(np.arange(len(ids)), counts)
    within = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    return at, order[first[at] + within]
