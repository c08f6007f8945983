"""What a later run adds: who takes part in it, and the pairs that the earlier run did not look at.

Plain tables, for as many blobs as a driver holds: Spark takes longer to plan a join of ids than numpy to sort them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.blocks import Rows, spark_hash
from stackcurate.kernels.buckets import PAIR, bands_of, bucket_rows, filter_over, in_order, pair_stream, touching
from stackcurate.kernels.pair_ends import blobs_of, ended
from stackcurate.schema import NEAR_DUPS

MEMBERS = pa.schema(
    [
        ("blob_id", pa.string()),
        ("size", pa.int64()),
        ("generation", pa.int32()),
        ("known", pa.bool_()),
        ("present", pa.bool_()),
    ]
)
"""Blobs that took part in an earlier run (`known`) or take part in this one (`present`)."""

Batches = Iterable[pa.RecordBatch]

_BANDS = pa.schema([("bands", pa.list_(pa.int64()))])
_NEAR = pa.schema([("blob_id", pa.string()), ("bands", pa.list_(pa.int64())), ("whole", pa.int64())])


def joined(now: pa.Table, then: pa.Table) -> pa.Table:
    """Return what takes part in this run and then what took part in the earlier one alone, as `MEMBERS`.

    Args:
        now: distinct `blob_id` and `size` of what takes part in this run.
        then: `near_dups` of the earlier run; without rows where there is none. What is new is of the next generation.

    >>> then = pa.table({"blob_id": ["a", "b"], "generation": pa.array([0, 0], pa.int32())})
    >>> joined(pa.table({"blob_id": ["b", "c"], "size": [2, 3]}), then).to_pylist()[1]
    {'blob_id': 'c', 'size': 3, 'generation': 1, 'known': False, 'present': True}
    """
    ids = pa.chunked_array([*now["blob_id"].chunks, *then["blob_id"].chunks], pa.string()).unique()
    here, before = (pc.index_in(ids, side["blob_id"]) for side in (now, then))
    fresh = pa.scalar((pc.max(then["generation"]).as_py() if len(then) else -1) + 1, pa.int32())
    generation = pc.fill_null(then["generation"].take(before), fresh)
    columns = [ids, now["size"].take(here), generation, pc.is_valid(before), pc.is_valid(here)]
    return pa.table(columns, schema=MEMBERS)


def added_pairs(bands: Callable[[], Batches], members: pa.Table, full: int, anchors: int) -> Iterator[Rows]:
    """Yield the pairs that a run on the present members would look at and that one on the known ones did not.

    Only buckets that gained or lost a member are looked at; what joined a bucket first stays first.

    Args:
        bands: reads `blob_id` and `bands` of all members, and perhaps of others.
        members: as `joined` gives them.
        full: as `buckets.pair_rows`.
        anchors: as `buckets.pair_rows`.

    Yields:
        `pair_ends.NAMED`.
    """
    fresh = changed(members)
    lists = pa.Table.from_batches(bands_of(bands(), fresh), _BANDS)["bands"].combine_chunks()
    near = pa.Table.from_batches(touching(bands(), filter_over(lists)), _NEAR)
    place = pc.index_in(near["blob_id"], members["blob_id"])
    takes_part = pc.is_valid(place)
    near, there = near.filter(takes_part).combine_chunks(), members.take(place.filter(takes_part)).combine_chunks()
    ids = near["blob_id"].combine_chunks()
    numbers = np.fromiter(map(spark_hash, ids.cast(pa.binary()).to_pylist()), np.int64, len(ids))
    columns = {
        "id": pa.array(numbers),
        "bands": near["bands"].combine_chunks(),
        "whole": near["whole"].combine_chunks(),
    }
    columns |= {name: there[name].combine_chunks() for name in ("generation", "known", "present")}
    buckets = in_order(bucket_rows(pa.RecordBatch.from_pydict(columns), full), full)
    pairs = np.concatenate([np.empty(0, PAIR), *pair_stream([buckets], full, anchors)])
    yield from ended(pairs, blobs_of(numbers, ids, there["size"].combine_chunks()))


def changed(members: pa.Table) -> pa.Array:
    """Return the blob ids of what came or went."""
    return members["blob_id"].filter(pc.not_equal(members["known"], members["present"])).combine_chunks()


def labelled(members: pa.Table, labels: pa.Table) -> pa.Table:
    """Return `near_dups`: each blob with its cluster; one without a label is its own.

    Args:
        members: as `joined` gives them; only those present are labelled.
        labels: `blob_id` and `cluster_id` of the blobs that have an edge.
    """
    here = members.filter(members["present"])
    label = labels["cluster_id"].take(pc.index_in(here["blob_id"], labels["blob_id"]))
    cluster = pc.coalesce(label, here["blob_id"])
    columns = [here["blob_id"], cluster, here["generation"], pa.nulls(len(here), pa.string())]
    return pa.table(columns, schema=NEAR_DUPS.columns)
