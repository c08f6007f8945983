"""Licences: what ScanCode finds in each blob, then one decision per file of a repository."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.kernels.license_resolver import ResolverConfig, resolve
from stackcurate.kernels.license_scan import LicenseScanConfig, scanned_as
from stackcurate.stage import Batches, Stage, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FACTS = ("status", "detections", "declared", "unmatched")
"""Columns of `license_detections` that the resolver reads."""


def with_scanned_as(files: DataFrame) -> DataFrame:
    """Add to each file the kind of file that ScanCode reads it as.

    Args:
        files: holds `path`.
    """
    columns = pa.schema([schema.LICENSE_DETECTIONS.columns.field("scanned_as")])
    added = spark_schema(columns).fields[0]
    return files.mapInArrow(_add_scanned_as, files.schema.add(added))


def _add_scanned_as(batches: Batches) -> Batches:
    for batch in batches:
        kinds = pa.array([scanned_as(path) for path in batch["path"].to_pylist()], pa.string())
        yield batch.append_column("scanned_as", kinds)


def resolve_files(
    files: DataFrame, config: ResolverConfig, *, repos: DataFrame, license_detections: DataFrame
) -> DataFrame:
    """Decide the licence of each file from its repository's tree.

    Args:
        files: file_id, repo_id, revision, path, blob_id; all files of a revision together.
        config: how far each kind of evidence is trusted.
        repos: claims of the host, by repo_id and revision.
        license_detections: findings by blob_id and scanned_as; files without are undecided.
    """
    claims = repos.select("repo_id", "revision", "host_license").dropDuplicates(["repo_id", "revision"])
    findings = license_detections.select("blob_id", "scanned_as", *FACTS)
    joined = (
        with_scanned_as(files)
        .join(findings, ["blob_id", "scanned_as"], "left")
        .join(claims, ["repo_id", "revision"], "left")
        .select("repo_id", "revision", "file_id", "path", "blob_id", *FACTS, "host_license")
    )
    task = partial(_resolve_group, config=config)
    return joined.groupBy("repo_id", "revision").applyInArrow(task, spark_schema(schema.LICENSES.columns))


def _resolve_group(group: pa.Table, *, config: ResolverConfig) -> pa.Table:
    decisions = resolve(group.combine_chunks(), config)
    return pa.Table.from_batches([decisions]).select(schema.LICENSES.columns.names).cast(schema.LICENSES.columns)


license_scan = Stage(
    name="license_scan",
    table=schema.LICENSE_DETECTIONS,
    reads=("content", "scanned_as"),
    config=LicenseScanConfig,
    kernel="license_scan:scan",
    modules=("kernels.license_index", "kernels.license_names"),
    requires=("scancode-toolkit",),
    metrics={
        "detected": "count_if(size(detections) > 0)",
        "unfinished": "count_if(status in ('deadline', 'error', 'skipped_size'))",
    },
)

licenses = Stage(
    name="licenses",
    table=schema.LICENSES,
    reads=("repo_id", "revision", "path", "blob_id"),
    config=ResolverConfig,
    transform=resolve_files,
    tables=("repos", "license_detections"),
    modules=("kernels.license_resolver", "kernels.license_policy"),
    data=("licenses",),
    after=(license_scan,),
    metrics={"licensed": "count_if(license is not null)"},
)
