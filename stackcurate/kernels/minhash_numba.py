"""The compiled loops of `minhash`: sketches, band keys, pairs, similarities. Import this module inside functions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import BLOCK, GOLDEN, MIX_1, U32, U64, compiled, mix, row_shingles

UNSET, LOW = U64(0xFFFFFFFFFFFFFFFF), U64(0xFFFFFFFF)


@compiled
def fill_sketch(shingles: Any, count: int, bins: Any, signature: Any) -> None:
    """Fill a signature by rounds: each throws every shingle into one bin, until none is empty.

    Source: Dahlgaard, Knudsen and Thorup, Fast Similarity Sketching, 2017.
    """
    size = len(bins)
    for k in range(size):
        bins[k] = UNSET
    for turn in range(2 * size):
        high = U64(turn) << U64(32)
        for j in range(count):
            z = shingles[j]
            if turn > 0:
                z = mix(z + U64(turn) * GOLDEN)
            where = U64(turn - size) if turn >= size else ((z >> U64(32)) * U64(size)) >> U64(32)
            bins[where] = min(bins[where], high | (z & LOW))
        empty = 0
        for k in range(size):
            empty += bins[k] == UNSET
        if empty == 0:
            break
    for k in range(size):
        signature[k] = U32(mix(bins[k]) >> U64(32))


@compiled
def affine32_sketch(shingles: Any, count: int, a: Any, b: Any, signature: Any) -> None:
    """Take the minimum of each permutation a*h + b modulo 2**32, as datasketch 2.0 does it.

    Source: datasketch 2.0, scheme `affine32`: MurmurHash3's fmix32, then affine permutations with odd a.
    """
    for k in range(len(a)):
        signature[k] = U32(0xFFFFFFFF)
    j = 0
    while j + 4 <= count:  # four at a time: the signature is read and written a quarter as often
        h0, h1, h2, h3 = fmix32(shingles[j]), fmix32(shingles[j + 1]), fmix32(shingles[j + 2]), fmix32(shingles[j + 3])
        for k in range(len(a)):
            first = min(U32(a[k] * h0 + b[k]), U32(a[k] * h1 + b[k]))
            second = min(U32(a[k] * h2 + b[k]), U32(a[k] * h3 + b[k]))
            signature[k] = min(signature[k], first, second)
        j += 4
    while j < count:
        h = fmix32(shingles[j])
        for k in range(len(a)):
            signature[k] = min(signature[k], U32(a[k] * h + b[k]))
        j += 1


@cache
def permutations(count: int) -> Any:
    """Return the parameters a and b of datasketch's permutations with seed 1, in the order of its draws."""
    draw = np.random.RandomState(1)
    a = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([a, draw.randint(0, 1 << 32, count, dtype=np.uint32)])


@compiled
def fmix32(shingle: Any) -> Any:
    """Mix the upper half of a shingle hash as datasketch mixes its 32-bit input."""
    h = U32(shingle >> U64(32))
    h = U32(h ^ (h >> U32(16))) * U32(0x85EBCA6B)
    h = U32(U32(h) ^ (U32(h) >> U32(13))) * U32(0xC2B2AE35)
    return U32(h) ^ (U32(h) >> U32(16))


@compiled
def sketch_rows(
    text: Any, offsets: Any, valid: Any, shingler: Any, a: Any, b: Any, filter_size: int, signatures: Any
) -> Any:
    """Sketch each text; the multipliers `a` are empty for scheme `fill`. Return the shingles left per row."""
    counts = np.zeros(len(valid), np.int64)
    tokens, seen = np.empty(BLOCK + 65, U64), np.empty(filter_size, U64)
    out, bins = np.empty(4 * BLOCK, U64), np.empty(signatures.shape[1], U64)
    for row in range(len(valid)):
        count = counts[row]  # 0
        if valid[row]:
            count, out = row_shingles(text, offsets[row], offsets[row + 1], shingler, tokens, seen, out, count)
        counts[row] = count
        if count and len(a):
            affine32_sketch(out, count, a, b, signatures[row])
        elif count:
            fill_sketch(out, count, bins, signatures[row])
    return counts


@compiled
def band_keys(signatures: Any, bands: int, rows: int) -> Any:
    """Hash each band of each signature, with the band's index, to 64 bits."""
    keys = np.empty((len(signatures), bands), np.int64)
    for row in range(len(signatures)):
        for band in range(bands):
            key = mix(U64(band + 1) * GOLDEN)
            for k in range(band * rows, band * rows + rows):
                key = mix(key ^ U64(signatures[row, k]))
            keys[row, band] = np.int64(key)
    return keys


@compiled
def whole_keys(keys: Any, ends: Any) -> Any:
    """Hash the keys of each row, which end where the next row's begin, to one of 64 bits."""
    out = np.empty(len(ends) - 1, np.int64)
    for row in range(len(out)):
        whole = GOLDEN
        for at in range(ends[row], ends[row + 1]):
            whole = mix(whole ^ U64(keys[at]))
        out[row] = np.int64(whole)
    return out


@compiled
def next_byte(text: Any, at: int, end: int) -> Any:
    """Return the next byte of a text, a run of ASCII white space as one blank, and where to go on; 256 at the end."""
    if at >= end:
        return 256, at
    blank = False
    while at < end and (text[at] == 32 or 9 <= text[at] <= 13):
        blank, at = True, at + 1
    if blank:
        return (32, at) if at < end else (256, at)  # a text does not end in a blank
    return np.int64(text[at]), at + 1


