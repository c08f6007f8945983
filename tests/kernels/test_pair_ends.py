"""Ends of pairs: names and sizes reach them, whatever the batches, and a pair is there once."""

import random

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.blocks import pack
from stackcurate.kernels.buckets import PAIR
from stackcurate.kernels.pair_ends import blob_blocks, names, with_left, with_right


def beside(blobs, pairs, chunk):
    """Return blocks as Spark hands them out: by part, blobs before pairs, in small batches."""
    tables = []
    for is_pair, blocks in ((False, blobs), (True, pairs)):
        table = pa.Table.from_batches(blocks)
        tables.append(table.append_column("is_pair", pa.array([is_pair] * len(table))))
    order = [("part", "ascending"), ("is_pair", "ascending")]
    return pa.concat_tables(tables).sort_by(order).to_batches(max_chunksize=chunk)


def ended(blobs, pairs, chunk=5):
    """Return names of ends and sum of sizes of pairs of numbers; blobs are (number, name, size)."""
    columns = dict(zip(("id", "blob_id", "size"), zip(*blobs, strict=True), strict=True))
    packed = list(blob_blocks(pa.table(columns).to_batches(max_chunksize=7)))
    rows = np.array(pairs, PAIR)
    met = [pack(some, some["right"]) for some in np.array_split(rows, 3) if len(some)]
    found = with_left(beside(packed, list(with_right(beside(packed, met, chunk))), chunk))
    return [
        (*ends, size)
        for some in found
        for *ends, size in zip(
            *(side.to_pylist() for side in names(some)),
            (some["left"]["size"] + some["right"]["size"]).tolist(),
            strict=True,
        )
    ]


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_each_pair_has_its_names_once_and_the_smaller_first(chunk):
    rng = random.Random(2)
    blobs = [(rng.getrandbits(63), f"{number:040x}", number) for number in rng.sample(range(10_000), 200)]
    pairs = [(left[0], right[0]) for left, right in (sorted(rng.sample(blobs, 2)) for _ in range(400))]
    first, *later = sorted(blobs)
    hot = [(first[0], right[0]) for right in later]  # a left end with many pairs, in batches of its own
    known = {number: (name, size) for number, name, size in blobs}

    found = ended(blobs, [*pairs, *hot, *pairs[:50]], chunk)

    assert len(found) == len(set(found)) == len({*pairs, *hot})
    assert set(found) == {
        (*sorted((known[left][0], known[right][0])), known[left][1] + known[right][1]) for left, right in {*pairs, *hot}
    }


def test_blobs_that_share_a_number_are_all_ends():
    blobs = [(1, "a", 10), (1, "b", 20), (2, "c", 30)]

    assert sorted(ended(blobs, [(1, 2), (2, 2)])) == [("a", "c", 40), ("b", "c", 50)]
    assert sorted(ended(blobs, [(1, 1)])) == [("a", "b", 30)]
