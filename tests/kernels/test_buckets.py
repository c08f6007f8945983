"""Buckets: pairs of members, in batches as in one piece, and what a later run adds to an earlier one."""

import random
from itertools import chain, combinations

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.blocks import unpack
from stackcurate.kernels.buckets import (
    MEMBER,
    PAIR,
    distinct,
    filter_over,
    in_order,
    member_blocks,
    pair_blocks,
    pair_rows,
    pair_stream,
    touching,
    whole_keys,
)


def wanted(members, full, anchors):
    """Pairs of one bucket, spelled out: all of the first ones, and each later one with the anchors."""
    return {(a, b) for (_, a), (j, b) in combinations(enumerate(members), 2) if j < full} | {
        (a, b) for b in members[full:] for a in members[:anchors]
    }


def buckets(rng, count=60, ids=300):
    """Return buckets of up to 30 distinct ids, most of them small, in an order that is the same in each."""
    return {key: sorted(rng.sample(range(ids), rng.choice([1, 2, 3, 5, 30]))) for key in range(count)}


def members(rows, **columns):
    """Return rows of key and id as members of buckets, all present and none known unless columns say otherwise."""
    table = np.zeros(len(rows), MEMBER)
    table["key"], table["id"] = np.array(rows).T
    for name, values in ({"present": True} | columns).items():
        table[name] = values
    return table


def stretches(table, rng):
    """Cut members at random places."""
    at = 0
    while at < len(table):
        size = rng.choice([1, 2, 7, 40])
        yield table[at : at + size]
        at += size


def found(table, full, anchors, chunk_rows=16, rng=None):
    cut = [table] if rng is None else stretches(table, rng)
    return {pair for pairs in pair_stream(cut, full, anchors, chunk_rows) for pair in pairs.tolist()}


@pytest.mark.parametrize(("full", "anchors"), [(4, 2), (1, 1), (64, 8)])
def test_batches_give_the_pairs_of_each_bucket(full, anchors):
    rng = random.Random(1)
    given = buckets(rng)
    rows = [(key, one) for key, members in given.items() for one in members]
    expected = set().union(*(wanted(members, full, anchors) for members in given.values()))

    keys, ids = np.array(sorted(rows, key=lambda row: row[1])).T
    in_memory = pair_rows(keys, ids, full, anchors)

    assert found(members(rows), full, anchors, rng=rng) == expected
    assert found(members(rows), full, anchors, chunk_rows=10**6) == expected
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

        added = found(members(rows, **flags), full, anchors, rng=rng)

        kept = {(a, b) for a, b in set().union(*before) if a in present and b in present}
        assert added | kept == set().union(*now)
        assert added == set().union(*(pairs - then for pairs, then in zip(now, before, strict=True)))
        assert added


def test_a_hot_bucket_goes_on_over_many_chunks_and_costs_linear_pairs():
    table = members([(3, one) for one in range(50_000)])

    pairs = [len(some) for some in pair_stream([table], 64, 8, 10_000)]

    assert len(pairs) == 5
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
    alike = [1 + kinds.index(kinds[kind[one]]) if key < 1000 else 0 for key, one in rows]

    met = found(members(rows, alike=alike), full, anchors, rng=rng)

    plain = set().union(*(wanted(members, full, anchors) for members in given.values()))
    assert plain <= met
    assert all(kinds[kind[a]] == kinds[kind[b]] for a, b in met - plain)
    assert met <= plain.union(*(wanted(members, full, anchors) for members in whole.values()))


def batches(bands, rng, **columns):
    """Return rows in a random order, as batches of random size."""
    order = rng.sample(range(len(bands)), len(bands))
    taken = {name: [values[at] for at in order] for name, values in ({"id": range(len(bands))} | columns).items()}
    table = pa.table(taken | {"bands": pa.array([bands[at] for at in order], pa.list_(pa.int64()))})
    at = 0
    while at < len(order):
        size = rng.choice([1, 7, 60, 200])
        yield from table.slice(at, size).combine_chunks().to_batches()
        at += size


def met(bands, rng, full, anchors, **columns):
    """Return the pairs of rows that went through blocks, and how many members there were."""
    blocks = pa.Table.from_batches(member_blocks(batches(bands, rng, **columns), full)).sort_by("part").to_batches()
    count = sum(len(rows) for rows in unpack(blocks, MEMBER))
    pairs = pa.Table.from_batches(pair_blocks(blocks, full, anchors)).sort_by("part").to_batches(max_chunksize=3)
    return [pair for rows in unpack(pairs, PAIR) for pair in distinct(rows).tolist()], count


