"""Election: every file that goes has a kept one that is identical or verifiably similar; order decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.release.election import elect_files
from stackcurate.stage import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JUDGED = pa.schema(
    [(n, pa.string()) for n in ("file_id", "repo_id", "revision", "path", "blob_id", "stage", "reason", "detail")]
)


def elected(spark: SparkSession, files: list[tuple[str, str, str, str | None]], stars: dict[str, int],
            edges: list[tuple[str, str, float]]) -> dict[str, tuple[str | None, str | None]]:  # fmt: skip
    """Elect among (file_id, repo_id, blob_id, reason) and return reason and detail by file_id."""
    rows = [(f, repo, "1", f"{f}.py", blob, "x" if reason else None, reason, None) for f, repo, blob, reason in files]
    judged = spark.createDataFrame(rows, spark_schema(JUDGED))
    repos = spark.createDataFrame(
        [
            {**dict.fromkeys(schema.REPOS.columns.names), "repo_id": name, "revision": "1", "stars": n}
            for name, n in stars.items()
        ],
        spark_schema(schema.REPOS.columns),
    )
    found = pa.Table.from_pylist(
        [dict(zip(schema.NEAR_DUP_EDGES.columns.names, edge, strict=True)) for edge in edges],
        schema=schema.NEAR_DUP_EDGES.columns,
    )
    return {row["file_id"]: (row["reason"], row["detail"]) for row in elect_files(judged, repos, found, 0.7).collect()}


def test_the_popular_copy_stays(spark: SparkSession) -> None:
    files = [("f1", "small", "b1", None), ("f2", "big", "b1", None), ("f3", "big", "b2", None)]

    assert elected(spark, files, {"small": 1, "big": 9}, []) == {
        "f1": ("exact_duplicate", "f2"),
        "f2": (None, None),
        "f3": (None, None),
    }


def test_a_chain_keeps_both_ends(spark: SparkSession) -> None:
    """b is similar to a and to c; a and c are not similar to each other, so b alone goes."""
    files = [("fa", "r3", "a", None), ("fb", "r2", "b", None), ("fc", "r1", "c", None)]
    stars = {"r3": 3, "r2": 2, "r1": 1}

    assert elected(spark, files, stars, [("a", "b", 0.8), ("b", "c", 0.8)]) == {
        "fa": (None, None),
        "fb": ("near_duplicate", "fa"),
        "fc": (None, None),
    }


def test_the_next_member_is_promoted_where_the_best_is_out(spark: SparkSession) -> None:
    files = [("fa", "r3", "a", "opted_out"), ("fb", "r2", "b", None), ("fc", "r1", "c", None)]
    stars = {"r3": 3, "r2": 2, "r1": 1}
    edges = [("a", "b", 0.9), ("a", "c", 0.9), ("b", "c", 0.9)]

    assert elected(spark, files, stars, edges) == {
        "fa": ("opted_out", None),
        "fb": (None, None),
        "fc": ("near_duplicate", "fb"),
    }
