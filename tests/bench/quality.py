"""Measures of quality and OpenCoder's signals beside a plain recomputation: speed, and the largest difference.

The files are those of installed packages; speed is told for all of them, and for those of Python alone, whose signals
need its parser.

`BENCH_SCALE=0.1` does a tenth of everything.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from stackcurate.kernels.language import detect
from stackcurate.kernels.quality import measure
from stackcurate.kernels.quality_signals import measure_signals
from tests.bench.build import say
from tests.bench.measure import Line
from tests.bench.pii_corpus import Source, ordinary

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
    sources = list(ordinary(MEGABYTES))
    contents = [source.content for source in sources]
    size = sum(map(len, contents)) / 1e6
    say(f"{len(contents):,} files of installed packages, {size:.1f} MB")
    start = time.process_time()
    for at in range(0, len(contents), BATCH):
        measure(pa.array(contents[at : at + BATCH], pa.binary()))
    say(f"measures alone: {size / (time.process_time() - start):.1f} MB/s")
    yield line("quality_mb_per_cpu_s", OURS, all_signals(sources), "MB/s")
    few = contents[: max(1, int(len(contents) * COMPARED_MB / MEGABYTES))]
    start = time.process_time()
    plain = [recomputed(content) for content in few]
    yield line("quality_mb_per_cpu_s", PLAIN, sum(map(len, few)) / 1e6 / (time.process_time() - start), "MB/s")
    yield line("quality_max_abs_error", OURS, max_abs_error(few, plain), "1")


def all_signals(sources: Sequence[Source]) -> float:
    """Return the rate of measures and signals together, in MB per CPU-second; that of each language is told."""
    languages = detect([source.path for source in sources], [source.content for source in sources])
    facts = zip(sources, languages["language"].to_pylist(), languages["language_type"].to_pylist(), strict=True)
    by_language: dict[str, list[tuple[str, bytes, str]]] = {}
    for source, language, kind in facts:
        if language is not None:
            by_language.setdefault(language, []).append((source.path, source.content, kind))
    whole, spent = 0.0, 0.0
    for language, rows in sorted(by_language.items(), key=lambda item: -sum(len(row[1]) for row in item[1])):
        paths, contents, kinds = (list(column) for column in zip(*rows, strict=True))
        measure_signals(contents[:1], paths[:1], [language], kinds[:1])  # compiles
        start = time.process_time()
        for at in range(0, len(rows), BATCH):
            cut = slice(at, at + BATCH)
            batch = pa.array(contents[cut], pa.binary())
            measure(batch)
            measure_signals(batch, paths[cut], [language] * len(batch), kinds[cut])
        seconds, size = time.process_time() - start, sum(map(len, contents)) / 1e6
        whole, spent = whole + size, spent + seconds
        if size > 1:
            say(f"{language}: {size:.1f} MB, {size / seconds:.1f} MB/s")
    return float(whole / spent)


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
    differences = (
        abs(row[name] - (pa.scalar(value, single).as_py() if isinstance(value, float) else value))
        for row, wanted in zip(rows, plain, strict=True)
        if row["encoding"] == "utf-8"
        for name, value in wanted.items()
    )
    return float(max(differences))
