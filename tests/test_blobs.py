"""Blob packs: what is written by id is read by id, in the order asked for, a bounded piece at a time."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate import schema
from stackcurate.blobs import CHUNK_BYTES, OPEN_PACKS, ROW_GROUP_BYTES, BlobReader, PackWriter, compact, id_range
from stackcurate.errors import WorkspaceError
from stackcurate.kernels.content import blob_id
from stackcurate.workspace import Workspace


def contents(count: int, size: int = 50) -> dict[str, bytes]:
    made = (random.Random(f"{number}").randbytes(size + number) for number in range(count))
    return {blob_id(content): content for content in made}


def written(workspace: Workspace, *packs: dict[str, bytes]) -> BlobReader:
    """Write packs in one run and return a reader over them."""
    writer = PackWriter(workspace, "r1")
    for pack in packs:
        for key, content in pack.items():
            writer.add(key, content)
        writer.flush()
    return BlobReader(workspace, tuple(workspace.path("tables", "blobs", "r1", part.path) for part in writer.parts))


def test_contents_come_back_in_the_order_asked_for(workspace: Workspace) -> None:
    known = contents(40)
    half = dict(list(known.items())[:20])
    reader = written(workspace, half, {k: v for k, v in known.items() if k not in half})
    asked = random.Random(7).choices(list(known), k=100)

    found = reader.read(pa.array(asked))

    assert len(reader.paths) == 2
    assert [bytes(content) for content in found.to_pylist()] == [known[key] for key in asked]


def test_pack_is_sorted_and_holds_each_blob_once(workspace: Workspace) -> None:
    known = contents(30)
    writer = PackWriter(workspace, "r1")
    for key, content in [*known.items(), *known.items()]:
        writer.add(key, content)
    writer.flush()
    writer.add(next(iter(known)), b"")
    writer.flush()

    (part,) = writer.parts
    table = pq.read_table(workspace.path("tables", "blobs", "r1", part.path))
    assert table["blob_id"].to_pylist() == sorted(known)
    assert table["size"].to_pylist() == [len(known[key]) for key in sorted(known)]
    assert table.schema.names == schema.BLOBS.columns.names
    assert part.rows == 30
    assert part.bytes == Path(workspace.path("tables", "blobs", "r1", part.path)).stat().st_size


def test_ids_that_are_null_or_unknown_give_null(workspace: Workspace) -> None:
    known = contents(3)
    first = next(iter(known))
    reader = written(workspace, known)

    found = reader.read(pa.array([None, first, "0" * 40, "f" * 40]))

    assert found.to_pylist() == [None, known[first], None, None]
    assert reader.read(pa.array(["0" * 40])).to_pylist() == [None]
    assert BlobReader(workspace, ()).read(pa.array([first])).to_pylist() == [None]
    assert len(reader.read(pa.array([], pa.string()))) == 0


def test_missing_blob_is_an_error_where_all_are_needed(workspace: Workspace) -> None:
    known = contents(3)
    reader = written(workspace, known)
    shuffled = sorted(known, reverse=True)

    assert reader.read_many(pa.array(shuffled)) == [known[key] for key in shuffled]
    with pytest.raises(WorkspaceError, match="1 blobs are in no pack"):
        reader.read_many(pa.array([*shuffled, "0" * 40]))


def test_row_groups_and_chunks_are_bounded(workspace: Workspace) -> None:
    known = contents(12, 2 * ROW_GROUP_BYTES // 5) | contents(1, CHUNK_BYTES + 1)
    reader = written(workspace, known)
    metadata = pq.ParquetFile(reader.paths[0]).metadata
    ids = [*sorted(known), None]
    batch = pa.record_batch(
        {"blob_id": pa.array(ids), "size": pa.array([len(known[i]) if i else None for i in ids]), "n": range(len(ids))}
    )

    chunks = list(reader.attach(batch))

    assert max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)) == 2
    assert len(chunks) > 1
    assert pa.Table.from_batches(chunks).drop(["content"]).equals(pa.Table.from_batches([batch]))
    for chunk in chunks:
        got = chunk["content"].to_pylist()
        assert chunk.num_rows == 1 or sum(len(content or b"") for content in got) <= CHUNK_BYTES
        assert got == [known.get(key) for key in chunk["blob_id"].to_pylist()]


def test_empty_batch_gives_no_chunks(workspace: Workspace) -> None:
    reader = written(workspace, contents(2))
    nothing = pa.record_batch({"blob_id": pa.array([], pa.string()), "size": pa.array([], pa.int64())})

    assert list(reader.attach(nothing)) == []


def test_empty_content_is_content(workspace: Workspace) -> None:
    reader = written(workspace, {blob_id(b""): b""})

    assert reader.read(pa.array([blob_id(b"")])).to_pylist() == [b""]


def test_reader_travels_without_open_files(workspace: Workspace) -> None:
    known = contents(5)
    reader = written(workspace, known)
    ids = pa.array(sorted(known))
    before = reader.read(ids)

    again = pickle.loads(pickle.dumps(reader))

    assert again == reader
    assert again.read(ids).equals(before)


def test_a_thousand_packs_are_read_with_few_open_and_compact_to_ranges_that_lie_apart(workspace: Workspace) -> None:
    known = contents(3000)
    ids = list(known)
    reader = written(workspace, *({key: known[key] for key in ids[i : i + 3]} for i in range(0, len(ids), 3)))
    assert len(reader.paths) == 1000

    before = len(list(Path("/proc/self/fd").iterdir()))
    assert reader.read_many(pa.array(ids)) == list(known.values())
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= OPEN_PACKS

    names = [path.rpartition("/")[2] for path in reader.paths]
    bounds = ["", "5", "a", "g"]
    made = [compact(workspace, "r1", names, *pair) for pair in pairwise(bounds)]
    ranges = [id_range(part.path) for parts in made for part in parts]
    whole = BlobReader(workspace, tuple(workspace.path("tables", "blobs", "r1", p.path) for ps in made for p in ps))

    assert len(whole.paths) == 3
    assert all(left[1] < right[0] for left, right in pairwise(ranges))
    assert whole.read_many(pa.array(ids)) == list(known.values())
