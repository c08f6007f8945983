"""Personal data and secrets beside the naive pair and four scanners: speed, differences, leaks, broken files, memory.

The text is files of installed packages, and the same files with secrets planted in them (`pii_corpus`). `compat` is
compared with detect-secrets and the gated recognizers with Presidio's own, both unmodified. `BENCH_SCALE=0.05` does a
twentieth of everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from stackcurate.kernels import pii, placeholders, secrets, spans
from stackcurate.kernels.recognizers import GATES, presidio_findings
from tests.bench.build import say
from tests.bench.measure import ROOT, Line
from tests.bench.pii_corpus import Source, dense, ordinary
from tests.bench.pii_negatives import TITUS_RULES, fired, read_rules
from tests.bench.pii_peers import PEERS, installed, scan
from tests.kernels.redaction_corpus import KINDS, planted
from tests.pii_cases import CASES, KEY, failure, redacted

SUBJECT, OURS, NAIVE = "pii", "stackcurate", "presidio + detect-secrets"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
ORDINARY_MB, COMPARED_MB, PRESIDIO_MB, NAIVE_MB, MEMORY_MB, PARSED_FILES = 40, 102, 40, 0.5, 1000, 10_000
GOALS: dict[str, float] = {
    "secrets_mb_per_cpu_s": 25,
    "secrets_dense_mb_per_cpu_s": 5,
    "secrets_differences": 0,
    "presidio_mb_per_cpu_s": 50,
    "presidio_differences": 0,
    "redactor_mb_per_cpu_s": 10,
    "ratio_to_naive": 400,
    "cases_right": 69,
    "negatives_fired": 5,
    "leaks_after_redaction": 0,
    "files_broken": 0,
    "worker_rss_mb": 600,
}


def run() -> Iterator[Line]:
    """Measure all of it; each line comes when it is known."""
    plain = ordinary(ORDINARY_MB * SCALE)
    full = dense(plain[: max(1, len(plain) // 4)])
    planted_in = sum(len(source.planted) for source in full)
    say(f"ordinary text: {size(plain):.1f} MB; dense: {size(full):.1f} MB, {planted_in:,} secrets planted")
    warm_up(full[0])
    yield line("cases_right", OURS, cases_right(), "cases")
    yield from negative_lines()
    yield line("secrets_mb_per_cpu_s", OURS, size(plain) / cpu_seconds(compat, plain), "MB/s")
    yield line("secrets_dense_mb_per_cpu_s", OURS, size(full) / cpu_seconds(compat, full), "MB/s")
    yield from redactor_lines(plain)
    yield from presidio_lines(ordinary(PRESIDIO_MB * SCALE, seed=7))
    yield from peer_lines(plain, full)
    yield line("files_broken", OURS, files_broken(int(PARSED_FILES * SCALE)), "files")
    yield line("worker_rss_mb", OURS, worker_rss(MEMORY_MB * SCALE), "MB")
    yield line("secrets_differences", OURS, secrets_differences(), "findings")


def line(name: str, who: str, value: float, unit: str) -> Line:
    """Return a line of this benchmark; goals are ours."""
    return Line(SUBJECT, name, who, value, unit, GOALS[name] if who == OURS else None)


def size(sources: Sequence[Source]) -> float:
    """Return the size of files in MB."""
    return sum(len(source.content) for source in sources) / 1e6


def cpu_seconds(work: Callable[[Source], object], sources: Sequence[Source]) -> float:
    """Return the CPU seconds that some work takes on files, one after the other."""
    start = time.process_time()
    for source in sources:
        work(source)
    return time.process_time() - start


def compat(source: Source) -> object:
    """Find what detect-secrets finds."""
    return secrets.detect_secrets_findings(source.path, source.content)


def redact(source: Source) -> bytes:
    """Find and replace everything, as a release does."""
    look = pii.find_spans
    done, _ = spans.redact_fully(source.content, look(source.content), look, path=source.path, repo_id="r", key=KEY)
    return done


def warm_up(source: Source) -> None:
    """Compile what is compiled once and load what is loaded once."""
    redact(Source("a.py", b"# thanks to Karin Lindqvist for the patch\n" + source.content))
    compat(source)
    presidio_findings("karin@firma.se 54.12.33.177 00:1B:44:11:3A:B7")


def cases_right() -> int:
    """Count the numbers of the table all of whose cases come out right."""
    wrong = {case.number for case in CASES if failure(case)}
    say(f"cases that fail: {sorted(wrong)}")
    return len({case.number for case in CASES} - wrong)


def negative_lines() -> Iterator[Line]:
    """Measure how many negative examples of titus fire, where its rules are at hand."""
    if not TITUS_RULES:
        say("TITUS_RULES names no folder of rules: negative examples are left out")
        return
    examples, hits, false = fired(read_rules(Path(TITUS_RULES)))
    say(f"{examples} negative examples: something is found in {hits}, what no other rule of titus knows in {false}")
    yield line("negatives_fired", OURS, 100 * false / examples, "percent")


def redactor_lines(plain: Sequence[Source]) -> Iterator[Line]:
    """Measure the whole redactor, and the naive pair on a little of the same text."""
    ours = size(plain) / cpu_seconds(redact, plain)
    yield line("redactor_mb_per_cpu_s", OURS, ours, "MB/s")
    from tests.bench.naive import personal_data
    from tests.bench.naive import secrets as plain_secrets

    steps = (personal_data(), plain_secrets())
    few = up_to(plain, NAIVE_MB * max(SCALE, 0.2))
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        paths = list(write(few, Path(folder) / "naive"))
        start = time.process_time()
        for path in paths:
            for step in steps:
                step(path)
        naive = size(few) / (time.process_time() - start)
    yield line("redactor_mb_per_cpu_s", NAIVE, naive, "MB/s")
    yield line("ratio_to_naive", OURS, ours / naive, "times")


def presidio_lines(sources: Sequence[Source]) -> Iterator[Line]:
    """Measure the gated recognizers, and compare them with unmodified ones on as much as these can read."""
    import presidio_analyzer.predefined_recognizers as presidio
    import tldextract

    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()  # those that it brings along: there may be no network
    made = [getattr(presidio, gate.name)() for gate in GATES]

    def theirs(source: Source) -> object:
        text = source.content.decode()
        hits = [(one, hit) for one in made for hit in one.analyze(text, one.supported_entities)]
        return sorted((hit.start, hit.end, hit.entity_type, type(one).__name__, float(hit.score)) for one, hit in hits)

    def ours(source: Source) -> object:
        return [tuple(span) for span in presidio_findings(source.content.decode())]

    yield line("presidio_mb_per_cpu_s", OURS, size(sources) / cpu_seconds(ours, sources), "MB/s")
    both = [*sources, *dense(sources[:200])]
    start = time.process_time()
    found = [theirs(source) for source in both]
    yield line("presidio_mb_per_cpu_s", "presidio", size(both) / (time.process_time() - start), "MB/s")
    different = sum(ours(source) != listed for source, listed in zip(both, found, strict=True))
    say(f"recognizers compared on {size(both):.1f} MB")
    yield line("presidio_differences", OURS, different, "files")


def peer_lines(plain: Sequence[Source], full: Sequence[Source]) -> Iterator[Line]:
    """Measure each peer on ordinary and on dense text, and count what it finds in what we redacted."""
    done = [Source(source.path, redact(source)) for source in full]
    left = sum(secret in after.content for before, after in zip(full, done, strict=True) for secret in before.planted)
    again = sum(len(spans.open_spans(source.content, pii.find_spans(source.content))) for source in done)
    say(f"planted secrets left: {left}; found by ourselves in what we redacted: {again}")
    yield line("leaks_after_redaction", OURS, left + again, "findings")
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        for name, command in installed().items():
            limit = PEERS[name].megabytes * SCALE
            for metric, sources in (("secrets_mb_per_cpu_s", plain), ("secrets_dense_mb_per_cpu_s", full)):
                few = up_to(sources, limit)
                list(write(few, Path(folder) / f"{name}-{metric}"))
                usage, found = scan(name, command, Path(folder) / f"{name}-{metric}")
                say(f"{name}: {len(found):,} findings on {size(few):.1f} MB")
                yield line(metric, name, size(few) / usage.cpu_seconds, "MB/s")
            list(write(up_to(done, limit), Path(folder) / f"{name}-redacted"))
            _, found = scan(name, command, Path(folder) / f"{name}-redacted")
            open_ones = [secret for secret in found if is_open(secret)]
            yield line("leaks_after_redaction", name, leaked(open_ones, full), "findings")
            say(f"{name}: {len(open_ones):,} findings of {len(found):,} in redacted text hold no placeholder")


def is_open(value: str) -> bool:
    """Say whether what a peer calls a secret holds no placeholder of ours."""
    text = value.strip("\"'` \t\r\n;,")
    return bool(text) and not placeholders.is_placeholder(text) and "REDACTED_" not in text and "<KEY" not in text


def leaked(found: Sequence[str], full: Sequence[Source]) -> int:
    """Count the findings that are planted secrets or hold one; the others stand in the packages themselves."""
    known = b"\0".join(secret for source in full for secret in source.planted)
    return sum(len(value) >= 8 and value.encode() in known for value in found)


def up_to(sources: Sequence[Source], megabytes: float) -> list[Source]:
    """Return the first files, about as many as asked for."""
    chosen: list[Source] = []
    left = megabytes * 1e6
    for source in sources:
        if left <= 0:
            break
        chosen.append(source)
        left -= len(source.content)
    return chosen


def write(sources: Sequence[Source], folder: Path) -> Iterator[Path]:
    """Write files into a folder under names of their own."""
    folder.mkdir(parents=True)
    for number, source in enumerate(sources):
        path = folder / f"file{number}{Path(source.path).suffix}"
        path.write_bytes(source.content)
        yield path


def files_broken(count: int) -> int:
    """Plant in files that parse, redact them and count those that no longer parse or parse as something else."""
    folder = Path(pa.__file__).parents[1]
    paths = sorted(
        path for path in folder.rglob("*.*") if path.suffix[1:] in KINDS and 0 < path.stat().st_size < 20_000
    )
    tried = broken = seed = 0
    while tried < count:
        for path in paths[seed :: max(1, len(paths) // count)]:
            content = planted(path, path.suffix[1:], seed)
            if content is None or tried >= count:
                continue
            tried += 1
            broken += not parses_alike(path, content)
        seed += 1
    say(f"redacted and parsed: {tried:,} files")
    return broken


def parses_alike(path: Path, content: bytes) -> bool:
    """Say whether a file parses alike before and after it is redacted."""
    check = KINDS[path.suffix[1:]][1]
    try:
        return bool(check(content) == check(redacted(content, path.name)))
    except Exception as error:  # noqa: BLE001 - each parser has errors of its own
        say(f"{path.name}: {type(error).__name__}")
        return False


def worker_rss(megabytes: float) -> float:
    """Return the peak of memory of a process that redacts so much text."""
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        result = Path(folder) / "memory.json"
        command = [sys.executable, "-m", "tests.bench.pii_memory", str(megabytes), str(result)]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
        memory: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
    say(
        f"memory over {memory['megabytes']:,.0f} MB: {memory['early']:.0f} MB early, {memory['peak']:.0f} MB in the end"
    )
    return memory["peak"]


def secrets_differences() -> int:
    """Compare `compat` with detect-secrets on ordinary and dense text, in as many processes as there are cores."""
    plain = ordinary(COMPARED_MB * SCALE * 0.85, seed=3)
    both = [*plain, *dense(plain[: max(1, len(plain) // 6)])]
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder, ProcessPoolExecutor() as pool:
        paths = list(write(both, Path(folder) / "compared"))
        counts = list(pool.map(differences, paths, chunksize=16))
    say(f"compared {size(both):.1f} MB, {sum(found for _, found in counts):,} findings of detect-secrets")
    return sum(different for different, _ in counts)


def differences(path: Path) -> tuple[int, int]:
    """Return how many findings of a file only one of both has, and how many detect-secrets has."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    with default_settings():
        collection: Any = SecretsCollection()
        collection.scan_file(str(path))
        theirs = {(secret.type, secret.line_number, secret.secret_hash) for _, secret in collection}
    return len(theirs ^ secrets.detect_secrets_findings(str(path), path.read_bytes())), len(theirs)
