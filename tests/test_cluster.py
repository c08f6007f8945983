"""The same build on a laptop and on a standalone cluster, by spark-submit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import standalone_cluster, submit
from tests.corpus import write_corpus

pytestmark = pytest.mark.slow
JOB = str(Path(__file__).parents[1] / "jobs" / "build.py")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config that names a generated corpus, and a master that spark-submit must overrule."""
    corpus = write_corpus(tmp_path / "inputs")
    path = tmp_path / "build.toml"
    path.write_text(
        f'[sources]\ninputs = ["{corpus.folder}"]\n[opt_outs]\nrequests = ["{corpus.requests}"]\n'
        '[spark]\nmaster = "local[2,4]"\ndriver_memory = "768m"\npartitions = 4\n'
    )
    return path


def hashes(workspace: Path) -> dict[str, str]:
    """Return the SHA-256 of each shard that a release's manifest names."""
    manifest = json.loads((workspace / "releases" / "v1" / "manifest.json").read_text())
    return {shard["path"]: shard["sha256"] for shard in manifest["shards"]}


def test_standalone_cluster_gives_the_shards_of_a_local_build(tmp_path: Path, config: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    arguments = ["--config", str(config), "--set"]
    subprocess.run([sys.executable, JOB, *arguments, f'workspace.path="{here}"'], check=True, timeout=900)

    with standalone_cluster(tmp_path / "cluster") as cluster:
        done = submit(cluster, JOB, *arguments, f'workspace.path="{there}"')
        ran = [cluster.tasks(worker) for worker in range(cluster.workers)]

    assert done.returncode == 0, done.stderr[-3000:]
    assert hashes(there) == hashes(here)
    assert len(hashes(there)) > 1
    assert min(ran) > 0, f"tasks by worker: {ran}"


def test_failed_job_fails_the_submission(tmp_path: Path, config: Path) -> None:
    with standalone_cluster(tmp_path / "cluster", workers=0) as cluster:
        done = submit(cluster, JOB, "--config", str(config), "--set", 'sources.inputs=["/nowhere"]')

    assert done.returncode != 0
    assert "SourceError: /nowhere" in done.stdout
