"""The trainer: logits beside transformers', speed of the tiny model on the CPU, MFU and HFU where there is a GPU.

The GPU does what a V100 can: fp16, the memory-efficient kernel of SDPA, no FlashAttention.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from stackcurate.train.metrics import peak_operations
from stackcurate.train.model import Model
from stackcurate.train.parallel import Ranks, initialise, share_out
from stackcurate.train.pretrained import their_name, to_config
from stackcurate.train.recipe import TrainConfig
from stackcurate.train.shapes import PRESETS, Shape
from stackcurate.train.trainer import make_optimizer
from tests.bench.measure import Line

US = "stackcurate"
LENGTH, ROWS, STEPS = 2048, 4, 12


def run() -> Iterator[Line]:
    """Measure, the sure things first."""
    yield Line("train", "logit_difference_fp32", US, logit_difference(), "largest", 0.0)
    cpu = torch.device("cpu")
    torch.set_num_threads(1)
    tiny = replace(PRESETS["tiny"], vocab_size=2048)
    yield Line("train", "tiny_tokens_per_cpu_s", US, tokens_per_second(tiny, cpu, 8, 128, 8), "tokens/s")
    if not torch.cuda.is_available():
        sys.stderr.write("no GPU here: mfu and hfu are left out\n")
        return
    device = torch.device("cuda", 0)
    name, shape = torch.cuda.get_device_name(device), PRESETS["1.1B"]
    peak = peak_operations(name, 0.0)
    if peak is None:
        sys.stderr.write(f"the fp16 peak of {name} is not known: mfu and hfu are left out\n")
        return
    with v100_features():
        rate = tokens_per_second(shape, device, ROWS, LENGTH, STEPS)
    sys.stderr.write(f"{name}: {rate:,.0f} tokens/s\n")
    yield Line("train", "mfu", US, rate * shape.model_operations(LENGTH) / peak, "share", 0.4)
    yield Line("train", "hfu", US, rate * shape.hardware_operations(LENGTH, checkpointing=False) / peak, "share")


def logit_difference() -> float:
    """Return the largest difference of logits from transformers', both architectures, fp32 on the CPU."""
    from transformers import AutoConfig, AutoModelForCausalLM

    worst = 0.0
    for name in ("tiny", "starcoder2-tiny"):
        shape = PRESETS[name]
        model = Model(shape)
        initialise(model, shape, seed=0, std=0.0)
        ours = {their_name(key, shape.architecture): one for key, one in model.state_dict().items()}
        theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**to_config(shape, 0, torch.float32))).eval()
        theirs.load_state_dict(ours, strict=False)
        theirs.tie_weights()
        for length in (1, 64, 255):
            tokens = torch.randint(0, shape.vocab_size, (2, length), generator=torch.Generator().manual_seed(length))
            with torch.no_grad():
                worst = max(worst, (model(tokens) - theirs(tokens).logits).abs().max().item())
    return worst


def tokens_per_second(shape: Shape, device: torch.device, rows: int, length: int, steps: int) -> float:
    """Return the speed of whole steps: forward, backward, clipping, AdamW, in fp16 on a GPU."""
    half = device.type == "cuda"
    with torch.device("meta"):
        bare = Model(shape, dtype=torch.float16 if half else torch.float32)
    model = share_out(bare, Ranks(0, 1, device), "ddp")
    initialise(model, shape, seed=0, std=0.0)
    optimizer = make_optimizer(model, TrainConfig())
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    tokens = torch.randint(0, shape.vocab_size, (rows, length + 1), device=device)
    begun = 0.0
    for step in range(steps):
        if step == 2:  # the first ones choose kernels and allocate
            begun = _now(device)
        loss = model(tokens[:, :-1], tokens[:, 1:]) / (rows * length)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    return rows * length * (steps - 2) / (_now(device) - begun)


def _now(device: torch.device) -> float:
    """Return seconds: of the GPU's work that is done, or of the CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@contextmanager
def v100_features() -> Iterator[None]:
    """Leave SDPA the kernel that a V100 has."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        yield
