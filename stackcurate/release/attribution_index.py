"""The attribution index of a release: hashes of windows to rows, cut by prefix, each part behind a Bloom filter.

    attribution/index.json              shape, parts and their hashes
    attribution/windows/000.parquet     hash, shard, row; sorted
    attribution/windows/000.bloom       filter over the hashes of that part

The bytes depend on the shards alone. Where only some shards changed, the rest of an older index is taken over.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stackcurate.kernels import bloom
from stackcurate.kernels.attribution import HASH_BITS, AttributionConfig, bloom_keys, windows
from stackcurate.stage import Batches, spark_schema
from stackcurate.workspace import Workspace, read_bytes, read_json, write_bytes, write_json

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDER = "attribution"
INDEX = "index.json"
FORMAT = 1
POSTINGS = pa.schema([("hash", pa.int64()), ("shard", pa.int32()), ("row", pa.int32())])
"""Hash of a window, number of the shard in the list of `index.json`, and row in it."""
_PART = pa.schema([("path", pa.string()), ("bloom", pa.string()), ("windows", pa.int64()), ("bytes", pa.int64()),
                   ("sha256", pa.string()), ("bloom_sha256", pa.string())])  # fmt: skip
_HASHED = pa.schema([("part", pa.int32()), *POSTINGS])
_LISTED = pa.schema([("shard", pa.int32()), ("path", pa.string())])
_WORK = "shard int, path string"
ROW_GROUP = 16_384
"""Rows of a row group: what one look-up reads."""
CONTENT_BYTES_PER_PART = 256 << 20
"""Text per part, so that a task sorts about 4 million windows."""


@dataclass(frozen=True)
class IndexPlace:
    """Where an index is written and which parts it has. Pickles."""

    workspace: Workspace
    version: str
    bits: int
    bits_per_window: int
    kept: Mapping[int, int]
    """Shards taken over: number in the older index to number in this one."""
    older: str | None = None


def build_index(
    spark: SparkSession | None,
    workspace: Workspace,
    version: str,
    shards: Sequence[Mapping[str, Any]],
    config: AttributionConfig,
    tasks: int = 1,
    older: str | None = None,
) -> dict[str, Any]:
    """Write the index of a release whose shards are written, and return its record.

    Args:
        spark: a session; None does the work in this process, which is enough where few shards are new.
        workspace: holds the release.
        version: name of the release.
        shards: path, sha256 and content_bytes of each, as the manifest lists them.
        config: window, stride, size of the filter.
        tasks: number of hashing tasks.
        older: release whose index may be taken over for the shards that are the same.

    Returns:
        What `index.json` says: `format`, `window`, `stride`, `shards`, `windows`, `bytes` and `parts`.
    """
    bits = _part_bits(sum(shard["content_bytes"] for shard in shards))
    shape = {"format": FORMAT, "hash_bits": HASH_BITS, "part_bits": bits, "window": config.window,
             "stride": config.stride, "bits_per_window": config.bits_per_window}  # fmt: skip
    kept = _taken_over(workspace, older, shape, shards)
    place = IndexPlace(workspace, version, bits, config.bits_per_window, kept, older if kept else None)
    fresh = sorted(set(range(len(shards))) - set(kept.values()))
    work = [(number, shards[number]["path"]) for number in fresh]
    parts = _by_tasks(spark, place, work, config, tasks) if spark else _in_process(place, work, config)
    listed = [{"path": shard["path"], "sha256": shard["sha256"]} for shard in shards]
    totals = {name: sum(part[name] for part in parts) for name in ("windows", "bytes")}
    record = {**shape, "guaranteed": config.guaranteed, "shards": listed, "parts": parts, **totals}
    write_json(workspace, record, "releases", version, FOLDER, INDEX)
    return record


def _part_bits(content_bytes: int) -> int:
    """Return how many leading bits of a hash name its part."""
    return max((content_bytes // CONTENT_BYTES_PER_PART).bit_length(), 0)


def _taken_over(
    workspace: Workspace, older: str | None, shape: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]
) -> dict[int, int]:
    """Return the shards of an older index that are the same here, by their numbers there and here."""
    record = read_json(workspace, "releases", older, FOLDER, INDEX) if older else None
    if record is None or any(record[name] != value for name, value in shape.items()):
        return {}
    numbers = {(shard["path"], shard["sha256"]): number for number, shard in enumerate(shards)}
    before = enumerate((shard["path"], shard["sha256"]) for shard in record["shards"])
    return {number: numbers[shard] for number, shard in before if shard in numbers}


def _by_tasks(
    spark: SparkSession, place: IndexPlace, work: list[tuple[int, str]], config: AttributionConfig, tasks: int
) -> list[dict[str, Any]]:
    columns = spark_schema(_HASHED)
    hashed = spark.createDataFrame(_every_part(place).to_pylist(), columns)
    if work:
        listed = spark.createDataFrame(work, _WORK).repartition(min(tasks, len(work)), "shard")
        hashed = hashed.unionByName(listed.mapInArrow(partial(_hash_shards, place=place, config=config), columns))
    ordered = hashed.repartitionById(1 << place.bits, "part")
    done = ordered.mapInArrow(partial(_write_part, place=place), spark_schema(_PART)).collect()
    return sorted((row.asDict() for row in done), key=lambda part: str(part["path"]))


def _in_process(place: IndexPlace, work: list[tuple[int, str]], config: AttributionConfig) -> list[dict[str, Any]]:
    listed = pa.RecordBatch.from_pylist([{"shard": shard, "path": path} for shard, path in work], _LISTED)
    hashed = [_every_part(place), *_hash_shards(iter([listed]), place=place, config=config)]
    table = pa.Table.from_batches(hashed)
    parts = (table.filter(pc.equal(table["part"], part)).to_batches() for part in range(1 << place.bits))
    return [row for batches in parts for done in _write_part(iter(batches), place=place) for row in done.to_pylist()]


def _every_part(place: IndexPlace) -> pa.RecordBatch:
    """Return a row without a hash for each part, so that parts without new windows are written too."""
    empty = dict.fromkeys(_HASHED.names)
    return pa.RecordBatch.from_pylist([empty | {"part": part} for part in range(1 << place.bits)], schema=_HASHED)


def _hash_shards(batches: Batches, *, place: IndexPlace, config: AttributionConfig) -> Batches:
    filesystem, folder = place.workspace.locate("releases", place.version)
    for batch in batches:
        for shard, path in zip(batch["shard"].to_pylist(), batch["path"].to_pylist(), strict=True):
            row = 0
            for rows in pq.ParquetFile(f"{folder}/{path}", filesystem=filesystem).iter_batches(columns=["content"]):
                yield _postings(windows(rows["content"], config)["hashes"], shard, row, place.bits)
                row += rows.num_rows


def _postings(hashes: pa.ListArray, shard: int, first_row: int, bits: int) -> pa.RecordBatch:
    values = hashes.flatten()
    rows = pc.add(pc.list_parent_indices(hashes).cast(pa.int32()), pa.scalar(first_row, pa.int32()))
    parts = pc.shift_right(values, HASH_BITS - bits).cast(pa.int32())
    shards = pa.array(np.full(len(values), shard, np.int32))
    return pa.RecordBatch.from_arrays([parts, values, shards, rows], schema=_HASHED)


def _write_part(batches: Batches, *, place: IndexPlace) -> Batches:
    rows = pa.Table.from_batches(batches, schema=_HASHED)
    if not rows.num_rows:
        return
    part = rows["part"][0].as_py()
    fresh = rows.filter(pc.is_valid(rows["hash"])).select(POSTINGS.names)
    postings = pa.concat_tables([fresh, *_older_postings(place, part)])
    yield pa.RecordBatch.from_pylist([write_part(postings, part, place)], schema=_PART)


def _older_postings(place: IndexPlace, part: int) -> Iterator[pa.Table]:
    """Yield the rows of a part of an older index whose shards are the same, under the shards' new numbers."""
    if place.older is None:
        return
    filesystem, folder = place.workspace.locate("releases", place.older, FOLDER)
    rows = pq.read_table(f"{folder}/windows/{part:03d}.parquet", filesystem=filesystem)
    numbers = np.full(max(*place.kept, pc.max(rows["shard"]).as_py() or 0) + 1, -1, np.int32)
    numbers[list(place.kept)] = list(place.kept.values())
    renamed = pa.array(numbers[rows["shard"].to_numpy()])
    yield rows.set_column(1, POSTINGS.field("shard"), renamed).filter(pc.greater_equal(renamed, 0))


