"""Newer rules on an existing release: what they find goes, what they no longer find comes back, the rest is carried.

What the allow list lets pass comes back as well, without a scan.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from stackcurate import pipeline
from stackcurate.config import Config
from stackcurate.errors import ReleaseError
from stackcurate.release.correction import re_verdict
from stackcurate.release.manifest import Release
from stackcurate.release.verify import verify
from stackcurate.workspace import Workspace, open_workspace, runs
from tests.built import decisions, hashes
from tests.corpus import write_corpus

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

FACTS = ("license_detections", "licenses", "language", "quality", "near_dup_bands", "near_dup_edges", "near_dups",
         "contamination")  # fmt: skip


class Judged:
    """A release v1; v2 without what two new rules find; v3 with the rules of v1 again; v4, which allows one of them."""

    def __init__(self, folder: Path) -> None:
        self.corpus, self.place, self.rules = write_corpus(folder / "corpus"), folder / "workspace", folder / "own.yar"
        self.v1 = pipeline.build(self.config())
        self.workspace = open_workspace(self.place)
        whole = [row for row in rows_of(self.v1) if row["content_id"] == row["blob_id"]]  # nothing redacted
        self.victim, self.other = whole[0], whole[-1]
        self.rules.write_text(rule("own", self.victim) + rule("other", self.other))
        self.before = {name: len(runs(self.workspace, name)) for name in FACTS}
        self.v2 = re_verdict(self.config(rules=True), "v1", "v2")
        self.v3 = re_verdict(self.config(), "v2", "v3")
        self.scans = len(runs(self.workspace, "malware"))
        entry = f"rule=own; path={self.victim['path']}; reason=ours"
        self.allow = f"malware_policy.allow={json.dumps([entry])}"
        self.v4 = re_verdict(self.config(self.allow, rules=True), "v2", "v4")

    def config(self, *more: str, rules: bool = False) -> Config:
        own = [f'malware.rules=["{self.rules}"]', 'malware.rule_verdict="drop"'] if rules else []
        return pipeline.load_config(None, [
            f'sources.inputs=["{self.corpus.folder}"]', f'workspace.path="{self.place}"', "spark.partitions=4",
            'spark.master="local[2,4]"', 'spark.driver_memory="768m"', "release.shard_bytes=3000", *own, *more,
        ])  # fmt: skip


def rule(name: str, row: dict[str, Any]) -> str:
    """Return a rule that finds the longest line of a file."""
    text = max(row["content"].splitlines(), key=len).encode()
    return f"rule {name} {{ strings: $a = {{ {text.hex()} }} condition: $a }}\n"


def rows_of(release: Release) -> list[dict[str, Any]]:
    tables = [pq.read_table(f"{release.path}/{shard['path']}") for shard in release.manifest["shards"]]
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Judged:
    return Judged(tmp_path_factory.mktemp("judged"))


def test_what_a_new_rule_finds_goes_and_only_its_shards_are_written(judged: Judged) -> None:
    v1, v2 = hashes(judged.v1), hashes(judged.v2)
    gone = {row["blob_id"] for row in rows_of(judged.v1)} - {row["blob_id"] for row in rows_of(judged.v2)}
    assert {judged.victim["blob_id"], judged.other["blob_id"]} <= gone
    assert judged.v2.manifest["corrects"]["removed"] == len(gone) < len(rows_of(judged.v1)) / 2
    touched = {path for path, digest in v1.items() if v2.get(path) != digest}
    assert 0 < len(touched) < len(v1)
    decided = {row["blob_id"]: row for row in decisions(judged.workspace, "v2")}
    assert (decided[judged.victim["blob_id"]]["reason"], decided[judged.victim["blob_id"]]["detail"]) == (
        "malware_drop", "own",
    )  # fmt: skip


def test_what_is_no_longer_found_comes_back(judged: Judged) -> None:
    assert hashes(judged.v3) == hashes(judged.v1)
    assert judged.v3.manifest["corrects"]["promoted"] == judged.v2.manifest["corrects"]["removed"]


def test_nothing_else_is_computed_again_and_every_release_verifies(judged: Judged) -> None:
    assert {name: len(runs(judged.workspace, name)) for name in FACTS} == judged.before
    assert len(runs(judged.workspace, "malware")) == judged.scans
    for release in (judged.v2, judged.v3, judged.v4):
        assert verify(Workspace(release.path), rescan=False).problems == []


def test_what_is_allowed_comes_back_and_the_decision_says_why(judged: Judged) -> None:
    allowed = [row for row in decisions(judged.workspace, "v4") if row["kept"] and row["detail"] is not None]
    assert [(row["path"], row["detail"]) for row in allowed] == [(judged.victim["path"], "allowed own: ours")]
    held = {row["blob_id"] for row in rows_of(judged.v4)}
    assert judged.victim["blob_id"] in held
    assert judged.other["blob_id"] not in held


def test_it_is_the_release_that_a_whole_build_gives(judged: Judged) -> None:
    whole = pipeline.build(judged.config('release.version="whole"', 'release.shards_of="v1"', judged.allow, rules=True))
    assert hashes(whole) == hashes(judged.v4)
    assert decisions(judged.workspace, "whole") == decisions(judged.workspace, "v4")


def test_again_is_the_same_release_and_another_policy_is_refused(judged: Judged) -> None:
    assert re_verdict(judged.config(), "v2", "v3").manifest == judged.v3.manifest
    with pytest.raises(ReleaseError, match="name of its own"):
        re_verdict(judged.config(), "v2", "v2")
    with pytest.raises(ReleaseError, match=r"\[quality_policy\]"):
        re_verdict(judged.config('quality_policy.preset="none"'), "v1", "v4")
