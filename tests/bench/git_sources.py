"""Git as a source: MB of contents per CPU-second into Arrow, and what hostile repositories come to.

The peer streams `git archive` through `tarfile` and hashes each file; CPU seconds include those of git.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from stackcurate.kernels.content import blob_id
from stackcurate.sources.local import discover, read
from tests.bench.measure import Line
from tests.sources import hostile
from tests.sources.hostile_git import EXECUTED, build, git

PACKAGES = ("numpy", "pandas", "pyarrow", "pyspark")
BATCH_BYTES = 4 << 20


def git_lines() -> Iterator[Line]:
    """Commit some installed packages to a repository, pack it and read it."""
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        path = Path(folder) / "repository"
        for name in PACKAGES:
            source = Path(sysconfig.get_path("purelib")) / name
            shutil.copytree(source, path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so*", "*.jar"))
        git(path, "init", "-q", "-b", "main")
        git(path, "add", "--all")
        git(path, "commit", "-q", "-m", "x")
        git(path, "gc", "-q")
        for who, goal, reader in (("stackcurate", 150.0, into_arrow), ("git archive and tarfile", None, through_tar)):
            best = max(rate(reader, path) for _ in range(3))
            yield Line("sources", "git_mb_per_cpu_s", who, best, "MB/s", goal)


def rate(reader: Callable[[Path], int], path: Path) -> float:
    """Return the MB per CPU-second, children included, of a function that returns the bytes that it read."""
    before = cpu_seconds()
    size = reader(path)
    return size / 1e6 / (cpu_seconds() - before)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def into_arrow(path: Path) -> int:
    """Read a repository as a build does, both passes, into batches of ids and contents."""
    total = held = 0
    pending: list[tuple[str, bytes]] = []
    _, entries = read(discover([path])[0])
    for entry in entries:
        if entry.content is None or entry.blob_id is None:
            continue
        pending.append((entry.blob_id, entry.content))
        held += len(entry.content)
        if held >= BATCH_BYTES:
            as_batch(pending)
            pending, total, held = [], total + held, 0
    as_batch(pending)
    return total + held


def as_batch(rows: list[tuple[str, bytes]]) -> pa.RecordBatch:
    ids, contents = [row[0] for row in rows], [row[1] for row in rows]
    return pa.record_batch({"blob_id": pa.array(ids, pa.string()), "content": pa.array(contents, pa.binary())})


def through_tar(path: Path) -> int:
    total = 0
    command = ["git", "archive", "--format=tar", "HEAD"]
    with subprocess.Popen(command, cwd=path, stdout=subprocess.PIPE) as process:
        assert process.stdout
        with tarfile.open(mode="r|", fileobj=process.stdout) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    content = file.read()
                    blob_id(content)
                    total += len(content)
    return total


def hostile_lines() -> Iterator[Line]:
    """Read every hostile input and count commands that ran and files that came to be or changed."""
    executed = written = 0
    for case in hostile.CASES:
        with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
            inputs = Path(folder) / "world" / "inputs"
            inputs.mkdir(parents=True)
            build(case, inputs)
            before = states(Path(folder))
            for one in discover([inputs]):
                for _ in read(one)[1]:
                    pass
            executed += (inputs.parent / EXECUTED).exists()
            after = states(Path(folder))
            written += len(before.items() ^ after.items())
    yield Line("sources", "hostile_executions", "stackcurate", executed, f"of {len(hostile.CASES)} inputs", 0)
    yield Line("sources", "hostile_writes_outside", "stackcurate", written, "files", 0)


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of all below a folder."""
    return {str(path): (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in folder.rglob("*")}
