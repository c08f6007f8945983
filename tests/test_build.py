"""End to end: generated repositories with a known answer for every file, built in several ways to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate import pipeline, schema
from stackcurate.config import Config
from stackcurate.errors import ReleaseError, SourceError, WorkspaceError, plain_errors
from stackcurate.release.attribution import Attribution
from stackcurate.release.credits import credits_path
from stackcurate.release.lookup import lookup
from stackcurate.release.manifest import Release
from stackcurate.release.verify import verify
from stackcurate.stages import malware
from stackcurate.workspace import Workspace, open_workspace, read_json, read_table, runs
from tests.built import hashes
from tests.corpus import Corpus, write_corpus
from tests.corpus_text import Fakes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass
class Built:
    """A corpus and what was built of it."""

    corpus: Corpus
    config: Config
    workspace: Workspace
    release: Release


def config_of(corpus: Corpus, workspace: Path, *more: str) -> Config:
    return pipeline.load_config(None, [*settings(corpus, workspace), *more])


def settings(corpus: Corpus, workspace: Path) -> list[str]:
    return [
        f'sources.inputs=["{corpus.folder}"]',
        f'opt_outs.requests=["{corpus.requests}"]',
        f'workspace.path="{workspace}"',
        "spark.partitions=5",
        'spark.master="local[2,4]"',
        'spark.driver_memory="768m"',
    ]


def decisions(workspace: Workspace, version: str = "v1") -> pa.Table:
    found = [run for run in runs(workspace, "decisions") if run.run_id == version]
    return read_table(workspace, schema.DECISIONS, found)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Built:
    corpus = write_corpus(tmp_path_factory.mktemp("corpus"))
    place = tmp_path_factory.mktemp("workspace")
    config = config_of(corpus, place)
    return Built(corpus, config, open_workspace(place), pipeline.build(config))


def test_every_file_has_the_answer_that_is_known(built: Built) -> None:
    tables = [
        read_table(built.workspace, table, runs(built.workspace, table.name)) for table in (schema.REPOS, schema.FILES)
    ]
    source_of = {row["input_id"]: row["source"] for row in tables[0].to_pylist()}
    source_of_file = {row["file_id"]: source_of[row["input_id"]] for row in tables[1].to_pylist()}
    found = {
        (source_of_file[row["file_id"]], row["path"]): (row["stage"], row["reason"])
        for row in decisions(built.workspace).to_pylist()
    }
    expected = {key: (answer.stage, answer.reason) for key, answer in built.corpus.answers.items()}

    assert expected == found


def test_repositories_that_cannot_be_read_have_their_reason(built: Built) -> None:
    rows = read_table(built.workspace, schema.REPOS, runs(built.workspace, "repos")).to_pylist()

    assert dict(built.corpus.repositories) == {row["source"]: (row["repo_id"], row["error"]) for row in rows}


def test_funnel_adds_up(built: Built) -> None:
    funnel = read_json(Workspace(built.release.path), "funnel.json")

    assert funnel["files"] == len(built.corpus.answers)
    assert funnel["files"] == funnel["kept"]["files"] + sum(row["files"] for row in funnel["dropped"])
    assert funnel["kept"]["files"] == built.release.rows


def test_verify_finds_nothing(built: Built) -> None:
    findings = verify(Workspace(built.release.path), opted_out=pipeline.active_requests(built.config))

    assert findings.problems == []
    assert findings.rows == built.release.rows > 0


def test_verify_finds_a_damaged_shard_and_an_opted_out_owner(built: Built, tmp_path: Path) -> None:
    copy = tmp_path / "release"
    shutil.copytree(built.release.path, copy)
    first = copy / built.release.manifest["shards"][0]["path"]
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    owner = next(iter(pq.read_table(built.release.path + "/" + built.release.manifest["shards"][-1]["path"])["repo"]))

    damaged = verify(Workspace(str(copy)), rescan=False)
    opted = verify(Workspace(built.release.path), opted_out=[("repository", str(owner).lower())], rescan=False)

    assert any("SHA-256" in problem for problem in damaged.problems)
    assert any("opted out" in problem for problem in opted.problems)


def test_no_secret_or_name_of_the_corpus_is_released(built: Built) -> None:
    fakes = [value.encode() for value in astuple(Fakes())]
    shards = [Path(built.release.path, shard["path"]) for shard in built.release.manifest["shards"]]
    text = "".join(part for path in shards for part in pq.read_table(path)["content"].to_pylist()).encode()

    assert fakes
    assert [index for index, value in enumerate(fakes) if value in text] == []


def test_each_file_has_its_licence_texts_and_holders(built: Built) -> None:
    folder = Path(built.release.path)
    parts = [pq.read_table(path).to_pylist() for path in folder.glob("attribution/texts/*")]
    texts = {row["blob_id"]: row for part in parts for row in part}
    named: dict[str, set[str]] = {}
    for shard in built.release.manifest["shards"]:
        rows = pq.read_table(folder / credits_path(shard["path"])).to_pylist()
        keys = pq.read_table(folder / shard["path"], columns=["repo", "revision", "path"]).to_pylist()
        assert [[row[name] for name in keys[0]] for row in rows] == [list(key.values()) for key in keys]
        for row in rows:
            ids = [*row["license_blob_ids"], *row["notice_blob_ids"]]
            named.setdefault(row["repo"], set()).update(name for i in ids for name in texts[i]["holders"] or ())

    assert all(row["text"] for row in texts.values())
    assert any("Atlas Contributors" in holders for holders in named.values())


def test_index_attributes_the_release_to_itself(built: Built) -> None:
    attribution = Attribution(built.release.path)
    for shard in built.release.manifest["shards"]:
        for row in pq.read_table(f"{built.release.path}/{shard['path']}").to_pylist():
            if len("".join(row["content"].split()).encode()) >= attribution.guaranteed:
                matches = attribution.check(row["content"]).matches
                assert matches[0].start == 0 or row["content"][: matches[0].start].isspace()


def test_readers_agree_with_the_manifest(built: Built, spark: SparkSession, tmp_path: Path) -> None:
    import datasets
    import duckdb
    import polars as pl

    pattern = f"{built.release.path}/data/*/*.parquet"
    counts = {
        "duckdb": duckdb.sql(f"select count(*) from '{pattern}'").fetchall()[0],
        "polars": pl.scan_parquet(pattern).select(pl.len()).collect().row(0),
        "pyarrow": (sum(pq.read_metadata(p).num_rows for p in Path(built.release.path).glob("data/*/*.parquet")),),
        "spark": (spark.read.parquet(f"{built.release.path}/data/*/").count(),),
        "datasets": (
            datasets.load_dataset(built.release.path, "default", split="train", cache_dir=str(tmp_path)).num_rows,
        ),
    }

    assert dict.fromkeys(counts, (built.release.rows,)) == counts


def test_croissant_is_valid_and_reads_the_rows(built: Built) -> None:
    import mlcroissant

    described = mlcroissant.Dataset(jsonld=f"{built.release.path}/croissant.json")

    assert [record.name for record in described.metadata.record_sets] == ["files"]


def test_one_task_after_another_build_decides_and_writes_the_same(built: Built, tmp_path: Path) -> None:
    alone = "spark.partitions=1"
    scanned = pipeline.run_until(config_of(built.corpus, tmp_path, alone, "near_dups.threshold=1.0"), malware)
    again = pipeline.build(config_of(built.corpus, tmp_path, alone))
    workspaces = (built.workspace, open_workspace(tmp_path))
    fresh, after = (decisions(workspace).sort_by("file_id").to_pylist() for workspace in workspaces)
    funnels = [read_json(Workspace(release.path), "funnel.json") for release in (built.release, again)]

    assert scanned["quarantined"] == 2, "the other build also scanned one that is here a copy of a clean file"
    assert fresh == after
    assert funnels[0] == funnels[1]
    assert hashes(built.release) == hashes(again)


def test_nothing_to_do_starts_no_session(built: Built) -> None:
    script = (
        "import sys, json; from stackcurate import pipeline;"
        "pipeline.build(pipeline.load_config(None, json.loads(sys.argv[1])));"
        "assert 'pyspark' not in sys.modules, 'pyspark was imported'"
    )
    given = json.dumps(settings(built.corpus, Path(built.workspace.root)))
    subprocess.run([sys.executable, "-c", script, given], check=True, timeout=120)


def test_opt_out_makes_a_release_without_the_owner_and_scans_nothing_again(built: Built, tmp_path: Path) -> None:
    kept = decisions(built.workspace).filter(pa.compute.field("kept"))
    repo_id = kept["repo_id"][0].as_py()
    requests = tmp_path / "more.csv"
    requests.write_text(f"repository\n{repo_id}\n")
    before = {table.name: len(runs(built.workspace, table.name)) for table in schema.TABLES}
    more = f'opt_outs.requests=["{built.corpus.requests}", "{requests}"]'
    config = config_of(built.corpus, Path(built.workspace.root), more, 'release.version="v2"')

    release = pipeline.build(config)

    scanned = ("license_detections", "licenses", "language", "quality", "near_dup_bands")
    assert {name: len(runs(built.workspace, name)) for name in scanned} == {name: before[name] for name in scanned}
    assert lookup(built.workspace, "v1", repo_id)["kept"].to_pylist().count(True) > 0
    assert set(lookup(built.workspace, "v2", repo_id)["kept"].to_pylist()) == {False}
    assert release.rows < built.release.rows + 1


def test_a_release_is_not_overwritten_with_another(built: Built) -> None:
    changed = config_of(built.corpus, Path(built.workspace.root), "release.generated=false")

    with pytest.raises(ReleaseError, match="--replace"):
        pipeline.build(changed)


@pytest.mark.parametrize("content", [None, "empty"])
def test_a_missing_or_empty_folder_is_refused(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "inputs"
    if content:
        folder.mkdir()

    with pytest.raises(SourceError, match="expected"):
        pipeline.build(pipeline.load_config(None, [f'sources.inputs=["{folder}"]', f'workspace.path="{tmp_path}/w"']))


def test_a_killed_build_goes_on_to_the_same_bytes(built: Built, tmp_path: Path) -> None:
    arguments = [part for value in settings(built.corpus, tmp_path) for part in ("--set", value)]
    command = [sys.executable, "-m", "stackcurate.cli", "build", *arguments]
    for table in ("license_detections", "near_dup_bands"):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 300
        while not (tmp_path / "tables" / table).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "releases" / "v1" / "manifest.json").exists()

    again = pipeline.build(config_of(built.corpus, tmp_path))

    assert hashes(built.release) == hashes(again)


def test_a_damaged_part_is_said_plainly_with_what_to_delete(tmp_path: Path) -> None:
    (tmp_path / "tables/quality/one").mkdir(parents=True)
    part = tmp_path / "tables/quality/one/part-a.parquet"
    part.write_bytes(b"PAR1 torn")

    said = pytest.raises(WorkspaceError, match=f"delete {part.parent} and run")
    with said, plain_errors(str(tmp_path)):
        pq.read_table(part)


@pytest.mark.slow
def test_a_full_disk_is_said_plainly_and_the_build_goes_on_with_more_room(built: Built, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(WorkspaceError, match="disk is full"):
            pipeline.build(config_of(built.corpus, place))
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)

        assert hashes(built.release) == hashes(pipeline.build(config_of(built.corpus, place)))
    finally:
        subprocess.run(["umount", place], check=True)