def test_equal_sketches_do_not_meet_in_each_band():
    members, bands = 5_000, 42

    pairs, count = met([list(range(1, bands + 1))] * members, random.Random(3), 64, 8)

    assert len(pairs) == len(set(pairs)) == 64 * 63 // 2 + (members - 64) * 8
    assert count < 0.6 * members * (bands + 1)  # in batches of up to 200 rows, of which 64 stay


@pytest.mark.parametrize(("full", "anchors"), [(4, 2), (64, 8)])
def test_order_and_batches_change_no_pair(full, anchors):
    """Of rows that share all bands, only the first ones meet others band by band, whichever batch they are in."""
    rng = random.Random(11)
    kinds = [[10 * band + rng.randrange(3) for band in range(6)] for _ in range(9)]
    bands = [rng.choice(kinds) for _ in range(300)] + [None, None]
    generation = [rng.randrange(3) for _ in bands]
    flags = {
        "known": [one < 2 for one in generation],
        "present": [one == 2 or rng.random() < 0.9 for one in generation],
    }

    first, _ = met(bands, rng, full, anchors, generation=generation, **flags)
    second, _ = met(bands, rng, full, anchors, generation=generation, **flags)

    assert sorted(first) == sorted(second)
    early = {
        one
        for kind in kinds
        for one in sorted((one for one in range(300) if bands[one] == kind), key=lambda one: (generation[one], one))
    }
    assert {end for pair in first for end in pair} <= early


def test_a_later_run_adds_what_is_missing_when_equal_rows_come_and_go():
    rng = random.Random(12)
    kinds = [[10 * band + rng.randrange(3) for band in range(6)] for _ in range(9)]
    bands = [rng.choice(kinds) for _ in range(300)]
    generation = [rng.randrange(2) for _ in bands]
    present = [one == 1 or rng.random() < 0.8 for one in generation]

    def run(**flags):
        return set(met(bands, rng, 4, 2, generation=generation, **flags)[0])

    before = run(present=[one == 0 for one in generation])
    added = run(known=[one == 0 for one in generation], present=present)

    kept = {pair for pair in before if all(present[one] for one in pair)}
    assert added | kept == run(present=present)
    assert added


def test_a_filter_leaves_the_rows_of_buckets_that_changed():
    rng = random.Random(13)
    bands = [[rng.getrandbits(62) for _ in range(5)] for _ in range(400)]
    for row in bands[200:]:
        row[rng.randrange(5)] = bands[rng.randrange(3)][0]  # meets one of the first three
    lists = pa.array([*bands, None], pa.list_(pa.int64()))
    touched = filter_over(pa.array(bands[:3]))
    rows = pa.record_batch({"blob_id": [str(number) for number in range(401)], "bands": lists})

    left = pa.Table.from_batches(touching([rows.slice(0, 250), rows.slice(250)], touched))

    near = {str(n) for n, row in enumerate(bands) if set(row).intersection(chain.from_iterable(bands[:3]))}
    assert near <= set(left["blob_id"].to_pylist())
    assert left.num_rows < len(near) + 20
    whole = dict(zip(map(str, range(400)), whole_keys(pa.array(bands)).tolist(), strict=True))
    assert left["whole"].to_pylist() == [whole[one] for one in left["blob_id"].to_pylist()]


def test_buckets_are_in_order_whatever_their_size():
    rng = np.random.default_rng(3)
    rows = [(key, one) for key in range(40) for one in rng.permutation(1 + 3 * key)]
    table = members([rows[at] for at in rng.permutation(len(rows))])
    table["generation"] = table["id"] % 3

    ordered = in_order(table, 20)

    whole = np.sort(table, order=["key", "generation", "id"])
    few = whole["key"] < 7  # up to 20 members; one that is alone meets nobody
    assert np.array_equal(ordered, np.concatenate([whole[few & (whole["key"] > 0)], whole[~few]]))


def test_members_that_are_alike_leave_the_first_of_each_generation_in_a_hot_bucket():
    table = members([(key, one) for key in (1, 2) for one in range(12)], alike=[0, 5, 5, 7, 7, 7] * 4)
    table["generation"] = 11 - table["id"]

    ordered = in_order(table[np.random.default_rng(4).permutation(24)], 2)

    assert ordered["key"].tolist() == [1] * 6 + [2] * 6
    assert ordered["id"].tolist() == [11, 10, 8, 7, 6, 0] * 2
