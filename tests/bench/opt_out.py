"""CPU seconds of corrections of a release of 10^6 files in 1,000 shards, what they touch, and how fast a lookup is.

CPU seconds are those of the whole command: driver, JVM and workers, with Presidio loaded where a file takes the place
of another and was not looked at before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
import pyarrow.parquet as pq

from stackcurate import pipeline, schema
from stackcurate.release.correction import correct
from stackcurate.release.lookup import lookup
from stackcurate.workspace import Workspace, open_workspace, read_table, runs
from tests.bench.measure import Line, measure
from tests.synthetic_release import owner, settings, write_release

FILES, SHARDS, MANY = 1_000_000, 1_000, 226
"""Requests of a day. Source: new issues per day of bigcode-project/opt-out-v2 in August 2026."""
KNOWN = ("license_detections", "licenses", "language", "quality", "near_dup_bands", "near_dup_edges", "near_dups")


def run() -> Iterator[Line]:
    """Correct a synthetic release for one owner and for many at once."""
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        place = Path(folder) / "workspace"
        sys.stderr.write(f"writing {FILES:,} files\n")
        write_release(place, FILES, SHARDS)
        workspace = open_workspace(place)
        before = _runs(workspace)
        one = _correct(place, 1, "one")
        yield _line("opt_out_cpu_s", one[0], "s", 120)
        yield _line("opt_out_driver_mb", one[1], "MB", 2000)
        yield _line(
            "opt_out_shards_touched_per_language", _shards_per_language(place / "releases" / "one"), "shards", 1
        )
        many = _correct(place, MANY, "many")
        yield _line("opt_out_recompute_calls", len(_runs(workspace) - before) + _scanned_twice(workspace), "calls", 0)
        yield _line("opt_out_226_cpu_s", many[0], "s", 600)
        yield _line("opt_out_226_driver_mb", many[1], "MB", 2000)
        yield _line("lookup_ms", median(_lookup(workspace, owner(number)) for number in (7, 70, 700)), "ms", 50)


def _line(name: str, value: float, unit: str, goal: float) -> Line:
    return Line("opt_out", name, "stackcurate", value, unit, goal)


def _correct(place: Path, owners: int, version: str) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of the driver for the requests of some owners."""
    requests, result = place.with_name(f"{version}.csv"), place.with_name(f"{version}.json")
    requests.write_text("owner\n" + "".join(f"{owner(3 + 40 * number)}\n" for number in range(owners)))
    command = [sys.executable, "-m", "tests.bench.opt_out", str(place), str(requests), version, str(result)]
    used = measure(command)
    return used.cpu_seconds, json.loads(result.read_text())


def _shards_per_language(release: Path) -> int:
    shards = pq.read_table(release / "removed" / "rows.parquet", columns=["shard"])["shard"].unique().to_pylist()
    languages = [shard.split("/")[1] for shard in shards]
    return max(languages.count(language) for language in languages)


def _runs(workspace: Workspace) -> set[tuple[str, str]]:
    return {(name, run.run_id) for name in KNOWN for run in runs(workspace, name)}


def _scanned_twice(workspace: Workspace) -> int:
    """Return the number of blobs that were looked at more than once for malware or personal data."""
    tables = (schema.MALWARE, schema.PII)
    seen = [read_table(workspace, table, runs(workspace, table.name), ["blob_id"])["blob_id"] for table in tables]
    return sum(len(blobs) - len(blobs.unique()) for blobs in seen)


def _lookup(workspace: Workspace, query: str) -> float:
    start = time.perf_counter()
    assert lookup(workspace, "v1", query).num_rows
    return (time.perf_counter() - start) * 1000


def main(place: str, requests: str, version: str, result: str) -> None:
    """Correct release v1 and write the peak memory of this process and its JVM, in megabytes."""
    correct(pipeline.load_config(None, settings(Path(place), Path(requests))), "v1", version)
    driver = [psutil.Process(), *(p for p in psutil.Process().children(recursive=True) if p.name() == "java")]
    peaks = [int(line.split()[1]) for p in driver for line in Path(f"/proc/{p.pid}/status").read_text().splitlines()
             if line.startswith("VmHWM:")]  # fmt: skip
    Path(result).write_text(json.dumps(sum(peaks) / 1024))


if __name__ == "__main__":
    main(*sys.argv[1:])
