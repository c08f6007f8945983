"""The verb `files`: read contents into the workspace."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.config import Config
from stackcurate.verbs.options import ConfigPath, Overrides, err, out

Source = Annotated[
    str,
    typer.Option("--source", help="What `--urls` names: a list for `git`, a folder for `the-stack`, `swh`, `local`."),
]
Urls = Annotated[str | None, typer.Option("--urls", help="A list of addresses, or a folder; default: the config's.")]
Origins = Annotated[str, typer.Option("--origins", help="For `swh`: SQL pattern of the origins that are wanted.")]


def files(
    source: Source = "git",
    urls: Urls = None,
    origins: Origins = "%",
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
        one = f"the-stack:{_listed(loaded, urls, origins)}" if source == "swh" else only(source, urls)
        given.append(f"sources.inputs={json.dumps([one])}")
    counts: Counter[tuple[str, str]] = Counter()
    for table, error, number in pipeline.collect(pipeline.load_config(config, given), progress(err)):
        counts[table, error or "read"] += number
    for (table, error), number in sorted(counts.items()):
        out.print(f"{table} {error}: {number:,}", highlight=False)


def _listed(config: Config, export: str, origins: str) -> str:
    """List the files of a graph export of Software Heritage in the workspace, unless that is done."""
    from stackcurate.session import spark_session
    from stackcurate.sources.software_heritage import file_list, write_file_list

    key = hashlib.sha256(f"{export}\0{origins}".encode()).hexdigest()[:16]
    folder = Path(config["workspace"].path, "lists", f"swh-{key}").absolute()
    if not (folder / "_SUCCESS").exists():
        write_file_list(file_list(spark_session(config["spark"]), export, origins), str(folder))
    return str(folder)
