"""Correction: a release without what was asked to go, made from the one before; only the shards touched are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.config import Config
from stackcurate.errors import ReleaseError, plain_errors
from stackcurate.facts import Build, Progress, silent
from stackcurate.kernels.opt_outs import requests_digest
from stackcurate.pipeline import given_requests, requests_of
from stackcurate.release.attribution_index import build_index
from stackcurate.release.credits import correct_credits
from stackcurate.release.export import clear, publish
from stackcurate.release.funnel import recount
from stackcurate.release.ledger import record_requests
from stackcurate.release.lookup import carry_index
from stackcurate.release.manifest import FUNNEL, Release, find_release, make_manifest
from stackcurate.release.merkle import digest
from stackcurate.release.past import Past, load_past, whole_first
from stackcurate.release.policy import ORDER
from stackcurate.release.receipts import write_receipts
from stackcurate.release.reelection import Outcome, Row, matched, scan_again, settle_again
from stackcurate.release.removals import (
    PROMOTED_ROWS,
    REMOVED_ROWS,
    corrected,
    read_shard,
    removed_rows,
    write_removals,
)
from stackcurate.release.rows import ShardWriter, authors_of, released
from stackcurate.release.shards import encode, shard_counts, shard_entry, shard_of
from stackcurate.stages import LATE, contamination, malware
from stackcurate.stages.tables import write_part
from stackcurate.workspace import (
    Part,
    Run,
    Workspace,
    carry,
    commit,
    locked,
    open_workspace,
    part_paths,
    read_json,
    read_table,
    write_bytes,
)

PREVIEW = pa.schema([
    ("repo", pa.string()), ("request_id", pa.string()), ("via", pa.string()), ("files", pa.int64()),
    ("released", pa.int64()),
])  # fmt: skip
"""What would go, by repository: the request, why it means the files, how many were read and how many are released."""


@dataclass(frozen=True)
class Shards:
    """The shards of a correction as its manifest lists them, those that were touched, and the rows that moved."""

    entries: list[dict[str, Any]]
    touched: list[str]
    removed: pa.Table
    promoted: pa.Table


def correct(config: Config, old: str, new: str, progress: Progress = silent) -> Release:
    """Make a release that honours the requests of a config from one that was made under the same policy.

    What is not touched is carried over by reference. The result is that of a whole build with `release.shards_of`
    set to the old release, and nothing that is known is computed again.

    Args:
        config: as `load_config` gives it, with the requests.
        old: version of the release to correct.
        new: version of the correction.
        progress: shows the stages.

    Raises:
        ReleaseError: the old release is missing, damaged where it is touched, or of another policy; or the new
            version exists and is something else.
        WorkspaceError: another process writes to the workspace, or the ledger was changed.
    """
    if old == new:
        raise ReleaseError(f"a correction of {old!r} needs a name of its own; give another --to")
    workspace, config = open_workspace(config["workspace"].path, create=False), _moved(config, old, new)
    with plain_errors(workspace.root), locked(workspace):
        past, requests = load_past(workspace, old, config), requests_of(config)
        made_from = _digest(past, config, requests)
        found = find_release(workspace, new, made_from)
        if found:
            return found
        record_requests(workspace, given_requests(config))
        build = Build(config, workspace, progress)
        outcome = settle_again(build, past, requests)
        written = _write(build, past, outcome, made_from)
        manifest, decided = written.manifest, written.decided
        write_receipts(past, decided, manifest, requests, outcome, written.touched, config["opt_outs"].copies)
        return publish(workspace, manifest, written.funnel)


def re_verdict(config: Config, old: str, new: str, progress: Progress = silent) -> Release:
    """Make a release that honours the malware rules of today from one that was made with those of its time.

    Blobs that were looked at before are scanned again; files whose verdict is another are decided anew: out, back in,
    or replaced by another of their cluster. What is not touched is carried over, as `correct` does it.

    Args:
        config: as `load_config` gives it; [malware] and [malware_policy] may differ from the old release's.
        old: version of the release to scan again.
        new: version of the release without what the rules find.
        progress: shows the stages.

    Raises:
        ReleaseError: as `correct` does.
        WorkspaceError: another process writes to the workspace.
    """
    if old == new:
        raise ReleaseError(f"a new verdict on {old!r} needs a name of its own; give another --to")
    workspace, config = open_workspace(config["workspace"].path, create=False), _moved(config, old, new)
    with plain_errors(workspace.root), locked(workspace):
        past = load_past(workspace, old, config, may_change=("malware", "malware_policy"))
        made_from = digest([past.release.manifest["digest"], past.release.manifest["merkle_root"],
                            config.digest("release", "policy", "malware_policy"),
                            malware.digest(config.sections)])  # fmt: skip
        found = find_release(workspace, new, made_from)
        if found:
            return found
        build = Build(config, workspace, progress)
        written = _write(build, past, scan_again(build, past), made_from)
        return publish(workspace, written.manifest, written.funnel)


@dataclass(frozen=True)
class _Written:
    """What is there of a correction before it is published."""

    manifest: dict[str, Any]
    funnel: dict[str, Any]
    decided: Run
    touched: list[str]


def _write(build: Build, past: Past, outcome: Outcome, made_from: str) -> _Written:
    """Write shards, decisions, indices and documents of a correction."""
    workspace, config, old, new = build.workspace, build.config, past.release.version, build.config["release"].version
    clear(workspace, new)
    with build.progress("release", len(outcome.changed)):
        shards = _write_shards(build, past, outcome)
    if config["attribution"].index:
        build_index(None, workspace, new, shards.entries, config["attribution"], older=old)
    decided = _write_decisions(build, past, outcome, made_from)
    carry_index(workspace, old, replace(decided, table=schema.LOOKUP.name, metrics={}))
    funnel = _funnel(past, outcome)
    funnel["benchmarks"] = _benchmarks(build, past, outcome, funnel["benchmarks"])
    came = {file_id: outcome.after[file_id]["shard"] for file_id in outcome.promoted}
    credited = correct_credits(past, new, shards.entries, came, build.blobs)
    manifest = make_manifest(made_from, config.to_dict(), shards.entries, funnel, credited)
    hashes = write_removals(workspace, new, shards.removed, shards.promoted)
    moved = {"removed": shards.removed.num_rows, "promoted": shards.promoted.num_rows, "removals": hashes}
    manifest["corrects"] = {"version": old, "merkle_root": past.release.manifest["merkle_root"], **moved}
    return _Written(manifest, funnel, decided, shards.touched)


def preview(config: Config, old: str) -> pa.Table:
    """Return what the requests of a config would take out of a release, as `PREVIEW`; nothing is written.

    Args:
        config: as `load_config` gives it, with the requests.
        old: version of the release.

    Raises:
        ReleaseError: there is no such release, or it is of another policy.
    """
    workspace = open_workspace(config["workspace"].path, create=False)
    past = load_past(workspace, old, config)
    outcome = matched(past, requests_of(config), config["opt_outs"].copies)
    files: Counter[tuple[str, str, str]] = Counter()
    released: Counter[tuple[str, str, str]] = Counter()
    for row in outcome.found.to_pylist():
        file = outcome.before[row["file_id"]]
        key = file["repo_id"], row["request_id"], row["via"]
        files[key] += 1
        released[key] += file["kept"]
    rows = [
        {"repo": key[0], "request_id": key[1], "via": key[2], "files": count, "released": released[key]}
        for key, count in sorted(files.items())
    ]
    return pa.Table.from_pylist(rows, schema=PREVIEW)


def _moved(config: Config, old: str, new: str) -> Config:
    """Return the config of a correction."""
    release = replace(config["release"], version=new, shards_of=old)
    return Config({**config.sections, "release": release})


def _digest(past: Past, config: Config, requests: pa.Table) -> str:
    """Return the digest of all that decides a correction."""
    sections = [name for name in config.sections if name not in ("workspace", "spark", "sources", "opt_outs")]
    return digest([past.release.manifest["digest"], past.release.manifest["merkle_root"], config.digest(*sections),
                   config["opt_outs"].copies, requests_digest(requests)])  # fmt: skip


def _write_shards(build: Build, past: Past, outcome: Outcome) -> Shards:
    """Write the shards that rows leave or come into, and carry the others over."""
    manifest, version = past.release.manifest, build.config["release"].version
    old, new = (build.workspace.below("releases", v) for v in (past.release.version, version))
    arrivals = _arrivals(build, outcome, shard_counts(manifest["shards"]))
    release, redaction, detector = (build.config[name] for name in ("release", "redaction", "pii"))
    writer = ShardWriter(build.workspace, build.blobs, release, redaction, detector)
    came = {row["repo_id"] for rows in arrivals.values() for row in rows}
    authors = authors_of(came, build.workspace, past.runs(schema.AUTHORS))
    reasons: dict[str, dict[str, str]] = {}
    for row in outcome.changed:
        before = outcome.before[row["file_id"]]
        if before["kept"] and not row["kept"]:
            reasons.setdefault(before["shard"], {})[before["blob_id"]] = row["reason"]
    known = {shard["path"]: shard for shard in manifest["shards"]}
    entries, removed, promoted = [], [REMOVED_ROWS.empty_table()], [PROMOTED_ROWS.empty_table()]
    touched = sorted({*reasons, *arrivals})
    for path in sorted({*known, *touched}):
        if path not in touched:
            _carry_shard(build.workspace, known[path], past.release.version, version)
            entries.append(known[path])
            continue
        table = read_shard(old, known[path]) if path in known else schema.RELEASE.columns.empty_table()
        gone = removed_rows(path, table, reasons.get(path, {}))
        if gone.num_rows != len(reasons.get(path, {})):
            raise ReleaseError(f"{old.root}/{path}: holds other rows than were decided; `stackcurate verify` says more")
        rows = released(arrivals.get(path, []), writer, authors)
        table = corrected(table, gone["row"].to_pylist(), rows)
        removed.append(gone)
        promoted.append(rows.add_column(0, PROMOTED_ROWS.field("shard"), pa.array([path] * len(rows), pa.string())))
        if table.num_rows:
            data = encode(table, build.config["release"].row_group_bytes)
            write_bytes(new, data, path)
            entries.append(shard_entry(path, table, data))
    if not entries:
        raise ReleaseError("nothing is left to release once the requests are honoured")
    return Shards(entries, touched, pa.concat_tables(removed), pa.concat_tables(promoted))


def _arrivals(build: Build, outcome: Outcome, counts: Mapping[str, int]) -> dict[str, list[Row]]:
    """Return the promoted rows by shard, and note the shard in what was decided on them."""
    needed: Counter[str] = Counter()
    for row in outcome.promoted.values():
        needed[row["language"]] += row["size"]
    by_shard: dict[str, list[Row]] = {}
    for file_id, row in outcome.promoted.items():
        language = row["language"]
        shards = counts.get(language) or -(-needed[language] // build.config["release"].shard_bytes) or 1
        path = shard_of(language, row["owner"] if row["owner"] is not None else row["repo_id"], shards)
        outcome.after[file_id]["shard"] = path
        by_shard.setdefault(path, []).append(row)
    return by_shard


def _carry_shard(workspace: Workspace, shard: Mapping[str, Any], old: str, new: str) -> None:
    source = ("releases", old, *shard["path"].split("/"))
    filesystem, path = workspace.locate(*source)
    if filesystem.get_file_info(path).size != shard["bytes"]:
        raise ReleaseError(f"{path}: missing or damaged, its size is not that of the manifest; restore it from a copy")
    carry(workspace, source, ("releases", new, *shard["path"].split("/")))


def _write_decisions(build: Build, past: Past, outcome: Outcome, made_from: str) -> Run:
    """Write the decisions of the correction: parts in which nothing changes are carried over."""
    used = {**past.used, **{stage.table.name: [run.run_id for run in build.stored(stage)] for stage in LATE}}
    run = Run(table=schema.DECISIONS.name, run_id=build.config["release"].version, digest=made_from,
              inputs=made_from, metrics={"runs": used})  # fmt: skip
    changed = pa.Table.from_pylist(outcome.changed, schema=schema.DECISIONS.columns)
    ids = changed["file_id"].combine_chunks()
    filesystem, _ = build.workspace.locate()
    parts: list[Part] = []
    for part, path in zip(past.decided.parts, part_paths(build.workspace, [past.decided]), strict=True):
        names = pq.read_table(path, filesystem=filesystem, columns=["file_id"])["file_id"]
        if pc.any(pc.is_in(names, ids)).as_py():
            fresh = write_part(_replaced(pq.ParquetFile(path, filesystem=filesystem), changed, ids), build.workspace,
                               schema.DECISIONS, run.run_id)  # fmt: skip
            parts += [fresh] if fresh else []
        else:
            place = ("tables", schema.DECISIONS.name)
            carry(build.workspace, (*place, past.decided.run_id, part.path), (*place, run.run_id, part.path))
            parts.append(part)
    return commit(build.workspace, replace(run, parts=tuple(parts)))


def _replaced(rows: pq.ParquetFile, changed: pa.Table, ids: pa.Array) -> Iterator[pa.RecordBatch]:
    for batch in rows.iter_batches():
        places = pc.index_in(batch["file_id"], ids)
        yield batch.filter(pc.is_null(places))
        yield from changed.take(places.drop_null()).combine_chunks().to_batches()


def _benchmarks(build: Build, past: Past, outcome: Outcome, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how much of each benchmark stands in the files that pass now; examples never name what went."""
    found = read_table(build.workspace, schema.CONTAMINATION, build.stored(contamination),
                       where=pc.list_value_length(pc.field("overlaps")) > 0)  # fmt: skip
    overlaps = dict(zip(found["blob_id"].to_pylist(), found["overlaps"].to_pylist(), strict=True))
    rows = past.decisions(pc.field("blob_id").isin(found["blob_id"].combine_chunks())).to_pylist()
    files = [outcome.after.get(row["file_id"], row) for row in rows]
    hits = [
        {**overlap, **{name: row[name] for name in ("file_id", "repo_id", "path")}}
        for row in files if _passed(row) for overlap in overlaps[row["blob_id"]]
    ]  # fmt: skip
    moved = sum(_passed(row) - _passed(outcome.before[row["file_id"]]) for row in outcome.changed)
    return recount(before, before[0]["files_scanned"] + moved if before else 0, hits)


