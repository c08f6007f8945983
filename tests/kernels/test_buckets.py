"""Buckets: pairs of members, in batches as in one piece, and what a later run adds to an earlier one."""

import random
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.buckets import pair_rows, pair_stream


def wanted(members, full, anchors):
    """Pairs of one bucket, spelled out: all of the first ones, and each later one with the anchors."""
    return {(a, b) for (_, a), (j, b) in combinations(enumerate(members), 2) if j < full} | {
        (a, b) for b in members[full:] for a in members[:anchors]
    }


def buckets(rng, count=60, ids=300):
    """Return buckets of up to 30 distinct ids, most of them small, in an order that is the same in each."""
    return {key: sorted(rng.sample(range(ids), rng.choice([1, 2, 3, 5, 30]))) for key in range(count)}


def stream(rows, rng, **flags):
    """Cut rows into batches at random places."""
    table = pa.table({"key": [key for key, _ in rows], "id": [one for _, one in rows], **flags})
    at = 0
    while at < len(rows):
        size = rng.choice([1, 2, 7, 40])
        yield from table.slice(at, size).combine_chunks().to_batches()
        at += size


def found(batches, full, anchors, chunk_rows=16):
    return {
        (left, right)
        for batch in pair_stream(batches, full, anchors, chunk_rows)
        for left, right in zip(batch["left"].to_pylist(), batch["right"].to_pylist(), strict=True)
    }


@pytest.mark.parametrize(("full", "anchors"), [(4, 2), (1, 1), (64, 8)])
def test_batches_give_the_pairs_of_each_bucket(full, anchors):
    rng = random.Random(1)
    given = buckets(rng)
    rows = [(key, one) for key, members in given.items() for one in members]
    expected = set().union(*(wanted(members, full, anchors) for members in given.values()))

    keys, ids = np.array(sorted(rows, key=lambda row: row[1])).T
    in_memory = pair_rows(keys, ids, full, anchors)

    assert found(stream(rows, rng), full, anchors) == expected
    assert found(stream(rows, rng), full, anchors, chunk_rows=10**6) == expected
    assert set(zip(*(side.tolist() for side in in_memory), strict=True)) == expected


@pytest.mark.parametrize(("full", "anchors"), [(4, 2), (5, 5), (1, 1), (64, 8)])
def test_a_run_adds_what_the_earlier_one_did_not_look_at(full, anchors):
    """Members leave, anchors among them, and others come: earlier pairs and added ones are those of one run."""
    for seed in range(20):
        rng = random.Random(seed)
        generation = {one: rng.randrange(3) for one in range(300)}
        known = {one for one in range(300) if generation[one] < 2}
        present = {one for one in range(300) if one not in known or rng.random() < rng.choice([0.5, 0.95])}
        given = {
            key: sorted(known.union(present).intersection(members), key=lambda one: (generation[one], one))
            for key, members in buckets(rng).items()
        }
        rows = [(key, one) for key, members in given.items() for one in members]
        flags = {"known": [one in known for _, one in rows], "present": [one in present for _, one in rows]}
        before = [wanted([one for one in members if one in known], full, anchors) for members in given.values()]
        now = [wanted([one for one in members if one in present], full, anchors) for members in given.values()]

        added = found(stream(rows, rng, **flags), full, anchors)

        kept = {(a, b) for a, b in set().union(*before) if a in present and b in present}
        assert added | kept == set().union(*now)
        assert added == set().union(*(pairs - then for pairs, then in zip(now, before, strict=True)))
        assert added


def test_a_hot_bucket_goes_on_over_many_chunks_and_costs_linear_pairs():
    table = pa.table({"key": np.full(50_000, 3), "id": np.arange(50_000)})

    pairs = [len(batch) for batch in pair_stream(table.to_batches(max_chunksize=7000), 64, 8, 10_000)]

    assert len(pairs) == 4
    assert sum(pairs) == 64 * 63 // 2 + (50_000 - 64) * 8
