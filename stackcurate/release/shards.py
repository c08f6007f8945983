"""Shards: rows by language and owner, redacted, as Parquet files whose bytes depend on nothing but their rows."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

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
from stackcurate.stage import Batches, spark_schema
from stackcurate.workspace import Run, Workspace, author_key, read_table, write_bytes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHARD = pa.schema([
    ("path", pa.string()), ("language", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64()),
    ("content_bytes", pa.int64()), ("redactions", pa.int64()), ("sha256", pa.string()),
])  # fmt: skip
"""What is known of a shard once it is written; a row of the manifest."""

BLOOM_COLUMNS = ("repo", "content_id")
_SPARK_SEED = 42
"""Seed of Spark's xxhash64. Source: org.apache.spark.sql.catalyst.expressions.XxHash64."""
PAGE_BYTES = 256 << 10
"""Bytes of a data page: small enough that a lookup reads little."""


@dataclass(frozen=True)
class ShardWriter:
    """All that a task needs to write shards. Pickles.

    Args:
        workspace: where to.
        blobs: the contents.
        config: of the release.
        redaction: policies.
        detector: what is looked for in redacted text.
        authors: runs of the table of authors; their names go wherever they stand in the files of their repository.
    """

    workspace: Workspace
    blobs: BlobReader
    config: ReleaseConfig
    redaction: RedactionConfig
    detector: PiiConfig
    authors: Sequence[Run] = ()


def directory(language: str) -> str:
    """Return the folder of a language: lower case, safe in paths and URLs.

    >>> directory("C#"), directory("C++"), directory("Jupyter Notebook")
    ('c-sharp', 'c++', 'jupyter-notebook')
    """
    spelled = language.lower().replace("#", "-sharp").replace("*", "-star")
    return re.sub(r"[^\w.+-]+", "-", spelled).strip("-")


def shard_counts(shards: list[dict[str, Any]]) -> dict[str, int]:
    """Return the number of shards of each language, as the names in a manifest tell."""
    return {shard["language"]: int(shard["path"].rpartition("-of-")[2].removesuffix(".parquet")) for shard in shards}


def shard_of(language: str, owner: str, shards: int) -> str:
    """Return the path of the shard that holds an owner's files, as `assign` does.

    Args:
        language: Linguist's name.
        owner: the owner; the repo_id where none is known.
        shards: number of shards of the language.
    """
    hashed = xxhash.xxh64_intdigest(owner.lower().encode(), seed=_SPARK_SEED)
    number = (hashed - (1 << 64) if hashed >> 63 else hashed) % shards  # Spark takes the hash for a signed number
    return f"data/{directory(language)}/train-{number:05d}-of-{shards:05d}.parquet"


