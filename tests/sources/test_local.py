"""All kinds of inputs: what is found, what is read, and what hostile ones come to."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.config import load
from stackcurate.errors import ConfigError, SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import discover, read
from stackcurate.sources.metadata import Reason, Repository

from .hostile import CASES, EXECUTED, GOOD, Case, build, commit, member, repository, tar_bytes, zip_bytes


def tree_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with what would show that it was touched."""
    found = {}
    for path in folder.rglob("*"):
        info = path.lstat()
        found[str(path)] = (info.st_mtime_ns, info.st_size)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_input_costs_no_good_row_and_touches_nothing(case: Case, tmp_path: Path) -> None:
    inputs = tmp_path / "world" / "inputs"
    inputs.mkdir(parents=True)
    build(case, inputs)
    before = tree_of(tmp_path)

    (one,) = discover([inputs])
    row, files = read(one, SourcesConfig(**case.limits))
    entries = list(files)

    assert tree_of(tmp_path) == before
    assert not (inputs.parent / EXECUTED).exists()
    assert row.error == case.error
    assert Counter(entry.error for entry in entries if entry.error) == Counter(case.errors)
    kept = {entry.path: entry for entry in entries if entry.error is None}
    assert set(case.good) <= set(kept)
    if case.error != "too_many_entries":
        assert set(case.good) == set(kept)
    assert all(entry.content is not None and entry.blob_id == blob_id(entry.content) for entry in kept.values())
    assert not kept or kept["good.py"].content == GOOD
    assert all(entry.content is None and entry.blob_id is None for entry in entries if entry.error)
    assert len({entry.path for entry in entries}) == len(entries)


def test_hostile_cases_reach_every_reason_that_an_input_can_have() -> None:
    reached = {case.error for case in CASES} | {code for case in CASES for code in case.errors}

    elsewhere = {Reason.REFUSED_ADDRESS, Reason.GONE, Reason.UNREACHABLE, Reason.MIRROR_TOO_LARGE, Reason.CACHE_FULL}
    elsewhere |= {Reason.NOT_HELD, Reason.UNNAMED}
    assert set(Reason) - reached - elsewhere == {Reason.REPOSITORY_TOO_LARGE, Reason.UNREADABLE, Reason.TIMEOUT}
    assert all(reason.doc for reason in Reason)
    assert len(CASES) >= 40


def test_folder_gives_its_children_in_order(tmp_path: Path) -> None:
    commit(repository(tmp_path / "work"))
    commit(repository(tmp_path / "bare.git", "--bare"))
    (tmp_path / "plain").mkdir()
    (tmp_path / "a.zip").write_bytes(zip_bytes())
    (tmp_path / "six-1.0.tar.gz").write_bytes(tar_bytes())
    (tmp_path / "notes.txt").write_text("no input")

    found = discover([tmp_path, tmp_path / "a.zip"])

    names = [(one.name, one.kind) for one in found]
    assert names == [
        ("a.zip", "zip"), ("bare.git", "git"), ("plain", "directory"), ("six-1.0.tar.gz", "tar"), ("work", "git")
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(found)) == found
    assert [(one.name, one.kind) for one in discover([tmp_path / "work"])] == [("work", "git")]


@pytest.mark.parametrize("what", ["missing", "empty", "loose", "file"])
def test_nothing_to_read_says_what_was_expected(what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.py").write_text("a")
    (tmp_path / "file").write_text("a")

    with pytest.raises(SourceError, match=f"{what}.*expected git repositories, archives"):
        discover([tmp_path / what])
    with pytest.raises(SourceError, match=r"set sources\.inputs"):
        discover([])


def test_link_among_the_children_is_an_input_with_a_reason(tmp_path: Path) -> None:
    outside, inputs = tmp_path / "outside", tmp_path / "inputs"
    commit(repository(outside))
    (tmp_path / "outside.zip").write_bytes(zip_bytes())
    inputs.mkdir()
    (inputs / "linked").symlink_to(outside)
    (inputs / "linked.zip").symlink_to(tmp_path / "outside.zip")

    read_all = [read(one) for one in discover([inputs])]

    assert [(row.error, row.revision is None, list(files)) for row, files in read_all][1] == ("link", True, [])
    assert [row.error for row, _ in read_all] == ["link", "link"]


def test_input_that_vanishes_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "gone.tar.gz"
    path.write_bytes(tar_bytes())
    (one,) = discover([tmp_path])
    path.unlink()

    row, files = read(one)

    assert (row.error, row.name, row.revision, list(files)) == ("unreadable", "gone", None, [])


def test_fingerprint_changes_with_the_input_and_only_then(tmp_path: Path) -> None:
    commit(repository(tmp_path / "g"))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.py").write_bytes(GOOD)
    (tmp_path / "t.tar").write_bytes(tar_bytes())

    first = [one.fingerprint for one in discover([tmp_path])]
    assert [one.fingerprint for one in discover([tmp_path])] == first

    commit(tmp_path / "g", ("120000", "blob", "1" * 40, "x"))
    (tmp_path / "d" / "a.py").write_bytes(GOOD + GOOD)
    (tmp_path / "t.tar").write_bytes(tar_bytes(member("b.py")))
    assert not set(first) & {one.fingerprint for one in discover([tmp_path])}


def test_repository_is_a_row_of_the_repos_table(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes())
    row, _ = read(discover([tmp_path])[0])

    columns = [name for name in schema.REPOS.columns.names if name != "input_id"]
    assert [f.name for f in fields(Repository)] == [*columns, "authors"]
    table = pa.Table.from_pylist([asdict(row)], schema=schema.REPOS.columns)
    assert table.to_pylist()[0]["repo_id"] == "local/a"


def test_total_bytes_are_bounded_and_the_rest_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(member("b.py"), member("c.py")))
    row, files = read(discover([tmp_path])[0], SourcesConfig(max_repository_bytes=2 * len(GOOD)))

    assert [entry.error for entry in files] == [None, None, "repository_too_large"]
    assert row.error == "repository_too_large"


def test_memory_stays_bounded_for_large_archives(tmp_path: Path) -> None:
    with (tmp_path / "large.tar").open("wb") as file:
        for i in range(50):
            file.write(member(f"{i}.bin", size=4 << 20)[0].tobuf())
            file.seek(4 << 20, os.SEEK_CUR)
        file.write(bytes(1024))
    (one,) = discover([tmp_path])

    tracemalloc.start()
    row, files = read(one)
    total = sum(len(entry.content or b"") for entry in files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (row.error, total) == (None, 200 << 20)
    assert peak < 20 << 20


def test_limits_come_from_the_config_section(tmp_path: Path) -> None:
    sections = {"sources": SourcesConfig}

    assert load(None, sections, ["sources.max_entries=7"])["sources"].max_entries == 7
    with pytest.raises(ConfigError, match="max_entries: expected a positive number"):
        load(None, sections, ["sources.max_entries=0"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_archive_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes())
    (tmp_path / "a.zip").chmod(0)

    assert read(discover([tmp_path])[0])[0].error == "unreadable"
