"""The compiled loops of `bpe`: cut a text as StarCoder cuts it, merge bytes to tokens. Import this inside functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

OTHER, LETTER, NUMBER, SPACE, UNKNOWN = 0, 1, 2, 3, 4
"""Classes of characters; what is unknown makes a text fall to the reference."""
LONGEST_CACHED, LONGEST = 256, 2000
"""Bytes of a word that is remembered, and of one that is merged here; merging takes the square of them."""
CACHE_BITS = 20
MARGIN = 2
"""Bytes before a text."""
ARENA = 1 << 23
"""Words that are remembered at most, twice; and the ids and letters of them."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
_MASK = np.uint64(0xFFFFFFFF)
_LONG = np.uint64(1 << 63)
_1, _32, _48, _56, _63 = np.uint64(1), np.uint64(32), np.uint64(48), np.uint64(56), np.uint64(63)
_OFFSET = np.uint64((1 << 48) - 1)
_CACHE_SHIFT = np.uint64(64 - CACHE_BITS)


def compiled(function: Any) -> Any:
    """Compile a function at its first call; keep the machine code on disk where that is possible."""
    options: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache can be written
        return njit(**options)(function)


@compiled
def put_merges(table: Any, left: Any, right: Any, new: Any, shift: Any) -> None:
    """Fill a table [slots, 2] of pair -> rank and new id; a merge that is listed first wins."""
    mask = len(table) - 1
    for rank in range(len(left)):
        key = ((np.uint64(left[rank]) << _32) | np.uint64(right[rank])) + np.uint64(1)
        slot = np.int64((key * _MULTIPLIER) >> shift)
        while table[slot, 0] != 0 and table[slot, 0] != key:
            slot = (slot + 1) & mask
        if table[slot, 0] == 0:
            table[slot, 0] = key
            table[slot, 1] = (np.uint64(rank) << _32) | np.uint64(new[rank])


@compiled
def _merge_of(table: Any, left: Any, right: Any, shift: Any) -> Any:
    mask = len(table) - 1
    key = ((np.uint64(left) << _32) | np.uint64(right)) + np.uint64(1)
    slot = np.int64((key * _MULTIPLIER) >> shift)
    while table[slot, 0] != 0:
        if table[slot, 0] == key:
            return table[slot, 1]
        slot = (slot + 1) & mask
    return _NONE


@compiled
def _merge(symbols: Any, merges: Any, count: int, table: Any, shift: Any) -> Any:
    """Merge in place, the lowest rank first and of equal ones the leftmost; return how many are left."""
    for k in range(count - 1):
        merges[k] = _merge_of(table, symbols[k], symbols[k + 1], shift)
    while count > 1:
        at, best = -1, _NONE
        for k in range(count - 1):
            if merges[k] < best:
                at, best = k, merges[k]
        if at < 0:
            break
        symbols[at] = best & _MASK
        count -= 1
        for k in range(at + 1, count):
            symbols[k] = symbols[k + 1]
            merges[k - 1] = merges[k]
        if at > 0:
            merges[at - 1] = _merge_of(table, symbols[at - 1], symbols[at], shift)
        if at < count - 1:
            merges[at] = _merge_of(table, symbols[at], symbols[at + 1], shift)
    return count


