"""Election: every file that goes has a kept one that is identical or verifiably similar; order decides."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.release.election import elect_files, similar_losers
from stackcurate.stage import spark_schema
from stackcurate.stages.near_dups import clusters

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JUDGED = pa.schema(
    [(n, pa.string()) for n in ("file_id", "repo_id", "revision", "path", "blob_id", "stage", "reason", "detail")]
)


def elected(spark: SparkSession, files: list[tuple[str, str, str, str | None]], stars: dict[str, int],
            edges: Sequence[tuple[str, str, float | None]], generations: Mapping[str, int] = {},
            ) -> dict[str, tuple[str | None, str | None]]:  # fmt: skip
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
    columns = spark_schema(schema.NEAR_DUP_EDGES.columns)
    roots = dict(zip(*clusters(as_edges(edges)).to_pydict().values(), strict=True))
    known = [(blob, roots.get(blob, blob), generations.get(blob, 0), None) for blob in {row[4] for row in rows}]
    near_dups = spark.createDataFrame(known, spark_schema(schema.NEAR_DUPS.columns))
    decided = elect_files(judged, repos, near_dups, spark.createDataFrame(list(edges), columns), 0.7)
    return {row["file_id"]: (row["reason"], row["detail"]) for row in decided.collect()}


def as_edges(edges: Sequence[tuple[str, str, float | None]]) -> pa.Table:
    names = schema.NEAR_DUP_EDGES.columns.names
    rows = [dict(zip(names, edge, strict=True)) for edge in edges]
    return pa.Table.from_pylist(rows, schema=schema.NEAR_DUP_EDGES.columns)


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


def test_unverified_edges_leave_one_file_of_a_component(spark: SparkSession) -> None:
    """As The Stack was made: the ends of a chain go, too, however unlike they are."""
    files = [("fa", "r3", "a", "opted_out"), ("fb", "r2", "b", None), ("fc", "r1", "c", None), ("fd", "r1", "d", None)]
    edges = [("a", "b", None), ("a", "c", None)]

    assert elected(spark, files, {"r3": 3, "r2": 2, "r1": 1}, edges) == {
        "fa": ("opted_out", None),
        "fb": (None, None),
        "fc": ("near_duplicate", "fb"),
        "fd": (None, None),
    }


def test_of_equals_the_one_that_was_there_first_stays(spark: SparkSession) -> None:
    files = [("fa", "r1", "a", None), ("fb", "r2", "b", None), ("fc", "r3", "c", None), ("fd", "r4", "d", None)]
    stars = {"r1": 3, "r2": 3, "r3": 3, "r4": 4}
    edges = [("a", "b", 0.9), ("c", "d", 0.9)]

    assert elected(spark, files, stars, edges, {"a": 1, "b": 0, "c": 0, "d": 1}) == {
        "fa": ("near_duplicate", "fb"),
        "fb": (None, None),
        "fc": ("near_duplicate", "fd"),
        "fd": (None, None),
    }


def test_tasks_decide_on_their_clusters_as_one_would_on_all(spark: SparkSession) -> None:
    rng = random.Random(3)
    groups = [[f"b{group}.{number}" for number in range(rng.choice([2, 3, 8]))] for group in range(25)]
    edges = [(a, b, rng.uniform(0.7, 1)) for group in groups for a, b in combinations(group, 2) if rng.random() < 0.6]
    blobs = [blob for group in groups for blob in group]
    stars = {f"r{blob}": rng.randrange(10) for blob in blobs}
    files = [(f"f{blob}", f"r{blob}", blob, "opted_out" if rng.random() < 0.1 else None) for blob in blobs]

    found = elected(spark, files, stars, edges)

    joined = {blob for edge in edges for blob in edge[:2]}
    best = sorted((-stars[repo], repo, blob) for _, repo, blob, reason in files if reason is None and blob in joined)
    order = [blob for _, _, blob in best]
    contested = pa.table({"blob_id": order, "best_file_id": [f"f{blob}" for blob in order]})
    lost = similar_losers(contested, as_edges(edges), 0.7).to_pydict()
    expected = {f"f{blob}": ("near_duplicate", kept) for blob, kept in zip(*lost.values(), strict=True)}
    assert len(expected) > 20
    assert {name: verdict for name, verdict in found.items() if verdict[0] == "near_duplicate"} == expected
