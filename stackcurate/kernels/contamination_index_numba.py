"""The compiled loops of `contamination_index`: bytes to normalised text, and the hashes chosen of its windows.

Import this module inside functions: numba takes a third of a second. All hashing is arithmetic modulo 2**64, so an
index that one machine wrote serves all others.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import GOLDEN, MIX_1, compiled, constants

U8, U64 = np.uint8, np.uint64

WINDOW = 24
"""Characters of normalised text that are hashed together."""
GROUP = 12
"""Of each so many windows in a row the one with the smallest hash is chosen: in a copy the same as in the source.

Source: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003).
"""
SHORTEST = WINDOW + GROUP - 1
"""Characters of the shortest text that has a chosen window."""
_FEWEST_KINDS, _FEWEST_LETTERS, _MOST_STEPS = 6, 8, 12
"""A window is trivial with fewer different characters, fewer letters, or more steps to an equal or the next one."""
_OPENING = (40, 41, 44, 58, 59, 61, 91, 93, 123, 125)
"""Signs that a block comment may follow: brackets but the pointed ones, and `,:;=`."""
_BACKSLASH, _SPACE, _BREAK, _ESCAPED, _SIGN = U8(92), U8(1), U8(2), U8(4), U8(8)


@cache
def tables() -> tuple[Any, ...]:
    """Return by byte: what it is normalised to (0: dropped), its flags, its value, and that value `WINDOW` later.

    Kept are letters in lower case, digits, the underscore and whatever is no ASCII.
    """
    kept, flags = np.zeros(256, U8), np.zeros(256, U8)
    for byte in range(256):
        char = chr(byte)
        if byte >= 0x80 or char.isalnum() or char == "_":
            kept[byte] = byte if byte >= 0x80 else ord(char.lower())
        flags[byte] = _SPACE * (char in " \t") + _BREAK * (char in "\r\n") + _ESCAPED * (char in "nrt")
        flags[byte] += _SIGN * (char in "#/-")
    values = constants(256)
    return kept, flags, values, values * U64(pow(int(GOLDEN), WINDOW, 1 << 64))


@compiled
def _comment_end(text: Any, at: int, begin: int, end: int, flags: Any, closed: Any) -> int:
    """Return the end of the comment, in any language, that a sign at this place opens; the place where none does."""
    sign = text[at]
    before = text[at - 1] if at > begin else U8(10)
    after = text[at + 1] if at + 1 < end else U8(0)
    spaced = (flags[before] & (_SPACE | _BREAK)) != 0
    if sign == 47 and after == 42:  # from /* to */, looked for once; not the /* of a path
        if not (spaced or before in _OPENING):
            return at
        if closed[0] < at + 2:
            i = at + 2
            while i + 1 < end and not (text[i] == 42 and text[i + 1] == 47):
                i += 1
            closed[0] = i if i + 1 < end else end + 1
        return closed[0] + 2 if closed[0] < end else at
    slashes = sign == 47 and after == 47 and before != 58  # // but not ://
    if not (slashes or (spaced and (sign == 35 or (sign == 45 and after == 45)))):
        return at
    while at < end and (flags[text[at]] & _BREAK) == 0:
        at += 1
    return at


@compiled
def _plain(text: Any, at: int, end: int, kept: Any, flags: Any, out: Any, places: Any, n: int) -> int:
    """Append the normalised bytes of text[at:end]; an escaped n, r or t goes with its backslash."""
    before, with_places = U8(0), len(places) > 0
    for i in range(at, end):
        byte = text[i]
        value = kept[byte]
        out[n] = value
        if with_places:
            places[n] = i
        n += (value != 0) & ((before != _BACKSLASH) | ((flags[byte] & _ESCAPED) == 0))
        before = byte
    return n


@compiled
def normalise(text: Any, begin: int, end: int, kept: Any, flags: Any, out: Any, places: Any, comments: Any) -> Any:
    """Write the normalised bytes of text[begin:end] to `out`, and where comments begin and end in it to `comments`.

    Args:
        text: bytes.
        begin: first of the text.
        end: after the text.
        kept: as `tables` gives it.
        flags: as `tables` gives it.
        out: room for the text and a byte.
        places: gets where each byte stood, unless it is empty.
        comments: room for as many ends as the text has bytes.

    Returns:
        The number of bytes, and that of comments.
    """
    n, found, at, start = 0, 0, begin, begin
    closed = np.zeros(1, np.int64)
    while at < end:
        if flags[text[at]] & _SIGN:
            stop = _comment_end(text, at, begin, end, flags, closed)
            if stop > at:
                n = first = _plain(text, start, at, kept, flags, out, places, n)
                n = _plain(text, at, stop, kept, flags, out, places, n)
                if found and comments[2 * found - 1] == first:
                    comments[2 * found - 1] = n
                elif n > first:
                    comments[2 * found], comments[2 * found + 1] = first, n
                    found += 1
                at = start = stop
                continue
        at += 1
    return _plain(text, start, end, kept, flags, out, places, n), found


@compiled
def without(text: Any, n: int, comments: Any, found: int, out: Any, gaps: Any) -> int:
    """Copy `text` without its comments; `gaps` gets where the first item behind each stands. Return the new size."""
    m, start = 0, 0
    for k in range(found):
        for i in range(start, comments[2 * k]):
            out[m] = text[i]
            m += 1
        gaps[k] = m
        start = comments[2 * k + 1]
    for i in range(start, n):
        out[m] = text[i]
        m += 1
    return m


@compiled
def window_hashes(text: Any, begin: int, count: int, values: Any, last: Any, out: Any) -> None:
    """Hash `count` windows, the first of which starts at `begin`."""
    h, gone = U64(0), U64(0)
    for i in range(begin, begin + WINDOW - 1):
        h = h * GOLDEN + values[text[i]]
    for i in range(count):
        h = h * GOLDEN + (values[text[begin + i + WINDOW - 1]] - gone)
        gone = last[text[begin + i]]
        z = (h ^ (h >> U64(31))) * MIX_1
        out[i] = z ^ (z >> U64(29))


@compiled
def chosen(hashes: Any, count: int, at: Any) -> int:
    """Write the indices of the smallest hash of each group to `at` and return their number."""
    low, where, n = hashes[0], 0, 0
    for i in range(1, min(GROUP, count)):
        if hashes[i] <= low:
            low, where = hashes[i], i
    if count < GROUP:
        return 0
    at[0], n = where, 1
    for i in range(GROUP, count):
        z = hashes[i]
        if z <= low:
            low, where = z, i
        elif i - where >= GROUP:
            low, where = hashes[i - GROUP + 1], i - GROUP + 1
            for j in range(i - GROUP + 2, i + 1):
                if hashes[j] <= low:
                    low, where = hashes[j], j
        else:
            continue
        at[n] = where
        n += 1
    return n


@compiled
def text_hashes(text: Any, n: int, values: Any, last: Any, out: Any, at: Any) -> int:
    """Write the hashes chosen of a normalised text to `out` and return their number; 0 stands for a trivial window."""
    windows = n - WINDOW + 1
    if windows < GROUP:
        return 0
    hashes = np.empty(windows, U64)
    window_hashes(text, 0, windows, values, last, hashes)
    count = chosen(hashes, windows, at)
    for k in range(count):
        out[k] = U64(0) if _trivial(text, at[k]) else hashes[at[k]]
    return count


@compiled
def _trivial(text: Any, at: int) -> bool:
    kinds, letters, steps = 0, 0, 0
    for i in range(at, at + WINDOW):
        letters += text[i] >= 97
        new = True
        for j in range(at, i):
            new &= text[j] != text[i]
        kinds += new
        if i > at:
            step = int(text[i]) - int(text[i - 1])
            steps += step in (0, 1)
    return kinds < _FEWEST_KINDS or letters < _FEWEST_LETTERS or steps > _MOST_STEPS


@compiled
def all_text_hashes(text: Any, offsets: Any, tables: Any, out: Any, rows: Any, sizes: Any) -> int:
    """Hash many texts, each as it stands and where it has comments without them.

    Args:
        text: bytes of all texts.
        offsets: (N + 1,) where they begin and end.
        tables: what `tables` returns.
        out: gets the hashes.
        rows: gets the text of each hash: 2 i as it stands, 2 i + 1 without comments.
        sizes: (2 N,) gets the normalised characters of each.
    """
    kept, flags, values, last = tables
    longest = 1
    for i in range(len(sizes) // 2):
        longest = max(longest, offsets[i + 1] - offsets[i])
    normal, code = np.empty(longest + 1, U8), np.empty(longest + 1, U8)
    comments, at, nowhere = np.empty(longest + 2, np.int32), np.empty(longest + 1, np.int32), np.empty(0, np.int32)
    total = 0
    for i in range(len(sizes) // 2):
        n, found = normalise(text, offsets[i], offsets[i + 1], kept, flags, normal, nowhere, comments)
        sizes[2 * i] = n
        count = text_hashes(normal, n, values, last, out[total:], at)
        rows[total : total + count] = 2 * i
        total += count
        if found:
            n = without(normal, n, comments, found, code, at)
            sizes[2 * i + 1] = n
            count = text_hashes(code, n, values, last, out[total:], at)
            rows[total : total + count] = 2 * i + 1
            total += count
    return total
