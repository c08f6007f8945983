"""OpenCoder's thresholds: between which values each signal of a file of its language has to lie.

Source: OpenCoder (arXiv 2411.04905), opc_data_filtering, `pipeline/code_filter_config.py`. Where a rule there spares
one file in five by dice, none is spared here, so that the same files are left out on every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

PREFIX = "opencoder_"
"""Begins the reason code of each signal."""

Limits = Mapping[str, tuple[float | None, float | None]]
_OFF = (None, None)


def _most(**limits: float) -> dict[str, tuple[float | None, float | None]]:
    return {name: (None, limit) for name, limit in limits.items()}


def _least(**limits: float) -> dict[str, tuple[float | None, float | None]]:
    return {name: (limit, None) for name, limit in limits.items()}


_ALL: Limits = {
    **_most(frac_chars_replacement_symbols=0.01), **_least(num_words=30, num_chars=50), "mean_word_length": (2, 10),
    **_most(frac_chars_top_2grams=0.20, frac_chars_top_3grams=0.18, frac_chars_top_4grams=0.16),
    **_most(frac_chars_dupe_5grams=0.80, frac_chars_dupe_6grams=0.70, frac_chars_dupe_7grams=0.70),
    **_most(frac_chars_dupe_8grams=0.70, frac_chars_dupe_9grams=0.70, frac_chars_dupe_10grams=0.60),
    **_most(frac_lines_dupe_lines=0.7, size_file_byte=3e6), "num_lines": (10, 100_000),
    **_most(num_chars_line_max=1_000), "num_chars_line_mean": (5, 100), **_least(frac_chars_alphabet=0.5),
    **_most(frac_chars_digital=0.2, frac_chars_whitespace=0.5, frac_chars_comments=0.8, cate_xml_start=0),
    **_most(cate_autogen=0, frac_lines_long_string=0.2, frac_chars_string_length=0.6, cate_encoded_data=0),
    **_most(frac_chars_long_word_length=0.4, frac_chars_hex_words=0.4, frac_lines_prompt_comments=0.01),
    **_most(frac_lines_assert=0.4),
}  # fmt: skip
_LOGIC = _most(frac_lines_func_ratio=0.2, score_lines_no_logic=0.5, frac_lines_print=0.4)
_VARIABLES = _most(cate_var_zero=0)
_C = {**_LOGIC, **_most(nums_lines_main=1, frac_lines_preprocessor_directives=0.8)}
_NO_STRINGS = dict.fromkeys(("frac_lines_long_string", "frac_chars_string_length", "frac_lines_assert"), _OFF)
_NO_PROMPTS = {"frac_lines_prompt_comments": _OFF}
_HTML = {
    **{f"frac_chars_dupe_{n}grams": (None, 0.60) for n in range(5, 10)}, **_NO_STRINGS, **_NO_PROMPTS,
    "frac_chars_comments": _OFF, "frac_chars_long_word_length": _OFF, **_least(cate_ast=1, frac_words_text=0.2),
    **_least(num_chars_text=100),
}  # fmt: skip
_TEXT: Limits = {
    **_most(frac_chars_replacement_symbols=0.01), **_least(entropy_unigram=3),
    **_most(frac_chars_top_2grams=0.20, frac_chars_top_3grams=0.18, frac_chars_top_4grams=0.16),
    **{f"frac_chars_dupe_{n}grams": (None, 0.60) for n in range(5, 11)},
    **_most(frac_chars_dupe_lines=0.50, frac_lines_dupe_lines=0.60, frac_lines_end_with_readmore=0.1),
    **_most(frac_lines_start_with_bullet=0.9, frac_words_all_caps=0.5), "mean_word_length": (3, 10),
    **_least(num_chars=50, num_lines=10, num_sentences=2, num_words=50, frac_chars_alphabet=0.5),
    **_most(frac_chars_hex_words=0.4, frac_chars_hyperlink_html_tag=0.5, frac_chars_digital=0.2),
    **_most(frac_chars_whitespace=0.5),
}  # fmt: skip
RULES: Mapping[str, Limits] = {
    "others": _ALL,
    "data": {**_ALL, **_NO_STRINGS, **_NO_PROMPTS, "num_chars": (50, 5_000), "frac_words_unique": (0.4, None)},
    "shell": {**_ALL, **_NO_STRINGS},
    "sql": {**_ALL, "frac_chars_digital": (None, 0.3)},
    "python": {
        **_ALL, **_LOGIC, **_VARIABLES, **_least(cate_ast=1),
        **_most(frac_lines_pass=0.05, frac_lines_import=0.3, frac_lines_simplefunc=0.1),
    },
    "c": {**_ALL, **_C}, "cpp": {**_ALL, **_C}, "csharp": {**_ALL, **_LOGIC, **_VARIABLES},
    "go": {**_ALL, **_LOGIC, **_VARIABLES, **_most(cate_testfile=0), "frac_lines_assert": _OFF},
    "html": {**_ALL, **_HTML}, "java": {**_ALL, **_LOGIC, **_VARIABLES},
    "javascript": {**_ALL, **_LOGIC, **_VARIABLES, **_least(cate_ast=1)},
    "text": _TEXT,
}  # fmt: skip
"""By group of languages and signal: smallest and largest value, None where there is no limit."""


def exceeded(rules: Any, signals: Any) -> Iterator[tuple[str, Any]]:
    """Yield for each signal with a limit its reason code, and where a file lies outside.

    Args:
        rules: group of languages of each file.
        signals: as in ``schema.SIGNALS``; a null never counts against a file.

    >>> rules, signals = pa.array(["text", "go"]), pa.array([{"num_words": 40.0}, {"num_words": 40.0}])
    >>> next((code, test.to_pylist()) for code, test in exceeded(rules, signals) if "num_words" in code)
    ('opencoder_num_words', [True, False])
    """
    groups = pa.array(list(RULES), pa.string())
    row, measured = pc.index_in(rules, value_set=groups), set(signals.type.names)
    for name in dict.fromkeys(name for limits in RULES.values() for name in limits):
        if name not in measured:
            continue
        value = pc.struct_field(signals, name)
        least, most = (
            pa.array([RULES[group].get(name, _OFF)[side] for group in RULES], pa.float64()).take(row) for side in (0, 1)
        )
        outside = map(partial(pc.fill_null, fill_value=False), (pc.less(value, least), pc.greater(value, most)))
        yield PREFIX + name, pc.or_(*outside)
