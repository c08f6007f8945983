"""The plan for a cluster, the recipes that come along, and the launch recipe."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stackcurate.train.plan import make_plan
from stackcurate.train.recipe import RECIPES, TrainConfig, learning_rate, load_recipe
from stackcurate.train.shapes import PRESETS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("share", "days"), [(0.2, 106), (0.25, 85), (0.3, 71), (0.4, 53)])
def test_fifteen_billion_on_512_v100s(share: float, days: int) -> None:
    plan = make_plan(PRESETS["15B"], tokens=1e12, length=8192, utilisation=share)

    assert round(plan.days) == days
    assert plan.memory_bytes < 16e9
    assert plan.traffic_seconds < plan.compute_seconds


def test_santacoder_took_what_the_plan_says() -> None:
    """96 V100s, 6.2 days, 236 billion tokens; its card counts 2.1e21 operations."""
    plan = make_plan(PRESETS["1.1B"], tokens=236e9, length=2048, gpus=96, utilisation=0.29)

    assert 236e9 * PRESETS["1.1B"].model_operations(2048) == pytest.approx(2.1e21, rel=0.15)
    assert plan.days == pytest.approx(6.2, rel=0.03)
    assert plan.tokens_per_second == pytest.approx(4589, rel=0.03)


def test_recomputing_costs_a_third_more() -> None:
    shape = PRESETS["1.1B"]
    ratio = shape.hardware_operations(2048, checkpointing=True) / shape.model_operations(2048)

    assert ratio == pytest.approx(4 / 3, rel=0.001)
    assert 1 < shape.hardware_operations(2048, checkpointing=False) / shape.model_operations(2048) < 1.05


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_name_their_shape(path: Path) -> None:
    recipe = load_recipe(path.stem, None)

    assert recipe["model"].preset == path.stem
    assert recipe["stream"].sequence_length <= PRESETS[path.stem].positions


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(100)]

    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert (max(rates), rates[-1]) == (1.0, pytest.approx(0.1))


@pytest.mark.parametrize(("done", "requeued"), [(5, True), (250_000, False)])
def test_the_launch_recipe_requeues_what_is_not_done(done: int, requeued: bool, tmp_path: Path) -> None:
    """With programs of Slurm's names that write down how they were called."""
    run, log = tmp_path / "run", tmp_path / "log"
    run.mkdir()
    (run / "recipe.toml").write_text("[train]\nsteps = 250000\n")
    (run / "metrics.jsonl").write_text(f'{{"step": {done}, "loss": 1.0}}\n')
    for name in ("srun", "scontrol"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\necho node-1\n')
        (tmp_path / name).chmod(0o755)
    names = {"SLURM_JOB_NODELIST": "node-[1-64]", "SLURM_NNODES": "64", "SLURM_JOB_ID": "7"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = [str(shutil.which("bash")), str(ROOT / "jobs" / "train.sbatch"), "1.1B", "/releases/v1", str(run)]
    subprocess.run([*command, "--set", "train.keep=5"], env=names | {"PATH": path}, check=True, capture_output=True)
    called = log.read_text()

    assert "--nnodes=64 --nproc-per-node=8" in called
    assert "--rdzv-endpoint=node-1:29500" in called
    assert "--set train.parallel=ddp --set train.batch_rows=1024 --set train.keep=5" in called
    assert ("scontrol requeue 7" in called) == requeued
