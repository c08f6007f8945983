"""What permissive licences ask to travel along: for each file its licence texts, notices and copyright holders.

    attribution/files/<language>/train-*.parquet   one row per released file, in the order of the shard
    attribution/texts/*.parquet                    each text once, by blob_id

Names stand here as their authors wrote them, whatever is redacted in the code.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.facts import Build
from stackcurate.kernels.content import as_text
from stackcurate.release.past import Past
from stackcurate.release.shards import by_shard
from stackcurate.sources.metadata import file_id
from stackcurate.stage import Batches, spark_schema
from stackcurate.workspace import Workspace, carry, read_bytes, write_bytes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_IDS = pa.list_(pa.string())
CREDITS = pa.schema([
    ("repo", pa.string()), ("revision", pa.string()), ("path", pa.string()), ("license", pa.string()),
    ("license_blob_ids", _IDS), ("notice_blob_ids", _IDS), ("holders", _IDS),
])  # fmt: skip
"""A released file: its licence texts and notices by blob_id, and the holders that stand in the file itself."""
TEXTS = pa.schema([
    ("blob_id", pa.string()), ("kind", pa.string()), ("text", pa.string()), ("holders", _IDS),
])  # fmt: skip
"""A text: `license` or `notice`, whole, and the holders that it names; text is null where it is binary."""
KEY = ("repo", "revision", "path")
_WRITTEN = pa.schema([("path", pa.string()), ("sha256", pa.string())])
_ONE_PART = 10_000
"""Texts up to which all stand in one file; more are cut by the first byte of their blob_id."""


def credits_path(shard: str) -> str:
    """Return where the credits of a shard stand below the release.

    >>> credits_path("data/python/train-00000-of-00001.parquet")
    'attribution/files/python/train-00000-of-00001.parquet'
    """
    return shard.replace("data/", "attribution/files/", 1)


def write_credits(build: Build, assigned: DataFrame, facts: Mapping[str, DataFrame]) -> dict[str, str]:
    """Write credits and texts of a release and return their paths with SHA-256.

    Args:
        build: the build under way.
        assigned: kept files with `shard`, `owner` and `name`.
        facts: facts by stage; licences and what was scanned for them.
    """
    from pyspark.sql import functions as F

    texts = facts["licenses"].select("file_id", "license_blob_ids", "notice_blob_ids")
    named = facts["license_scan"].groupBy("blob_id").agg(F.flatten(F.collect_list("holders")).alias("holders"))
    rows = (
        assigned.selectExpr("file_id", "shard", "concat_ws('/', owner, name) as repo", "revision", "path", "license",
                            "blob_id")
        .join(texts, "file_id", "left")
        .join(named, "blob_id", "left")
        .select("shard", *CREDITS.names)
    )  # fmt: skip
    version = build.config["release"].version
    ordered = rows.repartition(build.tasks, "shard").sortWithinPartitions("shard", *KEY)
    task = partial(_write_task, workspace=build.workspace, version=version)
    written = {row["path"]: row["sha256"] for row in ordered.mapInArrow(task, spark_schema(_WRITTEN)).collect()}
    ids = _ids(build.workspace.below("releases", version), written)
    holders = _holders(named.join(build.spark.createDataFrame(ids.select(["blob_id"])), "blob_id").toArrow())
    return written | _write_texts(build.workspace, version, ids, holders, build.blobs)


def correct_credits(
    past: Past, version: str, shards: Sequence[Mapping[str, Any]], promoted: Mapping[str, str], blobs: BlobReader
) -> dict[str, str]:
    """Write credits and texts of a correction: those of shards that are the same are carried over.

    Args:
        past: the release that is corrected.
        version: name of the correction, whose shards are written.
        shards: what its manifest lists.
        promoted: file_id to shard of the files that came in.
        blobs: where texts are.

    Returns:
        Paths with SHA-256; none where the release that is corrected has none.
    """
    before = {shard["path"]: shard["sha256"] for shard in past.release.manifest["shards"]}
    known: Mapping[str, str] = past.release.manifest["credits"]
    if not known:
        return {}
    old, new = ("releases", past.release.version), ("releases", version)
    written = {}
    for shard in shards:
        path = credits_path(shard["path"])
        if before.get(shard["path"]) == shard["sha256"]:
            carry(past.workspace, (*old, path), (*new, path))
            written[path] = known[path]
            continue
        rows = [_known(past, path)] if path in known else []
        came = [name for name, place in promoted.items() if place == shard["path"]]
        written[path] = _write(past.workspace, version, path, _in_order(past, version, shard["path"], rows, came))
    ids = _ids(past.workspace.below(*new), written)
    facts = past.rows(schema.LICENSE_DETECTIONS, ids["blob_id"].combine_chunks())
    return written | _write_texts(past.workspace, version, ids, _holders(facts), blobs)


def _known(past: Past, path: str) -> pa.Table:
    filesystem, folder = past.workspace.locate("releases", past.release.version)
    return pq.read_table(f"{folder}/{path}", filesystem=filesystem)


def _in_order(past: Past, version: str, shard: str, known: list[pa.Table], came: Iterable[str]) -> pa.Table:
    """Return the credits of a shard's rows, in their order, from older ones and from the facts of files that came."""
    filesystem, folder = past.workspace.locate("releases", version)
    keys = pq.read_table(f"{folder}/{shard}", columns=[*KEY, "repo_id", "license", "blob_id"], filesystem=filesystem)
    texts = past.rows(schema.LICENSES, pa.array(came, pa.string()))
    facts = past.rows(schema.LICENSE_DETECTIONS, keys["blob_id"].combine_chunks())
    holders, by_file = _holders(facts), {row["file_id"]: row for row in texts.to_pylist()}
    older = {tuple(row[name] for name in KEY): row for table in known for row in table.to_pylist()}
    rows = []
    for row in keys.to_pylist():
        found = older.get(tuple(row[name] for name in KEY))
        if found is None:
            fact = by_file[file_id(row["repo_id"], row["revision"], row["path"])]
            found = {**row, **{n: fact[n] for n in CREDITS.names[4:6]}, "holders": holders.get(row["blob_id"])}
        rows.append({name: found[name] for name in CREDITS.names})
    return pa.Table.from_pylist(rows, schema=CREDITS)


