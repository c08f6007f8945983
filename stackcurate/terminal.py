"""What a person sees in the terminal: progress bars, the funnel, tables of facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from stackcurate.release.manifest import FUNNEL, Release
from stackcurate.release.report import REPORT
from stackcurate.workspace import Workspace, read_json

if TYPE_CHECKING:
    from stackcurate.facts import Progress as BuildProgress
    from stackcurate.stages.tables import OnRows


_DIGEST = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$")
_NARROW = 24
"""Characters of a column up to which a table does not break it."""


class _Rate(ProgressColumn):
    """Rows per second so far."""

    def render(self, task: Task) -> Text:
        """Return the rate of a task."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="dim")


def progress(console: Console) -> BuildProgress:
    """Return a progress display: a bar with rate and time left on a terminal, a line per stage elsewhere."""

    @contextmanager
    def show(name: str, total: int) -> Iterator[OnRows]:
        if not console.is_terminal:
            console.print(f"{name}: {total:,} rows", highlight=False)
            yield lambda _rows: None
            return
        columns = (
            TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), _Rate(),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console) as bars:
            task = bars.add_task(name, total=total)
            yield lambda rows: bars.update(task, completed=rows)
            bars.update(task, completed=total)

    return show


def funnel_table(funnel: Mapping[str, Any]) -> Table:
    """Return the funnel as a table: what was read, what went at which stage and why, what stayed."""
    table = Table(title="Funnel", title_justify="left")
    for heading, justify in (
        ("stage", "left"),
        ("reason", "left"),
        ("files", "right"),
        ("MB", "right"),
        ("share", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    total = funnel["files"] or 1

    def line(stage: str, reason: str, files: int, size: int, style: str = "") -> None:
        cells = (stage, reason, f"{files:,}", f"{size / 1e6:,.1f}", f"{100 * files / total:.1f} %")
        table.add_row(*cells, style=style)

    line("read", "", funnel["files"], funnel["bytes"], "bold")
    for row in funnel["dropped"]:
        line(row["stage"], row["reason"], row["files"], row["bytes"], "dim")
    line("kept", "", funnel["kept"]["files"], funnel["kept"]["bytes"], "bold green")
    return table


def print_release(console: Console, release: Release) -> None:
    """Print the funnel of a release and where it lies."""
    funnel = read_json(Workspace(release.path), FUNNEL)
    console.print(funnel_table(funnel))
    dropped = sum(row["files"] for row in funnel["dropped"])
    console.print(f"{funnel['kept']['files']:,} kept + {dropped:,} dropped = {funnel['files']:,} read", highlight=False)
    errors = funnel["repositories"]["errors"]
    if errors:
        listed = ", ".join(f"{count} {reason}" for reason, count in errors.items())
        console.print(f"repositories with errors: {listed}", style="yellow")
    console.print(f"release {release.version}: {release.path}", style="bold", markup=False)
    console.print(f"report: {Workspace(release.path).below(REPORT).root}", markup=False)


def print_rows(console: Console, rows: pa.Table, *, as_json: bool) -> None:
    """Print facts as JSON lines, or as a table: without columns that are all null, ids and nested values shortened.

    What is too wide for a table is printed row by row, a line per column.
    """
    if as_json:
        for row in rows.to_pylist():
            console.file.write(json.dumps(row, default=str) + "\n")
        return
    if not rows.num_rows:
        console.print("nothing found", style="dim")
        return
    shown = {
        name: [*map(_cell, rows[name].to_pylist())] for name in rows.column_names if rows[name].null_count < len(rows)
    }
    widths = {name: max(map(len, "\n".join([name, *cells]).split("\n"))) for name, cells in shown.items()}
    if sum(min(width, _NARROW) + 3 for width in widths.values()) > console.width:
        _print_records(console, shown)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, width in widths.items():
        table.add_column(name, overflow="fold", no_wrap=width <= _NARROW)
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def _print_records(console: Console, columns: Mapping[str, list[str]]) -> None:
    """Print rows below each other, each under its first column, a line per further column that says something."""
    (_, heads), *others = columns.items()
    width = max((len(name) for name, _ in others), default=0)
    for number, head in enumerate(heads):
        console.print(Text(head, "bold"))
        for name, cells in others:
            if cells[number] != "-":
                said = cells[number].replace("\n", "\n" + " " * (width + 4))
                console.print(Text.assemble("  ", (f"{name:{width}}", "dim"), "  ", said))


def _cell(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return " ".join(_cell(part) for part in value.values() if part is not None)
    if isinstance(value, list):
        return "\n".join([*map(_cell, value[:3]), *([f"and {len(value) - 3} more"] if len(value) > 3 else [])])
    return printable(value)[:12] if _DIGEST.match(str(value)) else printable(value)


def printable(value: object) -> str:
    """Return a text without what a terminal would obey: hostile names hold escapes."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value))
