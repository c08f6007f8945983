"""Components by DataFrames against union-find on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from stackcurate import load_config, schema
from stackcurate.cluster_facts import _labels
from stackcurate.errors import WorkspaceError
from stackcurate.facts import Build
from stackcurate.kernels.clusters import components as union_find
from stackcurate.stages.components import components
from stackcurate.stages.tables import write
from stackcurate.workspace import Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from stackcurate.workspace import Workspace

SQL = ("string", "string", "float")


def test_random_graphs_chains_stars_and_cliques(spark: SparkSession) -> None:
    """All in one graph, each with numbers of its own, so that Spark's rounds are paid for once."""
    rng = np.random.default_rng(4)
    blocks = [rng.integers(0, nodes, (2, edges)) for nodes, edges in [(40, 10), (40, 30), (40, 80), (200, 190), (9, 2)]]
    chain = np.arange(100)
    blocks += [np.array([chain[:-1], chain[1:]]), rng.permutation(100)[np.array([chain[:-1], chain[1:]])]]
    blocks += [np.array([np.zeros(50, int), np.arange(50)]), np.array([np.full(50, 49), np.arange(50)])]
    blocks += [np.array(np.triu_indices(12, 1)), np.array([[3, 5], [3, 5]])]
    left, right = np.concatenate([block + 1000 * number for number, block in enumerate(blocks)], axis=1)
    mix = rng.permutation(len(left))

    assert labels(edges_of(spark, left[mix], right[mix])) == expected(left, right)


def test_a_build_clusters_alike_with_and_without_the_driver(spark: SparkSession, workspace: Workspace) -> None:
    pairs = [("b", "a10", 0.8), ("a10", "a9", 0.7), ("z", "y", 1.0), ("y", "z", 1.0), ("a10", "b", 0.8)]
    table = schema.NEAR_DUP_EDGES
    edges = spark.createDataFrame(
        pairs, ", ".join(f"{name} {kind}" for name, kind in zip(table.columns.names, SQL, strict=True))
    )
    run = write(edges, workspace, table, Run(table=table.name, run_id="x-00000", digest="x"))

    for driver_documents in (0, 5):
        config = load_config(overrides=[f"near_dups.driver_documents={driver_documents}"])
        rows = _labels(Build(config, workspace), 5, [run]).select("blob_id", "cluster_id").collect()
        assert {tuple(row) for row in rows} == {("b", "a10"), ("a10", "a10"), ("a9", "a10"), ("z", "y"), ("y", "y")}


def test_a_chain_takes_few_rounds(spark: SparkSession) -> None:
    order = np.random.default_rng(7).permutation(10_000)

    found = components(edges_of(spark, order[:-1], order[1:]), rounds=20)

    assert found.selectExpr("count(*)", "count(distinct node)", "max(root)").first()[:] == (10_000, 10_000, 0)


@pytest.mark.parametrize("leaves", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_hot_star_is_one_component(spark: SparkSession, leaves: int) -> None:
    star = spark.range(leaves).selectExpr("id + 1 as leaf", f"{leaves // 2}L as hub")

    found = components(star, rounds=3)

    assert found.selectExpr("count(*)", "max(root)", "min(root)").first()[:] == (leaves, 1, 1)


def test_no_edges_and_loops_have_no_components(spark: SparkSession) -> None:
    assert labels(edges_of(spark, np.array([], int), np.array([], int))) == {}
    assert labels(edges_of(spark, np.array([4, 5]), np.array([4, 5]))) == {}


def test_too_few_rounds_are_said(spark: SparkSession) -> None:
    with pytest.raises(WorkspaceError, match="after 2 rounds"):
        components(edges_of(spark, np.arange(100), np.arange(1, 101)), rounds=2)


def edges_of(spark: SparkSession, left: np.ndarray, right: np.ndarray) -> DataFrame:
    return spark.createDataFrame(pa.table({"left": left, "right": right}))


def labels(edges: DataFrame) -> dict[object, object]:
    rows = components(edges).collect()
    found = {row["node"]: row["root"] for row in rows}
    assert len(found) == len(rows)
    return found


def expected(left: np.ndarray, right: np.ndarray) -> dict[int, int]:
    roots = union_find(int(max(left.max(), right.max())) + 1, left, right)
    apart = left != right
    return {node: int(roots[node]) for node in np.unique([left[apart], right[apart]]).tolist()}
