"""Language: Linguist's rules over path and content, and what the repository tells of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.kernels.language import LanguageConfig
from stackcurate.kernels.language_attributes import worth_reading
from stackcurate.kernels.language_context import CONTEXT, repository_context
from stackcurate.stage import Stage, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_context(candidates: DataFrame, files: DataFrame, blobs: BlobReader) -> DataFrame:
    """Add to each file the column `context`: its neighbours, and what `.gitattributes` say of it.

    Only files of the same input count, so that no answer depends on what else was read, now or before.

    Args:
        candidates: files of some repositories.
        files: all files of these repositories and perhaps others; those without `blob_id` cannot be read.
        blobs: where the contents are.
    """
    columns = pa.schema([schema.FILES.columns.field("file_id"), pa.field("context", CONTEXT)])

    def add_context(tree: pa.Table) -> pa.Table:  # Spark reads the annotations, which a partial hides
        paths = tree["path"].to_pylist()
        held = tree.filter(pc.is_valid(tree["blob_id"]))
        blob_of = dict(zip(held["path"].to_pylist(), held["blob_id"].to_pylist(), strict=True))
        wanted = worth_reading(dict(zip(held["path"].to_pylist(), held["size"].to_pylist(), strict=True)))
        found = sorted((blob_of[path], path) for path in wanted)
        contents = blobs.read(pa.array([blob for blob, _ in found], pa.string())).to_pylist()
        attributes = {path: content for (_, path), content in zip(found, contents, strict=True) if content}
        context = repository_context(paths, attributes)
        return pa.Table.from_arrays([tree["file_id"].cast(pa.string()), context], schema=columns)

    trees = files.join(candidates.select("repo_id").distinct(), "repo_id", "left_semi")
    light = trees.select("input_id", "repo_id", "revision", "file_id", "path", "blob_id", "size")
    contexts = light.groupBy("input_id", "repo_id", "revision").applyInArrow(add_context, spark_schema(columns))
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
    metrics={
        "known": "count_if(language is not null)",
        "generated": "count_if(generated)",
        "agent_files": "count_if(agent_file)",
    },
)
