"""The verb `files`: read contents into the workspace."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer

from stackcurate.config import Config
from stackcurate.errors import ConfigError
from stackcurate.verbs.options import ConfigPath, Overrides, err, out
from stackcurate.workspace import Workspace, open_workspace

Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="What `--urls` names: a list for `git`, a folder for `local`, `the-stack`, `the-stack-full`, `swh`.",
    ),
]
Urls = Annotated[str | None, typer.Option("--urls", help="A list of addresses, or a folder; default: the config's.")]
Origins = Annotated[
    str, typer.Option("--origins", help="SQL pattern of the origins of `swh`, the repositories of `the-stack-full`.")
]
Place = Annotated[
    str | None,
    typer.Option("--list", help="Where `swh` and `the-stack-full` write what they join; `swh`: default the workspace."),
]


def files(
    source: Source = "git",
    urls: Urls = None,
    origins: Origins = "%",
    place: Place = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Read the inputs that the workspace lacks, and print what became of them; what failed for a while is tried again.

    Example: `stackcurate files --source git --urls repositories.txt --set sources.snapshot=2026-11`
    """
    from stackcurate import pipeline
    from stackcurate.sources.inputs import only
    from stackcurate.terminal import progress

    given = list(overrides or [])
    if urls is not None:
        loaded = pipeline.load_config(config, given)
        joined = source in ("swh", "the-stack-full")
        one = _listed(loaded, source, urls, origins, place) if joined else only(source, urls)
        given.append(f"sources.inputs={json.dumps([one])}")
    counts: Counter[tuple[str, str]] = Counter()
    for table, error, number in pipeline.collect(pipeline.load_config(config, given), progress(err)):
        counts[table, error or "read"] += number
    for (table, error), number in sorted(counts.items(), key=_repositories_and_what_was_read_first):
        out.print(f"{table} {error}: {number:,}", highlight=False)
    if urls is not None:
        err.print(f"to build from these: sources.inputs = {json.dumps([one])}", markup=False, highlight=False)


def _repositories_and_what_was_read_first(row: tuple[tuple[str, str], int]) -> tuple[bool, bool, int, str]:
    (table, error), number = row
    return table == "files", error != "read", -number, error


def _listed(config: Config, source: str, given: str, pattern: str, place: str | None) -> str:
    """Join the files of an export or corpus to a list, unless that is done, and return the list as an input."""
    from stackcurate.session import spark_session
    from stackcurate.sources.file_lists import list_name, listed_once
    from stackcurate.sources.software_heritage import file_list
    from stackcurate.sources.the_stack_full import joined_files

    if source == "the-stack-full" and place is None:
        raise ConfigError("--source the-stack-full: expected --list: what is joined holds contents, and `purge` must "
                          "find all contents of the workspace")  # fmt: skip
    rows, repository = {"swh": (file_list, "origin"), "the-stack-full": (joined_files, "repo_path")}[source]
    name = list_name(source, given, pattern)
    home = open_workspace(config["workspace"].path) if place is None else Workspace(place)
    found = listed_once(lambda: rows(spark_session(config["spark"]), given, pattern), home, name, repository)
    return f"the-stack:{found}"
