"""Several processes: sharded fp16 training that survives a kill, and goes on with another number of ranks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from stackcurate.train.parallel import Ranks  # noqa: E402 - torch first, or all is skipped
from stackcurate.train.run import Request, open_job  # noqa: E402
from stackcurate.train.trainer import Trainer  # noqa: E402
from tests.train.runs import curve, events, launcher, request, start, torchrun  # noqa: E402

HALF = ("train.precision=float16", "train.loss_scale=1024.0", "train.loss_scale_window=4")


@pytest.fixture(scope="module")
def undisturbed(release: Path, tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    process = start(torchrun(2, request(folder, release, tokenizer_path, *HALF, "train.keep=9")))
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return folder


def test_fp16_is_sharded_and_learns(undisturbed: Path) -> None:
    losses = [loss for _, loss, _ in curve(undisturbed)]

    assert len(losses) == 12
    assert losses[-1] < losses[0] - 0.5
    assert len(list((undisturbed / "checkpoints" / "step-00000012").glob("__1_*"))) > 0  # the second rank's share


def test_a_killed_rank_changes_nothing(undisturbed: Path, release: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(torchrun(2, request(folder, release, tokenizer_path, *HALF, "train.keep=9"), restarts=2))
    wait_for(folder, step=7)
    victims = [pid for pid in children(process.pid) if rank_of(pid) == "1"]
    os.kill(victims[0], signal.SIGKILL)
    said = process.communicate(timeout=300)[0]

    assert process.returncode == 0, said
    assert [event["step"] > 0 for event in events(folder) if event["event"] == "start"] == [False, True], said
    assert curve(folder) == curve(undisturbed)


def test_an_overflow_on_one_rank_skips_the_step_on_all(tmp_path: Path) -> None:
    process = start([*launcher(2), "-m", "tests.train.local_overflow", str(tmp_path)])
    said = process.communicate(timeout=120)[0]

    assert process.returncode == 0, said
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert told == [{"scale": 512.0, "same": True}] * 2


def test_another_number_of_ranks_goes_on(undisturbed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    shutil.rmtree(folder / "checkpoints" / "step-00000012")
    shutil.rmtree(folder / "checkpoints" / "step-00000009")
    alone = Ranks(0, 1, torch.device("cpu"))

    progress = Trainer(open_job(Request(folder=folder, resume=True), alone, print), alone, print).run()
    losses = [loss for _, loss, _ in curve(folder)]

    assert progress.step == 12
    assert losses == pytest.approx([loss for _, loss, _ in curve(undisturbed)], abs=0.02)  # sums in another order
    assert [event["ranks"] for event in events(folder) if event["event"] == "start"] == [2, 1]


def wait_for(folder: Path, *, step: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if (folder / "metrics.jsonl").exists() and len(curve(folder)) >= step:
            return
        time.sleep(0.01)
    raise AssertionError("the run does not move")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rank_of(pid: int) -> str:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((one.split(b"=")[1].decode() for one in pairs if one.startswith(b"RANK=")), "")


@pytest.mark.slow
def test_many_kills_change_nothing(undisturbed: Path, release: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    """Checkpoints are on their way at every step, so some kills meet a thread that writes one."""
    folder, dice = tmp_path / "run", random.Random(0)
    asked = request(folder, release, tokenizer_path, *HALF, "train.keep=2", "train.checkpoint_every=1")
    process = start(torchrun(2, asked, restarts=20))
    for step in range(1, 11):
        wait_for(folder, step=step)
        time.sleep(dice.random() / 10)
        victims = [pid for pid in children(process.pid) if rank_of(pid)]
        os.kill(dice.choice(victims), signal.SIGKILL)
        time.sleep(2)  # the agent looks every 0.2 seconds, and ends the other rank
    said = process.communicate(timeout=600)[0]

    assert process.returncode == 0, said
    assert sum(event["event"] == "start" for event in events(folder)) >= 5
    assert curve(folder) == curve(undisturbed)


@pytest.mark.slow
def test_ddp_with_uneven_shares_computes_what_one_process_does(
    release: Path, tokenizer_path: Path, tmp_path: Path
) -> None:
    settings = ("train.parallel=ddp", "train.batch_rows=5", "train.steps=6")
    process = start(torchrun(2, request(tmp_path / "two", release, tokenizer_path, *settings)))
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    alone = Ranks(0, 1, torch.device("cpu"))
    asked = request(tmp_path / "one", release, tokenizer_path, *settings)
    Trainer(open_job(asked, alone, print), alone, print).run()

    for mine, theirs in zip(curve(tmp_path / "two"), curve(tmp_path / "one"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
