"""The recipe of a run: what is optimised, how, and what is kept. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stackcurate.config import Config, load, setting
from stackcurate.errors import ConfigError
from stackcurate.train.shapes import ModelConfig
from stackcurate.train.stream import StreamConfig
from stackcurate.train.tokenizer import TokenizerConfig

PRECISIONS, PARALLEL = ("auto", "float16", "float32"), ("fsdp", "ddp")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained. Source of the defaults: BigCode's script for StarCoder, and SantaCoder for fp16."""

    steps: int = setting(250_000, "optimizer steps of the whole run")
    batch_rows: int = setting(512, "rows per step over all ranks")
    micro_rows: int = setting(1, "rows per forward pass of a rank")
    learning_rate: float = setting(3e-4, "largest learning rate")
    final_share: float = setting(0.1, "the last learning rate, as a share of the largest")
    warmup_steps: int = setting(2000, "steps over which the learning rate rises")
    beta1: float = setting(0.9, "AdamW's first moment")
    beta2: float = setting(0.95, "AdamW's second moment")
    weight_decay: float = setting(0.1, "decay of matrices; norms and biases have none")
    clip: float = setting(1.0, "largest norm of the gradient")
    seed: int = setting(0, "seed of the first weights")
    precision: str = setting("auto", "`float16` or `float32`; `auto`: fp16 on a GPU")
    loss_scale: float = setting(65536.0, "fp16: first factor of the loss; halved on overflow")
    loss_scale_window: int = setting(1000, "fp16: steps without overflow until it is doubled")
    parallel: str = setting("fsdp", "`fsdp`: weights are sharded over ranks; `ddp`: each rank holds all")
    workers: int = setting(0, "processes per rank that tokenise ahead")
    checkpoint_every: int = setting(1000, "steps between two checkpoints")
    keep: int = setting(3, "checkpoints that are kept")
    spike: float = setting(2.0, "loss above the median of late steps that counts as a spike; 0: only NaN does")
    spike_window: int = setting(100, "late steps that a loss is compared with")
    spike_skip: int = setting(10, "steps whose rows are skipped after a spike: its own and those before")
    most_spikes: int = setting(20, "spikes after which a run gives up")
    peak_tflops: float = setting(0.0, "the GPU's fp16 peak, for MFU; 0: by its name")

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch_rows": 1, "micro_rows": 1, "checkpoint_every": 1, "keep": 1, "spike_skip": 1}
        least |= {"loss_scale_window": 1, "spike_window": 2, "warmup_steps": 0, "workers": 0, "most_spikes": 0}
        for name, value in vars(self).items():
            if isinstance(value, int | float) and value < least.get(name, 0):
                raise ValueError(f"{name} is at least {least.get(name, 0)}, not {value}")
        if self.precision not in PRECISIONS or self.parallel not in PARALLEL:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, parallel one of {', '.join(PARALLEL)}")
        if not (self.beta1 < 1 and self.beta2 < 1 and self.final_share <= 1 and self.clip > 0 and self.loss_scale > 0):
            raise ValueError("beta1 and beta2 are below 1, final_share is at most 1, clip and loss_scale are above 0")


FREE = ("workers", "checkpoint_every", "keep", "parallel", "most_spikes", "peak_tflops")
"""Settings that may change when a run goes on: they do not touch what is computed."""
SECTIONS: dict[str, type] = {
    "tokenizer": TokenizerConfig, "stream": StreamConfig, "model": ModelConfig, "train": TrainConfig,
}  # fmt: skip
"""The sections of a run."""
RECIPES = Path(__file__).parents[1] / "data" / "train"


def load_recipe(preset: str | None, config: str | Path | None, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Return the sections of a run.

    Args:
        preset: name of a recipe that comes with the package.
        config: a TOML file instead.
        overrides: `section.key=value`, on top of either.

    Raises:
        ConfigError: both are given, or a name or a value is wrong.
    """
    if preset and config:
        raise ConfigError("give --preset or --config, not both; --set overrides either")
    known = sorted(path.stem for path in RECIPES.glob("*.toml"))
    if preset and preset not in known:
        raise ConfigError.unknown("preset", preset, known, "--preset")
    return load(RECIPES / f"{preset}.toml" if preset else config, SECTIONS, overrides)


def fixed_digest(recipe: Config) -> str:
    """Return a SHA-256 of all that decides what a run computes, the stream and its tokeniser aside."""
    values: dict[str, Any] = {"model": asdict(recipe["model"]), "train": asdict(recipe["train"])}
    values["train"] = {name: value for name, value in values["train"].items() if name not in FREE}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step: a linear rise, then a cosine down to its last share.

    >>> [round(learning_rate(TrainConfig(steps=110, warmup_steps=10), step), 6) for step in (0, 9, 59, 109)]
    [3e-05, 0.0003, 0.000165, 3e-05]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step + 1 - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    share = config.final_share + (1 - config.final_share) * (1 + math.cos(math.pi * min(1.0, done))) / 2
    return config.learning_rate * share
