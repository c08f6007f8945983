"""Policy: the first stage that objects names the reason; what was not scanned never passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stackcurate import schema
from stackcurate.pipeline import load_config
from stackcurate.release.policy import ReleaseConfig, judge
from stackcurate.stage import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def frame(spark: SparkSession, table: schema.Table, *rows: dict[str, Any]) -> DataFrame:
    empty = dict.fromkeys(table.columns.names)
    return spark.createDataFrame([{**empty, **row} for row in rows], spark_schema(table.columns))


FILES = [
    {"file_id": f"f{i}", "repo_id": "r", "revision": "1", "path": f"{i}.py", "blob_id": f"b{i}", "size": 5}
    for i in range(6)
]
TEXT = {"encoding": "utf-8", "lines": 3, "line_length_max": 20, "line_length_mean": 10.0, "alphanumeric_fraction": 0.7,
        "alphabetic_fraction": 0.6, "encoded_fraction": 0.0}  # fmt: skip
OVERLAP = {"benchmark": "humaneval", "item": "HumanEval/0", "field": "prompt", "coverage": 1.0, "start": 0, "end": 5}


def reasons(spark: SparkSession, *overrides: str, contaminated: int = 1) -> dict[str, tuple[str | None, str | None]]:
    files = frame(spark, schema.FILES, *FILES, {**FILES[0], "file_id": "f9", "blob_id": None, "error": "link"})
    every = [f"f{i}" for i in range(6)]
    licenses = {"license": "MIT", "license_reason": "resolved", "license_source": "root"}
    special = {"f1": {"license": "GPL-3.0-only"}, "f2": {"license_reason": "needs_review"}}
    facts = {
        "opt_outs": frame(
            spark, schema.OPT_OUT_MATCHES, *({"file_id": f, "request_id": "q" if f == "f3" else None} for f in every)
        ),
        "licenses": frame(spark, schema.LICENSES, *({"file_id": f, **licenses, **special.get(f, {})} for f in every)),
        "language": frame(
            spark, schema.LANGUAGE, *({"file_id": f, "language": "Python", "generated": False} for f in every)
        ),
        "quality": frame(
            spark,
            schema.QUALITY,
            *({"blob_id": f"b{i}", **TEXT, "line_length_max": 9000 if i == 4 else 20} for i in range(6)),
        ),
        "malware": frame(
            spark,
            schema.MALWARE,
            *({"blob_id": f"b{i}", "verdict": None if i == 5 else "clean", "findings": []} for i in range(6)),
        ),
        "contamination": frame(
            spark,
            schema.CONTAMINATION,
            *({"blob_id": f"b{i}", "overlaps": [OVERLAP] if i == 0 else []} for i in range(contaminated, 6)),
        ),
    }
    judged = judge(files, facts, load_config(None, overrides).sections)
    return {row["file_id"]: (row["stage"], row["reason"]) for row in judged.collect()}


def test_each_stage_gives_its_reason(spark: SparkSession) -> None:
    assert reasons(spark) == {
        "f0": (None, None),
        "f1": ("licenses", "license_copyleft"),
        "f2": ("licenses", "needs_review"),
        "f3": ("opt_outs", "opted_out"),
        "f4": ("quality", "long_line"),
        "f5": ("malware", "not_scanned"),
        "f9": ("files", "link"),
    }


def test_policy_is_the_configs(spark: SparkSession) -> None:
    found = reasons(spark, 'policy.extra_allow=["GPL-3.0-only"]', 'release.languages=["C"]')

    assert found["f0"] == ("language", "language_not_wanted")
    assert found["f1"] == ("language", "language_not_wanted")


def test_a_file_with_a_benchmark_goes_or_is_labelled(spark: SparkSession) -> None:
    assert reasons(spark, contaminated=0)["f0"] == ("contamination", "contaminated")
    assert reasons(spark, "release.contamination=label", contaminated=0)["f0"] == (None, None)


@pytest.mark.parametrize("wrong", [{"contamination": "keep"}, {"version": "a/b"}, {"version": ""}, {"shard_bytes": 0}])
def test_a_config_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReleaseConfig(**wrong)
