"""Shards: rows by language and owner, redacted, as Parquet files whose bytes depend on nothing but their rows."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import WorkspaceError
from stackcurate.kernels.blocks import spark_hash
from stackcurate.release.rows import Authors, ShardWriter, apart, release_row
from stackcurate.stage import Batches, spark_schema
from stackcurate.workspace import writing

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHARD = pa.schema([
    ("path", pa.string()), ("language", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64()),
    ("content_bytes", pa.int64()), ("redactions", pa.int64()), ("sha256", pa.string()),
])  # fmt: skip
"""What is known of a shard once it is written; a row of the manifest."""

BLOOM_COLUMNS = ("repo", "content_id")
PAGE_BYTES = 256 << 10
"""Bytes of a data page: small enough that a lookup reads little."""


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
    number = spark_hash(owner.lower().encode()) % shards
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
        rows: as `led_by_authors` gives them: the columns of a release but those of the text, beside `shard`, and
            `spans` and `overlaps` of the blob.
        writer: where to, from what, and how.
        tasks: number of writing tasks.
    """
    ordered = rows.repartition(tasks, "shard").sortWithinPartitions("shard", "repo", "revision", "path")
    done = ordered.mapInArrow(partial(_write_task, writer=writer), spark_schema(SHARD)).collect()
    return sorted((row.asDict() for row in done), key=lambda shard: str(shard["path"]))


def _write_task(batches: Batches, *, writer: ShardWriter) -> Batches:
    for rows in by_shard(batches):
        yield pa.RecordBatch.from_pylist([write_shard(*apart(rows), writer)], schema=SHARD)


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


def write_shard(rows: pa.Table, authors: Authors, writer: ShardWriter) -> dict[str, Any]:
    """Write the rows of one shard and return its entry of the manifest; of the texts, memory holds a row group.

    Texts are read and redacted in the order of the packs, and wait in a file for their place among the rows.
    """
    path, columns = rows["shard"][0].as_py(), schema.RELEASE.columns
    with tempfile.TemporaryFile() as texts:
        facts = _redact_into(texts, rows, authors, writer)
        groups = (
            _with_texts(facts.slice(start, count), texts)
            for start, count in _row_groups(facts["size"].to_pylist(), writer.config.row_group_bytes)
        )
        with writing(writer.workspace, "releases", writer.config.version, path) as stream:
            sink = _Hashed(stream)
            _write(sink, columns, groups, _distinct(facts))
    return _entry(path, facts, sink.bytes, sink.digest.hexdigest())


class _Hashed(io.RawIOBase):
    """Counts and hashes what is written to a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.digest, self.bytes = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.bytes += len(data)
        return self._stream.write(data)


_START = "start_"
"""Column of the byte where a row's text starts in the file that it waits in."""
_OF_TEXT = pa.schema([
    ("content_id", pa.string()), ("size", pa.int64()), ("redactions", pa.int32()), ("benchmarks", pa.string()),
    (_START, pa.int64()),
])  # fmt: skip


def _redact_into(texts: BinaryIO, rows: pa.Table, authors: Authors, writer: ShardWriter) -> pa.Table:
    """Write the redacted texts of rows into a file, in the order of the packs; return the rows but for the texts."""
    order = pc.sort_indices(rows["blob_id"])
    made = []
    for batch in rows.take(order).combine_chunks().to_batches():
        for part in writer.blobs.attach(batch):
            if part["content"].null_count:
                raise WorkspaceError(f"{part['content'].null_count} blobs are in no pack; was the blobs table removed?")
            for row in part.to_pylist():
                people = authors.get((row["repo_id"], row["input_id"]), ())
                done = release_row(row, row["content"], writer, people)
                made.append({name: done[name] for name in _OF_TEXT.names[:-1]} | {_START: texts.tell()})
                texts.write(done["content"].encode())
    facts = pa.Table.from_pylist(made, schema=_OF_TEXT).take(pc.sort_indices(order))
    kept = rows.drop_columns([name for name in rows.column_names if name in _OF_TEXT.names])
    return pa.Table.from_arrays([*kept.columns, *facts.columns], names=[*kept.column_names, *facts.column_names])


def _with_texts(facts: pa.Table, texts: BinaryIO) -> pa.Table:
    """Return the rows of a row group whole."""
    contents = []
    for start, size in zip(facts[_START].to_pylist(), facts["size"].to_pylist(), strict=True):
        texts.seek(start)
        contents.append(texts.read(size).decode())
    whole = facts.append_column("content", pa.array(contents, pa.string()))
    return whole.select(schema.RELEASE.columns.names).cast(schema.RELEASE.columns).combine_chunks()


def shard_entry(path: str, table: pa.Table, data: bytes) -> dict[str, Any]:
    """Return what the manifest says of a shard.

    Args:
        path: path below the release.
        table: its rows; at least one.
        data: its bytes.
    """
    return _entry(path, table, len(data), hashlib.sha256(data).hexdigest())


def _entry(path: str, table: pa.Table, length: int, digest: str) -> dict[str, Any]:
    return {
        "path": path,
        "language": table["language"][0].as_py(),
        "rows": table.num_rows,
        "bytes": length,
        "content_bytes": pc.sum(table["size"]).as_py(),
        "redactions": pc.sum(table["redactions"]).as_py(),
        "sha256": digest,
    }


def encode(table: pa.Table, row_group_bytes: int) -> bytes:
    """Return the Parquet bytes of a shard, as `write_shard` writes them: row groups cut by the size of the text."""
    sink = io.BytesIO()
    cuts = _row_groups(table["size"].to_pylist(), row_group_bytes)
    _write(sink, table.schema, (table.slice(start, count) for start, count in cuts), _distinct(table))
    return sink.getvalue()


def _row_groups(sizes: Sequence[int], row_group_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the number of rows of each row group."""
    start = total = 0
    for index, size in enumerate(sizes):
        if total and total + size > row_group_bytes:
            yield start, index - start
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes) - start


def _distinct(table: pa.Table) -> dict[str, int]:
    return {name: len(table[name].unique()) for name in BLOOM_COLUMNS}


def _write(sink: io.IOBase, columns: pa.Schema, groups: Iterable[pa.Table], distinct: Mapping[str, int]) -> None:
    """Write row groups as Parquet: zstd, page index, a filter for each column that is looked up."""
    options: dict[str, Any] = {
        "compression": "zstd",
        "write_page_index": True,
        "data_page_size": PAGE_BYTES,
        "bloom_filter_options": {name: {"ndv": count, "fpp": 0.01} for name, count in distinct.items()},
    }
    with pq.ParquetWriter(sink, columns, **options) as writer:
        for group in groups:
            writer.write_table(group)
