"""What a person sees who types a verb: help with an example, tables that fit, one sentence where something is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from stackcurate.cli import app
from stackcurate.errors import ConfigError, ReleaseError, SourceError, StackcurateError
from stackcurate.terminal import print_rows

VERBS = vars(typer.main.get_command(app))["commands"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_verb_has_an_example_of_it(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"], terminal_width=200)

    assert shown.exit_code == 0
    assert f"Example: stackcurate {verb}" in shown.output


def shown(rows: pa.Table, width: int) -> list[str]:
    out = io.StringIO()
    print_rows(Console(file=out, width=width), rows, as_json=False)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def test_rows_are_a_table_where_it_fits_and_a_line_per_column_elsewhere() -> None:
    rows = pa.table({"path": ["a.py", "b.py"], "reason": ["unknown_language", None], "spans": [[1, 2, 3, 4], []]})

    assert shown(rows, 80)[2].split() == ["a.py", "unknown_language", "1"]
    assert shown(rows, 30) == ["a.py", "  reason  unknown_language", "  spans   1", " " * 10 + "2", " " * 10 + "3",
                               " " * 10 + "and 1 more", "b.py"]  # fmt: skip


def test_a_path_is_folded_before_a_code_is() -> None:
    lines = shown(pa.table({"path": ["folder/" * 12], "reason": ["license_weak_copyleft"]}), 60)

    assert any("license_weak_copyleft" in line for line in lines)


def test_nothing_is_said_to_be_nothing() -> None:
    assert shown(pa.table({"path": pa.array([], pa.string())}), 80) == ["nothing found"]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("quality", "cut.tar.gz"), SourceError, "cut.tar.gz: nothing can be read, the archive is damaged"),
        (("opt-outs", "gone.csv"), SourceError, "opt-out requests gone.csv: No such file"),
        (("prove", "gone.jsonl", "--release", "v1"), ReleaseError, "gone.jsonl: no such file; receipts of a release"),
        (("build", "--set", "spark.master=loca[2]"), ConfigError, "master must be local"),
        (("build", "--set", "spark.driver_memory=lots"), ConfigError, "driver_memory must be a number with k, m or g"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], kind: type[StackcurateError],
    sentence: str,
) -> None:  # fmt: skip
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08 and no more")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)

    assert isinstance(done.exception, kind)
    assert sentence in str(done.exception)
