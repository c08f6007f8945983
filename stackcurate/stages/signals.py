"""Signals: OpenCoder's measures of each file, read as one of its language; thresholds are the policy's."""

from __future__ import annotations

from stackcurate import schema
from stackcurate.kernels.quality_signals import SignalsConfig
from stackcurate.stage import Stage

signals = Stage(
    name="signals",
    table=schema.SIGNALS,
    reads=("content", "path", "language", "language_type"),
    config=SignalsConfig,
    kernel="quality_signals:measure_signals",
    modules=(
        "kernels.code_points",
        "kernels.content",
        "kernels.quality_code",
        "kernels.quality_comments_numba",
        "kernels.quality_declarations_numba",
        "kernels.quality_functions_numba",
        "kernels.quality_lines_numba",
        "kernels.quality_literals_numba",
        "kernels.quality_parse",
        "kernels.quality_points",
        "kernels.quality_prose",
        "kernels.quality_prose_numba",
        "kernels.quality_python",
        "kernels.quality_shared",
        "kernels.quality_specific",
        "kernels.quality_styles",
        "kernels.quality_syntax_numba",
        "kernels.quality_syntax_tokens_numba",
        "kernels.quality_text_numba",
        "kernels.quality_tokens_numba",
        "kernels.shingles_numba",
    ),
    data=("quality",),
    requires=("python", "regex"),
    metrics={"measured": "count_if(signals is not null)"},
)
