"""GitHub's API into the workspace: the driver asks alone, so that tokens stay there, and writes a run per source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from stackcurate import schema
from stackcurate.errors import ConfigError
from stackcurate.sources.github import by_name, describe, everything, listed_row, owned, wanted_of
from stackcurate.sources.github_client import Client
from stackcurate.sources.repos_config import GITHUB, ReposConfig
from stackcurate.stages.tables import OnRows, in_batches, watch, write_part
from stackcurate.workspace import Run, Workspace, commit, runs

_NAMES = 50_000
"""Names that are described in one run."""

Progress = Callable[[str, int], AbstractContextManager[OnRows]]


def ingest_github(workspace: Workspace, place: str, client: Client, config: ReposConfig, progress: Progress) -> None:
    """Ask the API for what one source names, unless that is there, and write `repo_records`; the driver does it alone.

    Args:
        workspace: where the table is.
        place: what follows `github:` in a source.
        client: the client.
        config: the name of the snapshot.
        progress: shows repositories as they are described.

    Raises:
        ConfigError: there is no such account or file, or a name is wrong.
        SourceError: GitHub does not answer, or accepts no token.
    """
    if place == "*":
        _ingest_everything(workspace, client, config, progress)
        return
    if "/" not in place and not place.startswith("@"):
        _describe(workspace, client, config, progress, [place], lambda: owned(client, place))
        return
    names = [place] if not place.startswith("@") else _names(place[1:])
    wanted = list(by_name(names))
    for first in range(0, len(wanted), _NAMES):
        block = wanted[first : first + _NAMES]
        rows = partial(describe, client, block)
        _write(workspace, config, progress, [str(one.name) for one in block], len(block), rows)


def _describe(
    workspace: Workspace, client: Client, config: ReposConfig, progress: Progress, what: list[str],
    listing: Callable[[], Iterable[dict[str, Any]]],
) -> None:  # fmt: skip
    if _known(workspace, config, what):
        return
    listed = list(listing())
    _write(workspace, config, progress, what, len(listed), partial(_rows, client, listed))


def _rows(client: Client, listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Describe listed repositories; without a token the listing itself has to do."""
    if client.anonymous:
        now = client.clock.now()
        return (listed_row(one, now) for one in listed)
    return describe(client, map(wanted_of, listed))


def _ingest_everything(workspace: Workspace, client: Client, config: ReposConfig, progress: Progress) -> None:
    """Go on with the listing of everything where the last run of this snapshot stopped."""
    digest = _digest(config, ["*"])
    since = max((run.metrics["since"] for run in runs(workspace, schema.REPO_RECORDS.name, digest=digest)), default=0)
    pages = everything(client, since)
    while block := list(islice(pages, config.pages_per_run)):
        since, listed = block[-1][0], [one for _, page in block for one in page]
        if not listed:
            return  # nothing is new; a run of that end is there
        rows = partial(_rows, client, listed)
        _write(workspace, config, progress, ["*"], len(listed), rows, since=since)


def _write(
    workspace: Workspace, config: ReposConfig, progress: Progress, what: list[str], total: int,
    rows: Callable[[], Iterator[dict[str, Any]]], **metrics: int,
) -> None:  # fmt: skip
    """Write a run of rows, unless there is one of the same; a run of a part of everything bears its end in its name."""
    digest = _digest(config, what)
    if not metrics and _known(workspace, config, what):
        return
    suffix = "".join(f"-{value}" for value in metrics.values())
    run = Run(table=schema.REPO_RECORDS.name, run_id=f"github-{digest[:16]}{suffix}", digest=digest, metrics=metrics)
    with progress("repositories", total) as on_rows, watch(workspace, schema.REPO_RECORDS, run.run_id, on_rows):
        batches = in_batches(rows(), schema.REPO_RECORDS.columns)
        part = write_part(batches, workspace, schema.REPO_RECORDS, run.run_id)
    commit(workspace, replace(run, parts=(part,) if part else ()))


def _known(workspace: Workspace, config: ReposConfig, what: list[str]) -> bool:
    return bool(runs(workspace, schema.REPO_RECORDS.name, digest=_digest(config, what)))


def _digest(config: ReposConfig, what: list[str]) -> str:
    return hashlib.sha256(json.dumps([GITHUB, config.api_url, config.snapshot, what]).encode()).hexdigest()


def _names(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"github:@{path}: {type(error).__name__}: expected a file with owner/name per line") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
