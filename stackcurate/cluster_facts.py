"""Facts on near-duplicates: edges and clusters of the blobs of a build, computed again only where these have changed.

A run adds to the latest one of its digest: it keeps the edges between blobs that are still there, and looks only at
pairs that are new. The edges are those of a run on all blobs with the earlier ones first, which differs from one
without a past in the anchors of hot buckets alone. Within languages, each run looks at all pairs.

What a later build adds is settled on the driver, as long as that can hold the ids and the pairs: Spark would take
longer to plan its joins. All else is Spark's, and contents are read by its tasks alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.facts import Build, compute, ensure, set_digest
from stackcurate.kernels.additions import added_pairs, changed, joined, labelled
from stackcurate.kernels.blocks import Rows
from stackcurate.kernels.pair_ends import NAMED
from stackcurate.stages import near_dup_bands, near_dups
from stackcurate.stages.components import components
from stackcurate.stages.near_dups import (
    added_candidates,
    bucket_sizes,
    candidates,
    changed_members,
    clusters,
    with_clusters,
)
from stackcurate.stages.tables import carry_parts, frame, read, read_batches, scan, write, write_table
from stackcurate.stages.verification import unverified, verify, verify_pairs, without_similarity
from stackcurate.workspace import Run, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MOST_FILES = 10_000_000
"""Files whose blob ids are brought to the driver: 560 MB, half of what Spark lets a driver collect."""
_MOST_CHANGED = 100_000
"""Blobs that came or went whose pairs are made on the driver: 2.5 million pairs of installed packages."""
_MOST_PAIRS = 4_000_000
"""Pairs that are made on the driver: 500 MB with the names of their ends."""


def ensure_clusters(build: Build, files: DataFrame, languages: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return clusters and edges of the blobs of some files; computed again only where the blobs have changed.

    Args:
        build: the build under way.
        files: the candidates.
        languages: as `language`.
    """
    config = build.config[near_dups.section]
    few = None if config.within_language else _few(files, min(config.driver_documents, _MOST_FILES))
    if few is not None:
        inputs = _ids_digest(few)
        if not _added_on_driver(build, few, inputs):
            blobs = build.keep(frame(build.spark, few))
            _clustered_by_spark(build, blobs, blobs.select("blob_id"), inputs)
    else:
        blobs = build.keep(files.select("blob_id", "size").dropDuplicates(["blob_id"]))
        compared = blobs.select("blob_id")
        if config.within_language:
            compared = files.join(languages, "file_id").select("blob_id", "language").dropDuplicates()
        inputs = set_digest(compared, *compared.columns)
        _clustered_by_spark(build, blobs, compared, inputs)
    facts = build.read(schema.NEAR_DUPS, _stored(build, schema.NEAR_DUPS, inputs))
    return facts, _rows(build, schema.NEAR_DUP_EDGES, _stored(build, schema.NEAR_DUP_EDGES, inputs))


def _few(files: DataFrame, most: int) -> pa.Table | None:
    """Return `blob_id` and `size` of the distinct blobs, sorted by blob_id; None where there are too many files."""
    rows = files.select("blob_id", "size").limit(most + 1).toArrow().combine_chunks()
    if len(rows) > most:
        return None
    ids = rows["blob_id"].unique()
    distinct = rows if len(ids) == len(rows) else rows.take(pc.index_in(ids, rows["blob_id"]))
    return distinct.sort_by("blob_id")


def _ids_digest(blobs: pa.Table) -> str:
    ids = "\n".join(blobs["blob_id"].to_pylist())
    return f"{len(blobs)}-{hashlib.sha256(ids.encode()).hexdigest()}"


def _added_on_driver(build: Build, blobs: pa.Table, inputs: str) -> bool:
    """Add to the earlier run what makes it one on these blobs.

    Args:
        build: the build under way.
        blobs: distinct `blob_id` and `size`, sorted.
        inputs: digest of their ids.

    Returns:
        False where Spark has to: there is no earlier run, or too much has changed since.
    """
    before = _stored(build, schema.NEAR_DUPS)[-1:]
    members = joined(blobs, read_table(build.workspace, schema.NEAR_DUPS, before, ["blob_id", "generation"]))
    known = read_table(build.workspace, near_dup_bands.table, build.stored(near_dup_bands), ["blob_id"])
    missing = blobs.filter(pc.invert(pc.is_in(blobs["blob_id"], known["blob_id"])))
    if not before or max(len(missing), len(changed(members))) > _MOST_CHANGED:
        return False
    if len(missing):
        run = build.next_run(near_dup_bands.table, near_dup_bands.digest(build.config.sections))
        compute(build, near_dup_bands, frame(build.spark, missing), run, len(missing))
    if _stored(build, schema.NEAR_DUPS, inputs):
        return True
    with build.progress(near_dups.name, len(blobs)) as on_rows:
        if not _stored(build, schema.NEAR_DUP_EDGES, inputs):
            pairs = _new_pairs(build, members)
            if pairs is None:
                return False
            gone = members.filter(pc.invert(members["present"])).select(["blob_id"])
            run = _next_run(build, schema.NEAR_DUP_EDGES, inputs)
            found = _similar_pairs(build, pairs, run)
            _write_edges(build, run, found, before, frame(build.spark, gone) if len(gone) else None)
        facts = labelled(members, _labels_on_driver(build, _stored(build, schema.NEAR_DUP_EDGES, inputs)))
        write_table(facts, build.workspace, schema.NEAR_DUPS, _next_run(build, schema.NEAR_DUPS, inputs))
        on_rows(len(blobs))
    return True


