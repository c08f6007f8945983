"""Licence scans beside unmodified ScanCode, by its CLI and by its API: speed, differences, memory, the worst case.

The files are those of the packages that are installed here. The peers see fewer of them, as large on average, since
they take about a second for each. ScanCode's CLI is measured on one file and on `PEER_FILES`, set-up included; what it
would take for all files follows from that and from our own times of the sample and of all. Ratios to the API are of the
same files. All run in one process, without holders, as ScanCode's `-l` does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.daemon import preload
from stackcurate.kernels import license_scancode
from stackcurate.kernels.license_scan import LicenseScanConfig, scan, scanned_as
from stackcurate.session import SparkConfig, spark_session
from tests.bench.build import is_text, say
from tests.bench.measure import Line, measure
from tests.license_answers import SITE, digest, is_legal, kept_of, kept_of_facts, recorded, whole_answer

SUBJECT, OURS, API, CLI = "licenses", "stackcurate", "scancode.api.get_licenses", "scancode -l -n 1"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
"""Share of the files that the peers scan, and of the recorded answers: 1 takes a quarter of an hour."""
SOURCE_FILES, PEER_FILES = 1_200, int(60 * SCALE)
SUFFIXES = {
    ".py",
    ".pyi",
    ".h",
    ".hpp",
    ".c",
    ".cpp",
    ".js",
    ".ts",
    ".css",
    ".json",
    ".html",
    ".md",
    ".rst",
    ".txt",
    ".xml",
}
LARGEST = 1_000_000
"""Bytes of the largest file."""
Item = TypeVar("Item")
GOALS = {
    "ratio_to_api_source": 30.0,
    "ratio_to_cli": 20.0,
    "ratio_to_api_licence": 8.0,
    "licence_files_per_cpu_s:cached": 500.0,
    "json_differences": 0.0,
    "files_compared": 5_000.0,
    "private_mb_per_worker": 200.0,
    "worst_cpu_s:p99.9": 2.0,
    "worst_cpu_s": 10.0,
}


def run() -> Iterator[Line]:
    """Measure all of it; each line comes when it is known."""
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        base = Path(folder)
        source, licences = chosen(legal=False, limit=SOURCE_FILES), chosen(legal=True, limit=SOURCE_FILES)
        sources = done("ours", source, base)
        yield line("source_files_per_cpu_s", OURS, rate(sources), "files/s")
        legal = done("ours", licences, base)
        yield line("licence_files_per_cpu_s", OURS, rate(legal), "files/s")
        yield line("licence_files_per_cpu_s:cached", OURS, cached_rate(licences, base), "files/s")
        differences, compared = 0, 0
        for kind, ours, files in (("source", sources, source), ("licence", legal, licences)):
            theirs = done("api", evenly(files, PEER_FILES), base)
            yield line(f"{kind}_files_per_cpu_s", API, rate(theirs), "files/s")
            yield line(f"ratio_to_api_{kind}", OURS, theirs["seconds"] / seconds_of(ours, theirs["each"]), "x")
            differences += sum(ours["kept"][path] != kept for path, kept in theirs["kept"].items())
            compared += len(theirs["kept"])
        sample = evenly(source, PEER_FILES)
        first, rest = cli_seconds(sample, base)
        everything = first + rest * sources["seconds"] / seconds_of(sources, sample)
        yield line("source_files_per_cpu_s", CLI, len(source) / everything, "files/s")
        yield line("ratio_to_cli", OURS, everything / sources["with_set_up"], "x")
        answers = done("answers", [], base)
        yield line("json_differences", OURS, differences + answers["differences"], "files")
        yield line("files_compared", OURS, compared + answers["compared"], "files")
        yield line("private_mb_per_worker", OURS, done("memory", evenly(licences, 100), base)["mb"], "MB")
        real = sorted([*sources["each"].values(), *legal["each"].values(), *answers["each"].values()])
        yield line("worst_cpu_s:p99.9", OURS, real[int(0.999 * len(real))], "s")
        yield line("worst_cpu_s", OURS, max(done("worst", [], base)["worst"], real[-1]), "s")


def line(name: str, who: str, value: float, unit: str) -> Line:
    """Return a line of this benchmark; goals are ours."""
    return Line(SUBJECT, name, who, value, unit, GOALS.get(name) if who == OURS else None)


def rate(result: dict[str, Any]) -> float:
    """Return files per CPU second without set-up."""
    return len(result["kept"]) / float(result["seconds"])


def seconds_of(result: dict[str, Any], paths: Iterable[str]) -> float:
    """Return the CPU seconds of some files: a ratio is of the same files."""
    return float(sum(result["each"][path] for path in paths))


def chosen(*, legal: bool, limit: int) -> list[str]:
    """Return paths of installed texts, each content once, from the smallest up."""
    texts: dict[bytes, str] = {}
    for path in sorted(SITE.rglob("*")):
        name = path.relative_to(SITE).as_posix()
        if "licensedcode/data" in name or is_legal(name) != legal or not (legal or path.suffix in SUFFIXES):
            continue
        if path.is_file() and 0 < path.stat().st_size <= LARGEST and is_text(content := path.read_bytes()):
            texts.setdefault(content, name)
    return evenly([texts[content] for content in sorted(texts, key=lambda text: (len(text), text))], limit)


def evenly(items: Sequence[Item], limit: int) -> list[Item]:
    """Return items at even distances, at most `limit`."""
    count = min(limit, len(items))
    return [items[int((at + 0.5) * len(items) / count)] for at in range(count)]


def done(job: str, paths: Sequence[str], base: Path) -> dict[str, Any]:
    """Run a job in a process of its own and return its result and what it took with its set-up."""
    given, result = base / "paths.json", base / "result.json"
    given.write_text(json.dumps(paths), encoding="utf-8")
    say(f"{job}: {len(paths)} files")
    used = measure([sys.executable, "-m", "tests.bench.licenses", job, str(given), str(result)])
    return {**json.loads(result.read_text(encoding="utf-8")), "with_set_up": used.cpu_seconds}


def cli_seconds(paths: Sequence[str], base: Path) -> tuple[float, float]:
    """Return the CPU seconds of ScanCode's CLI for its set-up and one file, and what all files take beyond that."""
    taken = []
    for count in (1, len(paths)):
        folder = base / f"cli-{count}"
        folder.mkdir()
        for number, path in enumerate(evenly(paths, count)):
            (folder / f"{number:04}_{Path(path).name[-80:]}").write_bytes((SITE / path).read_bytes())
        say(f"{CLI}: {count} files")
        scancode = [str(Path(sys.executable).with_name("scancode")), "-l", "-n", "1", "--quiet"]
        taken.append(measure([*scancode, "--json", str(base / f"cli-{count}.json"), str(folder)]).cpu_seconds)
    return taken[0], taken[1] - taken[0]


