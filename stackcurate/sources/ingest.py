"""Ingest: read inputs in tasks, write repositories, files and contents; only inputs that are new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import OPEN_PACKS, PackWriter, compact
from stackcurate.sources import git_urls, the_stack
from stackcurate.sources.authors import author_rows
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.inputs import is_remote
from stackcurate.sources.inputs import read as read_input
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import TRANSIENT, Repository, file_row
from stackcurate.sources.repositories import records_of
from stackcurate.stage import Batches, spark_schema
from stackcurate.stages.tables import PART, OnRows, in_batches, read, read_batches, watch, write_part
from stackcurate.workspace import Part, Run, Workspace, author_key, commit, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

INPUT = pa.schema([
    *((name, pa.string()) for name in ("input_id", "path", "name", "kind", "fingerprint", "facts")),
    ("known", pa.list_(pa.string())),
])  # fmt: skip
_RANGE = pa.schema([("number", pa.int32()), ("first", pa.string()), ("last", pa.string())])
_PARTS = PART.insert(0, pa.field("table", pa.string()))
_LIMITS = ("max_file_bytes", "max_repository_bytes", "max_entries", "max_ratio", "max_depth", "max_path_bytes",
           "git_timeout_s")  # fmt: skip
_FETCHED = ("snapshot", "git_protocols", "git_mirror_bytes")
"""Values of the config on which the rows of an input depend; the second line counts for remote ones alone."""


def input_id(one: Input, config: SourcesConfig) -> str:
    """Return the digest of an input's name and state, and of the limits under which it is read."""
    limits: dict[str, Any] = {name: getattr(config, name) for name in _LIMITS}
    parts = [schema.VERSION, one.name, one.kind, one.fingerprint, limits]
    if is_remote(one):
        parts += [one.facts, {name: getattr(config, name) for name in _FETCHED}]
    elif one.kind == the_stack.KIND:
        parts += [config.contents, config.snapshot]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def identify(inputs: list[Input], config: SourcesConfig) -> dict[str, Input]:
    """Return the inputs by id; where two look alike from outside, their paths tell them apart."""
    found: dict[str, Input] = {}
    for one in sorted(inputs, key=lambda one: one.path):
        key = input_id(one, config)
        if key in found:
            key = hashlib.sha256(f"{key}\0{one.path}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        found[key] = one
    return found


def ingest(
    spark: Callable[[], SparkSession],
    workspace: Workspace,
    inputs: list[Input],
    config: SourcesConfig,
    tasks: Callable[[], int],
    progress: Callable[[str, int], AbstractContextManager[OnRows]],
) -> None:
    """Read the inputs that no complete run holds yet.

    Args:
        spark: gives the session; called only where there is something to read.
        workspace: where the tables are.
        inputs: all inputs of the build.
        config: limits.
        tasks: gives the number of tasks.
        progress: shows inputs as they are read.
    """
    wanted = identify(inputs, config)
    done, sources = _known(workspace, wanted)
    rows = [{"input_id": key, **asdict(one)} for key, one in wanted.items() if key not in done]
    if not rows:
        return
    digest = hashlib.sha256(json.dumps([row["input_id"] for row in rows]).encode()).hexdigest()
    author_key(workspace)  # before tasks look for it
    run = Run(table="", run_id=_fresh(workspace, digest[:16]), digest=digest)
    session = spark()  # first: a JVM that starts writes across a progress bar
    _add_records(session, workspace, rows)
    with progress("sources", len(rows)) as on_rows:
        listed = _with_known(session, workspace, rows, sources)
        parts = _read_all(listed, workspace, config, run.run_id, min(tasks(), len(rows)), on_rows)
    blobs = [Part(**part) for name, part in parts if name == schema.BLOBS.name]
    if len(blobs) > OPEN_PACKS:
        blobs = _compact(session, workspace, run.run_id, blobs)
    commit(workspace, replace(run, table=schema.BLOBS.name, parts=tuple(blobs)))
    for table in (schema.AUTHORS, schema.FILES, schema.REPOS):  # repositories last: they say what is known
        mine = tuple(Part(**part) for name, part in parts if name == table.name)
        commit(workspace, replace(run, table=table.name, parts=mine))


def without_superseded(repos: DataFrame) -> DataFrame:
    """Drop attempts that failed for a while where a later one read the repository; Parquet files give many rows."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    read_since = F.max(F.col("error").isNull()).over(Window.partitionBy("input_id", "source"))
    passing = F.col("error").isin(*TRANSIENT) & (F.col("source_kind") != the_stack.KIND)
    return repos.withColumn("read_since_", read_since).where(
        ~(F.coalesce(passing, F.lit(False)) & F.col("read_since_"))
    )


def _known(workspace: Workspace, wanted: Mapping[str, Input]) -> tuple[set[str], dict[str, set[str]]]:
    """Return the inputs that need not be read again, and by source of these those that gave whole repositories.

    What failed for a reason that may have gone by now is read again by the next build. Contents that a store lacks
    are not: they would cost a whole Parquet file each; another name of the snapshot asks for them again.
    """
    ids = pa.array(wanted, pa.string())
    names = pa.array({one.name for one in wanted.values()}, pa.string())
    lost = pc.field("error").isin(TRANSIENT) & pc.field("input_id").isin(ids)
    files = read_table(workspace, schema.FILES, runs(workspace, schema.FILES.name), ["input_id"], where=lost)
    again = set(files["input_id"].unique().to_pylist())
    done: set[str] = set()
    sources: dict[str, set[str]] = {}
    columns = ["input_id", "source", "source_kind", "error"]
    for repos in read_batches(workspace, schema.REPOS, columns):
        ours = repos.filter(pc.or_(pc.is_in(repos["input_id"], ids), pc.is_in(repos["source"], names)))
        distinct = ours.group_by(columns).aggregate([])
        for key, source, kind, error in zip(*distinct.to_pydict().values(), strict=True):
            if error is None:
                sources.setdefault(source, set()).add(key)
            if error not in TRANSIENT and (key not in again or kind.startswith(the_stack.KIND)):
                done.add(key)
    return done, sources


def _fresh(workspace: Workspace, wanted: str) -> str:
    """Return a run_id that no complete run has: what failed may be read again."""
    used = {run.run_id for run in runs(workspace, schema.REPOS.name)}
    return next(name for n in count() if (name := f"{wanted}-{n}" if n else wanted) not in used)


def _add_records(spark: SparkSession, workspace: Workspace, rows: list[dict[str, Any]]) -> None:
    """Note with listed repositories what the metadata says of them: number, names, stars; their input_ids stay."""
    listed = [(row, _input(row)) for row in rows if row["kind"] == git_urls.KIND]
    if listed:
        records = records_of(spark, workspace, (name for _, one in listed for name in git_urls.known_as(one)))
        for row, one in listed:
            record = next((records[name] for name in git_urls.known_as(one) if name in records), None)
            row["facts"] = git_urls.with_record(one, record) if record else one.facts


def _input(row: dict[str, Any]) -> Input:
    return Input(**{name: value for name, value in row.items() if name not in ("input_id", "known")})


def _with_known(
    spark: SparkSession, workspace: Workspace, rows: list[dict[str, Any]], sources: dict[str, set[str]]
) -> DataFrame:
    """Return the inputs, each remote one with the ids of the blobs that earlier snapshots of it hold."""
    from pyspark.sql import functions as F

    remote = {row["name"]: row["input_id"] for row in rows if row["kind"] == git_urls.KIND}
    before = [{"input_id": old, "new": new} for name, new in remote.items() for old in sources.get(name, ())]
    listed = spark.createDataFrame(pa.Table.from_pylist(rows, schema=INPUT))
    if not before:
        return listed
    files = read(spark, workspace, schema.FILES, runs(workspace, schema.FILES.name)).where("error is null")
    earlier = spark.createDataFrame(pa.Table.from_pylist(before)).hint("broadcast")
    held = files.join(earlier, "input_id").groupBy(F.col("new").alias("input_id")).agg(
        F.collect_set("blob_id").alias("known")
    )  # fmt: skip
    return listed.drop("known").join(held, "input_id", "left").select(*INPUT.names)


def _compact(spark: SparkSession, workspace: Workspace, run_id: str, packs: list[Part]) -> list[Part]:
    """Put many packs in order, so that a stretch of ids lies in a few of them."""
    names = [part.path for part in packs]
    bounds = [f"{i * 65536 // len(packs):04x}" if i else "" for i in range(len(packs))]
    ranges = [{"number": i, "first": a, "last": b} for i, (a, b) in enumerate(pairwise([*bounds, "g"]))]
    spread = spark.createDataFrame(pa.Table.from_pylist(ranges, schema=_RANGE)).repartitionById(len(ranges), "number")
    task = partial(_compact_task, workspace=workspace, run_id=run_id, names=names)
    return [Part(**row.asDict()) for row in spread.mapInArrow(task, spark_schema(PART)).collect()]


def _compact_task(batches: Batches, *, workspace: Workspace, run_id: str, names: list[str]) -> Batches:
    for batch in batches:
        for row in batch.to_pylist():
            parts = [asdict(part) for part in compact(workspace, run_id, names, row["first"], row["last"])]
            yield pa.RecordBatch.from_pylist(parts, schema=PART)


def _read_all(
    listed: DataFrame, workspace: Workspace, config: SourcesConfig, run_id: str, tasks: int, on_rows: OnRows
) -> list[tuple[str, dict[str, Any]]]:
    from pyspark.sql import functions as F

    spread = listed.repartitionById(tasks, F.pmod(F.xxhash64("input_id"), F.lit(tasks)).cast("int"))
    task = partial(_read_task, workspace=workspace, config=config, run_id=run_id)
    with watch(workspace, schema.REPOS, run_id, on_rows):
        done = spread.mapInArrow(task, spark_schema(_PARTS)).collect()
    parts = [row.asDict() for row in done]
    return [(part.pop("table"), part) for part in parts]


def _read_task(batches: Batches, *, workspace: Workspace, config: SourcesConfig, run_id: str) -> Batches:
    packs = PackWriter(workspace, run_id)
    repos: list[Repository] = []
    keys: list[str] = []
    inputs = (row for batch in batches for row in batch.to_pylist())
    files = _files(inputs, packs, repos, keys, config)
    written = [(schema.FILES, write_part(in_batches(files, schema.FILES.columns), workspace, schema.FILES, run_id))]
    packs.flush()
    written += [(schema.BLOBS, part) for part in packs.parts]
    key = author_key(workspace)
    people = (row for repo, of in zip(repos, keys, strict=True) for row in author_rows(repo, of, key))
    rows_of = ({**asdict(replace(repo, authors=())), "input_id": of} for repo, of in zip(repos, keys, strict=True))
    for table, made in ((schema.AUTHORS, people), (schema.REPOS, rows_of)):
        written.append((table, write_part(in_batches(made, table.columns), workspace, table, run_id)))
    rows = [{"table": table.name, **asdict(part)} for table, part in written if part is not None]
    yield pa.RecordBatch.from_pylist(rows, schema=_PARTS)


def _files(
    inputs: Iterator[dict[str, Any]], packs: PackWriter, repos: list[Repository], keys: list[str], config: SourcesConfig
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `files` of some inputs; contents go to the packs, repositories and their inputs to lists."""
    for row in inputs:
        key, known = row["input_id"], frozenset(row["known"] or ())
        for repository, entries in read_input(_input(row), config, known):
            repos.append(repository)
            keys.append(key)
            for entry in entries:
                if entry.content is not None and entry.blob_id is not None:
                    packs.add(entry.blob_id, entry.content)
                yield {**file_row(repository, entry), "input_id": key}
