"""The pipeline: take inputs in, run the stages on what is still admissible, elect, release; resume where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.cluster_facts import ensure_clusters
from stackcurate.config import Config, load, setting
from stackcurate.errors import SourceError, WorkspaceError, plain_errors
from stackcurate.facts import (
    Build,
    Progress,
    building,
    ensure,
    ensure_languages,
    ensure_licenses,
    silent,
)
from stackcurate.kernels.attribution import AttributionConfig
from stackcurate.kernels.license_policy import PolicyConfig
from stackcurate.kernels.malware_policy import MalwarePolicy
from stackcurate.kernels.opt_outs import ALL_COPIES, APPLICABLE, parse, requests_digest, settled
from stackcurate.kernels.quality_policy import QualityPolicy
from stackcurate.kernels.spans import RedactionConfig
from stackcurate.release.election import elect_files
from stackcurate.release.export import export
from stackcurate.release.ledger import ledger_requests, record_requests
from stackcurate.release.manifest import Release, find_release
from stackcurate.release.policy import ReleaseConfig, judge, with_allowed
from stackcurate.session import SparkConfig
from stackcurate.sources import the_stack
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.identities import in_all_names, with_authors
from stackcurate.sources.ingest import identify, ingest, without_superseded
from stackcurate.sources.inputs import discover
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import NO_PLACE, TRANSIENT
from stackcurate.sources.repos_config import ReposConfig
from stackcurate.stage import Stage
from stackcurate.stages import LATE, PIPELINE, license_scan, near_dup_bands, opt_outs, quality, signals
from stackcurate.stages.licenses import legal_texts, with_scanned_as
from stackcurate.stages.opt_outs import over_clusters
from stackcurate.stages.tables import frame, read
from stackcurate.workspace import Workspace, locked, open_workspace, runs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class WorkspaceConfig:
    """Where tables and releases are kept."""

    path: str = setting("workspace", "folder or URI of the workspace")


SECTIONS: Mapping[str, type] = {
    "workspace": WorkspaceConfig,
    "repos": ReposConfig,
    "sources": SourcesConfig,
    **{stage.section: stage.config for stage in PIPELINE},
    "policy": PolicyConfig,
    "quality_policy": QualityPolicy,
    "malware_policy": MalwarePolicy,
    "redaction": RedactionConfig,
    "release": ReleaseConfig,
    "attribution": AttributionConfig,
    "spark": SparkConfig,
}
"""The dataclass of each section of a config file."""


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a config file and overrides of the form ``section.key=value``; see `stackcurate.config.load`."""
    return load(path, SECTIONS, overrides)


def build(config: Config, progress: Progress = silent, *, replace: bool = False) -> Release:
    """Build the release that a config describes, doing only what is missing.

    Starts no Spark session where inputs, config and code are those of the release that is there.

    Args:
        config: as `load_config` gives it.
        progress: shows the stages.
        replace: build a release anew that was made from something else, under its name.

    Raises:
        SourceError: an input folder is missing or empty.
        WorkspaceError: the workspace is of another version, or another process writes to it.
        ReleaseError: a release of that version exists and was made from something else.
    """
    inputs = discover(config["sources"].inputs)
    workspace = open_workspace(config["workspace"].path)
    digest = build_digest(config, inputs)
    with plain_errors(workspace.root), locked(workspace), building(config, workspace, progress) as under_way:
        found = find_release(workspace, config["release"].version, digest, replace=replace)
        if found:
            return found
        record_requests(workspace, given_requests(config))
        files, repos = take_in(under_way, inputs)
        facts: dict[str, DataFrame] = {}
        *_, decided = steps(under_way, files, repos, facts)
        assert decided is not None, "the last step decides"
        return export(under_way, decided, repos, facts, digest)


