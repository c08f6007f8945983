"""The compiled loops of the signals that read what a Python file declares without its syntax tree, where they can.

The text must be one that Python parses: then its first word tells what a statement is, brackets pair, and a line that
ends outside of brackets and strings ends its statement. What is not certain from these alone is left to the tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_literals_numba import line_end
from stackcurate.kernels.quality_syntax_tokens_numba import (
    BLANK,
    FORM_FEED,
    FORMATTED,
    NAME,
    STRING,
    UNSURE,
    is_quote,
    is_space,
    keyword,
    keywords,
    token,
)
from stackcurate.kernels.quality_text_numba import NEWLINE
from stackcurate.kernels.quality_tokens_numba import (
    BACKSLASH,
    CLOSE,
    COLON,
    COMMA,
    EQUALS,
    HASH_SIGN,
    NONE,
    OPEN,
    SLASH,
    holds,
    marks,
    word_end,
)
from stackcurate.kernels.shingles_numba import compiled

FUNCTIONS, CLASSES, SIMPLE, FIELDS, DECLARES, DOCSTRINGS, _PERHAPS, _BRANCHES = range(8)
COUNTS = 8
"""What `declared` counts: functions, classes, functions that only return, fields of classes, whether it declares names,
docstrings, whether only the tree can tell that it declares names, `elif`s."""
_OTHER, _FUNCTION, _CLASS, _INNER, _MODULE = range(5)
"""Blocks: `_INNER` is a class in a class."""
_FIRST, _RETURNS, _MORE = range(3)
"""What stands in a block: nothing yet, a return alone, more."""
_KIND, _COLUMN, _STATE = range(3)
_NAMES, _ASSIGNED, _DOCUMENT, _COLONS, _SLASHES = range(5)
"""What `_statement` finds: names that get a type or a value, those that get a value, the end of its strings if it has
nothing else, colons outside of brackets, and slashes."""
_DEEPEST, _MOST_BRANCHES, _DEEPEST_BLOCK, _DEEPEST_BRACKET = 500, 200, 128, 256
"""Words and marks in a statement, and `elif`s in a file, from which on Python may find its tree too deep to build; and
more blocks than it lets stand in one another."""
_INLINE: Any = np.int64(1 << 30)
"""Column of a block that goes on after its colon."""
_OPENING, _CLOSING, _ENDS = marks("([{"), marks(")]}"), marks("\n;")
_DEF, _CLASS_WORD, _FOR, _ELIF, _IN, _RETURN, _LAMBDA = keywords("def class for elif in return lambda")
_HEADS = keywords("def class for elif async if else while with try except finally")
_SOFT = keywords("match case")


@compiled
def _nested(deep: Any, depth: int, kind: int) -> int:
    """Count a token into how deep its tree may be; return how many brackets are open after it, none for too many."""
    if kind in _CLOSING:
        if depth == 0:
            return NONE
        depth -= 1
        deep[depth, 0] += max(deep[depth + 1, 0], deep[depth + 1, 1])
        return depth
    if kind == COMMA:  # what it parts stands side by side
        deep[depth, 1], deep[depth, 0] = max(deep[depth, 0], deep[depth, 1]), 0
    if kind in _OPENING:
        depth += 1
        if depth == len(deep):
            return NONE
        deep[depth, 0] = deep[depth, 1] = 0
    return depth


@compiled
def _statement(text: Any, at: int, head: bool, found: Any, deep: Any, classes: Any) -> int:
    """Return where a simple statement ends, or the head of a compound one; none where that is not certain."""
    depth: Any = np.int64(0)
    first, targets, names, others, only_strings = at, not head, 0, 0, True
    deep[0, 0] = deep[0, 1] = 0
    for k in range(len(found)):
        found[k] = 0
    while at < len(text):
        if text[at] == 32:  # what is commonest comes first
            at += 1
            continue
        kind, stop = NAME, word_end(text, at, classes)
        if stop == at or is_quote(text[stop]):
            kind, stop = token(text, at, stop)
        if depth == 0 and (kind in _ENDS or (head and kind == COLON)):
            break
        if kind in (BLANK, NEWLINE):
            at = stop
            continue
        is_lambda = kind == NAME and depth == 0 and keyword(text, at, stop) == _LAMBDA
        targets = targets and not is_lambda
        if targets and depth == 0 and kind in (COLON, EQUALS):
            found[_NAMES] += names == 1 and others == 0
            found[_ASSIGNED] += names == 1 and others == 0 and kind == EQUALS
            targets, names, others, only_strings = kind == EQUALS, 0, 0, False
        else:
            names += kind == NAME
            is_round = kind in (OPEN, CLOSE)
            others += kind != NAME and not is_round
            only_strings = only_strings and (kind == STRING or (is_round and text[first] == OPEN))
        found[_DOCUMENT] = stop if kind == STRING else found[_DOCUMENT]
        found[_COLONS] += depth == 0 and kind == COLON
        found[_SLASHES] += kind == SLASH
        deep[depth, 0] += stop - at if kind == FORMATTED else kind != STRING
        if kind > 0:
            depth = _nested(deep, depth, kind)
        if kind == UNSURE or depth == NONE or (head and is_lambda):
            return NONE
        at = stop
    found[_DOCUMENT] *= only_strings
    return at if at < len(text) and max(deep[0, 0], deep[0, 1]) < _DEEPEST else NONE


@compiled
def _blank_end(text: Any, at: int) -> int:
    """Return the place after spaces, line breaks and comments."""
    while at < len(text) and (is_space(text[at]) or text[at] in (NEWLINE, BACKSLASH, HASH_SIGN)):
        at = line_end(text, at, len(text)) if text[at] == HASH_SIGN else at + 1
    return at


@compiled
def _declares(text: Any, at: int, word: int, slashes: int, classes: Any) -> int:
    """Say whether a loop or a function declares a name; none where that is not certain."""
    at = _blank_end(text, word_end(text, at, classes))
    stop = word_end(text, at, classes)
    following = _blank_end(text, stop)
    if word == _FOR:
        if holds(text, at, OPEN):
            return NONE
        return stop > at and keyword(text, following, word_end(text, following, classes)) == _IN
    if not holds(text, following, OPEN):
        return NONE
    at = _blank_end(text, following + 1)
    has_argument = word_end(text, at, classes) > at
    return NONE if has_argument and slashes else has_argument


@compiled
def _open(blocks: Any, top: int, word: int, column: int) -> int:
    """Begin the block of a head; return its place, none where there is no room."""
    if top + 1 == len(blocks):
        return NONE
    kind = _FUNCTION if word == _DEF else _CLASS if word == _CLASS_WORD else _OTHER
    for k in range(top + 1):
        if kind == _CLASS and blocks[k, _KIND] in (_CLASS, _INNER):
            kind = _INNER
    blocks[top + 1, _KIND], blocks[top + 1, _COLUMN], blocks[top + 1, _STATE] = kind, column, _FIRST
    return top + 1


@compiled
def _read(text: Any, at: int, word: int, found: Any, blocks: Any, top: int, counted: Any, classes: Any) -> bool:
    """Count what a statement declares and note its docstring; say whether that is certain."""
    out, docs = counted
    out[FUNCTIONS] += word == _DEF
    out[CLASSES] += word == _CLASS_WORD
    out[_BRANCHES] += word == _ELIF
    if word in (_DEF, _FOR):
        declares = _declares(text, at, word, found[_SLASHES], classes)
        out[_PERHAPS if declares == NONE else DECLARES] |= abs(declares)
    elif word not in _HEADS:
        out[DECLARES] |= found[_ASSIGNED] > 0
        out[FIELDS] += found[_NAMES] if blocks[top, _KIND] == _CLASS else 0
    if blocks[top, _STATE] == _FIRST and blocks[top, _KIND] != _OTHER:
        if text[at] == OPEN and found[_DOCUMENT]:
            return False  # perhaps one between parentheses
        if found[_DOCUMENT]:
            docs[out[DOCSTRINGS], 0], docs[out[DOCSTRINGS], 1] = at, found[_DOCUMENT]
            out[DOCSTRINGS] += 1
    blocks[top, _STATE] = _RETURNS if blocks[top, _STATE] == _FIRST and word == _RETURN else _MORE
    return True


@compiled
def _line(text: Any, at: int, blocks: Any, top: int, room: Any, counted: Any, classes: Any) -> Any:
    """Read a line of statements; return its end, its innermost block, and the word whose block the next line begins.

    The end is none where something is not certain; the word is none where no block begins.
    """
    found, deep = room
    while True:
        stop = word_end(text, at, classes)
        word = keyword(text, at, stop)
        head = word in _HEADS
        end = _statement(text, at, head, found, deep, classes)
        if end == NONE or (word in _SOFT and found[_COLONS]):
            return NONE, top, NONE
        if head != (text[end] == COLON) or not _read(text, at, word, found, blocks, top, counted, classes):
            return NONE, top, NONE
        at = end + (text[end] != NEWLINE)
        while is_space(text[at]):
            at += 1
        if text[at] in (NEWLINE, HASH_SIGN):
            return at, top, word if head else NONE
        if head:
            top = _open(blocks, top, word, _INLINE)
        if top == NONE or text[at] == BACKSLASH:
            return NONE, top, NONE


@compiled
def _close(blocks: Any, top: int, column: int, out: Any) -> int:
    """Return the innermost block of a line at a column; count the functions before it that only return."""
    while top and blocks[top, _COLUMN] > column:
        out[SIMPLE] += blocks[top, _KIND] == _FUNCTION and blocks[top, _STATE] == _RETURNS
        top -= 1
    return top if blocks[top, _COLUMN] == column else NONE


@compiled
def declared(text: Any, classes: Any, out: Any, docs: Any) -> bool:
    """Count what a Python file declares; say whether all of it is certain.

    Args:
        text: (n,) code points that Python parses, the last a line feed.
        classes: bits by code point.
        out: (COUNTS,) gets what is counted.
        docs: (N, 2) with room for one docstring by line; gets where they begin and end, prefix and quotes included.
    """
    blocks = np.zeros((_DEEPEST_BLOCK, 3), np.int64)
    blocks[0, _KIND] = _MODULE
    room = np.empty(5, np.int64), np.empty((_DEEPEST_BRACKET, 2), np.int64)
    out[:] = 0
    zero: Any = np.int64(0)  # no literal, see `marks`
    at, top, word = zero, zero, zero + NONE
    while at < len(text):
        begin = at
        while at < len(text) and is_space(text[at]):
            at += 1
            begin = at if text[at - 1] == FORM_FEED else begin
        if at == len(text):
            break
        if text[at] in (NEWLINE, HASH_SIGN):
            at = line_end(text, at, len(text)) + 1
            continue
        column = at - begin
        top = _open(blocks, top, word, column) if word != NONE else _close(blocks, top, column, out)
        if top == NONE or text[at] == BACKSLASH:
            return False
        at, top, word = _line(text, at, blocks, top, room, (out, docs), classes)
        if at == NONE:
            return False
    _close(blocks, top, zero, out)
    return bool(out[_BRANCHES] < _MOST_BRANCHES and (out[DECLARES] > 0 or out[_PERHAPS] == 0))
