"""Ingest: inputs become rows and packs once, and only what is new is read."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels.content import blob_id
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.ingest import ingest, input_id
from stackcurate.sources.local import discover
from stackcurate.stages.tables import blob_reader
from stackcurate.workspace import Workspace, read_table, runs
from tests.corpus import Corpus, write_corpus

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "inputs")


def take(spark: SparkSession, workspace: Workspace, corpus: Corpus, tasks: int = 2, **limits: int) -> list[int]:
    """Ingest and return how many inputs were announced as new, once for each call of progress."""
    announced: list[int] = []

    def progress(_name: str, total: int) -> nullcontext[object]:
        announced.append(total)
        return nullcontext(lambda _rows: None)

    ingest(lambda: spark, workspace, discover([corpus.folder]), SourcesConfig(**limits), lambda: tasks, progress)  # type: ignore[arg-type]
    return announced


def rows(workspace: Workspace, table: schema.Table) -> pa.Table:
    return read_table(workspace, table, runs(workspace, table.name))


def test_tables_hold_what_the_inputs_hold(spark: SparkSession, workspace: Workspace, corpus: Corpus) -> None:
    take(spark, workspace, corpus)

    repos, files = rows(workspace, schema.REPOS).to_pylist(), rows(workspace, schema.FILES).to_pylist()
    sources = {row["input_id"]: row["source"] for row in repos}
    found = {(sources[row["input_id"]], row["path"]): row for row in files}
    contents = {key: answer.content for key, answer in corpus.answers.items() if answer.content is not None}

    assert {row["source"]: (row["repo_id"], row["error"]) for row in repos} == corpus.repositories
    assert found.keys() == corpus.answers.keys()
    assert {key: row["blob_id"] for key, row in found.items() if row["error"] is None} == {
        key: blob_id(content) for key, content in contents.items()
    }
    assert len({row["file_id"] for row in files}) == len(files)
    packed = blob_reader(workspace).read_many(pa.array([blob_id(content) for content in contents.values()]))
    assert packed == list(contents.values())


def test_only_new_inputs_are_read(spark: SparkSession, workspace: Workspace, corpus: Corpus) -> None:
    count = len(corpus.repositories)
    assert take(spark, workspace, corpus) == [count]
    assert take(spark, workspace, corpus) == []

    changed = corpus.folder / "folio" / "page.py"
    changed.write_bytes(changed.read_bytes() + b"\nlast = 1\n")
    os.utime(changed, (1, 1))

    assert take(spark, workspace, corpus) == [1]
    assert rows(workspace, schema.REPOS).num_rows == count + 1


def test_other_limits_read_again(spark: SparkSession, workspace: Workspace, corpus: Corpus) -> None:
    take(spark, workspace, corpus)

    assert take(spark, workspace, corpus, max_file_bytes=100) == [len(corpus.repositories)]
    assert "too_large" in rows(workspace, schema.FILES)["error"].to_pylist()


def test_rows_do_not_depend_on_the_number_of_tasks(spark: SparkSession, tmp_path: Path, corpus: Corpus) -> None:
    from stackcurate.workspace import open_workspace

    found = []
    for tasks in (1, 5):
        place = open_workspace(tmp_path / str(tasks))
        take(spark, place, corpus, tasks)
        found.append([rows(place, t).sort_by([(k, "ascending") for k in t.key]) for t in (schema.FILES, schema.REPOS)])

    assert found[0] == found[1]


def test_input_id_follows_state_and_limits_but_not_the_list_of_inputs(corpus: Corpus) -> None:
    one, *_, other = discover([corpus.folder])

    assert input_id(one, SourcesConfig()) == input_id(one, SourcesConfig(inputs=("elsewhere",)))
    assert (
        len(
            {
                input_id(one, SourcesConfig()),
                input_id(other, SourcesConfig()),
                input_id(one, SourcesConfig(max_depth=3)),
            }
        )
        == 3
    )
