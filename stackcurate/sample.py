"""The stages on a handful of files, without Spark: what the verbs show, and where notebooks start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.config import Config
from stackcurate.errors import SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.license_resolver import resolve
from stackcurate.kernels.license_scan import scanned_as
from stackcurate.kernels.minhash import near_duplicates
from stackcurate.kernels.opt_outs import parse
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import Input, discover, read, single
from stackcurate.sources.metadata import Entry, Repository, file_id
from stackcurate.stage import Stage
from stackcurate.stages import license_scan

SAMPLE = pa.schema([
    ("file_id", pa.string()), ("repo_id", pa.string()), ("revision", pa.string()), ("path", pa.string()),
    ("blob_id", pa.string()), ("size", pa.int64()), ("content", pa.binary()), ("scanned_as", pa.string()),
    ("host_license", pa.string()), ("error", pa.string()),
])  # fmt: skip
"""Columns of a sample: those of `files`, the content, and what stages derive from the path."""


def read_files(paths: Iterable[str | Path], config: SourcesConfig | None = None) -> pa.Table:
    """Read files, folders, archives and git repositories into one table, contents included.

    Args:
        paths: what to read; a loose file counts as a repository of one file, a folder as one repository unless
            git repositories or archives lie in it.
        config: limits.

    Returns:
        One row per file, `SAMPLE`; `content` is null and `error` says why where a file was not read.

    Raises:
        SourceError: a path does not exist.
    """
    limits = config or SourcesConfig()
    rows: list[dict[str, object]] = []
    for path in map(Path, paths):
        if path.is_file() and not _is_input(path):
            rows.append(_loose(path, limits))
            continue
        for one in _inputs(path):
            repository, entries = read(one, limits)
            rows.extend(_row(repository, entry) for entry in entries)
    return pa.Table.from_pylist(rows, schema=SAMPLE)


def _inputs(path: Path) -> list[Input]:
    whole = single(path)
    if whole.kind != "directory":
        return [whole]
    try:
        found = discover([path])
    except SourceError:  # nothing in it but loose files
        return [whole]
    return found if any(one.kind != "directory" for one in found) else [whole]


def _row(repository: Repository, entry: Entry) -> dict[str, object]:
    revision = repository.revision or ""
    return {
        "file_id": file_id(repository.repo_id, revision, entry.path), "repo_id": repository.repo_id,
        "revision": revision, "path": entry.path, "blob_id": entry.blob_id, "size": entry.size,
        "content": entry.content, "scanned_as": scanned_as(entry.path), "host_license": repository.host_license,
        "error": entry.error,
    }  # fmt: skip


def _is_input(path: Path) -> bool:
    from stackcurate.sources.archives import is_archive

    return is_archive(str(path))


def _loose(path: Path, limits: SourcesConfig) -> dict[str, object]:
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise SourceError(f"{path}: {size} bytes, more than [sources] max_file_bytes ({limits.max_file_bytes})")
    content = path.read_bytes()
    return {
        "file_id": file_id("local", "", str(path)), "repo_id": "local", "revision": "", "path": path.name,
        "blob_id": blob_id(content), "size": size, "content": content, "scanned_as": scanned_as(path.name),
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
    found = run(license_scan, files, config["license_scan"])
    readable = files.filter(pc.is_valid(files["content"]))
    for name in ("status", "detections", "declared", "unmatched"):
        readable = readable.append_column(name, found[name])
    parts = []
    for keys in readable.group_by(["repo_id", "revision"]).aggregate([]).to_pylist():
        mask = pc.and_(pc.equal(readable["repo_id"], keys["repo_id"]), pc.equal(readable["revision"], keys["revision"]))
        group = readable.filter(mask).combine_chunks()
        decided = pa.Table.from_batches([resolve(group, config["licenses"])])
        parts.append(decided.add_column(0, "path", group["path"]))
    empty = pa.schema([("path", pa.string()), *schema.LICENSES.columns])
    joined = pa.concat_tables(parts) if parts else empty.empty_table()
    return joined.drop(["file_id"])


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
        parsed = [parse(Path(path).read_text(errors="replace"), Path(path).name) for path in paths]
        return pa.Table.from_batches(parsed, schema=schema.OPT_OUTS.columns)
    files = read_files(paths, config["sources"])
    whole: dict[str, Callable[[pa.Table, Config], pa.Table]] = {"licenses": licenses, "near_dups": near_dups}
    if stage.name in whole:
        return whole[stage.name](files, config)
    return run(stage, files, config[stage.section])