@compiled
def _code(text: Any, at: int) -> Any:
    """Return the code point at a byte of valid UTF-8, and its width."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | np.int64(text[at + 1]) & 0x3F, 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(text[at + 1]) & 0x3F) << 6 | np.int64(text[at + 2]) & 0x3F, 3
    high = (first & 0x07) << 18 | (np.int64(text[at + 1]) & 0x3F) << 12
    return high | (np.int64(text[at + 2]) & 0x3F) << 6 | np.int64(text[at + 3]) & 0x3F, 4


@compiled
def _run_end(text: Any, at: int, end: int, wanted: int, classes: Any) -> Any:
    """Return where characters of a class end."""
    while at < end:
        if text[at] < 0x80:
            if classes[text[at]] != wanted:
                return at
            at += 1
        else:
            code, width = _code(text, at)
            if classes[code] != wanted:
                return at
            at += width
    return at


@compiled
def _contraction(text: Any, at: int, end: int) -> Any:
    """Return the width of a contraction that begins at an apostrophe, or 0."""
    if at + 1 >= end:
        return 0
    first = text[at + 1]
    if first in (115, 116, 109, 100):  # s t m d
        return 2
    if at + 2 >= end:
        return 0
    second = text[at + 2]
    found = (first in (114, 118) and second == 101) or (first == 108 and second == 108)  # re ve ll
    return 3 if found else 0


@compiled
def _word_end(text: Any, start: int, end: int, classes: Any) -> Any:  # noqa: PLR0911 - a case per alternative
    r"""Return where the word that starts here ends, or -1 where a class is unknown.

    Source: GPT-2's pattern `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, after
    StarCoder's splitter has set every number apart.
    """
    code, width = _code(text, start)
    kind, at = classes[code], start + width
    if kind == NUMBER:
        return at
    if kind == UNKNOWN:
        return -1
    if kind != SPACE:
        short = _contraction(text, start, end) if code == 39 else 0
        return start + short if short else _run_end(text, at, end, kind, classes)
    at = _run_end(text, at, end, SPACE, classes)
    if at == end:
        return at
    following = classes[_code(text, at)[0]]
    if following == UNKNOWN:
        return -1
    if following == NUMBER:
        return at
    last = at - 1
    while text[last] & 0xC0 == 0x80:
        last -= 1
    if last > start:
        return last
    return _run_end(text, at, end, following, classes) if code == 32 else at


@compiled
def word_starts(text: Any, end: int, classes: Any, starts: Any) -> Any:
    """Write where words start, and the end behind them; return their number, or -1 where a class is unknown."""
    count, at = 0, MARGIN
    while at < end:
        starts[count] = at
        count += 1
        at = _word_end(text, at, end, classes)
        if at < 0:
            return -1
    starts[count] = end
    return count


@compiled
def ascii_word_starts(text: Any, end: int, kinds: Any, begins: Any, starts: Any) -> Any:
    """Do as `word_starts` in loops without branches: in ASCII a byte's neighbours tell whether a word starts there."""
    for i in range(end):
        byte = text[i]
        letter = ((byte >= 97) & (byte <= 122)) | ((byte >= 65) & (byte <= 90))
        number = (byte >= 48) & (byte <= 57)
        space = (byte == 32) | ((byte >= 9) & (byte <= 13))
        kinds[i] = letter * LETTER + number * NUMBER + space * SPACE
    kinds[MARGIN - 1] = kinds[end] = UNKNOWN
    for i in range(MARGIN, end):
        kind, before, after = kinds[i], kinds[i - 1], kinds[i + 1]
        last = (kind == SPACE) & ((after == LETTER) | (after == OTHER))
        joined = (before == kind) & (kind != NUMBER) & (not last)
        attached = (text[i - 1] == 32) & ((kind == LETTER) | (kind == OTHER))
        begins[i] = not (joined | attached)
    for i in range(MARGIN, end):
        if text[i] == 39 and begins[i]:
            width = _contraction(text, i, end)
            if width:
                begins[i + 1] = begins[i + width - 1] = 0
                begins[i + width] = 1
    count = 0
    for i in range(MARGIN, end):
        starts[count] = i
        count += begins[i]
    starts[count] = end
    return count


