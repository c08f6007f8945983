"""The Stack v3's full corpus: repositories in one table, contents in another, joined to files that `the_stack` reads.

    rows = joined_files(spark, "stack-v3-full", repositories="octocat/%")

`metadata/` has a row per repository with its files, `contents/language=*/` a row per distinct content. Files that
corpus left out stay as stubs, so that they have their place in the funnel.

Source: the data set card of HuggingFaceCode/stack-v3-full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_REPOSITORY = ("repo_path", "repo_id", "commit_id", "github_metadata")
_FILE = ("content_id", "file_path", "size_bytes")


def joined_files(spark: SparkSession, folder: str, repositories: str = "%") -> DataFrame:
    """Return the files of the corpus with their contents.

    Args:
        spark: the session.
        folder: holds `metadata` and `contents`; Spark has to be able to read it.
        repositories: SQL pattern of `owner/name`; contents that no file of these has are left out first.

    Returns:
        A row per file, and one without a path for a repository that has none: the repository's columns, `content_id`,
        `file_path`, `size_bytes`, and `content`, null for a stub. A content that stands under several languages is
        joined once.
    """
    from pyspark.sql import functions as F

    repos = spark.read.parquet(f"{folder.rstrip('/')}/metadata").where(F.col("repo_path").like(repositories))
    files = repos.select(*_REPOSITORY, F.explode_outer("files").alias("file"))
    files = files.select(*_REPOSITORY, *(f"file.{name}" for name in _FILE))
    texts = spark.read.parquet(f"{folder.rstrip('/')}/contents").select("content_id", "content")
    wanted = texts.join(files.select("content_id"), "content_id", "left_semi")
    return files.join(wanted.dropDuplicates(["content_id"]), "content_id", "left")
