"""Contamination: texts of benchmarks in each blob."""

from __future__ import annotations

from stackcurate import schema
from stackcurate.kernels.contamination_index import ContaminationConfig
from stackcurate.stage import Stage

contamination = Stage(
    name="contamination",
    table=schema.CONTAMINATION,
    reads=("content",),
    config=ContaminationConfig,
    kernel="contamination:find",
    modules=(
        "kernels.contamination_index",
        "kernels.contamination_index_numba",
        "kernels.contamination_numba",
        "kernels.shingles",
        "kernels.shingles_numba",
        "kernels.content",
    ),
    data=("benchmarks",),
    files=("benchmark_paths", "background"),
    metrics={"contaminated": "count_if(size(overlaps) > 0)", "overlaps": "sum(size(overlaps))"},
)
