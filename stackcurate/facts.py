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
from stackcurate.stages import language, license_scan, licenses
from stackcurate.stages.language import with_context
from stackcurate.stages.tables import OnRows, blob_reader, by_blob, read, write
from stackcurate.workspace import Run, Workspace, runs

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
        compute(build, stage, complete(missing) if complete else missing, run, total)
    return build.read(stage.table, build.stored(stage))


def compute(build: Build, stage: Stage, missing: DataFrame, run: Run, total: int) -> None:
    """Write the facts of so many keys, as `ensure` takes them, as a run."""
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
    trees = set_digest(files.join(torn, "input_id", "left_semi"), "file_id", "blob_id", "error")
    inputs = f"{trees} {set_digest(for_now, 'file_id')}"
    if not runs(build.workspace, language.table.name, digest=digest, inputs=inputs):
        run = build.next_run(language.table, digest, inputs)
        compute(build, language, complete(for_now), run, for_now.count())
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
    inputs = set_digest(seen, "file_id", "blob_id", "mode", "error", "host_license")
    if not runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs):
        run = build.next_run(licenses.table, digest, inputs)
        with build.progress(licenses.name, files.count()) as on_rows:
            facts = licenses(files, build.config[licenses.section], **tables)
            write(facts, build.workspace, licenses.table, run, on_rows=on_rows)
    return build.read(licenses.table, runs(build.workspace, licenses.table.name, digest=digest, inputs=inputs))


def set_digest(rows: DataFrame, *columns: str) -> str:
    """Return a digest of a set of rows, whatever their order; null differs from the empty string."""
    values = ", ".join(f"{name}, {name} is null" for name in columns)
    row: Any = rows.selectExpr(
        "count(*) as n", f"bit_xor(xxhash64({values})) as x", f"bit_xor(xxhash64(1, {values})) as y"
    ).first()
    return f"{row['n']}-{row['x'] or 0:x}-{row['y'] or 0:x}"