def cached_rate(paths: Sequence[str], base: Path) -> float:
    """Return how many files' facts are read back per CPU second: those of known blobs are stored, not computed."""
    content = pa.array([(SITE / path).read_bytes() for path in paths], pa.binary())
    kinds = pa.array([scanned_as(path) for path in paths], pa.string())
    keys = pa.table({"blob_id": [digest(blob) for blob in content.to_pylist()], "scanned_as": kinds})
    facts = pa.Table.from_batches([scan(content, kinds, LicenseScanConfig(holders=False))])
    for name in facts.column_names:
        keys = keys.append_column(schema.LICENSE_DETECTIONS.columns.field(name), facts[name])
    pq.write_table(keys, base / "facts.parquet", compression="zstd")
    start, rounds = time.process_time(), 20
    for _ in range(rounds):
        stored = {(row["blob_id"], row["scanned_as"]): row for row in pq.read_table(base / "facts.parquet").to_pylist()}
        assert all(stored[digest(blob), kind.as_py()] for blob, kind in zip(content.to_pylist(), kinds, strict=True))
    return rounds * len(paths) / (time.process_time() - start)


def scan_all(paths: Sequence[str], *, reference: bool) -> dict[str, Any]:
    """Scan files one by one, by our kernel or by the unmodified API, and say what was found and how long it took."""
    if reference:
        license_scancode.load()
        import packagedcode.utils  # noqa: F401 the API imports it on first use: set-up
    else:
        preload()
    kept, each = {}, {}
    for path in paths:
        begin = time.process_time()
        if reference:
            kept[path] = digest(kept_of(whole_answer(SITE / path)))
        else:
            row = scan([(SITE / path).read_bytes()], [path], LicenseScanConfig(holders=False)).to_pylist()[0]
            kept[path] = digest(kept_of_facts(row["detections"] or []))
        each[path] = time.process_time() - begin
    return {"kept": kept, "each": each, "seconds": sum(each.values())}


