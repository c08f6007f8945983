"""Small runs of the trainer for tests: a model of two layers, rows of 64 tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stackcurate.train.metrics import read_metrics
from stackcurate.train.run import Request

ROOT = Path(__file__).parents[2]
SMALL = (
    "stream.sequence_length=64", "stream.block_bytes=40000", "train.batch_rows=4", "train.micro_rows=2",
    "train.warmup_steps=2", "train.steps=12", "train.checkpoint_every=3", "train.learning_rate=0.003",
    "train.spike_skip=3",
)  # fmt: skip


def request(folder: Path, release: Path, tokenizer: Path, *settings: str, resume: bool = False) -> Request:
    """Return the request of a small run."""
    return Request(
        folder=folder, release=str(release), preset="tiny", overrides=(*SMALL, *settings), tokenizer=tokenizer,
        resume=resume,
    )  # fmt: skip


def launcher(ranks: int, *options: str) -> list[str]:
    """Return the command line that starts several processes, what they run left out."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *options]


def torchrun(ranks: int, asked: Request, *, restarts: int = 0) -> list[str]:
    """Return the command line of a run on several processes."""
    command = launcher(ranks, f"--max-restarts={restarts}", "--monitor-interval=0.2")
    command += ["-m", "stackcurate.train", "--resume"]
    command += ["--release", str(asked.release), "--output", str(asked.folder), "--tokenizer", str(asked.tokenizer)]
    command += ["--preset", str(asked.preset)]
    return command + [part for one in asked.overrides for part in ("--set", one)]


def start(command: list[str], **more: Any) -> subprocess.Popen[str]:
    """Start a run; one thread per process, as torchrun would set."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, **more
    )


def curve(folder: Path) -> list[tuple[int, float, float | None]]:
    """Return step, loss and gradient norm of each step, to the bit."""
    return [(line["step"], line["loss"], line["gradient_norm"]) for line in read_metrics(folder)]


def events(folder: Path) -> list[dict[str, Any]]:
    """Return what a run told."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
