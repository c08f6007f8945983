"""The compiled loops of the signals that count declarations, by language, as OpenCoder's expressions see them.

Most of these look at the first word of each line that is not blank: they are tried there, and not again before the end
of what they matched.
"""

from __future__ import annotations

from typing import Any

from stackcurate.kernels.quality_functions_numba import CSHARP, GO, JAVA, C, function_end
from stackcurate.kernels.quality_text_numba import FAR, NEWLINE, SPACE, WORD
from stackcurate.kernels.quality_tokens_numba import (
    BRACE,
    CLOSING_BRACE,
    COLON,
    COMMA,
    EQUALS,
    HASH_SIGN,
    NONE,
    OPEN,
    QUOTE,
    SEMICOLON,
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

FUNCTIONS, IMPORTS, VARIABLES, RETURNS, CLASSES, ALL_VARIABLES = 0, 1, 2, 3, 4, 5
"""What is counted: functions, imports, variables without a value, returns without logic, classes, variables."""
_ACCESS = numbers("public protected private")
_JAVA_FIELDS = numbers("public protected private final static")
_JAVA_TYPES = numbers("int float boolean char double")
_CSHARP_TYPES = numbers("int float double char string bool byte sbyte short ushort uint long ulong decimal")
_C_TYPES = numbers("int float double char bool auto")
_FINAL, _RETURN, _CLASS, _TYPE, _VAR = numbers("final return class type var")
_IMPORT, _USING, _INCLUDE, _UNSIGNED, _STD = numbers("import using include unsigned std")
_STRUCTS = numbers("struct interface")
_ABSTRACT, _STRING = numbers("abstract string")


@compiled
def _ends_line(text: Any, at: int, classes: Any) -> bool:
    while at < len(text) and text[at] != NEWLINE:
        if not classes[text[at]] & SPACE:
            return False
        at += 1
    return True


@compiled
def _semicolon(text: Any, at: int, classes: Any) -> int:
    """Return the place after spaces and a semicolon."""
    if at == NONE:
        return NONE
    at = space_end(text, at, classes)
    return at + 1 if holds(text, at, SEMICOLON) else NONE


@compiled
def _string(text: Any, at: int) -> int:
    """Return the end of the string that begins at a place; the place where none does."""
    quote = text[at]
    if quote not in (QUOTE, 39):
        return at
    i = at + 1
    while i < min(len(text), at + FAR):
        if text[i] == quote:
            return i + 1
        i += 2 if text[i] == 92 else 1
    return at


@compiled
def _returned(text: Any, at: int, language: int, classes: Any) -> int:
    """Return the end of a statement that returns nothing, a word or a literal."""
    if number_of(text, at, at + 6) != _RETURN:
        return NONE
    i = at + 6
    if language == GO:
        return _returned_go(text, i, classes)
    value = space_end(text, i, classes)
    if language == CSHARP:
        if i < len(text) and classes[text[i]] & WORD:
            return NONE
        stop = value
        while stop < len(text) and text[stop] != NEWLINE and text[stop] != SEMICOLON:
            stop += 1
        return _semicolon(text, stop, classes) if value > i or stop == value else NONE
    if language == JAVA and value == i:
        return i + 1 if holds(text, i, SEMICOLON) and (i + 1 == len(text) or text[i + 1] == NEWLINE) else NONE
    stop = word_end(text, value, classes)
    if stop == value and value < len(text) and (language == C or text[value] == QUOTE):
        stop = _string(text, value)
    stop = _semicolon(text, stop, classes)
    return stop if stop != NONE and _ends_line(text, stop, classes) else NONE


@compiled
def _returned_go(text: Any, at: int, classes: Any) -> int:
    if at < len(text) and not classes[text[at]] & SPACE and text[at] != SEMICOLON:
        return NONE
    while at < len(text) and text[at] != NEWLINE:
        at += 1
        if text[at - 1] == SEMICOLON:
            return at if _ends_line(text, at, classes) else NONE
    return at


@compiled
def _imported(text: Any, at: int, end: int, language: int, classes: Any) -> int:  # noqa: PLR0911 - one for each form that it may take
    if language == C:
        if not holds(text, at, HASH_SIGN):
            return NONE
        i = spaced(text, space_end(text, at + 1, classes), _INCLUDE, classes)
        if i == NONE or i >= len(text) or not (text[i] == QUOTE or text[i] == 60):
            return NONE
        stop = i + 1
        while stop < len(text) and text[stop] != QUOTE and text[stop] != 62:
            stop += 1
        return stop + 1 if i + 1 < stop < len(text) else NONE
    i = spaced(text, at, _USING if language == CSHARP else _IMPORT, classes)
    if i == NONE or i >= len(text):
        return NONE
    if language == GO:
        while end > i and classes[text[end - 1]] & SPACE:
            end -= 1
        if text[i] == OPEN:
            return end if end == i + 1 and i == at + 7 else NONE
        return end if text[i] == QUOTE and past(text, i + 1, QUOTE) == end and end > i + 2 else NONE
    stop = i
    while stop < len(text) and (
        classes[text[stop]] & WORD or text[stop] == 46 or (text[stop] == STAR and language == JAVA)
    ):
        stop += 1
    stop = _semicolon(text, stop, classes) if stop > i else NONE
    return stop if stop == NONE or language == CSHARP or _ends_line(text, stop, classes) else NONE


@compiled
def _class(text: Any, at: int, language: int, classes: Any) -> int:  # noqa: PLR0911 - one for each form that it may take
    if language == GO:
        i = spaced(text, at, _TYPE, classes)
        if i == NONE:
            return NONE
        kind = space_end(text, word_end(text, i, classes), classes)
        stop = word_end(text, kind, classes)
        brace = space_end(text, stop, classes)
        if number_of(text, kind, stop) in _STRUCTS and holds(text, brace, BRACE):
            return past(text, brace, CLOSING_BRACE)
        return NONE
    i = at
    if language == JAVA:
        stop = word_end(text, i, classes)
        if number_of(text, i, stop) in _ACCESS:
            i = space_end(text, stop, classes)
        stop = word_end(text, i, classes)
        if number_of(text, i, stop) == _FINAL or number_of(text, i, stop) == _ABSTRACT:
            i = space_end(text, stop, classes)
    i = spaced(text, i, _CLASS, classes)
    if i == NONE:
        return NONE
    stop = i
    while stop < len(text) and (
        classes[text[stop]] & WORD or (language == JAVA and (text[stop] == 60 or text[stop] == 62))
    ):
        stop += 1
    if stop == i or language != C:
        return stop if stop > i else NONE
    stop = space_end(text, stop, classes)
    if holds(text, stop, COLON):
        return past(text, stop, BRACE)
    return stop + 1 if holds(text, stop, BRACE) else NONE


@compiled
def _variable(text: Any, at: int, language: int, with_value: bool, classes: Any) -> int:
    """Return the end of a declaration that begins a line: type, name, semicolon, and a value where that may be."""
    i = at
    stop = word_end(text, i, classes)
    if language == JAVA:
        while number_of(text, i, stop) in _JAVA_FIELDS and stop < len(text) and classes[text[stop]] & SPACE:
            i = space_end(text, stop, classes)
            stop = word_end(text, i, classes)
        is_type = i < len(text) and (65 <= text[i] <= 90 or number_of(text, i, stop) in _JAVA_TYPES)
        while (
            i < len(text)
            and 65 <= text[i] <= 90
            and stop < len(text)
            and (classes[text[stop]] & WORD or text[stop] == 60 or text[stop] == 62)
        ):
            stop += 1
    elif language == GO:
        i = spaced(text, at, _VAR, classes)
        if i == NONE:
            return NONE
        stop = word_end(text, i, classes)
        is_type = stop > i
    else:
        if number_of(text, i, stop) == _UNSIGNED:
            i = space_end(text, stop, classes)
            stop = word_end(text, i, classes)
        is_type = number_of(text, i, stop) in _C_TYPES
        if number_of(text, i, stop) == _STD and holds(text, stop, COLON) and holds(text, stop + 1, COLON):
            name = word_end(text, stop + 2, classes)
            is_type, stop = number_of(text, stop + 2, name) == _STRING, name
    name = space_end(text, stop, classes)
    if not is_type or name == stop:
        return NONE
    stop = word_end(text, name, classes)
    if stop == name:
        return NONE
    if language == GO:
        i = space_end(text, stop, classes)
        i = i + 1 if holds(text, i, SEMICOLON) else stop
        return i if _ends_line(text, i, classes) else NONE
    following = space_end(text, stop, classes)
    if with_value and holds(text, following, EQUALS) and not holds(text, following + 1, SEMICOLON):
        return past(text, following + 1, SEMICOLON)
    return _semicolon(text, stop, classes)


@compiled
def _declared(text: Any, at: int, end: int, language: int, what: int, classes: Any) -> int:
    if what == FUNCTIONS:
        return function_end(text, at, language, classes)
    if what == IMPORTS:
        return _imported(text, at, end, language, classes)
    if what == RETURNS:
        return _returned(text, at, language, classes)
    if what == CLASSES:
        return _class(text, at, language, classes)
    return _variable(text, at, language, what == ALL_VARIABLES, classes)


@compiled
def declarations(text: Any, spans: Any, language: int, what: int, classes: Any, out: Any) -> int:
    """Write begin and end of each declaration that begins a line, and return their number.

    Args:
        text: code points.
        spans: (N, 2) where lines begin and end that are not blank.
        language: one of the languages above.
        what: one of the things counted, up to `ALL_VARIABLES`.
        classes: bits by code point.
        out: (N, 2) gets the places.
    """
    found, last = 0, 0
    for k in range(len(spans)):
        begin, end = spans[k]
        at = begin
        while classes[text[at]] & SPACE:
            at += 1
        if begin < last or (language == GO and what == FUNCTIONS and at > begin):
            continue
        stop = _declared(text, at, end, language, what, classes)
        if stop != NONE:
            out[found, 0], out[found, 1] = at, stop
            last = stop
            found += 1
    return found


@compiled
def csharp_words(text: Any, classes: Any, variables: bool) -> int:
    """Count classes, or variables of a simple type without a value, anywhere in a line."""
    found, at = 0, 0
    while at < len(text):
        stop = word_end(text, at, classes)
        if stop == at:
            at += 1
            continue
        word, name = number_of(text, at, stop), space_end(text, stop, classes)
        if name > stop and (word in _CSHARP_TYPES if variables else word == _CLASS):
            last = word_end(text, name, classes)
            if last > name and (not variables or _semicolon(text, last, classes) != NONE):
                found, stop = found + 1, last
        at = stop
    return found


@compiled
def c_has_variable(text: Any, classes: Any) -> bool:
    """Say whether two words follow each other as type and variable, up to a semicolon."""
    last = len(text)
    while last > 0 and text[last - 1] != SEMICOLON:
        last -= 1
    at = 0
    while at < last:
        stop = word_end(text, at, classes)
        if stop == at:
            at += 1
            continue
        i = space_end(text, stop, classes)
        while stop < i < last:
            while holds(text, i, STAR):
                i += 1
            name = i = space_end(text, i, classes)
            while i < last and (classes[text[i]] & WORD or text[i] == 91 or text[i] == 93):
                i += 1
            if i == name:
                break
            i = space_end(text, i, classes)
            if holds(text, i, SEMICOLON) or (holds(text, i, EQUALS) and i < last):
                return True
            if not holds(text, i, COMMA):
                break
            i = space_end(text, i + 1, classes)
        at = stop
    return False
