"""The verb of a stage: look at some files, or run the pipeline up to it."""

from __future__ import annotations

from collections.abc import Callable

from stackcurate.stage import Stage
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Paths, err, out


def stage_verb(stage: Stage) -> Callable[..., None]:
    """Return the verb of a stage."""

    def verb(
        paths: Paths = None, config: ConfigPath = None, overrides: Overrides = None, as_json: Json = False
    ) -> None:
        look_or_run(stage, paths, config, overrides, as_json=as_json)

    verb.__doc__ = (
        f"Show {stage.doc[0].lower()}{stage.doc[1:]}\n\n"
        "With paths: print what is found in these files. Without: run the pipeline up to here.\n\n"
        f"Example: `stackcurate {verb_name(stage)} src/`"
    )
    return verb


def verb_name(stage: Stage) -> str:
    """Return what a stage is called on the command line."""
    return stage.name.replace("_", "-")


def look_or_run(stage: Stage, paths: Paths, config: ConfigPath, overrides: Overrides, *, as_json: bool) -> None:
    """Print what a stage finds in some files, without Spark; without paths run the pipeline up to it."""
    from stackcurate import pipeline
    from stackcurate.sample import look
    from stackcurate.terminal import print_rows, progress

    loaded = pipeline.load_config(config, overrides or [])
    if paths:
        print_rows(out, look(stage, paths, loaded), as_json=as_json)
        return
    for name, value in pipeline.run_until(loaded, stage, progress(err)).items():
        out.print(f"{stage.name} {name}: {value:,}", highlight=False)
