"""The verbs below `stackcurate train`, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stackcurate.errors import ConfigError, TrainError
from stackcurate.train.frozen import open_frozen
from stackcurate.verbs.train import app
from tests.train.runs import SMALL
from tests.train.test_sandbox import WHY_NOT


def run(*arguments: str | Path) -> str:
    found = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_a_tokenizer_is_trained_and_rows_are_frozen(release: Path, tmp_path: Path) -> None:
    tokenizer, frozen = tmp_path / "tokenizer.json", tmp_path / "frozen"

    said = run("tokenizer", "--release", release, "-o", tokenizer, "--set", "tokenizer.vocab_size=500")
    assert "500 tokens" in said

    given = ("--release", release, "-t", tokenizer, "-o", frozen, "--rows", "7", "--set", "stream.sequence_length=32")
    assert "7 rows of 33 tokens" in run("freeze", *given)
    assert sum(open_frozen(frozen).rows) == 7


@pytest.mark.usefixtures("one_thread")
def test_a_model_is_trained_exported_and_asked(release: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder, model = tmp_path / "run", tmp_path / "model"
    settings = [part for one in (*SMALL, "stream.held_out=2", "train.keep=1") for part in ("--set", one)]

    given = ("--preset", "tiny", "--release", release, "--tokenizer", tokenizer_path, "--output", folder)
    said = run(*given, "--steps", "4", *settings)
    assert "the loss of 4 steps" in said
    assert "going on behind step 4" in run("--output", folder, "--resume")
    assert (folder / "loss.png").exists()
    assert "after 1,024 tokens" in run("export", folder, "-o", model, "--half")

    asked = ("--set", "evaluation.tokens=4", "--set", "evaluation.files=2", "--set", "evaluation.rows=1")
    found = run("evaluate", model, "--release", release, *asked)  # the model says what was held out
    assert "Python" in found
    assert "of 2" in found
    assert run("generate", model, "import os", *asked).startswith("import os")


def test_programs_are_judged(tmp_path: Path) -> None:
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    problems, completions = tmp_path / "problems.jsonl", tmp_path / "completions.jsonl"
    problems.write_text(json.dumps({"task_id": 1, "text": "Double.", "test_list": ["assert double(2) == 4"]}))
    completions.write_text(json.dumps({"task_id": 1, "completion": "def double(x): return 2 * x"}))

    assert "pass@1: 1.0000 of 1 problems" in run("solve", problems, "--completions", completions)
    with pytest.raises(TrainError, match="give --model or --completions"):
        run("solve", problems)


def test_a_run_is_planned() -> None:
    with pytest.raises(TrainError, match="holds no run"):
        run("export", "nowhere", "-o", "model")
    assert "70.7" in run("plan", "15B", "--length", "8192")
    with pytest.raises(ConfigError, match="options of a verb stand behind it"):
        run("--preset", "tiny", "doctor")


def test_doctor_speaks_of_this_torch() -> None:
    found = CliRunner().invoke(app, ["doctor"])

    assert "torch" in found.output


def test_wrong_config_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'vocab_size'"):
        run("tokenizer", "--release", tmp_path, "-o", tmp_path / "t", "--set", "tokenizer.vocab_siz=500")


def test_a_missing_tokenizer_is_named(release: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no tokeniser here"):
        run("freeze", "--release", release, "-t", tmp_path / "none", "-o", tmp_path / "f", "--rows", "1")


def test_the_data_side_needs_neither_torch_nor_spark() -> None:
    code = (
        "import sys, stackcurate.train.frozen, stackcurate.train.doctor;"
        "sys.exit(', '.join({'torch', 'pyspark', 'numba', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
