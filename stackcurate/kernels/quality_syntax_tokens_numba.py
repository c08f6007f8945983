"""The compiled loops that cut Python into tokens, for `quality_syntax_numba`."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_literals_numba import line_end
from stackcurate.kernels.quality_tokens_numba import (
    APOSTROPHE,
    BACKSLASH,
    BRACE,
    CLOSING_BRACE,
    COLON,
    EQUALS,
    HASH_SIGN,
    NONE,
    QUOTE,
    holds,
)
from stackcurate.kernels.shingles_numba import compiled

UNSURE, BLANK, NAME, STRING, FORMATTED, MARK = -1, -2, -3, -4, -5, -6
"""Tokens that are no single character: not certain, nothing, a word, a string, a formatted one, and other marks."""
FORM_FEED = 12


def keywords(text: str) -> tuple[int, ...]:
    """Return the numbers that `keyword` gives some words."""
    return tuple(int.from_bytes(word.encode(), "big") for word in text.split())


_FORMATTED = keywords("f F fr fR Fr FR rf rF Rf RF t T tr tR Tr TR rt rT Rt RT")
_PREFIXES = _FORMATTED + keywords("r R b B u U br bR Br BR rb rB Rb RB")


@compiled
def keyword(text: Any, begin: int, end: int) -> int:
    """Return a word of up to seven ASCII characters as one number, others as 0."""
    h = 0
    for i in range(begin, min(end, begin + 7)):
        h = h << 8 | text[i]
        if text[i] > 127:
            return 0
    return h if end - begin <= 7 else 0


@compiled
def is_space(c: int) -> bool:
    """Say whether a character parts the tokens of a line."""
    return c in (32, 9, FORM_FEED)


@compiled
def is_quote(c: int) -> bool:
    """Say whether a character begins a string."""
    return c in (QUOTE, APOSTROPHE)


@compiled
def _closes(text: Any, at: int, quote: int, width: int) -> bool:
    return text[at] == quote and (width == 1 or (holds(text, at + 1, quote) and holds(text, at + 2, quote)))


@compiled
def _string_end(text: Any, at: int) -> int:
    """Return the end of the string whose quote stands at a place."""
    quote = text[at]
    width = 3 if _closes(text, at, quote, 3) else 1
    at += width
    while at < len(text):
        while at < len(text) and text[at] != quote and text[at] != BACKSLASH:
            at += 1
        if at < len(text) and _closes(text, at, quote, width):
            return at + width
        at += 1 + holds(text, at, BACKSLASH)
    return NONE


@compiled
def _formatted_end(text: Any, at: int) -> int:
    """Return the end of the formatted string whose quote stands at a place; none where it may stand in a field."""
    quote = text[at]
    width = 3 if _closes(text, at, quote, 3) else 1
    i, fields, inner = at + width, 0, 0
    while i < len(text):
        c: Any = np.int64(text[i])
        step = 1
        if _closes(text, i, quote, width):
            return i + width if fields == 0 else NONE
        if c == BACKSLASH:
            step += holds(text, i + 1, BACKSLASH) or (i + 1 < len(text) and is_quote(text[i + 1]))
        elif c in (BRACE, CLOSING_BRACE):
            if inner:
                return NONE
            if fields == 0 and holds(text, i + 1, c):
                step = 2  # doubled, it is text
            else:
                fields += 1 if c == BRACE else -1
        elif fields and c == HASH_SIGN and inner == 0:
            return NONE
        elif fields and is_quote(c) and inner in (0, c):
            inner = c if inner == 0 else 0
        i += step
    return NONE


@compiled
def _string(text: Any, at: int, quote: int) -> Any:
    """Return kind and end of the string that begins at a place and whose quote, after its prefix, stands at another."""
    is_formatted = keyword(text, at, quote) in _FORMATTED
    stop = _formatted_end(text, quote) if is_formatted else _string_end(text, quote)
    return UNSURE if stop == NONE else FORMATTED if is_formatted else STRING, stop


@compiled
def token(text: Any, at: int, stop: int) -> Any:
    """Return kind and end of the token at a place, a word up to `stop` or a mark: a mark alone stands for itself."""
    if stop > at and keyword(text, at, stop) not in _PREFIXES:
        return NAME, stop
    if is_quote(text[stop]):
        return _string(text, at, stop)
    c: Any = np.int64(text[at])
    if is_space(c) or c == BACKSLASH:
        return BLANK, at + 1 + (c == BACKSLASH)
    if c == HASH_SIGN:
        return BLANK, line_end(text, at, len(text))
    if c in (EQUALS, COLON) and holds(text, at + 1, EQUALS):
        return MARK, at + 2
    return UNSURE if c > 127 else c, at + 1
