"""Facts: run a stage for the keys that lack them, and read them all back.

Facts of one digest (code, versions and config of the stage) add up over runs, so a later build looks only at
what it has not seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.config import Config
from stackcurate.session import spark_session, task_count
from stackcurate.stage import Stage
from stackcurate.stages import language, license_scan, licenses, near_dup_bands, near_dups
from stackcurate.stages.components import components
from stackcurate.stages.language import with_context
from stackcurate.stages.near_dups import (
    added_candidates,
    candidates,
    changed_members,
    clusters,
    unverified,
    verify,
    with_clusters,
)
from stackcurate.stages.tables import OnRows, blob_reader, by_blob, carry_parts, frame, read, scan, write
from stackcurate.workspace import Run, Workspace, read_table, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Progress = Callable[[str, int], AbstractContextManager[OnRows]]
"""Called with a stage's name and its number of rows; gives a function that takes the rows done so far."""


def silent(_name: str, _total: int) -> AbstractContextManager[OnRows]:
    """Show no progress."""
    return nullcontext(lambda _rows: None)


@dataclass(frozen=True)
class Build:
    """One build under way: config, workspace, progress, and a Spark session once something needs it.

    Args:
        config: as given.
        workspace: where it is built.
        progress: shows the stages.
        used: by table, the runs that were read last; a correction reads the same ones.
        kept: what Spark keeps at hand until the build ends.
    """

    config: Config
    workspace: Workspace
    progress: Progress = silent
    used: dict[str, list[str]] = field(default_factory=dict)
    kept: list[DataFrame] = field(default_factory=list)

    @cached_property
    def spark(self) -> SparkSession:
        """The session, started on first use."""
        never_scanned = not self.stored(license_scan)
        return spark_session(self.config["spark"], scans_licenses=never_scanned)

    @cached_property
    def tasks(self) -> int:
        """Number of tasks per stage."""
        return task_count(self.config["spark"], self.spark)

    @property
    def blobs(self) -> BlobReader:
        """A reader over all packs."""
        return blob_reader(self.workspace)

    def stored(self, stage: Stage) -> list[Run]:
        """Return the complete runs of a stage whose facts are of the present digest."""
        return runs(self.workspace, stage.table.name, digest=stage.digest(self.config.sections))

    def read(self, table: schema.Table, found: list[Run]) -> DataFrame:
        """Return the rows of some runs, and note which these were."""
        self.used[table.name] = [run.run_id for run in found]
        return read(self.spark, self.workspace, table, found)

    def keep(self, rows: DataFrame) -> DataFrame:
        """Have Spark keep rows that are looked at several times."""
        self.kept.append(rows.persist())
        return rows

    def next_run(self, table: schema.Table, digest: str, inputs: str | None = None) -> Run:
        """Return a fresh run; one that crashed is overwritten, one that is complete never."""
        numbers = [int(run.run_id.rpartition("-")[2]) for run in runs(self.workspace, table.name, digest=digest)]
        number = max(numbers, default=-1) + 1
        return Run(table=table.name, run_id=f"{digest[:16]}-{number:05d}", digest=digest, inputs=inputs)


@contextmanager
def building(config: Config, workspace: Workspace, progress: Progress) -> Iterator[Build]:
    """Yield a build, and let go at its end of what Spark keeps for it: a session may see many builds."""
    build = Build(config, workspace, progress)
    try:
        yield build
    finally:
        for rows in reversed(build.kept):
            rows.unpersist()


def ensure(
    build: Build, stage: Stage, keys: DataFrame, complete: Callable[[DataFrame], DataFrame] | None = None
) -> DataFrame:
    """Return the facts of a stage, after computing those that `keys` lacks.

    Args:
        build: the build under way.
        stage: a stage with a kernel.
        keys: key and columns read; instead of `content`, `blob_id` and `size`.
        complete: adds columns that the stage reads to those of the keys that lack facts.
    """
    known = build.read(stage.table, build.stored(stage)).select(*stage.table.key)
    missing = keys.join(known, list(stage.table.key), "left_anti")
    total = missing.count()
    if total:
        run = build.next_run(stage.table, stage.digest(build.config.sections))
        _compute(build, stage, complete(missing) if complete else missing, run, total)
    return build.read(stage.table, build.stored(stage))


