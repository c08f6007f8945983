"""Software Heritage: an export in the published schema, in both encodings, becomes the files that it was made from."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import venv
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from stackcurate.errors import SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.file_lists import list_name, listed_once
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.software_heritage import file_list
from stackcurate.workspace import Workspace

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
    place, source = Workspace(str(tmp_path / "place")), export(tmp_path / "export", encoding)
    folder = listed_once(lambda: file_list(spark, source), place, "one", "origin")
    store = tmp_path / "content"
    store.mkdir()
    for content in CONTENTS.values():
        (store / hashlib.sha1(content).hexdigest()).write_bytes(gzip.compress(content))

    config = SourcesConfig(contents=str(store))
    found: dict[str, list[tuple[str, bytes | None, str | None]]] = {}
    repositories = {}
    for one in discover([f"the-stack:{folder}"]):
        for row, files in read(one, config):
            repositories[row.repo_id] = row
            found.setdefault(row.repo_id, []).extend((f.path, f.content, f.error) for f in files)

    assert listed_once(lambda: pytest.fail("it was there"), place, "one", "origin") == folder
    deep = CONTENTS["deep"]
    assert {key: sorted(files) for key, files in found.items()} == {
        "github/octo/cat": [
            ("a.py", CONTENTS["a"], None), ("lib/deeper/deep.py", deep, None), ("lib/lost.py", None, "missing_object")
        ],
        "gitlab.com/x/y/z": [("deeper/deep.py", deep, None), ("lost.py", None, "missing_object")],
        "github/none/empty": [],
    }  # fmt: skip
    cat, other = repositories["github/octo/cat"], repositories["gitlab.com/x/y/z"]
    assert {row.repo_id: row.error for row in repositories.values() if row.error} == {"github/none/empty": "no_head"}
    assert (cat.revision, cat.default_branch, cat.owner) == ("r1", "dev", "Octo")
    assert cat.pushed_at is not None
    assert cat.pushed_at.year == 2021
    assert (other.default_branch, other.host, other.owner, other.name) == ("main", "gitlab.com", "x", "z")


def test_a_list_has_another_name_once_the_tables_are_written_again(tmp_path: Path) -> None:
    source = export(tmp_path / "export", "parquet")
    names = [list_name("swh", source, pattern) for pattern in ("%", "%", "https://%")]
    os.utime(tmp_path / "export" / "content" / "1.parquet", (0, 0))

    assert names[0] == names[1]
    assert len({*names, list_name("swh", source, "%")}) == 3
    with pytest.raises(SourceError, match=r"\.parquet"):
        list_name("swh", str(tmp_path / "none"), "%")
    assert list_name("swh", "s3a://lake/export", "%") not in names


def test_origins_are_chosen_by_pattern(spark: SparkSession, tmp_path: Path) -> None:
    rows = file_list(spark, export(tmp_path / "export", "parquet"), "https://gitlab.com/%").collect()

    assert {row["origin"] for row in rows} == {"https://gitlab.com/x/y/z.git"}
    assert None not in {row["path"] for row in rows}


@pytest.mark.slow
def test_example_of_swh_graph_is_the_same_in_both_encodings(spark: SparkSession, tmp_path: Path) -> None:
    python, example = tmp_path / "venv" / "bin" / "python", tmp_path / "example"
    venv.create(tmp_path / "venv", with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "swh-graph", "swh-export"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"swh-graph, which makes the example, cannot be installed: {done.stderr.strip()[-200:]}")
    subprocess.run([python, "-m", "swh.graph.example_dataset.generate_dataset", example], check=True)

    names = ("revision_id", "branch_name", "content_id", "path", "length_bytes")
    for encoding in ("orc", "parquet"):
        rows = file_list(spark, str(example / encoding)).collect()
        for origin in ("https://example.com/swh/graph", "https://example.com/swh/graph2"):
            assert sorted(tuple(row[name] for name in names) for row in rows if row["origin"] == origin) == [
                (f"{9:040}", "refs/heads/master", f"{number:040}", path, length)
                for number, path, length in (
                    (1, "/README.md", 42), (4, "/tests/README.rst", 404), (5, "/tests/main.py", 1337),
                    (7, "/parser.c", 666),
                )
            ]  # fmt: skip
        assert {row["revision_date"] for row in rows} == {rows[0]["revision_date"]}
        assert rows[0]["revision_date"].year == 2005
