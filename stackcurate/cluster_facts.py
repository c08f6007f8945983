"""Facts on near-duplicates: edges and clusters of the blobs of a build, computed again only where these have changed.

A run adds to the latest one of its digest: it keeps the edges between blobs that are still there, and looks only at
pairs that are new. The edges are those of a run on all blobs with the earlier ones first, which differs from one
without a past in the anchors of hot buckets alone. Within languages, each run looks at all pairs.

Who takes part is settled on the driver as long as it can hold the ids, and by Spark of more. What reads contents, and
the pairs of many new blobs, is always work for Spark.
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
_MOST_CHANGED = 250_000
"""Blobs whose pairs are made on the driver: 750 MB of pairs, at 25 for each."""


def ensure_clusters(build: Build, files: DataFrame, languages: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return clusters and edges of the blobs of some files; computed again only where the blobs have changed.

    Args:
        build: the build under way.
        files: the candidates.
        languages: as `language`.
    """
    config = build.config[near_dups.section]
    few = None if config.within_language else _few(files, min(config.driver_documents, _MOST_FILES))
    inputs = _clustered_by_spark(build, files, languages) if few is None else _clustered_on_driver(build, few)
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


def _clustered_on_driver(build: Build, blobs: pa.Table) -> str:
    """Make sure that there are edges and clusters of some blobs, and return the digest of their ids.

    Args:
        build: the build under way.
        blobs: distinct `blob_id` and `size`, sorted.
    """
    ids = "\n".join(blobs["blob_id"].to_pylist())
    inputs = f"{len(blobs)}-{hashlib.sha256(ids.encode()).hexdigest()}"
    _ensure_bands(build, blobs)
    if _stored(build, schema.NEAR_DUPS, inputs):
        return inputs
    with build.progress(near_dups.name, len(blobs)) as on_rows:
        before = _stored(build, schema.NEAR_DUPS)[-1:]
        members = joined(blobs, read_table(build.workspace, schema.NEAR_DUPS, before, ["blob_id", "generation"]))
        if not _stored(build, schema.NEAR_DUP_EDGES, inputs):
            gone = pc.any(pc.invert(members["present"])).as_py()
            present = frame(build.spark, blobs.select(["blob_id"])) if gone else None
            _write_edges(build, inputs, _added_edges(build, members), before, present)
        edges = read_table(build.workspace, schema.NEAR_DUP_EDGES, _stored(build, schema.NEAR_DUP_EDGES, inputs))
        run = _next_run(build, schema.NEAR_DUPS, inputs)
        write_table(labelled(members, clusters(edges)), build.workspace, schema.NEAR_DUPS, run)
        on_rows(len(blobs))
    return inputs


def _ensure_bands(build: Build, blobs: pa.Table) -> None:
    """Make sure that all blobs have bands."""
    known = read_table(build.workspace, near_dup_bands.table, build.stored(near_dup_bands), ["blob_id"])
    missing = blobs.filter(pc.invert(pc.is_in(blobs["blob_id"], known["blob_id"])))
    if len(missing):
        run = build.next_run(near_dup_bands.table, near_dup_bands.digest(build.config.sections))
        compute(build, near_dup_bands, frame(build.spark, missing), run, len(missing))


def _added_edges(build: Build, members: pa.Table, most: int = _MOST_CHANGED) -> DataFrame:
    """Return the edges that this run has beyond those of the earlier one.

    Args:
        build: the build under way.
        members: as `joined` gives them.
        most: changed blobs whose pairs are made here; those of more are made by Spark.
    """
    config, bands = build.config[near_dups.section], build.stored(near_dup_bands)
    if len(changed(members)) > most:
        rows = _rows(build, near_dup_bands.table, bands).select("blob_id", "bands")
        taking_part = frame(build.spark, members)
        keys = rows.join(taking_part.drop("size"), "blob_id")
        return _similar(build, candidates(keys, taking_part.where("present"), config))

    def read_bands() -> Iterator[pa.RecordBatch]:
        for rows in read_batches(build.workspace, near_dup_bands.table, ["blob_id", "bands"], bands):
            yield from rows.to_batches()

    pairs = np.concatenate([np.empty(0, NAMED), *added_pairs(read_bands, members, *bucket_sizes(config))])
    if config.verify:
        return verify_pairs(build.spark, pairs, config, build.blobs, build.tasks)
    return frame(build.spark, pa.Table.from_batches([without_similarity(pairs)]))