def _compute(build: Build, stage: Stage, missing: DataFrame, run: Run, total: int) -> None:
    """Write the facts of so many keys as a run."""
    needed = [*stage.table.key, *stage.reads, "blob_id", "size"]
    columns = [name for name in dict.fromkeys(needed) if name not in ("content", "blob_id")]
    spread = by_blob(missing.select("blob_id", *columns), build.tasks)
    with build.progress(stage.name, total) as on_rows:
        rows = stage.rows(build.config[stage.section], build.blobs)
        write(spread, build.workspace, stage.table, run, rows=rows, on_rows=on_rows)


def ensure_languages(build: Build, candidates: DataFrame, files: DataFrame, torn: DataFrame) -> DataFrame:
    """Return the language of each file; decided again once more of its tree could be read, since neighbours decide too.

    Args:
        build: the build under way.
        candidates: the files.
        files: all files of these inputs.
        torn: `input_id` of the inputs of which a part is missing that may yet be read.
    """
    complete = partial(with_context, files=files, blobs=build.blobs)
    if torn.isEmpty():
        return ensure(build, language, candidates, complete)
    ensure(build, language, candidates.join(torn, "input_id", "left_anti"), complete)
    for_now = candidates.join(torn, "input_id", "left_semi")
    digest = hashlib.sha256(f"torn {language.digest(build.config.sections)}".encode()).hexdigest()
    trees = _set_digest(files.join(torn, "input_id", "left_semi"), "file_id", "blob_id", "error")
    inputs = f"{trees} {_set_digest(for_now, 'file_id')}"
    if not runs(build.workspace, language.table.name, digest=digest, inputs=inputs):
        run = build.next_run(language.table, digest, inputs)
        _compute(build, language, complete(for_now), run, for_now.count())
    found = runs(build.workspace, language.table.name, digest=digest, inputs=inputs)
    return build.read(language.table, [*build.stored(language), *found])


def ensure_licenses(build: Build, files: DataFrame, **tables: DataFrame) -> DataFrame:
    """Return the licence of each file; decided again where the files have changed, since neighbours decide too.

    Args:
        build: the build under way.
        files: all files, readable or not: a licence file that cannot be read bars what lies below it.
        tables: what the stage's transform takes.
    """
    digest = licenses.digest(build.config.sections)
    claims = tables["repos"].select("repo_id", "revision", "host_license")
    seen = files.join(claims, ["repo_id", "revision"], "left")
    inputs = _set_digest(seen, "file_id", "blob_id", "mode", "error", "host_license")
    if not runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs):
        run = build.next_run(licenses.table, digest, inputs)
        with build.progress(licenses.name, files.count()) as on_rows:
            facts = licenses(files, build.config[licenses.section], **tables)
            write(facts, build.workspace, licenses.table, run, on_rows=on_rows)
    return build.read(licenses.table, runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs))


