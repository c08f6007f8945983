"""The stages on a handful of files, without Spark: what the verbs show, and where notebooks start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.config import Config
from stackcurate.errors import SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.language_attributes import worth_reading
from stackcurate.kernels.language_context import CONTEXT, repository_context
from stackcurate.kernels.license_policy import admits, classify, load_policy
from stackcurate.kernels.license_resolver import REASONS, resolve
from stackcurate.kernels.license_scan import scanned_as
from stackcurate.kernels.malware_policy import settle
from stackcurate.kernels.minhash import near_duplicates
from stackcurate.kernels.opt_outs import OptOutConfig
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import Input, discover, read, single
from stackcurate.sources.metadata import NO_PLACE, Entry, Reason, Repository, file_id
from stackcurate.stage import Stage
from stackcurate.stages import language, license_scan
from stackcurate.stages import malware as malware_stage
from stackcurate.stages import signals as signals_stage

SAMPLE = pa.schema([
    ("file_id", pa.string()), ("repo_id", pa.string()), ("revision", pa.string()), ("path", pa.string()),
    ("blob_id", pa.string()), ("size", pa.int64()), ("mode", pa.int32()), ("content", pa.binary()),
    ("scanned_as", pa.string()), ("context", CONTEXT), ("host_license", pa.string()), ("error", pa.string()),
])  # fmt: skip
"""Columns of a sample: those of `files`, the content, and what stages derive from the path and the repository."""


def read_files(paths: Iterable[str | Path], config: SourcesConfig | None = None) -> pa.Table:
    """Read files, folders, archives and git repositories into one table, contents included.

    Args:
        paths: what to read; a loose file counts as a repository of one file, a folder as one repository unless
            git repositories or archives lie in it.
        config: limits.

    Returns:
        One row per file, `SAMPLE`; `content` is null and `error` says why where a file, or the rest of an archive or
        repository, was not read.

    Raises:
        SourceError: a path does not exist, or is one of which nothing can be read.
    """
    limits = config or SourcesConfig()
    rows: list[dict[str, object]] = []
    for path in map(Path, paths):
        if path.is_file() and not _is_input(path):
            rows.append(_loose(path, limits))
            if rows[-1]["error"]:
                raise SourceError(f"{path}: not read, {Reason[str(rows[-1]['error']).upper()].doc}; see [sources]")
            continue
        inputs, beside = _inputs(path)
        rows.extend(_loose(file, limits) for file in beside)
        for one in inputs:
            repository, entries = read(one, limits)
            found = [_row(repository, entry) for entry in entries]
            if repository.error and not found and len(inputs) == 1:
                reason = Reason[repository.error.upper()].doc.partition(";")[0]
                raise SourceError(f"{path}: nothing can be read, {reason}")
            rows.extend(_with_context(found))
            if repository.error:
                rows.append(_row(repository, Entry(path=one.name, size=0, mode=0, error=repository.error)))
    return pa.Table.from_pylist(rows, schema=SAMPLE)


def _inputs(path: Path) -> tuple[list[Input], list[Path]]:
    """Return the inputs that a path means, and the loose files beside them."""
    whole = single(path)
    if whole.kind != "directory":
        return [whole], []
    try:
        found = discover([path])
    except SourceError:  # nothing in it but loose files
        return [whole], []
    if all(one.kind == "directory" for one in found):
        return [whole], []
    return found, sorted(p for p in path.iterdir() if p.is_file() and not p.is_symlink() and not _is_input(p))


def _row(repository: Repository, entry: Entry) -> dict[str, object]:
    revision = repository.revision or ""
    return {
        "file_id": file_id(repository.repo_id, revision, entry.path), "repo_id": repository.repo_id,
        "revision": revision, "path": entry.path, "blob_id": entry.blob_id, "size": entry.size, "mode": entry.mode,
        "content": entry.content, "scanned_as": scanned_as(entry.path), "host_license": repository.host_license,
        "error": entry.error,
    }  # fmt: skip


def _with_context(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to the files of one repository what it tells of their languages."""
    contents = {row["path"]: row["content"] for row in rows if row["content"]}
    attributes = {path: contents[path] for path in worth_reading({path: len(c) for path, c in contents.items()})}
    contexts = repository_context([row["path"] for row in rows], attributes).to_pylist()
    return [{**row, "context": context} for row, context in zip(rows, contexts, strict=True)]


def _is_input(path: Path) -> bool:
    from stackcurate.sources.archives import is_archive

    return is_archive(str(path))


def _loose(path: Path, limits: SourcesConfig) -> dict[str, object]:
    content, error = None, None
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= limits.max_file_bytes else None
        error = None if content is not None else Reason.TOO_LARGE.value
    except OSError:
        size, error = 0, Reason.UNREADABLE.value
    return {
        "file_id": file_id("local", "", str(path)), "repo_id": "local", "revision": "", "path": path.name,
        "blob_id": None if content is None else blob_id(content), "size": size, "content": content,
        "scanned_as": scanned_as(path.name), "error": error,
    }  # fmt: skip


def run(stage: Stage, files: pa.Table, config: object = None) -> pa.Table:
    """Run a row-local stage on a sample and return its facts beside the path.

    Args:
        stage: one with a kernel.
        files: as `read_files` gives them; rows without content are left out.
        config: a value of the stage's config; None means defaults.
    """
    readable = files.filter(pc.is_valid(files["content"]))
    batches = readable.to_batches(max_chunksize=500)
    facts = list(stage.rows(config or stage.config())(iter(batches)))
    table = pa.Table.from_batches(facts, schema=stage.table.columns)
    return table.drop(list(stage.table.key)).add_column(0, "path", readable["path"])


