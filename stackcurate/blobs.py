"""Blob packs: contents in Parquet files sorted by blob_id, so that a range of ids reads a range of row groups.

Contents never cross a shuffle: tasks get ids, sorted, and fetch what they need from the packs.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import WorkspaceError
from stackcurate.workspace import Part, Workspace

ROW_GROUP_BYTES = 1 << 20
"""Bytes of content per row group: what one random read costs, about as much as to open a pack of them."""
PACK_BYTES = 256 << 20
"""Bytes of content that a writer holds before it sorts them into a pack."""
CHUNK_BYTES = 16 << 20
"""Bytes of content that a reader hands to a kernel at once."""
OPEN_PACKS = 32
"""Packs that a reader holds open, each with the row group read last; more that overlap are worth a compaction."""
_SEEN = 1_000_000
"""Ids that a writer remembers; a blob that is written twice costs space and nothing else."""
_NAME = re.compile(r"part-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{32}\.parquet")


class PackWriter:
    """Collects distinct blobs and writes them as sorted packs into one run."""

    def __init__(self, workspace: Workspace, run_id: str) -> None:
        self._workspace, self._run_id = workspace, run_id
        self._pending: dict[str, bytes] = {}
        self._seen: set[str] = set()
        self._bytes = 0
        self.parts: list[Part] = []

    def add(self, blob_id: str, content: bytes) -> None:
        """Take one blob; a second one of the same id is ignored."""
        if blob_id in self._seen:
            return
        self._seen.add(blob_id)
        self._pending[blob_id] = content
        self._bytes += len(content)
        if self._bytes >= PACK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one pack."""
        if not self._pending:
            return
        filesystem, folder = self._workspace.locate("tables", schema.BLOBS.name, self._run_id)
        filesystem.create_dir(folder, recursive=True)
        ids = sorted(self._pending)
        name = f"part-{ids[0][:8]}-{ids[-1][:8]}-{uuid.uuid4().hex}.parquet"
        path = f"{folder}/{name}"
        # no value is there twice, and without dictionaries a seventh less CPU reads them
        with pq.ParquetWriter(
            path, schema.BLOBS.columns, filesystem=filesystem, compression="zstd", use_dictionary=False
        ) as writer:
            for group in _chunks(ids, [len(self._pending[i]) for i in ids]):
                contents = [self._pending[blob_id] for blob_id in group]
                columns = [pa.array(group), pa.array([len(c) for c in contents]), pa.array(contents, pa.binary())]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema.BLOBS.columns))
        self.parts.append(Part(name, len(self._pending), filesystem.get_file_info(path).size))
        self._pending, self._bytes = {}, 0
        if len(self._seen) > _SEEN:
            self._seen.clear()


def _chunks(ids: Sequence[str], sizes: Sequence[int], limit: int = ROW_GROUP_BYTES) -> Iterator[list[str]]:
    """Cut ids into runs whose sizes stay below the limit; one that is larger stands alone."""
    chunk: list[str] = []
    total = 0
    for blob_id, size in zip(ids, sizes, strict=True):
        if chunk and total + size > limit:
            yield chunk
            chunk, total = [], 0
        chunk.append(blob_id)
        total += size
    if chunk:
        yield chunk


class _Pack:
    """One open pack: first and last ids of its row groups, the ids that were looked at, and the row group read last."""

    def __init__(self, workspace: Workspace, path: str) -> None:
        self._file = pq.ParquetFile(path, filesystem=workspace.locate()[0])
        metadata = self._file.metadata
        stats = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
        self._firsts, self._lasts = [s.min for s in stats], [s.max for s in stats]
        self._ids: dict[int, pa.ChunkedArray] = {}
        self._last: tuple[int, pa.ChunkedArray | None] = (-1, None)

    def close(self) -> None:
        self._file.close(force=True)

    def _contents(self, index: int) -> pa.ChunkedArray:
        if self._last[0] != index or self._last[1] is None:
            self._last = (index, self._file.read_row_group(index, columns=["content"])["content"])
        return self._last[1]

    def take(self, wanted: list[str]) -> Iterator[pa.Table]:
        """Yield the rows of the wanted ids, which are sorted; contents of row groups that hold none are not read."""
        for index in range(bisect_left(self._lasts, wanted[0]), bisect_right(self._firsts, wanted[-1])):
            inside = wanted[bisect_left(wanted, self._firsts[index]) : bisect_right(wanted, self._lasts[index])]
            if not inside:
                continue
            if index not in self._ids:
                self._ids[index] = self._file.read_row_group(index, columns=["blob_id"])["blob_id"]
            here = pc.is_in(self._ids[index], pa.array(inside))
            if pc.any(here).as_py():
                yield pa.table([self._ids[index], self._contents(index)], ["blob_id", "content"]).filter(here)

    def between(self, first: str, last: str) -> Iterator[pa.Table]:
        """Yield the rows of a range of ids, row group by row group; `last` is not in it."""
        for index in range(bisect_left(self._lasts, first), bisect_left(self._firsts, last)):
            group = self._file.read_row_group(index)
            ids = group["blob_id"]
            yield group.filter(pc.and_(pc.greater_equal(ids, first), pc.less(ids, last)))


