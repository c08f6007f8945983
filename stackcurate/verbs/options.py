"""Options that several verbs share, and the two consoles they print to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
"""Answers go to stdout, all that is said on the way to stderr; lines are not broken, so that they can be searched."""

ConfigPath = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; see the reference in the README.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", "-s", help="Override a value: `section.key=value`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")]
Paths = Annotated[list[Path] | None, typer.Argument(help="Files, folders or archives to look at, without Spark.")]
Replace = Annotated[bool, typer.Option("--replace", help="Build a release anew that was made from something else.")]
NewVersion = Annotated[str, typer.Option("--to", help="Name of the new release.")]
Version = Annotated[str, typer.Option("--version", "-V", help="Version of the release; default: the config's.")]
