"""The compiled loops of `quality_signals` that tell comments from code.

Where a comment begins and ends is what Pygments 2.21 says, whose lexers OpenCoder splits a file with. Import this
module inside functions: numba takes a third of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_text_numba import FAR, NEWLINE, SPACE, WORD
from stackcurate.kernels.shingles_numba import compiled

SLASHES, HASH, DASHES, BLOCK, TAKES_NEWLINE, OPEN_BLOCK = 1, 2, 4, 8, 16, 32
"""What begins a comment: ``//``, ``#``, ``--``, ``/*``; a line's comment takes the end of the line along; a block that
nothing ends is one."""
DOUBLE, SINGLE, CHARACTER, BACKTICK, ONE_LINE = 64, 128, 256, 512, 1024
"""Strings between ``"``, between ``'``, one character between ``'``, between backticks; a string ends with its line."""
DIRECTIVES, EXPRESSIONS, DOCSTRINGS, VERBATIM, ARROWS = 2048, 4096, 8192, 16384, 32768
"""The C preprocessor; regular expressions between slashes; Python; strings such as ``@"..."``; ``<!-- -->``."""
COMMENT, DOCSTRING = 1, 2
"""What `mark` writes."""
_QUOTES = (34, 39)
_ENDS = (41, 93, 125, 46, 34, 39, 96)
"""Closing brackets, dots and quotes: a slash after them divides."""
_QUOTE, _APOSTROPHE, _TICK, _BACKSLASH, _SLASH, _STAR, _HASH = 34, 39, 96, 92, 47, 42, 35


@compiled
def stands(text: Any, at: int, end: int, word: Any) -> bool:
    """Say whether a word, an array of code points in lower case, stands at a place, in either case."""
    if at + len(word) > end:
        return False
    for k in range(len(word)):
        c = text[at + k]
        if (c + 32 if 65 <= c <= 90 else c) != word[k]:
            return False
    return True


@compiled
def _pair(text: Any, at: int, end: int, first: int, second: int) -> bool:
    return at + 1 < end and text[at] == first and text[at + 1] == second


@compiled
def _line_end(text: Any, at: int, end: int) -> int:
    while at < end and text[at] != NEWLINE:
        at += 1
    return at


@compiled
def _block_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the block comment that begins at a place; the place where nothing ends it."""
    for i in range(at + 2, min(end - 1, at + FAR)):
        if text[i] == _STAR and text[i + 1] == _SLASH:
            return i + 2
    return end if style & OPEN_BLOCK and end <= at + FAR else at


@compiled
def comment_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the comment that begins at a place; the place itself where none does."""
    c = text[at]
    if c == _SLASH and style & BLOCK and _pair(text, at, end, _SLASH, _STAR):
        return _block_end(text, at, end, style)
    is_line = (c == _SLASH and style & SLASHES and _pair(text, at, end, _SLASH, _SLASH)) or (
        c == _HASH and style & HASH
    )
    if is_line or (c == 45 and style & DASHES and _pair(text, at, end, 45, 45)):
        stop = _line_end(text, at, end)
        while style & DIRECTIVES and stop < end and text[stop - 1] == _BACKSLASH:
            stop = _line_end(text, stop + 1, end)
        return min(end, stop + (style & TAKES_NEWLINE != 0))
    if c == 60 and style & ARROWS and _pair(text, at + 1, end, 33, 45) and at + 3 < end and text[at + 3] == 45:
        for i in range(at + 4, min(end - 2, at + FAR)):
            if text[i] == 45 and _pair(text, i + 1, end, 45, 62):
                return i + 3
    return at


@compiled
def _string_end(text: Any, at: int, end: int, one_line: bool) -> int:
    """Return the end of the string whose quote stands at a place; just after the quote where it is never closed."""
    i, stop = at + 1, min(end, at + FAR)
    while i < stop:
        if text[i] == text[at]:
            return i + 1
        if text[i] == NEWLINE and one_line:
            return i
        i += 2 if text[i] == _BACKSLASH else 1
    return end if one_line else at + 1


