"""Processes that train one model: who is who, how the model is shared out, and what ranks tell each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor

from stackcurate.errors import StackcurateError, TrainError
from stackcurate.train.model import Model, initial_value
from stackcurate.train.shapes import Shape

Value = TypeVar("Value")
TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for another one: the first checks the release meanwhile."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run.

    Args:
        rank: its number.
        world: how many there are.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def sums(self, values: list[float]) -> list[float]:
        """Return the sum of each value over all ranks."""
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(one) for one in tensor.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every rank, in order."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def collect(self, value: Any) -> list[Any]:
        """Return the value of every rank, in order, to the first one, and nothing to the others."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world if self.first else []
        dist.gather_object(value, found if self.first else None, dst=0)
        return found

    def deal(self, values: list[Any]) -> Any:
        """Return to each rank its own of the values that the first one holds, in order."""
        if self.world == 1:
            return values[0]
        found: list[Any] = [None]
        dist.scatter_object_list(found, values if self.first else None, src=0)
        return found[0]

    def alone(self, work: Callable[[], Value]) -> Value:
        """Let the first rank do something and return its result everywhere; its error is raised everywhere too."""
        answer: list[Any] = [None]
        if self.first:
            try:
                answer = [work()]
            except StackcurateError as error:
                answer = [error]
        if self.world > 1:
            dist.broadcast_object_list(answer, src=0)
        if isinstance(answer[0], StackcurateError):
            raise answer[0]
        found: Value = answer[0]
        return found


@contextmanager
def ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun started; without torchrun there is one."""
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    if "RANK" not in os.environ:
        yield Ranks(0, 1, device)
        return
    store, rank, world = next(rendezvous("env://", timeout=TIMEOUT))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # One node: torchrun's store outlives a restart, and with it the addresses of the dead. Nodes count restarts
        # each for itself; there TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 gives each restart a store of its own.
        store = PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    try:
        yield Ranks(rank, world, device)
        dist.barrier()  # who leaves first takes the store along
    finally:
        dist.destroy_process_group()


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return what matrix products are computed in.

    Args:
        precision: `auto`, `float16` or `float32`.
        device: where.
    """
    if precision == "auto":
        precision = "float16" if device.type == "cuda" else "float32"
    return torch.float16 if precision == "float16" else torch.float32


def share_out(model: Model, ours: Ranks, parallel: str) -> nn.Module:
    """Spread a model without storage over the ranks and give it storage; values come from `initialise`.

    Gradients are added up in fp32 whatever the dtype of computation.

    Args:
        model: on the device `meta`.
        ours: the ranks.
        parallel: `fsdp` or `ddp`; one rank needs neither.
    """
    if ours.world == 1 or parallel == "ddp":
        model.to_empty(device=ours.device)
        return model
    mesh = init_device_mesh(ours.device.type, (ours.world,))
    policy = MixedPrecisionPolicy(param_dtype=model.dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    model.to_empty(device=ours.device)
    return model


def initialise(model: nn.Module, shape: Shape, *, seed: int, std: float) -> None:
    """Fill every parameter; the values do not depend on how it is sharded, and ranks need not talk.

    Args:
        model: with storage.
        shape: its shape.
        seed: of the run.
        std: spread of the weights; 0 derives it.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = initial_value(name, shape, parameter.shape, seed=seed, std=std).to(parameter.device)
            if isinstance(parameter, DTensor):
                spread = parameter.device_mesh, parameter.placements
                value = distribute_tensor(value, *spread, src_data_rank=None)
            parameter.copy_(value)


def replicate(model: nn.Module, ours: Ranks, parallel: str) -> nn.Module:
    """Return what is called forward: the model, or DDP around it, which adds up gradients."""
    if ours.world == 1 or parallel == "fsdp":
        return model
    return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)


def no_sync(model: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Return a context in which DDP keeps its gradients to itself, but for the last of a step."""
    if isinstance(model, nn.parallel.DistributedDataParallel) and not last:
        found: AbstractContextManager[None] = model.no_sync()
        return found
    return nullcontext()


def whole(value: torch.Tensor) -> float:
    """Return a number that may be spread over ranks."""
    return float(value.full_tensor() if isinstance(value, DTensor) else value)


def check_ranks(rows: int, ours: Ranks) -> None:
    """Refuse more ranks than rows.

    Raises:
        TrainError: a rank would get no row.
    """
    if rows < ours.world:
        raise TrainError(f"train.batch_rows is {rows}, there are {ours.world} ranks; set at least one row for each")
