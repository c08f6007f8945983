"""Checkpoints: written beside, hashed, renamed; verified before they are loaded, on any number of ranks.

A checkpoint is a folder `step-00000100` of torch's distributed checkpoints, and `index.json`: the position of the run
and the SHA-256 of every file. A folder that ends in `.new` was never completed.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.optim import Optimizer

from stackcurate.errors import TrainError
from stackcurate.train.parallel import Ranks
from stackcurate.train.writing import Share, Writing, file_digest

INDEX, FRESH = "index.json", ".new"
BYTES_PER_PARAMETER = 12
"""fp32 weights and AdamW's two moments."""


@dataclass
class Progress:
    """Where a run stands.

    Args:
        step: optimizer steps that were done.
        tokens: tokens that were trained on.
        state: position of the stream, as JSON.
        recipe: digest of what must not change.
        scaler: state of the loss scale.
        losses: those of late steps, oldest first.
        drawn: rows drawn before each late step, as long as `losses`.
        skips: ranges [start, stop) of drawn rows that are skipped.
    """

    step: int
    tokens: int
    state: str
    recipe: str
    scaler: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)
    skips: list[tuple[int, int]] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of a run, of which one may be on its way to the disk.

    Args:
        folder: where they lie.
        ours: the ranks that write them.
        keep: how many are kept.
    """

    def __init__(self, folder: Path, ours: Ranks, *, keep: int = 3) -> None:
        self.folder, self.ours, self.keep = folder, ours, keep
        self.pending: tuple[Progress, Writing] | None = None

    def begin(self, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
        """Copy the state and let a thread write it, while training goes on; `finish` gives it its name.

        Raises:
            TrainError: there is no room for its folder.
        """
        fresh = self._fresh(progress.step)
        self.ours.alone(lambda: self._make_room(fresh, progress.step))
        weights, moments = get_state_dict(model, optimizer)
        writing = Writing(fresh, {"model": weights, "optimizer": moments}, self.ours)
        self.pending = progress, writing

    @property
    def written(self) -> bool:
        """Whether this rank's share of what was begun is on the disk, or failed."""
        return self.pending is not None and self.pending[1].share.done()

    def finish(self) -> Path | None:
        """Wait for all shares of what was begun, hash and name it; return its folder, None where nothing was begun.

        Raises:
            TrainError: it cannot be written; nothing of it stays, older ones are untouched.
        """
        if self.pending is None:
            return None
        (progress, writing), self.pending = self.pending, None
        answers = self.ours.collect(writing.answer())
        wrong = [answer for answer in answers if isinstance(answer, str)]
        return self.ours.alone(
            lambda: self._give_up(progress.step, wrong[0]) if wrong else self._name(progress, writing, answers)
        )

    def _fresh(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}{FRESH}"

    def _make_room(self, fresh: Path, step: int) -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(parents=True)
        except OSError as error:
            self._give_up(step, str(error))

    def _give_up(self, step: int, why: str) -> NoReturn:
        shutil.rmtree(self._fresh(step), ignore_errors=True)
        free = shutil.disk_usage(self.folder).free  # torch's own words for a full disk say nothing of it
        raise TrainError(
            f"the checkpoint of step {step} cannot be written ({why}; {free / 1e6:,.0f} MB are free); "
            "older ones are whole"
        )

    def _name(self, progress: Progress, writing: Writing, shares: list[Share]) -> Path:
        fresh = self._fresh(progress.step)
        final = fresh.with_suffix("")
        try:
            files = writing.close(shares)
            text = json.dumps({"progress": asdict(progress), "files": files}, indent=1)
            with (fresh / INDEX).open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            shutil.rmtree(final, ignore_errors=True)  # of the same step, before a rollback
            fresh.rename(final)
            handle = os.open(self.folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        except OSError as error:
            self._give_up(progress.step, str(error))
        for old in list(self._steps())[self.keep :]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def _steps(self) -> Iterator[Path]:
        """Yield what is complete, newest first."""
        found = (path for path in self.folder.glob("step-*") if path.suffix != FRESH and (path / INDEX).is_file())
        yield from sorted(found, reverse=True)

    def newest(self, *, drawn: int | None = None) -> tuple[Path, Progress, list[str]] | None:
        """Return the newest checkpoint whose files are whole, its progress, and what is wrong with newer ones.

        Args:
            drawn: only those of a stream that had drawn no more rows than this.

        Raises:
            TrainError: there are checkpoints, and all are damaged.
        """
        damaged: list[str] = []
        for folder in self.ours.alone(lambda: list(self._steps())):
            problem = "; ".join(found for found in self.ours.gather(self._problem(folder)) if found)
            if problem:
                damaged.append(f"{folder.name} is left out: {problem}")
                continue
            progress = read_progress(folder)
            if drawn is None or json.loads(progress.state)["drawn"] <= drawn:
                return folder, progress, damaged
        if damaged:
            raise TrainError(f"{self.folder}: no checkpoint is whole: {'; '.join(damaged)}")
        return None

    def _problem(self, folder: Path) -> str:
        """Return what is wrong with this rank's share of the files."""
        try:
            files = sorted(json.loads((folder / INDEX).read_text(encoding="utf-8"))["files"].items())
            for name, seen in files[self.ours.rank :: self.ours.world]:
                path = folder / Path(name).name
                size = path.stat().st_size if path.is_file() else 0
                if size != seen["bytes"]:
                    return f"{path.name} has {size:,} of {seen['bytes']:,} bytes"
                if file_digest(path) != seen["sha256"]:
                    return f"{path.name} changed since it was written"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{INDEX} is damaged ({error!r})"
        return ""

    def forget_after(self, step: int) -> None:
        """Remove the checkpoints of later steps, which a rollback made void."""

        def remove() -> None:
            for path in self.folder.glob("step-*"):
                if int(path.name.removesuffix(FRESH).rpartition("-")[2]) > step:
                    shutil.rmtree(path, ignore_errors=True)

        self.ours.alone(remove)


@contextmanager
def _single() -> Iterator[None]:
    """Keep torch from warning that one process saves alone: that is what is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, ours: Ranks) -> None:
    """Load weights and moments into a model that may be sharded in another way than they were.

    Raises:
        TrainError: they are of a model of another shape.
    """
    weights, moments = get_state_dict(model, optimizer)
    state = {"model": weights, "optimizer": moments}
    try:
        with _single():
            load(state, storage_reader=FileSystemReader(folder), no_dist=ours.world == 1)
        set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=moments)
    except (CheckpointException, ValueError, RuntimeError, KeyError) as error:
        raise TrainError(f"{folder}: holds no weights of this model ({error})") from error


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load weights alone into a model that is not sharded."""
    weights = model.state_dict()
    with _single():
        load({"model": weights}, storage_reader=FileSystemReader(folder), no_dist=True)
    model.load_state_dict(weights)


def read_progress(folder: Path) -> Progress:
    """Return where the run stood at a checkpoint."""
    values = json.loads((folder / INDEX).read_text(encoding="utf-8"))["progress"]
    values["skips"] = [(start, stop) for start, stop in values["skips"]]
    return Progress(**values)


def check_space(folder: Path, parameters: int) -> None:
    """Refuse to start where not even one checkpoint fits.

    Raises:
        TrainError: the disk is too full.
    """
    needed, free = parameters * BYTES_PER_PARAMETER, shutil.disk_usage(folder).free
    if free < needed:
        raise TrainError(f"{folder}: a checkpoint needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free")