def _passed(row: Mapping[str, Any]) -> bool:
    """Say whether a file was looked at for benchmarks, having passed all other stages."""
    return row["reason"] in (None, "contaminated")


def _funnel(past: Past, outcome: Outcome) -> dict[str, Any]:
    """Return the funnel of the old release with what changed moved from one reason to another."""
    funnel: dict[str, Any] = read_json(Workspace(past.release.path), FUNNEL)
    counts = {(r["stage"], r["reason"]): [r["files"], r["bytes"]] for r in funnel["dropped"]}
    counts[None, None] = [funnel["kept"]["files"], funnel["kept"]["bytes"]]
    ids = pa.array([row["file_id"] for row in outcome.changed], pa.string())
    sizes = {row["file_id"]: row["size"] for row in whole_first(past.rows(schema.FILES, ids), schema.FILES).values()}
    for row in outcome.changed:
        for side, sign in ((outcome.before[row["file_id"]], -1), (row, 1)):
            entry = counts.setdefault((side["stage"], side["reason"]), [0, 0])
            entry[0] += sign
            entry[1] += sign * (sizes[row["file_id"]] or 0)
    kept = counts.pop((None, None))
    dropped = [
        {"stage": stage, "reason": reason, "files": n, "bytes": b} for (stage, reason), (n, b) in counts.items() if n
    ]
    dropped.sort(key=lambda row: (ORDER.index(row["stage"]), -row["files"], row["reason"]))
    return {**funnel, "kept": {"files": kept[0], "bytes": kept[1]}, "dropped": dropped}
