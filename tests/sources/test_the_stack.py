"""The Stack's three layouts: files of the true schema become the repositories and files that they were made from."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate.errors import SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.sources import the_stack
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.file_lists import listed_once
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.metadata import Entry, Repository
from stackcurate.sources.the_stack_full import joined_files
from stackcurate.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_S, _I = pa.string(), pa.int64()
_EVENTS = [("event_min_datetime", _S), ("event_max_datetime", _S)]
V1 = pa.schema([
    ("hexsha", _S), ("size", _I), ("ext", _S), ("lang", _S),
    *((f"max_{kind}_{name}", type_) for kind in ("stars", "issues", "forks") for name, type_ in (
        ("repo_path", _S), ("repo_name", _S), ("repo_head_hexsha", _S), ("repo_licenses", pa.list_(_S)),
        ("count", pa.float64()), *((f"repo_{kind}_{name}", type_) for name, type_ in _EVENTS),
    )),
    ("content", _S), ("avg_line_length", pa.float64()), ("max_line_length", _I), ("alphanum_fraction", pa.float64()),
])  # fmt: skip
_TIME = pa.timestamp("us")
V2 = pa.schema([
    ("blob_id", _S), ("directory_id", _S), ("path", _S), ("content_id", _S), ("detected_licenses", pa.list_(_S)),
    ("license_type", _S), ("repo_name", _S), ("snapshot_id", _S), ("revision_id", _S), ("branch_name", _S),
    ("visit_date", _TIME), ("revision_date", _TIME), ("committer_date", _TIME), ("github_id", _I),
    ("star_events_count", _I), ("fork_events_count", _I), ("gha_license_id", _S), ("gha_event_created_at", _TIME),
    ("gha_created_at", _TIME), ("gha_language", _S), ("src_encoding", _S), ("language", _S), ("is_vendor", pa.bool_()),
    ("is_generated", pa.bool_()), ("length_bytes", _I), ("extension", _S),
])  # fmt: skip
_V2_FILE = ("blob_id", "path", "content_id", "language", "length_bytes", "detected_licenses", "license_type",
            "src_encoding", "is_vendor", "is_generated")  # fmt: skip
V2_GROUPED = pa.schema([
    *(field for field in V2 if field.name not in (*_V2_FILE, "extension")),
    ("files", pa.list_(pa.struct([V2.field(name) for name in _V2_FILE]))), ("num_files", _I),
])  # fmt: skip
_I32 = pa.int32()
V3 = pa.schema([
    ("repo_path", _S), ("repo_id", _I), ("commit_id", _S),
    ("github_metadata", pa.struct([
        ("branch", _S), ("commit_count", _I32), ("repo_created_at", _S), ("is_fork", pa.bool_()),
        ("is_org_owned", pa.bool_()), ("forked_from", _S), ("stars", _I32), ("forks", _I32), ("issues", _I32),
        ("pull_requests", _I32),
    ])),
    ("num_files", _I),
    ("files", pa.list_(pa.struct([
        ("content_id", _S), ("content", _S), ("size_bytes", _I32), ("file_path", _S), ("file_timestamp", _I),
        ("language", _S), ("is_vendor", pa.bool_()), ("license_type", _S), ("detected_licenses", pa.list_(_S)),
    ]))),
])  # fmt: skip
"""Columns as the data set cards list them."""

TEXT = "print('é')\n"


def write(folder: Path, columns: pa.Schema, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=columns), folder / "train-00000-of-00001.parquet")
    return folder


def found(folder: Path, **limits: Any) -> list[tuple[Repository, list[Entry]]]:
    config = SourcesConfig(**limits)
    return [(row, list(files)) for one in the_stack.listed(str(folder)) for row, files in read(one, config)]


def of_v1(content: str | None = TEXT, **known: tuple[str, str, str, float]) -> dict[str, Any]:
    row: dict[str, Any] = {"content": content, "hexsha": "0" * 40}
    for kind, (name, revision, path, count) in known.items():
        values = {"repo_name": name, "repo_head_hexsha": revision, "repo_path": path, "count": count}
        row |= {f"max_{kind}_{key}": value for key, value in values.items()}
        row[f"max_{kind}_repo_licenses"] = ["MIT", "Apache-2.0"]
    return row


def test_v1_names_each_repository_of_a_blob(tmp_path: Path) -> None:
    a, b = ("Octo/Cat", "a" * 40, "src/x.py"), ("other/fork", "b" * 40, "x.py")
    rows = (
        of_v1(stars=(*a, 7.0), issues=(*a, 1.0), forks=(*b, 3.0)),
        of_v1("y\n", stars=("Octo/Cat", "a" * 40, "y.py", 7)),
    )
    (cat, cats), (fork, forks) = found(write(tmp_path / "v1", V1, *rows))

    assert (cat.repo_id, cat.owner, cat.name, cat.revision, cat.stars, cat.forks) == (
        "github/octo/cat", "Octo", "Cat", "a" * 40, 7, None
    )  # fmt: skip
    assert (cat.host_license, cat.source_kind, cat.host) == ("Apache-2.0 AND MIT", "the-stack-v1", "github")
    assert [(f.path, f.content) for f in cats] == [("src/x.py", TEXT.encode()), ("y.py", b"y\n")]
    assert (fork.repo_id, fork.stars, fork.forks) == ("github/other/fork", None, 3)
    assert [(f.path, f.blob_id) for f in forks] == [("x.py", blob_id(TEXT.encode()))]


def of_v2(content: bytes, path: str = "/src/x.py", **rest: Any) -> dict[str, Any]:
    return {
        "blob_id": hashlib.sha1(content).hexdigest(), "path": path, "length_bytes": len(content),
        "repo_name": "Octo/Cat", "revision_id": "a" * 40, "branch_name": "refs/heads/main", "github_id": 77,
        "star_events_count": 5, "gha_license_id": "MIT", "revision_date": datetime(2023, 1, 2, tzinfo=UTC), **rest,
    }  # fmt: skip


def test_v2_takes_contents_from_a_store(tmp_path: Path) -> None:
    store = tmp_path / "content"
    store.mkdir()
    contents = [b"one = 1\n", b"\xff\xfebytes", b"lost\n"]
    for content, packed in zip(contents, (gzip.compress(contents[0]), contents[1]), strict=False):
        (store / hashlib.sha1(content).hexdigest()).write_bytes(packed)
    rows = [of_v2(content, f"/src/{i}.py") for i, content in enumerate(contents)]
    ((row, files),) = found(write(tmp_path / "v2", V2, *rows), contents=str(store))

    assert (row.repo_id, row.default_branch, row.stars, row.host_license) == ("github/77", "main", 5, "MIT")
    assert row.pushed_at == datetime(2023, 1, 2, tzinfo=UTC)
    assert [(f.path, f.content, f.error) for f in files] == [
        ("src/0.py", contents[0], None), ("src/1.py", contents[1], None), ("src/2.py", None, "missing_object")
    ]  # fmt: skip
    assert {f.error for _, fs in found(tmp_path / "v2") for f in fs} == {"not_held"}

    file = {name: value for name, value in rows[0].items() if name in _V2_FILE}
    repo = {name: value for name, value in rows[0].items() if name not in _V2_FILE}
    grouped = write(tmp_path / "grouped", V2_GROUPED, {**repo, "files": [file], "num_files": 1})
    ((again, same),) = found(grouped, contents=str(store))
    assert (again.repo_id, same) == (row.repo_id, files[:1])


def test_v3_is_a_repository_a_row(tmp_path: Path) -> None:
    files = [
        {"file_path": "a.py", "content": TEXT, "content_id": "1" * 40, "size_bytes": 12},
        {"file_path": "a.py", "content": "twice\n"},
        {"file_path": "stub.bin", "content": None, "size_bytes": 99},
        {"file_path": "../../out.py", "content": TEXT},
        {"file_path": "large.py", "content": "x" * 2000},
    ]
    facts = {"branch": "dev", "is_org_owned": True, "stars": 4, "forks": 0, "repo_created_at": "2020-02-03T04:05:06Z",
             "forked_from": "Up/Stream"}  # fmt: skip
    row = {"repo_path": "Octo/Cat", "repo_id": 77, "commit_id": "c" * 40, "github_metadata": facts, "files": files}
    bare = {"repo_path": "no/files", "commit_id": "d" * 40}
    (cat, entries), (other, none) = found(write(tmp_path / "v3", V3, row, bare), max_file_bytes=1000)

    assert (cat.repo_id, cat.revision, cat.default_branch, cat.owner_type) == (
        "github/77", "c" * 40, "dev", "organization"
    )  # fmt: skip
    assert (cat.fork_of, cat.stars, cat.created_at) == (
        "github/up/stream",
        4,
        datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC),
    )
    assert [f.error for f in entries] == [None, "duplicate_path", "not_held", "unsafe_path", "too_large"]
    assert (other.repo_id, none) == ("github/no/files", [])


def test_full_corpus_of_v3_is_joined_to_its_contents(spark: SparkSession, tmp_path: Path) -> None:
    struct = V3.field("files").type.value_type
    file = pa.struct([*(field for field in struct if field.name != "content"), ("dedup_cluster", _I)])
    metadata = pa.schema([*(field for field in V3 if field.name != "files"), ("files", pa.list_(file))])
    files = [
        {"file_path": "a.py", "content_id": "1" * 40, "size_bytes": 13, "dedup_cluster": 7},
        {"file_path": "a.h", "content_id": "2" * 40, "size_bytes": 9},
        {"file_path": "stub.bin", "content_id": "3" * 40, "size_bytes": 99},
    ]
    facts = {"branch": "dev", "stars": 4, "is_org_owned": False}
    row = {"repo_path": "Octo/Cat", "repo_id": 77, "commit_id": "c" * 40, "github_metadata": facts, "files": files}
    others = ({"repo_path": "other/one", "repo_id": 78}, {"repo_path": "Octo/Bare", "repo_id": 80, "files": []})
    write(tmp_path / "full" / "metadata", metadata, row, *(row | other for other in others))
    held = pa.schema([("content_id", _S), ("content", _S)])
    write(tmp_path / "full" / "contents" / "language=Python", held, {"content_id": "1" * 40, "content": TEXT})
    for language in ("C", "C++"):
        folder = tmp_path / "full" / "contents" / f"language={language}"
        write(folder, held, {"content_id": "2" * 40, "content": "int one;\n"})
    place = Workspace(str(tmp_path / "place"))

    folder = listed_once(
        lambda: joined_files(spark, str(tmp_path / "full"), "Octo/%"), place, "one", "repo_path"
    )  # fmt: skip
    (bare, none), (cat, entries) = sorted(found(Path(folder)), key=lambda one: -int(one[0].repo_id[7:]))

    assert (bare.repo_id, bare.revision, bare.error, none) == ("github/80", "c" * 40, None, [])
    assert (cat.repo_id, cat.revision, cat.stars, cat.owner_type) == ("github/77", "c" * 40, 4, "user")
    assert {f.path: (f.content, f.error) for f in entries} == {
        "a.py": (TEXT.encode(), None), "a.h": (b"int one;\n", None), "stub.bin": (None, "not_held")
    }  # fmt: skip


def test_starcoderdata_is_v1_with_fewer_columns(tmp_path: Path) -> None:
    columns = pa.schema([V1.field(f"max_stars_{name}") for name in ("repo_path", "repo_name", "count")]
                        + [("id", _S), ("content", _S)])  # fmt: skip
    row = {"max_stars_repo_path": "a.py", "max_stars_repo_name": "Octo/Cat", "max_stars_count": 3, "content": TEXT}
    ((cat, (file,)),) = found(write(tmp_path / "data", columns, row))

    assert (cat.repo_id, cat.revision, cat.stars, file.content) == ("github/octo/cat", None, 3, TEXT.encode())


def test_rows_that_name_no_repository_are_counted(tmp_path: Path) -> None:
    """In files of rows, in files of repositories, and in those of version 1, where a name without a path is none."""
    named, nameless = of_v2(b"x"), of_v2(b"y", repo_name=None)
    write(tmp_path / "v1", V1, of_v1(stars=("o/r", "a" * 40, "f.py", 1.0)), of_v1(), of_v1(forks=("o/r", "", "", 0.0)))
    write(tmp_path / "v2", V2, *[named] * 1500, nameless, {**nameless, "repo_name": ""})
    file = {"file_path": "a.py", "content": TEXT}
    v3 = {"repo_path": "o/r", "commit_id": "c" * 40, "files": [file, {"content": TEXT}, {"content": TEXT}]}
    write(tmp_path / "v3", V3, {**v3, "repo_path": None}, v3, {**v3, "repo_path": None})
    rows = {name: found(tmp_path / name) for name in ("v1", "v2", "v3")}

    lost = {name: [row.repo_id for row, _ in taken if row.error == "unnamed"] for name, taken in rows.items()}
    source = "local/train-00000-of-00001.parquet"
    assert lost == {"v1": [f"{source}/{n}" for n in (1, 2)], "v2": [f"{source}/{n}" for n in (1500, 1501)],
                    "v3": [f"{source}/{n}" for n in (0, 2)]}  # fmt: skip
    assert not [files for taken in rows.values() for row, files in taken if row.error and files]
    ((_, files),) = ((row, files) for row, files in rows["v3"] if row.error is None)
    assert [f.error for f in files] == [None, "unsafe_path", "duplicate_path"]


def test_what_is_no_such_parquet_is_a_reason(tmp_path: Path) -> None:
    write(tmp_path / "a", pa.schema([("x", _S)]), {"x": "y"})
    (tmp_path / "a" / "torn.parquet").write_bytes(b"PAR1 torn")
    wrong = pa.schema([("repo_path", _I), ("commit_id", _S), ("files", _S)])
    pq.write_table(
        pa.table({"repo_path": [1], "commit_id": ["c"], "files": ["x"]}, wrong), tmp_path / "a" / "z.parquet"
    )

    assert [(row.error, files) for row, files in found(tmp_path / "a")] == [("corrupt_archive", [])] * 3
    with pytest.raises(SourceError, match="found none"):
        discover([f"the-stack:{tmp_path / 'nowhere'}"])


def test_a_file_of_many_batches_repeats_repositories_and_loses_nothing(tmp_path: Path) -> None:
    rows = [of_v1(f"n = {i}\n", stars=(f"o/r{i % 3}", "a" * 40, f"f{i}.py", 1.0)) for i in range(2500)]
    taken = found(write(tmp_path / "v1", V1, *rows))

    assert {row.repo_id for row, _ in taken} == {"github/o/r0", "github/o/r1", "github/o/r2"}
    assert sorted(int(f.path[1:-3]) for _, files in taken for f in files) == list(range(2500))
