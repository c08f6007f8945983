"""The verbs of opt-outs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.verbs.options import ConfigPath, NewVersion, Overrides, Replace, out
from stackcurate.verbs.releases import release


def opt_out(
    requests: Annotated[list[Path], typer.Argument(help="Files of requests: .csv, .jsonl or .txt.")],
    to: NewVersion,
    config: ConfigPath = None,
    overrides: Overrides = None,
    replace: Replace = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the requests as understood and stop.")] = False,
) -> None:
    """Make a release that honours more requests; nothing that was scanned is scanned again.

    Example: `stackcurate opt-out requests.csv --to v2 --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.terminal import print_rows

    known = pipeline.load_config(config, overrides or [])["opt_outs"].requests
    names = list(dict.fromkeys((*known, *map(str, requests))))
    changed = [*(overrides or []), f"opt_outs.requests={json.dumps(names)}"]
    print_rows(out, pipeline.requests_of(pipeline.load_config(config, changed)), as_json=False)
    if not dry_run:
        release(to, config, changed, replace)
