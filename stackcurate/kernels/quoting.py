"""Strings and comments: where in a source file angle brackets mean nothing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from pathlib import PurePosixPath

from stackcurate.kernels.byte_patterns import Span

_LEXERS = {
    ".c": "c", ".cc": "cpp", ".clj": "clojure", ".coffee": "coffeescript", ".cpp": "cpp", ".cs": "csharp",
    ".cu": "cuda", ".cxx": "cpp", ".dart": "dart", ".erl": "erlang", ".ex": "elixir", ".exs": "elixir",
    ".f90": "fortran", ".go": "go", ".groovy": "groovy", ".h": "cpp", ".hh": "cpp", ".hpp": "cpp", ".hs": "haskell",
    ".java": "java", ".jl": "julia", ".js": "javascript", ".kt": "kotlin", ".lua": "lua", ".m": "objective-c",
    ".mjs": "javascript", ".ml": "ocaml", ".nim": "nim", ".pas": "delphi", ".pl": "perl", ".pm": "perl",
    ".proto": "protobuf", ".py": "python", ".pyi": "python", ".pyx": "cython", ".r": "r", ".rb": "ruby",
    ".rs": "rust", ".scala": "scala", ".sol": "solidity", ".sql": "sql", ".swift": "swift", ".ts": "typescript",
    ".zig": "zig",
}  # fmt: skip
"""Programming languages in whose strings and comments angle brackets mean nothing, by suffix."""

_PROSE = re.compile(
    r"(?i)(?:authors|changes|changelog|contributors|copying|copyright|credits|history|licen[cs]e|maintainers|news|notice"
    r"|readme|thanks)[\w.-]*?(?:\.txt|\.rst)?"
)
_LONGEST_LEXED = 500_000


def nowhere(_span: Span) -> bool:
    """Say of every span that it stands neither in a string nor in a comment."""
    return False


def _everywhere(_span: Span) -> bool:
    return True


def quoting(content: bytes, path: str, last: int) -> Callable[[Span], bool]:
    """Return whether a span that ends by `last` stands in a string, a comment or prose."""
    name = PurePosixPath(path).name
    if _PROSE.fullmatch(name) and PurePosixPath(name).suffix in {"", ".txt", ".rst"}:
        return _everywhere
    alias = _LEXERS.get(PurePosixPath(name).suffix.lower())
    markup = alias in {"javascript", "typescript"} and (b"</" in content or b"/>" in content)  # JSX
    if alias is None or markup or len(content) > _LONGEST_LEXED:
        return nowhere
    plain = _COMMENTED[alias in _HASH_COMMENTS]
    regions: list[tuple[int, int]] = []

    def inside(span: Span) -> bool:
        line = content.rfind(b"\n", 0, span.start) + 1
        if plain.fullmatch(content, line, span.start) and b"\n" not in content[span.start : span.end]:
            return True
        if not regions:
            regions.extend([(-1, -1), *_literals(content, alias, last)])
        start, end = regions[bisect_right(regions, (span.start, len(content))) - 1]
        return start <= span.start and span.end <= end

    return inside


_HASH_COMMENTS = {"python", "cython", "ruby", "perl", "r", "julia", "elixir", "nim", "coffeescript"}
_ASSIGNED = rb"[ \t]*[\w.]+[ \t]*=[ \t]*\"[^\"'\\\n]*"
_COMMENTED = {True: re.compile(rb"[ \t]*#[^\n]*|" + _ASSIGNED), False: re.compile(rb"[ \t]*//[^\n]*|" + _ASSIGNED)}
"""A line that begins like this is in a string or a comment, whatever stands above it: no lexer is needed."""


def _literals(content: bytes, alias: str, last: int) -> list[tuple[int, int]]:
    """Return the byte ranges of strings and comments that begin before `last`; in Latin-1 a byte is a character."""
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.token import Comment, String  # type: ignore[import-untyped]

    regions: list[tuple[int, int]] = []
    for start, kind, text in get_lexer_by_name(alias).get_tokens_unprocessed(content.decode("latin-1")):
        if start > last:
            break
        code = kind in String.Interpol or kind in String.Symbol or kind in Comment.Preproc or kind in Comment.Hashbang
        if code or not (kind in String or kind in Comment):
            continue
        if regions and regions[-1][1] == start:
            regions[-1] = (regions[-1][0], start + len(text))
        else:
            regions.append((start, start + len(text)))
    return regions
