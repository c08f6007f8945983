"""The signals that OpenCoder has for single languages but Python.

What it asks Esprima about JavaScript is left out: that refuses the language of today.
"""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np

from stackcurate.kernels import quality_declarations_numba as loops
from stackcurate.kernels import quality_functions_numba as heads
from stackcurate.kernels.code_points import CodePoints
from stackcurate.kernels.quality_points import Spans
from stackcurate.kernels.quality_shared import Signals, share

_HEADERS = (".h", ".hpp", ".hxx", ".hh", ".h++")
_DIRECTIVE = re.compile(
    r"(?:#[^\S\n]*(?:include|define|if|else|elif|endif|error|pragma|warning|undef|line)|struct|using)[^\n]*"
)
_BITS = "bits/stdc++.h"
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template)\b[^>]*>.*?(?:</\1\s*>|\Z)"
    r"""|<[!?/a-z](?:[^>=]++|=\s*+"[^"]{0,4000}+"|=\s*+'[^']{0,4000}+'|=)*+(?:>|\Z)""",
    re.DOTALL | re.IGNORECASE,
)
_KEEPS_SPACES = re.compile(r"<(/?)(?:pre|textarea)\b", re.IGNORECASE)
_SPACES = " \t\n\r\f\v"


def html_signals(text: str) -> Signals:
    """Measure the visible text of an HTML page."""
    visible = _visible(text)
    return {"cate_ast": 1, "num_chars_text": visible, "frac_words_text": share(visible, len(text))}


def _visible(text: str) -> int:
    """Return the characters between the tags; spaces alone count as one, but for those in `pre` and `textarea`."""
    total, last, kept, may_keep = 0, 0, False, _KEEPS_SPACES.search(text) is not None
    for match in _MARKUP.finditer(text):
        begin, end = match.span()
        total += _length(text[last:begin], kept) if begin > last else 0
        last = end
        if may_keep and (found := _KEEPS_SPACES.match(text, begin)):
            kept = not found[1]
    return total + _length(text[last:], kept)


def _length(piece: str, kept: bool) -> int:
    return len(html.unescape(piece)) if kept or piece.strip(_SPACES) else min(len(piece), 1)


def c_signals(points: CodePoints, code: str, spans: Spans, name: str, classes: Any) -> Signals:
    """Measure a C or C++ file; the preprocessor's share is null in a header."""
    functions, lines = heads.c_functions(points, classes), len(spans)
    is_header = name.endswith(_HEADERS)
    directives = len(_DIRECTIVE.findall(code))
    return {
        "frac_lines_func_ratio": share(functions, lines), "cate_bitsstdc": _BITS in code.strip().lower()[:200],
        "nums_lines_main": heads.mains(points, classes), "cate_var_zero": not loops.c_has_variable(points, classes),
        "frac_lines_preprocessor_directives": None if is_header else share(directives, lines),
        "score_lines_no_logic": share(functions + _plain(points, spans, heads.C, classes), lines),
    }  # fmt: skip


def csharp_signals(points: CodePoints, spans: Spans, classes: Any) -> Signals:
    """Measure a C# file. As in OpenCoder's code, no file is without variables."""
    functions = len(_found(points, spans, heads.CSHARP, loops.FUNCTIONS, classes))
    plain = sum(len(_found(points, spans, heads.CSHARP, what, classes)) for what in (loops.IMPORTS, loops.RETURNS))
    plain += loops.csharp_words(points, classes, False) + loops.csharp_words(points, classes, True)
    return {
        "frac_lines_func_ratio": share(functions, len(spans)), "cate_var_zero": 0,
        "score_lines_no_logic": share(functions + plain, len(spans)),
    }  # fmt: skip


def go_signals(points: CodePoints, spans: Spans, name: str, classes: Any) -> Signals:
    """Measure a Go file. As in OpenCoder's code, no file is without variables."""
    functions = len(_found(points, spans, heads.GO, loops.FUNCTIONS, classes))
    plain = functions + _plain(points, spans, heads.GO, classes)
    return {
        "cate_testfile": name.lower().endswith("_test.go"), "frac_lines_func_ratio": share(functions, len(spans)),
        "cate_var_zero": 0, "score_lines_no_logic": share(plain, len(spans)),
    }  # fmt: skip


def java_signals(points: CodePoints, code: str, spans: Spans, classes: Any) -> Signals:
    """Measure a Java file; of functions and variables OpenCoder looks at the second character as the name."""
    functions, types, variables = (
        [code[begin:end] for begin, end in _found(points, spans, heads.JAVA, what, classes).tolist()]
        for what in (loops.FUNCTIONS, loops.CLASSES, loops.ALL_VARIABLES)
    )
    marked = sum(any(word in head for word in ("public", "protected", "private")) for head in functions)
    names = [head.rpartition("class")[2].strip() for head in types]
    plain = len(functions) + _plain(points, spans, heads.JAVA, classes)
    return {
        "cate_var_zero": not variables, "frac_lines_func_ratio": share(len(functions), len(spans)),
        "score_lines_no_logic": share(plain, len(spans)),
        "frac_words_no_modifier": share(marked, len(functions) + len(types)),
        "frac_words_legal_var_name": share(sum("a" <= v[1] <= "z" for v in variables), len(variables)),
        "frac_words_legal_func_name": share(sum(f[1].isascii() and f[1].isalpha() for f in functions), len(functions)),
        "frac_words_legal_class_name": share(sum(_is_class_name(n) for n in names), len(names)),
    }  # fmt: skip


def _is_class_name(name: str) -> bool:
    return re.fullmatch("[A-Z][a-zA-Z0-9]*", name) is not None


def _plain(points: CodePoints, spans: Spans, language: int, classes: Any) -> int:
    """Return how many lines declare without logic: imports, variables, returns and classes."""
    kinds = (loops.IMPORTS, loops.VARIABLES, loops.RETURNS, loops.CLASSES)
    return sum(len(_found(points, spans, language, what, classes)) for what in kinds)


def _found(points: CodePoints, spans: Spans, language: int, what: int, classes: Any) -> Spans:
    out = np.empty_like(spans)
    return out[: loops.declarations(points, spans, language, what, classes, out)]
