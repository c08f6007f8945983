"""Contamination beside substring loops and Aho-Corasick: speed against 115,000 strings, recall, false hits.

The strings are stretches of Python files of half of the installed packages; what is scanned are files of the others, so
that the strings are not in them but code like them is. False hits are of HumanEval, which no installed package holds.
`BENCH_SCALE=0.1` does a tenth of everything.
"""

from __future__ import annotations

import json
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import ahocorasick
import numpy as np
import pyarrow as pa

from stackcurate.kernels.contamination import find
from stackcurate.kernels.contamination_index import ContaminationConfig, items_looked_for, load_index
from tests.bench.build import say
from tests.bench.measure import Line

SUBJECT, OURS, LOOPS, AUTOMATON = "contamination", "stackcurate", "substring loops", "pyahocorasick"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
STRINGS, CHARACTERS, PLANTED, MEGABYTES = int(115_000 * SCALE), 400, int(1_000 * SCALE), 100 * SCALE
AUTOMATON_MB, LOOPS_MB = 5 * SCALE, 0.02
"""The peers see less: the loops alone would take an hour."""
BENIGN = int(100_000 * SCALE)
SUFFIXES = frozenset(
    (".c", ".css", ".h", ".html", ".js", ".json", ".md", ".py", ".pyi", ".rst", ".toml", ".ts", ".txt")
)
LARGEST = 400_000
BATCH = 400
GOALS: dict[str, float] = {
    "contamination_mb_per_cpu_s": 100,
    "contamination_recall": 1,
    "contamination_recall_disguised": 0.99,
    "contamination_false_hits_per_100k": 5,
}
DISGUISES: dict[str, Callable[[str], str]] = {
    "re-spaced": lambda text: "\r\n\r\n".join("\t\t" + "  ".join(line.split()) for line in text.splitlines()),
    "commented": lambda text: "".join(f"# {line}\n" for line in text.splitlines()),
    "comments between": lambda text: "".join(
        f"{line}\n    // and now for the next line\n" for line in text.splitlines()
    ),
    "escaped": lambda text: json.dumps({"text": text}),
}


def run() -> Iterator[Line]:
    """Measure all of it; each line comes when it is known."""
    paths = installed()
    strings = list(islice(stretches(path for path in paths if path.suffix == ".py" and half(path)), STRINGS))
    others = [path for path in paths if not half(path)]
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        benchmark = Path(folder) / "strings.jsonl"
        lines = (json.dumps({"id": number, "text": text}) for number, text in enumerate(strings))
        benchmark.write_text("\n".join(lines), encoding="utf-8")
        config = ContaminationConfig(builtin=(), benchmarks=(f"strings={benchmark}",), max_frequency=100)
        start = time.process_time()
        index = load_index(config)
        seconds = time.process_time() - start
        say(f"{len(strings):,} strings, {len(index.lookup[0]):,} windows, index in {seconds:.1f} CPU-s")
        say(f"too short or too common: {index.skipped['strings']:,} texts")
        texts = list(up_to(others, MEGABYTES))
        yield from speed_lines(texts, strings, config)
        yield from recall_lines(texts, strings, config)
    yield line("contamination_false_hits_per_100k", OURS, false_hits(paths[:BENIGN]), "files")


def line(name: str, who: str, value: float, unit: str) -> Line:
    """Return a line of this benchmark; goals are ours."""
    return Line(SUBJECT, name, who, value, unit, GOALS[name] if who == OURS else None)


def installed() -> list[Path]:
    """Return the files of installed packages in an order without meaning, always the same."""
    folder = Path(pa.__file__).parents[1]
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and 0 < path.stat().st_size <= LARGEST)
    random.Random(1).shuffle(found)
    return found


def half(path: Path) -> bool:
    """Say whether a file's package is of the half that gives the strings."""
    package = path.relative_to(Path(pa.__file__).parents[1]).parts[0]
    return zlib.crc32(package.encode()) % 2 == 0


def stretches(paths: Iterator[Path]) -> Iterator[str]:
    """Yield stretches of whole lines, about as long as a solution of a contest is: plain code, no tables."""
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        lines: list[str] = []
        for one in text.splitlines():
            lines.append(one)
            if sum(map(len, lines)) >= CHARACTERS:
                code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
                if "".join(lines).isascii() and 2 * len(code) > len(lines):
                    yield "\n".join(lines)
                lines = []


def up_to(paths: Sequence[Path], megabytes: float) -> Iterator[bytes]:
    """Yield contents, about as many megabytes as asked for."""
    left = megabytes * 1e6
    for path in paths:
        if left <= 0:
            return
        content = path.read_bytes()
        left -= len(content)
        yield content


