"""The compiled loops of the signals over the lines and the strings of code."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_text_numba import NEWLINE, SPACE, hex_words, room_for, tally, token_end
from stackcurate.kernels.shingles_numba import GOLDEN, MIX_1, compiled

U64 = np.uint64
_LONG_STRING, _LONG_WORD = 20, 20
_QUOTE, _APOSTROPHE = 34, 39
_RETURN = (114, 101, 116, 117, 114, 110)


@compiled
def lines(text: Any, classes: Any, begins: Any) -> int:
    """Write where lines begin that are not blank, two numbers each: begin and end. Return how many there are."""
    n, begin, blank = 0, 0, True
    for i in range(len(text)):
        blank = blank and classes[text[i]] & SPACE != 0
        if text[i] == NEWLINE or i + 1 == len(text):
            if not blank:
                begins[n, 0], begins[n, 1] = begin, i + 1
                n += 1
            begin, blank = i + 1, True
    return n


@compiled
def repeated_lines(text: Any, spans: Any, count: int, classes: Any, whole: bool, out: Any) -> None:
    """Count the lines that come again, and their characters.

    Args:
        text: code points.
        spans: (count, 2) where lines begin and end.
        count: lines.
        classes: bits by code point.
        whole: compare lines but for the spaces around them, else without any space and but for lines of one
            character and ``},``.
        out: gets repeated lines, characters in them, and characters in all.
    """
    hashes, sizes = np.empty(count, U64), np.empty(count, np.int64)
    for k in range(count):
        begin, end = spans[k]
        while classes[text[end - 1]] & SPACE:
            end -= 1
        while classes[text[begin]] & SPACE:
            begin += 1
        h, size = U64(7), 0
        for i in range(begin, end):
            if whole or not classes[text[i]] & SPACE:
                h = (h ^ U64(text[i])) * GOLDEN
                h ^= h >> U64(32)
                size += 1
        if not whole and (size == 1 or (size == 2 and text[begin] == 125 and text[end - 1] == 44)):
            h = U64(0)
        hashes[k], sizes[k] = h * MIX_1, size
    room = room_for(count)
    tally(hashes, count, room)
    _, _, counts, which = room
    out[:] = 0
    for k in range(count):
        out[2] += sizes[k]
        if hashes[k] and counts[which[k]] > 1:
            out[0] += 1
            out[1] += sizes[k]


@compiled
def code_counts(text: Any, spans: Any, classes: Any, out: Any) -> None:
    """Measure code.

    Args:
        text: code points.
        spans: (N, 2) where lines begin and end.
        classes: bits by code point.
        out: gets the lines that come again, that are long strings and that join strings, and the characters in
            strings, in long words of these and in hexadecimal words.
    """
    found = np.empty(3, np.int64)
    repeated_lines(text, spans, len(spans), classes, False, found)
    out[0] = found[0]
    strings(text, classes, False, found)
    out[1] = found[0]
    strings(text, classes, True, found)
    out[2], out[3], out[4] = concatenations(text, spans, len(spans), classes), found[1], found[2]
    out[5] = hex_words(text, classes)


@compiled
def lines_with(text: Any, spans: Any, words: Any, folds: Any, groups: Any, begins: Any, out: Any) -> None:
    """Count the lines that hold one of the words of each group.

    Args:
        text: code points.
        spans: (count, 2) where lines begin and end.
        words: (n, longest) code points, zeros after the end of a word; in lower case where case does not count.
        folds: (n,) whether case counts not, by word.
        groups: (n,) group of each word.
        begins: (128,) whether some word begins with a character.
        out: gets the number of lines by group.
    """
    out[:] = 0
    for k in range(len(spans)):
        seen = 0
        for i in range(spans[k, 0], spans[k, 1]):
            if text[i] < 128 and begins[text[i]]:
                for j in range(len(words)):
                    if _stands(text, i, spans[k, 1], words[j], folds[j]):
                        seen |= 1 << groups[j]
        for group in range(len(out)):
            out[group] += seen >> group & 1


@compiled
def _stands(text: Any, at: int, end: int, word: Any, fold: bool) -> bool:
    """Say whether a word stands at a place, in either case where that does not count."""
    for k in range(len(word)):
        if word[k] == 0:
            return True
        if at + k >= end:
            return False
        c = text[at + k]
        if (c + 32 if fold and 65 <= c <= 90 else c) != word[k]:
            return False
    return True


@compiled
def returns(text: Any, spans: Any, classes: Any) -> int:
    """Count the lines that return; as in OpenCoder's code, `return` alone takes the next line along."""
    found, k = 0, 0
    while k < len(spans):
        at, end = spans[k]
        k += 1
        while classes[text[at]] & SPACE:
            at += 1
        stop = at + len(_RETURN)
        if stop > end:
            continue
        same = True
        for i in range(len(_RETURN)):
            same &= text[at + i] == _RETURN[i]
        if same and (stop == end or classes[text[stop]] & SPACE):
            found += 1
            while stop < end and classes[text[stop]] & SPACE:
                stop += 1
            k += stop == end
    return found


