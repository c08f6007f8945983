"""Election: one file per blob and one blob per neighbourhood of near-duplicates, among what is admissible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.clusters import elect

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BEST_FIRST = ("stars desc", "forks desc", "pushed_at desc", "repo_id", "revision desc", "path", "file_id")
"""Order of preference among copies: popular, then recent, then by name. Source: The Stack v2 ranks by licence,
stars, forks and revision date; all candidates here have an admissible licence, and the names break each tie."""


def elect_files(judged: DataFrame, repos: DataFrame, edges: pa.Table) -> DataFrame:
    """Take out copies and near-duplicates of files that are kept.

    Args:
        judged: files with `stage`, `reason` and `detail`; those without a reason are candidates.
        repos: stars, forks and times by repo_id and revision.
        edges: verified edges as `near_dup_edges`.

    Returns:
        The same files; a copy gets `exact_duplicate`, a similar file `near_duplicate`, `detail` the file that
        stands for it. Each file that goes has a kept one that is identical or has a verified similarity.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    claims = repos.select("repo_id", "revision", "stars", "forks", "pushed_at", "created_at")
    candidates = judged.where("reason is null").join(
        claims.dropDuplicates(["repo_id", "revision"]), ["repo_id", "revision"], "left"
    )
    window = Window.partitionBy("blob_id").orderBy(*(_ordering(column) for column in BEST_FIRST))
    ranked = candidates.withColumn("rank", F.row_number().over(window))
    best = ranked.where("rank = 1").select(
        "blob_id", *(c.split()[0] for c in BEST_FIRST if c != "file_id"), F.col("file_id").alias("best_file_id")
    )
    losers = best.sparkSession.createDataFrame(_similar_losers(best, edges))
    standing = (
        best.select("blob_id", "best_file_id")
        .join(losers, "blob_id", "left")
        .select("blob_id", "best_file_id", "kept_file_id")
    )
    joined = judged.join(standing, "blob_id", "left")
    copy = F.expr("reason is null and file_id <> best_file_id")
    near = F.expr("reason is null and kept_file_id is not null")
    return (
        joined.withColumn("stage", F.when(copy | near, F.lit("near_dups")).otherwise(F.col("stage")))
        .withColumn(
            "detail", F.when(copy | near, F.coalesce("kept_file_id", "best_file_id")).otherwise(F.col("detail"))
        )
        .withColumn(
            "reason",
            F.when(near, F.lit("near_duplicate")).when(copy, F.lit("exact_duplicate")).otherwise(F.col("reason")),
        )
        .drop("best_file_id", "kept_file_id")
    )


def _ordering(column: str) -> Column:
    from pyspark.sql import functions as F

    name, _, descending = column.partition(" ")
    return F.col(name).desc_nulls_last() if descending else F.col(name).asc_nulls_last()


def _similar_losers(best: DataFrame, edges: pa.Table) -> pa.Table:
    """Elect among the blobs that have edges, on the driver: blob_id and the file that stands for it."""
    empty = pa.table({"blob_id": pa.array([], pa.string()), "kept_file_id": pa.array([], pa.string())})
    if not edges.num_rows:
        return empty
    ids = pa.chunked_array([*edges["left_blob_id"].chunks, *edges["right_blob_id"].chunks]).unique()
    involved = best.sparkSession.createDataFrame(pa.table({"blob_id": ids}))
    ordered = best.join(involved, "blob_id").orderBy(
        *(_ordering(c.replace("file_id", "best_file_id")) for c in BEST_FIRST)
    )
    contested = ordered.select("blob_id", "best_file_id").toArrow().combine_chunks()
    if not contested.num_rows:
        return empty
    known = contested["blob_id"].combine_chunks()
    left, right = (pc.index_in(edges[name], known).combine_chunks() for name in ("left_blob_id", "right_blob_id"))
    both = pc.and_(left.is_valid(), right.is_valid())
    count = len(known)
    kept = elect(
        np.arange(count), left.filter(both).to_numpy(), right.filter(both).to_numpy(), np.ones(count, dtype=bool)
    )
    lost = np.flatnonzero(kept != np.arange(count))
    files = contested["best_file_id"].combine_chunks()
    return pa.table({"blob_id": known.take(pa.array(lost)), "kept_file_id": files.take(pa.array(kept[lost]))})
