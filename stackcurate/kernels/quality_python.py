"""The signals of Python: the parser of the interpreter that runs decides what is Python.

A tree of Python objects takes half as long again as parsing alone, so `quality_syntax_numba` reads what a text declares
that is known to parse; the few files of which it is not certain get a tree.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from stackcurate.kernels import quality_syntax_numba as syntax
from stackcurate.kernels.code_points import CodePoints, as_text
from stackcurate.kernels.quality_points import classes
from stackcurate.kernels.quality_shared import Signals, share

Found = tuple[int, int, int, int, bool, list[str]]
"""Functions, classes, functions that only return, fields of classes, whether a name is declared, and docstrings."""
_UNKNOWN, _AFTER_PARSING = "from __future__ import x\n", "future feature x is not defined"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
_HOLDERS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in _BODIES if name in getattr(kind, "_fields"))  # noqa: B009 - unknown to type checkers
    for kind in (*ast.stmt.__subclasses__(), ast.Module, ast.ExceptHandler, ast.match_case)
}
"""By kind of node the fields that hold statements, handlers or cases."""


def python_signals(text: str, points: CodePoints, comments: str, lines: int, plain: int) -> Signals:
    """Measure a Python file by its syntax.

    Args:
        text: the file.
        points: the same, each line ended by a line feed.
        comments: its comments alone, without docstrings.
        lines: of the code, blank ones aside.
        plain: lines that hold `import`, and lines that return.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _scanned(points) if _parses(text) else None
        if found is None or _order_matters(found[-1], comments.replace("#", "")):
            found = _from_tree(text)
    if found is None:
        natural = _comments(text).replace("#", "").strip()
        return {"cate_ast": False, "frac_chars_comments": share(len(natural), len(text))}
    functions, classes, simple, fields, declares, docstrings = found
    natural = "\n".join((*docstrings, comments.replace("#", ""))).strip()
    return {
        "cate_ast": True, "frac_chars_comments": share(len(natural), len(text)),
        "frac_lines_func_ratio": share(functions, lines), "frac_lines_simplefunc": share(simple, lines),
        "cate_var_zero": not declares, "score_lines_no_logic": share(plain + functions + classes + fields, lines),
    }  # fmt: skip


def _parses(text: str) -> bool:
    """Say whether a text parses, where that is known without building its tree.

    Python looks for features that it does not know once it has parsed a text, and before all else.
    """
    try:
        compile(_UNKNOWN + text, "", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.msg == _AFTER_PARSING
    except (ValueError, RecursionError, MemoryError):
        pass
    return False


def _scanned(points: CodePoints) -> Found | None:
    """Return what a text that parses declares; None where only its tree is certain."""
    counts = np.empty(syntax.COUNTS, np.int64)
    spans = np.empty((np.count_nonzero(points == ord("\n")), 2), np.int64)
    if not syntax.declared(points, classes(), counts, spans):
        return None
    literals = (as_text(points[begin:end]) for begin, end in spans[: counts[syntax.DOCSTRINGS]].tolist())
    docstrings = [inspect.cleandoc(value) for value in map(_value, literals) if value]
    functions, classes_, simple, fields, declares = counts[: syntax.DOCSTRINGS].tolist()
    return functions, classes_, simple, fields, declares > 0, [one for one in docstrings if one]


def _order_matters(docstrings: list[str], comments: str) -> bool:
    """Say whether it matters which docstring is first or last in a tree: spaces around all of the text do not count."""
    if len(docstrings) < 2:
        return False
    return any(one[0].isspace() for one in docstrings) or (
        not comments.strip() and any(one[-1].isspace() for one in docstrings)
    )


def _value(literal: str) -> str | None:
    """Return the string that literals one after the other make; None where it is formatted."""
    body = literal.lstrip("rR")
    quote = body[:3] if body[:3] in ('"""', "'''") else body[:1]
    is_plain = body is not literal or "\\" not in body
    if quote[0] in "\"'" and is_plain and body.find(quote, len(quote)) == len(body) - len(quote):
        return body[len(quote) : -len(quote)]
    try:
        value = ast.literal_eval(literal)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _from_tree(text: str) -> Found | None:
    """Return what the syntax tree of a text declares; None where it has none."""
    tree = _parsed(text)
    if tree is None:
        return None
    nodes = _below(tree)
    functions = [node for node in nodes if type(node) is ast.FunctionDef]
    simple = sum(len(node.body) == 1 and type(node.body[0]) is ast.Return for node in functions)
    outer = (node for node in _below(tree, into_classes=False) if type(node) is ast.ClassDef)
    fields = sum(_names(node) for one in outer for node in one.body)
    types = sum(type(node) is ast.ClassDef for node in nodes)
    docstrings = list(_docstrings([tree, *nodes]))
    return len(functions), types, simple, fields, any(map(_declares, nodes)), docstrings


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _below(tree: ast.Module, *, into_classes: bool = True) -> list[Any]:
    """Return all statements, handlers and cases below a module."""
    found: list[Any] = []
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        for name in _HOLDERS[type(node)]:
            children = getattr(node, name)
            found += children
            left += [c for c in children if _HOLDERS[type(c)] and (into_classes or type(c) is not ast.ClassDef)]
    return found


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


def _docstrings(nodes: list[Any]) -> Iterator[str]:
    for node in nodes:
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
