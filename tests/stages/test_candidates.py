"""Candidate pairs of Spark against a few plain lines of Python, and of hot buckets in a heap of 768 MB."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.minhash import NearDupConfig
from stackcurate.stages.near_dups import candidates
from stackcurate.stages.verification import unverified

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def pairs_of(bands: DataFrame, config: NearDupConfig) -> DataFrame:
    return unverified(candidates(bands, bands.selectExpr("blob_id", "1L as size"), config))


def test_all_members_of_buckets_are_paired(spark: SparkSession) -> None:
    rng = np.random.default_rng(5)
    names = np.array([f"{number:03d}" for number in range(200)])
    groups = [set(rng.choice(names, size).tolist()) for size in (1, 1, 2, 3, 5, 12, 40)]
    buckets = {int(key): groups[rng.integers(len(groups))] for key in rng.integers(-(1 << 62), 1 << 62, 30)}
    bands = [[key for key, members in buckets.items() if name in members] or None for name in names]
    table = pa.table({"blob_id": names, "bands": pa.array(bands, pa.list_(pa.int64()))})

    rows = pairs_of(spark.createDataFrame(table), NearDupConfig()).collect()

    found = [(row["left_blob_id"], row["right_blob_id"]) for row in rows]
    assert len(found) == len(set(found))
    assert set(found) == {
        pair for members in groups if members in buckets.values() for pair in combinations(sorted(members), 2)
    }


@pytest.mark.parametrize("members", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_hot_bucket_is_linear_and_misses_nobody(spark: SparkSession, members: int) -> None:
    config = NearDupConfig()
    bands = spark.range(members).selectExpr("sha1(cast(id as string)) as blob_id", "array(7L, 1000 + id) as bands")

    ends = pairs_of(bands, config).selectExpr("explode(array(left_blob_id, right_blob_id)) as blob_id")
    met = ends.groupBy("blob_id").count()
    count, least, pairs = met.selectExpr("count(*)", "min(count)", "sum(count) div 2").first()

    assert count == members
    assert least >= config.anchors
    assert config.anchors * (members - config.full_bucket) < pairs < (config.anchors + 1) * members


@pytest.mark.parametrize("members", [30_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_equal_sketches_meet_once_and_not_in_each_band(spark: SparkSession, members: int) -> None:
    config = NearDupConfig()
    bands = spark.range(members).selectExpr("sha1(cast(id as string)) as blob_id", "sequence(1L, 42L) as bands")

    expected = 64 * 63 // 2 + (members - 64) * config.anchors
    assert pairs_of(bands, config).count() == expected
