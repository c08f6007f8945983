"""The trainer in one process: it learns, resumes to the bit, rolls back, and refuses what does not fit."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stackcurate.errors import ConfigError, TrainError  # noqa: E402 - torch first, or all is skipped
from stackcurate.train.checkpoint import Progress  # noqa: E402
from stackcurate.train.metrics import BOARD, plot_loss, read_metrics  # noqa: E402
from stackcurate.train.parallel import Ranks  # noqa: E402
from stackcurate.train.recipe import TrainConfig  # noqa: E402
from stackcurate.train.run import Request, open_job  # noqa: E402
from stackcurate.train.trainer import Trainer, find_spike, make_optimizer  # noqa: E402
from stackcurate.train.writing import Writing  # noqa: E402
from tests.train.runs import curve, events, request  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
ALONE = Ranks(0, 1, torch.device("cpu"))


def train(asked: Request, until: int | None = None) -> tuple[Progress, list[str]]:
    said: list[str] = []
    progress = Trainer(open_job(asked, ALONE, said.append), ALONE, said.append).run(until)
    return progress, said


@pytest.fixture(scope="module")
def whole(release: Path, tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(request(folder, release, tokenizer_path, "train.keep=9"))
    return folder


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """The run as it lay there when it was killed behind step 7."""
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    for step in (9, 12):
        shutil.rmtree(folder / "checkpoints" / f"step-{step:08d}")
    (folder / "checkpoints" / "step-00000009.new").mkdir()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:7]) + lines[7][:20])
    return folder


def test_it_learns_and_tells(whole: Path) -> None:
    lines = read_metrics(whole)

    assert [line["step"] for line in lines] == list(range(1, 13))
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.5
    assert lines[-1]["tokens"] == 12 * 4 * 64
    assert 0 <= lines[-1]["data_wait"] < 1
    assert plot_loss(whole).stat().st_size > 5_000


def test_tensorboard_shows_each_step_once(half: Path) -> None:
    events_of = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    train(Request(folder=half, resume=True))
    board = events_of.EventAccumulator(str(half / BOARD)).Reload()

    assert [one.step for one in board.Scalars("loss")] == list(range(1, 13))
    assert board.Scalars("loss")[11].value == pytest.approx(read_metrics(half)[11]["loss"])


def test_resume_is_identical_to_the_bit(whole: Path, half: Path) -> None:
    progress, said = train(Request(folder=half, resume=True))

    assert progress.step == 12
    assert f"step 9: loss {curve(half)[8][1]:.3f}" in said
    assert "going on behind step 6" in " ".join(said)
    assert curve(half) == curve(whole)
    ends = [sorted((folder / "checkpoints" / "step-00000012").glob("__0_*")) for folder in (half, whole)]
    assert [path.read_bytes() for path in ends[0]] == [path.read_bytes() for path in ends[1]]


def test_a_cut_checkpoint_is_left_out(whole: Path, half: Path) -> None:
    cut = next((half / "checkpoints" / "step-00000006").glob("__0_*"))
    os.truncate(cut, cut.stat().st_size // 2)

    _, said = train(Request(folder=half, resume=True))

    assert "step-00000006 is left out: __0_0.distcp has" in " ".join(said)
    assert curve(half) == curve(whole)


def test_shares_that_another_node_wrote_elsewhere_are_missed(tmp_path: Path) -> None:
    """Without a folder that all nodes see, the first checkpoint fails, not the first resumption."""
    writing = Writing(tmp_path, {"model": {"weight": torch.ones(3)}}, ALONE)
    results, files = writing.share.result()

    with pytest.raises(FileNotFoundError, match=r"__1_0\.distcp was written elsewhere: all nodes must see the folder"):
        writing.close([(results, files), ([], {"__1_0.distcp": {"bytes": 1, "sha256": ""}})])
    assert set(writing.close([(results, files)])) == {"__0_0.distcp", ".metadata"}


def test_the_release_is_hashed_once(whole: Path) -> None:
    """The ranks of a new run trust what the first one checked: its receipt is there before they look."""
    checked, recipe = ((whole / name).stat().st_mtime_ns for name in ("checked.json", "recipe.toml"))

    assert checked < recipe


def test_only_damaged_checkpoints_are_an_error(half: Path) -> None:
    for path in (half / "checkpoints").glob("*/index.json"):
        path.write_text(path.read_text()[:100])

    with pytest.raises(TrainError, match="no checkpoint is whole"):
        train(Request(folder=half, resume=True))


def test_a_full_disk_costs_a_checkpoint_and_no_step(half: Path) -> None:
    (half / "checkpoints" / "step-00000009.new").rmdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    said: list[str] = []
    trainer = Trainer(open_job(Request(folder=half, resume=True), ALONE, said.append), ALONE, said.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(TrainError, match="step 12 cannot be written"):  # the last one must be
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "the checkpoint of step 9 cannot be written" in " ".join(said)
    assert sorted(path.name for path in (half / "checkpoints").iterdir()) == [
        "step-00000000", "step-00000003", "step-00000006",
    ]  # fmt: skip
    assert events(half)[-1]["event"] == "checkpoint failed"
    assert train(Request(folder=half, resume=True))[0].step == 12


def test_rows_that_hurt_are_skipped(half: Path) -> None:
    said: list[str] = []
    job = open_job(Request(folder=half, resume=True), ALONE, said.append)
    trainer = Trainer(job, ALONE, said.append)
    poisoned = {34, 35}  # the rows of step 9 are 32 to 35
    drawn: list[int] = []
    forward = trainer.forward

    def hurt(tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        rows = {number for number, row in all_rows.items() if (tokens[:, None] == row[:-1]).all(-1).any()}
        drawn.extend(rows)
        return forward(tokens, targets) * (float("nan") if rows & poisoned else 1.0)

    first = next(job.stream.batches(60)).rows.astype(np.int64)
    all_rows = {number: torch.from_numpy(row) for number, row in enumerate(first)}
    trainer.forward = hurt
    progress = trainer.run()
    spike = next(event for event in events(half) if event["event"] == "spike")

    assert "the loss is nan; back to step 6, rows 24 to 36 are skipped" in " ".join(said)
    assert (spike["back_to"], spike["skip"]) == (6, [24, 36])
    assert json.loads((half / "skips.json").read_text()) == [[24, 36]] == [list(one) for one in progress.skips]
    assert progress.step == 12
    assert sorted(set(drawn)) == [*range(24, 36), *range(36, 60)]
    assert [line["step"] for line in read_metrics(half)] == list(range(1, 13))


def test_a_run_that_never_learns_gives_up(release: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    wild = ("train.learning_rate=1e9", "train.warmup_steps=0", "train.most_spikes=2")

    with pytest.raises(TrainError, match="the loss is nan, after 2 spikes; lower the learning rate"):
        train(request(tmp_path / "run", release, tokenizer_path, *wild))
    assert [one["back_to"] for one in events(tmp_path / "run") if one["event"] == "spike"] == [0, 0]


def test_a_signal_ends_the_step_and_leaves_a_checkpoint(whole: Path, half: Path) -> None:
    said: list[str] = []
    trainer = Trainer(open_job(Request(folder=half, resume=True), ALONE, said.append), ALONE, said.append)
    forward = trainer.forward

    def signalled(*tensors: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGUSR1)
        return forward(*tensors)

    trainer.forward = signalled
    progress = trainer.run()

    assert progress.step == 7
    assert "stopped behind step 7" in said[-1]
    assert train(Request(folder=half, resume=True))[0].step == 12
    assert curve(half) == curve(whole)


def test_a_spike_is_a_loss_far_above_late_ones() -> None:
    config = TrainConfig(spike=1.0, spike_window=4)

    assert find_spike(config, 3.5, [2.0, 2.1, 2.2]) == ""  # too few to compare with
    assert find_spike(config, 3.0, [2.0, 2.1, 2.2, 2.0]) == ""
    assert "late ones were about 2.050" in find_spike(config, 3.5, [2.0, 2.1, 2.2, 2.0])
    assert find_spike(replace(config, spike=0.0), float("inf"), []) == "the loss is inf"


def test_an_overflow_halves_the_loss_scale_and_skips_the_step(whole: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    module = torch.nn.ParameterList([weight])
    optimizer = make_optimizer(module, TrainConfig())
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(weight.sum()).backward()
    weight.grad[0, 0] = float("inf")  # type: ignore[index]
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()

    assert scaler.get_scale() == 512.0
    assert bool((weight == 1).all())


def test_another_config_is_refused(half: Path, release: Path, tokenizer_path: Path) -> None:
    with pytest.raises(TrainError, match=r"train.clip: 1.0 then, 0.5 now"):
        train(request(half, release, tokenizer_path, "train.keep=9", "train.clip=0.5", resume=True))
    with pytest.raises(TrainError, match="holds a run already"):
        train(request(half, release, tokenizer_path))
    recipe = half / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("weight_decay = 0.1", "weight_decay = 0.2"))
    with pytest.raises(TrainError, match="belongs to a run with another config"):
        train(Request(folder=half, resume=True))


def test_what_does_not_fit_is_refused_before_a_step(release: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"vocabulary mismatch: model\.vocab_size is 500, the tokeniser has 1,000"):
        train(request(tmp_path / "a", release, tokenizer_path, "model.vocab_size=500"))
    with pytest.raises(TrainError, match="the preset tiny has 256 positions"):
        train(request(tmp_path / "b", release, tokenizer_path, "stream.sequence_length=300"))
    with pytest.raises(TrainError, match="give --release"):
        train(Request(folder=tmp_path / "none", resume=True))
    other = request(tmp_path / "b", release, tokenizer_path, "stream.sequence_length=30", "train.steps=1")
    assert train(other)[0].step == 1  # what was refused is no run
    with pytest.raises(TrainError, match="give --preset or --config to begin"):
        train(Request(folder=tmp_path / "d", release=str(release)))
    with pytest.raises(TrainError, match="held_out is 99, but no language has more row groups than"):
        train(request(tmp_path / "e", release, tokenizer_path, "stream.held_out=99"))
    with pytest.raises(ConfigError, match="unknown preset 'tinny'; did you mean 'tiny'"):
        train(Request(folder=tmp_path / "c", release=str(release), preset="tinny"))


def test_another_tokenizer_is_refused(half: Path) -> None:
    tokenizer = half / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")

    with pytest.raises(TrainError, match="another tokenizer"):
        train(Request(folder=half, resume=True))
