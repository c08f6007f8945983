"""The plan of a run on a cluster: days, memory of a GPU, and what goes over the network."""

from __future__ import annotations

from dataclasses import dataclass

from stackcurate.train.metrics import peak_operations
from stackcurate.train.shapes import Shape

STATE_BYTES = 16
"""Of a parameter, sharded over all GPUs: fp32 weight and gradient, AdamW's two fp32 moments."""
TRAFFIC_BYTES = 8
"""Of a parameter, that a node receives per pass: fp16 weights forward and again backward, fp32 gradients."""


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Args:
        days: from the first step to the last.
        gpu_hours: of all GPUs together.
        tokens_per_second: of one GPU.
        state_bytes: of weights, gradients and moments on one GPU.
        activation_bytes: of one row on one GPU, recomputation switched on.
        layer_bytes: of the fp16 weights that one GPU holds whole at one time: two blocks and the embedding.
        traffic_bytes: that a node receives per pass.
        traffic_seconds: for these.
        compute_seconds: of a pass, with which the traffic overlaps.
    """

    days: float
    gpu_hours: float
    tokens_per_second: float
    state_bytes: float
    activation_bytes: float
    layer_bytes: float
    traffic_bytes: float
    traffic_seconds: float
    compute_seconds: float

    @property
    def memory_bytes(self) -> float:
        """What one GPU holds, workspace of kernels aside."""
        return self.state_bytes + self.activation_bytes + self.layer_bytes


def make_plan(
    shape: Shape, *, tokens: float, length: int, gpus: int = 512, per_node: int = 8, utilisation: float = 0.3,
    gigabits: float = 100.0, peak: float = 0.0, rows: int = 1, chunk: int = 2048,
) -> Plan:  # fmt: skip
    """Work out a run with weights sharded over all GPUs.

    Args:
        shape: of the model.
        tokens: to train on.
        length: tokens of a row.
        gpus: how many.
        per_node: GPUs of a node.
        utilisation: MFU, as a share.
        gigabits: per second into a node.
        peak: fp16 TFLOP/s of a GPU; 0 is a V100's.
        rows: rows of a pass on one GPU.
        chunk: tokens whose logits exist at one time.

    >>> from stackcurate.train.shapes import PRESETS
    >>> round(make_plan(PRESETS["15B"], tokens=1e12, length=8192).days)
    71
    """
    speed = (peak_operations("V100", peak) or 0.0) * utilisation
    rate = speed / shape.model_operations(length)
    seconds = tokens / (rate * gpus)
    residual = 4.0 * rows * length * shape.hidden * shape.layers  # what each block was given, fp32
    inner = 2.0 * rows * length * (2 * shape.inner + 4 * shape.hidden) + 3 * 4.0 * rows * length * shape.hidden
    mask = 2.0 * length**2 if 0 < shape.window < length else 0.0  # of the sliding window, fp16, one for all layers
    logits = (2 + 4 + 4) * chunk * shape.vocab_size  # fp16, fp32 and their gradient
    head = shape.vocab_size * shape.hidden
    block = (shape.parameters - head) / shape.layers
    traffic = float(TRAFFIC_BYTES * shape.parameters)
    return Plan(
        days=seconds / 86_400,
        gpu_hours=seconds * gpus / 3600,
        tokens_per_second=rate,
        state_bytes=STATE_BYTES * shape.parameters / gpus,
        activation_bytes=residual + inner + mask + logits,
        layer_bytes=2.0 * (2 * block + head) + 4.0 * block,
        traffic_bytes=traffic * (1 - per_node / gpus),
        traffic_seconds=traffic * (1 - per_node / gpus) * 8 / (gigabits * 1e9),
        compute_seconds=rows * length / rate,
    )
