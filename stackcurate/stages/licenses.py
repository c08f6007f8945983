"""Licences: what ScanCode finds in each blob, then one decision per file of a repository."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.kernels.license_resolver import ResolverConfig, needs_content, resolve
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
    return files.mapInArrow(_add_scanned_as, spark_schema(columns, after=files))


def _add_scanned_as(batches: Batches) -> Batches:
    for batch in batches:
        kinds = pa.array([scanned_as(path) for path in batch["path"].to_pylist()], pa.string())
        yield batch.append_column("scanned_as", kinds)


def legal_texts(files: DataFrame, blobs: BlobReader) -> DataFrame:
    """Return the contents of the few files whose text the resolver reads itself: path mappings and pointers.

    Args:
        files: path, blob_id, size, mode.
        blobs: where the contents are.
    """
    columns = pa.schema([schema.BLOBS.columns.field(name) for name in ("blob_id", "content")])
    light = files.select("path", "blob_id", "size", "mode")
    return light.mapInArrow(partial(_read_legal, blobs=blobs), spark_schema(columns)).dropDuplicates(["blob_id"])


def _read_legal(batches: Batches, *, blobs: BlobReader) -> Batches:
    for batch in batches:
        rows = [row for row in batch.to_pylist() if needs_content(row["path"], row["size"], row["mode"])]
        ids = pa.array(sorted({row["blob_id"] for row in rows}), pa.string())
        contents = blobs.read(ids).cast(pa.binary())
        yield pa.RecordBatch.from_arrays([ids, contents], names=["blob_id", "content"])


def resolve_files(
    files: DataFrame,
    config: ResolverConfig,
    *,
    repos: DataFrame,
    license_detections: DataFrame,
    legal_texts: DataFrame,
) -> DataFrame:
    """Decide the licence of each file from its repository's tree.

    Args:
        files: file_id, repo_id, revision, path, blob_id; all files of a revision together.
        config: how far each kind of evidence is trusted.
        repos: claims of the host, by repo_id and revision.
        license_detections: findings by blob_id and scanned_as; files without are undecided.
        legal_texts: contents that the resolver reads, by blob_id.
    """
    claims = repos.select("repo_id", "revision", "host_license").dropDuplicates(["repo_id", "revision"])
    findings = license_detections.select("blob_id", "scanned_as", *FACTS)
    joined = (
        with_scanned_as(files)
        .join(findings, ["blob_id", "scanned_as"], "left")
        .join(claims, ["repo_id", "revision"], "left")
        .join(legal_texts, "blob_id", "left")
        .select("repo_id", "revision", "file_id", "path", "blob_id", "mode", *FACTS, "host_license", "content")
    )

    def resolve_group(group: pa.Table) -> pa.Table:  # Spark reads the annotations, which a partial hides
        decisions = pa.Table.from_batches([resolve(group.combine_chunks(), config)])
        return decisions.select(schema.LICENSES.columns.names).cast(schema.LICENSES.columns)

    return joined.groupBy("repo_id", "revision").applyInArrow(resolve_group, spark_schema(schema.LICENSES.columns))


license_scan = Stage(
    name="license_scan",
    table=schema.LICENSE_DETECTIONS,
    reads=("content", "scanned_as"),
    config=LicenseScanConfig,
    kernel="license_scan:scan",
    modules=(
        "kernels.license_alignment",
        "kernels.license_deadline",
        "kernels.license_filetype",
        "kernels.license_holders",
        "kernels.license_index",
        "kernels.license_index_numba",
        "kernels.license_spans",
        "kernels.shingles_numba",
        "kernels.license_manifest",
        "kernels.content",
        "kernels.license_names",
        "kernels.license_residual",
        "kernels.license_scancode",
    ),
    requires=("scancode-toolkit",),
    metrics={
        "detected": "count_if(size(detections) > 0)",
        "unfinished": "count_if(status in ('deadline', 'error', 'skipped_size'))",
    },
)

licenses = Stage(
    name="licenses",
    table=schema.LICENSES,
    reads=("repo_id", "revision", "path", "blob_id", "mode"),
    config=ResolverConfig,
    transform=resolve_files,
    tables=("repos", "license_detections", "legal_texts"),
    modules=(
        "kernels.license_resolver",
        "kernels.license_attribution",
        "kernels.license_evidence",
        "kernels.license_expressions",
        "kernels.license_folders",
        "kernels.license_headers",
        "kernels.license_names",
        "kernels.license_policy",
        "kernels.license_published",
        "kernels.license_reuse",
        "kernels.content",
        "kernels.license_table",
    ),
    data=("licenses",),
    requires=("license-expression",),
    after=(license_scan,),
    metrics={"licensed": "count_if(license is not null)"},
)
