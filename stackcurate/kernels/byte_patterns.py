r"""One pass over the bytes: which lines can hold a finding at all.

A detector states necessary conditions as patterns; the exact, slow code then reads the candidate lines only.
Hyperscan runs all patterns in one pass; where it has no wheel or one that misses matches, `re` finds the same lines,
more slowly.

Both engines read the syntax alike within these bounds: ASCII classes, no lookaround, no back-reference, no
empty match, and nothing that matches a line feed (write ``[^x\n]`` and ``[ \t]``, not ``[^x]`` and ``\s``).
``^`` and ``$`` stand for the ends of a line. A character above U+007F stands for one byte (Latin-1).
"""

from __future__ import annotations

import codecs
import re
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from stackcurate.kernels.hyperscan_build import is_exact


class Pattern(NamedTuple):
    """A necessary condition: its name and what a line must hold to be a candidate."""

    name: str
    expression: str
    caseless: bool = False


class Span(NamedTuple):
    """A finding: bytes of the source, what they are, which rule said so and how sure it is (0 to 1)."""

    start: int
    end: int
    entity: str
    rule: str
    score: float


Candidate = tuple[str, int, int]
"""Name of the pattern, first byte of the line, byte after the line without its line feed."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_Scan = Callable[[bytes], set[tuple[int, int, int]]]


def candidates(content: bytes, patterns: tuple[Pattern, ...], engine: str = "") -> list[Candidate]:
    r"""Return the lines on which a pattern matches, in order of position, then of name.

    Args:
        content: bytes of one file; lines end in ``\n`` only.
        patterns: the conditions; patterns of the same name count as one. Compiled once per process.
        engine: ``hyperscan`` or ``re``; by default Hyperscan where an exact build is installed.

    Returns:
        Distinct triples of name, first byte of the line, byte after the line.

    Raises:
        ValueError: the engine refuses a pattern, or there is no such engine.

    >>> candidates(b"a = 1\npassword = 2\n", (Pattern("word", "passw(?:or)?d", caseless=True),))
    [('word', 6, 18)]
    """
    if not patterns or not content:
        return []
    scan = _compiled(patterns, engine or _default_engine(), threading.get_ident(), single=False)
    named = {(start, patterns[index].name, end) for index, start, end in scan(content)}
    return [(name, start, end) for start, name, end in sorted(named)]


def holds_any(content: bytes, patterns: tuple[Pattern, ...], engine: str = "") -> bool:
    """Return whether any pattern matches anywhere; the arguments are those of `candidates`."""
    if not patterns or not content:
        return False
    return bool(_compiled(patterns, engine or _default_engine(), threading.get_ident(), single=True)(content))


def as_utf8(content: bytes) -> tuple[bytes, str]:
    r"""Return bytes in which ASCII patterns can match, and the encoding that they were converted from.

    Content with a byte order mark of UTF-16 or UTF-32 becomes UTF-8, lone surrogates and all; everything else,
    valid or not, is taken as it is, with an empty encoding.

    >>> as_utf8(codecs.BOM_UTF16_LE + "key".encode("utf-16-le"))
    (b'key', 'utf-16-le')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            whole = len(content) - len(content) % (4 if encoding.startswith("utf-32") else 2)
            try:
                text = content[len(mark) : whole].decode(encoding, "surrogatepass")
                return text.encode("utf-8", "surrogatepass"), encoding
            except UnicodeDecodeError:
                break
    return content, ""


def source_spans(spans: list[Span], converted: bytes, encoding: str) -> list[Span]:
    """Return spans of converted bytes as spans of the bytes that `as_utf8` was given.

    Args:
        spans: in bytes of `converted`.
        converted: what `as_utf8` returned.
        encoding: what it was converted from; empty means not at all.
    """
    if not encoding or not spans:
        return spans
    borders = sorted({border for span in spans for border in (span.start, span.end)})
    place, before, position = {}, 0, next(len(mark) for mark, name in _MARKS if name == encoding)
    for border in borders:
        piece = converted[before:border].decode("utf-8", "surrogatepass")
        position += len(piece.encode(encoding, "surrogatepass"))
        place[border], before = position, border
    return [span._replace(start=place[span.start], end=place[span.end]) for span in spans]


