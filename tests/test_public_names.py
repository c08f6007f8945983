"""What `import stackcurate` offers: exactly the names of `__all__`, each on first use, at next to no cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from inspect import isfunction, ismodule
from pathlib import Path

import pytest

import stackcurate
from stackcurate.pipeline import build, load_config
from stackcurate.release.attribution import Attribution
from stackcurate.stage import Stage
from stackcurate.workspace import Workspace


def in_fresh_process(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", stackcurate.__all__)
def test_each_name_resolves(name: str) -> None:
    value = getattr(stackcurate, name)

    assert ismodule(value) or isfunction(value) or value in (Attribution, Stage, Workspace, stackcurate.PIPELINE)
    assert vars(stackcurate)[name] is value, "found without __getattr__ the second time"


def test_names_are_those_of_their_homes() -> None:
    from stackcurate.stages import PIPELINE

    assert stackcurate.build is build
    assert stackcurate.load_config is load_config
    assert stackcurate.PIPELINE is PIPELINE
    assert stackcurate.schema is sys.modules["stackcurate.schema"]


def test_nothing_else_is_public() -> None:
    """Names bound by the import alone; submodules that somebody imported later are no promise."""
    code = "import stackcurate; print(*(name for name in vars(stackcurate) if not name.startswith('_')))"
    bound = set(in_fresh_process(code)) - {"annotations", "import_module", "TYPE_CHECKING", "Any"}

    assert bound == set()
    assert dir(stackcurate) == sorted(stackcurate.__all__)


def test_a_star_import_binds_all_names_and_no_others() -> None:
    bound = in_fresh_process(
        "before = {*globals(), 'before'}; from stackcurate import *; print(*set(globals()) - before)"
    )

    assert set(bound) == set(stackcurate.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(stackcurate.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    named = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]

    assert sorted(named) == sorted(stackcurate.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'near_dedupe'"):
        _ = stackcurate.near_dedupe  # type: ignore[attr-defined]


def test_import_costs_next_to_nothing() -> None:
    code = (
        "import sys, time; start = time.process_time(); import stackcurate; spent = time.process_time() - start;"
        "print(spent, *(name for name in ('pyarrow', 'pyspark', 'numpy', 'matplotlib') if name in sys.modules))"
    )
    spent, *loaded = in_fresh_process(code)

    assert loaded == []
    assert float(spent) < 0.1


def test_plots_and_sample_start_no_jvm() -> None:
    code = (
        "import sys, stackcurate; stackcurate.plots, stackcurate.sample, stackcurate.build;"
        "print(*(name for name in ('pyspark', 'matplotlib') if name in sys.modules))"
    )

    assert in_fresh_process(code) == []
