"""Shards: the same rows give the same bytes, cut by the size of the text; contents are redacted until clean."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate import schema
from stackcurate.blobs import BlobReader, PackWriter
from stackcurate.errors import WorkspaceError
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.pii import PiiConfig, find_spans
from stackcurate.kernels.spans import RedactionConfig, open_spans
from stackcurate.release import shards
from stackcurate.release.policy import ReleaseConfig
from stackcurate.release.rows import ShardWriter, led_by_authors, release_row, released
from stackcurate.sources.authors import keyed_hash
from stackcurate.stages.tables import frame
from stackcurate.workspace import Workspace, author_key

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONTENTS = [
    b"def tide(hours):\n    return hours\n",
    b"# Kontakt: karin@" + b"fjord.se\n",
    "x = 'caf\xe9'\n".encode("latin-1"),
]


def rows(contents: list[bytes]) -> pa.Table:
    made_here = ("content", "content_id", "redactions", "benchmarks")
    columns = [f for f in schema.RELEASE.columns if f.name not in made_here]
    extra = [("shard", pa.string()), ("spans", schema.PII.columns.field("spans").type)]
    extra.append(("input_id", pa.string()))
    extra.append(("overlaps", schema.CONTAMINATION.columns.field("overlaps").type))
    made = [
        {
            "repo": "acme/atlas", "repo_id": "git/acme/atlas", "revision": "1", "path": f"f{index}.py",
            "language": "Python", "input_id": "one", "size": len(content),
            "blob_id": blob_id(content), "shard": "data/python/train-00000-of-00001.parquet",
            "spans": [span._asdict() for span in find_spans(content)],
            "overlaps": [{"benchmark": "humaneval"}] if index == 1 else [],
        }
        for index, content in enumerate(contents)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=pa.schema([*columns, *extra]))


@pytest.fixture
def writer(workspace: Workspace) -> ShardWriter:
    packs = PackWriter(workspace, "one")
    for content in CONTENTS:
        packs.add(blob_id(content), content)
    packs.flush()
    paths = tuple(workspace.path("tables", "blobs", "one", part.path) for part in packs.parts)
    return ShardWriter(
        workspace, BlobReader(workspace, paths), ReleaseConfig(), RedactionConfig(), PiiConfig(names=False)
    )


def test_a_shard_holds_redacted_text_and_says_so(writer: ShardWriter) -> None:
    entry = shards.write_shard(rows(CONTENTS), {}, writer)
    written = pq.read_table(Path(writer.workspace.root, "releases", "v1", entry["path"]))

    assert written.schema == schema.RELEASE.columns
    assert written["content"].to_pylist()[0].encode() == CONTENTS[0]
    assert "fjord" not in written["content"].to_pylist()[1]
    assert written["content"].to_pylist()[2] == "x = 'café'\n"
    assert written["redactions"].to_pylist() == [0, 1, 0]
    assert written["benchmarks"].to_pylist() == [None, "humaneval", None]
    assert [blob_id(text.encode()) for text in written["content"].to_pylist()] == written["content_id"].to_pylist()
    assert (entry["rows"], entry["redactions"]) == (3, 1)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_what_is_published_is_clean_in_any_encoding(writer: ShardWriter, encoding: str) -> None:
    content = "x = 'caf\xe9'  # Kontakt: k\xe5re.karin{}fjord.se, karin{}fjord.se\r\n".replace("{}", "@").encode(
        encoding
    )
    row = release_row(rows([content]).to_pylist()[0], content, writer)
    published = row["content"].encode()

    assert row["redactions"] >= 1
    assert "fjord" not in row["content"]
    assert open_spans(published, find_spans(published, writer.detector), writer.redaction) == []
    assert blob_id(published) == row["content_id"]


def test_the_same_rows_give_the_same_bytes(writer: ShardWriter) -> None:
    first = shards.write_shard(rows(CONTENTS), {}, writer)
    pieces = [rows(CONTENTS).slice(index, 1) for index in range(3)]

    assert first == shards.write_shard(pa.concat_tables(pieces), {}, writer)


def test_a_shard_that_passes_by_has_the_bytes_of_one_in_memory(writer: ShardWriter) -> None:
    config = ReleaseConfig(row_group_bytes=40)
    entry = shards.write_shard(rows(CONTENTS), {}, replace(writer, config=config))
    written = Path(writer.workspace.root, "releases", "v1", entry["path"])
    whole = released(rows(CONTENTS).to_pylist(), writer, {})
    data = shards.encode(whole, config.row_group_bytes)

    assert pq.read_metadata(written).num_row_groups == 2
    assert pq.read_table(written).equals(whole)
    assert written.read_bytes() == data
    assert entry == shards.shard_entry(entry["path"], whole, data)
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_authors_go_from_the_files_of_their_own_repository(spark: SparkSession, workspace: Workspace) -> None:
    """Their hashes come with the shard, and are nowhere in it."""
    content = b"# ask Karin Lindqvist.\n"
    files = rows([content] * 3).to_pylist()
    files[1] |= {"repo": "other/atlas", "repo_id": "git/other/atlas"}
    files[2] |= {"input_id": "two"}
    packs = PackWriter(workspace, "one")
    packs.add(blob_id(content), content)
    packs.flush()
    paths = tuple(workspace.path("tables", "blobs", "one", part.path) for part in packs.parts)
    key = author_key(workspace)
    hashes = {"email_hash": keyed_hash(key, "mail"), "name_hash": keyed_hash(key, "karin lindqvist")}
    people = [{"repo_id": repo, "input_id": "one", **hashes} for repo in ("git/acme/atlas", "git/none/here")]
    authors = frame(spark, pa.Table.from_pylist(people, schema=schema.AUTHORS.columns))
    given = frame(spark, pa.Table.from_pylist(files, schema=rows([]).schema))
    writer = ShardWriter(workspace, BlobReader(workspace, paths), ReleaseConfig(), RedactionConfig(), PiiConfig())

    (entry,) = shards.write_shards(led_by_authors(given, given, authors), writer, 2)

    written = pq.read_table(workspace.path("releases", "v1", entry["path"])).to_pylist()
    assert [(row["repo"], row["path"], "Lindqvist" in row["content"]) for row in written] == [
        ("acme/atlas", "f0.py", False), ("acme/atlas", "f2.py", True), ("other/atlas", "f1.py", True)
    ]  # fmt: skip


def test_a_blob_in_no_pack_stops_the_shard(writer: ShardWriter) -> None:
    with pytest.raises(WorkspaceError, match="1 blobs are in no pack"):
        shards.write_shard(rows([*CONTENTS, b"never stored\n"]), {}, writer)

    assert not list(Path(writer.workspace.root, "releases").rglob("*.parquet*"))


def test_row_groups_are_cut_by_the_size_of_the_text() -> None:
    empty = dict.fromkeys(schema.RELEASE.columns.names)
    table = pa.Table.from_pylist(
        [empty | {"content": "x" * 100, "size": 100, "repo": "a/b", "content_id": str(i)} for i in range(10)],
        schema=schema.RELEASE.columns,
    )
    groups = pq.ParquetFile(io.BytesIO(shards.encode(table, 250))).metadata

    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [2, 2, 2, 2, 2]


def test_batches_cut_anywhere_give_whole_shards() -> None:
    names = ["a"] * 3 + ["b"] * 2 + ["c"]
    whole = pa.RecordBatch.from_pydict({"shard": names, "n": list(range(6))})
    cuts = [[0, 6], [0, 1, 4, 6], [0, 3, 5, 6]]
    for cut in cuts:
        batches = iter([whole.slice(start, end - start) for start, end in itertools.pairwise(cut)])
        found = [(table["shard"][0].as_py(), table["n"].to_pylist()) for table in shards.by_shard(batches)]
        assert found == [("a", [0, 1, 2]), ("b", [3, 4]), ("c", [5])]
