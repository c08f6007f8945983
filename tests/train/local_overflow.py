"""Run by torchrun: a gradient of one rank alone overflows; each rank says what it made of that.

Usage: `torchrun ... -m tests.train.local_overflow OUTPUT`
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from stackcurate.train.model import Model
from stackcurate.train.parallel import initialise, ranks, share_out
from stackcurate.train.recipe import TrainConfig
from stackcurate.train.shapes import PRESETS
from stackcurate.train.trainer import make_optimizer

SHAPE = replace(PRESETS["tiny"], vocab_size=512)


def main(folder: Path) -> None:
    """Do one step of fp16, and write the loss scale and whether a weight of this rank changed."""
    with ranks() as ours:
        with torch.device("meta"):
            bare = Model(SHAPE, dtype=torch.float16)
        model = share_out(bare, ours, "fsdp")
        initialise(model, SHAPE, seed=0, std=0.0)
        optimizer, scaler = make_optimizer(model, TrainConfig()), torch.amp.GradScaler("cpu", init_scale=1024.0)
        before = [one.to_local().clone() for one in model.parameters()]  # type: ignore[attr-defined]
        tokens = torch.arange(33)[None]
        scaler.scale(model(tokens[:, :-1], tokens[:, 1:]) / 32).backward()
        if not ours.first:
            next(model.parameters()).grad.to_local()[0, 0] = torch.inf  # type: ignore[union-attr]
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        after = [one.to_local() for one in model.parameters()]  # type: ignore[attr-defined]
        same = all(bool((one == other).all()) for one, other in zip(before, after, strict=True))
        (folder / f"{ours.rank}.json").write_text(json.dumps({"scale": scaler.get_scale(), "same": same}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
