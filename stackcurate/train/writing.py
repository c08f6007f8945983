"""A checkpoint on its way to the disk: ranks plan it together, then each writes its share in a thread, talking to none.

A collective in a thread would hang when another rank is killed; so the ranks meet only between steps.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.planner import SavePlan
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.storage import WriteResult

from stackcurate.train.parallel import Ranks

METADATA = ".metadata"
Share = tuple[list[WriteResult], dict[str, Any]]
"""What a rank wrote, for torch's index, and the size and SHA-256 of each of its files."""


class Writing:
    """The shares of all ranks in one checkpoint. Made by all ranks together.

    Args:
        folder: exists and is empty.
        state: what is written; it is copied to the host's memory first, so it may change at once.
        ours: the ranks.
    """

    def __init__(self, folder: Path, state: dict[str, Any], ours: Ranks) -> None:
        self.folder, self.ours = folder, ours
        self.planner, self.writer = DefaultSavePlanner(), FileSystemWriter(folder, sync_files=True)
        self.planner.set_up_planner(_copied(state), is_coordinator=ours.first)
        self.writer.set_up_storage_writer(ours.first)
        plans = ours.gather(self.writer.prepare_local_plan(self.planner.create_local_plan()))
        plans, self.metadata = ours.alone(lambda: self.planner.create_global_plan(plans))
        mine = self.planner.finish_plan(self.writer.prepare_global_plan(plans)[ours.rank])
        thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.share: Future[Share] = thread.submit(self._write, mine)
        thread.shutdown(wait=False)

    def _write(self, plan: SavePlan) -> Share:
        results = self.writer.write_data(plan, self.planner).wait()
        files = sorted(self.folder.glob(f"__{self.ours.rank}_*"))
        return results, {path.name: measure(path) for path in files}

    def answer(self) -> Share | str:
        """Wait for this rank's share and return it, or why it failed."""
        try:
            return self.share.result()
        except (OSError, RuntimeError) as error:
            return str(error) or repr(error)

    def close(self, shares: list[Share]) -> dict[str, Any]:
        """Write torch's index of all shares, on the first rank; return size and SHA-256 of every file."""
        self.writer.finish(self.metadata, [results for results, _ in shares])
        files = {name: seen for _, found in shares for name, seen in found.items()}
        return files | {METADATA: measure(self.folder / METADATA)}


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    stager = DefaultStager(
        StagingOptions(
            use_pinned_memory=False, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
        )
    )
    copied = stager.stage(state)
    stager.close()
    return cast("dict[str, Any]", copied)


def measure(path: Path) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