@compiled
def first_word(text: Any, at: int, end: int) -> Any:
    """Return where the first byte stands that is no ASCII white space."""
    while at < end and (text[at] == 32 or 9 <= text[at] <= 13):
        at += 1
    return at


@compiled
def normalized_keys(text: Any, offsets: Any) -> Any:
    """Hash each text, runs of white space as one blank and none at its ends, to 64 bits."""
    keys = np.empty(len(offsets) - 1, np.int64)
    for row in range(len(keys)):
        end = offsets[row + 1]
        at, word = first_word(text, offsets[row], end), GOLDEN
        byte, at = next_byte(text, at, end)
        while byte < 256:
            word = (word ^ U64(byte)) * MIX_1
            word ^= word >> U64(29)
            byte, at = next_byte(text, at, end)
        keys[row] = np.int64(mix(word))
    return keys


@compiled
def equal_texts(text: Any, i: int, i_end: int, j: int, j_end: int, normalized: bool) -> Any:
    """Say whether two texts are equal, byte by byte or but for white space."""
    if not normalized:
        same, k = i_end - i == j_end - j, 0
        while same and k < i_end - i:
            same, k = text[i + k] == text[j + k], k + 1
        return same
    i, j = first_word(text, i, i_end), first_word(text, j, j_end)
    one, i = next_byte(text, i, i_end)
    other, j = next_byte(text, j, j_end)
    while one == other and one < 256:
        one, i = next_byte(text, i, i_end)
        other, j = next_byte(text, j, j_end)
    return one == other


@compiled
def similarities(left: Any, right: Any, sets: Any, starts: Any, text: Any, offsets: Any, normalized: bool) -> Any:
    """Return the Jaccard similarity of pairs of sorted sets; of two empty ones, whether their texts are equal."""
    out = np.zeros(len(left), np.float32)
    for pair in range(len(left)):
        i, i_end = starts[left[pair]], starts[left[pair] + 1]
        j, j_end = starts[right[pair]], starts[right[pair] + 1]
        union, common = i_end - i + j_end - j, 0
        while i < i_end and j < j_end:
            x, y = sets[i], sets[j]
            i += x <= y
            j += y <= x
            common += x == y
        if union:
            out[pair] = np.float32(common / (union - common))
        else:
            i, j = offsets[left[pair]], offsets[right[pair]]
            same = equal_texts(text, i, offsets[left[pair] + 1], j, offsets[right[pair] + 1], normalized)
            out[pair] = np.float32(same)
    return out


@compiled
def in_filter(blocks: Any, keys: Any, salts: Any) -> Any:
    """Return what `bloom.contains` does: five times as fast, once numba is there."""
    out = np.zeros(len(keys), np.bool_)
    for i in range(len(keys)):
        block, low = ((keys[i] >> U64(32)) * U64(len(blocks))) >> U64(32), np.uint32(keys[i])
        word = 0
        while word < len(salts) and blocks[block, word] >> (np.uint32(low * salts[word]) >> np.uint32(27)) & 1:
            word += 1
        out[i] = word == len(salts)
    return out


@compiled
def order_buckets(order: Any, keys: Any, generations: Any, ids: Any) -> None:
    """Put the members of each bucket in order, in place: by generation, then by id; for buckets of a few.

    `order` holds rows, those of a key one after the other.
    """
    for i in range(1, len(order)):
        row, j = order[i], i
        while j > 0 and keys[order[j - 1]] == keys[row]:
            before = order[j - 1]
            if (generations[before], ids[before]) <= (generations[row], ids[row]):
                break
            order[j], j = before, j - 1
        order[j] = row


@compiled
def bucket_pairs(
    keys: Any, alike: Any, known: Any, present: Any, ranks: Any, counted: Any, full: int, anchors: int
) -> Any:
    """Pair the present members of each bucket that were not paired while the known ones alone were in it.

    Members of one number in `alike` meet in another bucket, unless that is 0.

    The first len(ranks) rows are the head of a bucket whose members so far are counted already. Returns both ends,
    then head, ranks and counts of the last bucket; the rank of a head row is its place among the known, or -1.
    """
    head, head_ranks = np.empty(full, np.int64), np.empty(full, np.int64)
    left, right = np.empty(0, np.int64), np.empty(0, np.int64)
    members, old = counted
    for turn in range(2):  # count, then write
        n, (members, old) = 0, counted
        for j in range(len(ranks)):
            head[j], head_ranks[j] = j, ranks[j]
        for i in range(len(ranks), len(keys)):
            if i > 0 and keys[i] != keys[i - 1]:
                members, old = 0, 0
            if present[i]:
                for j in range(members if members < full else anchors):
                    if alike[i] != 0 and alike[i] == alike[head[j]]:
                        continue
                    if known[i] and head_ranks[j] >= 0 and (old < full or head_ranks[j] < anchors):
                        continue  # they met then
                    if turn == 1:
                        left[n], right[n] = head[j], i
                    n += 1
                if members < full:
                    head[members], head_ranks[members] = i, old if known[i] else -1
                members += 1
            old += known[i]
        if turn == 0:
            left, right = np.empty(n, np.int64), np.empty(n, np.int64)
    size = min(members, full)
    return left, right, head[:size].copy(), head_ranks[:size].copy(), members, old
