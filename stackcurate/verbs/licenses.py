"""The verb of the licence stage, which can also say why each file has the licence it has."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any

import typer

from stackcurate.errors import ConfigError
from stackcurate.stages import licenses as stage
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Paths, err, out
from stackcurate.verbs.stages import look_or_run

Explain = Annotated[
    bool, typer.Option("--explain", help="Say of each file whether its licence lets it in, and on what evidence.")
]

_DECISION = ("kept", "license", "license_type", "license_reason", "meaning", "license_source")
_EVIDENCE = ("license_path", "license_lines", "license_rule")


def licenses(
    paths: Paths = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    as_json: Json = False,
    explain: Explain = False,
) -> None:
    """Decide the licence of each file from headers, folders, manifests and REUSE.

    With paths: print what is found in these files. Without: run the pipeline up to here.

    Example: `stackcurate licenses --explain requests-2.13.0.tar.gz`
    """
    if not explain:
        look_or_run(stage, paths, config, overrides, as_json=as_json)
        return
    if not paths:
        raise ConfigError("--explain: expected a file, folder or archive to look at, found none")
    from stackcurate import pipeline, sample
    from stackcurate.terminal import print_rows

    loaded = pipeline.load_config(config, overrides or [])
    decided = sample.explain(sample.read_files(paths, loaded["sources"]), loaded)
    if as_json:
        print_rows(out, decided, as_json=True)
        return
    rows = sorted(decided.to_pylist(), key=_order)
    for _, files in groupby(rows, key=_decision):
        _print_decision(list(files))
    kept = sum(row["kept"] for row in rows)
    err.print(f"{kept:,} of {len(rows):,} files may be released by licence; profile {loaded['policy'].profile}",
              highlight=False)  # fmt: skip


def _decision(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what files of one decision share; each header is evidence for its own file alone."""
    shared = (row[name] for name in _DECISION)
    return (*shared, *(None if _in_header(row) else row[name] for name in _EVIDENCE))


def _in_header(row: dict[str, Any]) -> bool:
    return bool(row["license_path"] == row["path"])


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return (not row["kept"], *(str(value or "") for value in _decision(row)[1:]), row["path"])


def _print_decision(rows: list[dict[str, Any]]) -> None:
    """Print a decision, what it rests on, and the files that it is about."""
    from rich.text import Text

    first = rows[0]
    mark, style = ("kept", "bold green") if first["kept"] else ("out", "bold red")
    licence = f"{first['license'] or 'no licence'} ({first['license_type'] or 'none'})"
    out.print(
        Text(f"{mark:5}", style), Text(licence), Text(f"{len(rows):,} {'file' if len(rows) == 1 else 'files'}", "dim")
    )
    _line(f"  {first['license_reason']}: {first['meaning']}", "italic")
    if first["license_source"]:
        _line(f"  {first['license_source']}: {'each file itself' if _in_header(first) else _evidence(first)}", "cyan")
    for row in rows:
        _line("    " + ": ".join(filter(None, (row["path"], _evidence(row, own=True) if _in_header(row) else None))))


def _evidence(row: dict[str, Any], *, own: bool = False) -> str:
    path, lines, rule = (row[name] for name in _EVIDENCE)
    return ", ".join(filter(None, (None if own else path, lines and f"lines {lines}", rule)))


def _line(text: str, style: str = "") -> None:
    from rich.text import Text

    from stackcurate.terminal import printable

    out.print(Text(printable(f"    {text}"), style))
