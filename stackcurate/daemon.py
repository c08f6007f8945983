"""Spark's Python daemon with ScanCode's index in it: loaded once per executor, shared by all workers it forks.

A worker on its own loads 1.1 GB in some seconds of CPU time. Sessions that `stackcurate` starts use this module where
licences are going to be scanned; on a cluster it is `--conf spark.python.daemon.module=stackcurate.daemon`.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import redirect_stdout, suppress

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that keep numeric libraries from starting threads, which a fork would lose."""

_WARM_UP = b"""# Copyright 2020 Example
# Permission is hereby granted to any good person obtaining a copy of this software and documentation files, to deal in
# the Software with every restriction, including the rights to use, copy, modify, merge and publish copies of it.
"""
"""A notice like no rule, so that a scan goes through all matchers and what they load on first use is there.

A picture's name is another matter to libmagic, which is asked with more of its rules then.
"""


def preload() -> None:
    """Load what a scan for licences needs, and tell the collector to leave it alone, so that its pages stay shared.

    Without ScanCode nothing is loaded: the scan itself will say what is missing.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
    from stackcurate.errors import MissingDependencyError
    from stackcurate.kernels.license_scan import scan

    with suppress(MissingDependencyError):
        scan([_WARM_UP, _WARM_UP + b"# icon"], [".py", ".py"])
    gc.collect()
    gc.freeze()


def main() -> None:
    """Load, then serve Spark, which reads a port from standard output and nothing else."""
    with redirect_stdout(sys.stderr):
        preload()
    from pyspark.daemon import manager

    manager()


if __name__ == "__main__":
    main()
