"""The compiled loop of the measures: lines as `str.splitlines` has them, letters, digits and base64."""

from __future__ import annotations

from typing import Any

from stackcurate.kernels.quality_text_numba import NEWLINE
from stackcurate.kernels.quality_tokens_numba import marks
from stackcurate.kernels.shingles_numba import compiled

LINES, LONGEST, TOTAL, LETTERS, DIGITS, VALUES, ESCAPES, ENCODED, LONGEST_RUN, HINTS = range(10)
COUNTS = 10
"""What `measures` finds: lines, characters of the longest and of all, letters and digits of ASCII, ``0x``, backslashes,
characters of base64 and of its longest run, words that a mark of an assistant holds."""
_GENERATED, _AUTHORED = marks("enerated"), marks("uthored-")
_RUN = 64
_RETURN, _BACKSLASH, _PADDING, _ZERO, _X, _D, _DASH = 13, 92, 61, 48, 120, 100, 45


@compiled
def _is_letter(c: int) -> bool:
    return 97 <= c | 32 <= 122


@compiled
def _is_digit(c: int) -> bool:
    return 48 <= c <= 57


@compiled
def _is_base64(c: int) -> bool:
    return _is_letter(c) or 47 <= c <= 57 or c == 43


@compiled
def _breaks(c: int) -> bool:
    """Say whether a character ends a line."""
    return 10 <= c <= 13 or 28 <= c <= 30 or c in (0x85, 0x2028, 0x2029)


@compiled
def _base64(text: Any, out: Any) -> None:
    """Measure the runs that hold a letter or a digit, with up to two signs of padding."""
    at = _RUN - 1
    while at < len(text):  # of so many characters in a row, one stands where this looks
        stop = at + 1
        if _is_base64(text[at]):
            begin = at
            while begin > 0 and _is_base64(text[begin - 1]):
                begin -= 1
            while stop < len(text) and _is_base64(text[stop]):
                stop += 1
            if stop - begin >= _RUN:
                holds = False
                for i in range(begin, stop):
                    holds |= _is_letter(text[i]) or _is_digit(text[i])
                size, last = stop - begin, min(stop + 2, len(text))
                for i in range(stop, last):
                    if text[i] != _PADDING:
                        break
                    size += 1
                out[ENCODED] += size if holds else 0
                out[LONGEST_RUN] = max(out[LONGEST_RUN], size if holds else 0)
        at = stop - 1 + _RUN


@compiled
def _hints(text: Any) -> int:
    """Count the words that a mark of an assistant holds, in either case."""
    found = 0
    for i in range(7, len(text)):
        if text[i] == _DASH or text[i] | 32 == _D:
            word, same = _AUTHORED if text[i] == _DASH else _GENERATED, True
            for k in range(len(word)):
                same = same and text[i - 7 + k] | 32 == word[k]
            found += same
    return found


@compiled
def measures(text: Any, out: Any) -> None:
    """Measure a text.

    Args:
        text: (n,) code points.
        out: (COUNTS,) gets what is found.
    """
    out[:] = 0
    letters, digits, values, escapes, begin, n = 0, 0, 0, 0, 0, len(text)
    for i in range(n):
        letters += _is_letter(text[i])
        digits += _is_digit(text[i])
        escapes += text[i] == _BACKSLASH
    for i in range(n - 1):
        values += text[i] == _ZERO and text[i + 1] | 32 == _X
    out[LETTERS], out[DIGITS], out[VALUES], out[ESCAPES] = letters, digits, values, escapes
    for i in range(n):
        c = text[i]
        if (c < 32 or c > 0x84) and _breaks(c):
            if not (c == NEWLINE and i > 0 and text[i - 1] == _RETURN):
                out[LINES] += 1
                out[TOTAL] += i - begin
                out[LONGEST] = max(out[LONGEST], i - begin)
            begin = i + 1
    if begin < n:
        out[LINES] += 1
        out[TOTAL] += n - begin
        out[LONGEST] = max(out[LONGEST], n - begin)
    out[HINTS] = _hints(text)
    _base64(text, out)
