"""The compiled loops of the signals over a text: characters, lines, words, and words that come again.

A text is an array of code points; `classes` holds the bits below for each code point there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import GOLDEN, MIX_1, compiled

U32, U64 = np.uint32, np.uint64
ALPHA, DIGIT, SPACE, WORD, UPPER, LOWER, BASE64, HEX = 1, 2, 4, 8, 16, 32, 64, 128
NEWLINE = 10
_BACKSLASH, _X, _U = 92, 120, 117
FAR = 1 << 15
"""Characters between begin and end of what is looked for: a text of begins alone must not take for ever."""
GRAMS = 10
"""Longest run of words that is looked for again."""
_RUN, _BASE64_RUN, _LONG_RUN = 8, 64, 1024
"""Items or characters that make encoded data, and the length from which one run decides alone."""


@compiled
def characters(text: Any, classes: Any) -> Any:
    """Return letters, digits, spaces, replacement characters, braces, lines, and the longest line with its end."""
    letters, digits, spaces, replaced, braces, lines, longest, begin = 0, 0, 0, 0, 0, 0, 0, 0
    for i in range(len(text)):
        c = text[i]
        kind = classes[c]
        letters += kind & ALPHA
        digits += (kind & DIGIT) != 0
        spaces += (kind & SPACE) != 0
        replaced += c == 0xFFFD
        braces += c in (123, 125)
        if c == NEWLINE:
            lines, longest, begin = lines + 1, max(longest, i + 1 - begin), i + 1
    if begin < len(text):
        lines, longest = lines + 1, max(longest, len(text) - begin)
    return letters, digits, spaces, replaced, braces, lines, longest


@compiled
def token_end(text: Any, at: int, end: int, classes: Any) -> int:
    r"""Return where the token that begins at a place ends: a run of ``\w``, or of what is neither that nor a space."""
    kind = classes[text[at]] & (WORD | SPACE)
    while at < end and classes[text[at]] & (WORD | SPACE) == kind:
        at += 1
    return at


@compiled
def words(text: Any, classes: Any, hashes: Any, lengths: Any) -> int:
    """Write hash and length of each token and return their number."""
    at, n = 0, 0
    while at < len(text):
        kind = classes[text[at]] & (WORD | SPACE)
        if kind & SPACE:
            at += 1
            continue
        begin, h = at, U64(0)
        while at < len(text) and classes[text[at]] & (WORD | SPACE) == kind:
            h = h * GOLDEN + U64(text[at])
            at += 1
        hashes[n], lengths[n] = h ^ (h >> U64(29)), at - begin
        n += 1
    return n


@compiled
def tally(grams: Any, count: int, room: Any) -> int:
    """Number the different grams as they come; return how many there are.

    Args:
        grams: hashes.
        count: grams.
        room: as `room_for` gives it; its last two arrays get how often each number comes, and the number of each gram.
    """
    slots, keys, counts, which = room
    size = 16
    while size < 2 * count:
        size *= 2
    slots[:size] = -1
    mask, distinct = U64(size - 1), 0
    for k in range(count):
        slot = ((grams[k] * MIX_1) >> U64(20)) & mask
        number = slots[slot]
        while number >= 0 and keys[number] != grams[k]:
            slot = (slot + U64(1)) & mask
            number = slots[slot]
        if number < 0:
            slots[slot], keys[distinct], counts[distinct], number = distinct, grams[k], 0, distinct
            distinct += 1
        which[k] = number
        counts[number] += 1
    return distinct


@compiled
def room_for(count: int) -> Any:
    """Return what `tally` needs to number so many grams."""
    size = 16
    while size < 2 * count:
        size *= 2
    return np.empty(size, np.int32), np.empty(count, U64), np.empty(count, np.int32), np.empty(count, np.int32)


@compiled
def repetition(hashes: Any, lengths: Any, n: int, out: Any) -> None:
    """Measure how often words and runs of words come again.

    Args:
        hashes: (n,) of the words; used up.
        lengths: (n,) of the words in characters.
        n: number of words.
        out: gets the number of different words, the entropy, and for runs of 2 to `GRAMS` words the share of
            characters in the commonest one up to 4, in all that come again from 5 on.
    """
    room = room_for(n)
    grams, at, total = hashes[:n].copy(), np.arange(n), lengths[:n].sum()
    distinct = tally(grams, n, room)
    _, _, counts, which = room
    out[:] = 0
    out[0] = distinct
    terms = np.zeros(counts[:distinct].max() + 1)  # by how often a word comes: logarithms take long
    for k in range(distinct):
        if terms[counts[k]] == 0:
            share = counts[k] / n
            terms[counts[k]] = share * np.log(share)
        out[1] -= terms[counts[k]]
    count = n
    for length in range(2, GRAMS + 1):
        kept: Any = np.int64(0)  # not a literal, for which numba would compile `tally` anew
        for k in range(count):  # a run comes again only where all but its last word do
            if counts[which[k]] > 1 and at[k] + length <= n:
                grams[kept] = grams[k] * GOLDEN + hashes[at[k] + length - 1]
                grams[kept] ^= grams[kept] >> U64(31)
                at[kept] = at[k]
                kept += 1
        count = kept
        if count == 0:
            return
        distinct = tally(grams, count, room)
        if length <= 4:
            out[length] = _commonest(at, lengths, count, distinct, length, room) / total
        else:
            out[length] = _repeated(at, lengths, count, length, room) / total


@compiled
def _commonest(at: Any, lengths: Any, count: int, distinct: int, length: int, room: Any) -> int:
    """Return the characters in all places of the commonest run, the first of these; 0 if none comes twice."""
    _, _, counts, which = room
    best = 0
    for number in range(distinct):
        if counts[number] > counts[best]:
            best = number
    if counts[best] < 2:
        return 0
    for k in range(count):
        if which[k] == best:
            return int(lengths[at[k] : at[k] + length].sum() * counts[best])
    return 0


@compiled
def _repeated(at: Any, lengths: Any, count: int, length: int, room: Any) -> int:
    """Return the characters of the words that stand in any run which comes again."""
    _, _, counts, which = room
    characters_, seen = 0, 0
    for k in range(count):
        if counts[which[k]] > 1:
            for word in range(max(seen, at[k]), at[k] + length):
                characters_ += lengths[word]
            seen = at[k] + length
    return characters_


@compiled
def is_hex(c: int) -> bool:
    """Say whether a code point is a hexadecimal digit."""
    return 48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102


@compiled
def boundary(text: Any, at: int, classes: Any) -> bool:
    r"""Say whether ``\b`` holds before a place."""
    before = at > 0 and classes[text[at - 1]] & WORD != 0
    return before != (at < len(text) and classes[text[at]] & WORD != 0)


@compiled
def hex_words(text: Any, classes: Any) -> int:
    """Return the characters in words such as ``0x1F``."""
    total, at = 0, 0
    while at + 2 < len(text):
        if text[at] == 48 and text[at + 1] | 32 == 120 and is_hex(text[at + 2]) and boundary(text, at, classes):
            stop = at + 2
            while stop < len(text) and is_hex(text[stop]):
                stop += 1
            if boundary(text, stop, classes):
                total += stop - at
            at = stop
        else:
            at += 1
    return total


@compiled
def encoded(text: Any, classes: Any) -> bool:
    """Say whether a text is encoded data: one long run of it, or more than half of the text."""
    matched, longest = _base64(text, classes)
    before, bytes_end, escapes_end, n = 0, 0, 0, len(text)
    for i in range(n - 2):
        kind = classes[text[i]]
        is_escape, begins_word = text[i] == _BACKSLASH, kind & HEX and not before & WORD
        before = kind
        if not is_escape and not begins_word:
            continue
        following = text[i + 1]
        if i >= bytes_end and (
            following == _X or (begins_word and classes[following] & HEX and not classes[text[i + 2]] & WORD)
        ):
            bytes_end = _run_end(text, i, False, classes)
            matched, longest = matched + bytes_end - i, max(longest, bytes_end - i)
        if is_escape and following == _U and i >= escapes_end:
            escapes_end = _run_end(text, i, True, classes)
            matched, longest = matched + escapes_end - i, max(longest, escapes_end - i)
    return bool(longest > _LONG_RUN or 2 * matched > n)


@compiled
def _base64(text: Any, classes: Any) -> Any:
    """Return the characters in runs of base64, and in the longest."""
    matched, longest, at = 0, 0, _BASE64_RUN - 1
    while at < len(text):  # of so many characters in a row, one stands where this looks
        begin, stop = at, at
        while stop < len(text) and classes[text[stop]] & BASE64:
            stop += 1
        while stop > at and begin > 0 and classes[text[begin - 1]] & BASE64:
            begin -= 1
        if stop - begin >= _BASE64_RUN:
            matched, longest = matched + stop - begin, max(longest, stop - begin)
        at = stop + _BASE64_RUN
    return matched, longest


@compiled
def _run_end(text: Any, at: int, escapes: bool, classes: Any) -> int:
    """Return the end of the run of bytes or escapes that begins at a place; the place itself if none does."""
    stop, items = at, 0
    while True:
        following = _escape_end(text, stop) if escapes else _byte_end(text, stop, classes)
        if following == stop:
            return stop if items >= _RUN else at
        stop, items = following, items + 1


@compiled
def _escape_end(text: Any, at: int) -> int:
    if at + 6 > len(text) or text[at] != _BACKSLASH or text[at + 1] != 117:
        return at
    for i in range(at + 2, at + 6):
        if not is_hex(text[i]):
            return at
    return at + 6


@compiled
def _byte_end(text: Any, at: int, classes: Any) -> int:
    r"""Return the end of two hexadecimal digits, perhaps after ``0x`` or ``\x``, and a comma or a space."""
    n = len(text)
    if at + 2 > n or not (text[at] == _BACKSLASH or is_hex(text[at])) or not boundary(text, at, classes):
        return at
    i = at + 2 if (text[at] == 48 or text[at] == _BACKSLASH) and text[at + 1] == 120 else at
    if i + 2 > n or not is_hex(text[i]) or not is_hex(text[i + 1]):
        return at
    i += 2
    if i < n and text[i] == 44:
        return i + 1
    if not boundary(text, i, classes):
        return at
    while i < n and classes[text[i]] & SPACE:
        i += 1
    return i
