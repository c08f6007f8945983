"""The command line: one verb per stage, and the verbs of a release."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stackcurate.errors import ReleaseError, StackcurateError
from stackcurate.stage import Stage
from stackcurate.stages import PIPELINE
from stackcurate.workspace import Workspace, open_workspace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Build, check and maintain code datasets of the kind of The Stack.",
    epilog="Example: `stackcurate build --config demo.toml --set release.version=v2`",
)
out, err = Console(), Console(stderr=True)

ConfigPath = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; see the reference in the README.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", "-s", help="Override a value: `section.key=value`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")]
Paths = Annotated[list[Path] | None, typer.Argument(help="Files, folders or archives to look at, without Spark.")]
Replace = Annotated[bool, typer.Option("--replace", help="Build a release anew that was made from something else.")]
RunLocal = Annotated[bool, typer.Option("--run-local", help="Start Spark and run a small job.")]
Query = Annotated[str, typer.Argument(help="An owner, owner/repository, owner/repository/path or a blob id.")]
NewVersion = Annotated[str, typer.Option("--to", help="Name of the new release.")]
Version = Annotated[str, typer.Option("--version", "-V", help="Version of the release; default: the config's.")]


@app.command()
def build(config: ConfigPath = None, overrides: Overrides = None, replace: Replace = False) -> None:
    """Build the release that a config describes; a second run does only what is missing.

    Example: `stackcurate build --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.terminal import print_release, progress

    loaded = pipeline.load_config(config, overrides or [])
    for source in pipeline.unreadable_requests(loaded):
        err.print(f"opt-out request not understood, a person has to read it: {source}", style="yellow", markup=False)
    print_release(out, pipeline.build(loaded, progress(err), replace=replace))


@app.command()
def release(to: NewVersion, config: ConfigPath = None, overrides: Overrides = None, replace: Replace = False) -> None:
    """Make another release from the facts that are there, under the config's present policy.

    Example: `stackcurate release --to v2 --config demo.toml --set quality_policy.preset=none`
    """
    build(config, [*(overrides or []), f"release.version={json.dumps(to)}"], replace)


@app.command("opt-out")
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


@app.command()
def lookup(query: Query, version: Version = "", config: ConfigPath = None, overrides: Overrides = None,
           as_json: Json = False) -> None:  # fmt: skip
    """Say whether an owner, repository, file or blob is in a release, and why or why not.

    Example: `stackcurate lookup octocat/hello-world --config demo.toml`
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


@app.command()
def verify(
    folder: Annotated[Path | None, typer.Argument(help="Folder of a release; default: that of the config.")] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not look for personal data and secrets again.")] = False,
) -> None:
    """Read a release again and prove manifest, schema, uniqueness, redaction and opt-outs.

    Example: `stackcurate verify --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.verify import verify as check
    from stackcurate.terminal import printable

    loaded = pipeline.load_config(config, overrides or [])
    place = folder or Path(loaded["workspace"].path) / "releases" / loaded["release"].version
    requests = pipeline.active_requests(loaded)
    if not requests:
        err.print("no opt-out requests in the config: owners are not checked", style="yellow")
    findings = check(Workspace(str(place)), opted_out=requests, rescan=not quick)
    for problem in findings.problems:
        err.print(printable(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    if findings.left_out:
        err.print(f"and {findings.left_out:,} more", style="red")
    out.print(f"{findings.rows:,} rows in {findings.shards:,} shards read, "
              f"{len(findings.problems) + findings.left_out:,} problems", highlight=False)  # fmt: skip
    if findings.problems:
        raise typer.Exit(1)


@app.command()
def report(version: Version = "", config: ConfigPath = None, overrides: Overrides = None) -> None:
    """Print the funnel of a release and where its report lies.

    Example: `stackcurate report --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.manifest import load_release
    from stackcurate.terminal import print_release

    loaded = pipeline.load_config(config, overrides or [])
    name = version or loaded["release"].version
    found = load_release(open_workspace(loaded["workspace"].path, create=False), name)
    if found is None:
        raise ReleaseError(f"no complete release {name!r} in {loaded['workspace'].path}; `stackcurate build` makes it")
    print_release(out, found)


@app.command()
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


def _add_stage_verb(stage: Stage) -> None:
    def verb(
        paths: Paths = None, config: ConfigPath = None, overrides: Overrides = None, as_json: Json = False
    ) -> None:
        from stackcurate import pipeline
        from stackcurate.sample import look
        from stackcurate.terminal import print_rows, progress

        loaded = pipeline.load_config(config, overrides or [])
        if paths:
            print_rows(out, look(stage, paths, loaded), as_json=as_json)
        else:
            for name, value in pipeline.run_until(loaded, stage, progress(err)).items():
                out.print(f"{stage.name} {name}: {value:,}", highlight=False)

    name = stage.name.replace("_", "-")
    verb.__doc__ = (
        f"{stage.doc}\n\nWith paths: print what is found in these files. Without: run the pipeline up to here.\n\n"
        f"Example: `stackcurate {name} src/`"
    )
    app.command(name, rich_help_panel="Stages")(verb)


for _stage in PIPELINE:
    _add_stage_verb(_stage)


def main(verb: str | None = None) -> None:
    """Run the command line; an expected error prints its message and exits with 1.

    Args:
        verb: the verb that a job stands for; None means the first argument.
    """
    try:
        app([verb, *sys.argv[1:]] if verb else None)
    except StackcurateError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped; the same command goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
