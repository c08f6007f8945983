"""Corrections: the bytes of a whole build, without its work, and a copy of the old release brought to the new one."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stackcurate import pipeline, schema
from stackcurate.config import Config
from stackcurate.errors import ReleaseError, WorkspaceError
from stackcurate.release import proof
from stackcurate.release.correction import correct, preview
from stackcurate.release.ledger import check_chain, parse_ledger, read_ledger
from stackcurate.release.removals import apply_removals
from stackcurate.release.verify import verify
from stackcurate.workspace import Workspace, locked, open_workspace, read_table, runs
from tests.built import decisions, hashes
from tests.corpus import Corpus, write_corpus

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCANS = ("license_detections", "licenses", "language", "quality", "near_dup_bands", "near_dup_edges", "near_dups")
OUT = "kind,value,requested_at\nowner,Acme,2025-01-01\nowner,nobody-we-know,2025-01-01\n"
BACK = "kind,value,requested_at,state\nowner,octo-left,2025-02-01,withdrawn\n"


class Corrected:
    """A corpus, its release v1, v2 without an owner, v3 with one who came back; `whole` builds the same anew."""

    def __init__(self, folder: Path) -> None:
        self.corpus: Corpus = write_corpus(folder / "corpus")
        self.place = folder / "workspace"
        (folder / "out.csv").write_text(OUT)
        (folder / "back.csv").write_text(BACK)
        self.files = [str(self.corpus.requests), str(folder / "out.csv"), str(folder / "back.csv")]
        self.v1 = pipeline.build(self.config(1))
        self.workspace = open_workspace(self.place)
        self.before = self.scans()
        self.seen = verified_blobs(self.workspace)
        self.v2 = correct(self.config(2), "v1", "v2")
        self.v3 = correct(self.config(3), "v2", "v3")

    def config(self, files: int, *more: str) -> Config:
        return pipeline.load_config(None, [
            f'sources.inputs=["{self.corpus.folder}"]', f"opt_outs.requests={json.dumps(self.files[:files])}",
            f'workspace.path="{self.place}"', "spark.partitions=4", 'spark.master="local[2,4]"',
            'spark.driver_memory="768m"', "release.shard_bytes=3000", *more,
        ])  # fmt: skip

    def scans(self) -> dict[str, int]:
        return {name: len(runs(self.workspace, name)) for name in SCANS}


def verified_blobs(workspace: Workspace) -> set[str]:
    rows = read_table(workspace, schema.PII, runs(workspace, "pii"), ["blob_id"])
    return set(rows["blob_id"].to_pylist())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Corrected:
    return Corrected(tmp_path_factory.mktemp("corrected"))


def test_nothing_that_is_known_is_computed_again(made: Corrected) -> None:
    again = [run for run in runs(made.workspace, "pii")[1:] if run.rows]
    promoted = pq.read_table(f"{made.v2.path}/removed/promoted.parquet")["blob_id"].to_pylist()

    assert made.scans() == made.before
    assert len(promoted) > 0
    rows = read_table(made.workspace, schema.PII, again, ["blob_id"])["blob_id"].to_pylist() if again else []
    assert not made.seen & set(rows)


@pytest.mark.parametrize(
    ("version", "old", "files"), [pytest.param("v2", "v1", 2, marks=pytest.mark.slow), ("v3", "v2", 3)]
)
def test_it_is_the_release_that_a_whole_build_gives(made: Corrected, version: str, old: str, files: int) -> None:
    name = f"{version}-whole"
    if version == "v2":  # the ledger knows of the withdrawal by now
        place = made.place.with_name("at-v2")
        shutil.copytree(made.place, place, ignore=lambda folder, names: [n for n in names if n == "ledger"])
    else:
        place = made.place
    settings = (f'release.version="{name}"', f'release.shards_of="{old}"', f'workspace.path="{place}"')

    whole = pipeline.build(made.config(files, *settings))

    correction = {"v2": made.v2, "v3": made.v3}[version]
    assert hashes(whole) == hashes(correction)
    assert decisions(open_workspace(place), name) == decisions(made.workspace, version)
    funnels = [json.loads(Path(r.path, "funnel.json").read_text()) for r in (whole, correction)]
    assert funnels[0] == funnels[1]
    same = ("rows", "content_bytes", "redactions", "languages", "merkle_root", "shards", "credits")
    assert {n: whole.manifest[n] for n in same} == {n: correction.manifest[n] for n in same}
    indexes = [Path(r.path, "attribution/index.json").read_text() for r in (whole, correction)]
    assert indexes[0] == indexes[1]


def test_only_touched_shards_are_written_and_the_others_are_the_same_files(made: Corrected) -> None:
    moved = [
        pq.read_table(f"{made.v2.path}/removed/{name}.parquet")["shard"].to_pylist() for name in ("rows", "promoted")
    ]
    touched = {*moved[0], *moved[1]}
    old, new = hashes(made.v1), hashes(made.v2)

    assert touched
    assert {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)} == touched
    for path in new.keys() - touched:
        assert Path(made.v1.path, path).samefile(Path(made.v2.path, path))


def test_one_owner_touches_one_shard_per_language(made: Corrected) -> None:
    removed = pq.read_table(f"{made.v2.path}/removed/rows.parquet")["shard"].unique().to_pylist()

    assert len(removed) > 2
    assert len({path.split("/")[1] for path in removed}) == len(removed)


def test_copy_is_promoted_and_gives_way_to_who_comes_back(made: Corrected) -> None:
    def kept(version: str) -> set[tuple[str, str]]:
        return {(row["repo_id"], row["path"]) for row in decisions(made.workspace, version) if row["kept"]}

    copy = ("git/harbor-io/harbor", "harbor/compass.py")
    moorings = ("git/harbor-io/harbor", "harbor/moorings.py")

    assert copy not in kept("v1")
    assert copy in kept("v2")
    assert not [path for repo, path in kept("v2") if repo == "git/acme/atlas"]
    assert moorings in kept("v2")
    assert moorings not in kept("v3")
    assert [path for repo, path in kept("v3") if repo == "git/octo-left/thoughts"]


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_verify_and_receipts_prove_it(made: Corrected, version: str) -> None:
    folder = Workspace(str(made.place / "releases" / version))
    receipts = proof.read_receipts((made.place / "receipts" / f"{version}.jsonl").read_text(), version)
    requests = pipeline.active_requests(made.config({"v2": 2, "v3": 3}[version]))

    assert verify(folder, opted_out=requests, rescan=False).problems == []
    assert proof.prove(receipts, folder) == []
    outcomes = {r["request"]["lines"][0]["value"]: r["outcome"] for r in receipts}
    assert outcomes["nobody-we-know"] == "nothing of that name was read"
    if version == "v2":
        assert outcomes["acme"] == "removed"


def test_receipt_that_was_changed_or_is_for_another_release_proves_nothing(made: Corrected) -> None:
    receipts = proof.read_receipts((made.place / "receipts/v2.jsonl").read_text(), "v2")
    acme = next(r for r in receipts if r["removed"])

    forged = {**acme, "removed": 0}
    elsewhere = proof.prove([acme], Workspace(made.v1.path))
    path = acme["shards"][0]
    bent = {**acme, "shards": [{**path, "before": {**path["before"], "sha256": "0" * 64}}]}

    assert any("was changed" in problem for problem in proof.prove([forged], Workspace(made.v2.path)))
    assert any("does not lead" in problem for problem in proof.prove([bent], Workspace(made.v2.path)))
    assert any("is another" in problem for problem in elsewhere)
    assert any("belongs to owner acme" in problem for problem in elsewhere)


@pytest.mark.parametrize("with_data", [True, False])
def test_copy_is_brought_to_the_new_release_byte_for_byte(made: Corrected, tmp_path: Path, with_data: bool) -> None:
    copy, news = tmp_path / "copy", tmp_path / "news"
    shutil.copytree(made.v1.path, copy)
    shutil.copytree(made.v2.path, news, ignore=None if with_data else shutil.ignore_patterns("data"))

    assert apply_removals(copy, news) > 0
    assert apply_removals(copy, news) == 0

    def sums(folder: str | Path) -> dict[str, str]:
        paths = (p for p in Path(folder).rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}

    assert sums(copy) == sums(made.v2.path)


@pytest.mark.parametrize("victim", ["touched", "carried", "removed/rows.parquet", "removed/promoted.parquet"])
def test_damage_is_named_and_nothing_is_changed(made: Corrected, tmp_path: Path, victim: str) -> None:
    copy, news = tmp_path / "copy", tmp_path / "news"
    shutil.copytree(made.v1.path, copy)
    shutil.copytree(made.v2.path, news)
    touched = pq.read_table(news / "removed/rows.parquet")["shard"][0].as_py()
    carried = next(path for path, sha in hashes(made.v1).items() if hashes(made.v2).get(path) == sha)
    path = {"touched": copy / touched, "carried": copy / carried}.get(victim, news / victim)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}

    with pytest.raises(ReleaseError, match=path.name):
        apply_removals(copy, news)

    assert before == {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}


def test_removals_of_another_release_are_refused(made: Corrected, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.v1.path, copy)

    with pytest.raises(ReleaseError, match="does not correct"):
        apply_removals(copy, Path(made.v3.path))


def test_nothing_published_names_who_asked(made: Corrected) -> None:
    for path in Path(made.v2.path).rglob("*"):
        if path.is_file():
            assert b"acme" not in path.read_bytes().lower(), path
    published = parse_ledger(Path(made.v2.path, "ledger.jsonl").read_bytes(), "v2")
    check_chain(published, "v2")
    assert {entry["event"] for entry in published} >= {"requested", "withdrawn", "decided"}


def test_changed_ledger_is_refused(made: Corrected, tmp_path: Path) -> None:
    shutil.copytree(made.place / "ledger", tmp_path / "ledger")
    first = min((tmp_path / "ledger").iterdir())
    first.write_text(first.read_text().replace("acme", "emca"))

    with pytest.raises(WorkspaceError, match="was changed"):
        read_ledger(Workspace(str(tmp_path)))


def test_who_asked_once_stays_out_whatever_a_later_config_names(made: Corrected) -> None:
    forgetful = pipeline.active_requests(made.config(0))

    assert ("owner", "acme") in forgetful
    assert ("owner", "octo-left") not in forgetful  # withdrawn for v3


def test_dry_run_says_what_would_go_and_writes_nothing(made: Corrected) -> None:
    entries = len(read_ledger(made.workspace))
    rows = preview(made.config(2), "v1").to_pylist()

    acme = [row for row in rows if row["repo"] == "git/acme/atlas"]
    assert [row["via"] for row in acme] == ["owner"]
    assert acme[0]["files"] > acme[0]["released"] > 0
    assert len(read_ledger(made.workspace)) == entries


def test_again_is_the_same_release_and_something_else_under_its_name_is_refused(made: Corrected) -> None:
    assert correct(made.config(3), "v2", "v3").manifest == made.v3.manifest
    with pytest.raises(ReleaseError, match="exists"):
        correct(made.config(3), "v1", "v3")
    with pytest.raises(ReleaseError, match="name of its own"):
        correct(made.config(3), "v3", "v3")
    with pytest.raises(ReleaseError, match=r"another policy .* \[quality_policy\]"):
        correct(made.config(3, "quality_policy.preset=none"), "v1", "v4")


def test_second_writer_is_told_to_wait(made: Corrected) -> None:
    with locked(made.workspace), pytest.raises(WorkspaceError, match="another process"):
        correct(made.config(3), "v1", "v5")


def test_damaged_shard_of_the_old_release_is_named_and_refused(made: Corrected, tmp_path: Path) -> None:
    place = tmp_path / "workspace"
    shutil.copytree(made.place, place)
    touched = pq.read_table(f"{made.v2.path}/removed/rows.parquet")["shard"][0].as_py()
    victim = place / "releases/v1" / touched
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")

    with pytest.raises(ReleaseError, match=victim.name):
        correct(made.config(2, f'workspace.path="{place}"'), "v1", "v6")
    assert not (place / "releases/v6/manifest.json").exists()

    shutil.copy(Path(made.v1.path, touched), victim)  # what a crash leaves in place is the same: go on from there
    assert correct(made.config(2, f'workspace.path="{place}"'), "v1", "v6").rows > 0


@pytest.mark.slow
def test_all_copies_takes_the_copies_as_well(made: Corrected, tmp_path: Path) -> None:
    settings = ('opt_outs.copies="all-copies"', f'workspace.path="{tmp_path}"')
    shutil.copytree(
        made.place, tmp_path, dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if n == "ledger"]
    )

    corrected = correct(made.config(2, *settings), "v1", "v7")
    whole = pipeline.build(made.config(2, *settings, 'release.version="v8"', 'release.shards_of="v1"'))

    workspace = open_workspace(tmp_path)
    assert decisions(workspace, "v7") == decisions(workspace, "v8")
    assert hashes(corrected) == hashes(whole)
    gone = {(row["repo_id"], row["path"]) for row in decisions(workspace, "v7") if row["reason"] == "opted_out"}
    assert ("git/harbor-io/harbor", "harbor/compass.py") in gone
    assert pc.any(pc.equal(preview(made.config(2, *settings), "v1")["via"], "copy")).as_py()