def licenses(files: pa.Table, config: Config) -> pa.Table:
    """Scan and resolve the licences of a sample; one row per file, beside its path."""
    scanned = run(license_scan, files, config["license_scan"])
    placed = pc.invert(pc.is_in(files["error"], pa.array(NO_PLACE)))
    unread = files.filter(pc.and_(pc.is_null(files["content"]), placed))  # licence files among them bar what lies below
    files = pa.concat_tables([files.filter(pc.is_valid(files["content"])), unread])
    for name in ("status", "detections", "declared", "unmatched"):
        column = pa.chunked_array([*scanned[name].chunks, pa.nulls(unread.num_rows, scanned[name].type)])
        files = files.append_column(name, column)
    parts = []
    for keys in files.group_by(["repo_id", "revision"]).aggregate([]).to_pylist():
        mask = pc.and_(pc.equal(files["repo_id"], keys["repo_id"]), pc.equal(files["revision"], keys["revision"]))
        group = files.filter(mask).combine_chunks()
        decided = pa.Table.from_batches([resolve(group, config["licenses"])])
        parts.append(decided.add_column(0, "path", group["path"]).filter(pc.is_valid(group["content"])))
    empty = pa.schema([("path", pa.string()), *schema.LICENSES.columns])
    joined = pa.concat_tables(parts) if parts else empty.empty_table()
    return joined.drop(["file_id"])


def explain(files: pa.Table, config: Config) -> pa.Table:
    """Return the licence of each file of a sample with its class and whether a release of this config takes it.

    Args:
        files: as `read_files` gives them.
        config: sections `license_scan`, `licenses`, `policy` and `release`.

    Returns:
        As `licenses`, and after `path`: `kept` (by licence alone), `license_type`, and `meaning` (of the reason).
    """
    decided, policy, allowed = licenses(files, config), load_policy(config["policy"]), config["release"].license_classes
    expressions, reasons = (decided[name].to_pylist() for name in ("license", "license_reason"))
    pairs = list(zip(expressions, reasons, strict=True))
    added = {
        "kept": pa.array([admits(*pair, policy, allowed) for pair in pairs], pa.bool_()),
        "license_type": pa.array([one and classify(one, policy) for one in expressions], pa.string()),
        "meaning": pa.array([REASONS[reason] for reason in reasons], pa.string()),
    }
    rest = {name: decided[name] for name in decided.column_names[1:]}
    return pa.table({"path": decided["path"], **added, **rest})


def signals(files: pa.Table, config: Config) -> pa.Table:
    """Return OpenCoder's signals of a sample; one row per file whose language is known, one column per signal."""
    readable = files.filter(pc.is_valid(files["content"]))
    known = run(language, readable, config["language"])
    for name in ("language", "language_type"):
        readable = readable.append_column(name, known[name])
    measured = run(signals_stage, readable.filter(pc.is_valid(readable["language"])), config["signals"])
    return measured.flatten().rename_columns([n.removeprefix("signals.") for n in measured.flatten().column_names])


def malware(files: pa.Table, config: Config) -> pa.Table:
    """Scan a sample; the verdict is that of the policy, and `allowed` says what its allow list lets pass, and why.

    What was not read has no verdict, and the reason in `error`.
    """
    readable = files.filter(pc.is_valid(files["content"])).select(["repo_id", "path", "blob_id"])
    facts = run(malware_stage, files, config["malware"])
    for name in ("verdict", "findings"):
        readable = readable.append_column(name, facts[name])
    settled = settle(readable, facts["error"], config["malware_policy"])
    verdicts = {name: settled[name] for name in settled.schema.names}
    scanned = pa.table({"path": facts["path"], **verdicts, "findings": facts["findings"], "error": facts["error"]})
    unread = files.filter(pc.is_null(files["content"])).select(["path", "error"])
    return pa.concat_tables([scanned, unread], promote_options="default")


def near_dups(files: pa.Table, config: Config) -> pa.Table:
    """Return the verified pairs of similar files of a sample, by path."""
    readable = files.filter(pc.is_valid(files["content"]))
    pairs = near_duplicates(readable["content"].combine_chunks(), config["near_dups"])
    paths = readable["path"].combine_chunks()
    columns = {side: paths.take(pairs[side].combine_chunks()) for side in ("left", "right")}
    return pa.table({**columns, "similarity": pairs["similarity"]})


def look(stage: Stage, paths: Iterable[str | Path], config: Config) -> pa.Table:
    """Return what a stage finds in some files; opt-outs are parsed, near-duplicates paired, licences resolved."""
    if stage.name == "opt_outs":
        from stackcurate.pipeline import given_requests

        section = OptOutConfig(requests=tuple(map(str, paths)))
        return given_requests(Config({**config.sections, "opt_outs": section}))
    files = read_files(paths, config["sources"])
    whole: dict[str, Callable[[pa.Table, Config], pa.Table]] = {
        "licenses": licenses, "malware": malware, "near_dups": near_dups, "signals": signals,
    }  # fmt: skip
    if stage.name in whole:
        return whole[stage.name](files, config)
    return run(stage, files, config[stage.section])
