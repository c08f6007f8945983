"""What is read of Python without a tree equals what the tree says, and the parser alone decides as `ast.parse`."""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stackcurate.kernels import quality_syntax_numba as syntax
from stackcurate.kernels.content import decode
from stackcurate.kernels.quality_code import split
from stackcurate.kernels.quality_points import classes
from stackcurate.kernels.quality_python import Found, _from_tree, _order_matters, _parses, _scanned

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
ROOTS = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
PIECES = (
    "\\", "\n", "\t", " ", "    ", "\x0c", "#", "'", '"', '"""', "'''", "(", ")", "[", "]", "{", "}", ":", ";", ",",
    "=", "==", ":=", "@", "/", "*", "-> ", "f'{x}'", 'f"{x[\'a\']!r:>{y}}"', "rb''", 'u"\\n"', "x = 1\n", "return\n",
    "lambda: 0", "async ", "def f(a, /): return a\n", "class A: x: int = y = 2\n", "match x:\n", "case _: z = 1\n",
    "for (x) in y: pass\n", "elif x:\n", "else: x = 1\n", "type X = int\n", "\u00e9", "\u00b7", "\\\n",
)  # fmt: skip


def found(text: str) -> tuple[Found | None, Found | None]:
    """Return what is read without a tree, where that is certain, and what the tree says."""
    points, _ = split(text, "Python")
    quick, tree = _scanned(points) if _parses(text) else None, _from_tree(text)
    return quick and (*quick[:5], sorted(quick[5])), tree and (*tree[:5], sorted(tree[5]))