@compiled
def _character_end(text: Any, at: int, end: int) -> int:
    """Return the end of a character between apostrophes; just after the first of them where it is none."""
    longest = 8 if at + 1 < end and text[at + 1] == _BACKSLASH else 2
    for i in range(at + 2, min(end, at + longest + 1)):
        if text[i] == _APOSTROPHE and not (i == at + 2 and longest > 2):
            return i + 1
    return at + 1


@compiled
def _until(text: Any, at: int, end: int, mark: int) -> int:
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
        if text[i] == quote and text[i + 1] == quote and text[i + 2] == quote:
            return i + 3
        i += 2 if text[i] == _BACKSLASH else 1
    return at


@compiled
def literal_end(text: Any, at: int, end: int, style: int) -> int:
    """Return the end of the string that begins at a place; one further where none does."""
    c = text[at]
    if c == _QUOTE and style & VERBATIM and at > 0 and text[at - 1] == 64:
        stop = _until(text, at, end, _QUOTE)
        while stop < end and text[stop] == _QUOTE:  # doubled, it is part of the string
            stop = _until(text, stop, end, _QUOTE)
        return stop
    if c in _QUOTES and style & DOCSTRINGS:
        stop = triple_end(text, at, end)
        if stop > at:
            return stop
    if (c == _QUOTE and style & DOUBLE) or (c == _APOSTROPHE and style & SINGLE):
        return _string_end(text, at, end, style & ONE_LINE != 0)
    if c == _APOSTROPHE and style & CHARACTER:
        return _character_end(text, at, end)
    if c == _TICK and style & BACKTICK:
        return _string_end(text, at, end, False) if style & EXPRESSIONS else _until(text, at, end, _TICK)
    return at + 1


@compiled
def mark(text: Any, begin: int, end: int, style: int, classes: Any, keywords: Any, out: Any) -> None:
    """Set `out` where a stretch of a text is comment.

    Args:
        text: (n,) code points, each line ended by a line feed.
        begin: first of the stretch.
        end: after the stretch.
        style: the bits above.
        classes: bits by code point.
        keywords: ascending hashes of the words after which a slash begins an expression.
        out: (n,) zeros.
    """
    at, may_divide = begin, False
    while at < end:
        c = text[at]
        first = at == begin or text[at - 1] == NEWLINE
        if not first and not style & EXPRESSIONS and (c > 96 or c == 32 or 65 <= c <= 90 or 48 <= c <= 57):
            at += 1  # what begins neither a comment nor a string
            continue
        if first and style & DIRECTIVES:
            stop = _directive(text, at, end, classes, out)
            if stop > at:
                at = stop
                continue
        if first and style & DOCSTRINGS:
            at = _docstring(text, at, end, classes, out)
            if at >= end:
                return
            c = text[at]
        if first and (classes[c] & SPACE or c == _SLASH):
            may_divide = False
        stop = comment_end(text, at, end, style)
        if stop > at:
            out[at:stop] = COMMENT
            at = stop
        elif classes[c] & SPACE:
            at += 1
        elif style & EXPRESSIONS and (classes[c] & WORD or c == 36):
            at, may_divide = _word(text, at, end, classes, keywords)
        elif style & EXPRESSIONS and c == _SLASH and not may_divide:
            at, may_divide = _expression_end(text, at, end, classes), True
        else:
            may_divide = c in _ENDS
            at = literal_end(text, at, end, style)


@compiled
def _word(text: Any, at: int, end: int, classes: Any, keywords: Any) -> Any:
    """Return the end of a word, and whether a slash after it divides."""
    h = np.int64(0)
    while at < end and (classes[text[at]] & WORD or text[at] == 36):
        h = h * 31 + text[at]
        at += 1
    k = np.searchsorted(keywords, h)
    return at, not (k < len(keywords) and keywords[k] == h)


