"""What 5 % more files cost, as a share of a run on all of them.

`python -m tests.bench.near_dups_added WORKSPACE RESULT`. One session does all: a run on the earlier files, one that
adds the others, and one on all files in a workspace that knows none. So the start of a session and what is compiled
then are in neither of the two that are compared.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

from stackcurate import load_config, schema
from stackcurate.facts import Build, ensure_clusters
from stackcurate.workspace import open_workspace, runs
from tests.bench.build import say
from tests.bench.measure import INTERVAL, Sample, sample

EARLIER = "conv(substring(blob_id, 1, 4), 16, 10) % 21 > 0"
"""20 files of 21: the others are 5 % more."""


def share(folder: str) -> float:
    """Return the CPU seconds of a run that adds files over those of a run on all of them.

    Args:
        folder: a workspace with blobs; a copy of it is made beside it.
    """
    other = str(copytree(folder, f"{folder}-again"))
    with sampled() as seen:
        clustered(folder, EARLIER)
        seconds = [spent(seen)]
        for where in (folder, other):
            clustered(where, "true")
            seconds.append(spent(seen))
    added, full = seconds[1] - seconds[0], seconds[2] - seconds[1]
    say(f"{added:.1f} CPU s for 5 % more files, {full:.1f} for all of them")
    return added / full


def clustered(folder: str, where: str) -> None:
    """Cluster the blobs of a workspace for which an expression holds."""
    workspace = open_workspace(folder)
    under_way = Build(load_config(None, [f'workspace.path="{folder}"']), workspace)
    blobs = under_way.read(schema.BLOBS, runs(workspace, schema.BLOBS.name)).where(where)
    files = blobs.selectExpr("blob_id as file_id", "blob_id", "size")
    facts, edges = ensure_clusters(under_way, files, files.selectExpr("file_id", "'any' as language"))
    say(f"{facts.count():,} files, {edges.count():,} verified edges")


@contextmanager
def sampled() -> Iterator[dict[tuple[int, float], Sample]]:
    """Sample the processes below this one as long as it lasts: workers end when they are idle."""
    seen: dict[tuple[int, float], Sample] = {}
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(INTERVAL):
            sample(seen)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def spent(seen: dict[tuple[int, float], Sample]) -> float:
    """Return the CPU seconds of this process and of all that were seen below it."""
    time.sleep(2 * INTERVAL)
    return time.process_time() + sum(one.own for one in list(seen.values()))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(f"{share(sys.argv[1])}\n", encoding="utf-8")