@compiled
def _is_quote(c: int) -> bool:
    return c in (_QUOTE, _APOSTROPHE)


@compiled
def concatenations(text: Any, spans: Any, count: int, classes: Any) -> int:
    """Count the lines in which a string follows an equals sign and a plus between quotes follows that."""
    found = 0
    for k in range(count):
        begin, end = spans[k]
        opened = -1
        for i in range(begin, end):
            if text[i] == 61 and opened < 0:
                j = _after_spaces(text, i + 1, end, classes)
                if j < end and _is_quote(text[j]):
                    opened = j
            if opened >= 0 and i >= opened + 2 and _is_quote(text[i]):
                j = _after_spaces(text, i + 1, end, classes)
                if j < end and text[j] == 43:
                    j = _after_spaces(text, j + 1, end, classes)
                    if j < end and _is_quote(text[j]) and _has_quote(text, j + 2, end):
                        found += 1
                        break
    return found


@compiled
def _after_spaces(text: Any, at: int, end: int, classes: Any) -> int:
    while at < end and classes[text[at]] & SPACE:
        at += 1
    return at


@compiled
def _has_quote(text: Any, at: int, end: int) -> bool:
    while at < end and not _is_quote(text[at]):
        at += 1
    return at < end


@compiled
def _closing(text: Any, at: int, width: int, one_line: bool) -> int:
    """Return where as many quotes as opened a string stand again; -1 where they do not."""
    for i in range(at, len(text) - width + 1):
        if text[i] == NEWLINE and one_line:
            return -1
        if text[i] == text[at - 1] and (width == 1 or (text[i + 1] == text[i] and text[i + 2] == text[i])):
            return i
    return -1


@compiled
def strings(text: Any, classes: Any, one_line: bool, out: Any) -> None:
    """Measure what stands between quotes, three of them first.

    Args:
        text: code points.
        classes: bits by code point.
        one_line: a single quote pairs only within its line.
        out: gets lines of strings with more than 20 tokens, characters in strings, and characters in words of more
            than 20 that are no addresses.
    """
    out[:] = 0
    at, n = 0, len(text)
    missing = np.zeros((2, 2), np.bool_)  # by quote and width: none is left to close with
    while at < n:
        if not _is_quote(text[at]):
            at += 1
            continue
        quote, stop, width = np.int64(text[at] == _QUOTE), -1, 3
        if at + 2 < n and text[at + 1] == text[at] and text[at + 2] == text[at] and not missing[quote, 1]:
            stop = _closing(text, at + 3, 3, False)
            missing[quote, 1] = stop < 0
        if stop < 0 and not missing[quote, 0]:
            width, stop = 1, _closing(text, at + 1, 1, one_line)
            missing[quote, 0] = stop < 0 and not one_line
        if stop < 0:
            at += 1
            continue
        if one_line:
            out[1] += stop - at - width
            out[2] += _long_words(text, at + width, stop, classes)
        else:
            out[0] += _long_lines(text, at + width, stop, classes)
        at = stop + width


@compiled
def _long_lines(text: Any, at: int, end: int, classes: Any) -> int:
    found, tokens = 0, 0
    while at < end:
        if text[at] == NEWLINE:
            found, tokens = found + (tokens > _LONG_STRING), 0
        if classes[text[at]] & SPACE:
            at += 1
        else:
            at = token_end(text, at, end, classes)
            tokens += 1
    return found + (tokens > _LONG_STRING)


@compiled
def _long_words(text: Any, at: int, end: int, classes: Any) -> int:
    total, begin = 0, at
    for i in range(at, end + 1):
        if i == end or classes[text[i]] & SPACE:
            if i - begin > _LONG_WORD and not _is_address(text, begin, i):
                total += i - begin
            begin = i + 1
    return total


@compiled
def _is_address(text: Any, begin: int, end: int) -> bool:
    """Say whether ``http://`` or ``https://`` stands in a word, and something after it."""
    found = False
    for i in range(begin + 4, end - 3):
        if text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47:
            last = i - 1 - (text[i - 1] == 115)
            if last >= begin + 3 and text[last] == 112 and text[last - 1] == text[last - 2] == 116:
                found |= text[last - 3] == 104
    return found
