"""Data Sources of files: the rows that ingestion writes, without a JVM and through Spark, and less where barred."""

from __future__ import annotations

import gzip
import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyspark.sql.datasource import EqualTo, Filter, GreaterThan, In, LessThan, StringEndsWith, StringStartsWith

from stackcurate.errors import ConfigError, SourceError
from stackcurate.sources.datasources import FILE_ROWS, ArchiveFiles, GitFiles, SoftwareHeritageFiles, register
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.metadata import file_row

from .git_server import serving
from .hostile import member, tar_bytes, zip_bytes
from .hostile_git import blob, commit, repository
from .test_the_stack import V2, of_v2, write

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of three archives, one of them cut in the middle."""
    folder = tmp_path / "packages"
    folder.mkdir()
    two = (member("six-1.0/a.py", b"a = 1\n"), member("six-1.0/doc/b.md", b"# b\n" * 100))
    (folder / "six-1.0.tar").write_bytes(tar_bytes(*two))
    (folder / "other.zip").write_bytes(zip_bytes(("c.py", b"c = 3\n")))
    (folder / "torn.tar").write_bytes(tar_bytes(*two)[:1100])
    return folder


def rows(source: Any, *filters: Filter) -> list[dict[str, Any]]:
    """Read a source as Spark would, partition by partition, without a JVM."""
    reader = pickle.loads(pickle.dumps(source.reader(source.schema())))
    assert list(reader.pushFilters(list(filters))) == list(filters)
    batches = [batch for part in reader.partitions() for batch in reader.read(pickle.loads(pickle.dumps(part)))]
    return pa.Table.from_batches(batches, schema=FILE_ROWS).to_pylist()  # type: ignore[no-any-return]


def test_archives_have_the_rows_that_ingestion_writes(packages: Path) -> None:
    expected = [
        {**file_row(repository, entry), "source": repository.source, "content": entry.content}
        for one in discover([packages])
        for repository, entries in read(one)
        for entry in entries
    ]
    found = rows(ArchiveFiles({"path": str(packages)}))

    assert [row for row in found if row["path"] is not None] == expected
    assert [(row["source"], row["error"]) for row in found if row["path"] is None] == [("torn.tar", "corrupt_archive")]
    large = rows(ArchiveFiles({"path": str(packages), "max_file_bytes": "100"}))
    assert {row["path"] for row in large if row["error"] == "too_large"} == {"six-1.0/doc/b.md"}


def test_filters_spare_inputs_repositories_and_contents(packages: Path) -> None:
    source = ArchiveFiles({"path": str(packages)})

    assert {row["source"] for row in rows(source, In(("source",), ("other.zip", "six-1.0.tar")))} == {
        "other.zip", "six-1.0.tar"
    }  # fmt: skip
    assert [row["path"] for row in rows(source, EqualTo(("repo_id",), "local/other"))] == ["good.py", "c.py"]
    by_path = rows(source, StringEndsWith(("path",), ".py"), StringStartsWith(("path",), "six"))
    assert {(row["path"], row["content"]) for row in by_path if row["path"]} == {("six-1.0/a.py", b"a = 1\n")}
    assert {row["path"] for row in rows(source, GreaterThan(("size",), 100)) if row["path"]} == {"six-1.0/doc/b.md"}
    assert rows(source, EqualTo(("source",), "none.tar")) == []


def test_wrong_options_are_refused_before_any_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a path"):
        rows(ArchiveFiles({}))
    with pytest.raises(ConfigError, match="did you mean 'max_file_bytes'"):
        rows(ArchiveFiles({"path": str(tmp_path), "max_file_byte": "1"}))
    with pytest.raises(SourceError, match="no such file"):
        rows(ArchiveFiles({"path": str(tmp_path / "none")}))


def test_archives_through_spark(spark: SparkSession, packages: Path) -> None:
    register(spark)
    df = spark.read.format("stackcurate.archives").option("max_entries", 1000).load(str(packages))

    assert df.where("error is null and path like '%a.py'").count() == 1
    assert {row["source"] for row in df.where("path is null").collect()} == {"torn.tar"}
    (row,) = df.where("source = 'other.zip' and path = 'c.py' and size < 100").select("repo_id", "content").collect()
    assert (row["repo_id"], bytes(row["content"])) == ("local/other", b"c = 3\n")


def test_git_lists_fetch_only_what_filters_ask_for(spark: SparkSession, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        for name in ("one", "two"):
            folder = repository(server.folder / "o" / f"{name}.git", "--bare")
            commit(folder, *(("100644", "blob", blob(folder, text), path)
                             for path, text in (("a.py", name.encode()), ("b.md", b"b\n"))))  # fmt: skip
        listed = tmp_path / "urls.txt"
        listed.write_text("".join(f"{server.url}/o/{name}.git\n" for name in ("one", "two", "gone")))
        options = {"git_protocols": '["http"]', "git_cache": str(tmp_path / "cache"), "git_attempts": "1",
                   "git_mirror_bytes": str(8 << 20)}  # fmt: skip
        source = GitFiles({"path": str(listed), **options})
        host = server.url.removeprefix("http://")
        only = rows(source, EqualTo(("repo_id",), f"{host}/o/two"), LessThan(("size",), 3))
        asked = set(server.requests)

        register(spark)
        df = spark.read.format("stackcurate.git").options(**options).load(str(listed))
        found = df.where("path like '%a.py' or path is null").select("repo_id", "content", "error").collect()

    assert [(row["path"], row["content"]) for row in only] == [("b.md", b"b\n")]
    assert not any("one" in request or "gone" in request for request in asked)
    assert sorted((row["repo_id"].rpartition("/")[2], bytes(row["content"] or b""), row["error"]) for row in found) == [
        ("gone", b"", "gone"), ("one", b"one", None), ("two", b"two", None)
    ]  # fmt: skip


def test_lists_of_software_heritage_take_contents_from_a_store(spark: SparkSession, tmp_path: Path) -> None:
    contents = {"/a.py": b"a = 1\n", "/lib/b.py": b"b = 2\n", "/lost.py": b"lost\n"}
    store = tmp_path / "content"
    store.mkdir()
    for content in list(contents.values())[:2]:
        (store / hashlib.sha1(content).hexdigest()).write_bytes(gzip.compress(content))
    listed = write(tmp_path / "list", V2, *(of_v2(content, path) for path, content in contents.items()))
    source = SoftwareHeritageFiles({"path": str(listed), "contents": str(store)})
    (kept,) = rows(source, StringStartsWith(("path",), "lib/"))
    register(spark)
    df = spark.read.format("stackcurate.swh").option("contents", str(store)).load(str(listed))

    assert (kept["path"], kept["content"]) == ("lib/b.py", contents["/lib/b.py"])
    assert {row["path"]: row["error"] for row in df.where("repo_id = 'github/77'").collect()} == {
        "a.py": None, "lib/b.py": None, "lost.py": "missing_object"
    }  # fmt: skip
    assert df.where("repo_id = 'github/78'").count() == 0


def test_batches_stay_small(tmp_path: Path) -> None:
    large = b"x" * (1 << 20)
    listed = write(
        tmp_path / "list",
        pa.schema([*V2, ("content", pa.binary())]),
        *({**of_v2(large, f"/{n}.py"), "content": large} for n in range(9)),
    )
    reader = SoftwareHeritageFiles({"path": str(listed)}).reader(None)
    batches = [batch for part in reader.partitions() for batch in reader.read(part)]

    assert [batch.num_rows for batch in batches] == [4, 4, 1]
