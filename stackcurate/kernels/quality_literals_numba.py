"""The compiled loops of the signals that find where a comment or a string ends, by the style of its language.

Where that is Pygments 2.21 says, whose lexers OpenCoder splits a file with.
"""

from __future__ import annotations

from typing import Any

from stackcurate.kernels.quality_text_numba import FAR, NEWLINE
from stackcurate.kernels.quality_tokens_numba import (
    APOSTROPHE,
    BACKSLASH,
    DASH,
    GREATER,
    HASH_SIGN,
    LESS,
    QUOTE,
    SLASH,
    STAR,
    marks,
)
from stackcurate.kernels.shingles_numba import compiled

SLASHES, HASH, DASHES, BLOCK, TAKES_NEWLINE, OPEN_BLOCK = 1, 2, 4, 8, 16, 32
"""What begins a comment: ``//``, ``#``, ``--``, ``/*``; a line's comment takes the end of the line along; a block that
nothing ends is one."""
DOUBLE, SINGLE, CHARACTER, BACKTICK, ONE_LINE = 64, 128, 256, 512, 1024
"""Strings between ``"``, between ``'``, one character between ``'``, between backticks; a string ends with its line."""
DIRECTIVES, EXPRESSIONS, DOCSTRINGS, VERBATIM, ARROWS = 2048, 4096, 8192, 16384, 32768
"""The C preprocessor; regular expressions between slashes; Python; strings such as ``@"..."``; ``<!-- -->``."""
_QUOTES = (QUOTE, APOSTROPHE)
(_BANG, _TICK) = marks("!`")


@compiled
def pair(text: Any, at: int, end: int, first: int, second: int) -> bool:
    """Say whether two characters stand at a place."""
    return at + 1 < end and text[at] == first and text[at + 1] == second


@compiled
def line_end(text: Any, at: int, end: int) -> int:
    """Return where the line of a place ends."""
    while at < end and text[at] != NEWLINE:
        at += 1
    return at


@compiled
def block_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the block comment that begins at a place; the place where nothing ends it."""
    for i in range(at + 2, min(end - 1, at + FAR)):
        if text[i] == STAR and text[i + 1] == SLASH:
            return i + 2
    return end if style & OPEN_BLOCK and end <= at + FAR else at


@compiled
def comment_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the comment that begins at a place; the place itself where none does."""
    c = text[at]
    if c == SLASH and style & BLOCK and pair(text, at, end, SLASH, STAR):
        return block_end(text, at, end, style)
    is_line = (c == SLASH and style & SLASHES and pair(text, at, end, SLASH, SLASH)) or (
        c == HASH_SIGN and style & HASH
    )
    if is_line or (c == DASH and style & DASHES and pair(text, at, end, DASH, DASH)):
        stop = line_end(text, at, end)
        while style & DIRECTIVES and stop < end and text[stop - 1] == BACKSLASH:
            stop = line_end(text, stop + 1, end)
        return min(end, stop + (style & TAKES_NEWLINE != 0))
    if c == LESS and style & ARROWS and pair(text, at + 1, end, _BANG, DASH) and at + 3 < end and text[at + 3] == DASH:
        for i in range(at + 4, min(end - 2, at + FAR)):
            if text[i] == DASH and pair(text, i + 1, end, DASH, GREATER):
                return i + 3
    return at


@compiled
def _string_end(text: Any, at: int, end: int, one_line: bool) -> int:
    """Return the end of the string whose quote stands at a place; just after the quote where it is never closed."""
    i, stop, quote = at + 1, min(end, at + FAR), text[at]
    while i < stop:
        if text[i] == quote:
            return i + 1
        if text[i] == NEWLINE and one_line:
            return i
        if text[i] == BACKSLASH:
            i += 1
        i += 1
    return end if one_line else at + 1


@compiled
def _character_end(text: Any, at: int, end: int) -> int:
    """Return the end of a character between apostrophes; just after the first of them where it is none."""
    longest = 8 if at + 1 < end and text[at + 1] == BACKSLASH else 2
    for i in range(at + 2, min(end, at + longest + 1)):
        if text[i] == APOSTROPHE and not (i == at + 2 and longest > 2):
            return i + 1
    return at + 1


@compiled
def until(text: Any, at: int, end: int, mark: int) -> int:
    """Return the place after the next mark; just after the first place where there is none."""
    for i in range(at + 1, min(end, at + FAR)):
        if text[i] == mark:
            return i + 1
    return at + 1


@compiled
def triple_end(text: Any, at: int, end: int) -> int:
    """Return the end of the string between three quotes that begins at a place; the place itself where none does."""
    quote = text[at]
    if at + 2 >= end or text[at + 1] != quote or text[at + 2] != quote:
        return at
    i, end = at + 3, min(end, at + FAR)
    while i + 2 < end:
        while i + 2 < end and text[i] != quote and text[i] != BACKSLASH:  # quick, since it steps by one alone
            i += 1
        if i + 2 < end and text[i] == quote and text[i + 1] == quote and text[i + 2] == quote:
            return i + 3
        i += 2 if text[i] == BACKSLASH else 1
    return at


@compiled
def literal_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the string that begins at a place; one further where none does."""
    c = text[at]
    if c == QUOTE and style & VERBATIM and at > 0 and text[at - 1] == 64:
        stop = until(text, at, end, QUOTE)
        while stop < end and text[stop] == QUOTE:  # doubled, it is part of the string
            stop = until(text, stop, end, QUOTE)
        return stop
    if c in _QUOTES and style & DOCSTRINGS:
        stop = triple_end(text, at, end)
        if stop > at:
            return stop
    if (c == QUOTE and style & DOUBLE) or (c == APOSTROPHE and style & SINGLE):
        return _string_end(text, at, end, style & ONE_LINE != 0)
    if c == APOSTROPHE and style & CHARACTER:
        return _character_end(text, at, end)
    if c == _TICK and style & BACKTICK:
        return _string_end(text, at, end, False) if style & EXPRESSIONS else until(text, at, end, _TICK)
    return at + 1
