"""The compiled loops of the signals that mark the comments and docstrings of a text."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_literals_numba import (
    BLOCK,
    DIRECTIVES,
    DOCSTRINGS,
    EXPRESSIONS,
    SLASHES,
    TAKES_NEWLINE,
    block_end,
    comment_end,
    line_end,
    literal_end,
    pair,
    triple_end,
    until,
)
from stackcurate.kernels.quality_text_numba import NEWLINE, SPACE, WORD
from stackcurate.kernels.quality_tokens_numba import (
    APOSTROPHE,
    BACKSLASH,
    GREATER,
    HASH_SIGN,
    LESS,
    QUOTE,
    SLASH,
    STAR,
    marks,
)
from stackcurate.kernels.shingles_numba import compiled

COMMENT, DOCSTRING = 1, 2
"""What `mark` writes."""
_I, _F = marks("if")
_ENDS = (41, 93, 125, 46, 34, 39, 96)
"""Closing brackets, dots and quotes: a slash after them divides."""


_BEGINS = sum(1 << ord(c) for c in "\"#'-/<")
"""A bit for each character, but the backtick, that a comment or a string may begin with."""


@compiled
def _is_plain(c: int) -> bool:
    """Say whether a character begins neither a comment nor a string."""
    return c > 96 or 60 < c < 96 or (c < 64 and not _BEGINS >> c & 1)


@compiled
def mark(text: Any, begin: int, end: int, style: int, classes: Any, keywords: Any, out: Any) -> None:
    """Set `out` where a stretch of a text is comment.

    Args:
        text: (n,) code points, each line ended by a line feed.
        begin: first of the stretch.
        end: after the stretch.
        style: the bits of `quality_literals_numba`.
        classes: bits by code point.
        keywords: ascending hashes of the words after which a slash begins an expression.
        out: (n,) zeros.
    """
    at, may_divide, word, word_stop = begin, False, 0, 0
    while at < end:
        c = text[at]
        first = at == begin or text[at - 1] == NEWLINE
        if not first and not style & EXPRESSIONS and _is_plain(c):
            at += 1
            continue
        if first and style & DIRECTIVES and (c in (HASH_SIGN, SLASH) or classes[c] & SPACE):
            stop = _directive(text, at, end, classes, out)
            if stop > at:
                at = stop
                continue
        if first and style & DOCSTRINGS:
            at = _docstring(text, at, end, classes, out)
            if at >= end:
                return
            c = text[at]
        if first and (classes[c] & SPACE or c == SLASH):
            may_divide = False
        if classes[c] & SPACE:
            at += 1
            continue
        if style & EXPRESSIONS and (classes[c] & WORD or c == 36):
            word, at, may_divide = at, _name_end(text, at, end, classes), True
            word_stop = at
            continue
        stop = at if _is_plain(c) else comment_end(text, at, end, style)
        if stop > at:
            out[at:stop] = COMMENT
            at = stop
        elif style & EXPRESSIONS and c == SLASH and not (may_divide and _divides(text, word, word_stop, keywords)):
            at, may_divide, word_stop = _expression_end(text, at, end, classes), True, word
        else:
            may_divide, word_stop = c in _ENDS, word
            at = literal_end(text, at, end, style)


@compiled
def _name_end(text: Any, at: int, end: int, classes: Any) -> int:
    while at < end and (classes[text[at]] & WORD or text[at] == 36):
        at += 1
    return at


@compiled
def _divides(text: Any, begin: int, end: int, keywords: Any) -> bool:
    """Say whether a slash divides after a word, as after none."""
    h = np.int64(0)
    for i in range(begin, end):
        h = h * 31 + text[i]
    k = np.searchsorted(keywords, h)
    return not (k < len(keywords) and keywords[k] == h)


@compiled
def _expression_end(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of a regular expression; the end of the line where it is none."""
    i, bracket = at + 1, False
    while i < end and text[i] != NEWLINE:
        c = text[i]
        if c == BACKSLASH:
            i += 2
            continue
        if c == SLASH and not bracket:
            if i == at + 1:
                break
            i += 1
            while i < end and classes[text[i]] & WORD:
                i += 1
            return i
        bracket = c == 91 or (bracket and c != 93)
        i += 1
    return line_end(text, at, end)