def _clustered_by_spark(build: Build, files: DataFrame, languages: DataFrame) -> str:
    """Make sure that there are edges and clusters of the blobs of files, and return a digest of what was compared."""
    config = build.config[near_dups.section]
    blobs = build.keep(files.select("blob_id", "size").dropDuplicates(["blob_id"]))
    compared = blobs.select("blob_id")
    if config.within_language:
        compared = files.join(languages, "file_id").select("blob_id", "language").dropDuplicates()
    inputs = set_digest(compared, *compared.columns)
    bands = ensure(build, near_dup_bands, blobs)
    if _stored(build, schema.NEAR_DUPS, inputs):
        return inputs
    with build.progress(near_dups.name, blobs.count()) as on_rows:
        before = [] if config.within_language else _stored(build, schema.NEAR_DUPS)[-1:]
        members = blobs.selectExpr("blob_id", "0 as generation", "true as present", "false as known")
        if before:
            members = build.keep(changed_members(blobs, _rows(build, schema.NEAR_DUPS, before)))
        if not _stored(build, schema.NEAR_DUP_EDGES, inputs):
            if before:
                bands_scan = partial(
                    scan, build.spark, build.workspace, near_dup_bands.table, build.stored(near_dup_bands)
                )
                found = added_candidates(bands_scan, members, config)
            else:
                found = candidates(bands.join(compared, "blob_id"), blobs, config)
            gone = not members.where("known and not present").isEmpty()
            _write_edges(build, inputs, _similar(build, found), before, blobs.select("blob_id") if gone else None)
        labels = _labels(build, blobs.count(), _stored(build, schema.NEAR_DUP_EDGES, inputs))
        clustered = with_clusters(members.where("present"), labels)
        write(clustered, build.workspace, schema.NEAR_DUPS, _next_run(build, schema.NEAR_DUPS, inputs), on_rows=on_rows)
    return inputs


def _write_edges(build: Build, inputs: str, found: DataFrame, before: list[Run], present: DataFrame | None) -> None:
    """Write the edges of a run: those of the earlier run that still stand, and those that this one adds.

    Where nothing has gone, the run gets the files of the earlier one: all pairs that it adds have a blob that is new.

    Args:
        build: the build under way.
        inputs: digest of what the run reads.
        found: the edges that it adds.
        before: the earlier run; empty where there is none.
        present: `blob_id` of what is still there; None where nothing has gone.
    """
    known = [run for one in before for run in _stored(build, schema.NEAR_DUP_EDGES, one.inputs)]
    run = _next_run(build, schema.NEAR_DUP_EDGES, inputs)
    if present is None:
        write(found, build.workspace, schema.NEAR_DUP_EDGES, carry_parts(build.workspace, known, run))
        return
    kept = _rows(build, schema.NEAR_DUP_EDGES, known)
    for side in ("left_blob_id", "right_blob_id"):
        kept = kept.join(present.withColumnRenamed("blob_id", side), side, "left_semi")
    write(kept.unionByName(found).distinct(), build.workspace, schema.NEAR_DUP_EDGES, run)


def _similar(build: Build, found: DataFrame) -> DataFrame:
    """Return the edges among candidates."""
    config = build.config[near_dups.section]
    return verify(found, config, build.blobs) if config.verify else unverified(found)


def _labels(build: Build, blobs: int, found: list[Run]) -> DataFrame:
    """Return the cluster of each blob that has an edge: from the driver, or from Spark where there are too many."""
    if blobs > build.config[near_dups.section].driver_documents:
        edges = _rows(build, schema.NEAR_DUP_EDGES, found).select("left_blob_id", "right_blob_id")
        return components(edges).toDF("blob_id", "cluster_id")
    return frame(build.spark, clusters(read_table(build.workspace, schema.NEAR_DUP_EDGES, found)))


def _stored(build: Build, table: schema.Table, inputs: str | None = None) -> list[Run]:
    """Return the complete runs of the present digest; those on some inputs where given."""
    return runs(build.workspace, table.name, digest=near_dups.digest(build.config.sections), inputs=inputs)


def _next_run(build: Build, table: schema.Table, inputs: str) -> Run:
    return build.next_run(table, near_dups.digest(build.config.sections), inputs)


def _rows(build: Build, table: schema.Table, found: list[Run]) -> DataFrame:
    """Return the rows of runs that a release does not read itself."""
    return read(build.spark, build.workspace, table, found)
