"""Parse state: how much of a file tree-sitter cannot read, where a grammar of its language is installed.

Grammars come from the extra `parse`; without one there is no answer, and no error.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

GRAMMARS = {
    "Bash": "bash", "C": "c", "C#": "c_sharp", "C++": "cpp", "CSS": "css", "Go": "go", "HTML": "html", "Java": "java",
    "JSON": "json", "JavaScript": "javascript", "PHP": "php:language_php", "Python": "python", "Ruby": "ruby",
    "Rust": "rust", "Shell": "bash", "TSX": "typescript:language_tsx", "TypeScript": "typescript:language_typescript",
}  # fmt: skip
"""By language the distribution, after `tree_sitter_`, and the function that gives the grammar."""


def parse_errors(content: bytes, language: str, largest: int) -> float | None:
    """Return the share of bytes that a grammar has no rule for; null without a grammar or where it is too large.

    Args:
        content: UTF-8.
        language: as Linguist spells it.
        largest: bytes of the largest file that is parsed.
    """
    parser = _parser(language)
    if parser is None or len(content) > largest:
        return None
    tree = parser.parse(content)
    return _wrong(tree.root_node) / (len(content) or 1)


@cache
def _parser(language: str) -> Any:
    """Return the parser of a language; None where its grammar or tree-sitter is not installed."""
    module, _, function = GRAMMARS.get(language, "").partition(":")
    try:
        sitter, grammar = import_module("tree_sitter"), import_module(f"tree_sitter_{module}")
    except ImportError:
        return None
    return sitter.Parser(sitter.Language(getattr(grammar, function or "language")()))


def _wrong(root: Any) -> int:
    """Return the bytes of the outermost nodes that are errors."""
    total, left = 0, [root]
    while left:
        node = left.pop()
        if node.is_error:
            total += node.end_byte - node.start_byte
        elif node.has_error:
            left += node.children
    return total
