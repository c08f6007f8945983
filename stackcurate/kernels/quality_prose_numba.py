"""The compiled loops of the signals over prose: sentences, words, addresses and tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_text_numba import LOWER, NEWLINE, SPACE, UPPER, boundary, token_end
from stackcurate.kernels.shingles_numba import compiled

_ENDS = (0x21, 0x2E, 0x3F, 0x3002, 0xFF01, 0xFF1F, 0x061F)
_BRACKETS = (0x3010, 0x3011)


@compiled
def sentences(text: Any, classes: Any) -> int:
    """Count what begins with a word and goes on to a full stop, an exclamation or a question mark."""
    found, at = 0, 0
    while at < len(text):
        if text[at] in _ENDS or not boundary(text, at, classes):
            at += 1
            continue
        while at < len(text) and text[at] not in _ENDS:
            at += 1
        while at < len(text) and text[at] in _ENDS:
            at += 1
        found += 1
    return found


@compiled
def raw_words(text: Any, classes: Any) -> Any:
    """Return the number of tokens, of those in capitals, and of those that are a full-width bracket."""
    at, total, capitals, brackets = 0, 0, 0, 0
    while at < len(text):
        if classes[text[at]] & SPACE:
            at += 1
            continue
        stop, seen = token_end(text, at, len(text), classes), 0
        for i in range(at, stop):
            seen |= classes[text[i]]
        total += 1
        capitals += seen & (UPPER | LOWER) == UPPER
        brackets += stop == at + 1 and text[at] in _BRACKETS
        at = stop
    return total, capitals, brackets


@compiled
def ends(text: Any) -> int:
    """Count the characters that a text is cut into sentences at."""
    found = 0
    for i in range(len(text)):
        found += text[i] == 0x2E or text[i] == 0x3F or text[i] == 0x21 or text[i] == NEWLINE
    return found


@compiled
def addresses_and_tags(text: Any, classes: Any) -> int:
    """Return the characters in addresses between parentheses, and in tags."""
    return _addresses(text, classes) + _tags(text)


@compiled
def _tags(text: Any) -> int:
    total, at = 0, 0
    while at < len(text):
        begin = at
        at += 1
        if text[begin] != 60:
            continue
        while at < len(text) and text[at] != NEWLINE and text[at] != 62:
            at += 1
        if at < len(text) and text[at] == 62:
            at += 1
            total += at - begin
    return total


@compiled
def _address(text: Any, at: int, end: int) -> int:
    """Return the place after ``(http://`` or ``(https://``; the place itself where neither stands there."""
    i = at
    for c in (40, 104, 116, 116, 112):
        if i >= end or text[i] != c:
            return at
        i += 1
    if i < end and text[i] == 115:
        i += 1
    for c in (58, 47, 47):
        if i >= end or text[i] != c:
            return at
        i += 1
    return i


@compiled
def _addresses(text: Any, classes: Any) -> int:
    total, at, run_end, last = 0, 0, 0, -1
    while at < len(text):
        if text[at] == 40:
            if at >= run_end:  # up to the next space, and the last parenthesis before it
                run_end, last = at, -1
                while run_end < len(text) and not classes[text[run_end]] & SPACE:
                    last = run_end if text[run_end] == 41 else last
                    run_end += 1
            following = _address(text, at, run_end)
            if at < following < last:
                total += last + 1 - at
                at = last
        at += 1
    return total


@compiled
def listed(hashes: Any, count: int, table: Any) -> int:
    """Count the words that stand in a list.

    Args:
        hashes: of the words.
        count: words.
        table: as `hash_table` gives it.
    """
    found, mask = 0, np.uint64(len(table) - 1)
    for i in range(count):
        slot = hashes[i] & mask
        while table[slot] and table[slot] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        found += table[slot] == hashes[i]
    return found


@compiled
def hash_table(hashes: Any, size: int) -> Any:
    """Return hashes, none of them 0, as a table that is searched from the slot of their last bits on; a power of 2."""
    table, mask = np.zeros(size, np.uint64), np.uint64(size - 1)
    for i in range(len(hashes)):
        slot = hashes[i] & mask
        while table[slot]:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = hashes[i]
    return table
