"""A release of any size, written as tables and shards without a build: tiny files, known owners, known copies.

File i belongs to owner i // 50 and repository i // 25. In the second half every tenth file is a copy, and every
twentieth a near-duplicate, of the file half the release before it, whose owner is more popular.

    python -m tests.synthetic_release FOLDER 1000000 1000
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import pipeline, schema
from stackcurate.blobs import PackWriter
from stackcurate.config import Config
from stackcurate.kernels.content import blob_id
from stackcurate.release.attribution_index import build_index
from stackcurate.release.export import publish
from stackcurate.release.manifest import make_manifest
from stackcurate.release.shards import encode, shard_entry, shard_of
from stackcurate.stages import LATE
from stackcurate.stages.tables import write_part
from stackcurate.workspace import Run, Workspace, commit, open_workspace, read_table, write_bytes
from stackcurate.workspace import runs as stored

LANGUAGES = ("C", "Go", "Java", "Lua", "PHP", "Perl", "Python", "Ruby", "Rust", "Scala")
PER_OWNER, PER_REPOSITORY = 50, 25
PARTS = 8
Columns = Mapping[str, Any]


def settings(folder: Path, *requests: Path) -> list[str]:
    """Return the config under which the release was made, as overrides."""
    names = ", ".join(f'"{path}"' for path in requests)
    return [f'workspace.path="{folder}"', f"opt_outs.requests=[{names}]", 'spark.master="local[2,4]"',
            'spark.driver_memory="768m"', "spark.partitions=4", "quality_policy.preset=none"]  # fmt: skip


def owner(number: int) -> str:
    """Return the name of an owner."""
    return f"Owner-{number:06d}"


def write_release(folder: Path, files: int, shards: int) -> Config:
    """Write a workspace with release v1 of some files in some shards, and return its config."""
    config, workspace = pipeline.load_config(None, settings(folder)), open_workspace(folder)
    columns = _files(files, shards // len(LANGUAGES))
    repositories = [
        f"git/{owner(r * PER_REPOSITORY // PER_OWNER).lower()}/r{r}" for r in range(-(-files // PER_REPOSITORY))
    ]
    columns["repo_id"] = pa.array(repositories).take(pa.array(columns["number"] // PER_REPOSITORY))
    columns["revision"] = pa.array(["1" * 40]).take(pa.array(np.zeros(files, np.int64)))
    runs = _write_facts(workspace, config, columns, repositories)
    entries = _write_shards(workspace, columns, config)
    build_index(None, workspace, "v1", entries, config["attribution"])
    decided = Run(table="decisions", run_id="v1", digest="synthetic", inputs="synthetic", metrics={"runs": runs})
    _write(workspace, schema.DECISIONS, columns, decided)
    repos = read_table(workspace, schema.REPOS, stored(workspace, schema.REPOS.name))
    rows = index_table(_table(columns, schema.DECISIONS.columns), repos)
    index = {name: rows[name].combine_chunks() for name in rows.column_names}
    _write(workspace, schema.LOOKUP, index, Run(table="lookup", run_id="v1", digest="synthetic", inputs="synthetic"))
    kept = columns["kept"]
    sizes, dropped = columns["size"], [("exact_duplicate", columns["copy"]), ("near_duplicate", columns["near"])]
    funnel = {
        "files": files, "bytes": int(sizes.sum()), "kept": {"files": int(kept.sum()), "bytes": int(sizes[kept].sum())},
        "dropped": [{"stage": "near_dups", "reason": reason, "files": int(mask.sum()), "bytes": int(sizes[mask].sum())}
                    for reason, mask in dropped],
        "repositories": {"read": len(repositories), "errors": {}},
        "benchmarks": [],
    }  # fmt: skip
    publish(workspace, make_manifest("synthetic", config.to_dict(), entries, funnel), funnel)
    return config


def index_table(decisions: pa.Table, repos: pa.Table) -> pa.Table:
    """Return the rows of `lookup` in order, made without Spark.

    Args:
        decisions: as `decisions`.
        repos: as `repos`.
    """
    repos = repos.append_column("repo", pc.binary_join_element_wise(repos["owner"], repos["name"], "/",
                                                                    null_handling="skip"))  # fmt: skip
    keys = ("owner", "name", "repo", "repo_id")
    found = [repos.append_column("key", pc.utf8_lower(repos[key])) for key in keys]
    blobs = decisions.select(["blob_id", "repo_id", "revision"]).rename_columns(["key", "repo_id", "revision"])
    found.append(blobs.join(repos.drop(["error"]), ["repo_id", "revision"]))
    names = schema.LOOKUP.columns.names
    rows = pa.concat_tables([rows.select(names).cast(schema.LOOKUP.columns) for rows in found])
    return (
        rows.filter(pc.is_valid(rows["key"])).group_by(names).aggregate([]).sort_by([(n, "ascending") for n in names])
    )


def _files(files: int, per_language: int) -> dict[str, Any]:
    """Return all that is known of the files, row by row."""
    number = np.arange(files)
    half = files // 2
    copy, near = (number >= half) & (number % 10 == 7), (number >= half) & (number % 20 == 3)
    origin = np.where(copy, number - half, number)
    contents = [b"value_%d = %d\n" % (i, i) for i in range(files)]
    blobs = pa.array([blob_id(content) for content in contents])
    names = pa.array([hashlib.sha1(b"%d" % i, usedforsecurity=False).hexdigest() for i in range(files)])
    kept = ~copy & ~near
    shard = [
        shard_of(LANGUAGES[i % len(LANGUAGES)], owner(i // PER_OWNER), per_language) if k else None
        for i, k in enumerate(kept.tolist())
    ]
    stands = pa.array(np.where(copy | near, number - half, 0), mask=kept)
    return {
        "number": number, "origin": origin, "kept": kept, "copy": copy, "near": near, "contents": contents,
        "size": np.array([len(c) for c in contents])[origin], "file_id": names, "blob_id": blobs.take(pa.array(origin)),
        "path": pa.array([f"src/f{i}.txt" for i in range(files)]),
        "language": pa.array(LANGUAGES).take(pa.array(number % len(LANGUAGES))), "shard": pa.array(shard, pa.string()),
        "stage": pa.array(np.where(kept, "", "near_dups"), mask=kept), "detail": names.take(stands),
        "reason": pa.array(np.where(copy, "exact_duplicate", "near_duplicate"), mask=kept),
    }  # fmt: skip


def _write_facts(
    workspace: Workspace, config: Config, columns: dict[str, Any], repositories: list[str]
) -> dict[str, list[str]]:
    """Write all tables and return the ids of their runs."""
    made, count = "synthetic", len(repositories)
    owners = [owner(r * PER_REPOSITORY // PER_OWNER) for r in range(count)]
    columns |= {"input_id": "one", "license": "MIT", "license_source": "root", "license_reason": "resolved",
                "license_path": "LICENSE", "encoding": "utf-8", "lines": 1, "verdict": "clean", "generated": False,
                "vendored": False, "mode": 33188}  # fmt: skip
    repos = {"repo_id": repositories, "revision": "1" * 40, "owner": owners, "name": [f"r{r}" for r in range(count)],
             "host": "git", "stars": list(range(count, 0, -1)), "input_id": "one"}  # fmt: skip
    plain = {schema.FILES: columns, schema.LICENSES: columns, schema.LANGUAGE: columns, schema.REPOS: repos}
    for table, values in plain.items():
        _write(workspace, table, values, Run(table=table.name, run_id=made, digest=made))
    blobs = _chosen(columns, ~columns["copy"])
    near = np.flatnonzero(columns["near"])
    left, right = (columns["blob_id"].take(pa.array(side)) for side in (near - len(columns["number"]) // 2, near))
    smaller = pc.less(left, right)
    ends = pc.if_else(smaller, left, right), pc.if_else(smaller, right, left)
    edges = {"left_blob_id": ends[0], "right_blob_id": ends[1], "similarity": np.full(len(near), 0.9, np.float32)}
    found = pc.index_in(blobs["blob_id"], pa.concat_arrays([left, right]))
    blobs["cluster_id"] = pc.coalesce(pa.concat_arrays([ends[0], ends[0]]).take(found), blobs["blob_id"])
    _write(workspace, schema.QUALITY, blobs, Run(table="quality", run_id=made, digest=made))
    _write(workspace, schema.NEAR_DUPS, blobs, Run(table="near_dups", run_id=made, digest=made, inputs=made))
    _write(workspace, schema.NEAR_DUP_EDGES, edges, Run(table="near_dup_edges", run_id=made, digest=made, inputs=made))
    seen = _chosen(columns, columns["kept"]) | {"spans": [[]] * int(columns["kept"].sum())}
    seen["findings"] = seen["overlaps"] = seen["spans"]
    for stage in LATE:
        digest = stage.digest(config.sections)
        _write(workspace, stage.table, seen, Run(table=stage.table.name, run_id=f"{digest[:16]}-00000", digest=digest))
    packs = PackWriter(workspace, made)
    for blob, number in zip(blobs["blob_id"].to_pylist(), blobs["number"].tolist(), strict=True):
        packs.add(blob, columns["contents"][number])
    packs.flush()
    commit(workspace, Run(table="blobs", run_id=made, digest=made, parts=tuple(packs.parts)))
    return {name: [made] for name in ("repos", "files", "licenses", "language", "quality", "near_dups")}


def _chosen(columns: Columns, mask: Any) -> dict[str, Any]:
    """Return the rows of a mask."""
    rows = {name: value for name, value in columns.items() if isinstance(value, (pa.Array, np.ndarray))}
    plain = {name: value for name, value in columns.items() if isinstance(value, (str, int))}
    return plain | {n: v.filter(pa.array(mask)) if isinstance(v, pa.Array) else v[mask] for n, v in rows.items()}


def _table(columns: Columns, kind: pa.Schema) -> pa.Table:
    """Return columns as a table; one value stands for all rows, a column that is not given is null."""
    count = len(
        next(v for v in columns.values() if isinstance(v, (pa.Array, np.ndarray, Sequence)) and not isinstance(v, str))
    )
    arrays = []
    for field in kind:
        value = columns.get(field.name)
        if value is None or isinstance(value, (str, int)):
            arrays.append(pa.repeat(pa.scalar(value, field.type), count))
        else:
            arrays.append(value.cast(field.type) if isinstance(value, pa.Array) else pa.array(value, field.type))
    return pa.Table.from_arrays(arrays, schema=kind)


def _write(workspace: Workspace, table: schema.Table, columns: Columns, run: Run) -> None:
    rows = _table(columns, table.columns)
    step = -(-rows.num_rows // PARTS) or 1
    batches = [rows.slice(start, step).to_batches(max_chunksize=100_000) for start in range(0, rows.num_rows, step)]
    parts = (write_part(iter(some), workspace, table, run.run_id) for some in batches)
    commit(workspace, Run(table=run.table, run_id=run.run_id, digest=run.digest, inputs=run.inputs,
                          metrics=run.metrics, parts=tuple(part for part in parts if part)))  # fmt: skip


def _write_shards(workspace: Workspace, columns: dict[str, Any], config: Config) -> list[dict[str, Any]]:
    kept = _chosen(columns, columns["kept"])
    numbers = kept["number"]
    names = [f"{owner(int(i) // PER_OWNER)}/r{int(i) // PER_REPOSITORY}" for i in numbers]
    stars = -(-len(columns["number"]) // PER_REPOSITORY) - numbers // PER_REPOSITORY
    kept |= {
        "repo": pa.array(names), "content": pa.array([columns["contents"][i].decode() for i in numbers.tolist()]),
        "content_id": kept["blob_id"], "license_type": "permissive", "stars": stars, "redactions": 0,
        "benchmarks": None,
        "cluster_id": kept["blob_id"].take(pa.array(np.arange(len(numbers)))),
    }  # fmt: skip
    table = _table(kept, schema.RELEASE.columns).append_column("shard", kept["shard"])
    table = table.sort_by([(name, "ascending") for name in ("shard", "repo", "revision", "path")])
    return list(_encoded(table, workspace, config["release"].row_group_bytes))


def _encoded(table: pa.Table, workspace: Workspace, row_group_bytes: int) -> Iterator[dict[str, Any]]:
    ends = pc.run_end_encode(table["shard"].combine_chunks())
    start = 0
    for path, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
        rows = table.slice(start, end - start).drop(["shard"]).combine_chunks()
        data = encode(rows, row_group_bytes)
        write_bytes(workspace, data, "releases", "v1", path)
        yield shard_entry(path, rows, data)
        start = end


if __name__ == "__main__":
    write_release(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