def _write_task(batches: Batches, *, workspace: Workspace, version: str) -> Batches:
    for rows in by_shard(batches):
        path = credits_path(rows["shard"][0].as_py())
        ordered = [_distinct(row) for row in rows.select(CREDITS.names).to_pylist()]
        sha256 = _write(workspace, version, path, pa.Table.from_pylist(ordered, schema=CREDITS))
        yield pa.RecordBatch.from_pylist([{"path": path, "sha256": sha256}], schema=_WRITTEN)


def _distinct(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"holders": sorted(set(row["holders"])) if row["holders"] else None}


def _write(workspace: Workspace, version: str, path: str, rows: pa.Table) -> str:
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    write_bytes(workspace, sink.getvalue(), "releases", version, path)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _ids(release: Workspace, written: Iterable[str]) -> pa.Table:
    """Return blob_id and kind of each text that the credits of a release name, by blob_id; a licence is no notice."""
    filesystem, folder = release.locate()
    found: dict[str, str] = {}
    for column, kind in (("license_blob_ids", "license"), ("notice_blob_ids", "notice")):
        for path in sorted(written):
            ids = pq.read_table(f"{folder}/{path}", columns=[column], filesystem=filesystem)[column]
            for blob_id in pc.list_flatten(ids).unique().drop_null().to_pylist():
                found.setdefault(blob_id, kind)
    ordered = sorted(found.items())
    return pa.table({"blob_id": pa.array([i for i, _ in ordered], pa.string()), "kind": [kind for _, kind in ordered]})


def _holders(facts: pa.Table) -> dict[str, list[str]]:
    """Return the distinct holders by blob_id; a blob without any is left out."""
    found: dict[str, set[str]] = {}
    for blob_id, names in zip(facts["blob_id"].to_pylist(), facts["holders"].to_pylist(), strict=True):
        if names:
            found.setdefault(blob_id, set()).update(names)
    return {blob_id: sorted(names) for blob_id, names in found.items()}


def _write_texts(
    workspace: Workspace, version: str, ids: pa.Table, holders: Mapping[str, list[str]], blobs: BlobReader
) -> dict[str, str]:
    """Write the texts in parts by the first byte of their id, and return the paths with SHA-256."""
    cut = 2 if ids.num_rows > _ONE_PART else 0
    prefixes = pc.utf8_slice_codeunits(ids["blob_id"], 0, cut)
    written = {}
    for prefix in sorted(prefixes.unique().to_pylist()):
        part = ids.filter(pc.equal(prefixes, prefix))
        contents = blobs.read_many(part["blob_id"].combine_chunks())
        rows = [
            {**row, "text": as_text(content), "holders": holders.get(row["blob_id"])}
            for row, content in zip(part.to_pylist(), contents, strict=True)
        ]
        path = f"attribution/texts/{prefix or 'all'}.parquet"
        written[path] = _write(workspace, version, path, pa.Table.from_pylist(rows, schema=TEXTS))
    return written


def credits_problems(folder: Workspace, known: Mapping[str, str]) -> Iterable[str]:
    """Yield the credits and texts of a release's folder that are missing or damaged.

    Args:
        folder: the release's folder, opened as a workspace-like root.
        known: paths with SHA-256, as the manifest lists them.
    """
    for path, sha256 in known.items():
        data = read_bytes(folder, path)
        if data is None or hashlib.sha256(data).hexdigest() != sha256:
            yield f"{path}: missing, or its SHA-256 is not that of the manifest"
