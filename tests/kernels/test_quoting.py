"""Where a span stands: in a string, a comment, prose, or in code."""

from __future__ import annotations

import pytest

from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.quoting import quoting


@pytest.mark.parametrize(("path", "content", "inside"), [
    ("a.py", b"who = 'X Y'\n", True),
    ("a.py", b"who = X Y\n", False),
    ("a.py", b"# by X Y\n", True),
    ("a.py", b"n = 1  # by X Y\n", True),
    ("a.c", b"int n; /* by X Y */\n", True),
    ("a.c", b"int X Y;\n", False),
    ("a.js", b"let s = `X Y`\n", True),
    ("a.js", b"let page = <b>X Y</b>\n", False),
    ("AUTHORS", b"X Y\n", True),
    ("CHANGELOG.md", b"X Y\n", False),
    ("a.html", b"<p title='X Y'>\n", False),
    ("a.unknown", b"'X Y'\n", False),
])  # fmt: skip
def test_place_of_a_span(path: str, content: bytes, inside: bool) -> None:
    start = content.index(b"X Y")

    assert quoting(content, path, start + 3)(Span(start, start + 3, "NAME", "test", 1.0)) is inside
