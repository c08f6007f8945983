"""A standalone Spark cluster on this machine: a master and workers from pip's PySpark, each a process of its own.

with standalone_cluster(folder) as cluster:
    submit(cluster, "jobs/build.py", "--config", "build.toml")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackcurate.session import find_java

_PORTS = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
_SIZE = ("--cores", "1", "--memory", "1g")
_READY = 90.0
"""Seconds that a daemon may take to come up."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Args:
        master: its URL.
        folder: logs of master and workers, and a folder `worker-<n>` of each with what its executors wrote.
        workers: number of workers.
    """

    master: str
    folder: Path
    workers: int

    def tasks(self, worker: int) -> int:
        """Return how many tasks ran on a worker."""
        logs = self.folder.glob(f"worker-{worker}/app-*/*/stderr")
        return sum(len(re.findall(r"Finished task", log.read_text())) for log in logs)


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Run a master and workers of one core and 1 GiB; they end with the block, whatever happens in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        master = stack.enter_context(_daemon("master", folder))
        (url,) = _wait_for(r"Starting Spark master at (spark://\S+)", *master)
        started = [
            stack.enter_context(
                _daemon("worker", folder, number, *_SIZE, "--work-dir", f"{folder}/worker-{number}", url)
            )
            for number in range(workers)
        ]
        for worker in started:
            _wait_for(r"(Successfully registered with master)", *worker)
        yield Cluster(url, folder, workers)


def submit(cluster: Cluster, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run spark-submit against a cluster with this interpreter on all sides, and return what it printed."""
    command = [_script("spark-submit"), "--master", cluster.master, "--conf", "spark.ui.enabled=false", *arguments]
    environment = {**_environment(cluster.folder), "PYSPARK_PYTHON": sys.executable}
    with ended(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _script(name: str) -> str:
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / name)


def _environment(folder: Path) -> dict[str, str]:
    java = find_java()
    assert java is not None, "no Java: `stackcurate doctor` says which are supported"
    ours = {
        "JAVA_HOME": str(java.home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
    }
    return {**os.environ, **ours}


@contextmanager
def _daemon(kind: str, folder: Path, number: int = 0, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a master or worker on ports of its own choice; give its process and its log."""
    log = folder / f"{kind}-{number}.log"
    main = f"org.apache.spark.deploy.{kind}.{kind.title()}"
    command = [_script("spark-class"), main, *_PORTS, *arguments]
    with log.open("w") as out, ended(command, env=_environment(folder), stdout=out, stderr=out) as process:
        yield process, log


@contextmanager
def ended(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process group of its own, and end the group with the block."""
    process: subprocess.Popen[str] = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(timeout=20)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        process.wait()


def _wait_for(pattern: str, process: subprocess.Popen[str], log: Path) -> tuple[str, ...]:
    """Wait until a daemon's log has a line, and return the pattern's groups."""
    deadline = time.monotonic() + _READY
    while not (found := re.search(pattern, log.read_text())):
        waiting = process.poll() is None and time.monotonic() < deadline
        assert waiting, f"{pattern!r} is not in the log:\n{log.read_text()[-2000:]}"
        time.sleep(0.1)
    return found.groups()
