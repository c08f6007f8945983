"""The compiled loops of `shingles`: text to tokens, tokens to shingles, without the repeats.

Import this module inside functions: numba takes a third of a second. All hashing is arithmetic modulo 2**64
or 2**32, so the bits are the same on every machine. Compiled code is cached beside the source, in the user's
cache folder where the install is read-only, or nowhere where neither can be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
U8, U32, U64 = np.uint8, np.uint32, np.uint64

WORDS, SPLIT, UNICODE = 0, 1, 2
"""Kinds of tokeniser: runs of word bytes; split at each non-word character; the same for Unicode, lowered."""

BLOCK = 16384
"""Bytes tokenised at a time: the tokens stay in the second-level cache, and a line of 100 MB needs no more."""

GOLDEN, MIX_1, MIX_2 = U64(0x9E3779B97F4A7C15), U64(0xFF51AFD7ED558CCD), U64(0xC4CEB9FE1A85EC53)
"""Source: the increment of SplitMix64, and the two multipliers of MurmurHash3's fmix64."""
START, STEP = U64(0x8EBC6AF09C88C6E3), U64(9)


def compiled(function: Function) -> Function:
    """Compile a function at its first call; keep the machine code on disk where that is possible."""
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return cast("Function", njit(cache=True, **options)(function))
    except RuntimeError:  # no folder for the cache can be written
        return cast("Function", njit(**options)(function))


def _mix(z: Any) -> Any:
    z = z ^ (z >> U64(33))
    z = z * MIX_1
    z = z ^ (z >> U64(33))
    z = z * MIX_2
    return z ^ (z >> U64(33))


mix = compiled(_mix)


def constants(count: int) -> Any:
    """Return well mixed 64-bit constants, one per index."""
    return _mix(np.arange(1, count + 1, dtype=U64) * GOLDEN)


@compiled
def is_utf8(text: Any, at: int, end: int) -> bool:
    """Say whether the bytes are UTF-8 as Python's strict decoder understands it."""
    while at < end:
        while at + 64 <= end:
            bits = U8(0)
            for j in range(64):
                bits |= text[at + j]
            if bits >= 0x80:
                break
            at += 64
        if at >= end:
            break
        lead = text[at]
        if lead < 0x80:
            at += 1
            continue
        size = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
        if lead < 0xC2 or lead > 0xF4 or at + size > end:
            return False
        lowest = 0xA0 if lead == 0xE0 else (0x90 if lead == 0xF0 else 0x80)
        highest = 0x9F if lead == 0xED else (0x8F if lead == 0xF4 else 0xBF)
        if text[at + 1] < lowest or text[at + 1] > highest:
            return False
        for j in range(2, size):
            if text[at + j] & 0xC0 != 0x80:
                return False
        at += size
    return True


# The three tokenisers read text[at:stop], append to tokens[n:] and carry the hash of the unfinished token.
# A token's hash is a polynomial of its characters' constants; multiplying by 9 is one address computation.


@compiled
def _word_tokens(text: Any, at: int, stop: int, tables: Any, before: Any, tokens: Any, n: Any, word: Any) -> Any:
    flags, values, _ = tables
    for i in range(at, stop):
        byte = text[i]
        outside = flags[byte]
        tokens[n] = word
        n += outside > before
        before = outside
        grown = word * STEP + values[byte]
        word = START if outside else grown
    return n, word


@compiled
def _split_tokens(text: Any, at: int, stop: int, tables: Any, tokens: Any, n: Any, word: Any) -> Any:
    flags, values, _ = tables
    for i in range(at, stop):
        byte = text[i]
        flag = flags[byte]
        tokens[n] = word
        n += flag & U8(1)
        grown = word * STEP + values[byte]
        word = START if flag else grown
    return n, word


@compiled
def _unicode_tokens(text: Any, at: int, stop: int, tables: Any, latin: bool, tokens: Any, n: Any, word: Any) -> Any:
    _, values, lower = tables
    while at < stop:
        point = np.int64(text[at])
        at += 1
        if point >= 0x80 and not latin:
            size = 1 if point < 0xE0 else (2 if point < 0xF0 else 3)
            point &= 0x3F >> size
            for _ in range(size):
                point = (point << 6) | (text[at] & 0x3F)
                at += 1
        letter = lower[point]
        if letter:
            value = values[letter] if letter < 256 else mix(U64(letter + 1) * GOLDEN)
            word = word * STEP + value
        else:
            tokens[n] = word
            n += 1
            word = START
    return at, n, word


