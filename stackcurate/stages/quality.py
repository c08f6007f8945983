"""Quality: encoding and measures of each text; thresholds belong to the release's policy."""

from __future__ import annotations

from stackcurate import schema
from stackcurate.kernels.quality import QualityConfig
from stackcurate.stage import Stage

quality = Stage(
    name="quality",
    table=schema.QUALITY,
    reads=("content",),
    config=QualityConfig,
    kernel="quality:measure",
    modules=(
        "kernels.code_points",
        "kernels.content",
        "kernels.quality_measures_numba",
        "kernels.quality_text_numba",
        "kernels.quality_tokens_numba",
        "kernels.shingles_numba",
    ),
    requires=("python",),
    metrics={"binary": "count_if(encoding is null)", "ai_marked": "count_if(ai_mark is not null)"},
)
