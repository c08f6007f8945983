"""The signals of Python, from the syntax tree of the interpreter that runs: its syntax decides."""

from __future__ import annotations

import ast
import gc
import io
import tokenize
import warnings
from collections.abc import Iterator
from typing import Any

from stackcurate.kernels.quality_shared import Signals, share

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
_HOLDERS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in _BODIES if name in getattr(kind, "_fields"))  # noqa: B009 - unknown to type checkers
    for kind in (*ast.stmt.__subclasses__(), ast.Module, ast.ExceptHandler, ast.match_case)
}
"""By kind of node the fields that hold statements, handlers or cases."""


def python_signals(text: str, comments: str, lines: int, plain: int) -> Signals:
    """Measure a Python file by its syntax tree.

    Args:
        text: the file.
        comments: its comments alone, without docstrings.
        lines: of the code, blank ones aside.
        plain: lines that hold `import`, and lines that return.
    """
    collects = gc.isenabled()
    gc.disable()  # a tree has no cycles, and looking for some takes a third of the time
    try:
        return _measured(text, comments, lines, plain)
    finally:
        if collects:
            gc.enable()


def _measured(text: str, comments: str, lines: int, plain: int) -> Signals:
    tree = _parsed(text)
    if tree is None:
        natural = _comments(text).replace("#", "").strip()
        return {"cate_ast": False, "frac_chars_comments": share(len(natural), len(text))}
    nodes = _below(tree)
    natural = "\n".join((*_docstrings([tree, *nodes]), comments.replace("#", ""))).strip()
    functions = [node for node in nodes if type(node) is ast.FunctionDef]
    classes = sum(type(node) is ast.ClassDef for node in nodes)
    simple = sum(len(node.body) == 1 and type(node.body[0]) is ast.Return for node in functions)
    outer = (node for node in _below(tree, into_classes=False) if type(node) is ast.ClassDef)
    fields = sum(_names(node) for one in outer for node in one.body)
    return {
        "cate_ast": True, "frac_chars_comments": share(len(natural), len(text)),
        "frac_lines_func_ratio": share(len(functions), lines), "frac_lines_simplefunc": share(simple, lines),
        "cate_var_zero": not any(map(_declares, nodes)),
        "score_lines_no_logic": share(plain + len(functions) + classes + fields, lines),
    }  # fmt: skip


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
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
