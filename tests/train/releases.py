"""Small releases for the tests of the training companion, in the true schema and with a true manifest. No Spark."""

from __future__ import annotations

import hashlib
import io
import json
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.kernels.content import blob_id
from stackcurate.release.manifest import make_manifest

SUFFIXES = {".py": "Python", ".h": "C", ".js": "JavaScript", ".pyi": "Python", ".md": "Markdown", ".txt": "Text"}
"""Real files by language, as far as tests read them."""

Row = dict[str, Any]


def real_files(count: int, *, largest: int = 100_000) -> Iterator[Row]:
    """Yield rows of real files from the environment's packages, in a mixed stable order; a package is a repository."""
    root = Path(sysconfig.get_path("purelib"))
    found = (path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    paths = sorted(found, key=lambda path: blob_id(str(path.relative_to(root)).encode()))
    yield from islice(filter(None, (_row(root, path, largest) for path in paths)), count)


def _row(root: Path, path: Path, largest: int) -> Row | None:
    if not 0 < path.stat().st_size <= largest:
        return None
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    name = path.relative_to(root).parts[0]
    return row(f"made/{name}", "/".join(path.relative_to(root).parts), content, SUFFIXES[path.suffix])


def row(repo: str, path: str, content: str, language: str = "Python", stars: int | None = 7) -> Row:
    """Return a row of a release; what training does not read is made up."""
    identity = blob_id(content.encode())
    return {
        "repo": repo, "revision": "1" * 40, "path": path, "content": content, "repo_id": repo, "language": language,
        "size": len(content.encode()), "blob_id": identity, "content_id": identity, "license": "MIT",
        "license_type": "permissive", "license_source": "root", "license_path": "LICENSE", "stars": stars, "forks": 0,
        "redactions": 0,
    }  # fmt: skip


def write_release(folder: Path, rows: Iterable[Row], *, row_group_bytes: int = 1 << 16, shard_rows: int = 1000) -> Path:
    """Write a release and return its folder."""
    by_language: dict[str, list[Row]] = {}
    for one in rows:
        by_language.setdefault(one["language"], []).append(one)
    shards = [
        _write_shard(folder, language, number, members[start : start + shard_rows], row_group_bytes)
        for language, members in sorted(by_language.items())
        for number, start in enumerate(range(0, len(members), shard_rows))
    ]
    config: Mapping[str, Any] = {"release": {"version": folder.name, "title": "made"}}
    manifest = make_manifest("0" * 64, config, shards, {"files": sum(shard["rows"] for shard in shards)})
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    return folder


def _write_shard(folder: Path, language: str, number: int, rows: list[Row], row_group_bytes: int) -> dict[str, Any]:
    path = f"data/{language.lower()}/train-{number:05d}.parquet"
    ordered = sorted(rows, key=lambda one: (one["repo"], one["revision"], one["path"]))
    data = _encode(ordered, row_group_bytes)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return {
        "path": path, "language": language, "rows": len(rows), "bytes": len(data), "redactions": 0,
        "content_bytes": sum(one["size"] for one in rows), "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip


def _encode(rows: list[Row], row_group_bytes: int) -> bytes:
    table = pa.Table.from_pylist(rows, schema=schema.RELEASE.columns)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        start = total = 0
        for index, one in enumerate(rows):
            if total and total + one["size"] > row_group_bytes:
                writer.write_table(table.slice(start, index - start))
                start, total = index, 0
            total += one["size"]
        writer.write_table(table.slice(start))
    return sink.getvalue()
