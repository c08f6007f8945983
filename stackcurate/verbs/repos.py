"""The verb of repository metadata: pull it, and say what is worth a download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.verbs.options import ConfigPath, Overrides, err, out


def repos(
    source: Annotated[
        list[str] | None, typer.Option("--source", help="`gharchive:PLACE`, `github:OWNER`; see `[repos] sources`.")
    ] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    urls: Annotated[
        Path | None, typer.Option("--urls", help="Write the clone address of each repository that is selected.")
    ] = None,
) -> None:
    """Pull repository metadata from GH Archive or GitHub, and count what is worth a download, and why the rest is not.

    Tokens come from the file that `repos.tokens_file` names, else from the environment variable `GITHUB_TOKEN`.

    Example: `stackcurate repos --source gharchive:hours --config build.toml --set repos.min_stars=10`
    """
    from stackcurate import pipeline
    from stackcurate.errors import ConfigError, plain_errors
    from stackcurate.release.ledger import record_requests
    from stackcurate.session import spark_session
    from stackcurate.sources.identities import with_authors
    from stackcurate.sources.repositories import damaged_hours, pull
    from stackcurate.sources.selection import clone_urls, counts, select
    from stackcurate.terminal import progress
    from stackcurate.workspace import locked, open_workspace

    if urls is not None and not urls.parent.is_dir():
        raise ConfigError(f"--urls {urls}: no such folder as {urls.parent}; make it first")
    given = [*(overrides or []), *([f"repos.sources={json.dumps(source)}"] if source else [])]
    loaded = pipeline.load_config(config, given)
    workspace = open_workspace(loaded["workspace"].path)
    with plain_errors(workspace.root), locked(workspace):
        record_requests(workspace, pipeline.given_requests(loaded))
        section = loaded["repos"]
        records = pull(lambda: spark_session(loaded["spark"]), workspace, section, progress(err),
                       lambda said: err.print(said, style="yellow"))  # fmt: skip
        requests = with_authors(workspace, pipeline.requests_of(loaded))
        chosen = select(records, section, requests, loaded["opt_outs"].copies).persist()
        for sentence in damaged_hours(workspace):
            err.print(sentence, style="yellow", highlight=False)
        for reason, number in counts(chosen).items():
            out.print(f"{reason}: {number:,}", highlight=False)
        if urls is not None:
            urls.write_text("".join(f"{url}\n" for url in clone_urls(chosen)), encoding="utf-8")
            err.print(f"their addresses: {urls}; `stackcurate files --source git --urls {urls}` fetches them",
                      markup=False, highlight=False)  # fmt: skip
