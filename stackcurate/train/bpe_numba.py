"""The compiled loops of `bpe`: cut a text as StarCoder cuts it, merge bytes to tokens. Import this inside functions.

Places are unsigned where speed counts: for what may be negative, numba adds code that does not vectorise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

OTHER, LETTER, SPACE, NUMBER, UNKNOWN = 0, 1, 2, 3, 4
"""Classes of characters. Equal neighbours join up to SPACE, a blank attaches to what follows up to LETTER; what is
unknown makes a text fall to the reference."""
LONGEST_CACHED, LONGEST = 256, 2000
"""Bytes of a word that is remembered, and of one that is merged here; merging takes the square of them."""
MARGIN, PADDING = 1, 24
"""Zeros before and behind a text, at least."""
CACHE_BITS, SLOT = 20, 4
"""Slots of the cache, and integers of a slot: the key (two); two ids or a place in the arena; count and third id."""
ARENA = 1 << 22
"""Ids and bytes of the words that no slot holds."""
_KEY_BYTES, _KEPT_IDS = 15, 3
"""Bytes that fit into a key, and ids that fit into a slot."""
_FIRST, _SECOND = (np.array([(1 << 8 * min(max(n - at, 0), 8)) - 1 for n in range(16)], np.uint64) for at in (0, 8))
"""Masks of the first and the second eight bytes of a word by its length."""
_ODD, _ODD_TOO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_NONE, _MASK, _COUNT = np.uint64((1 << 64) - 1), np.uint64((1 << 32) - 1), np.uint64(0xFFFF)
_TOP = np.uint64(1 << 63)
"""Marks a key that is a hash, and a slot whose ids lie in the arena."""
_0, _1, _2, _3, _7, _8, _32, _56, _63 = (np.uint64(n) for n in (0, 1, 2, 3, 7, 8, 32, 56, 63))
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
        slot = np.int64((key * _ODD) >> shift)
        while table[slot, 0] != 0 and table[slot, 0] != key:
            slot = (slot + 1) & mask
        if table[slot, 0] == 0:
            table[slot, 0] = key
            table[slot, 1] = (np.uint64(rank) << _32) | np.uint64(new[rank])


@compiled
def _merge_of(table: Any, left: Any, right: Any, shift: Any) -> Any:
    mask = len(table) - 1
    key = ((np.uint64(left) << _32) | np.uint64(right)) + np.uint64(1)
    slot = np.int64((key * _ODD) >> shift)
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
def _classify(text: Any, end: int, kinds: Any) -> Any:
    """Write the class of each byte as if all were ASCII; return the bits that any of them has."""
    bits = text[0]
    for i in range(end):
        byte = text[i]
        letter = ((byte >= 97) & (byte <= 122)) | ((byte >= 65) & (byte <= 90))
        number = (byte >= 48) & (byte <= 57)
        space = (byte == 32) | ((byte >= 9) & (byte <= 13))
        kinds[i] = letter * LETTER + number * NUMBER + space * SPACE
        bits |= byte
    kinds[MARGIN - 1] = kinds[end] = UNKNOWN
    return bits


@compiled
def _classify_wide(text: Any, end: int, classes: Any, kinds: Any) -> Any:
    """Write the class of each character of several bytes at all of them; say whether all are known."""
    at = MARGIN
    while at < end:
        code, width = _code(text, at)
        if width > 1:
            if classes[code] == UNKNOWN:
                return False
            for k in range(width):
                kinds[at + k] = classes[code]
        at += width
    return True


@compiled
def _contraction(text: Any, at: int) -> Any:
    """Return the width of a contraction that begins at an apostrophe, or 0."""
    first, second = text[at + 1], text[at + 2]
    if first in (115, 116, 109, 100):  # s t m d
        return 2
    found = (first in (114, 118) and second == 101) or (first == 108 and second == 108)  # re ve ll
    return 3 if found else 0


@compiled
def word_starts(text: Any, end: int, classes: Any, kinds: Any, begins: Any, starts: Any) -> Any:
    r"""Write where words start, and the end behind them; return their number, or -1 where a class is unknown.

    Neighbours tell whether a word starts at a byte, so that loops need no branches. Source: GPT-2's pattern
    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, after StarCoder's splitter has set
    every number apart.

    Args:
        text: a margin, UTF-8, and the padding.
        end: where the padding begins.
        classes: of the code points.
        kinds: room for the class of each byte.
        begins: room for whether a word starts at each byte.
        starts: room for the result.
    """
    wide = _classify(text, end, kinds) >= 0x80
    if wide and not _classify_wide(text, end, classes, kinds):
        return -1
    for i in range(np.uint64(MARGIN), np.uint64(end)):
        kind, before, after = kinds[i], kinds[i - _1], kinds[i + _1]
        last = (kind == SPACE) & (after <= LETTER)
        joined = (before == kind) & (kind <= SPACE) & (not last)
        attached = (text[i - _1] == 32) & (kind <= LETTER)
        begins[i] = (not (joined | attached)) & ((text[i] & 0xC0) != 0x80)
    if wide:
        for i in range(MARGIN, end):
            if kinds[i] == SPACE and text[i] >= 0xC0 and kinds[i + _code(text, i)[1]] <= LETTER:
                begins[i] = 1
    for i in range(MARGIN, end):
        if text[i] == 39 and begins[i]:
            width = _contraction(text, i)
            if width:
                begins[i + 1] = begins[i + width - 1] = 0
                begins[i + width] = 1
    count = 0
    for i in range(np.uint64(MARGIN), np.uint64(end)):
        starts[count] = i
        count += begins[i]
    starts[count] = end
    return count


@compiled
def _load(words: Any, at: Any) -> Any:
    """Return the eight bytes of a text from a byte on."""
    low = (at & _7) << _3
    return (words[at >> _3] >> low) | ((words[(at >> _3) + _1] << _1) << (_63 - low))


@compiled
def _key(words: Any, start: Any, length: Any) -> Any:
    """Return the key of a word: its bytes and its length, or a hash and the length where they do not fit."""
    first = _load(words, start)
    if length <= _KEY_BYTES:
        return first & _FIRST[length], _load(words, start + _8) & _SECOND[length] | length << _56
    for k in range(_8, length, _8):
        first = (first ^ first >> _32) * _ODD ^ _load(words, start + min(k, length - _8))
    return first, length | _TOP


@compiled
def _is_word(cache: Any, slot: Any, arena: Any, words: Any, start: Any, length: Any) -> Any:
    """Say whether the long word of a slot has these bytes."""
    place = cache[slot + _2] + (cache[slot + _3] >> _32 & _COUNT)
    for k in range(_0, length, _8):  # noqa: SIM110 - numba has no generators
        if arena[place + (k >> _3)] != _load(words, start + min(k, length - _8)):
            return False
    return True


@compiled
def encode(  # noqa: PLR0917 - tuples and calls in the inner loop would take half of the speed
    text: Any, words: Any, starts: Any, count: int, out: Any, byte_ids: Any, table: Any, shift: Any, cache: Any,
    arena: Any, used: Any,
) -> Any:  # fmt: skip
    """Write the ids of words and return how many, or -1 where the reference must do it.

    Args:
        text: a margin, UTF-8, and the padding.
        words: the same as uint64.
        starts: where each word starts, and the end of the last.
        count: number of words.
        out: two longer than the text.
        byte_ids: id of each byte.
        table: merges, see `put_merges`.
        shift: of the table's hash.
        cache: slots of words that were seen.
        arena: what no slot holds.
        used: words in the cache and places of the arena that are taken.
    """
    symbols, merges = np.empty(LONGEST, np.uint64), np.empty(LONGEST, np.uint64)
    mask, written = np.uint64(len(cache) - 1), _0
    for word in range(np.uint64(count)):
        start = np.uint64(starts[word])
        length = np.uint64(starts[word + _1]) - start
        if length > LONGEST:
            return -1
        first, second = _key(words, start, length)
        mixed = first * _ODD ^ second * _ODD_TOO
        slot = ((mixed ^ mixed >> _32) * _ODD >> _CACHE_SHIFT) * np.uint64(SLOT)
        while cache[slot + _1] != 0 and not (
            cache[slot] == first
            and cache[slot + _1] == second
            and (length <= _KEY_BYTES or _is_word(cache, slot, arena, words, start, length))
        ):
            slot = (slot + np.uint64(SLOT)) & mask
        if cache[slot + _1] != 0:
            value, rest = cache[slot + _2], cache[slot + _3]
            number = rest >> _32 & _COUNT
            out[written], out[written + _1], out[written + _2] = value, value >> _32, rest
            if rest >= _TOP:
                for k in range(number):
                    out[written + k] = arena[value + k]
            written += number
            continue
        for k in range(length):
            symbols[k] = byte_ids[text[start + k]]
        number = np.uint64(_merge(symbols, merges, np.int64(length), table, shift))
        for k in range(number):
            out[written + k] = symbols[k]
        written += number
        if length <= LONGEST_CACHED:
            cache[slot], cache[slot + _1] = first, second
            _remember(cache, slot, arena, used, symbols, number, words, start, length)
    return np.int64(written)


@compiled
def _remember(  # noqa: PLR0917 - as `encode`
    cache: Any, slot: Any, arena: Any, used: Any, ids: Any, number: Any, words: Any, start: Any, length: Any
) -> None:
    """Fill the slot of a word; a full cache is emptied instead and takes the next word."""
    if used[0] > len(cache) // (2 * SLOT) or used[1] + 2 * LONGEST_CACHED > len(arena):
        cache[:] = 0
        used[:] = 0
        return
    used[0] += _1
    if length <= _KEY_BYTES and number <= _KEPT_IDS:
        ids[number] = ids[number + _1] = 0
        cache[slot + _2] = ids[_0] | ids[_1] << _32
        cache[slot + _3] = number << _32 | ids[_2]
        return
    place = used[1]
    cache[slot + _2], cache[slot + _3] = place, number << _32 | _TOP
    for k in range(number):
        arena[place + k] = ids[k]
    place += number
    if length > _KEY_BYTES:
        for k in range(_0, length, _8):
            arena[place + (k >> _3)] = _load(words, start + min(k, length - _8))
        place += length + _7 >> _3
    used[1] = place
