"""stackcurate: build, check and maintain code datasets of the kind of The Stack.

>>> import stackcurate
>>> [stage.name for stage in stackcurate.PIPELINE][:3]
['license_scan', 'licenses', 'language']

The names below are all there is to remember; each is imported on first use, so that `import stackcurate` costs
nothing and needs neither Spark nor models. Everything else is imported from the module that holds it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackcurate import errors, kernels, plots, sample, schema, session, stages
    from stackcurate.pipeline import build, load_config
    from stackcurate.release.attribution import Attribution
    from stackcurate.release.correction import correct
    from stackcurate.release.lookup import lookup
    from stackcurate.release.verify import verify
    from stackcurate.stage import Stage
    from stackcurate.stages import PIPELINE
    from stackcurate.workspace import Workspace

__all__ = [
    "PIPELINE",
    "Attribution",
    "Stage",
    "Workspace",
    "build",
    "correct",
    "errors",
    "kernels",
    "load_config",
    "lookup",
    "plots",
    "sample",
    "schema",
    "session",
    "stages",
    "verify",
]

_HOMES = {
    "Attribution": "release.attribution",
    "PIPELINE": "stages",
    "Stage": "stage",
    "Workspace": "workspace",
    "build": "pipeline",
    "correct": "release.correction",
    "load_config": "pipeline",
    "lookup": "release.lookup",
    "verify": "release.verify",
}
"""The module of each public name that is no module itself."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name)
    value = getattr(import_module(f"{__name__}.{home}"), name) if home else import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted(__all__)