@compiled
def _expression_end(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of a regular expression; the end of the line where it is none."""
    i, bracket = at + 1, False
    while i < end and text[i] != NEWLINE:
        c = text[i]
        if c == _BACKSLASH:
            i += 2
            continue
        if c == _SLASH and not bracket:
            if i == at + 1:
                break
            i += 1
            while i < end and classes[text[i]] & WORD:
                i += 1
            return i
        bracket = c == 91 or (bracket and c != 93)
        i += 1
    return _line_end(text, at, end)


@compiled
def _docstring(text: Any, at: int, end: int, classes: Any, out: Any) -> int:
    """Mark the string between three quotes that a line begins with; return where the line goes on."""
    i = at
    while i < end and classes[text[i]] & SPACE:
        i += 1
    first = i
    while i < end and i < first + 2 and (text[i] | 32 == 114 or text[i] | 32 == 117 or text[i] | 32 == 98):
        i += 1
    if i >= end or not (text[i] == _QUOTE or text[i] == _APOSTROPHE):
        return first
    stop = triple_end(text, i, end)
    out[i:stop] = DOCSTRING
    return max(stop, first)


@compiled
def _directive(text: Any, at: int, end: int, classes: Any, out: Any) -> int:
    """Mark the comments of a preprocessor's line; return its end, or the place where it is none."""
    i = _spaces(text, at, end, classes, out, False)
    if i >= end or text[i] != _HASH:
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
            if text[i + 1] == _SLASH:
                return stop
            i = stop
        elif text[i] == NEWLINE and text[i - 1] != _BACKSLASH:
            return i + 1
        else:
            i += 1
    return end


@compiled
def _zero(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the place of the zero of ``if 0``; the place itself where that does not stand there."""
    if not _pair(text, at, end, 105, 102):
        return at
    zero = at + 2
    while zero < end and classes[text[zero]] & SPACE:
        zero += 1
    return zero if at + 2 < zero < end and text[zero] == 48 else at


@compiled
def _after_include(text: Any, at: int, end: int) -> int:
    """Return the end of what follows an include: its line, or the block comment on it."""
    stop = _line_end(text, at, end)
    for k in range(at, stop):
        if text[k] == _SLASH:
            closed = _block_end(text, k, end, 0) if _pair(text, k, end, _SLASH, _STAR) else k
            return closed if closed > k else stop
    return stop


@compiled
def _spaces(text: Any, at: int, end: int, classes: Any, out: Any, write: bool) -> int:
    """Return the place after spaces and at most one block comment on one line, which is marked if asked for."""
    seen = False
    while at < end:
        if classes[text[at]] & SPACE:
            at += 1
        elif not seen and _pair(text, at, end, _SLASH, _STAR):
            stop = _block_end(text, at, _line_end(text, at, end), 0)
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
    if i >= end or not (text[i] == _QUOTE or text[i] == 60):
        return at
    stop = _until(text, i, end, 62 if text[i] == 60 else _QUOTE)
    if stop <= i + 2:
        return at
    while stop < end and text[stop] != NEWLINE and classes[text[stop]] & SPACE:
        stop += 1
    return stop


@compiled
def _switched_off(text: Any, at: int, end: int, classes: Any) -> int:
    """Return the place after the line that ends what stands between ``#if 0`` and its end."""
    depth, at = 1, _line_end(text, at, end) + 1
    while at < end and depth:
        i = at
        while i < end and classes[text[i]] & SPACE:
            i += 1
        if i + 3 < end and text[i] == _HASH:
            if text[i + 1] == 105 and text[i + 2] == 102:
                depth += 1
            elif text[i + 1] == 101 and (text[i + 2] == 110 or text[i + 2] == 108):
                depth -= 1
        at = _line_end(text, i, end) + 1
    return min(at, end)
