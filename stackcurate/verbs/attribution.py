"""The verb that asks where a text comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.errors import SourceError
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Version, err, out
from stackcurate.workspace import Workspace


def attribute(
    files: Annotated[list[Path], typer.Argument(help="Files with the text to look for; `-` reads standard input.")],
    folder: Annotated[str | None, typer.Option("--release", help="Folder of the release.")] = None,
    version: Version = "",
    config: ConfigPath = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Say which released files a text copies from, and under which licence; exits with 1 where nothing is found.

    What is reported was compared character by character, whitespace aside.

    Example: `stackcurate attribute generated.py --release workspace/releases/v1`
    """
    from stackcurate import pipeline
    from stackcurate.release.attribution import Attribution, credits_of
    from stackcurate.terminal import printable

    if folder is None:
        loaded = pipeline.load_config(config, overrides or [])
        home = Workspace(loaded["workspace"].path)
        folder = home.below("releases", version or loaded["release"].version).root
    attribution = Attribution(folder)
    found = 0
    for path in files:
        answer = attribution.check(_text(path))
        found += len(answer.matches)
        if as_json:
            out.file.write(json.dumps({"file": str(path), **asdict(answer)}) + "\n")
            continue
        for match, line in zip(answer.matches, credits_of(answer), strict=True):
            place = f"{path}:{match.start_line}-{match.end_line}"
            out.print(printable(f"{place}  {line}"), markup=False, highlight=False)
        if not answer.complete:
            err.print(f"{path}: too many files share pieces of it; there may be more", style="yellow", markup=False)
    if not found:
        err.print(f"no verbatim run of {attribution.guaranteed} characters or more, whitespace aside", highlight=False)
        raise typer.Exit(1)


def _text(path: Path) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