def id_range(path: str) -> tuple[str, str]:
    """Return the first and the last id that a pack may hold, as its name tells them.

    >>> id_range("part-00a1b2c3-7fffffff-0123456789abcdef0123456789abcdef.parquet")
    ('00a1b2c3', '7fffffffg')
    """
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return (match[1], f"{match[2]}g") if match else ("", "g")  # `g` follows all hexadecimal digits


def compact(workspace: Workspace, run_id: str, names: Sequence[str], first: str, last: str) -> list[Part]:
    """Write the blobs of a range of ids anew as packs whose ranges do not overlap.

    Args:
        workspace: where the packs are.
        run_id: the run that they are of.
        names: file names of all packs of the run.
        first: first id of the range.
        last: id behind the range.

    Returns:
        The new packs; memory holds `PACK_BYTES` of content, so the range should hold no more for ranges to be apart.
    """
    fresh = PackWriter(workspace, run_id)
    for name in names:
        lowest, highest = id_range(name)
        if lowest >= last or highest < first:
            continue
        pack = _Pack(workspace, workspace.path("tables", schema.BLOBS.name, run_id, name))
        for rows in pack.between(first, last):
            for blob_id, content in zip(rows["blob_id"].to_pylist(), rows["content"].to_pylist(), strict=True):
                fresh.add(blob_id, content)
        pack.close()
    fresh.flush()
    return fresh.parts


@dataclass(frozen=True)
class BlobReader:
    """Reads contents from packs by id, with `OPEN_PACKS` open at most. Pickles; opens files where it is used."""

    workspace: Workspace
    paths: tuple[str, ...]

    @cached_property
    def _ranges(self) -> list[tuple[str, str, str]]:
        return [(*id_range(path), path) for path in self.paths]

    @cached_property
    def _open(self) -> OrderedDict[str, _Pack]:
        return OrderedDict()

    @cached_property
    def _found(self) -> Counter[str]:
        return Counter()

    def _rows(self, wanted: list[str]) -> Iterator[pa.Table]:
        """Yield the rows of the wanted ids, which are sorted; the packs used last stay open.

        The packs that held most so far are asked first: new blobs lie together in one or two of many.
        """
        for first, last, path in sorted(self._ranges, key=lambda place: -self._found[place[2]]):
            if bisect_left(wanted, first) == bisect_right(wanted, last):
                continue
            if path not in self._open:
                while len(self._open) >= OPEN_PACKS:
                    self._open.popitem(last=False)[1].close()
                self._open[path] = _Pack(self.workspace, path)
            self._open.move_to_end(path)
            here = [rows for rows in self._open[path].take(wanted) if rows.num_rows]
            yield from here
            held = {blob_id for rows in here for blob_id in rows["blob_id"].to_pylist()}
            self._found[path] += len(held)
            wanted = [blob_id for blob_id in wanted if blob_id not in held] if held else wanted

    def __getstate__(self) -> dict[str, object]:
        return {"workspace": self.workspace, "paths": self.paths}

    def read(self, ids: pa.Array) -> pa.Array:
        """Return the contents of some ids.

        Args:
            ids: (N,) blob ids; sorted ones read each row group once.

        Returns:
            (N,) binary in the order of `ids`; null where an id is null or in no pack.
        """
        wanted = sorted(ids.unique().drop_null().to_pylist())
        found = list(self._rows(wanted))
        if not found:
            return pa.nulls(len(ids), pa.large_binary())
        rows = pa.concat_tables(found).combine_chunks()
        contents = rows["content"].cast(pa.large_binary()).combine_chunks()
        return contents.take(pc.index_in(ids, rows["blob_id"].combine_chunks()))

    def read_many(self, ids: pa.Array) -> list[bytes]:
        """Return the contents of ids in any order, reading the packs in theirs; all are held in memory.

        Raises:
            WorkspaceError: an id is in no pack.
        """
        contents = self.read(ids)
        if contents.null_count:
            raise WorkspaceError(f"{contents.null_count} blobs are in no pack; was the blobs table removed?")
        return [bytes(content) for content in contents.to_pylist()]

    def attach(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a batch with a `content` column added, in chunks of bounded size.

        Args:
            batch: holds `blob_id` and `size`; rows sorted by `blob_id`.
        """
        start = 0
        sizes = [size or 0 for size in batch["size"].to_pylist()]
        for chunk in _chunks(batch["blob_id"].to_pylist(), sizes, CHUNK_BYTES):
            rows = batch.slice(start, len(chunk))
            start += len(chunk)
            yield rows.append_column("content", self.read(rows["blob_id"]))
