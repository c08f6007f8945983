"""The verbs of a release: build, release, lookup, verify, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.errors import ReleaseError
from stackcurate.verbs.options import ConfigPath, Json, NewVersion, Overrides, Replace, Version, err, out
from stackcurate.workspace import Workspace, open_workspace

Query = Annotated[str, typer.Argument(help="An owner, owner/repository, owner/repository/path or a blob id.")]


def build(config: ConfigPath = None, overrides: Overrides = None, replace: Replace = False) -> None:
    """Build the release that a config describes; a second run does only what is missing.

    Example: `stackcurate build --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.terminal import print_release, progress

    loaded = pipeline.load_config(config, overrides or [])
    for source in pipeline.unreadable_requests(loaded):
        err.print(f"opt-out request not understood, a person has to read it: {source}", style="yellow", markup=False)
    print_release(out, pipeline.build(loaded, progress(err), replace=replace))


def release(to: NewVersion, config: ConfigPath = None, overrides: Overrides = None, replace: Replace = False) -> None:
    """Make another release from the facts that are there, under the config's present policy.

    Example: `stackcurate release --to v2 --config build.toml --set quality_policy.preset=none`
    """
    build(config, [*(overrides or []), f"release.version={json.dumps(to)}"], replace)


def lookup(query: Query, version: Version = "", config: ConfigPath = None, overrides: Overrides = None,
           as_json: Json = False) -> None:  # fmt: skip
    """Say whether an owner, repository, file or blob is in a release, and why or why not.

    Example: `stackcurate lookup octocat/hello-world --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.lookup import lookup as find
    from stackcurate.terminal import print_rows

    loaded = pipeline.load_config(config, overrides or [])
    workspace = open_workspace(loaded["workspace"].path, create=False)
    rows = find(workspace, version or loaded["release"].version, query)
    if not rows.num_rows:
        err.print(f"nothing of that name was read: {query}", markup=False)
        raise typer.Exit(1)
    print_rows(out, rows if as_json else rows.drop(["revision", "shard"]), as_json=as_json)
    kept = sum(rows["kept"].to_pylist())
    err.print(f"{kept:,} of {rows.num_rows:,} files are in the release", highlight=False)


def verify(
    folder: Annotated[str | None, typer.Argument(help="Folder of a release; default: that of the config.")] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not look for personal data and secrets again.")] = False,
) -> None:
    """Read a release again and prove manifest, schema, uniqueness, redaction and opt-outs.

    Example: `stackcurate verify --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.verify import verify as check
    from stackcurate.terminal import printable

    loaded = pipeline.load_config(config, overrides or [])
    home = Workspace(loaded["workspace"].path).below("releases", loaded["release"].version)
    requests = pipeline.active_requests(loaded)
    if not requests:
        err.print("no opt-out requests in the config: owners are not checked", style="yellow")
    findings = check(Workspace(folder) if folder else home, opted_out=requests, rescan=not quick)
    for problem in findings.problems:
        err.print(printable(problem), style="red", markup=False, highlight=False)
    if findings.left_out:
        err.print(f"and {findings.left_out:,} more", style="red")
    out.print(f"{findings.rows:,} rows in {findings.shards:,} shards read, "
              f"{len(findings.problems) + findings.left_out:,} problems", highlight=False)  # fmt: skip
    if findings.problems:
        raise typer.Exit(1)


def report(version: Version = "", config: ConfigPath = None, overrides: Overrides = None) -> None:
    """Print the funnel of a release and where its report lies.

    Example: `stackcurate report --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.manifest import load_release
    from stackcurate.terminal import print_release

    loaded = pipeline.load_config(config, overrides or [])
    name = version or loaded["release"].version
    found = load_release(open_workspace(loaded["workspace"].path, create=False), name)
    if found is None:
        raise ReleaseError(
            f"no complete release {name!r} in {loaded['workspace'].path}; `stackcurate build` makes it, "
            "`--version` names another"
        )
    print_release(out, found)


def diff(
    old: Annotated[str, typer.Argument(help="The older release: its version, or its folder.")],
    new: Annotated[str, typer.Argument(help="The newer release: its version, or its folder.")],
    config: ConfigPath = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Say what changed from one release to another: files by language, or each file as JSON lines.

    Example: `stackcurate diff v1 v2 --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.diff import diff as compare
    from stackcurate.release.diff import summary
    from stackcurate.terminal import print_rows

    home = Workspace(pipeline.load_config(config, overrides or [])["workspace"].path)
    places = [
        Workspace(name) if "://" in name or Path(name).is_dir() else home.below("releases", name) for name in (old, new)
    ]
    changes = compare(*places)
    print_rows(out, changes if as_json else summary(changes), as_json=as_json)
    err.print(f"{changes.num_rows:,} files differ", highlight=False)
