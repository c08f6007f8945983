"""A checkpoint on its way to the disk: ranks plan it together, then each writes its share in a thread, talking to none.

A collective in a thread would hang when another rank is killed; so the ranks meet only between steps.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.planner import SavePlan
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
        plans = ours.collect(self.writer.prepare_local_plan(self.planner.create_local_plan()))
        if ours.first:
            plans, self.metadata = self.planner.create_global_plan(plans)
            plans = self.writer.prepare_global_plan(plans)
        mine = self.planner.finish_plan(ours.deal(plans))
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
        """Write torch's index of all shares, on the first rank; return size and SHA-256 of every file.

        Raises:
            OSError: the share of another rank is not in the folder, or there is no room.
        """
        names = [name for _, found in shares for name in found]
        if missing := [name for name in names if not (self.folder / name).is_file()]:
            raise FileNotFoundError(f"{missing[0]} was written elsewhere: all nodes must see the folder of the run")
        self.writer.finish(self.metadata, [results for results, _ in shares])
        files = {name: seen for _, found in shares for name, seen in found.items()}
        return files | {METADATA: measure(self.folder / METADATA)}


def _copied(state: Any) -> Any:
    """Return a state whose tensors lie in the host's memory and are shared with nobody."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {name: _copied(one) for name, one in state.items()}
    return [_copied(one) for one in state] if isinstance(state, list) else state


def measure(path: Path) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
