"""The compiled loops of the signals that count functions, as OpenCoder's expressions see them."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_text_numba import SPACE, WORD
from stackcurate.kernels.quality_tokens_numba import (
    BRACE,
    CLOSE,
    COMMA,
    GREATER,
    LESS,
    NONE,
    OPEN,
    STAR,
    holds,
    number_of,
    numbers,
    past,
    space_end,
    spaced,
    word_end,
)
from stackcurate.kernels.shingles_numba import compiled

C, CSHARP, GO, JAVA = 0, 1, 2, 3
"""Languages; C++ counts as C."""
_JAVA_MODIFIERS = numbers("public protected private static")
_CSHARP_FIRST = numbers("public protected private internal")
_CSHARP_SECOND = numbers("static virtual override abstract async")
_NO_TYPE = numbers("public private protected else if")
_FUNC, _THROWS, _MAIN = numbers("func throws main")


@compiled
def function_end(text: Any, at: int, language: int, classes: Any) -> int:  # noqa: PLR0911 - one for each form that it may take
    """Return the end of a function's head that begins a line in Java, C# or Go, after its arguments."""
    if language == GO:
        return _function_go(text, at, classes)
    begins, i, modifiers, legal = at, at, 0, True
    previous, before = 0, 0
    count = 0
    while True:
        if holds(text, i, LESS):  # a type parameter
            close = word_end(text, i + 1, classes)
            if close == i + 1 or not holds(text, close, GREATER):
                return NONE
            i = space_end(text, close + 1, classes)
        stop = word_end(text, i, classes)
        if stop == i:
            return NONE
        word, following = number_of(text, i, stop), space_end(text, stop, classes)
        count += 1
        if holds(text, following, OPEN):
            break
        if following == stop:
            return NONE
        before, previous, begins = previous, word, i
        if count > 1:
            legal = legal and _is_modifier(before, count - 2, modifiers, language)
            modifiers += before in _CSHARP_FIRST
        i = following
    if count < 2 or not legal or _is_no_type(text, begins):
        return NONE
    stop = past(text, following, CLOSE)
    if language == CSHARP or stop == NONE:
        return stop
    thrown = spaced(text, space_end(text, stop, classes), _THROWS, classes)
    while (
        thrown != NONE
        and thrown < len(text)
        and (classes[text[thrown]] & WORD or text[thrown] == COMMA or text[thrown] == 32)
    ):
        thrown += 1
    return max(stop, thrown)


@compiled
def _is_modifier(word: int, index: int, firsts: int, language: int) -> bool:
    """Say whether a word may stand before the type, as the word of that index."""
    if language == JAVA:
        return word in _JAVA_MODIFIERS
    return (index == 0 and word in _CSHARP_FIRST) or (word in _CSHARP_SECOND and index == firsts and index < 2)


@compiled
def _is_no_type(text: Any, at: int) -> bool:
    """Say whether what stands at a place begins like a word that is no type."""
    found = False
    for length in (2, 4, 6, 7, 9):
        found |= at + length <= len(text) and number_of(text, at, at + length) in _NO_TYPE
    return found


@compiled
def _function_go(text: Any, at: int, classes: Any) -> int:
    i = spaced(text, at, _FUNC, classes)
    if i == NONE:
        return NONE
    if holds(text, i, OPEN):
        name = space_end(text, i + 1, classes)
        kind = space_end(text, word_end(text, name, classes), classes)
        kind += holds(text, kind, STAR)
        stop = word_end(text, kind, classes)
        close = space_end(text, stop, classes)
        if stop == kind or not holds(text, close, CLOSE):
            return NONE
        i = space_end(text, close + 1, classes)
    stop = word_end(text, i, classes)
    arguments = space_end(text, stop, classes)
    return past(text, arguments, CLOSE) if stop > i and holds(text, arguments, OPEN) else NONE


@compiled
def c_functions(text: Any, classes: Any) -> int:
    """Count names with a type before and arguments after them."""
    zero: Any = np.int64(0)  # no literal, see `marks`
    found, last, at = 0, zero, zero
    while at < len(text):
        if text[at] == OPEN and _is_head(text, last, at, classes):
            stop = past(text, at, CLOSE)
            if stop == NONE:
                return found
            at = last = space_end(text, stop, classes)
            found += 1
        else:
            at += 1
    return found


@compiled
def _word_begin(text: Any, at: int, first: int, classes: Any) -> int:
    while at > first and classes[text[at - 1]] & WORD:
        at -= 1
    return at


@compiled
def _is_name(text: Any, begin: int, end: int) -> bool:
    return begin < end and (65 <= text[begin] <= 90 or 97 <= text[begin] <= 122 or text[begin] == 95)


@compiled
def _is_head(text: Any, first: int, at: int, classes: Any) -> bool:
    """Say whether a type and a name stand before a place: `type name`, `type* name` or `type *name`."""
    name = _word_begin(text, at, first, classes)
    if not _is_name(text, name, at):
        return False
    i = name
    while i > first and classes[text[i - 1]] & SPACE:
        i -= 1
    spaced, stars = i < name, i
    while i > first and text[i - 1] == STAR:
        i -= 1
    before, stop = stars - i, i
    while stop > first and classes[text[stop - 1]] & SPACE:
        stop -= 1
    if before and stop < i and before == 1:  # the star belongs to the name; more may belong to the type
        while stop > first and text[stop - 1] == STAR:
            stop -= 1
        while stop > first and classes[text[stop - 1]] & SPACE:
            stop -= 1
    elif not spaced:
        return False
    return _is_name(text, _word_begin(text, stop, first, classes), stop)


@compiled
def mains(text: Any, classes: Any) -> int:
    """Count definitions of `main`."""
    found, at = 0, 0
    while at + 4 <= len(text):
        stop = at + 1
        if text[at] == 109 and number_of(text, at, at + 4) == _MAIN and (at == 0 or not classes[text[at - 1]] & WORD):
            i = space_end(text, at + 4, classes)
            close = past(text, i + 1, CLOSE) if holds(text, i, OPEN) else NONE
            if close != NONE and holds(text, space_end(text, close, classes), BRACE):
                found, stop = found + 1, close
        at = stop
    return found