@compiled
def encode(  # noqa: PLR0917 - tuples and calls in the inner loop would take half of the speed
    text: Any, words: Any, starts: Any, count: int, out: Any, byte_ids: Any, table: Any, shift: Any, cache: Any,
    arena: Any, used: Any,
) -> Any:  # fmt: skip
    """Write the ids of words and return how many, or -1 where the reference must do it.

    Args:
        text: a margin, UTF-8, and at least sixteen zeros.
        words: the same as uint64.
        starts: where each word starts, and the end of the last.
        count: number of words.
        out: as long as the text.
        byte_ids: id of each byte.
        table: merges, see `put_merges`.
        shift: of the table's hash.
        cache: words that were seen, as key and count << 48 | place; a short word of one id has it as its place.
        arena: ids of words, and the bytes of long ones.
        used: words in the cache and places of the arena that are taken.
    """
    symbols, merges = np.empty(LONGEST, np.uint64), np.empty(LONGEST, np.uint64)
    slots = len(cache) // 2 - 1
    written: Any = 0
    for word in range(count):
        start = starts[word]
        length = starts[word + 1] - start
        if length > LONGEST:
            return -1
        low = np.uint64((start & 7) << 3)
        key = (words[start >> 3] >> low) | ((words[(start >> 3) + 1] << _1) << (_63 - low))
        if length < 8:
            key = (key & ((_1 << np.uint64(length << 3)) - _1)) | (np.uint64(length) << _56)
        else:
            key = _hash(key, text, start, length)
        slot = np.int64((key * _MULTIPLIER) >> _CACHE_SHIFT)
        while cache[2 * slot] != 0 and not (
            cache[2 * slot] == key and (length < 8 or _is_word(cache[2 * slot + 1], arena, text, start, length))
        ):
            slot = (slot + 1) & slots
        if cache[2 * slot] != 0:
            number = np.int64(cache[2 * slot + 1] >> _48)
            place = np.int64(cache[2 * slot + 1] & _OFFSET)
            if length < 8 and number == 1:
                out[written] = place
            else:
                for k in range(number):
                    out[written + k] = arena[place + k]
            written += number
            continue
        for k in range(length):
            symbols[k] = byte_ids[text[start + k]]
        number = _merge(symbols, merges, length, table, shift)
        for k in range(number):
            out[written + k] = symbols[k]
        written += number
        if length <= LONGEST_CACHED:
            _remember(cache, arena, used, slot, key, symbols, number, text, start, length)
    return written


@compiled
def _hash(key: Any, text: Any, start: int, length: int) -> Any:
    """Return the key of a word of eight bytes or more, begun with its first eight."""
    key = (key ^ np.uint64(length)) * _MULTIPLIER
    for k in range(start + 8, start + length):
        key = (key ^ np.uint64(text[k])) * _MULTIPLIER
        key ^= key >> _32
    return key | _LONG


@compiled
def _is_word(value: Any, arena: Any, text: Any, start: int, length: int) -> Any:
    """Say whether a remembered long word has these bytes."""
    at = np.int64(value & _OFFSET) + np.int64(value >> _48)
    if arena[at] != length:
        return False
    for k in range(length):  # noqa: SIM110 - numba has no generators
        if arena[at + 1 + k] != text[start + k]:
            return False
    return True


@compiled
def _remember(  # noqa: PLR0917 - as `encode`
    cache: Any, arena: Any, used: Any, slot: int, key: Any, ids: Any, number: int, text: Any, start: int, length: int
) -> None:
    """Put a word at a free slot; a full cache is emptied first and takes the next word."""
    if used[0] > len(cache) // 4 or used[1] + 2 * LONGEST_CACHED + 1 > len(arena):
        cache[:] = 0
        used[:] = 0
        return
    used[0] += 1
    cache[2 * slot] = key
    if length < 8 and number == 1:
        cache[2 * slot + 1] = (np.uint64(1) << _48) | ids[0]
        return
    place = used[1]
    cache[2 * slot + 1] = (np.uint64(number) << _48) | np.uint64(place)
    for k in range(number):
        arena[place + k] = ids[k]
    used[1] += number
    if length >= 8:
        arena[place + number] = length
        for k in range(length):
            arena[place + number + 1 + k] = text[start + k]
        used[1] += length + 1
