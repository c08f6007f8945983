"""Languages with the repository as context: on Spark, and as the verb prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from typer.testing import CliRunner

from stackcurate import sample, schema, stages
from stackcurate.blobs import BlobReader, PackWriter
from stackcurate.cli import app
from stackcurate.facts import Build, ensure_languages
from stackcurate.kernels.content import blob_id
from stackcurate.pipeline import _torn, load_config
from stackcurate.sources.metadata import file_id
from stackcurate.stage import spark_schema
from stackcurate.stages.language import with_context
from stackcurate.workspace import Run, Workspace, commit, runs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHAPE = b"class Shape { public: virtual double area() = 0; };\n"
FILES = {
    ("c", "shape.h"): SHAPE,
    ("c", "main.c"): b"int main(void) { return 0; }\n",
    ("mixed", "shape.h"): SHAPE,
    ("mixed", "main.c"): b"int main(void) { return 0; }\n",
    ("mixed", "shape.cc"): b"#include <vector>\n",
    ("mixed", ".gitattributes"): b"*.inc linguist-language=Pascal\n*.tpl linguist-language=Parseltongue\n",
    ("mixed", "sub/.gitattributes"): b"*.inc linguist-vendored\n",
    ("mixed", "sub/a.inc"): b"x\n",
    ("other", "sub/a.inc"): b"<?php\n",
}
EXPECTED = {
    ("c", "shape.h"): ("C", "repository"),
    ("mixed", "shape.h"): ("C++", "heuristics"),
    ("mixed", "sub/a.inc"): ("Pascal", "attributes"),
    ("other", "sub/a.inc"): ("PHP", "heuristics"),
}


def test_spark_sees_the_repository_of_each_candidate(spark: SparkSession, workspace: Workspace) -> None:
    writer = PackWriter(workspace, "r1")
    for content in FILES.values():
        writer.add(blob_id(content), content)
    writer.flush()
    packs = tuple(workspace.path("tables", "blobs", "r1", part.path) for part in writer.parts)
    rows = [
        {
            "repo_id": repo, "revision": None if repo == "c" else "1", "path": path, "blob_id": blob_id(content),
            "file_id": file_id(repo, "1", path), "content": content, "size": len(content), "input_id": repo,
        }
        for (repo, path), content in FILES.items()
    ]  # fmt: skip
    files = spark.createDataFrame(pa.Table.from_pylist(rows)).repartition(3)
    candidates = files.where("path like '%.h' or path like '%.inc'")

    facts = stages.language(with_context(candidates, files, BlobReader(workspace, packs))).toArrow().to_pylist()

    found = {row["file_id"]: (row["language"], row["strategy"]) for row in facts}
    assert found == {file_id(repo, "1", path): decided for (repo, path), decided in EXPECTED.items()}
    (vendored,) = [row for row in facts if row["vendored"]]
    assert vendored["file_id"] == file_id("mixed", "1", "sub/a.inc")

    apart = files.withColumn("input_id", F.col("path"))
    alone = stages.language(with_context(candidates, apart, BlobReader(workspace, packs))).toArrow()
    assert not {"attributes", "repository"} & set(alone["strategy"].to_pylist())


def test_a_tree_of_which_more_is_read_later_is_decided_again(spark: SparkSession, workspace: Workspace) -> None:
    writer = PackWriter(workspace, "r1")
    for content in FILES.values():
        writer.add(blob_id(content), content)
    writer.flush()
    commit(workspace, Run(table="blobs", run_id="r1", digest="any", parts=tuple(writer.parts)))
    build = Build(load_config(None, [f"workspace.path={workspace.root}", "spark.partitions=2"]), workspace)
    build.__dict__["spark"] = spark

    def decided(*lost: str, cut: bool = False) -> dict[tuple[str, str], str]:
        """Return the language by place: of a mixed tree without the contents of some files, and perhaps cut off."""
        nothing = dict.fromkeys(schema.FILES.columns.names)
        rows = [
            {**nothing, "input_id": repo, "repo_id": repo, "revision": "1", "path": path, "size": len(content),
             "file_id": file_id(repo, "1", path), "blob_id": None if path in lost else blob_id(content),
             "error": "missing_object" if path in lost else None}
            for (repo, path), content in FILES.items() if not (cut and path == "shape.cc")
        ]  # fmt: skip
        repos = [
            {**dict.fromkeys(schema.REPOS.columns.names), "input_id": repo, "repo_id": repo, "source_kind": "git",
             "error": "timeout" if cut and repo == "mixed" else None}
            for repo in ("c", "mixed", "other")
        ]  # fmt: skip
        files, trees = (
            spark.createDataFrame(given, spark_schema(table.columns))
            for given, table in ((rows, schema.FILES), (repos, schema.REPOS))
        )
        candidates = files.where("path like '%.h' or path like '%.inc'")
        found = ensure_languages(build, candidates, files, _torn(files, trees)).toArrow().to_pylist()
        names = {row["file_id"]: row["language"] for row in found}
        assert len(names) == len(found) == 4
        return {place: names[file_id(place[0], "1", place[1])] for place in EXPECTED}

    whole = {place: language for place, (language, _) in EXPECTED.items()}
    torn = decided(".gitattributes", cut=True)
    assert {place for place in whole if torn[place] != whole[place]} == {("mixed", "sub/a.inc"), ("mixed", "shape.h")}
    stored = len(runs(workspace, "language"))
    assert decided(".gitattributes", cut=True) == torn
    assert len(runs(workspace, "language")) == stored
    assert decided(".gitattributes")["mixed", "shape.h"] == "C++"
    assert decided() == whole
    assert len(runs(workspace, "language")) == stored + 2


def written(root: Path) -> Path:
    """Write the mixed repository."""
    for (repo, path), content in FILES.items():
        if repo == "mixed":
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    (root / "page.tpl").write_bytes(b"{foreach $a as $b}{$b}{/foreach}\n")
    (root / "README.md").write_bytes(b"# Mixed\n")
    return root


def test_sample_sees_the_repository(tmp_path: Path) -> None:
    rows = sample.run(stages.language, sample.read_files([written(tmp_path)])).to_pylist()

    found = {row["path"]: (row["language"], row["strategy"]) for row in rows}
    assert found["shape.h"] == ("C++", "heuristics")
    assert found["sub/a.inc"] == ("Pascal", "attributes")


def test_verb_prints_shares_and_files(tmp_path: Path) -> None:
    root = str(written(tmp_path))

    listed = CliRunner().invoke(app, ["language", root, "--breakdown"])
    lines = CliRunner().invoke(app, ["language", root, "--json"]).stdout.splitlines()
    facts = CliRunner().invoke(app, ["language", root, "--json", "--breakdown"]).stdout.splitlines()

    shares = [json.loads(line) for line in lines]
    assert [(share["language"], share["bytes"], share["files"]) for share in shares] == [
        ("C++", len(SHAPE) + 18, 2),
        ("Smarty", 33, 1),
        ("C", 29, 1),
    ]
    assert abs(sum(share["percent"] for share in shares) - 100) < 0.02
    assert listed.exit_code == 0
    assert "C++:\nshape.cc\nshape.h\n" in listed.stdout
    assert "ignored 'Parseltongue'" in listed.stderr
    assert "4 of 8 files not counted: 3 vendored, 1 documentation, 3 data or prose" in listed.stdout
    assert {json.loads(line)["path"] for line in facts} >= {"shape.h", "README.md", "sub/a.inc"}
