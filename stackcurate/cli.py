"""The command line: one verb per stage, and the verbs of a release. Each verb stands in `stackcurate.verbs`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from stackcurate.errors import StackcurateError
from stackcurate.stages import PIPELINE
from stackcurate.verbs import (
    attribution,
    contamination,
    doctor,
    files,
    language,
    licenses,
    malware,
    opt_outs,
    pii,
    releases,
    repos,
    serve,
    train,
)
from stackcurate.verbs.options import err
from stackcurate.verbs.stages import stage_verb, verb_name

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Build, check and maintain code datasets of the kind of The Stack.",
    epilog="Example: `stackcurate build --config build.toml --set release.version=v2`",
)

app.command()(releases.build)
app.command()(repos.repos)
app.command()(files.files)
app.command()(releases.release)
app.command("opt-out")(opt_outs.opt_out)
app.command("apply-removals")(opt_outs.apply_removals)
app.command()(opt_outs.prove)
app.command()(opt_outs.purge)
app.command()(releases.lookup)
app.command()(attribution.attribute)
app.command()(releases.verify)
app.command()(releases.report)
app.command()(releases.diff)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.add_typer(train.app, name="train")

_richer: dict[str, Callable[..., None]] = {
    "contamination": contamination.contamination,
    "language": language.language,
    "licenses": licenses.licenses,
    "malware": malware.malware,
    "pii": pii.pii,
}
for _stage in PIPELINE:
    app.command(verb_name(_stage), rich_help_panel="Stages")(_richer.get(_stage.name) or stage_verb(_stage))


def main(verb: str | None = None) -> None:
    """Run the command line; an expected error prints its message and exits with 1.

    Args:
        verb: the verb that a job stands for; None means the first argument.
    """
    try:
        app([verb, *sys.argv[1:]] if verb else None)
    except StackcurateError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped; the same command goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
