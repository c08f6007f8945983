"""Opt-outs: which request takes which occurrence out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.kernels.opt_out_match import (
    REPOSITORY,
    Keep,
    active,
    file_repositories,
    meant_repositories,
    related,
)
from stackcurate.kernels.opt_outs import ALL_COPIES, OptOutConfig
from stackcurate.stage import Batches, Stage, spark_schema
from stackcurate.stages.tables import frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def match(files: DataFrame, config: OptOutConfig, *, repos: DataFrame, requests: DataFrame) -> DataFrame:
    """Name for each file the first request that takes it out; null where none does.

    Args:
        files: file_id, repo_id, path, blob_id.
        config: whether forks and copies go as well.
        repos: names, forks and times by repo_id; names are compared without case.
        requests: as `opt_outs`; only active ones count.
    """
    from pyspark.sql import functions as F

    spark = files.sparkSession
    asked = requests.toArrow()
    known = related(partial(scanned, repos.select(*REPOSITORY.names)), asked, config.copies)
    meant = frame(spark, meant_repositories(known, asked, config.copies)).hint("broadcast")
    places = frame(spark, file_repositories(known, asked)).hint("broadcast")
    blobs = frame(spark, active(asked, "blob").select(["value", "request_id"])).hint("broadcast")
    paths = frame(spark, active(asked, "file").select(["value", "request_id"])).hint("broadcast")
    in_place = files.join(places, "repo_id").selectExpr("file_id", "lower(concat(prefix, '/', path)) as value")
    matched = (
        files.join(meant, "repo_id").select("file_id", "request_id")
        .unionByName(files.withColumnRenamed("blob_id", "value").join(blobs, "value").select("file_id", "request_id"))
        .unionByName(in_place.join(paths, "value").select("file_id", "request_id"))
    )  # fmt: skip
    first = matched.groupBy("file_id").agg(F.min("request_id").alias("request_id"))
    found = files.join(first, "file_id", "left").withColumn("error", F.lit(None).cast("string"))
    return _spread(found, "blob_id") if config.copies == ALL_COPIES else found


def scanned(repos: DataFrame, keep: Keep, spell: Callable[[pa.RecordBatch], pa.Table] = pa.table) -> pa.Table:
    """Return what a function lets through of all repositories, as `related` asks for it: tasks look, few rows come.

    Args:
        repos: the columns that `spell` reads.
        keep: tells which rows count.
        spell: gives the rows of `REPOSITORY` of a batch.
    """
    task = partial(_scan_task, keep=keep, spell=spell)
    return repos.mapInArrow(task, spark_schema(REPOSITORY)).toArrow().cast(REPOSITORY)


def _scan_task(batches: Batches, *, keep: Keep, spell: Callable[[pa.RecordBatch], pa.Table]) -> Batches:
    for batch in batches:
        yield from keep(spell(batch).cast(REPOSITORY)).to_batches()


def over_clusters(matches: DataFrame, files: DataFrame, clusters: DataFrame) -> DataFrame:
    """Take out what is a near-duplicate of a file that is out.

    Args:
        matches: as `opt_out_matches`.
        files: file_id and blob_id.
        clusters: as `near_dups`.
    """
    known = matches.join(files.select("file_id", "blob_id"), "file_id")
    grouped = known.join(clusters.select("blob_id", "cluster_id"), "blob_id", "left")
    return _spread(grouped, "coalesce(cluster_id, blob_id)").select(*matches.columns)


def _spread(matches: DataFrame, group: str) -> DataFrame:
    """Let the first request of a group count for those of it that have none; rows without a group stay as they are."""
    from pyspark.sql import functions as F

    grouped = matches.withColumn("group_", F.expr(group))
    first = grouped.where("group_ is not null").groupBy("group_").agg(F.min("request_id").alias("first_"))
    return (
        grouped.join(first, "group_", "left")
        .withColumn("request_id", F.coalesce("request_id", "first_"))
        .drop("group_", "first_")
    )


opt_outs = Stage(
    name="opt_outs",
    table=schema.OPT_OUT_MATCHES,
    reads=("repo_id", "path", "blob_id"),
    config=OptOutConfig,
    transform=match,
    tables=("repos", "requests"),
    modules=("kernels.opt_outs", "kernels.opt_out_match", "kernels.opt_out_forms", "kernels.opt_out_targets"),
    metrics={"opted_out": "count_if(request_id is not null)"},
)
