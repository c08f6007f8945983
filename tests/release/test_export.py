"""Export and funnel: counts by stage in the order of the stages, and an error where nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackcurate import schema
from stackcurate.release.export import _nothing_left
from stackcurate.release.funnel import make_funnel
from stackcurate.stage import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_funnel_counts_files_and_bytes_by_reason(spark: SparkSession) -> None:
    empty = dict.fromkeys(schema.DECISIONS.columns.names)
    verdicts = {
        "f1": None,
        "f2": ("quality", "long_line"),
        "f3": ("licenses", "no_license"),
        "f4": ("quality", "long_line"),
    }
    decisions = [
        empty | {"file_id": name, "kept": given is None, "stage": given and given[0], "reason": given and given[1]}
        for name, given in verdicts.items()
    ]
    files = [(name, "b", 10) for name in verdicts] + [("f5", None, 1 << 60)]  # what was not read only claims a size
    repos = [dict.fromkeys(schema.REPOS.columns.names) | {"repo_id": "a", "error": "no_head"}]

    funnel = make_funnel(
        spark.createDataFrame(decisions, spark_schema(schema.DECISIONS.columns)),
        spark.createDataFrame(files, "file_id string, blob_id string, size long"),
        spark.createDataFrame(repos, spark_schema(schema.REPOS.columns)),
    )

    assert funnel == {
        "files": 4,
        "bytes": 40,
        "kept": {"files": 1, "bytes": 10},
        "dropped": [
            {"stage": "licenses", "reason": "no_license", "files": 1, "bytes": 10},
            {"stage": "quality", "reason": "long_line", "files": 2, "bytes": 20},
        ],
        "repositories": {"read": 1, "errors": {"no_head": 1}},
    }
    assert "no_license: 1" in _nothing_left(funnel)
