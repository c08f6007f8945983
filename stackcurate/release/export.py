"""Export: from decided files to shards, decisions, funnel, card and manifest; the manifest comes last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.facts import Build
from stackcurate.kernels.contamination_index import items_looked_for
from stackcurate.release.attribution_index import build_index
from stackcurate.release.card import write_card
from stackcurate.release.credits import write_credits
from stackcurate.release.funnel import contaminated, make_funnel
from stackcurate.release.ledger import publish_ledger
from stackcurate.release.lookup import in_order, index_rows
from stackcurate.release.manifest import FUNNEL, MANIFEST, Release, load_release, make_manifest
from stackcurate.release.report import write_report
from stackcurate.release.rows import ShardWriter, led_by_authors
from stackcurate.release.sbom import holdings, repositories, write_sbom
from stackcurate.release.shards import assign, shard_counts, write_shards
from stackcurate.release.summary import write_summary
from stackcurate.release.terms import write_terms
from stackcurate.stages.tables import write
from stackcurate.workspace import Run, Workspace, runs, write_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FROM_REPOS = ("owner", "name", "stars", "forks", "created_at", "pushed_at")


def export(build: Build, decided: DataFrame, repos: DataFrame, facts: Mapping[str, DataFrame], digest: str) -> Release:
    """Write a release from files that are decided.

    Args:
        build: the build under way.
        decided: files with licence, language, `stage`, `reason` and `detail`; null reasons are kept.
        repos: owners and names by repo_id and revision.
        facts: facts by stage, for clusters and spans.
        digest: what the release is made from.

    Raises:
        ReleaseError: nothing is left to release.
    """
    config = build.config["release"]
    claims = repos.select("repo_id", "revision", *_FROM_REPOS)
    kept = decided.where("reason is null").join(claims, ["repo_id", "revision"], "left")
    assigned = build.keep(assign(kept, config.shard_bytes, settled_counts(build.workspace, config.shards_of)))
    total = assigned.count()
    decisions = build.keep(_decisions(decided, assigned))
    funnel = make_funnel(decisions, decided, repos)
    looked_for = items_looked_for(build.config["contamination"])
    funnel["benchmarks"] = contaminated(decided, facts["contamination"], looked_for)
    if not total:
        raise ReleaseError(_nothing_left(funnel))
    clear(build.workspace, config.version)
    authors = build.read(schema.AUTHORS, runs(build.workspace, schema.AUTHORS.name))
    rows = led_by_authors(_rows(assigned, facts), assigned, authors)
    with build.progress("release", total):
        writer = ShardWriter(build.workspace, build.blobs, config, build.config["redaction"], build.config["pii"])
        shards = write_shards(rows, writer, build.tasks)
    if build.config["attribution"].index:
        build_index(build.spark, build.workspace, config.version, shards, build.config["attribution"], build.tasks)
    used = {"runs": build.used}
    run = Run(table=schema.DECISIONS.name, run_id=config.version, digest=digest, inputs=digest, metrics=used)
    write(in_order(decisions, ("repo_id", "path")), build.workspace, schema.DECISIONS, run)
    index = Run(table=schema.LOOKUP.name, run_id=config.version, digest=digest, inputs=digest)
    write(in_order(index_rows(decisions, claims), ("key", "repo_id")), build.workspace, schema.LOOKUP, index)
    credited = write_credits(build, assigned, facts)
    return publish(build.workspace, make_manifest(digest, build.config.to_dict(), shards, funnel, credited), funnel)


def publish(workspace: Workspace, manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> Release:
    """Write the documents of a release whose shards are there; with the manifest, the last, it is complete."""
    write_json(workspace, funnel, "releases", manifest["version"], FUNNEL)
    held = holdings(workspace, manifest)
    repos = repositories(held)
    write_card(workspace, manifest, funnel, held)
    write_terms(workspace, manifest)
    write_sbom(workspace, manifest, repos)
    write_summary(workspace, manifest, funnel, repos)
    write_report(workspace, manifest, funnel)
    publish_ledger(workspace, manifest["version"])
    write_json(workspace, manifest, "releases", manifest["version"], MANIFEST)
    release = load_release(workspace, manifest["version"])
    assert release is not None, "the manifest was just written"
    return release


def settled_counts(workspace: Workspace, version: str) -> dict[str, int]:
    """Return the number of shards per language of a release; nothing where no release is named.

    Raises:
        ReleaseError: there is no such release.
    """
    release = load_release(workspace, version) if version else None
    if version and release is None:
        raise ReleaseError(f"[release] shards_of: no complete release {version!r} in {workspace.root}")
    return shard_counts(release.manifest["shards"]) if release else {}


def _rows(assigned: DataFrame, facts: Mapping[str, DataFrame]) -> DataFrame:
    """Return the columns of a release but those of the text, with `shard`, `spans`, `overlaps` and `input_id`."""
    clusters = facts["near_dups"].select("blob_id", "cluster_id")
    joined = assigned.drop("spans", "overlaps").join(clusters, "blob_id", "left")
    for stage, name in (("pii", "spans"), ("contamination", "overlaps")):
        joined = joined.join(facts[stage].select("blob_id", name), "blob_id", "left")
    named = joined.selectExpr("*", "concat_ws('/', owner, name) as repo")
    made = {"content", "content_id", "redactions", "benchmarks"}
    found = ("shard", "spans", "overlaps", "input_id")
    return named.select(*found, *(name for name in schema.RELEASE.columns.names if name not in made))


def _decisions(decided: DataFrame, assigned: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return (
        decided.join(assigned.select("file_id", "shard"), "file_id", "left")
        .withColumn("kept", F.col("reason").isNull())
        .select(*schema.DECISIONS.columns.names)
    )


def clear(workspace: Workspace, version: str) -> None:
    """Remove what a build that died left of this version, or a release to be replaced: its manifest first."""
    filesystem, folder = workspace.locate("releases", version)
    if filesystem.get_file_info(f"{folder}/{MANIFEST}").type == pafs.FileType.File:
        filesystem.delete_file(f"{folder}/{MANIFEST}")
    if filesystem.get_file_info(folder).type == pafs.FileType.Directory:
        filesystem.delete_dir(folder)


def _nothing_left(funnel: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{row['reason']}: {row['files']}" for row in funnel["dropped"][:5])
    return f"nothing is left to release: of {funnel['files']} files none passed ({reasons}); see [policy] and [release]"
