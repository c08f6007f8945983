"""Language: Linguist's rules over path and content."""

from __future__ import annotations

from stackcurate import schema
from stackcurate.kernels.language import LanguageConfig
from stackcurate.stage import Stage

language = Stage(
    name="language",
    table=schema.LANGUAGE,
    reads=("path", "content"),
    config=LanguageConfig,
    kernel="language:detect",
    modules=("kernels.language_heuristics", "kernels.content"),
    data=("linguist",),
    metrics={"known": "count_if(language is not null)", "generated": "count_if(generated)"},
)
