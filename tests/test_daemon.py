"""The daemon shares ScanCode's index with the workers it forks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stackcurate import sketch_daemon
from stackcurate.kernels.license_scan import LicenseScanConfig, scan
from tests.bench.licenses import GOALS
from tests.license_answers import SITE, digest, is_legal, kept_of_facts, recorded


@pytest.mark.slow
def test_workers_share_the_index_and_find_the_same(tmp_path: Path) -> None:
    """In a process of its own: the session of the other tests has Spark's own daemon."""
    paths = [answer.path for answer in recorded() if is_legal(answer.path)][:40]
    (tmp_path / "paths").write_text(json.dumps(paths))
    command = [sys.executable, "-m", "tests.bench.licenses", "memory", str(tmp_path / "paths"), str(tmp_path / "found")]
    subprocess.run(command, check=True, timeout=300)
    found = json.loads((tmp_path / "found").read_text())

    config = LicenseScanConfig(holders=False)
    rows = scan([(SITE / path).read_bytes() for path in paths], paths, config).to_pylist()  # type: ignore[arg-type]

    assert found["kept"] == {p: digest(kept_of_facts(r["detections"])) for p, r in zip(paths, rows, strict=True)}
    assert found["workers"] == 2
    assert found["mb"] <= GOALS["private_mb_per_worker"]


def test_what_is_loaded_is_frozen_and_single_threaded() -> None:
    code = (
        "import gc, os, sys, stackcurate.daemon as d; d.preload(); "
        "from stackcurate.kernels import license_scancode as s; "
        "assert s.load.cache_info().currsize and s.load_candidates.cache_info().currsize; "
        "assert gc.get_freeze_count() > 1_000_000; "
        "assert 'pyspark' not in sys.modules; "
        "print(*[open(f'/proc/self/task/{t}/comm').read().strip() for t in os.listdir('/proc/self/task')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    threads = [name for name in done.stdout.split() if name != "jemalloc_bg_thd"]  # it knows how to fork
    assert len(threads) == 1, "threads do not survive a fork"
    assert "OPENBLAS_NUM_THREADS" in sketch_daemon.THREADS
