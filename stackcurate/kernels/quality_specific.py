"""The signals of `quality_signals` that OpenCoder has for single languages.

Python is parsed by the interpreter that runs, whose syntax and warnings decide. What OpenCoder asks Esprima about
JavaScript is left out: it refuses the language of today.
"""

from __future__ import annotations

import ast
import gc
import html
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Signals = dict[str, float | None]
Spans = NDArray[np.int64]

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
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


def share(part: float, whole: float) -> float | None:
    """Return a fraction; null where there is nothing to be a part of.

    >>> share(1, 2), share(0, 0)
    (0.5, None)
    """
    return part / whole if whole else None


def python_signals(text: str, code: str, comments: str, lines: int, with_import: int) -> Signals:
    """Measure a Python file by its syntax tree.

    Args:
        text: the file.
        code: without comments and docstrings.
        comments: the comments alone.
        lines: of the code, blank ones aside.
        with_import: lines that hold `import`.
    """
    tree = _parsed(text)
    natural = "\n".join(_docstrings(tree)) if tree else ""
    natural = f"{natural}\n{(comments if tree else _comments(text)).replace('#', '')}".strip()
    signals: Signals = {"cate_ast": tree is not None, "frac_chars_comments": share(len(natural), len(text))}
    if tree is None:
        return signals
    nodes = list(_statements(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    simple = sum(len(node.body) == 1 and isinstance(node.body[0], ast.Return) for node in functions)
    fields = sum(_names(node) for one in _outer_classes(tree.body) for node in one.body)
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    plain = len(functions) + with_import + classes + _returns(code) + fields
    return signals | {
        "frac_lines_func_ratio": share(len(functions), lines), "frac_lines_simplefunc": share(simple, lines),
        "cate_var_zero": not any(_declares(node) for node in nodes), "score_lines_no_logic": share(plain, lines),
    }  # fmt: skip


def _returns(code: str) -> int:
    """Count the lines that return; as in OpenCoder's code, `return` alone takes the next line along."""
    found, taken = 0, False
    for line in filter(None, map(str.strip, code.split("\n"))):
        returns = not taken and (line == "return" or (line[:6] == "return" and line[6].isspace()))
        found, taken = found + returns, returns and line == "return"
    return found


def _parsed(text: str) -> ast.Module | None:
    collects = gc.isenabled()
    gc.disable()  # a tree has no cycles, and looking for some takes a quarter of the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    finally:
        if collects:
            gc.enable()


def _statements(tree: ast.AST) -> Iterator[Any]:
    """Yield all statements, handlers and cases below a node."""
    left = [tree]
    while left:
        node = left.pop()
        for name in _BODIES:
            children = getattr(node, name, None)
            if isinstance(children, list):
                yield from children
                left += children


def _outer_classes(body: list[Any]) -> Iterator[ast.ClassDef]:
    """Yield the classes that lie in no other class."""
    left = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.ClassDef):
            yield node
        else:
            left += [
                child for name in _BODIES for child in getattr(node, name, None) or () if isinstance(child, ast.AST)
            ]


def _names(node: Any) -> int:
    """Return the number of names that an assignment gives a value or a type."""
    if isinstance(node, ast.Assign):
        return sum(isinstance(target, ast.Name) for target in node.targets)
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _declares(node: Any) -> bool:
    """Say whether a statement assigns to a name, loops over one, or takes arguments."""
    if isinstance(node, ast.Assign):
        return _names(node) > 0
    if isinstance(node, ast.For):
        return isinstance(node.target, ast.Name)
    return isinstance(node, ast.FunctionDef) and bool(node.args.args)


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in (tree, *_statements(tree)):
        if isinstance(node, _DOCUMENTED):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring


def _comments(text: str) -> str:
    """Return the comments of a file that does not parse; nothing where it cannot even be cut into tokens."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return ""
    return "".join(token.string for token in tokens if token.type == tokenize.COMMENT)


def html_signals(text: str) -> Signals:
    """Measure the visible text of an HTML page."""
    visible = sum(map(len, _visible(text)))
    return {"cate_ast": 1, "num_chars_text": visible, "frac_words_text": share(visible, len(text))}


def _visible(text: str) -> Iterator[str]:
    """Yield the texts between the tags; spaces alone count as one, but for those in `pre` and `textarea`."""
    last, kept = 0, False
    for match in _MARKUP.finditer(text):
        yield from _piece(text[last : match.start()], kept)
        last = match.end()
        if found := _KEEPS_SPACES.match(match[0]):
            kept = not found[1]
    yield from _piece(text[last:], kept)


def _piece(piece: str, kept: bool) -> Iterator[str]:
    if piece:
        yield html.unescape(piece) if kept or piece.strip(_SPACES) else " "


def c_signals(points: Any, code: str, spans: Spans, name: str, classes: Any) -> Signals:
    """Measure a C or C++ file; the preprocessor's share is null in a header."""
    from stackcurate.kernels import quality_declarations_numba as loops
    from stackcurate.kernels import quality_functions_numba as heads

    functions, lines = heads.c_functions(points, classes), len(spans)
    is_header = name.endswith(_HEADERS)
    directives = len(_DIRECTIVE.findall(code))
    return {
        "frac_lines_func_ratio": share(functions, lines), "cate_bitsstdc": _BITS in code.strip().lower()[:200],
        "nums_lines_main": heads.mains(points, classes), "cate_var_zero": not loops.c_has_variable(points, classes),
        "frac_lines_preprocessor_directives": None if is_header else share(directives, lines),
        "score_lines_no_logic": share(functions + _plain(points, spans, heads.C, classes), lines),
    }  # fmt: skip


def csharp_signals(points: Any, spans: Spans, classes: Any) -> Signals:
    """Measure a C# file. As in OpenCoder's code, no file is without variables."""
    from stackcurate.kernels import quality_declarations_numba as loops
    from stackcurate.kernels import quality_functions_numba as heads

    functions = len(_found(points, spans, heads.CSHARP, loops.FUNCTIONS, classes))
    plain = sum(len(_found(points, spans, heads.CSHARP, what, classes)) for what in (loops.IMPORTS, loops.RETURNS))
    plain += loops.csharp_words(points, classes, False) + loops.csharp_words(points, classes, True)
    return {
        "frac_lines_func_ratio": share(functions, len(spans)), "cate_var_zero": 0,
        "score_lines_no_logic": share(functions + plain, len(spans)),
    }  # fmt: skip


def go_signals(points: Any, spans: Spans, name: str, classes: Any) -> Signals:
    """Measure a Go file. As in OpenCoder's code, no file is without variables."""
    from stackcurate.kernels import quality_declarations_numba as loops
    from stackcurate.kernels import quality_functions_numba as heads

    functions = len(_found(points, spans, heads.GO, loops.FUNCTIONS, classes))
    plain = functions + _plain(points, spans, heads.GO, classes)
    return {
        "cate_testfile": name.lower().endswith("_test.go"), "frac_lines_func_ratio": share(functions, len(spans)),
        "cate_var_zero": 0, "score_lines_no_logic": share(plain, len(spans)),
    }  # fmt: skip


def java_signals(points: Any, spans: Spans, classes: Any) -> Signals:
    """Measure a Java file; of functions and variables OpenCoder looks at the second character as the name."""
    from stackcurate.kernels import quality_declarations_numba as loops
    from stackcurate.kernels import quality_functions_numba as heads

    functions, types, variables = (
        [_text(points, span) for span in _found(points, spans, heads.JAVA, what, classes)]
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


def _plain(points: Any, spans: Spans, language: int, classes: Any) -> int:
    """Return how many lines declare without logic: imports, variables, returns and classes."""
    from stackcurate.kernels import quality_declarations_numba as loops

    kinds = (loops.IMPORTS, loops.VARIABLES, loops.RETURNS, loops.CLASSES)
    return sum(len(_found(points, spans, language, what, classes)) for what in kinds)


def _found(points: Any, spans: Spans, language: int, what: int, classes: Any) -> Spans:
    from stackcurate.kernels import quality_declarations_numba as loops

    out = np.empty_like(spans)
    return out[: loops.declarations(points, spans, language, what, classes, out)]


def _text(points: Any, span: NDArray[np.int64]) -> str:
    return str(points[span[0] : span[1]].tobytes().decode("utf-32-le", "surrogatepass"))