def compare_answers() -> dict[str, Any]:
    """Compare the answers with those that unmodified ScanCode was recorded to give, JSON and facts."""
    answers = evenly(recorded(), int(SCALE * len(recorded())))
    ours = scan_all([answer.path for answer in answers], reference=False)
    different = 0
    for answer in answers:
        with license_scancode.running(reference=False):
            whole = digest(whole_answer(SITE / answer.path))
        if (whole, ours["kept"][answer.path]) != (answer.whole, answer.kept):
            different += 1
            say(f"different: {answer.path}")
    return {"differences": different, "compared": len(answers), "each": ours["each"]}


def worker_memory(paths: Sequence[str]) -> dict[str, Any]:
    """Scan files, holders included, in a local Spark session and return the memory that no other process shares."""
    session = spark_session(SparkConfig(master="local[2,4]"), scans_licenses=True)
    try:
        rows = session.createDataFrame([(path,) for path in paths], "path string").repartition(8)
        found = rows.mapInArrow(scan_and_weigh, "path string, kept string, pid long, mb double").collect()
        kept = {row["path"]: row["kept"] for row in found}
        return {"mb": max(row["mb"] for row in found), "workers": len({row["pid"] for row in found}), "kept": kept}
    finally:
        session.stop()


def scan_and_weigh(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Scan files and yield for each what was found, this process and its private memory by then."""
    for batch in batches:
        for path in batch["path"].to_pylist():
            row = scan([(SITE / path).read_bytes()], [path]).to_pylist()[0]
            kept = digest(kept_of_facts(row["detections"] or []))
            yield pa.record_batch({"path": [path], "kept": [kept], "pid": [os.getpid()], "mb": [private_mb()]})


def private_mb() -> float:
    """Return the megabytes of this process that no other one shares."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(row.split()[1]) for row in rollup if row.startswith(("Private_Clean", "Private_Dirty"))) / 1024


def worst_seconds() -> dict[str, float]:
    """Return the CPU seconds of the dearest of some inputs of a megabyte that were made to be dear."""
    from tests.kernels.license_inputs import dear_inputs

    preload()
    seconds = {}
    for name, (text, kind) in dear_inputs(LARGEST).items():
        start = time.process_time()
        status = scan([text.encode()], [kind]).to_pylist()[0]["status"]
        seconds[name] = time.process_time() - start
        say(f"{name}: {seconds[name]:.1f} s, {status}")
    return {"worst": max(seconds.values())}


def main(arguments: Sequence[str]) -> None:
    """Do one job and write its result."""
    job, given, result = arguments
    paths = json.loads(Path(given).read_text(encoding="utf-8"))
    jobs = {
        "ours": lambda: scan_all(paths, reference=False),
        "api": lambda: scan_all(paths, reference=True),
        "answers": compare_answers,
        "memory": lambda: worker_memory(paths),
        "worst": worst_seconds,
    }
    Path(result).write_text(json.dumps(jobs[job]()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