@compiled
def _docstring(text: Any, at: int, end: int, classes: Any, out: Any) -> int:
    """Mark the string between three quotes that a line begins with; return where the line goes on."""
    i = at
    while i < end and classes[text[i]] & SPACE:
        i += 1
    first = i
    while i < end and i < first + 2 and (text[i] | 32 == 114 or text[i] | 32 == 117 or text[i] | 32 == 98):
        i += 1
    if i >= end or not (text[i] == QUOTE or text[i] == APOSTROPHE):
        return first
    stop = triple_end(text, i, end)
    out[i:stop] = DOCSTRING
    return max(stop, first)


@compiled
def _directive(text: Any, at: int, end: int, classes: Any, out: Any) -> int:
    """Mark the comments of a preprocessor's line; return its end, or the place where it is none."""
    i = _spaces(text, at, end, classes, out, False)
    if i >= end or text[i] != HASH_SIGN:
        return at
    _spaces(text, at, end, classes, out, True)
    name = i + 1
    while name < end and text[name] != NEWLINE and classes[text[name]] & SPACE:
        name += 1
    zero = _zero(text, name, end, classes) if name == i + 1 else name
    if zero > name:
        return _switched_off(text, zero, end, classes)
    rest = _included(text, name, end, classes)
    if rest > name:
        stop = _after_include(text, rest, end)
        out[rest:stop] = COMMENT
        return stop
    i += 1
    while i < end:
        stop = comment_end(text, i, end, BLOCK | SLASHES | TAKES_NEWLINE)
        if stop > i:
            out[i:stop] = COMMENT
            if text[i + 1] == SLASH:
                return stop
            i = stop
        elif text[i] == NEWLINE and text[i - 1] != BACKSLASH:
            return i + 1
        else:
            i += 1
    return end


@compiled
def _zero(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the place of the zero of ``if 0``; the place itself where that does not stand there."""
    if not pair(text, at, end, _I, _F):
        return at
    zero = at + 2
    while zero < end and classes[text[zero]] & SPACE:
        zero += 1
    return zero if at + 2 < zero < end and text[zero] == 48 else at


@compiled
def _after_include(text: Any, at: int, end: int) -> int:
    """Return the end of what follows an include: its line, or the block comment on it."""
    stop = line_end(text, at, end)
    for k in range(at, stop):
        if text[k] == SLASH:
            closed = block_end(text, k, end, 0) if pair(text, k, end, SLASH, STAR) else k
            return closed if closed > k else stop
    return stop


@compiled
def _spaces(text: Any, at: int, end: int, classes: Any, out: Any, write: bool) -> int:
    """Return the place after spaces and at most one block comment on one line, which is marked if asked for."""
    seen = False
    while at < end:
        if classes[text[at]] & SPACE:
            at += 1
        elif not seen and pair(text, at, end, SLASH, STAR):
            stop = block_end(text, at, line_end(text, at, end), 0)
            if stop == at:
                return at
            if write:
                out[at:stop] = COMMENT
            at, seen = stop, True
        else:
            return at
    return at


@compiled
def _included(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the place after the file that an `include` names and its spaces; the place where there is none."""
    name = (105, 110, 99, 108, 117, 100, 101)
    if at + len(name) >= end:
        return at
    for k in range(len(name)):
        if text[at + k] != name[k]:
            return at
    i = at + len(name)
    while i < end and classes[text[i]] & SPACE:
        i += 1
    if i >= end or not (text[i] == QUOTE or text[i] == 60):
        return at
    stop = until(text, i, end, GREATER if text[i] == LESS else QUOTE)
    if stop <= i + 2:
        return at
    while stop < end and text[stop] != NEWLINE and classes[text[stop]] & SPACE:
        stop += 1
    return stop


@compiled
def _switched_off(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the place after the line that ends what stands between ``#if 0`` and its end."""
    depth, at = 1, line_end(text, at, end) + 1
    while at < end and depth:
        i = at
        while i < end and classes[text[i]] & SPACE:
            i += 1
        if i + 3 < end and text[i] == HASH_SIGN:
            if text[i + 1] == 105 and text[i + 2] == 102:
                depth += 1
            elif text[i + 1] == 101 and (text[i + 2] == 110 or text[i + 2] == 108):
                depth -= 1
        at = line_end(text, i, end) + 1
    return min(at, end)
