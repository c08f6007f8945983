"""The laws that all kernels obey, on real files and on nasty ones."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import pkgutil
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stackcurate.kernels
from stackcurate.stage import Stage
from stackcurate.stages import PIPELINE
from tests.samples import columns, files

ROOT = Path(__file__).parents[2]
STAGES = tuple(stage for stage in PIPELINE if stage.kernel)
HEAVY = (
    "detect_secrets", "hyperscan", "licensedcode", "numba", "pandas", "presidio_analyzer", "pyspark", "spacy", "torch",
    "yara_x",
)  # fmt: skip

each_kernel = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


def apply(stage: Stage, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    return stage.function()(*(columns[name] for name in stage.reads), config=stage.config())


@cache
def whole(name: str) -> pa.RecordBatch:
    """Return a kernel's answer on all files at once."""
    (stage,) = (stage for stage in STAGES if stage.name == name)
    return apply(stage, columns(files()))


def digest(batch: pa.RecordBatch) -> str:
    return hashlib.sha256(repr(batch.to_pylist()).encode()).hexdigest()


def digests() -> dict[str, str]:
    """Return a digest of each kernel's answer; a fresh process prints these."""
    return {stage.name: digest(whole(stage.name)) for stage in STAGES}


@each_kernel
def test_answer_has_the_declared_columns_and_a_row_per_row(stage: Stage) -> None:
    facts = whole(stage.name)

    assert facts.schema.equals(stage.table.adds)
    assert facts.num_rows == len(files())
    assert any(any(row.values()) for row in facts.to_pylist())
    assert [row["error"] for row in facts.to_pylist() if row["error"]] == []


@each_kernel
def test_answer_does_not_depend_on_the_cut(stage: Stage) -> None:
    """f(a ++ b) = f(a) ++ f(b), for slices of one array: their offsets count."""
    given, count = columns(files()), len(files())
    edges = [0, 1, 2, 19, count - 5, count]
    pieces = [apply(stage, {n: a.slice(i, j - i) for n, a in given.items()}) for i, j in pairwise(edges)]

    assert pa.Table.from_batches(pieces).combine_chunks().to_batches() == [whole(stage.name)]


@each_kernel
def test_answer_does_not_depend_on_the_order(stage: Stage) -> None:
    """Nor on what came before: caches that a long file fills must not change the next answer."""
    backwards = pa.array(range(len(files()))[::-1])
    small = backwards.filter(pa.array([len(content) < 5_000 for _, content in files()][::-1]))

    facts = apply(stage, {name: array.take(small) for name, array in columns(files()).items()})

    assert facts == whole(stage.name).take(small)


@each_kernel
def test_empty_batch_gives_an_empty_batch(stage: Stage) -> None:
    nothing = {name: array.slice(0, 0) for name, array in columns(files()).items()}

    facts = apply(stage, nothing)

    assert facts.num_rows == 0
    assert facts.schema.equals(stage.table.adds)


@each_kernel
def test_null_content_gives_nulls_and_costs_no_other_row(stage: Stage) -> None:
    first, second = files()[0], files()[1]
    given = columns((first, ("gone.py", None), second, ("gone.js", None)))

    facts = apply(stage, given)

    assert facts.slice(0, 1) == whole(stage.name).slice(0, 1)
    assert facts.slice(2, 1) == whole(stage.name).slice(1, 1)
    assert facts.take(pa.array([1, 3])).to_pylist() == [dict.fromkeys(stage.table.adds.names)] * 2


@each_kernel
@pytest.mark.parametrize("kind", [pa.large_binary(), pa.string(), pa.large_string()], ids=str)
def test_content_may_be_of_any_type_of_bytes_or_text(stage: Stage, kind: pa.DataType) -> None:
    given = columns(files()[:4])
    for name in ("path", "scanned_as"):
        given[name] = given[name].cast(pa.string())

    facts = apply(stage, given | {"content": given["content"].cast(kind)})

    assert facts == whole(stage.name).slice(0, 4)


@each_kernel
def test_rows_function_travels_to_a_worker(stage: Stage) -> None:
    """Whatever the stage declares besides, the function that tasks run must pickle, without its kernel's models."""
    whole(stage.name)  # the models are loaded
    sent = pickle.dumps(stage.rows(stage.config()))
    given = columns(files()[:3])
    batch = pa.RecordBatch.from_pydict(given)

    (facts,) = pickle.loads(sent)(iter([batch]))

    assert len(sent) < 100_000
    assert facts.schema.names == stage.table.columns.names
    for name in stage.table.key:
        assert facts[name].equals(batch[name])
    assert facts.select(stage.table.adds.names).to_pylist() == whole(stage.name).slice(0, 3).to_pylist()


def fresh(code: str, **environment: str) -> Any:
    """Run code in a fresh interpreter and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_answers_are_the_same_in_a_fresh_process() -> None:
    code = "import json; from tests.kernels.test_laws import digests; print(json.dumps(digests()))"

    assert fresh(code, PYTHONHASHSEED="4711") == digests()


ABOUT_LOOPS = {f"quality_{name}" for name in ("code", "points", "prose", "python", "shared", "specific", "styles")}
"""They work with compiled loops and nothing else, so they are imported on use as these are."""


def test_importing_kernels_loads_nothing_heavy() -> None:
    """Models load on first use; what numba compiles lives in modules of its own, imported on use as well."""
    names = {info.name for info in pkgutil.iter_modules(stackcurate.kernels.__path__)} - ABOUT_LOOPS
    light = [f"stackcurate.kernels.{name}" for name in sorted(names) if not name.endswith("_numba")]
    code = (
        "import json, sys; from importlib import import_module;"
        f"[import_module(name) for name in {light}];"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )

    assert len(light) > 10
    assert fresh(code) == []
