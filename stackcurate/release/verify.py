"""Verify: read a release again and prove what its manifest says, row by row, without Spark."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.content import blob_id
from stackcurate.release.attribution_index import index_problems
from stackcurate.release.credits import credits_problems
from stackcurate.release.manifest import FUNNEL, MANIFEST
from stackcurate.release.merkle import merkle_root
from stackcurate.release.proof import named, named_beside
from stackcurate.workspace import Workspace, read_bytes, read_json

T = TypeVar("T")

SHOWN = 20
"""Problems of one kind that are listed; the rest is counted."""


@dataclass
class Findings:
    """What a verification saw: rows and shards read, and problems, none of which quotes content."""

    shards: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, problem: str) -> None:
        """Note a problem."""
        if len(self.problems) < SHOWN:
            self.problems.append(problem)
        else:
            self.left_out += 1


def verify(
    folder: Workspace,
    *,
    opted_out: Iterable[tuple[str, str]] = (),
    rescan: bool = True,
    on_shard: Callable[[int], None] = lambda _: None,
) -> Findings:
    """Prove manifest, schema, hashes, uniqueness, redaction and opt-outs of a release.

    Args:
        folder: the release's folder, opened as a workspace-like root.
        opted_out: kind and value of active requests; no row may belong to one, and no document or table may name one.
        rescan: look for personal data and secrets again; what is found counts as a problem.
        on_shard: called with the number of shards read.

    Raises:
        ReleaseError: there is no complete release.
    """
    manifest = read_json(folder, MANIFEST)
    if manifest is None:
        raise ReleaseError(f"{folder.root}: no {MANIFEST}, so no complete release; build it again")
    findings = Findings()
    seen: set[str] = set()
    requests = set(opted_out)
    for shard in manifest["shards"]:
        table = _checked_shard(folder, shard, findings)
        if table is not None:
            for problem in _row_problems(table, shard, seen, requests, manifest["config"] if rescan else None):
                findings.add(problem)
            findings.rows += table.num_rows
        findings.shards += 1
        on_shard(findings.shards)
    for problem in chain(
        named_beside(folder, requests),
        credits_problems(folder, manifest["credits"]),
        index_problems(folder, manifest["shards"]) if manifest["config"]["attribution"]["index"] else (),
        _strays(folder, {shard["path"] for shard in manifest["shards"]}),
        _count_problems(manifest, read_json(folder, FUNNEL), findings),
    ):
        findings.add(problem)
    return findings


def _strays(folder: Workspace, known: set[str]) -> Iterator[str]:
    """Yield the files below `data/` that no manifest names: readers would load them all the same."""
    filesystem, data = folder.locate("data")
    infos = filesystem.get_file_info(pafs.FileSelector(data, recursive=True, allow_not_found=True))
    found = {info.path.removeprefix(data.removesuffix("data")) for info in infos if info.type == pafs.FileType.File}
    yield from (f"{path}: is not in the manifest" for path in sorted(found - known))


def _checked_shard(folder: Workspace, shard: dict[str, Any], findings: Findings) -> pa.Table | None:
    data = read_bytes(folder, shard["path"])
    if data is None:
        findings.add(f"{shard['path']}: missing")
        return None
    if hashlib.sha256(data).hexdigest() != shard["sha256"]:
        findings.add(f"{shard['path']}: SHA-256 is not that of the manifest")
        return None
    table = pq.read_table(io.BytesIO(data))
    if table.schema != schema.RELEASE.columns:
        findings.add(f"{shard['path']}: columns are not those of a release")
        return None
    if table.num_rows != shard["rows"]:
        findings.add(f"{shard['path']}: {table.num_rows} rows, the manifest says {shard['rows']}")
    return table


def _row_problems(
    table: pa.Table, shard: dict[str, Any], seen: set[str], requests: set[tuple[str, str]], config: Any
) -> Iterator[str]:
    if config is not None:
        yield from _undone(table, config)
    for row in table.select([n for n in table.column_names if n not in ("created_at", "pushed_at")]).to_pylist():
        where = f"{shard['path']}: {row['repo']} {row['path']}"
        if row["blob_id"] in seen:
            yield f"{where}: blob {row['blob_id']} occurs twice"
        seen.add(row["blob_id"])
        content = row["content"].encode()
        if blob_id(content) != row["content_id"] or len(content) != row["size"]:
            yield f"{where}: content_id or size is not that of the content"
        if row["language"] != shard["language"]:
            yield f"{where}: language {row['language']} in a shard of {shard['language']}"
        if not requests.isdisjoint(named(row["repo"], row["repo_id"], row["path"], row["blob_id"])):
            yield f"{where}: opted out"


def _undone(table: pa.Table, config: dict[str, Any]) -> Iterator[str]:
    """Yield where the detectors still find something in the released text."""
    from stackcurate.kernels.pii import PiiConfig, find
    from stackcurate.kernels.spans import RedactionConfig, open_spans

    detector, policy = _section(PiiConfig, config["pii"]), _section(RedactionConfig, config["redaction"])
    contents = table["content"].combine_chunks().cast(pa.binary())
    spans = find(contents, detector)["spans"]
    for index in pc.indices_nonzero(pc.fill_null(pc.list_value_length(spans), 0)).to_pylist():
        found = [Span(**span) for span in spans[index].as_py()]
        for span in open_spans(contents[index].as_py(), found, policy):
            row = table.slice(index, 1).select(["repo", "path"]).to_pylist()[0]
            yield f"{row['repo']} {row['path']}: {span.entity} at {span.start} is not redacted ({span.rule})"


def _section(kind: type[T], values: dict[str, Any]) -> T:
    """Return a config section from a manifest, where lists stand for tuples."""
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _count_problems(manifest: dict[str, Any], funnel: Any, findings: Findings) -> Iterator[str]:
    if manifest["merkle_root"] != merkle_root(manifest["shards"]):
        yield f"{MANIFEST}: the Merkle root is not that of its shards"
    if findings.rows != manifest["rows"]:
        yield f"{findings.rows} rows in all shards, the manifest says {manifest['rows']}"
    if funnel is None:
        yield f"{FUNNEL}: missing"
        return
    total = funnel["kept"]["files"] + sum(row["files"] for row in funnel["dropped"])
    if total != funnel["files"]:
        yield f"{FUNNEL}: kept and dropped add up to {total}, not to the {funnel['files']} read"
    if funnel["kept"]["files"] != manifest["rows"]:
        yield f"{FUNNEL}: {funnel['kept']['files']} kept, the manifest says {manifest['rows']}"