def is_python(text: str) -> bool:
    """Say what `ast.parse` does."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def installed(count: int | None = None) -> Iterator[str]:
    """Yield the texts of installed Python files, some of them or all."""
    paths = sorted({path for root in ROOTS for path in root.rglob("*.py")})
    for path in paths if count is None else random.Random(8).sample(paths, count):
        text, _ = decode(path.read_bytes())
        if text is not None:
            yield text


def mutated(text: str, rng: random.Random) -> str:
    """Return a part of a text with a few pieces put in, lines taken out, and lines said twice."""
    lines = text.splitlines(keepends=True)
    begin = rng.randrange(len(lines) + 1)
    lines = lines[begin : begin + 40]
    for _ in range(rng.randrange(1, 4)):
        at, what = rng.randrange(len(lines) + 1), rng.randrange(4)
        if what == 0:
            del lines[at : at + 2]
        elif what == 1:
            lines[at:at] = lines[at : at + 2]
        elif at < len(lines):
            column = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + rng.choice(PIECES) + lines[at][column:]
    return "".join(lines)


def compare(texts: Iterator[str]) -> tuple[int, int]:
    """Hold each text against its tree; return how many parse, and how many of these are certain without one."""
    parsed = certain = 0
    for text in texts:
        quick, tree = found(text)
        assert _parses(text) == is_python(text), text
        parsed, certain = parsed + (tree is not None), certain + (quick is not None)
        assert quick in (None, tree), text
    return parsed, certain


def test_installed_files_are_read_as_their_tree_says() -> None:
    parsed, certain = compare(
        installed(1500)
    )  # of all files 0.989 are certain: a small sample varies by more than that

    assert parsed > 1450
    assert certain > 0.98 * parsed


def test_mutated_files_are_read_as_their_tree_says() -> None:
    rng = random.Random(9)
    texts = [text for text in installed(200) if len(text) < 20_000]

    parsed, certain = compare(mutated(rng.choice(texts), rng) for _ in range(2500))
    assert parsed > 300
    assert certain > 0.9 * parsed


@pytest.mark.slow
def test_all_installed_files_and_many_mutated_ones_are_read_as_their_tree_says() -> None:
    parsed, certain = compare(installed())
    assert certain > 0.98 * parsed
    rng, texts = random.Random(10), list(installed(2000))
    parsed, certain = compare(mutated(rng.choice(texts), rng) for _ in range(30_000))
    assert certain > 0.9 * parsed


CERTAIN = [
    "", "\n", "# only\n", "pass", "x = 1", "x: int", "x: int = 1", "a.b = x = 1", "a, b = 1, 2", "(a) = 1",
    "(a,) = 1,", "(a): int = 2", "x += 1", "x == 1", "x <= 1", "x = y == z", "x = lambda a=1: a", "[a] = 1,",
    "*a, = 1,", "(a).b = 2", "if x := 1: pass", "while (y := 2): y = 3", "if a: b = 1; c = 2", "for x in y: pass",
    "for x, in y: pass", "for (x) in y: z = 1", "async def f(a): return a", "def f(): return", "def f(): return 1; x",
    "def f(): return 1;", "def f(a): return 1", "def f(*, a): pass", "def f(*a): pass", "def f(\n  # why\n  a): pass",
    "def f(a, /): x = 1", "def f() -> int:\n  return 1\n", "def f():\n  return 1\n  x\n",
    "def f():\n\n  # why\n  return 1\n# why\nx\n", "def f():\n  'doc'\n  return 1\n",
    "def f():\n\tif x:\n\t    return 1\n\treturn 2\n", "class A: pass", "class A: x = y = 1; z: int",
    "class A:\n  x = 1\n  class B:\n    y = 2\n  def f(self):\n    class C:\n      z = 1\n",
    "def f():\n  class C:\n    z = 1\n", "if x:\n  class C:\n    z = 1\n    if z: w = 1\n",
    "class A(B, metaclass=C): 'doc'; x = 1", "'doc'", "u'doc'", "r'd\\oc'", "b'doc'", "f'doc'", "'d\\x41c'", "'a' 'b'",
    "'a' f'b'", "'a' \\\n 'b'", "'a' + 'b'", "'a'.b", "'a'()", "'a', 'b'", "'a' <= 'b'", "'a'; x",
    '"""a\n  b\n    c\n"""', '""', "''''''", "'''a'b'''", "'''a''' 'b'", "R'''a\\'''b'''", "'''a\\'''b'''",
    "x = f'{a!r:>{b}}' f\"{c['d']}\" f'{{' f'}}'", "x = f'''{a['b']}'''", "x = rf'\\{a}'", "x = f'\\N{DASH}'",
    "x = '\\\n'", "x = (  # ' \n 1)", "x = \\\n 1", "@a\ndef f(): return 1", "@a(b=1)\nclass C: pass", "match = 1",
    "match.a(b)", "match(a)", "match, a = b", "case[0] = 1", "type = 1", "print(match)",
    "try: x = 1\nexcept E: y = 2\nelse: z\nfinally: w", "with a as b, c: d = 1", "\x0cx = 1", "if x:\n  \x0c  y = 1\n",
    "def f(): yield", "x = yield_ = 1", "x = y if z else w", "lambda: 0", "global_ = 1", "\u00e9t\u00e9 = 1",
    "x = 1if y else 2", "x = 0xfor 1", "from __future__ import annotations", "from __future__ import barry_as_FLUFL",
    "x = '\u2028'", "\r\nx = 1\r\n", "def f(a=1, *, b): return {'c': 1}[d:e]",
    "class A:\n    x = 1\n\n\n\n    y = 2\n", "x = [\n1,\n2\n]\ny = 3", "if 1:\n x\nelif 2:\n y = 1\n",
    "async def f():\n  async for x in y: pass\n  async with a as b: pass\n", "def f(): 'doc'",
    "def f():\n  '''doc'''\n", "x = not'a'", "class A: ...", "x = a[b:c] = d", "x = {**a, 'b': c}", "assert x, 'y'",
    "del x", "return_ = 1", "import x as y", "x = `1`", "(yield)",
]  # fmt: skip
PERHAPS = [
    "match x:\n case y: z = 1\n", "match (x):\n case _:\n  z = 1\n", "match ...:\n case _: pass\n",
    "match x, y:\n case [a, b]: pass\n", "('doc')", "def f(): ('doc')", "def f(a, /): pass", "def f[T](a): pass",
    "for (x) in y: pass", "if lambda: x: y = 1", "\\\nx = 1", "x = 1; \\\ny = 2", "x\u00b7 = 1", "x = f'{a # b\n}'",
    'x = f"{a["b"]}"', "x = f'{a:#x}'", "x = f\"{'}'}\"", "x = " + "-" * 900 + "1", "x = " + " + ".join("a" * 900),
    "if x: pass\n" + "elif x: pass\n" * 300, "x = f'{" + "-" * 600 + "1}'", "def f() -> lambda: 0: return 1",
    "def f(a=b / c): pass", "match: int", "case: int = 1", "x = (" * 90 + ")" * 90,
]  # fmt: skip


@pytest.mark.parametrize("text", CERTAIN)
def test_is_certain_where_it_can_be(text: str) -> None:
    quick, tree = found(text)

    assert quick == tree
    assert (quick is not None) == is_python(text)


@pytest.mark.parametrize("text", PERHAPS)
def test_leaves_to_the_tree_what_is_not_certain(text: str) -> None:
    assert found(text)[0] is None


def test_spaces_around_all_docstrings_do_not_count() -> None:
    assert not _order_matters([" a "], "")
    assert not _order_matters(["a ", "b "], " why ")
    assert _order_matters(["a ", "b"], " ")
    assert _order_matters(["a", " b"], "why")


NOT_PYTHON = [
    "x = (", "  x", "\ufeffx = 1", "x = 1\n y", "print 1", "x = '", "x\0", "\x0b", "if x:\n\ty\n        z", "x = 1 \\",
    "x = \\ 1", "'\\x'", "f'{'", "return x y", "(" * 300 + ")" * 300, "def f(a, a): pass\n)", "a" * 10 + " b",
    "x = " + "9" * 5000, "\ud800", "0777", "b'\u00e9'",
]  # fmt: skip
ODD = [
    "def f(a, a): pass", "return 1", "break", "x = yield", "from __future__ import nothing",
    "# -*- coding: nothing -*-\nx", "nonlocal x", "global x; x", "await x", "None if x else None", "x\r\ry",
    "x" * 100_000, "x\n" * 50_000, "((((x))))" * 2, "*a",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PYTHON + ODD)
def test_parser_alone_decides_as_ast_does(text: str) -> None:
    assert _parses(text) == is_python(text)


def test_counts_are_those_of_the_file() -> None:
    text = "class A:\n  '''One.'''\n  x = y = 1\n  def f(self):\n    return self\n"
    points, _ = split(text, "Python")
    counts, spans = np.empty(syntax.COUNTS, np.int64), np.empty((6, 2), np.int64)

    assert syntax.declared(points, classes(), counts, spans)
    assert counts[: syntax.COUNTS - 2].tolist() == [1, 1, 1, 2, 1, 1]
    assert text[spans[0, 0] : spans[0, 1]] == "'''One.'''"