def speed_lines(texts: Sequence[bytes], strings: Sequence[str], config: ContaminationConfig) -> Iterator[Line]:
    """Measure ours and the peers against the same strings."""
    find(texts[:2], config)  # compiles
    start = time.process_time()
    hits = sum(bool(row) for part in batches(texts) for row in find(part, config)["overlaps"].to_pylist())
    ours = megabytes(texts) / (time.process_time() - start)
    say(f"{hits:,} of {len(texts):,} files of other packages hold one of the strings")
    yield line("contamination_mb_per_cpu_s", OURS, ours, "MB/s")
    automaton = ahocorasick.Automaton()
    for number, text in enumerate(strings):
        automaton.add_word(squeezed(text), number)
    automaton.make_automaton()
    few = [text.decode(errors="replace") for text in islice_megabytes(texts, AUTOMATON_MB)]
    start = time.process_time()
    for text in few:
        for _ in automaton.iter(squeezed(text)):
            pass
    yield line("contamination_mb_per_cpu_s", AUTOMATON, chars(few) / (time.process_time() - start), "MB/s")
    lowered = [text.lower() for text in strings]
    few = ["".join(few)[: int(LOOPS_MB * 1e6)]]
    start = time.process_time()
    for text in few:
        content = text.lower()
        sum(one in content for one in lowered)
    yield line("contamination_mb_per_cpu_s", LOOPS, chars(few) / (time.process_time() - start), "MB/s")


def batches(texts: Sequence[bytes]) -> Iterator[pa.Array]:
    """Yield Arrow arrays, as a Spark worker gets them."""
    for at in range(0, len(texts), BATCH):
        yield pa.array(texts[at : at + BATCH], pa.binary())


def megabytes(texts: Sequence[bytes]) -> float:
    """Return the size of texts in MB."""
    return sum(map(len, texts)) / 1e6


def chars(texts: Sequence[str]) -> float:
    """Return the length of texts in millions of characters."""
    return sum(map(len, texts)) / 1e6


def islice_megabytes(texts: Sequence[bytes], limit: float) -> Iterator[bytes]:
    """Yield the first texts, about as many megabytes as asked for."""
    left = limit * 1e6
    for text in texts:
        if left <= 0:
            return
        left -= len(text)
        yield text


def squeezed(text: str) -> str:
    """Return a text in lower case with single spaces, as decontamination scripts do."""
    return " ".join(text.lower().split())


def recall_lines(hosts: Sequence[bytes], strings: Sequence[str], config: ContaminationConfig) -> Iterator[Line]:
    """Plant strings in files of other packages, as they are and in each disguise."""
    index = load_index(config)
    usable = zip(index.texts, np.diff(index.numbers[0]), strict=True)
    sizes = {text.item for text, size in usable if size}
    chosen = random.Random(2).sample([number for number in range(len(strings)) if str(number) in sizes], PLANTED)
    yield line("contamination_recall", OURS, recall(lambda text: text, hosts, strings, chosen, config), "share")
    shares = {name: recall(disguise, hosts, strings, chosen, config) for name, disguise in DISGUISES.items()}
    say(", ".join(f"{name} {share:.2%}" for name, share in shares.items()))
    yield line("contamination_recall_disguised", OURS, min(shares.values()), "share")


def recall(
    disguise: Callable[[str], str], hosts: Sequence[bytes], strings: Sequence[str], chosen: Sequence[int],
    config: ContaminationConfig,
) -> float:  # fmt: skip
    """Return the share of planted strings that are found under their own name."""
    found = 0
    for at in range(0, len(chosen), BATCH):
        part = chosen[at : at + BATCH]
        planted = []
        for number in part:
            head, _, rest = hosts[number % len(hosts)].partition(b"\n")
            planted.append(head + b"\n" + disguise(strings[number]).encode() + b"\n" + rest)
        rows = find(planted, config)["overlaps"].to_pylist()
        found += sum(any(one["item"] == str(number) for one in row) for number, row in zip(part, rows, strict=True))
    return found / len(chosen)


def false_hits(paths: Sequence[Path]) -> float:
    """Return the number of files in 100,000 that HumanEval is found in."""
    config = ContaminationConfig()
    hits = []
    for at in range(0, len(paths), BATCH):
        part = paths[at : at + BATCH]
        rows = find([path.read_bytes() for path in part], config)["overlaps"].to_pylist()
        hits += [(path.name, row[0]["item"]) for path, row in zip(part, rows, strict=True) if row]
    say(f"{items_looked_for(config)}: {len(hits)} of {len(paths):,} files: {hits[:5]}")
    return len(hits) * 100_000 / len(paths)
