"""The command line: one verb per stage, and the verbs of a release."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stackcurate.errors import StackcurateError

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
Version = Annotated[str, typer.Option("--version", "-V", help="Version of the release; default: the config's.")]


@app.command()
def build(config: ConfigPath = None, overrides: Overrides = None) -> None:
    """Build the release that a config describes; a second run does only what is missing.

    Example: `stackcurate build --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.terminal import print_funnel, progress

    release = pipeline.build(pipeline.load_config(config, overrides or []), progress(err))
    print_funnel(out, release)


@app.command()
def release(version: Annotated[str, typer.Argument(help="Name of the new release.")], config: ConfigPath = None,
            overrides: Overrides = None) -> None:  # fmt: skip
    """Make another release from the facts that are there, under the config's present policy.

    Example: `stackcurate release v2 --config demo.toml --set quality_policy.preset=none`
    """
    build(config, [*(overrides or []), f'release.version="{version}"'])


@app.command("opt-out")
def opt_out(
    requests: Annotated[list[Path], typer.Argument(help="Files of requests: .csv, .jsonl or .txt.")],
    to: Annotated[str, typer.Option(help="Name of the release without them.")],
    config: ConfigPath = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the requests as understood and stop.")] = False,
) -> None:
    """Make a release that honours more requests; nothing that was scanned is scanned again.

    Example: `stackcurate opt-out requests.csv --to v2 --config demo.toml`
    """
    from stackcurate import pipeline
    from stackcurate.terminal import print_requests

    loaded = pipeline.load_config(config, overrides or [])
    names = [
        *loaded["opt_outs"].requests,
        *(str(path) for path in requests if str(path) not in loaded["opt_outs"].requests),
    ]
    listed = ", ".join(f'"{name}"' for name in names)
    changed = [*(overrides or []), f"opt_outs.requests=[{listed}]"]
    print_requests(out, pipeline.parse_requests(pipeline.load_config(config, changed)))
    if not dry_run:
        release(to, config, changed)


def main() -> None:
    """Run the command line; an expected error prints its message and exits with 1."""
    try:
        app()
    except StackcurateError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped; run the same command again to go on")
        sys.exit(130)


if __name__ == "__main__":
    main()
