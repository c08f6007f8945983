"""Language: Linguist's rules over path and content, and what the repository tells of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.kernels.language import LanguageConfig
from stackcurate.kernels.language_attributes import is_attribute_file
from stackcurate.kernels.language_context import CONTEXT, repository_context
from stackcurate.stage import Stage, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_context(candidates: DataFrame, files: DataFrame, blobs: BlobReader) -> DataFrame:
    """Add to each file the column `context`: its neighbours, and what `.gitattributes` say of it.

    Args:
        candidates: files of some repositories.
        files: all files of these repositories and perhaps others; those without `blob_id` cannot be read.
        blobs: where the contents are.
    """
    columns = pa.schema([schema.FILES.columns.field("file_id"), pa.field("context", CONTEXT)])

    def add_context(tree: pa.Table) -> pa.Table:  # Spark reads the annotations, which a partial hides
        paths = tree["path"].to_pylist()
        rows = zip(paths, tree["blob_id"].to_pylist(), strict=True)
        found = sorted((blob, path) for path, blob in rows if blob and is_attribute_file(path))
        contents = blobs.read(pa.array([blob for blob, _ in found], pa.string())).to_pylist()
        attributes = {path: content for (_, path), content in zip(found, contents, strict=True) if content}
        context = repository_context(paths, attributes)
        return pa.Table.from_arrays([tree["file_id"].cast(pa.string()), context], schema=columns)

    trees = files.join(candidates.select("repo_id").distinct(), "repo_id", "left_semi")
    light = trees.select("repo_id", "revision", "file_id", "path", "blob_id")
    contexts = light.groupBy("repo_id", "revision").applyInArrow(add_context, spark_schema(columns))
    return candidates.join(contexts, "file_id", "left")


language = Stage(
    name="language",
    table=schema.LANGUAGE,
    reads=("path", "content", "context"),
    config=LanguageConfig,
    kernel="language:detect",
    modules=(
        "kernels.language_attributes",
        "kernels.language_classifier",
        "kernels.language_context",
        "kernels.language_generated",
        "kernels.language_heuristics",
        "kernels.language_strategies",
        "kernels.language_tokens",
        "kernels.content",
    ),
    data=("linguist",),
    metrics={"known": "count_if(language is not null)", "generated": "count_if(generated)"},
)
