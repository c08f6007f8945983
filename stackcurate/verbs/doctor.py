"""The verb that looks at the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from stackcurate.verbs.options import out

RunLocal = Annotated[bool, typer.Option("--run-local", help="Start Spark and run a small job.")]


def doctor(run_local: RunLocal = False) -> None:
    """Say what this machine has, and how to mend what is missing.

    Example: `stackcurate doctor --run-local`
    """
    from stackcurate.doctor import checks

    styles = {"ok": "green", "note": "yellow", "missing": "bold red"}
    missing = 0
    for check in checks(run_spark=run_local):
        out.print(f"[{styles[check.state]}]{check.state:8}[/]{check.name:20}", end="")
        out.print(check.found, f"-> {check.remedy}" if check.remedy else "", markup=False, highlight=False)
        missing += check.state == "missing"
    raise typer.Exit(1 if missing else 0)
