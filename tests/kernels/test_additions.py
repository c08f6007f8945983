"""What a later run adds, on plain tables, against all pairs of buckets spelled out."""

from __future__ import annotations

import random
from itertools import combinations

import pyarrow as pa
import pytest

from stackcurate.kernels.additions import MEMBERS, added_pairs, changed, joined, labelled
from stackcurate.kernels.pair_ends import names
from stackcurate.schema import NEAR_DUPS

EARLIER = pa.schema([("blob_id", pa.string()), ("generation", pa.int32())])


def name(number: int) -> str:
    return f"{number:040x}"


def run_of(present: set[int]) -> pa.Table:
    numbers = sorted(present)
    return pa.table({"blob_id": list(map(name, numbers)), "size": [10 * number for number in numbers]})


def earlier_run(generations: dict[int, int]) -> pa.Table:
    return pa.table([list(map(name, generations)), list(generations.values())], schema=EARLIER)


def pairs_of(bands: dict[int, list[int]], members: pa.Table, full: int, anchors: int) -> set[tuple[str, str]]:
    rows = pa.record_batch({"blob_id": list(map(name, bands)), "bands": pa.array(bands.values())})
    found = added_pairs(lambda: iter([rows.slice(0, 40), rows.slice(40)]), members, full, anchors)
    ends = [tuple(zip(*(side.to_pylist() for side in names(pairs)), strict=True)) for pairs in found]
    assert sum(map(len, ends)) == len(set().union(*ends))
    return set().union(*ends)


def test_members_are_those_of_both_runs_and_new_ones_are_of_the_next_generation() -> None:
    members = joined(run_of({1, 2, 4}), earlier_run({3: 0, 2: 1, 1: 0}))

    assert members.schema == MEMBERS
    assert members["blob_id"].to_pylist() == list(map(name, [1, 2, 4, 3]))
    assert members["size"].to_pylist() == [10, 20, 40, None]
    assert members["generation"].to_pylist() == [0, 1, 2, 0]
    assert members["known"].to_pylist() == [True, True, False, True]
    assert members["present"].to_pylist() == [True, True, True, False]
    assert changed(members).to_pylist() == [name(4), name(3)]


@pytest.mark.parametrize("seed", range(4))
def test_new_blobs_meet_whoever_shares_a_band(seed: int) -> None:
    rng = random.Random(seed)
    bands = {number: [100 * band + rng.randrange(12) for band in range(3)] for number in range(90)}
    known, present = set(range(60)), set(range(80))  # of ten more there are bands: others may have been kept
    members = joined(run_of(present), earlier_run(dict.fromkeys(known, 0)))
    sharing = {
        (name(one), name(other))
        for one, other in combinations(sorted(present), 2)
        if other not in known and set(bands[one]).intersection(bands[other])
    }

    assert pairs_of(bands, members, 4096, 4096) == sharing
    assert pairs_of(bands, joined(run_of(known), earlier_run(dict.fromkeys(known, 0))), 4096, 4096) == set()


def test_an_anchor_that_went_is_replaced() -> None:
    bands = {number: [7, 100 + number] for number in range(6)}
    before = joined(run_of(set(range(6))), earlier_run({}))
    after = joined(run_of(set(range(1, 6))), earlier_run(dict.fromkeys(range(6), 0)))
    whole = joined(run_of(set(range(1, 6))), earlier_run({}))

    first, added = pairs_of(bands, before, 1, 1), pairs_of(bands, after, 1, 1)

    assert len(first) == 5
    (anchor,) = set.intersection(*map(set, first))
    still = {pair for pair in first if name(0) not in pair}
    assert added | still == pairs_of(bands, whole, 1, 1) | still
    assert bool(added) == (anchor == name(0))


def test_who_is_there_and_has_no_edge_is_a_cluster_of_its_own() -> None:
    members = joined(run_of({1, 2, 4}), earlier_run({3: 0, 2: 0}))
    labels = pa.table({"blob_id": [name(2), name(4)], "cluster_id": [name(2), name(2)]})

    facts = labelled(members, labels)

    assert facts.schema == NEAR_DUPS.columns
    assert facts["blob_id"].to_pylist() == [name(1), name(2), name(4)]
    assert facts["cluster_id"].to_pylist() == [name(1), name(2), name(2)]
    assert facts["generation"].to_pylist() == [1, 0, 1]