def assign(kept: DataFrame, shard_bytes: int, known: Mapping[str, int] | None = None) -> DataFrame:
    """Add `shard`, the path of the shard below the release: within a language by a hash of the owner.

    Args:
        kept: holds language, owner and size.
        shard_bytes: source bytes per shard, roughly.
        known: number of shards of languages whose number is settled.
    """
    from pyspark.sql import functions as F

    sizes = kept.groupBy("language").agg(F.sum("size").alias("bytes")).collect()
    needed = {row["language"]: -(-row["bytes"] // shard_bytes) or 1 for row in sizes}
    counts = [(name, directory(name), (known or {}).get(name, count)) for name, count in needed.items()]
    table = kept.sparkSession.createDataFrame(counts, "language string, folder string, shards int")
    number = "pmod(xxhash64(lower(coalesce(owner, repo_id))), shards)"
    name = f"format_string('data/%s/train-%05d-of-%05d.parquet', folder, {number}, shards)"
    return kept.join(table.hint("broadcast"), "language").withColumn("shard", F.expr(name)).drop("folder", "shards")


def write_shards(rows: DataFrame, writer: ShardWriter, tasks: int) -> list[dict[str, Any]]:
    """Write all shards and return what the manifest says of them, by path.

    Args:
        rows: the columns of a release but those of the text, beside `shard`, and `spans` and `overlaps` of the blob.
        writer: where to, from what, and how.
        tasks: number of writing tasks.
    """
    ordered = rows.repartition(tasks, "shard").sortWithinPartitions("shard", "repo", "revision", "path")
    done = ordered.mapInArrow(partial(_write_task, writer=writer), spark_schema(SHARD)).collect()
    return sorted((row.asDict() for row in done), key=lambda shard: str(shard["path"]))


def _write_task(batches: Batches, *, writer: ShardWriter) -> Batches:
    for rows in by_shard(batches):
        yield pa.RecordBatch.from_pylist([write_shard(rows, writer)], schema=SHARD)


def by_shard(batches: Batches) -> Iterator[pa.Table]:
    """Yield the rows of each shard; batches are cut anywhere, shards follow one another."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        names = batch["shard"].to_pylist()
        start = 0
        for index in range(1, len(names) + 1):
            if index == len(names) or names[index] != names[start]:
                piece = batch.slice(start, index - start)
                if pending and pending[0]["shard"][0].as_py() != names[start]:
                    yield pa.Table.from_batches(pending)
                    pending = []
                pending.append(piece)
                start = index
    if pending:
        yield pa.Table.from_batches(pending)


def write_shard(rows: pa.Table, writer: ShardWriter) -> dict[str, Any]:
    """Write the rows of one shard, which is held in memory, and return its entry of the manifest."""
    path = rows["shard"][0].as_py()
    table = released(rows.to_pylist(), writer)
    data = encode(table, writer.config.row_group_bytes)
    write_bytes(writer.workspace, data, "releases", writer.config.version, path)
    return shard_entry(path, table, data)


def shard_entry(path: str, table: pa.Table, data: bytes) -> dict[str, Any]:
    """Return what the manifest says of a shard.

    Args:
        path: path below the release.
        table: its rows; at least one.
        data: its bytes.
    """
    return {
        "path": path,
        "language": table["language"][0].as_py(),
        "rows": table.num_rows,
        "bytes": len(data),
        "content_bytes": pc.sum(table["size"]).as_py(),
        "redactions": pc.sum(table["redactions"]).as_py(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def released(rows: list[dict[str, Any]], writer: ShardWriter) -> pa.Table:
    """Return rows of a release with their text, redacted; contents are read in the order of the packs.

    Args:
        rows: as for `release_row`, with `input_id`.
        writer: from what, and how to redact.
    """
    contents = writer.blobs.read_many(pa.array([row["blob_id"] for row in rows], pa.string())) if rows else []
    known = _authors({row["repo_id"] for row in rows}, writer)
    made = [
        release_row(row, content, writer, known.get((row["repo_id"], row["input_id"]), frozenset()))
        for row, content in zip(rows, contents, strict=True)
    ]
    return pa.Table.from_pylist(made, schema=schema.RELEASE.columns)


def _authors(repo_ids: Collection[str], writer: ShardWriter) -> dict[tuple[str, str], set[str]]:
    """Return the hashes of names and e-mails of the authors of repositories, by repository and input."""
    columns = ["repo_id", "input_id", "email_hash", "name_hash"]
    where = pc.field("repo_id").isin(pa.array(repo_ids, pa.string()))
    known: dict[tuple[str, str], set[str]] = {}
    if writer.authors:
        for row in read_table(writer.workspace, schema.AUTHORS, list(writer.authors), columns, where=where).to_pylist():
            known.setdefault((row["repo_id"], row["input_id"]), set()).update((row["email_hash"], row["name_hash"]))
    return known


def release_row(
    row: dict[str, Any], content: bytes, writer: ShardWriter, authors: Collection[str] = frozenset()
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
    found = author_names.find(content, authors, partial(keyed_hash, author_key(writer.workspace)))
    return [span for span in found if span.entity in writer.detector.entities]


def _redacted(
    content: bytes, spans: list[Span], row: dict[str, Any], writer: ShardWriter, named: Callable[[bytes], list[Span]]
) -> tuple[bytes, int]:
    def look(redacted: bytes) -> list[Span]:
        return find_spans(redacted, writer.detector) + named(redacted)

    key = writer.config.redaction_key.encode()
    return redact_fully(
        content, spans, look, path=row["path"], repo_id=row["repo_id"], key=key, config=writer.redaction
    )


def encode(table: pa.Table, row_group_bytes: int) -> bytes:
    """Return the Parquet bytes of a shard: zstd, page index, row groups cut by the size of the text."""
    sink = io.BytesIO()
    bloom = {name: {"ndv": len(table[name].unique()), "fpp": 0.01} for name in BLOOM_COLUMNS}
    options: dict[str, Any] = {
        "compression": "zstd",
        "write_page_index": True,
        "data_page_size": PAGE_BYTES,
        "bloom_filter_options": bloom,
    }
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        start = total = 0
        for index, size in enumerate(table["size"].to_pylist()):
            if total and total + size > row_group_bytes:
                writer.write_table(table.slice(start, index - start))
                start, total = index, 0
            total += size
        if start < table.num_rows:
            writer.write_table(table.slice(start))
    return sink.getvalue()
