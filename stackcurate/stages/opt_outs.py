"""Opt-outs: which request takes which occurrence out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackcurate import schema
from stackcurate.kernels.opt_outs import OptOutConfig
from stackcurate.stage import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def match(files: DataFrame, _: OptOutConfig, *, repos: DataFrame, requests: DataFrame) -> DataFrame:
    """Name for each file the first request that takes it out; null where none does.

    Args:
        files: file_id, repo_id, path, blob_id.
        repos: owner and name by repo_id; compared without case.
        requests: as `opt_outs`; only active ones count.
    """
    from pyspark.sql import functions as F

    names = repos.selectExpr(
        "repo_id", "lower(owner) as owner", "lower(concat_ws('/', owner, name)) as repository"
    ).distinct()
    known = files.join(names, "repo_id", "left")
    active = requests.where("state = 'active'").select("request_id", "kind", "value")
    keys = {
        "owner": "owner",
        "repository": "repository",
        "blob": "blob_id",
        "file": "lower(concat(repository, '/', path))",
    }
    hits = [
        known.selectExpr("file_id", f"{key} as value").join(
            active.where(F.col("kind") == kind).select("value", "request_id"), "value"
        )
        for kind, key in keys.items()
    ]
    by_id = {"repository": "lower(repo_id)", "file": "lower(concat(repo_id, '/', path))"}
    hits += [  # a repository may be named by its id as well
        known.selectExpr("file_id", f"{key} as value").join(
            active.where(F.col("kind") == kind).select("value", "request_id"), "value"
        )
        for kind, key in by_id.items()
    ]
    matched = hits[0]
    for more in hits[1:]:
        matched = matched.unionByName(more)
    first = matched.groupBy("file_id").agg(F.min("request_id").alias("request_id"))
    return files.select("file_id").join(first, "file_id", "left").withColumn("error", F.lit(None).cast("string"))


opt_outs = Stage(
    name="opt_outs",
    table=schema.OPT_OUT_MATCHES,
    reads=("repo_id", "path", "blob_id"),
    config=OptOutConfig,
    transform=match,
    tables=("repos", "requests"),
    modules=("kernels.opt_outs",),
    metrics={"opted_out": "count_if(request_id is not null)"},
)
