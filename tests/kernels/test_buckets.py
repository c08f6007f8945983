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


@pytest.mark.parametrize(("full", "anchors"), [(4, 2), (5, 5), (1, 1), (64, 8)])
def test_members_that_share_all_buckets_meet_in_one_more_alone(full, anchors):
    """No pair is lost by it, and those that come in addition are of members that share all buckets."""
    rng = random.Random(7)
    kinds = [tuple(10 * band + rng.randrange(2) for band in range(5)) for _ in range(12)]
    kind = {one: rng.randrange(len(kinds)) for one in range(150)}
    bands = sorted({key for keys in kinds for key in keys})
    given = {key: [one for one in kind if key in kinds[kind[one]]] for key in bands}
    whole = {1000 + number: [one for one in kind if kinds[kind[one]] == keys] for number, keys in enumerate(kinds)}
    rows = [(key, one) for key, members in (given | whole).items() for one in members]
    alike = pa.array([1 + kinds.index(kinds[kind[one]]) if key < 1000 else 0 for key, one in rows], pa.int32())

    met = found(stream(rows, rng, alike=alike), full, anchors)

    plain = set().union(*(wanted(members, full, anchors) for members in given.values()))
    assert plain <= met
    assert all(kinds[kind[a]] == kinds[kind[b]] for a, b in met - plain)
    assert met <= plain.union(*(wanted(members, full, anchors) for members in whole.values()))


def test_equal_sketches_do_not_meet_in_each_band():
    members, bands = 5_000, 42
    keys, ids = np.repeat(np.arange(bands + 1), members), np.tile(np.arange(members), bands + 1)
    table = pa.table({"key": keys, "id": ids, "alike": np.where(keys < bands, 9, 0).astype(np.int32)})

    pairs = [len(batch) for batch in pair_stream(table.to_batches(max_chunksize=7000), 64, 8, 10_000)]

    assert sum(pairs) == 64 * 63 // 2 + (members - 64) * 8