def ensure_clusters(build: Build, files: DataFrame, languages: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return clusters and edges of the blobs of some files; computed again only where the blobs have changed.

    A run adds to the latest one of its digest: it keeps the edges between blobs that are still there, and looks only
    at pairs that are new. The edges are those of a run on all blobs with the earlier ones first, which differs from
    one without a past in the anchors of hot buckets alone. Within languages, each run looks at all pairs.

    Args:
        build: the build under way.
        files: the candidates.
        languages: as `language`.
    """
    config = build.config[near_dups.section]
    blobs = build.keep(files.select("blob_id", "size").dropDuplicates(["blob_id"]))
    compared = blobs.select("blob_id")
    if config.within_language:
        compared = files.join(languages, "file_id").select("blob_id", "language").dropDuplicates()
    digest, inputs = near_dups.digest(build.config.sections), _set_digest(compared, *compared.columns)
    bands = ensure(build, near_dup_bands, blobs)
    if not runs(build.workspace, schema.NEAR_DUPS.name, digest=digest, inputs=inputs):
        with build.progress(near_dups.name, blobs.count()) as on_rows:
            before = runs(build.workspace, schema.NEAR_DUPS.name, digest=digest)
            earlier = _rows(build, schema.NEAR_DUPS, before[-1:]) if before and not config.within_language else None
            members = blobs.selectExpr("blob_id", "0 as generation", "true as present")
            if earlier is not None:
                members = build.keep(changed_members(blobs, earlier))
            if not runs(build.workspace, schema.NEAR_DUP_EDGES.name, digest=digest, inputs=inputs):
                run = build.next_run(schema.NEAR_DUP_EDGES, digest, inputs)
                if earlier is None:
                    edges = _similar(build, candidates(bands.join(compared, "blob_id"), blobs, config))
                else:
                    known = _edge_runs(build, digest, before[-1].inputs)
                    edges, run = _more_edges(build, members, known, run)
                write(edges, build.workspace, schema.NEAR_DUP_EDGES, run)
            labels = _labels(build, blobs.count(), _edge_runs(build, digest, inputs))
            clustered = with_clusters(members.where("present"), labels)
            run = build.next_run(schema.NEAR_DUPS, digest, inputs)
            write(clustered, build.workspace, schema.NEAR_DUPS, run, on_rows=on_rows)
    found = runs(build.workspace, schema.NEAR_DUPS.name, digest=digest, inputs=inputs)
    edges = _rows(build, schema.NEAR_DUP_EDGES, _edge_runs(build, digest, inputs))
    return build.read(schema.NEAR_DUPS, found), edges


def _more_edges(build: Build, members: DataFrame, known: list[Run], run: Run) -> tuple[DataFrame, Run]:
    """Return what a run adds to the known edges that still stand, and the run.

    Where all blobs of the earlier run are still there, the run gets its files: all pairs that were not looked at have
    a blob that is new.
    """
    bands = partial(scan, build.spark, build.workspace, near_dup_bands.table, build.stored(near_dup_bands))
    found = _similar(build, added_candidates(bands, members, build.config[near_dups.section]))
    if members.where("known and not present").isEmpty():
        return found, carry_parts(build.workspace, known, run)
    kept = _rows(build, schema.NEAR_DUP_EDGES, known)
    for side in ("left_blob_id", "right_blob_id"):
        kept = kept.join(members.where("present").selectExpr(f"blob_id as {side}"), side, "left_semi")
    return kept.unionByName(found).distinct(), run


def _similar(build: Build, found: DataFrame) -> DataFrame:
    """Return the edges among candidates."""
    config = build.config[near_dups.section]
    return verify(found, config, build.blobs) if config.verify else unverified(found)


def _labels(build: Build, blobs: int, found: list[Run]) -> DataFrame:
    """Return the cluster of each blob that has an edge: from the driver, or from Spark where there are too many."""
    if blobs > build.config[near_dups.section].driver_documents:
        edges = _rows(build, schema.NEAR_DUP_EDGES, found).select("left_blob_id", "right_blob_id")
        return components(edges).toDF("blob_id", "cluster_id")
    return frame(build.spark, clusters(read_table(build.workspace, schema.NEAR_DUP_EDGES, found)))


def _rows(build: Build, table: schema.Table, found: list[Run]) -> DataFrame:
    """Return the rows of runs that a release does not read itself."""
    return read(build.spark, build.workspace, table, found)


def _edge_runs(build: Build, digest: str, inputs: str | None) -> list[Run]:
    return runs(build.workspace, schema.NEAR_DUP_EDGES.name, digest=digest, inputs=inputs)


def _set_digest(rows: DataFrame, *columns: str) -> str:
    """Return a digest of a set of rows, whatever their order; null differs from the empty string."""
    values = ", ".join(f"{name}, {name} is null" for name in columns)
    row: Any = rows.selectExpr(
        "count(*) as n", f"bit_xor(xxhash64({values})) as x", f"bit_xor(xxhash64(1, {values})) as y"
    ).first()
    return f"{row['n']}-{row['x'] or 0:x}-{row['y'] or 0:x}"
