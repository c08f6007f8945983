"""The compiled loops of `contamination`: the lookup of texts in an index of benchmarks.

Import this module inside functions: numba takes a third of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.contamination_index_numba import (
    GROUP,
    SHORTEST,
    WINDOW,
    chosen,
    normalise,
    window_hashes,
    without,
)
from stackcurate.kernels.shingles_numba import GOLDEN, compiled

U8, U64 = np.uint8, np.uint64
_BLOCK = 4096
"""Windows hashed at a time; their hashes stay in the first-level cache."""


@compiled
def fill(hashes: Any, bits: Any, slots: Any) -> None:
    """Enter distinct hashes into the bitmap and into the table that tells their number."""
    mask, words = U64(len(slots) - 1), U64(len(bits) - 1)
    for k in range(len(hashes)):
        z = hashes[k]
        bits[(z >> U64(12)) & words] |= (U64(1) << (z & U64(63))) | (U64(1) << ((z >> U64(6)) & U64(63)))
        slot = ((z * GOLDEN) >> U64(20)) & mask
        while slots[slot] >= 0:
            slot = (slot + U64(1)) & mask
        slots[slot] = k


@compiled
def _number(z: Any, hashes: Any, slots: Any) -> Any:
    """Return the number of a hash; -1 where the index does not hold it."""
    mask = U64(len(slots) - 1)
    slot = ((z * GOLDEN) >> U64(20)) & mask
    while slots[slot] >= 0:
        if hashes[slots[slot]] == z:
            return slots[slot]
        slot = (slot + U64(1)) & mask
    return -1


@compiled
def _look_up(text: Any, begin: int, end: int, tables: Any, index: Any, found: Any, count: int, block: Any) -> int:
    """Append place and number of each window chosen of text[begin:end] that the index holds; return the new count."""
    _, _, values, last = tables
    hashes, bits, slots = index
    places, numbers = found
    hashed, at = block
    words = U64(len(bits) - 1)
    first, windows = begin, end - begin - WINDOW + 1
    while windows >= GROUP:
        size = min(windows, _BLOCK)
        window_hashes(text, first, size, values, last, hashed)
        for k in range(chosen(hashed, size, at)):
            z = hashed[at[k]]
            mark = (U64(1) << (z & U64(63))) | (U64(1) << ((z >> U64(6)) & U64(63)))
            if bits[(z >> U64(12)) & words] & mark == mark:
                number = _number(z, hashes, slots)
                if number >= 0 and count < len(places):
                    places[count] = first + at[k]
                    numbers[count] = number
                    count += 1
        if size == windows:
            break
        first += size - GROUP + 1
        windows -= size - GROUP + 1
    return count


@compiled
def look_up(text: Any, begin: int, end: int, tables: Any, index: Any, room: Any) -> Any:
    """Find the windows of a text in the index, and those that appear once its comments are gone.

    Args:
        text: bytes.
        begin: first of the text.
        end: after the text.
        tables: what `tables` returns.
        index: hashes, bitmap and table.
        room: what `room_for` returns.

    Returns:
        The number of windows found, and how many of them are of the text as it stands.
    """
    kept, flags, _, _ = tables
    normal, code, comments, gaps, nowhere, found, block = room
    n, count = normalise(text, begin, end, kept, flags, normal, nowhere, comments)
    plain = total = _look_up(normal, 0, n, tables, index, found, 0, block)
    if count == 0:
        return total, plain
    m = without(normal, n, comments, count, code, gaps)
    k = 0
    while k < count:  # what spans no gap was seen above
        first, stop = max(0, gaps[k] - SHORTEST + 1), gaps[k] + SHORTEST - 1
        while k + 1 < count and gaps[k + 1] <= stop:
            k += 1
            stop = gaps[k] + SHORTEST - 1
        total = _look_up(code, first, min(m, stop), tables, index, found, total, block)
        k += 1
    return total, plain


def room_for(longest: int) -> tuple[Any, ...]:
    """Return buffers for texts of up to so many bytes.

    Returns:
        Normalised text, the same without comments, where comments begin and end, gaps, an empty array, place and
        number of what is found, and a block of hashes with the indices chosen.
    """
    positions = [np.empty(longest + 2, np.int32) for _ in range(2)]
    entries = 1000 + longest // 2  # a text of nothing but benchmarks takes a third of that
    found = np.empty(entries, np.int32), np.empty(entries, np.int32)
    block = np.empty(_BLOCK, U64), np.empty(_BLOCK, np.int32)
    texts = [np.empty(longest + 1, U8) for _ in range(2)]
    return *texts, *positions, np.empty(0, np.int32), found, block


@compiled
def scan_pieces(text: Any, begins: Any, ends: Any, tables: Any, index: Any, postings: Any, room: Any, seen: Any) -> Any:
    """Return piece and text of each benchmark text enough of whose windows stand somewhere in a piece.

    Args:
        text: bytes of all pieces.
        begins: (N,) where pieces begin.
        ends: (N,) where they end.
        tables: what `tables` returns.
        index: hashes, bitmap and table.
        postings: by number of a hash where the texts that hold it begin, these texts, and by text how many of its
            windows it takes.
        room: what `room_for` returns, for the longest piece.
        seen: zeros, by hash and by text.
    """
    starts, texts, needed = postings
    numbers = room[5][1]
    seen_hash, seen_text = seen
    counts, touched = np.empty(len(needed), np.int32), np.empty(len(needed), np.int32)
    rows, found = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    for row in range(len(begins)):
        total, _ = look_up(text, begins[row], ends[row], tables, index, room)
        marked = 0
        for k in range(total):
            number = numbers[k]
            if seen_hash[number] == row + 1:
                continue
            seen_hash[number] = row + 1
            for p in range(starts[number], starts[number + 1]):
                t = texts[p]
                if seen_text[t] != row + 1:
                    seen_text[t], counts[t], touched[marked] = row + 1, 0, t
                    marked += 1
                counts[t] += 1
        for k in range(marked):
            if counts[touched[k]] >= needed[touched[k]]:
                rows.append(np.int64(row))
                found.append(np.int64(touched[k]))
    return rows, found


@compiled
def count_pieces(text: Any, begins: Any, ends: Any, tables: Any, index: Any, room: Any, frequency: Any) -> None:
    """Add to each hash's frequency the number of pieces that hold it."""
    numbers = room[5][1]
    seen = np.zeros(len(frequency), np.int32)
    for row in range(len(begins)):
        total, _ = look_up(text, begins[row], ends[row], tables, index, room)
        for k in range(total):
            if seen[numbers[k]] != row + 1:
                seen[numbers[k]] = row + 1
                frequency[numbers[k]] += 1


