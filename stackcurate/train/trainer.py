"""The trainer: steps of AdamW in fp16 or fp32, on one process or many, that go on after a kill as if there was none."""

from __future__ import annotations

import math
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from stackcurate.errors import TrainError
from stackcurate.train.checkpoint import Checkpoints, Progress, load_checkpoint
from stackcurate.train.metrics import Metrics, peak_operations
from stackcurate.train.model import Model
from stackcurate.train.parallel import Ranks, compute_dtype, initialise, no_sync, replicate, share_out, whole
from stackcurate.train.position import Batch, read_state
from stackcurate.train.recipe import TrainConfig, fixed_digest, learning_rate
from stackcurate.train.run import CHECKPOINTS, Job, Say
from stackcurate.workspace import Workspace, read_json, write_json

SKIPS = "skips.json"
MOST_FAILED = 3
"""Checkpoints in a row that may fail before a run gives up."""
LEAST_SCALE = 2.0**-10
"""fp16: a loss scale below this cannot be an accident of one batch."""


def make_optimizer(model: nn.Module, config: TrainConfig) -> AdamW:
    """Return AdamW over a model; matrices decay, norms and biases do not."""
    named = list(model.named_parameters())
    groups = [
        {"params": [one for _, one in named if one.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [one for _, one in named if one.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2))


def find_spike(config: TrainConfig, loss: float, late: list[float]) -> str:
    """Return why a loss is no longer to be trusted; empty where it is.

    Args:
        config: how much is too much.
        loss: of this step.
        late: those of the steps before.
    """
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if config.spike and len(late) >= config.spike_window:
        usual = statistics.median(late)
        if loss > usual + config.spike:
            return f"the loss is {loss:.3f}, late ones were about {usual:.3f}"
    return ""


class Trainer:
    """A run in this process.

    Args:
        job: what is trained.
        ours: the ranks.
        say: takes what is told on the way.
    """

    def __init__(self, job: Job, ours: Ranks, say: Say) -> None:
        self.job, self.ours, self.say = job, ours, say
        self.config: TrainConfig = job.recipe["train"]
        model = job.recipe["model"]
        self.dtype = compute_dtype(self.config.precision, ours.device)
        with torch.device("meta"):
            bare = Model(job.shape, dtype=self.dtype, checkpointing=model.checkpointing, loss_chunk=model.loss_chunk)
        self.model = share_out(bare, ours, self.config.parallel)
        initialise(self.model, job.shape, seed=self.config.seed, std=model.init_std)
        self.forward = replicate(self.model, ours, self.config.parallel)
        self.optimizer = make_optimizer(self.model, self.config)
        self.scaler = self._scaler({})
        self.checkpoints = Checkpoints(job.folder / CHECKPOINTS, ours, keep=self.config.keep)
        self.metrics = Metrics(job.folder) if ours.first else None
        self.progress = Progress(0, 0, job.stream.start.to_json(), fixed_digest(job.recipe))
        self.batches: Iterator[Batch] = iter(())
        self.stopping, self.failed = False, 0
        name = torch.cuda.get_device_name(ours.device) if ours.device.type == "cuda" else "cpu"
        self.peak = peak_operations(name, self.config.peak_tflops)

    def _scaler(self, state: dict[str, Any]) -> torch.amp.GradScaler:
        half = self.dtype == torch.float16
        window = self.config.loss_scale_window
        scaler = torch.amp.GradScaler(
            self.ours.device.type, init_scale=self.config.loss_scale, growth_interval=window, enabled=half
        )
        if state:
            scaler.load_state_dict(state)
        return scaler

    def run(self, until: int | None = None) -> Progress:
        """Train to the end of the recipe, or until a step, and return where the run stands.

        Args:
            until: stop behind this step, with a checkpoint.

        Raises:
            TrainError: the run cannot go on.
        """
        last = min(self.config.steps, until or self.config.steps)
        with _stopped_by_signals(self):
            self._begin()
            while self.progress.step < last and not self.stopping:
                waited = time.perf_counter()
                batch = next(self.batches)
                done = self._step(batch, waited, time.perf_counter() - waited)
                if done and self.progress.step % self.config.checkpoint_every == 0 and self.progress.step < last:
                    self.say(f"step {self.progress.step:,}: loss {self.progress.losses[-1]:.3f}")
                    self._save()
            self._save(final=True)
        if self.stopping:
            self.say(f"stopped behind step {self.progress.step}; --resume goes on from there")
        self._close()
        if self.metrics:
            self.metrics.close()
        return self.progress

    def _close(self) -> None:
        close = getattr(self.batches, "close", None)  # ends the workers
        if close is not None:
            close()

    def _begin(self) -> None:
        """Go on from the newest checkpoint that is whole, or make the first one."""
        found = self.checkpoints.newest()
        if found is None:
            self._open_stream()
            self._save(final=True)
        else:
            folder, progress, damaged = found
            for problem in damaged:
                self.say(problem)
            self._load(folder, progress)
            self.say(f"going on behind step {progress.step}, from {folder.name}")
        if self.metrics:
            self.metrics.rewind(self.progress.step)
            self.metrics.tell({"event": "start", "step": self.progress.step, "ranks": self.ours.world})

    def _load(self, folder: Any, progress: Progress) -> None:
        if progress.recipe != self.progress.recipe:
            raise TrainError(
                f"{folder}: the checkpoint belongs to a run with another config; take the one it was made with"
            )
        self.job.stream.check(read_state(progress.state))
        load_checkpoint(folder, self.model, self.optimizer, self.ours)
        self.progress, self.scaler = progress, self._scaler(progress.scaler)
        self._open_stream()

    def _open_stream(self) -> None:
        self._close()
        skips = self.ours.alone(lambda: read_json(Workspace(str(self.job.folder.absolute())), SKIPS)) or []
        self.progress.skips = sorted({*self.progress.skips, *(tuple(one) for one in skips)})
        self.batches = self.job.stream.batches(
            self.config.batch_rows, rank=self.ours.rank, world=self.ours.world, workers=self.config.workers,
            state=read_state(self.progress.state), skip=self.progress.skips,
        )  # fmt: skip

    def _step(self, batch: Batch, begun: float, waited: float) -> bool:
        """Do a step and return whether it counts; a spike rolls back instead."""
        local = self._backward(torch.from_numpy(batch.rows.astype(np.int64)))
        self.scaler.unscale_(self.optimizer)
        norm = whole(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip))
        loss, stops, written = self.ours.sums([local, float(self.stopping), float(self.checkpoints.written)])
        scale = self.scaler.get_scale()
        problem = find_spike(self.config, loss, self.progress.losses)
        if self.dtype == torch.float32 and not problem and not math.isfinite(norm):
            problem = f"the norm of the gradient is {norm}"
        if scale < LEAST_SCALE:
            problem = f"the loss scale fell to {scale}"
        if problem:
            self._roll_back(problem, batch)
            return False
        rate = learning_rate(self.config, self.progress.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._advance(batch, loss)
        if self.metrics:
            seconds = time.perf_counter() - begun
            finite = norm if math.isfinite(norm) else None
            line = {"step": self.progress.step, "loss": loss, "learning_rate": rate, "gradient_norm": finite}
            self.metrics.write(
                line | {"loss_scale": scale, "tokens": self.progress.tokens} | self._speed(seconds, waited)
            )
        self.stopping = stops > 0
        if written == self.ours.world:
            self._finish()
        return True

    def _backward(self, rows: Tensor) -> float:
        """Leave the gradient of the mean loss over all ranks, still scaled, and return this rank's part of the loss.

        Each pass is divided by its own size first, so that fp16 keeps small gradients, and the sum by the rest.
        """
        config, width = self.config, rows.shape[1] - 1
        largest = math.ceil(config.batch_rows / self.ours.world)
        passes = math.ceil(largest / config.micro_rows)
        total = config.batch_rows * width
        pieces = torch.tensor_split(rows.to(self.ours.device), passes)
        losses = []
        for number, piece in enumerate(pieces):
            # Ranks whose share is one row short go through the motions: others wait for them.
            counted = 1.0 if len(piece) else 0.0
            one = piece if len(piece) else rows[:1].to(self.ours.device)
            with no_sync(self.forward, last=number == passes - 1):
                loss = self.forward(one[:, :-1], one[:, 1:])
                self.scaler.scale(loss * (counted / (config.micro_rows * width))).backward()
            losses.append(loss.detach() * counted)
        rest = config.micro_rows * width * self.ours.world / total
        gradients = [one.grad for one in self.model.parameters() if one.grad is not None]
        if rest != 1.0:
            torch._foreach_mul_(gradients, rest)
        return float(torch.stack(losses).double().sum()) / total

    def _advance(self, batch: Batch, loss: float) -> None:
        before, progress = read_state(self.progress.state).drawn, self.progress
        late = self.config.spike_window
        self.progress = replace(
            progress, step=progress.step + 1, state=batch.state.to_json(), scaler=self.scaler.state_dict(),
            tokens=progress.tokens + self.config.batch_rows * self.job.stream.config.sequence_length,
            losses=[*progress.losses, loss][-late:], drawn=[*progress.drawn, before][-late:],
        )  # fmt: skip

    def _speed(self, seconds: float, waited: float) -> dict[str, Any]:
        """Return seconds, the share that went into waiting for data, tokens per second, MFU and HFU."""
        length = self.job.stream.config.sequence_length
        rate = self.config.batch_rows * length / seconds
        found: dict[str, Any] = {
            "seconds": round(seconds, 4), "data_wait": round(waited / seconds, 6), "tokens_per_second": round(rate, 1),
        }  # fmt: skip
        if self.peak:
            share = rate / (self.peak * self.ours.world)
            again = self.job.recipe["model"].checkpointing
            found["mfu"] = round(share * self.job.shape.model_operations(length), 4)
            found["hfu"] = round(share * self.job.shape.hardware_operations(length, checkpointing=again), 4)
        return found

    def _save(self, *, final: bool = False) -> None:
        """Begin a checkpoint, which is written while training goes on; wait for the last one."""
        self._finish()
        self._guarded(lambda: self.checkpoints.begin(self.model, self.optimizer, self.progress), final=final)
        if final:
            self._finish(final=True)

    def _finish(self, *, final: bool = False) -> None:
        self._guarded(self.checkpoints.finish, final=final)

    def _guarded(self, work: Callable[[], object], *, final: bool) -> None:
        """Let a checkpoint fail: that is told and costs nothing but itself, unless it is the last."""
        try:
            if work():
                self.failed = 0
        except TrainError as error:
            self.failed += 1
            if final or self.failed >= MOST_FAILED:
                raise
            self.say(f"{error}; training goes on")
            if self.metrics:
                self.metrics.tell({"event": "checkpoint failed", "step": self.progress.step, "why": str(error)})

    def _roll_back(self, why: str, batch: Batch) -> None:
        """Go back to before the rows that hurt, and skip them."""
        step = self.progress.step + 1
        if len(self.progress.skips) >= self.config.most_spikes:
            raise TrainError(f"step {step}: {why}, after {len(self.progress.skips)} spikes; lower the learning rate")
        self._finish()
        here = read_state(self.progress.state).drawn
        late = [*self.progress.drawn, here][-self.config.spike_skip :]
        found = self.checkpoints.newest(drawn=late[0]) or self.checkpoints.newest()
        if found is None:
            raise TrainError(f"step {step}: {why}, and there is no checkpoint to go back to")
        folder, progress, _ = found
        skip = max(late[0], read_state(progress.state).drawn), batch.state.drawn
        self.ours.alone(lambda: self._remember([*self.progress.skips, skip]))
        self.checkpoints.forget_after(progress.step)
        rows = f"rows {skip[0]:,} to {skip[1]:,} are skipped"
        self.say(f"step {step}: {why}; back to step {progress.step}, {rows}")
        event = {"event": "spike", "step": step, "why": why, "back_to": progress.step, "skip": skip}
        self.optimizer.zero_grad(set_to_none=True)
        self._load(folder, progress)
        if self.metrics:
            self.metrics.rewind(progress.step)
            self.metrics.tell(event)

    def _remember(self, skips: list[tuple[int, int]]) -> None:
        """Write the skip list down before anything else: a kill in between must not undo it."""
        write_json(Workspace(str(self.job.folder.absolute())), skips, SKIPS)


@contextmanager
def _stopped_by_signals(trainer: Trainer) -> Iterator[None]:
    """Let SIGTERM and SIGUSR1, which Slurm sends before the end, finish the step and write a checkpoint."""

    def stop(*_: Any) -> None:
        trainer.stopping = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
