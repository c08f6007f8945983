"""Measures of quality beside a plain recomputation: speed on files of installed packages, and the largest difference.

`BENCH_SCALE=0.1` does a tenth of everything.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from stackcurate.kernels.quality import measure
from tests.bench.build import say
from tests.bench.measure import Line
from tests.bench.pii_corpus import ordinary

SUBJECT, OURS, PLAIN = "quality", "stackcurate", "plain Python"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
MEGABYTES, COMPARED_MB, BATCH = 60 * SCALE, 10 * SCALE, 400
GOALS: dict[str, float] = {"quality_mb_per_cpu_s": 20, "quality_max_abs_error": 1e-6}
RUNS = (
    r"[A-Za-z0-9+/]{64,}={0,2}",
    r"(?:0[xX][0-9a-fA-F]{1,16}[uUlL]{0,3}\s{0,80},\s{0,80}){8,}",
    r"(?:\\x[0-9a-fA-F]{2}){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)
"""What counts as encoded data, as the definitions read."""


def run() -> Iterator[Line]:
    """Measure all of it; each line comes when it is known."""
    contents = [source.content for source in ordinary(MEGABYTES)]
    size = sum(map(len, contents)) / 1e6
    say(f"{len(contents):,} files of installed packages, {size:.1f} MB")
    start = time.process_time()
    for at in range(0, len(contents), BATCH):
        measure(pa.array(contents[at : at + BATCH], pa.binary()))
    yield line("quality_mb_per_cpu_s", OURS, size / (time.process_time() - start), "MB/s")
    few = contents[: max(1, int(len(contents) * COMPARED_MB / MEGABYTES))]
    start = time.process_time()
    plain = [recomputed(content) for content in few]
    yield line("quality_mb_per_cpu_s", PLAIN, sum(map(len, few)) / 1e6 / (time.process_time() - start), "MB/s")
    yield line("quality_max_abs_error", OURS, max_abs_error(few, plain), "1")


def line(name: str, who: str, value: float, unit: str) -> Line:
    """Return a line of this benchmark; goals are ours."""
    return Line(SUBJECT, name, who, value, unit, GOALS[name] if who == OURS else None)


def recomputed(content: bytes) -> dict[str, float]:
    """Measure a UTF-8 text as plainly as the definitions read."""
    text = content.decode()
    lengths = [len(one) for one in text.splitlines()]
    found = (match[0] for run in RUNS for match in re.finditer(run, text))
    runs = [len(one) for one in found if any(char.isalnum() for char in one)]
    size = max(len(text), 1)
    return {
        "lines": len(lengths),
        "line_length_max": max(lengths, default=0),
        "line_length_mean": sum(lengths) / max(len(lengths), 1),
        "alphanumeric_fraction": sum(char.isalnum() for char in text) / size,
        "alphabetic_fraction": sum(char.isalpha() for char in text) / size,
        "encoded_fraction": sum(runs) / size,
        "encoded_run_max": max(runs, default=0),
    }


def max_abs_error(contents: Sequence[bytes], plain: Sequence[dict[str, float]]) -> float:
    """Return the largest difference of any measure of any file; means are rounded to single precision like facts."""
    rows: list[dict[str, Any]] = measure(list(contents)).to_pylist()
    single = pa.float32()
    return max(
        abs(row[name] - (pa.scalar(value, single).as_py() if isinstance(value, float) else value))
        for row, wanted in zip(rows, plain, strict=True)
        if row["encoding"] == "utf-8"
        for name, value in wanted.items()
    )
