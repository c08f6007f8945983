"""The compiled loops of `minhash`: sketches, band keys, pairs, similarities. Import this module inside functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import BLOCK, GOLDEN, U32, U64, compiled, mix, row_shingles

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
def similarities(left: Any, right: Any, sets: Any, starts: Any, text: Any, offsets: Any) -> Any:
    """Return the Jaccard similarity of pairs of sorted sets; two empty ones are compared byte by byte."""
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
            size = offsets[left[pair] + 1] - i
            same = size == offsets[right[pair] + 1] - j
            k = 0
            while same and k < size:
                same = text[i + k] == text[j + k]
                k += 1
            out[pair] = np.float32(same)
    return out


@compiled
def bucket_pairs(keys: Any, rows: Any, full: int, anchors: int) -> Any:
    """Pair members of equal sorted keys: the first ones with all before them, later ones with the anchors."""
    before, begin, count = np.zeros(len(keys), np.int64), 0, 0
    for i in range(len(keys)):
        if keys[i] != keys[begin]:
            begin = i
        before[i] = i - begin if i - begin < full else anchors
        count += before[i]
    left, right = np.empty(count, np.int64), np.empty(count, np.int64)
    n, begin = 0, 0
    for i in range(len(keys)):
        if keys[i] != keys[begin]:
            begin = i
        for j in range(before[i]):
            left[n], right[n] = rows[begin + j], rows[i]
            n += 1
    return left, right