@compiled
def _hash_shingles(tokens: Any, count: int, weights: Any) -> None:
    if len(weights) == 5:  # the default, unrolled for the vector units
        a, b, c, d, e = weights[0], weights[1], weights[2], weights[3], weights[4]
        for i in range(count):
            tokens[i] = mix(
                tokens[i] * a + tokens[i + 1] * b + tokens[i + 2] * c + tokens[i + 3] * d + tokens[i + 4] * e
            )
        return
    for i in range(count):
        z = U64(0)
        for j in range(len(weights)):
            z += tokens[i + j] * weights[j]
        tokens[i] = mix(z)


@compiled
def _drop_repeats(shingles: Any, count: int, seen: Any, out: Any, kept: int) -> int:
    """Append what the direct-mapped filter has not just seen; a sketch is the same with or without it."""
    mask = U64(len(seen) - 1)
    for i in range(count):
        z = shingles[i]
        slot = z & mask
        out[kept] = z
        kept += seen[slot] != z
        seen[slot] = z
    return kept


@compiled
def row_shingles(text: Any, begin: int, end: int, shingler: Any, tokens: Any, seen: Any, out: Any, kept: Any) -> Any:
    """Append the shingle hashes of one text to out[kept:]; return the new count and the perhaps grown array."""
    kind, flags, values, lower, weights = shingler
    latin = kind != WORDS and not is_utf8(text, begin, end)
    flag = flags[1] if latin else flags[0]
    tables = flag, values, lower
    for i in range(len(seen)):
        seen[i] = ~U64(i)  # belongs to another slot, so it equals no shingle
    n, word, at, overlap = np.int64(0), START, begin, len(weights) - 1
    while True:
        stop = min(end, at + BLOCK)
        if kind == WORDS:
            before = flag[text[at - 1]] if at > begin else U8(1)
            n, word = _word_tokens(text, at, stop, tables, before, tokens, n, word)
            at = stop
        elif kind == SPLIT:
            n, word = _split_tokens(text, at, stop, tables, tokens, n, word)
            at = stop
        else:
            at, n, word = _unicode_tokens(text, at, stop, tables, latin, tokens, n, word)
        if at >= end and (kind != WORDS or (end > begin and not flag[text[end - 1]])):
            tokens[n] = word
            n += 1
        count = n - overlap
        if count > 0:
            out = _with_room(out, kept, count)
            _hash_shingles(tokens, count, weights)
            kept = _drop_repeats(tokens, count, seen, out, kept)
            for j in range(overlap):
                tokens[j] = tokens[count + j]
            n -= count
        if at >= end:
            return kept, out


@compiled
def _with_room(out: Any, kept: int, count: int) -> Any:
    if kept + count < len(out):
        return out
    grown = np.empty(2 * (kept + count), U64)
    for i in range(kept):  # compiles ten times faster than a slice
        grown[i] = out[i]
    return grown


@compiled
def shingle_rows(text: Any, offsets: Any, valid: Any, shingler: Any, filter_size: int) -> Any:
    """Return the shingle hashes of all texts, one after the other, and where each text's begin."""
    starts = np.zeros(len(valid) + 1, np.int64)
    tokens, seen = np.empty(BLOCK + 65, U64), np.empty(filter_size, U64)
    out = np.empty(4 * BLOCK, U64)
    for row in range(len(valid)):
        kept = starts[row]
        if valid[row]:
            kept, out = row_shingles(text, offsets[row], offsets[row + 1], shingler, tokens, seen, out, kept)
        starts[row + 1] = kept
    return starts, out[: starts[-1]]


@compiled
def drop_equal_neighbours(values: Any, starts: Any) -> Any:
    """Squeeze repeats out of each sorted run, in place; return where the runs begin now."""
    begins = np.zeros(len(starts), np.int64)
    n = 0
    for row in range(len(starts) - 1):
        for i in range(starts[row], starts[row + 1]):
            if i == starts[row] or values[i] != values[i - 1]:
                values[n] = values[i]
                n += 1
        begins[row + 1] = n
    return begins