def build_digest(config: Config, inputs: list[Input]) -> str:
    """Return the digest of all that decides a release: inputs, requests, config, code and versions."""
    sections = [name for name in config.sections if name not in ("workspace", "spark", "repos")]
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    parts = {
        "config": config.digest(*sections),
        "inputs": sorted(identify(inputs, config["sources"])),
        "requests": requests_digest(requests_of(config)),
        "stages": {stage.name: stage.digest(config.sections) for stage in PIPELINE},
        "code": code.hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def run_until(config: Config, stage: Stage, progress: Progress = silent) -> dict[str, int]:
    """Run the pipeline up to one stage and return the number of its facts and its metrics; no release is made.

    Raises:
        SourceError: an input folder is missing or empty.
        WorkspaceError: the workspace is of another version, or another process writes to it.
    """
    inputs = discover(config["sources"].inputs)
    workspace = open_workspace(config["workspace"].path)
    with plain_errors(workspace.root), locked(workspace), building(config, workspace, progress) as under_way:
        files, repos = take_in(under_way, inputs)
        facts: dict[str, DataFrame] = {}
        for _ in steps(under_way, files, repos, facts, with_signals=stage is signals):
            if stage.name in facts:
                break
        measured = facts[stage.name].selectExpr(
            "count(*) as facts", *(f"{expression} as {name}" for name, expression in stage.metrics.items())
        )
        return {name: int(value or 0) for name, value in measured.collect()[0].asDict().items()}


def collect(config: Config, progress: Progress = silent) -> list[tuple[str, str | None, int]]:
    """Read the inputs that the workspace lacks, and return how many repositories and files there are by reason code.

    Raises:
        SourceError: an input is missing or empty.
        WorkspaceError: the workspace is of another version, or another process writes to it.
    """
    inputs = discover(config["sources"].inputs)
    workspace = open_workspace(config["workspace"].path)
    with plain_errors(workspace.root), locked(workspace), building(config, workspace, progress) as under_way:
        files, repos = take_in(under_way, inputs)
        counted = {"repositories": repos, "files": files}
        rows = {name: table.groupBy("error").count().collect() for name, table in counted.items()}
        return [(name, row["error"], row["count"]) for name, found in rows.items() for row in found]


def steps(
    under_way: Build, files: DataFrame, repos: DataFrame, facts: dict[str, DataFrame], *, with_signals: bool = False
) -> Iterator[DataFrame | None]:
    """Run the stages one by one, cheap ones first, and add their facts to `facts`; the last step gives the files.

    Facts do not depend on who opted out, so that a request or its withdrawal needs no new ones.
    Malware, contamination and pii look only at what an election would keep, until the election stands. Signals are
    measured where the policy asks for them, or the caller does.
    """
    config = under_way.config.sections
    requests = frame(under_way.spark, with_authors(under_way.workspace, requests_of(under_way.config)))
    # names of any input: who asks may use one of the past
    named = read(under_way.spark, under_way.workspace, schema.REPOS, runs(under_way.workspace, schema.REPOS.name))
    out = facts["opt_outs"] = opt_outs(files, config["opt_outs"], repos=named, requests=requests)
    yield None
    readable = under_way.keep(files.where("blob_id is not null"))
    scanned = with_scanned_as(readable.select("path", "blob_id", "size")).dropDuplicates(["blob_id", "scanned_as"])
    facts["license_scan"] = ensure(under_way, license_scan, scanned)
    yield None
    evidence = {"license_detections": facts["license_scan"], "legal_texts": legal_texts(readable, under_way.blobs)}
    placed = files.where(f"error is null or error not in ({', '.join(map(repr, NO_PLACE))})")
    facts["licenses"] = ensure_licenses(under_way, placed, repos=repos, **evidence)
    yield None
    candidates = _admissible(readable, facts, config)
    facts["language"] = ensure_languages(under_way, candidates, placed, _torn(placed, repos))
    facts["quality"] = ensure(under_way, quality, _blobs(candidates))
    if with_signals or config["quality_policy"].limit("opencoder"):
        known = facts["language"].where("language is not null").select("file_id", "language", "language_type")
        facts["signals"] = ensure(under_way, signals, candidates.join(known, "file_id"))
    yield None
    candidates = _admissible(readable, facts, config)
    facts["near_dups"], edges = ensure_clusters(under_way, candidates, facts["language"])
    facts["near_dup_bands"] = under_way.read(near_dup_bands.table, under_way.stored(near_dup_bands))
    yield None
    if config["opt_outs"].copies == ALL_COPIES:
        facts["opt_outs"] = under_way.keep(over_clusters(out, files, facts["near_dups"]))
    yield settle(under_way, files, repos, facts, edges)


def take_in(under_way: Build, inputs: list[Input]) -> tuple[DataFrame, DataFrame]:
    """Read the inputs that are new and return files and repositories of exactly these inputs."""
    config = under_way.config["sources"]
    ingest(lambda: under_way.spark, under_way.workspace, inputs, config, lambda: under_way.tasks, under_way.progress)
    wanted = [(key,) for key in identify(inputs, config)]
    current = under_way.spark.createDataFrame(wanted, "input_id string").hint("broadcast")
    tables = []
    for table in (schema.FILES, schema.REPOS):
        rows = under_way.read(table, runs(under_way.workspace, table.name)).join(current, "input_id", "left_semi")
        rows = without_superseded(rows) if table is schema.REPOS else rows
        tables.append(under_way.keep(_first_of_each(rows, table).select(*table.columns.names)))
    return tables[0], tables[1]


def _first_of_each(rows: DataFrame, table: schema.Table) -> DataFrame:
    """Keep one row per key, whole ones first: one commit or archive may be given twice."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    others = [F.col(name).asc_nulls_last() for name in table.columns.names if name not in ("error", *table.key)]
    window = Window.partitionBy(*table.key).orderBy(F.col("error").asc_nulls_first(), *others)
    return rows.withColumn("rank_", F.row_number().over(window)).where("rank_ = 1")


def requests_of(config: Config) -> pa.Table:
    """Return the opt-out requests of the ledger and of the files that a config names, as `opt_outs`.

    Whoever asked once stays out, whether or not a later config names the file; what was withdrawn since is so marked.
    Beside the name that was given stand all others that the metadata knows.

    Raises:
        SourceError: a file cannot be read.
    """
    workspace = Workspace(str(config["workspace"].path))
    asked = settled(pa.concat_tables([ledger_requests(workspace), given_requests(config)]))
    return in_all_names(workspace, asked)


def given_requests(config: Config) -> pa.Table:
    """Return the opt-out requests of the files that a config names, as they stand there.

    Raises:
        SourceError: a file cannot be read.
    """
    parsed = [parse(text, name) for name, text in _request_files(config)]
    return pa.Table.from_batches(parsed, schema=schema.OPT_OUTS.columns)


def active_requests(config: Config) -> list[tuple[str, str]]:
    """Return kind and value of each request in force that bars whatever bears the name: none for `now` alone."""
    requests = with_authors(Workspace(str(config["workspace"].path)), requests_of(config))
    rows = [row for row in requests.to_pylist() if row["state"] == "active"]
    return [(row["kind"], row["value"]) for row in rows if (row["kind"], row["scope"]) != ("owner", "now")]


def not_held(config: Config) -> dict[str, int]:
    """Return the number of active requests by kind, of those that name something which no release holds yet."""
    rows = requests_of(config).to_pylist()
    return Counter(row["kind"] for row in rows if row["state"] == "active" and row["kind"] not in APPLICABLE)


def unreadable_requests(config: Config) -> list[str]:
    """Return file and line of each opt-out request that names nothing known."""
    return [row["source"] for row in requests_of(config).to_pylist() if row["state"] == "unreadable"]


def _request_files(config: Config) -> list[tuple[str, str]]:
    found = []
    for given in config["opt_outs"].requests:
        path = Path(given)
        names = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".") if path.is_dir() else [path]
        try:
            found += [(p.name, p.read_text(encoding="utf-8", errors="replace")) for p in names]
        except OSError as error:
            raise SourceError(f"opt-out requests {given}: {error.strerror}") from error
    return found


def _torn(files: DataFrame, repos: DataFrame) -> DataFrame:
    """Return the inputs of which a part is missing that the next build tries to read again."""
    lost = f"error in ({', '.join(map(repr, TRANSIENT))})"
    trees = repos.where(f"not startswith(source_kind, '{the_stack.KIND}')")
    rows = files.where(lost).join(trees, "input_id", "left_semi").select("input_id")
    return rows.union(trees.where(lost).select("input_id")).distinct()


def _admissible(files: DataFrame, facts: Mapping[str, DataFrame], config: Mapping[str, Any]) -> DataFrame:
    known = {name: rows for name, rows in facts.items() if name != opt_outs.name}
    return judge(files, known, config).where("reason is null").select(*schema.FILES.columns.names)


def _blobs(files: DataFrame) -> DataFrame:
    return files.select("blob_id", "size").dropDuplicates(["blob_id"])


def settle(
    under_way: Build, files: DataFrame, repos: DataFrame, facts: dict[str, DataFrame], edges: DataFrame
) -> DataFrame:
    """Elect, scan what was elected, and elect again where a scan took out an elected file.

    A scan decides on nothing else: what earlier builds scanned would change the reason of a file that loses anyway.

    Args:
        under_way: the build.
        files: all files.
        repos: all repositories.
        facts: facts so far; malware, contamination and pii are added.
        edges: verified near-duplicates.
    """
    config = under_way.config.sections
    deciding, rejected = dict(facts), list[pa.Table]()
    while True:
        judged, threshold = judge(files, deciding, config), config["near_dups"].threshold
        elected = under_way.keep(elect_files(judged, repos, facts["near_dups"], edges, threshold))
        kept = elected.where("reason is null").select(*schema.FILES.columns.names)
        for stage in LATE:
            facts[stage.name] = ensure(under_way, stage, _blobs(kept))
        # through the driver: they are few, and the plan of the next round does not hold that of this one
        found = _rejected(judge(kept, facts, config))
        if not found.num_rows:
            return with_allowed(elected, facts["malware"], config)
        rejected.append(found)
        ids = frame(under_way.spark, pa.concat_tables(rejected))
        deciding |= {stage.name: facts[stage.name].join(ids, "blob_id", "left_semi") for stage in LATE}


def _rejected(judged: DataFrame) -> pa.Table:
    """Return the blobs that a scan takes out; raise WorkspaceError where one that would be released has none."""
    seen = [f"seen_{stage.name}" for stage in LATE]
    where = " or ".join(["reason is not null", *(f"{name} is null" for name in seen)])
    found = judged.where(where).select("blob_id", *seen).toArrow()
    for stage, name in zip(LATE, seen, strict=True):
        if missing := found[name].null_count:
            raise WorkspaceError(f"{missing} kept files lack facts of {stage.name}; remove that table and build again")
    return found.select(["blob_id"])
