"""Measures of quality and OpenCoder's signals beside a plain recomputation: speed, and the largest difference.

The files are those of installed packages, as many bytes of each group of `MIX`; speed is told for all of them, and for
each language. What is only measured of a single language is not recomputed here, but in the tests.

`BENCH_SCALE=0.1` does a tenth of everything.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stackcurate.kernels.language import detect
from stackcurate.kernels.quality import measure
from stackcurate.kernels.quality_signals import measure_signals
from tests.bench.build import is_text, say
from tests.bench.measure import Line
from tests.bench.pii_corpus import LARGEST, Source
from tests.plain_signals import plain_signals

SUBJECT, OURS, PLAIN = "quality", "stackcurate", "plain Python"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
MEGABYTES, COMPARED_MB, BATCH = 32 * SCALE, 2 * SCALE, 400
MIX = (
    (".py",),
    (".js", ".cjs", ".mjs", ".ts"),
    (".c", ".h", ".cpp", ".hpp"),
    (".md", ".rst", ".txt", ".html", ".json"),
)
"""A quarter each: Python, what node packages hold, C headers and sources, prose and data."""
ROOTS = (Path(pa.__file__).parents[1], Path("/usr/lib/node_modules"), Path("/usr/include"))
COMPARED = ("C", "C++", "HTML", "JSON", "JavaScript", "Python")
"""Languages whose comments Pygments tells from code as OpenCoder asks it to."""
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
    sources = list(mixed(MEGABYTES))
    contents = [source.content for source in sources]
    size = sum(map(len, contents)) / 1e6
    say(f"{len(contents):,} files of installed packages, {size:.1f} MB")
    start = time.process_time()
    for at in range(0, len(contents), BATCH):
        measure(pa.array(contents[at : at + BATCH], pa.binary()))
    say(f"measures alone: {size / (time.process_time() - start):.1f} MB/s")
    yield line("quality_mb_per_cpu_s", OURS, all_signals(sources), "MB/s")
    few = random.Random(3).sample(sources, max(1, int(len(sources) * COMPARED_MB / MEGABYTES)))
    languages = languages_of(few)["language"].to_pylist()
    start = time.process_time()
    plain = [recomputed(one.content, language) for one, language in zip(few, languages, strict=True)]
    read = sum(len(one.content) for one in few) / 1e6
    yield line("quality_mb_per_cpu_s", PLAIN, read / (time.process_time() - start), "MB/s")
    yield line("quality_max_abs_error", OURS, max_abs_error(few, languages, plain), "1")


def mixed(megabytes: float, seed: int = 1) -> Iterator[Source]:
    """Yield UTF-8 files of installed packages, about as many bytes of each group of `MIX`.

    Args:
        megabytes: size of all, if there is as much.
        seed: of the choice.
    """
    every = sorted(path for root in ROOTS for path in root.rglob("*.*") if path.is_file())
    for suffixes in MIX:
        paths = [path for path in every if path.suffix in suffixes and 0 < path.stat().st_size <= LARGEST]
        random.Random(seed).shuffle(paths)
        left = megabytes * 1e6 / len(MIX)
        for path in paths:
            if left > 0 and is_text(content := path.read_bytes()):
                left -= len(content)
                yield Source(path.name, content)


def languages_of(sources: Sequence[Source]) -> pa.RecordBatch:
    """Return the language of each file and its type."""
    return detect([source.path for source in sources], [source.content for source in sources])


def all_signals(sources: Sequence[Source]) -> float:
    """Return the rate of measures and signals together, in MB per CPU-second; that of each language is told."""
    languages = languages_of(sources)
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


def recomputed(content: bytes, language: str | None) -> dict[str, float]:
    """Measure a UTF-8 text as plainly as the definitions read, by its signals too where its language is compared."""
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
    } | (plain_signals(text, language) if language in COMPARED and text.strip() else {})


def max_abs_error(
    sources: Sequence[Source], languages: Sequence[str | None], plain: Sequence[dict[str, float]]
) -> float:
    """Return the largest difference of any measure or signal of any file; measures are of single precision."""
    contents = [source.content for source in sources]
    signals = measure_signals(contents, [source.path for source in sources], languages, [None] * len(contents))
    rows: list[dict[str, Any]] = measure(contents).to_pylist()
    largest = 0.0
    for row, found, wanted in zip(rows, signals["signals"].to_pylist(), plain, strict=True):
        for name, value in wanted.items() if row["encoding"] == "utf-8" else ():
            single = name in row and isinstance(value, float)
            expected = pa.scalar(value, pa.float32()).as_py() if single else value
            largest = max(largest, abs((row[name] if name in row else found[name]) - expected))
    return largest
