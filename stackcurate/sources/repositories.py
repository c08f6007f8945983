"""Repository metadata of all sources: into the workspace, and out of it as one record per repository."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.errors import ConfigError
from stackcurate.sources.gharchive import hour_files
from stackcurate.sources.gharchive_events import COUNTS
from stackcurate.sources.gharchive_ingest import ingest_hours, record_hours
from stackcurate.sources.github_client import Client
from stackcurate.sources.github_ingest import ingest_github
from stackcurate.sources.github_tokens import read_tokens
from stackcurate.sources.repos_config import GHARCHIVE, ReposConfig
from stackcurate.stages.tables import OnRows, frame, read
from stackcurate.workspace import Workspace, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Progress = Callable[[str, int], AbstractContextManager[OnRows]]


def pull(
    spark: Callable[[], SparkSession],
    workspace: Workspace,
    config: ReposConfig,
    progress: Progress,
    notify: Callable[[str], None],
) -> DataFrame:
    """Bring the metadata of all sources into the workspace, as far as it is not there, and return all records.

    Args:
        spark: gives the session; called once there is something to do.
        workspace: where the tables are.
        config: the sources.
        progress: shows hours and repositories.
        notify: told in a sentence what the user should know: limits that are waited for, tokens that are refused.

    Raises:
        ConfigError: no source is configured, or one names nothing that exists.
        SourceError: a source cannot be read.
    """
    if not config.sources:
        raise ConfigError("no sources of metadata; set repos.sources, or give --source gharchive:PLACE or github:NAME")
    client: Client | None = None
    for source in config.sources:
        kind, _, place = source.partition(":")
        if kind == GHARCHIVE:
            files = hour_files(place, config.since, config.until)
            ingest_hours(spark(), workspace, files, config, progress)
        else:
            client = client or Client(read_tokens(config.tokens_file, config.tokens_env), config.api_url, notify=notify)
            ingest_github(workspace, place, client, config, progress)
    if runs(workspace, schema.REPO_HOURS.name):
        record_hours(spark(), workspace)
    return repository_records(spark(), workspace)


def repository_records(spark: SparkSession, workspace: Workspace) -> DataFrame:
    """Return the latest record of each repository over all sources, with all names that it is known to have borne."""
    from pyspark.sql import functions as F

    found = runs(workspace, schema.REPO_RECORDS.name)
    merged = [run for run in found if run.digest == GHARCHIVE]
    newest = max(merged, key=lambda run: run.metrics["runs"], default=None)
    rows = read(spark, workspace, schema.REPO_RECORDS,
                [run for run in found if run.digest != GHARCHIVE or run is newest])  # fmt: skip
    others = [name for name in schema.REPO_RECORDS.columns.names if name not in ("repo_id", "former_names")]
    full = F.when(F.col("name").isNotNull(), F.concat_ws("/", "owner", "name"))
    names = F.concat(F.coalesce("former_names", F.array().cast("array<string>")), F.array(full))
    latest = rows.groupBy("repo_id").agg(
        F.max(F.struct(F.col("recorded_at").alias("at"), F.col("source").alias("from"), F.struct(*others).alias("row"))
        ).alias("last"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list(names)))).alias("all"),
    )  # fmt: skip
    now = "concat_ws('/', last.row.owner, last.row.name)"
    former = f"nullif(filter(all, x -> x is not null and lower(x) != lower({now})), array()) as former_names"
    columns = [former if n == "former_names" else f"last.row.{n}" for n in schema.REPO_RECORDS.columns.names[1:]]
    return latest.selectExpr("repo_id", *columns)


def records_of(spark: SparkSession, workspace: Workspace, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the latest record of each repository that is known by a name.

    Args:
        spark: the session.
        workspace: where the records are.
        names: repo_ids, or host, owner and name, in lower case.

    Returns:
        Records by name, of those that are known. A name that several bore is that of the one that bears it now, else
        of the one that was recorded last.
    """
    from pyspark.sql import functions as F

    if not runs(workspace, schema.REPO_RECORDS.name):
        return {}
    wanted = frame(spark, pa.table({"known_as": pa.array(sorted(set(names)), pa.string())})).hint("broadcast")
    borne = (
        "array(struct(0 as rank, repo_id as name), struct(1 as rank, concat_ws('/', host, owner, name) as name))",
        "transform(coalesce(former_names, array()), x -> struct(2 as rank, concat_ws('/', host, x) as name))",
    )
    records = repository_records(spark, workspace).where("host_id is not null and name is not null")
    named = records.withColumn("borne", F.explode(F.expr(f"concat({', '.join(borne)})")))
    found = named.withColumn("known_as", F.lower("borne.name")).join(wanted, "known_as").toArrow().to_pylist()
    never = datetime.min.replace(tzinfo=UTC)
    found.sort(key=lambda row: (-row["borne"]["rank"], row["recorded_at"] or never, row["host_id"]))
    return {row["known_as"]: row for row in found}  # of several the last


def damaged_hours(workspace: Workspace) -> list[str]:
    """Return a sentence on the hours of GH Archive that are not whole, and one on lines that were lost in others."""
    found = read_table(workspace, schema.ARCHIVE_HOURS, runs(workspace, schema.ARCHIVE_HOURS.name)).to_pylist()
    last: dict[datetime, dict[str, Any]] = {}
    for row in found:  # an hour may have been read again
        known = last.get(row["hour"])
        last[row["hour"]] = row if known is None or known["error"] is not None else known
    broken = Counter(row["error"] for row in last.values() if row["error"])
    lost = {name: sum(row[name] or 0 for row in last.values()) for name in COUNTS[1:]}
    sentences = []
    if broken:
        listed = ", ".join(f"{number:,} {error}" for error, number in sorted(broken.items()))
        whole = f"{sum(broken.values()):,} of {len(last):,} hours are not whole"
        sentences.append(f"{whole}: {listed}; the next run tries them again")
    if any(lost.values()):
        sentences.append(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in lost.items() if number))
    return sentences
