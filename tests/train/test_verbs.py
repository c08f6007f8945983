"""The verbs below `stackcurate train`, as they are typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stackcurate.errors import ConfigError, TrainError
from stackcurate.train.frozen import open_frozen
from stackcurate.verbs.train import app


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
