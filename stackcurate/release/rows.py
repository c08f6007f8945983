"""Rows of a release: the facts given, and the text, redacted until nothing is found in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.errors import ReleaseError
from stackcurate.kernels import author_names
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.content import blob_id, decode
from stackcurate.kernels.pii import PiiConfig, find_spans
from stackcurate.kernels.spans import RedactionConfig, redact_fully
from stackcurate.release.policy import ReleaseConfig
from stackcurate.sources.authors import keyed_hash
from stackcurate.workspace import Run, Workspace, author_key, read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Authors = Mapping[tuple[str, str], Collection[str]]
"""Hashes of the names and e-mails of authors, by repository and input; they go wherever they stand in its files."""


@dataclass(frozen=True)
class ShardWriter:
    """All that a task needs to write shards. Pickles.

    Args:
        workspace: where to.
        blobs: the contents.
        config: of the release.
        redaction: policies.
        detector: what is looked for in redacted text.
    """

    workspace: Workspace
    blobs: BlobReader
    config: ReleaseConfig
    redaction: RedactionConfig
    detector: PiiConfig


def released(rows: list[dict[str, Any]], writer: ShardWriter, authors: Authors) -> pa.Table:
    """Return rows of a release with their text, redacted; contents are read in the order of the packs.

    Args:
        rows: as for `release_row`, with `input_id`.
        writer: from what, and how to redact.
        authors: of the repositories.
    """
    contents = writer.blobs.read_many(pa.array([row["blob_id"] for row in rows], pa.string())) if rows else []
    made = [
        release_row(row, content, writer, authors.get((row["repo_id"], row["input_id"]), ()))
        for row, content in zip(rows, contents, strict=True)
    ]
    return pa.Table.from_pylist(made, schema=schema.RELEASE.columns)


def authors_of(repo_ids: Collection[str], workspace: Workspace, found: list[Run]) -> Authors:
    """Return the authors of some repositories, few enough for this process.

    Args:
        repo_ids: of the repositories.
        workspace: holds the table of authors.
        found: its runs.
    """
    columns = ["repo_id", "input_id", "email_hash", "name_hash"]
    where = pc.field("repo_id").isin(pa.array(repo_ids, pa.string()))
    known: dict[tuple[str, str], set[str]] = {}
    for row in read_table(workspace, schema.AUTHORS, found, columns, where=where).to_pylist():
        known.setdefault((row["repo_id"], row["input_id"]), set()).update((row["email_hash"], row["name_hash"]))
    return known


def led_by_authors(rows: DataFrame, places: DataFrame, authors: DataFrame) -> DataFrame:
    """Add to the rows of a release one for each repository and input whose authors are known, without a `path`.

    So a shard brings its authors with it: they sort before its files, and nobody looks for them in the whole table.

    Args:
        rows: as `write_shards` takes them.
        places: shard, repo_id and input_id of the same files.
        authors: the table of authors.

    Returns:
        The rows with `authors`, the hashes, null where a row is a file.
    """
    from pyspark.sql import functions as F

    hashes = F.flatten(F.collect_list(F.array("email_hash", "name_hash")))
    known = authors.groupBy("repo_id", "input_id").agg(F.array_distinct(hashes).alias("authors"))
    leads = places.select("shard", "repo_id", "input_id").distinct().join(known, ["repo_id", "input_id"])
    return rows.unionByName(leads, allowMissingColumns=True)


def apart(rows: pa.Table) -> tuple[pa.Table, Authors]:
    """Return the files of a shard, and what the rows before them say of their authors; see `led_by_authors`."""
    leads = rows.filter(pc.is_valid(rows["authors"])).select(["repo_id", "input_id", "authors"]).to_pylist()
    authors = {(row["repo_id"], row["input_id"]): frozenset(row["authors"]) for row in leads}
    return rows.filter(pc.is_null(rows["authors"])), authors


def release_row(
    row: dict[str, Any], content: bytes, writer: ShardWriter, authors: Collection[str] = ()
) -> dict[str, Any]:
    """Return a row of a release: the facts given, and the redacted text with its id and size.

    Args:
        row: columns of a release but those of the text, and the `spans` and `overlaps` found in the blob.
        content: the blob.
        writer: how to redact.
        authors: hashes of the names and e-mails of the authors of the repository.

    Raises:
        ReleaseError: the blob was not scanned.
    """
    for name, what in (("spans", "personal data"), ("overlaps", "benchmarks")):
        if row[name] is None:
            raise ReleaseError(f"{row['repo_id']} {row['path']}: was not scanned for {what}; nothing is released")
    named = partial(_named, authors=authors, writer=writer)
    spans = [*(Span(**span) for span in row["spans"]), *named(content)]
    redacted, count = _redacted(content, spans, row, writer, named)
    text, _ = decode(redacted)
    assert text is not None, f"{row['path']}: binary content passed the policy"
    published = text.encode()
    if published != redacted:  # another encoding: what is published is what has to be clean
        spans = [*find_spans(published, writer.detector), *named(published)]
        published, more = _redacted(published, spans, row, writer, named)
        text, count = published.decode(), count + more
    facts = {name: row[name] for name in schema.RELEASE.columns.names if name in row}
    names = sorted({overlap["benchmark"] for overlap in row["overlaps"]})
    facts |= {"benchmarks": ", ".join(names) or None}
    return facts | {"content": text, "content_id": blob_id(published), "size": len(published), "redactions": count}


def _named(content: bytes, *, authors: Collection[str], writer: ShardWriter) -> list[Span]:
    """Return where authors of the repository stand."""
    if not authors:
        return []
    found = author_names.find(content, authors, partial(keyed_hash, _key(writer.workspace)))
    return [span for span in found if span.entity in writer.detector.entities]


@cache
def _key(workspace: Workspace) -> bytes:
    return author_key(workspace)


def _redacted(
    content: bytes, spans: list[Span], row: dict[str, Any], writer: ShardWriter, named: Callable[[bytes], list[Span]]
) -> tuple[bytes, int]:
    def look(redacted: bytes) -> list[Span]:
        return find_spans(redacted, writer.detector) + named(redacted)

    key = writer.config.redaction_key.encode()
    return redact_fully(
        content, spans, look, path=row["path"], repo_id=row["repo_id"], key=key, config=writer.redaction
    )
