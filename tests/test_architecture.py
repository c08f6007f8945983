"""Floors, names and sizes of the package, read from its syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from stackcurate.stage import Stage
from stackcurate.stages import PIPELINE

ROOT = Path(__file__).parents[1]
FACES = ("cli", "verbs", "terminal", "doctor", "sample", "plots", "annotation", "daemon", "sketch_daemon", "web")
GROUND = ("schema", "schema_columns", "schema_repos", "schema_signals", "config", "errors", "stage", "session")
GROUND += ("workspace", "blobs")
FLOORS = (
    GROUND,
    ("kernels", "train"),
    ("stages", "sources"),
    ("pipeline", "facts", "cluster_facts", "release"),
    FACES,
)
"""Rooms of the package from the ground up; a module imports its own floor and those below."""
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
CLASSIC_SPARK = {"rdd", "sparkContext", "_sc", "_jvm", "_jdf", "_jsc", "_jsparkSession"}
HEAVY = ("pyspark", "presidio_analyzer", "torch", "spacy", "numba", "licensedcode", "yara_x", "hyperscan", "pandas")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Return the tree of each module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / "stackcurate").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imported(tree: ast.AST, *, lazily: bool = True) -> Iterator[str]:
    """Yield each module that a tree imports by its full name; `from package import module` counts as the module.

    Args:
        tree: a module.
        lazily: also what only functions and the type checker import.
    """
    for node in ast.walk(tree) if lazily else at_import(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in modules())
            if not all(name in modules() for name in inner):
                yield str(node.module)


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: nothing of functions, nothing for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing_only and not isinstance(node, Function):
            yield node
            yield from at_import(node)


def floor(name: str) -> int:
    """Return the floor of a module; the package itself is the front door, which may name all and none may use."""
    if name == "stackcurate":
        return len(FLOORS)
    room = name.split(".")[1]
    found = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    assert found, f"{name}: on no floor; add it to FLOORS"
    return found[0]


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions of a module and the methods of its classes."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (inner for inner in node.body if isinstance(inner, Function))


def length(function: Function) -> int:
    """Return the lines of a function, its docstring aside."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_imports_only_go_down() -> None:
    up = [
        f"{name} imports {other}"
        for name, tree in modules().items()
        for other in imported(tree)
        if other.split(".")[0] == "stackcurate" and floor(other) > floor(name)
    ]

    assert up == []


def test_there_are_no_import_cycles() -> None:
    graph = {
        name: {other for other in imported(tree, lazily=False) if other in modules() and other != name}
        for name, tree in modules().items()
    }

    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")
    assert set(order) == set(modules())


def test_kernels_know_no_spark() -> None:
    spark = [
        name
        for name, tree in modules().items()
        if name.startswith("stackcurate.kernels") and any(other.startswith("pyspark") for other in imported(tree))
    ]

    assert spark == []


def test_training_stands_on_the_ground_alone() -> None:
    others = [
        f"{name} imports {other}"
        for name, tree in modules().items()
        if name.startswith("stackcurate.train")
        for other in imported(tree)
        if other.startswith(("pyspark", "stackcurate.kernels"))
    ]

    assert others == []


def test_only_the_dataframe_api_is_used() -> None:
    paths = [*(ROOT / "stackcurate").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]
    used = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CLASSIC_SPARK
    ]

    assert used == []


def test_names_say_what_a_module_is_about() -> None:
    assert [name for name in modules() if name.rpartition(".")[2] in FORBIDDEN_NAMES] == []


def test_classes_inherit_at_most_once() -> None:
    bases = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and name != "stackcurate.errors"
    }

    def depth(name: str) -> int:
        return max((1 + depth(base) for base in bases.get(name, ()) if base in bases), default=0)

    assert {name: depth(name) for name in bases if depth(name) > 1} == {}


def test_files_are_short() -> None:
    sizes = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in (ROOT / "stackcurate").rglob("*.py")}

    assert {name: size for name, size in sizes.items() if size > 350} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name}.{function.name}": length(function)
        for name, tree in modules().items()
        for function in functions(tree)
        if length(function) > 50
    }

    assert long == {}


def test_public_functions_are_documented_and_typed() -> None:
    bare = []
    for name, tree in modules().items():
        for function in functions(tree):
            if function.name.startswith("_") or name.rpartition(".")[2].startswith("_"):
                continue
            given = function.args
            everything = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            untyped = [a.arg for a in everything if a.annotation is None and a.arg not in ("self", "cls")]
            if untyped or function.returns is None:
                bare.append(f"{name}.{function.name}: no types of {untyped or 'what it returns'}")
            if ast.get_docstring(function) is None and not in_private_class(tree, function):
                bare.append(f"{name}.{function.name}: no docstring")

    assert bare == []


def in_private_class(tree: ast.Module, function: Function) -> bool:
    return any(isinstance(n, ast.ClassDef) and n.name.startswith("_") and function in n.body for n in tree.body)


def test_each_module_of_the_work_floors_has_tests() -> None:
    """A module is tested by name, through its package, or as a part (`minhash_numba`) of a tested subject."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py")]
    tested = {other for tree in trees for other in imported(tree) if other in modules()}
    tested |= {other for name in tested for other in imported(modules()[name]) if other.rpartition(".")[0] == name}
    parts = {o for name in tested for o in imported(modules()[name]) if subject(o) == subject(name)}
    rooms = ("kernels", "stages", "sources", "release")
    wanted = {name for name in modules() if name.count(".") == 2 and name.split(".")[1] in rooms}

    assert sorted(wanted - tested - parts) == []


def subject(name: str) -> str:
    """Return the room and the first word of a module's name, as singular."""
    room, _, last = name.rpartition(".")
    return f"{room}.{last.partition('_')[0].removesuffix('s')}"


@pytest.mark.parametrize("stage", PIPELINE, ids=lambda stage: stage.name)
def test_each_stage_has_a_job_a_verb_and_a_section(stage: Stage) -> None:
    from stackcurate.cli import app
    from stackcurate.pipeline import SECTIONS

    job = ROOT / "jobs" / f"{stage.section}.py"

    assert f'main("{stage.section.replace("_", "-")}")' in job.read_text(encoding="utf-8")
    assert stage.name.replace("_", "-") in {command.name for command in app.registered_commands}
    assert SECTIONS[stage.section] is stage.config


@pytest.mark.parametrize("stage", PIPELINE, ids=lambda stage: stage.name)
def test_digest_covers_all_code_behind_the_facts(stage: Stage) -> None:
    """Or facts of older code would pass for new ones."""
    declared = digested(stage).union(*(digested(before) for before in stage.after))
    reached, pending = set(declared), list(declared)
    while pending:
        below = {o for o in imported(modules()[pending.pop()]) if o.startswith("stackcurate.kernels.")} & set(modules())
        pending += below - reached
        reached |= below

    assert sorted(reached - declared) == []


def digested(stage: Stage) -> set[str]:
    home = f"kernels.{stage.kernel.partition(':')[0]}" if stage.kernel else stage.transform.__module__
    return {f"stackcurate.{name.removeprefix('stackcurate.')}" for name in (home, *stage.modules)}


def test_import_is_light() -> None:
    code = (
        "import sys, time; start = time.process_time(); import stackcurate; spent = time.process_time() - start;"
        f"print(spent, *(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    spent, *loaded = done.stdout.split()

    assert loaded == []
    assert float(spent) < 0.3
