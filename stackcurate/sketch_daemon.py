"""Spark's Python daemon with Arrow, pandas and the compiled loops of near-duplicates in it, for all workers it forks.

A worker on its own takes a second of CPU time to load them. Sessions that `stackcurate` starts use this module; on a
cluster it is `--conf spark.python.daemon.module=stackcurate.sketch_daemon`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that keep numeric libraries from starting threads, which a fork would lose."""


def preload() -> None:
    """Load what workers need, and tell the collector to leave it alone, so that its pages stay shared."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    import_module("pandas")  # Spark's workers import it for Arrow's sake
    from stackcurate.kernels.buckets import member_blocks, pair_blocks
    from stackcurate.kernels.minhash import near_duplicates, sketch

    texts = [b"a b c d e f g", b"a, b, c, d, e, f, g"]
    batch = sketch(texts).append_column("id", [0, 1])
    list(pair_blocks(member_blocks([batch], 2), 2, 1))
    near_duplicates(texts)
    gc.collect()
    gc.freeze()


def serve(load: Callable[[], None]) -> None:
    """Load, then serve Spark, which reads a port from standard output and nothing else."""
    with redirect_stdout(sys.stderr):
        load()
    from pyspark.daemon import manager

    manager()


if __name__ == "__main__":
    serve(preload)
