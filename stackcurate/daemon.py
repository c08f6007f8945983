"""`sketch_daemon` with ScanCode's index in it: loaded once per executor, shared by all workers it forks.

A worker on its own loads 1.1 GB in some seconds of CPU time. Sessions that `stackcurate` starts use this module where
licences are going to be scanned; on a cluster it is `--conf spark.python.daemon.module=stackcurate.daemon`.
"""

from __future__ import annotations

import gc
from contextlib import suppress

from stackcurate import sketch_daemon

_WARM_UP = b"""# Copyright 2020 Example
# Permission is hereby granted to any good person obtaining a copy of this software and documentation files, to deal in
# the Software with every restriction, including the rights to use, copy, modify, merge and publish copies of it.
"""
"""A notice like no rule, so that a scan goes through all matchers and what they load on first use is there.

A picture's name is another matter to libmagic, which is asked with more of its rules then.
"""


def preload() -> None:
    """Load what workers need, and a scan for licences too, and tell the collector to leave it alone.

    Without ScanCode its part is not loaded: the scan itself will say what is missing.
    """
    sketch_daemon.preload()
    from stackcurate.errors import MissingDependencyError
    from stackcurate.kernels.license_scan import scan

    with suppress(MissingDependencyError):
        scan([_WARM_UP, _WARM_UP + b"# icon"], [".py", ".py"])
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sketch_daemon.serve(preload)