def write_part(postings: pa.Table, part: int, place: IndexPlace) -> dict[str, Any]:
    """Write the rows of one part, sorted, and the filter over their hashes, and return its entry of the index."""
    ordered = postings.sort_by([(name, "ascending") for name in POSTINGS.names]).combine_chunks()
    sink = io.BytesIO()
    pq.write_table(
        ordered,
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=False,
        column_encoding=dict.fromkeys(POSTINGS.names, "DELTA_BINARY_PACKED"),
    )
    keys: NDArray[np.int64] = ordered["hash"].unique().to_numpy()
    filtered = bloom.build(bloom_keys(keys), place.bits_per_window).astype("<u4").tobytes()
    files = {"path": (f"windows/{part:03d}.parquet", sink.getvalue()), "bloom": (f"windows/{part:03d}.bloom", filtered)}
    for name, data in files.values():
        write_bytes(place.workspace, data, "releases", place.version, FOLDER, name)
    return {
        "path": files["path"][0],
        "bloom": files["bloom"][0],
        "windows": ordered.num_rows,
        "bytes": sum(len(data) for _, data in files.values()),
        "sha256": hashlib.sha256(files["path"][1]).hexdigest(),
        "bloom_sha256": hashlib.sha256(filtered).hexdigest(),
    }


def index_problems(folder: Workspace, shards: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the index of a release's folder: damaged parts, shards of another release.

    Args:
        folder: the release's folder, opened as a workspace-like root.
        shards: what the manifest lists.
    """
    record = read_json(folder, FOLDER, INDEX)
    if record is None:
        yield f"{FOLDER}/{INDEX}: missing"
        return
    listed = {(shard["path"], shard["sha256"]) for shard in shards}
    if {(shard["path"], shard["sha256"]) for shard in record["shards"]} != listed:
        yield f"{FOLDER}/{INDEX}: is of other shards than the manifest's"
    for part in record["parts"]:
        for name, sha256 in ((part["path"], part["sha256"]), (part["bloom"], part["bloom_sha256"])):
            data = read_bytes(folder, FOLDER, name)
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                yield f"{FOLDER}/{name}: missing, or its SHA-256 is not that of the index"
