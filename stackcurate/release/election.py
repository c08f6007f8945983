"""Election: one file per blob and one blob per neighbourhood of near-duplicates, among what is admissible."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.clusters import elect, elect_one_each

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BEST_FIRST = ("stars desc", "forks desc", "pushed_at desc", "generation", "repo_id", "revision desc", "path", "file_id")
"""Order of preference among copies: popular, then recent, then what was there first, then by name. Source: The Stack
v2 ranks by licence, stars, forks and revision date; all candidates here have an admissible licence. A run on all
blobs has one generation, so that the names break each tie."""


def elect_files(
    judged: DataFrame, repos: DataFrame, clusters: DataFrame, edges: DataFrame, threshold: float
) -> DataFrame:
    """Take out copies and near-duplicates of files that are kept.

    Args:
        judged: files with `stage`, `reason` and `detail`; those without a reason are candidates.
        repos: stars, forks and times by repo_id and revision.
        clusters: as `near_dups`.
        edges: verified edges as `near_dup_edges`.
        threshold: least similarity of a file to the kept one that stands for it.

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
    copies = Window.partitionBy("blob_id").orderBy(*(_ordering(name) for name in BEST_FIRST if name != "generation"))
    ranked = candidates.withColumn("rank", F.row_number().over(copies))
    best = ranked.where("rank = 1").withColumn("best_file_id", F.col("file_id"))
    losers = _similar_losers(best, clusters, edges, threshold)
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


def _similar_losers(best: DataFrame, clusters: DataFrame, edges: DataFrame, threshold: float) -> DataFrame:
    """Elect among the blobs that have edges: each task has whole clusters, and no task has them all."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    tasks = int(best.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    ends = edges.selectExpr("explode(array(left_blob_id, right_blob_id)) as blob_id").distinct()
    placed = clusters.join(ends, "blob_id").selectExpr(
        "blob_id", "generation", f"cast(pmod(xxhash64(cluster_id), {tasks}) as int) as task"
    )
    order = Window.partitionBy("task").orderBy(*(_ordering(name) for name in BEST_FIRST))
    contested = best.join(placed, "blob_id").select(
        "task", "blob_id", "best_file_id", F.row_number().over(order).alias("place")
    )
    linked = edges.join(placed.selectExpr("blob_id as left_blob_id", "task as edge_task"), "left_blob_id")
    electing = partial(_losers_of_a_task, threshold=threshold)
    return (
        contested.groupBy("task")
        .cogroup(linked.groupBy("edge_task"))
        .applyInArrow(electing, "blob_id string, kept_file_id string")
    )


def _losers_of_a_task(contested: pa.Table, edges: pa.Table, *, threshold: float) -> pa.Table:
    return similar_losers(contested.sort_by("place"), edges, threshold)


def similar_losers(contested: pa.Table, edges: pa.Table, threshold: float) -> pa.Table:
    """Elect one blob per neighbourhood and return those that lose: blob_id and `kept_file_id`, which stands for it.

    Blobs that are not admissible take part as witnesses: they may prove that two others are similar.

    Args:
        contested: blob_id and best_file_id of the admissible blobs that have edges, best first.
        edges: as `near_dup_edges`; where they are unverified, one blob of a component is kept.
        threshold: least similarity.
    """
    ids = pa.chunked_array([*edges["left_blob_id"].chunks, *edges["right_blob_id"].chunks], pa.string()).unique()
    ranked = pc.index_in(contested["blob_id"], ids).combine_chunks().to_numpy().astype(np.int64)
    admissible = np.zeros(len(ids), dtype=bool)
    admissible[ranked] = True
    order = np.concatenate([ranked, np.flatnonzero(~admissible)])
    left, right = (
        pc.index_in(edges[name], ids).combine_chunks().to_numpy() for name in ("left_blob_id", "right_blob_id")
    )
    if edges["similarity"].null_count:  # nobody verified them
        kept = elect_one_each(order, left, right, admissible)
    else:
        kept = elect(order, left, right, admissible, edges["similarity"].to_numpy(), threshold)
    lost = np.flatnonzero(admissible & (kept != np.arange(len(ids))))
    names = contested["best_file_id"].take(
        pc.index_in(ids.take(pa.array(kept[lost])), contested["blob_id"].combine_chunks())
    )
    return pa.table({"blob_id": ids.take(pa.array(lost)), "kept_file_id": names})
