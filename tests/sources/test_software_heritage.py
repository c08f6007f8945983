"""Software Heritage: an export in the published schema, in both encodings, becomes the files that it was made from."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from stackcurate.kernels.content import blob_id
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.software_heritage import file_list, write_file_list

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_S, _I, _B = pa.string(), pa.int64(), pa.binary()
DATES = {"parquet": pa.struct([("seconds", _I), ("microseconds", pa.int32())]), "orc": pa.timestamp("ns")}
CONTENTS = {"a": b"a = 1\n", "deep": b"deep = 1\n", "old": b"old = 1\n", "lost": b"lost\n"}


def when(encoding: str, year: int) -> Any:
    time = datetime(year, 1, 2, tzinfo=UTC)
    return {"seconds": int(time.timestamp()), "microseconds": 5} if encoding == "parquet" else time.replace(tzinfo=None)


def export(folder: Path, encoding: str) -> str:
    """Write two origins: one with HEAD as an alias and folders that both share, one with `main` alone."""
    date, git = DATES[encoding], {name: blob_id(content) for name, content in CONTENTS.items()}
    status = [("origin", _S), ("visit", _I), ("date", date), ("status", _S), ("snapshot", _S), ("type", _S)]
    branch = [("snapshot_id", _S), ("name", _B), ("target", _S), ("target_type", _S)]
    entry = [("directory_id", _S), ("name", _B), ("type", _S), ("target", _S), ("perms", pa.int32())]
    one, two = "https://github.com/Octo/Cat", "https://gitlab.com/x/y/z.git"
    rows: dict[str, tuple[Any, list[tuple[Any, ...]]]] = {
        "origin_visit_status": (status, [
            (one, 1, when(encoding, 2019), "full", "s0", "git"), (one, 2, when(encoding, 2021), "full", "s1", "git"),
            (one, 3, when(encoding, 2023), "partial", "s9", "git"), (two, 1, when(encoding, 2020), "full", "s2", "git"),
            ("https://github.com/none/empty", 1, when(encoding, 2020), "full", None, "git"),
        ]),
        "snapshot_branch": (branch, [
            ("s0", b"HEAD", "r0", "revision"), ("s1", b"HEAD", b"refs/heads/dev".hex(), "alias"),
            ("s1", b"refs/heads/dev", "r1", "revision"), ("s1", b"refs/heads/master", "r0", "revision"),
            ("s2", b"refs/heads/main", "r2", "revision"), ("s2", b"refs/heads/other", "r0", "revision"),
        ]),
        "revision": ([("id", _S), ("directory", _S), ("date", date)], [
            ("r0", "d-old", when(encoding, 2018)), ("r1", "d1", when(encoding, 2021)),
            ("r2", "d2", when(encoding, 2020)),
        ]),
        "directory_entry": (entry, [
            ("d-old", b"old.py", "file", git["old"], 0o100644),
            ("d1", b"a.py", "file", git["a"], 0o100644), ("d1", b"lib", "dir", "d2", 0o040000),
            ("d1", b"link", "file", git["a"], 0o120000), ("d1", b"module", "rev", "r9", 0o160000),
            ("d2", b"deeper", "dir", "d3", 0o040000), ("d2", b"lost.py", "file", git["lost"], 0o100644),
            ("d3", b"deep.py", "file", git["deep"], 0o100755),
        ]),
        "content": ([("sha1", _S), ("sha1_git", _S), ("length", _I)], [
            (hashlib.sha1(content).hexdigest(), git[name], len(content))
            for name, content in CONTENTS.items() if name != "lost"
        ]),
    }  # fmt: skip
    for name, (columns, values) in rows.items():
        (folder / name).mkdir(parents=True)
        names = [column for column, _ in columns]
        table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in values], schema=pa.schema(columns))
        writer = pq.write_table if encoding == "parquet" else orc.write_table
        writer(table, folder / name / f"1.{encoding}")
    return str(folder)


@pytest.mark.parametrize("encoding", ["parquet", "orc"])
def test_last_full_visits_become_files(spark: SparkSession, tmp_path: Path, encoding: str) -> None:
    rows = file_list(spark, export(tmp_path / "export", encoding))
    write_file_list(rows, str(tmp_path / "list"))
    store = tmp_path / "content"
    store.mkdir()
    for content in CONTENTS.values():
        (store / hashlib.sha1(content).hexdigest()).write_bytes(gzip.compress(content))

    config = SourcesConfig(contents=str(store))
    found: dict[str, list[tuple[str, bytes | None, str | None]]] = {}
    repositories = {}
    for one in discover([f"the-stack:{tmp_path / 'list'}"]):
        for row, files in read(one, config):
            repositories[row.repo_id] = row
            found.setdefault(row.repo_id, []).extend((f.path, f.content, f.error) for f in files)

    deep = CONTENTS["deep"]
    assert {key: sorted(files) for key, files in found.items()} == {
        "github/octo/cat": [
            ("a.py", CONTENTS["a"], None), ("lib/deeper/deep.py", deep, None), ("lib/lost.py", None, "missing_object")
        ],
        "gitlab.com/x/y/z": [("deeper/deep.py", deep, None), ("lost.py", None, "missing_object")],
    }  # fmt: skip
    cat, other = repositories["github/octo/cat"], repositories["gitlab.com/x/y/z"]
    assert (cat.revision, cat.default_branch, cat.owner) == ("r1", "dev", "Octo")
    assert cat.pushed_at is not None
    assert cat.pushed_at.year == 2021
    assert (other.default_branch, other.host, other.owner, other.name) == ("main", "gitlab.com", "x", "z")


def test_origins_are_chosen_by_pattern(spark: SparkSession, tmp_path: Path) -> None:
    rows = file_list(spark, export(tmp_path / "export", "parquet"), "https://gitlab.com/%").collect()

    assert {row["origin"] for row in rows} == {"https://gitlab.com/x/y/z.git"}
