"""CPU seconds of a build per 1,000 files, beside the same job glued naively from the same libraries.

Ours is the demo, from packages to a release, all its processes counted: JVM, driver, workers, whatever they load. Naive
is a sample of the same files, and what it loads is not counted with them: that favours the peer, as does leaving out
the files above `LARGEST`, which it spends most on, and everything that only a build does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc

from jobs.demo.fetch import fetch
from stackcurate import schema
from stackcurate.stages import PIPELINE
from stackcurate.stages.tables import blob_reader
from stackcurate.workspace import Workspace, open_workspace, read_table, runs
from tests.bench.measure import ROOT, Line, Usage, measure
from tests.corpus import write_corpus

NAIVE_FILES = 100
"""Files that the naive peer sees at most: at about a second each."""
LARGEST = 100_000
"""Bytes of the largest file that the naive peer sees."""
UNCHANGED_GOAL = 90.0
"""Seconds that a demo may take when nothing changed."""
COST = "cpu_s_per_1000_files"


def run() -> Iterator[Line]:
    """Measure a first build, a second one and the naive peer; the lines come at the end of each."""
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        base = Path(folder)
        command = build_command(packages(base), base / "workspace")
        say("stackcurate: build")
        first = measure(command)
        workspace = open_workspace(base / "workspace", create=False)
        ours = list(cost_lines(first, stage_seconds(workspace), count_files(workspace)))
        yield from ours
        say("stackcurate: build again")
        yield line("seconds_build", "stackcurate", first.wall_seconds, "s")
        yield line("seconds_unchanged", "stackcurate", measure(command).wall_seconds, "s", UNCHANGED_GOAL)
        naive = list(naive_lines(measure_naive(workspace, base)))
        yield from naive
        yield line("ratio_to_naive", "stackcurate", naive[0].value / ours[0].value, "x")


def line(name: str, who: str, value: float, unit: str, goal: float | None = None) -> Line:
    """Return a line of this benchmark."""
    return Line("build", name, who, value, unit, goal)


def say(text: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def packages(base: Path) -> Path:
    """Return the folder of the demo's packages, or of generated ones where none can be fetched."""
    folder = ROOT / ".demo" / "packages"
    with redirect_stdout(sys.stderr):  # stdout is for the lines
        missing = fetch(folder)
    if missing:
        say(f"not fetched, left out: {', '.join(missing)}")
    return folder if any(folder.iterdir()) else write_corpus(base / "generated").folder


def build_command(inputs: Path, workspace: Path) -> list[str]:
    """Return the command that builds a release of some packages in a workspace."""
    command = [sys.executable, "-m", "stackcurate.cli", "build", "--config", "jobs/demo/demo.toml"]
    for override in (f"sources.inputs={json.dumps([str(inputs)])}", f"workspace.path={json.dumps(str(workspace))}"):
        command += ["--set", override]
    return command


def count_files(workspace: Workspace) -> int:
    """Return the number of files that a build read."""
    return sum(run.rows for run in runs(workspace, schema.FILES.name))


def stage_seconds(workspace: Workspace) -> dict[str, float]:
    """Return the CPU seconds of each stage that is a kernel, as its tasks measured them.

    Sources, the licence resolver and the verification of near-duplicates run in workers that measure nothing.
    """
    return {
        stage.name: sum(part.cpu_seconds for run in runs(workspace, stage.table.name) for part in run.parts)
        for stage in PIPELINE
        if stage.kernel is not None
    }


def cost_lines(used: Usage, stages: Mapping[str, float], files: int) -> Iterator[Line]:
    """Yield our cost: all of it first, then the stages, the JVM, and what remains."""
    jvm = used.by_program.get("java", 0.0)
    shares = {**stages, "jvm": jvm, "rest": used.cpu_seconds - jvm - sum(stages.values())}
    yield line(COST, "stackcurate", 1000 * used.cpu_seconds / files, "s")
    for name, seconds in shares.items():
        yield line(f"{COST}:{name}", "stackcurate", 1000 * seconds / files, "s")


def texts(workspace: Workspace) -> list[tuple[str, bytes]]:
    """Return path and content of the UTF-8 files up to `LARGEST` that a build read, from the smallest up."""
    columns = ["file_id", "path", "blob_id", "size"]
    files = read_table(workspace, schema.FILES, runs(workspace, schema.FILES.name), columns)
    small = files.filter(pc.is_valid(files["blob_id"])).filter(pc.field("size") <= LARGEST)
    ordered = small.sort_by([("size", "ascending"), ("file_id", "ascending")])
    contents = blob_reader(workspace).read_many(ordered["blob_id"].combine_chunks())
    return [(p, c) for p, c in zip(ordered["path"].to_pylist(), contents, strict=True) if is_text(c)]


def is_text(content: bytes) -> bool:
    """Say whether a content is UTF-8 without NUL bytes."""
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def measure_naive(workspace: Workspace, base: Path) -> dict[str, Any]:
    """Run the naive peer over an even sample of the files of a build and return what it measured.

    The files are sampled by size, so that the sample is as large per file as all of them: size is what a file costs.

    Args:
        workspace: holds the files.
        base: a folder for the sample and the result.
    """
    everything = texts(workspace)
    sample = evenly(everything, NAIVE_FILES)
    folder, result = base / "sample", base / "naive.json"
    folder.mkdir()
    for number, (path, content) in enumerate(sample):
        (folder / f"{number:03}_{PurePosixPath(path).name[-100:]}").write_bytes(content)
    say(f"naive: {len(sample)} of {len(everything)} texts up to {LARGEST:,} bytes; "
        f"{mean_bytes(sample):,.0f} bytes each, all together {mean_bytes(everything):,.0f}")  # fmt: skip
    measure(["env", "OMP_NUM_THREADS=1", sys.executable, "-m", "tests.bench.naive", str(folder), str(result)])
    measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return measured


def evenly(items: Sequence[tuple[str, bytes]], limit: int) -> Sequence[tuple[str, bytes]]:
    """Return every k-th item, at most `limit`, from the middle of the first k."""
    step = max(1, -(-len(items) // limit))
    return items[step // 2 :: step]


def mean_bytes(items: Sequence[tuple[str, bytes]]) -> float:
    """Return the mean size of contents."""
    return sum(len(content) for _, content in items) / max(1, len(items))


def naive_lines(measured: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the cost of the naive peer: all of it first, then its steps, and what it spent on loading."""
    scale = 1000 / measured["files"]
    steps = measured["steps"]
    yield line(COST, "naive", scale * sum(step["cpu"] for step in steps.values()), "s")
    for name, step in steps.items():
        yield line(f"{COST}:{name}", "naive", scale * step["cpu"], "s")
    yield line("setup_cpu_s", "naive", sum(step["setup"] for step in steps.values()), "s")
