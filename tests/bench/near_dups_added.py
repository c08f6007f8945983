"""What 5 % more files cost, as a share of a run on all of them.

`python -m tests.bench.near_dups_added FOLDER RESULT`. The files are those of the packages that are installed here and
`ROTATIONS` of them, 740,000 in all, so that both runs are longer than what Spark takes to plan a job: of 124,000 files
the share is 0.15, of 500,000 it is 0.10. The 5 % are in packs of their own, as those of a later snapshot are. One
session does all: a run on the earlier files, one that adds the others, and one on all files in a workspace that knows
none. So the start of a session and what is compiled then are in neither of the two that are compared.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from string import ascii_lowercase, ascii_uppercase, digits
from typing import TypeAlias

from stackcurate import load_config, schema
from stackcurate.blobs import PackWriter
from stackcurate.cluster_facts import ensure_clusters
from stackcurate.facts import Build
from stackcurate.kernels.content import blob_id
from stackcurate.workspace import Run, commit, open_workspace, runs
from tests.bench.build import say
from tests.bench.measure import INTERVAL, Sample, sample
from tests.bench.near_dups import installed_texts

PARTS = 21
"""Of the files of the later snapshot, one in so many is new: 5 % more."""
ROTATIONS = 24

Seen: TypeAlias = dict[tuple[int, float], Sample]


def share(folder: str) -> float:
    """Return the CPU seconds of a run that adds files over those of a run on all of them.

    Args:
        folder: where the workspaces are made.
    """
    texts = installed_texts()
    snapshots(rotated(texts), f"{folder}/grown")
    copytree(f"{folder}/grown", f"{folder}/whole", copy_function=os.link)
    with sampled() as seen:
        clustered(f"{folder}/grown", 1, seen)
        added, full = (clustered(f"{folder}/{name}", 2, seen) for name in ("grown", "whole"))
    say(f"{added:.1f} CPU s for 5 % more files, {full:.1f} for all of them")
    return added / full


def rotated(texts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield texts, and each again with letters and digits rotated: as similar to each other, and to no other one."""
    for text in texts:
        for turn in range(ROTATIONS):
            alphabets = [letters[turn:] + letters[:turn] for letters in (ascii_lowercase, ascii_uppercase, digits)]
            yield text.translate(
                bytes.maketrans((ascii_lowercase + ascii_uppercase + digits).encode(), "".join(alphabets).encode())
            )


def snapshots(texts: Iterable[bytes], folder: str) -> None:
    """Write texts to the packs of a workspace, as two snapshots do."""
    workspace = open_workspace(folder)
    writers = [PackWriter(workspace, name) for name in ("earlier", "later")]
    for text in texts:
        name = blob_id(text)
        writers[int(name[:4], 16) % PARTS == 0].add(name, text)
    for name, writer in zip(("earlier", "later"), writers, strict=True):
        writer.flush()
        commit(workspace, Run(table=schema.BLOBS.name, run_id=name, digest="any", parts=tuple(writer.parts)))


def clustered(folder: str, count: int, seen: Seen) -> float:
    """Cluster the blobs of the first snapshots of a workspace; return the CPU seconds that it takes."""
    before = spent(seen)
    workspace = open_workspace(folder)
    under_way = Build(load_config(None, [f'workspace.path="{folder}"']), workspace)
    blobs = under_way.read(schema.BLOBS, runs(workspace, schema.BLOBS.name)[:count])
    files = blobs.selectExpr("blob_id as file_id", "blob_id", "size")
    facts, edges = ensure_clusters(under_way, files, files.selectExpr("file_id", "'any' as language"))
    seconds = spent(seen) - before
    say(f"{facts.count():,} files, {edges.count():,} verified edges: {seconds:.1f} CPU s")
    return seconds


@contextmanager
def sampled() -> Iterator[Seen]:
    """Sample the processes below this one as long as it lasts: workers end when they are idle."""
    seen: Seen = {}
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


def spent(seen: Seen) -> float:
    """Return the CPU seconds of this process and of all that were seen below it."""
    time.sleep(2 * INTERVAL)
    return time.process_time() + sum(one.own for one in list(seen.values()))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(f"{share(sys.argv[1])}\n", encoding="utf-8")
