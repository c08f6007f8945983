"""Re-election: what a correction takes out, and who takes its place, looked at no further than the clusters touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.errors import WorkspaceError
from stackcurate.facts import Build, ensure
from stackcurate.kernels.opt_out_match import (
    HIT,
    MEANT,
    REPOSITORY,
    Keep,
    copies_of,
    hits,
    meant_repositories,
    related,
    wanted_rows,
)
from stackcurate.kernels.opt_outs import ALL_COPIES
from stackcurate.release.election import BEST_FIRST, similar_losers
from stackcurate.release.past import Past, whole_first
from stackcurate.release.policy import judge, with_allowed
from stackcurate.sources.identities import with_authors
from stackcurate.stage import Stage
from stackcurate.stages import LATE, malware
from stackcurate.stages.tables import frame, read_batches
from stackcurate.workspace import read_table

Row = dict[str, Any]

CANDIDATES = (None, "near_dups")
"""Stages that decided on files which passed all rules: kept, or represented by another."""
_FACTS = {
    "licenses": schema.LICENSES, "language": schema.LANGUAGE, "quality": schema.QUALITY, "signals": schema.SIGNALS,
    "malware": schema.MALWARE, "contamination": schema.CONTAMINATION, "pii": schema.PII,
}  # fmt: skip
_VERDICT = ("kept", "stage", "reason", "detail")


@dataclass
class Outcome:
    """What a correction decides.

    Args:
        found: files that requests mean, as `HIT`.
        before: decisions on the files looked at, by file_id.
        after: the same files decided anew.
        promoted: facts of the files that are kept now and were not, by file_id.
        repositories: repo_id and name of the repositories that requests mean, as `MEANT` with `repo`.
    """

    found: pa.Table
    repositories: pa.Table
    before: dict[str, Row] = field(default_factory=dict)
    after: dict[str, Row] = field(default_factory=dict)
    promoted: dict[str, Row] = field(default_factory=dict)

    @property
    def changed(self) -> list[Row]:
        """The decisions that are others now."""
        return [row for file_id, row in self.after.items() if any(row[n] != self.before[file_id][n] for n in _VERDICT)]


def matched(past: Past, requests: pa.Table, copies: str) -> Outcome:
    """Return what requests mean in a release, and decide on nothing else; files without a request have no `after`.

    Args:
        past: the release.
        requests: as `opt_outs`.
        copies: how far a request goes.
    """
    requests = with_authors(past.workspace, requests)

    def scan(keep: Keep) -> pa.Table:  # repositories of any input: who asks may use a name of the past
        batches = read_batches(past.workspace, schema.REPOS, REPOSITORY.names)
        return pa.concat_tables([keep(some) for some in batches] or [REPOSITORY.empty_table()])

    repos = related(scan, requests, copies)
    meant = meant_repositories(repos, requests, copies)
    rows = past.decisions(wanted_rows(repos, requests, meant) | (pc.field("stage") == "opt_outs"))
    found = hits(rows, repos, requests, meant)
    if copies == ALL_COPIES:
        direct = rows.filter(pc.is_in(rows["file_id"], found["file_id"].combine_chunks()))
        members = past.members(direct["blob_id"].drop_null().combine_chunks().unique())
        copied = past.decisions(pc.field("blob_id").isin(members["blob_id"].combine_chunks()))
        groups = dict(zip(*(members[name].to_pylist() for name in ("blob_id", "cluster_id")), strict=True))
        seen = pa.concat_tables([t.select(["file_id", "blob_id"]) for t in (direct, copied)])
        found = pa.concat_tables([found, copies_of(seen, found, groups)])
        rows = pa.concat_tables([rows, copied])
    outcome = Outcome(found, meant.join(_named(repos), "repo_id"))
    first: dict[str, str] = {}
    for row in found.to_pylist():
        first[row["file_id"]] = min(row["request_id"], first.get(row["file_id"], row["request_id"]))
    for row in rows.to_pylist():
        outcome.before[row["file_id"]] = row
        if row["stage"] != "files" and row["file_id"] in first:
            outcome.after[row["file_id"]] = _decided(row, "opt_outs", "opted_out", first[row["file_id"]])
    return outcome


def _named(repos: pa.Table) -> pa.Table:
    names = pc.binary_join_element_wise(repos["owner"], repos["name"], "/")
    return pa.table({"repo_id": repos["repo_id"], "repo": names}).group_by("repo_id").aggregate([("repo", "min")])


def settle_again(build: Build, past: Past, requests: pa.Table) -> Outcome:
    """Take out what requests mean, let back in what was withdrawn, and elect again in the clusters touched.

    A file that takes the place of another is looked at for malware, benchmarks and personal data unless it has been.

    Args:
        build: the build under way.
        past: the release.
        requests: as `opt_outs`.
    """
    outcome = matched(past, requests, build.config["opt_outs"].copies)
    back = [
        row for row in outcome.before.values() if row["stage"] == "opt_outs" and row["file_id"] not in outcome.after
    ]
    return _elect_again(build, past, outcome, back)


def scan_again(build: Build, past: Past) -> Outcome:
    """Scan with the malware rules of today what a release keeps or has scanned, and decide where the verdict changed.

    Where the policy on malware is another, each file whose content is not clean is decided anew.

    Args:
        build: the build under way.
        past: the release.
    """
    rows = past.decisions(pc.field("stage").is_null() | pc.field("stage").isin(["malware", "contamination", "pii"]))
    outcome = Outcome(HIT.empty_table(), MEANT.append(pa.field("repo", pa.string())).empty_table())
    blobs = rows["blob_id"].drop_null().combine_chunks().unique()
    _scan(build, past, rows.to_pylist(), (malware,))
    where = pc.field("blob_id").isin(blobs)
    now = _verdicts(read_table(build.workspace, schema.MALWARE, build.stored(malware), where=where))
    then = _verdicts(past.rows(schema.MALWARE, blobs))
    moved = "malware_policy" in past.changed
    changed = [
        row for row in rows.to_pylist()
        if now.get(row["blob_id"]) != then.get(row["blob_id"]) or (moved and now.get(row["blob_id"]) != _CLEAN)
    ]  # fmt: skip
    outcome.before |= {row["file_id"]: row for row in changed}
    return _elect_again(build, past, outcome, changed)


_CLEAN = ("clean", None)


def _verdicts(rows: pa.Table) -> dict[str, tuple[Any, ...]]:
    """Return by blob what a decision may rest on."""
    return {
        row["blob_id"]: (
            row["verdict"],
            row["error"],
            *sorted({(f["rule"], f["verdict"]) for f in row["findings"] or ()}),
        )
        for row in rows.to_pylist()
    }


def _elect_again(build: Build, past: Past, outcome: Outcome, back: list[Row]) -> Outcome:
    """Judge what may be back, and elect again in the clusters of all that changed."""
    candidates = {row["file_id"]: row for row in _judged(build, past, back) if _note(outcome, row)}
    lost = [row for file_id, row in outcome.before.items() if file_id in outcome.after and row["stage"] in CANDIDATES]
    touched = pa.array({row["blob_id"] for row in [*lost, *candidates.values()]}, pa.string())
    members = past.members(touched)
    generations = dict(zip(*(members[name].to_pylist() for name in ("blob_id", "generation")), strict=True))
    blobs = members["blob_id"].combine_chunks().unique()
    for row in past.decisions(pc.field("blob_id").isin(blobs)).to_pylist() if len(blobs) else ():
        outcome.before[row["file_id"]] = row
        if row["stage"] in CANDIDATES and row["file_id"] not in outcome.after:
            candidates[row["file_id"]] = {**row, "detail": row["detail"] if row["kept"] else None}
    edges, claims = past.edges(blobs), _claims(past, candidates.values())
    while True:
        elected = _elect(candidates.values(), claims, generations, edges, build.config["near_dups"].threshold)
        fresh = [
            outcome.before[file_id] for file_id, row in elected.items()
            if row["kept"] and not outcome.before[file_id]["kept"] and file_id not in outcome.promoted
        ]  # fmt: skip
        if not fresh:
            break
        _scan(build, past, fresh)
        for row in _judged(build, past, fresh):
            if _note(outcome, row):
                claim = claims.get((row["repo_id"], row["revision"]), {})
                outcome.promoted[row["file_id"]] = {**claim, **row, "repo": _repo(claim)}
                candidates[row["file_id"]] = {**candidates[row["file_id"]], "detail": row["detail"]}
            else:
                del candidates[row["file_id"]]
    outcome.after |= elected
    outcome.promoted = {file_id: row for file_id, row in outcome.promoted.items() if elected[file_id]["kept"]}
    return outcome


def _note(outcome: Outcome, row: Row) -> bool:
    """Say whether a file that was judged is admissible; note the verdict where it is not."""
    if row["reason"] is None:
        return True
    before = outcome.before[row["file_id"]]
    outcome.after[row["file_id"]] = _decided(before, row["stage"], row["reason"], row["detail"])
    return False


def _decided(row: Row, stage: str | None, reason: str | None, detail: str | None) -> Row:
    verdict = {"kept": reason is None, "stage": stage, "reason": reason, "detail": detail}
    return {**row, **verdict, "shard": row["shard"] if reason is None else None}


def _repo(claim: Mapping[str, Any]) -> str:
    return "/".join(part for part in (claim.get("owner"), claim.get("name")) if part is not None)


def _claims(past: Past, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    """Return stars, forks, times and names by repo_id and revision."""
    ids = pa.array({row["repo_id"] for row in rows}, pa.string())
    names = ("owner", "name", "stars", "forks", "created_at", "pushed_at")
    known = whole_first(past.rows(schema.REPOS, ids), schema.REPOS)
    return {key: {name: row[name] for name in names} for key, row in known.items()}


def _elect(rows: Iterable[Row], claims: Mapping[tuple[Any, ...], Row], generations: Mapping[str, int | None],
           edges: pa.Table, threshold: float) -> dict[str, Row]:  # fmt: skip
    """Decide on candidates as `elect_files` does: one file per blob, one blob per neighbourhood."""
    ranked = _best_first(rows, claims, generations)
    best: dict[str, str] = {}
    for row in ranked:
        best.setdefault(row["blob_id"], row["file_id"])
    joined = {*edges["left_blob_id"].to_pylist(), *edges["right_blob_id"].to_pylist()}
    contested = [(blob, file_id) for blob, file_id in best.items() if blob in joined]
    columns = {"blob_id": [b for b, _ in contested], "best_file_id": [f for _, f in contested]}
    ordered = pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns]))
    lost = similar_losers(ordered, edges, threshold)
    stands = dict(zip(lost["blob_id"].to_pylist(), lost["kept_file_id"].to_pylist(), strict=True))
    decided = {}
    for row in ranked:
        other = stands.get(row["blob_id"])
        verdict: tuple[str | None, str | None, str | None] = (None, None, row["detail"])
        if other is not None:
            verdict = "near_dups", "near_duplicate", other
        elif best[row["blob_id"]] != row["file_id"]:
            verdict = "near_dups", "exact_duplicate", best[row["blob_id"]]
        decided[row["file_id"]] = _decided({name: row.get(name) for name in schema.DECISIONS.columns.names}, *verdict)
    return decided


def _best_first(rows: Iterable[Row], claims: Mapping[tuple[Any, ...], Row], generations: Mapping[str, int | None]
                ) -> list[Row]:  # fmt: skip
    """Return files in the order of `election.BEST_FIRST`."""
    ranked = list(rows)
    for column in reversed(BEST_FIRST):
        name, _, descending = column.partition(" ")
        known: list[tuple[Any, Row]] = []
        unknown: list[tuple[Any, Row]] = []
        for row in ranked:
            claim = claims.get((row["repo_id"], row["revision"]), {}) | {"generation": generations.get(row["blob_id"])}
            value = row[name] if name in row else claim.get(name)
            (unknown if value is None else known).append((value, row))
        known.sort(key=itemgetter(0), reverse=bool(descending))
        ranked = [row for _, row in (*known, *unknown)]
    return ranked


def _scan(build: Build, past: Past, rows: list[Row], stages: tuple[Stage, ...] = LATE) -> None:
    """Look for malware, benchmarks and personal data in blobs that have not been looked at."""
    blobs = pa.array({row["blob_id"] for row in rows}, pa.string())
    for stage in stages:
        known = read_table(
            build.workspace, stage.table, build.stored(stage), ["blob_id"], pc.field("blob_id").isin(blobs)
        )
        missing = set(blobs.to_pylist()) - set(known["blob_id"].to_pylist())
        if missing:
            files = _files(past, [row for row in rows if row["blob_id"] in missing])
            sized = files.group_by("blob_id").aggregate([("size", "max")]).rename_columns(["blob_id", "size"])
            ensure(build, stage, frame(build.spark, sized))


def _files(past: Past, rows: list[Row]) -> pa.Table:
    ids = pa.array([row["file_id"] for row in rows], pa.string())
    known = whole_first(past.rows(schema.FILES, ids), schema.FILES)
    return pa.Table.from_pylist(list(known.values()), schema=schema.FILES.columns)


def _judged(build: Build, past: Past, rows: list[Row]) -> list[Row]:
    """Return files with their facts, the verdict of all rules but opt-outs, and their cluster."""
    if not rows:
        return []
    files = _files(past, rows)
    keys = {name: files[name].combine_chunks().unique() for name in ("file_id", "blob_id")}
    facts = {}
    for name, table in _FACTS.items():
        stage = {stage.name: stage for stage in LATE}.get(name)
        found = build.stored(stage) if stage else past.runs(table)
        where = pc.field(table.key[0]).isin(keys[table.key[0]])
        facts[name] = frame(build.spark, read_table(build.workspace, table, found, where=where))
    decided = judge(frame(build.spark, files), facts, build.config.sections)
    judged = with_allowed(decided, facts["malware"], build.config.sections).toArrow().to_pylist()
    members = past.rows(schema.NEAR_DUPS, keys["blob_id"])
    clusters = dict(zip(members["blob_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True))
    for row in judged:
        if row["reason"] is None and None in (row["language"], row["encoding"], row["license_reason"]):
            raise WorkspaceError(f"{row['repo_id']} {row['path']}: its facts are missing; build the release anew")
    return [{**row, "cluster_id": clusters.get(row["blob_id"])} for row in judged]