@compiled
def densest(numbers: Any, first: Any, last: Any, wanted: Any, reach: int) -> Any:
    """Return where most of a text stands: a run of its windows without a gap longer than the reach.

    Args:
        numbers: (N,) numbers of the windows found in a piece, ascending.
        first: (N,) their first bytes.
        last: (N,) the bytes after them.
        wanted: numbers of the text's windows.
        reach: bytes.

    Returns:
        Number of different windows in the run, its first byte, the byte after it.
    """
    size = 0
    begins = np.searchsorted(numbers, wanted)
    for k in range(len(wanted)):
        i = begins[k]
        while i < len(numbers) and numbers[i] == wanted[k]:
            i += 1
        size += i - begins[k]
    which, where = np.empty(size, np.int64), np.empty(size, np.int64)
    n = 0
    for k in range(len(wanted)):
        i = begins[k]
        while i < len(numbers) and numbers[i] == wanted[k]:
            which[n], where[n] = k, i
            n += 1
            i += 1
    run_of = np.full(len(wanted), -1, np.int64)
    best, best_first, best_last = 0, 0, 0
    held, run_first, run_last, before = 0, 0, 0, 0
    run = 0
    for j in np.argsort(first[where]):
        i, k = where[j], which[j]
        if held == 0 or first[i] - before > reach:
            run += 1
            held, run_first, run_last = 0, first[i], last[i]
        before = first[i]
        run_last = max(run_last, last[i])
        if run_of[k] != run:
            run_of[k] = run
            held += 1
        if held > best:
            best, best_first, best_last = held, run_first, run_last
    return best, best_first, best_last
