"""The shards of a release as a trainer sees them: checked against the manifest, then read row group by row group."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import ReleaseError, SchemaError
from stackcurate.train.order import Integers
from stackcurate.workspace import Workspace, read_bytes, write_bytes

MANIFEST = "manifest.json"
COLUMNS = ("repo", "revision", "path", "content", "stars")
"""What is read of a row."""
_CHUNK = 8 << 20
_MOST_TOLD = 5

Entry = dict[str, Any]


@dataclass(frozen=True)
class Shards:
    """A release whose shards are what its manifest says. Pickles.

    Args:
        root: folder or URI of the release.
        digest: SHA-256 of the manifest.
        paths: the shards, in the manifest's order.
        languages: names of the languages, sorted.
        shard: index of the shard of each row group.
        number: index of each row group in its shard.
        language: index of the language of each row group.
        rows: rows of each row group.
        sizes: bytes of text of each row group, as Parquet counts them before compression.
    """

    root: str
    digest: str
    paths: tuple[str, ...]
    languages: tuple[str, ...]
    shard: Integers
    number: Integers
    language: Integers
    rows: Integers
    sizes: Integers


def open_shards(release: str | Path, *, receipt: str | Path | None = None) -> Shards:
    """Check every shard of a release against its manifest and return where its row groups are.

    Args:
        release: folder or URI that holds `manifest.json`.
        receipt: file that remembers what was checked; shards of unchanged size and time are not hashed again.

    Raises:
        ReleaseError: the manifest is missing, or a shard is missing, changed or truncated.
        SchemaError: the release was written with another schema.
    """
    place = Workspace(str(release))
    content, manifest = _manifest(place)
    digest = hashlib.sha256(content).hexdigest()
    known = _read_receipt(receipt, digest)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda entry: _check(place, entry, known), manifest["shards"]))
    wrong = [problem for problem in found if isinstance(problem, str)]
    if wrong:
        more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise ReleaseError(f"{place.root}: {'; '.join(wrong[:_MOST_TOLD])}{more}. Fetch the release again.")
    checked = {shard["path"]: seen for shard, seen in zip(manifest["shards"], found, strict=True) if type(seen) is dict}
    if receipt is not None and checked != known:
        text = json.dumps({"manifest": digest, "shards": checked})
        write_bytes(Workspace(str(Path(receipt).absolute().parent)), text.encode(), Path(receipt).name)
    return _shards(place.root, digest, manifest["shards"], [checked[shard["path"]] for shard in manifest["shards"]])


def _shards(root: str, digest: str, entries: Sequence[Mapping[str, Any]], checked: Sequence[Entry]) -> Shards:
    languages = sorted({str(entry["language"]) for entry in entries})
    groups = [
        (index, number, languages.index(entry["language"]), rows, size)
        for index, (entry, seen) in enumerate(zip(entries, checked, strict=True))
        for number, (rows, size) in enumerate(seen["groups"])
    ]
    columns = np.array(groups, np.int64).reshape(-1, 5).T
    return Shards(root, digest, tuple(str(entry["path"]) for entry in entries), tuple(languages), *columns)


def _manifest(place: Workspace) -> tuple[bytes, Mapping[str, Any]]:
    content = read_bytes(place, MANIFEST)
    if content is None:
        raise ReleaseError(f"{place.root}: no {MANIFEST}; give the folder of a complete release")
    try:
        manifest = json.loads(content)
        version = manifest["schema_version"]
        for entry in manifest["shards"]:
            _ = entry["path"] + entry["language"] + entry["sha256"], entry["rows"] + entry["bytes"]
            if ".." in PurePosixPath(entry["path"]).parts or entry["path"].startswith("/"):
                raise ReleaseError(f"{place.root}: the manifest names {entry['path']!r}, which is outside the release")
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{place.root}/{MANIFEST}: no manifest of a release ({error!r}); fetch it again") from error
    if version != schema.VERSION:
        raise SchemaError(
            f"{place.root}: written with schema version {version}, this is {schema.VERSION}; build it again"
        )
    return content, manifest


def _read_receipt(receipt: str | Path | None, digest: str) -> dict[str, Entry]:
    """Return what an earlier check saw; nothing where there was none, of another manifest or damaged."""
    if receipt is None or not Path(receipt).is_file():
        return {}
    try:
        seen = json.loads(Path(receipt).read_bytes())
        return dict(seen["shards"]) if seen["manifest"] == digest else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _check(place: Workspace, entry: Mapping[str, Any], known: Mapping[str, Entry]) -> Entry | str:
    """Return size, time and row groups of a shard, or what is wrong with it."""
    path = entry["path"]
    filesystem, where = place.locate(path)
    info = filesystem.get_file_info(where)
    if info.type != pafs.FileType.File:
        return f"{path} is missing"
    if info.size != entry["bytes"]:
        return f"{path} has {info.size} bytes, the manifest says {entry['bytes']}"
    stamp = {"size": info.size, "time": info.mtime_ns}
    before = known.get(path)
    if before is not None and stamp == {name: before[name] for name in stamp}:
        return before
    sha256 = hashlib.sha256()
    with filesystem.open_input_stream(where) as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
    if sha256.hexdigest() != entry["sha256"]:
        return f"{path} has SHA-256 {sha256.hexdigest()[:12]}..., the manifest says {entry['sha256'][:12]}..."
    return _footer(place, entry, stamp)


def _footer(place: Workspace, entry: Mapping[str, Any], stamp: Entry) -> Entry | str:
    path = entry["path"]
    try:
        footer = _open(place, path).metadata
    except (pa.ArrowInvalid, OSError) as error:
        return f"{path} is no Parquet file ({error})"
    names = [footer.schema.column(index).name for index in range(len(footer.schema))]
    if missing := [name for name in COLUMNS if name not in names]:
        return f"{path} lacks the columns {missing}"
    if footer.num_rows != entry["rows"]:
        return f"{path} has {footer.num_rows} rows, the manifest says {entry['rows']}"
    content = names.index("content")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return stamp | {"groups": [[one.num_rows, one.column(content).total_uncompressed_size] for one in groups]}


def _open(place: Workspace, path: str) -> pq.ParquetFile:
    filesystem, where = place.locate(path)
    return pq.ParquetFile(where, filesystem=filesystem)


def read_group(shards: Shards, group: int, columns: Sequence[str] = COLUMNS) -> pa.Table:
    """Read one row group.

    Args:
        shards: the release.
        group: index of the row group among all.
        columns: which to read.

    Raises:
        ReleaseError: the shard changed after it was checked.
    """
    path = shards.paths[shards.shard[group]]
    try:
        with _open(Workspace(shards.root), path) as file:
            table = file.read_row_group(int(shards.number[group]), columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ReleaseError(f"{shards.root}/{path}: changed or lost after it was checked ({error})") from error
    if table.num_rows != shards.rows[group]:
        raise ReleaseError(f"{shards.root}/{path}: changed after it was checked; fetch the release again")
    return table
