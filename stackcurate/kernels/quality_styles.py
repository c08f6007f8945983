"""How OpenCoder's rules see a language: which of their groups it falls in, and what its comments look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stackcurate.kernels.quality_literals_numba import (
    ARROWS,
    BACKTICK,
    BLOCK,
    CHARACTER,
    DASHES,
    DIRECTIVES,
    DOCSTRINGS,
    DOUBLE,
    EXPRESSIONS,
    HASH,
    ONE_LINE,
    OPEN_BLOCK,
    SINGLE,
    SLASHES,
    TAKES_NEWLINE,
    VERBATIM,
)

_C = SLASHES | BLOCK | TAKES_NEWLINE | OPEN_BLOCK | DOUBLE | CHARACTER | ONE_LINE | DIRECTIVES
_CURLY = SLASHES | BLOCK | DOUBLE | CHARACTER
_SCRIPT = SLASHES | BLOCK | DOUBLE | SINGLE | BACKTICK | EXPRESSIONS
_SHELL = HASH | DOUBLE | SINGLE
_PHP = SLASHES | HASH | BLOCK | TAKES_NEWLINE | DOUBLE | SINGLE
_SQL = DASHES | BLOCK | SINGLE | TAKES_NEWLINE
STYLES = {
    "C": _C, "C++": _C, "Objective-C": _C, "Objective-C++": _C, "Cuda": _C,
    "C#": SLASHES | BLOCK | TAKES_NEWLINE | DOUBLE | CHARACTER | ONE_LINE | VERBATIM,
    "Java": _CURLY, "Kotlin": _CURLY, "Scala": _CURLY, "Rust": _CURLY, "Swift": _CURLY,
    "JSON": SLASHES | BLOCK | DOUBLE,
    "Groovy": _CURLY | SINGLE, "Dart": _CURLY | SINGLE, "Go": _CURLY | BACKTICK,
    "JavaScript": _SCRIPT, "TypeScript": _SCRIPT, "TSX": _SCRIPT,
    "Python": HASH | DOUBLE | SINGLE | ONE_LINE | DOCSTRINGS, "Cython": HASH | DOUBLE | SINGLE | ONE_LINE | DOCSTRINGS,
    "Shell": _SHELL | TAKES_NEWLINE, "Ruby": _SHELL, "Perl": _SHELL, "R": _SHELL, "Makefile": HASH | TAKES_NEWLINE,
    "Dockerfile": HASH, "CMake": HASH,
    "YAML": HASH, "TOML": HASH, "Julia": HASH, "Elixir": _SHELL, "PowerShell": _SHELL, "Tcl": HASH, "INI": HASH,
    "SQL": _SQL, "PLSQL": _SQL, "PLpgSQL": _SQL, "TSQL": _SQL, "Lua": DASHES | DOUBLE | SINGLE,
    "Haskell": DASHES | DOUBLE,
    "Ada": DASHES | DOUBLE, "VHDL": DASHES | DOUBLE, "Elm": DASHES | DOUBLE, "XML": ARROWS, "SVG": ARROWS,
}  # fmt: skip
"""What comments and strings look like, by language as Linguist spells it; others have no comments."""

GROUPS = {
    "Python": "python", "JavaScript": "javascript", "Java": "java", "C": "c", "C++": "cpp", "C#": "csharp", "Go": "go",
    "HTML": "html", "Shell": "shell", "SQL": "sql",
}  # fmt: skip
"""Languages with rules of their own."""
_EMBEDDED = re.compile(
    r"<!--.*?(?:-->|\Z)|<script\b[^>]*(?:>|\Z)(.*?)(?:</script\s*>|\Z)|<style\b[^>]*(?:>|\Z).*?(?:</style\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_HASHBANG = re.compile(r"#! ?/[^\n]*")
_PHP_TAGS = re.compile(r"<\?(?:php)?(.*?)(?:\?>|\Z)", re.DOTALL | re.IGNORECASE)


def group_of(language: str, kind: str | None) -> str:
    """Return the group of rules for a language: one of `GROUPS`, or `text`, `data` or `others` by its kind.

    Args:
        language: as Linguist spells it.
        kind: Linguist's type of it.

    >>> group_of("C++", "programming"), group_of("YAML", "data"), group_of("Markdown", "prose")
    ('cpp', 'data', 'text')
    """
    by_kind = {"prose": "text", "data": "data"}
    return GROUPS.get(language) or by_kind.get(kind or "", "others")


def stretches(text: str, language: str) -> Iterator[tuple[int, int, int]]:
    """Yield begin, end and style of each stretch of a text in which comments may stand.

    >>> [text for text in ["a<!-- b --><script>// c</script>"] for _ in stretches(text, "HTML")]
    ['a<!-- b --><script>// c</script>', 'a<!-- b --><script>// c</script>']
    """
    if language == "PHP":
        yield from ((match.start(1), match.end(1), _PHP) for match in _PHP_TAGS.finditer(text))
    elif language in ("HTML", "Vue", "Svelte"):
        for match in _EMBEDDED.finditer(text):
            if match[0].startswith("<!--"):
                yield (*match.span(), ARROWS)
            elif match[1]:
                yield (*match.span(1), _SCRIPT)
    else:
        style = STYLES.get(language, 0)
        hashbang = _HASHBANG.match(text) if style == _SCRIPT else None
        if hashbang:
            yield (*hashbang.span(), HASH)
        yield hashbang.end() if hashbang else 0, len(text), style