def _new_pairs(build: Build, members: pa.Table, most: int = _MOST_PAIRS) -> Rows | None:
    """Return the pairs that nobody looked at; None where they are more than `most`."""

    def read_bands() -> Iterator[pa.RecordBatch]:
        found = build.stored(near_dup_bands)
        for rows in read_batches(build.workspace, near_dup_bands.table, ["blob_id", "bands"], found):
            yield from rows.to_batches()

    pairs = [np.empty(0, NAMED)]
    for some in added_pairs(read_bands, members, *bucket_sizes(build.config[near_dups.section])):
        pairs.append(some)
        if sum(map(len, pairs)) > most:
            return None
    return np.concatenate(pairs)


def _similar_pairs(build: Build, pairs: Rows, run: Run) -> DataFrame:
    """Return the edges among pairs on the driver; tasks find the pairs in the folder of the run."""
    config = build.config[near_dups.section]
    if config.verify:
        return verify_pairs(build.spark, build.workspace, pairs, config, build.blobs, run, build.tasks)
    return frame(build.spark, pa.Table.from_batches([without_similarity(pairs)]))


def _clustered_by_spark(build: Build, blobs: DataFrame, compared: DataFrame, inputs: str) -> None:
    """Make sure that there are edges and clusters of some blobs.

    Args:
        build: the build under way.
        blobs: distinct blob_id and size.
        compared: blob_id, and `language` where only blobs of one meet.
        inputs: digest of what is compared.
    """
    config = build.config[near_dups.section]
    bands = ensure(build, near_dup_bands, blobs)
    if _stored(build, schema.NEAR_DUPS, inputs):
        return
    with build.progress(near_dups.name, blobs.count()) as on_rows:
        before = [] if config.within_language else _stored(build, schema.NEAR_DUPS)[-1:]
        members = blobs.selectExpr("blob_id", "0 as generation", "true as present", "false as known")
        if before:
            members = build.keep(changed_members(blobs, _rows(build, schema.NEAR_DUPS, before)))
        if not _stored(build, schema.NEAR_DUP_EDGES, inputs):
            if before:
                found = build.stored(near_dup_bands)
                bands_scan = partial(scan, build.spark, build.workspace, near_dup_bands.table, found)
                pairs = added_candidates(bands_scan, members, config)
            else:
                pairs = candidates(bands.join(compared, "blob_id"), blobs, config)
            similar = verify(pairs, config, build.blobs) if config.verify else unverified(pairs)
            gone = members.where("known and not present").select("blob_id")
            run = _next_run(build, schema.NEAR_DUP_EDGES, inputs)
            _write_edges(build, run, similar, before, None if gone.isEmpty() else gone)
        labels = _labels(build, blobs.count(), _stored(build, schema.NEAR_DUP_EDGES, inputs))
        clustered = with_clusters(members.where("present"), labels)
        write(clustered, build.workspace, schema.NEAR_DUPS, _next_run(build, schema.NEAR_DUPS, inputs), on_rows=on_rows)


def _write_edges(build: Build, run: Run, found: DataFrame, before: list[Run], gone: DataFrame | None) -> None:
    """Write the edges of a run: those of the earlier run that still stand, and those that this one adds.

    Where nothing has gone, the run gets the files of the earlier one: all pairs that it adds have a blob that is new.

    Args:
        build: the build under way.
        run: the run.
        found: the edges that it adds.
        before: the earlier run; empty where there is none.
        gone: `blob_id` of what is no longer there; None where nothing has gone.
    """
    known = [run for one in before for run in _stored(build, schema.NEAR_DUP_EDGES, one.inputs)]
    if gone is None:
        write(found, build.workspace, schema.NEAR_DUP_EDGES, carry_parts(build.workspace, known, run))
        return
    kept = _rows(build, schema.NEAR_DUP_EDGES, known)
    for side in _ENDS:
        kept = kept.join(gone.withColumnRenamed("blob_id", side), side, "left_anti")
    write(kept.unionByName(found).distinct(), build.workspace, schema.NEAR_DUP_EDGES, run)


_ENDS = ["left_blob_id", "right_blob_id"]


def _labels(build: Build, blobs: int, found: list[Run]) -> DataFrame:
    """Return the cluster of each blob that has an edge: from the driver, or from Spark where there are too many."""
    if blobs <= build.config[near_dups.section].driver_documents:
        return frame(build.spark, _labels_on_driver(build, found))
    edges = _rows(build, schema.NEAR_DUP_EDGES, found)
    return components(edges.select(*_ENDS)).toDF("blob_id", "cluster_id")


def _labels_on_driver(build: Build, found: list[Run]) -> pa.Table:
    return clusters(read_table(build.workspace, schema.NEAR_DUP_EDGES, found, _ENDS))


def _stored(build: Build, table: schema.Table, inputs: str | None = None) -> list[Run]:
    """Return the complete runs of the present digest; those on some inputs where given."""
    return runs(build.workspace, table.name, digest=near_dups.digest(build.config.sections), inputs=inputs)


def _next_run(build: Build, table: schema.Table, inputs: str) -> Run:
    return build.next_run(table, near_dups.digest(build.config.sections), inputs)


def _rows(build: Build, table: schema.Table, found: list[Run]) -> DataFrame:
    """Return the rows of runs that a release does not read itself."""
    return read(build.spark, build.workspace, table, found)
