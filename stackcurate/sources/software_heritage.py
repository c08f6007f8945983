"""Software Heritage: the files of origins at their last full visit, from the tables of a graph export.

    rows = file_list(spark, "export/parquet", origins="https://github.com/%")

The list has the columns of The Stack v2, and `origin`; contents are fetched by SHA-1 when the list is read. Each
directory is joined once however many repositories share it, and the walk ends with the deepest one.

Source: swh-export, `swh/export/relational.py`, for the tables and their columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

TABLES = ("origin_visit_status", "snapshot_branch", "revision", "directory_entry", "content")
"""Tables of an export that are read."""
BRANCHES = ("HEAD", "refs/heads/master", "refs/heads/main")
"""Branches that stand for a repository, first choice first."""
_DEPTH = 100
"""Folders above a file; as many as `[sources] max_depth` allows by default."""
_REGULAR = 0o100000
_KIND = 0o170000


def file_list(spark: SparkSession, export: str, origins: str = "%") -> DataFrame:
    """Return the files of each origin at its last full visit.

    Args:
        spark: the session.
        export: folder with a folder per table, ORC or Parquet; Spark has to be able to read it.
        origins: SQL pattern of addresses.

    Returns:
        A row per regular file, and one without a path for an origin that has no such visit or no head: `origin`,
        `repo_name`, `revision_id`, `branch_name`, `revision_date`, `blob_id` (SHA-1), `content_id` (git's), `path`,
        `length_bytes`; what the archive does not hold has a null `blob_id`.
    """
    from pyspark.sql import functions as F

    tables = {name: _table(spark, export, name) for name in TABLES}
    known = tables["origin_visit_status"].where(F.col("origin").like(origins)).select("origin").distinct()
    heads = revisions(tables, origins).persist()
    entries = _needed(heads.select(F.col("directory").alias("directory_id")).distinct(), tables["directory_entry"])
    files = _paths(heads, entries)
    held = tables["content"].select(F.col("sha1_git").alias("content_id"), F.col("sha1").alias("blob_id"), "length")
    name = F.regexp_extract("origin", r"^[a-z]+://[^/]+/(.+?)(\.git)?/?$", 1)
    without = known.join(heads, "origin", "left_anti")
    rows = files.join(held, "content_id", "left").unionByName(without, allowMissingColumns=True)
    return rows.select(
        "origin", name.alias("repo_name"), F.col("id").alias("revision_id"), F.col("branch").alias("branch_name"),
        F.col("date").alias("revision_date"), "blob_id", "content_id", F.concat(F.lit("/"), "path").alias("path"),
        F.col("length").alias("length_bytes"),
    )  # fmt: skip


def revisions(tables: dict[str, DataFrame], origins: str = "%") -> DataFrame:
    """Return the revision of each origin's head at its last full visit.

    Args:
        tables: of the export, by name.
        origins: SQL pattern of addresses.

    Returns:
        A row per origin that has one: `origin`, `branch`, `id`, `directory`, `date`.
    """
    from pyspark.sql import functions as F

    status = tables["origin_visit_status"].where(F.col("origin").like(origins))
    full = status.where("status = 'full' and snapshot is not null")
    order = F.struct(_time(full, "date").alias("at"), "visit")
    last = full.groupBy("origin").agg(F.max_by("snapshot", order).alias("snapshot_id"))
    branches = tables["snapshot_branch"].select(
        "snapshot_id", F.col("name").cast("string").alias("branch"), "target", "target_type"
    )
    wanted = branches.join(F.broadcast(last.select("snapshot_id").distinct()), "snapshot_id", "left_semi")
    ranked = F.array_position(F.array(*map(F.lit, BRANCHES)), F.col("branch"))
    direct = wanted.where("target_type = 'revision'")
    # An alias names a branch: its bytes, written in hexadecimal like every other target.
    named = F.coalesce(F.decode(F.unhex("target"), "utf-8"), F.col("target"))
    alias = wanted.where("target_type = 'alias' and branch = 'HEAD'").select("snapshot_id", named.alias("branch"))
    through = direct.join(alias, ["snapshot_id", "branch"], "left_semi").withColumn("rank", F.lit(1).cast("bigint"))
    heads = direct.withColumn("rank", ranked).where("rank > 0").unionByName(through)
    best = heads.groupBy("snapshot_id").agg(
        F.min_by(F.struct("branch", "target"), F.struct("rank", "branch")).alias("b")
    )
    found = last.join(best, "snapshot_id").select("origin", "b.branch", F.col("b.target").alias("id"))
    commits = tables["revision"].select("id", "directory", _time(tables["revision"], "date").alias("date"))
    return found.join(commits, "id").select("origin", "branch", "id", "directory", "date")


def _table(spark: SparkSession, export: str, name: str) -> DataFrame:
    place = f"{export.rstrip('/')}/{name}"
    orc = Path(place).is_dir() and any(Path(place).glob("*.orc"))
    return (spark.read.orc if orc or "/orc" in export else spark.read.parquet)(place)


def _time(rows: DataFrame, name: str) -> Column:
    """Return a time, which ORC holds as a timestamp and Parquet as seconds and microseconds."""
    from pyspark.sql import functions as F

    if rows.schema[name].dataType.typeName() == "struct":
        return F.timestamp_micros(F.col(f"{name}.seconds") * 1_000_000 + F.col(f"{name}.microseconds"))
    return F.col(name).cast("timestamp")


def _needed(frontier: DataFrame, entries: DataFrame) -> DataFrame:
    """Return the entries of the directories below some roots, each directory once."""
    from pyspark.sql import functions as F

    columns = ["directory_id", F.col("name").cast("string").alias("name"), "type", "target", "perms"]
    seen, found = frontier, None
    for _ in range(_DEPTH):
        level = entries.join(frontier, "directory_id", "left_semi").select(*columns).localCheckpoint()
        found = level if found is None else found.unionByName(level)
        below = level.where("type = 'dir'").select(F.col("target").alias("directory_id")).distinct()
        frontier = below.join(seen, "directory_id", "left_anti").localCheckpoint()
        if frontier.isEmpty():
            break
        seen = seen.unionByName(frontier)
    assert found is not None
    return found.persist()


def _paths(heads: DataFrame, entries: DataFrame) -> DataFrame:
    """Return the regular files of each head with their whole paths."""
    from pyspark.sql import functions as F

    keys = [name for name in heads.columns if name != "directory"]
    above = heads.select(*keys, F.col("directory").alias("directory_id"), F.lit("").alias("above"))
    files = None
    for _ in range(_DEPTH):
        level = above.join(entries, "directory_id").withColumn("path", F.concat("above", "name")).localCheckpoint()
        regular = f"type = 'file' and (perms is null or (perms & {_KIND}) = {_REGULAR})"
        here = level.where(regular).select(*keys, "path", F.col("target").alias("content_id"))
        files = here if files is None else files.unionByName(here)
        folders = level.where("type = 'dir'")
        above = folders.select(
            *keys, F.col("target").alias("directory_id"), F.concat("path", F.lit("/")).alias("above")
        )
        if above.isEmpty():
            break
    assert files is not None
    return files