def decoded(line: bytes) -> tuple[str, str]:
    """Return text and encoding of a line; one bad byte makes it Latin-1, where each byte is a character."""
    try:
        return line.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return line.decode("latin-1"), "latin-1"


def moved(span: Span, line: str, encoding: str, offset: int) -> Span:
    """Return a span in characters of a line as one in bytes of the file.

    Args:
        span: in characters.
        line: text that `decoded` returned.
        encoding: as it returned.
        offset: first byte of the line.
    """
    if line.isascii():
        return span._replace(start=offset + span.start, end=offset + span.end)
    start = offset + len(line[: span.start].encode(encoding))
    return span._replace(start=start, end=start + len(line[span.start : span.end].encode(encoding)))


@cache
def _default_engine() -> str:
    return "hyperscan" if is_exact() else "re"


@cache
def _compiled(patterns: tuple[Pattern, ...], engine: str, _thread: int, *, single: bool) -> _Scan:
    """Compile once per process and thread: a Hyperscan scratch space serves one thread at a time."""
    compilers = {"hyperscan": _hyperscan, "re": _re}
    if engine not in compilers:
        raise ValueError(f"engine {engine!r}: expected one of {sorted(compilers)}")
    return compilers[engine](patterns, single)


_OPEN_END = re.compile(r"\{([1-9][0-9]*),[0-9]*\}(\)*)$")
"""A repeat at the end: the least of it is on the same lines, and Hyperscan reports every end of a match."""


def _hyperscan(patterns: tuple[Pattern, ...], single: bool) -> _Scan:
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    common = hyperscan.HS_FLAG_MULTILINE | (hyperscan.HS_FLAG_SINGLEMATCH if single else 0)
    flags = [common | (hyperscan.HS_FLAG_CASELESS if pattern.caseless else 0) for pattern in patterns]
    try:
        database.compile(
            expressions=[_OPEN_END.sub(r"{\1}\2", pattern.expression).encode("latin-1") for pattern in patterns],
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=flags,
        )
    except hyperscan.error as error:
        raise ValueError(f"hyperscan: {error}") from error

    def scan(content: bytes) -> set[tuple[int, int, int]]:
        lines: set[tuple[int, int, int]] = set()
        last = [(0, -1)] * len(patterns)

        def on_match(index: int, _start: int, end: int, _flags: int, _context: Any) -> None:
            # A pattern reports every end of a match: the line it reported last is by far the likeliest.
            start, stop = last[index]
            if not start < end <= stop:
                start = content.rfind(b"\n", 0, end) + 1
                stop = _line_end(content, end)
                last[index] = (start, stop)
                lines.add((index, start, stop))

        database.scan(content, match_event_handler=on_match)
        return lines

    return scan


def _re(patterns: tuple[Pattern, ...], single: bool) -> _Scan:
    compiled = [
        re.compile(pattern.expression.encode("latin-1"), re.MULTILINE | (re.IGNORECASE if pattern.caseless else 0))
        for pattern in patterns
    ]

    def scan(content: bytes) -> set[tuple[int, int, int]]:
        lines = ((index, *line) for index, pattern in enumerate(compiled) for line in _lines_with(pattern, content))
        return set(islice(lines, 1 if single else None))

    return scan


def _lines_with(pattern: re.Pattern[bytes], content: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while match := pattern.search(content, position):
        stop = _line_end(content, match.end())
        yield content.rfind(b"\n", 0, match.end()) + 1, stop
        position = stop + 1


def _line_end(content: bytes, position: int) -> int:
    stop = content.find(b"\n", position)
    return len(content) if stop < 0 else stop
