"""Shingles: the set of token runs that stands for a text, as 64-bit hashes.

The compiled loops read the Arrow buffers; no row becomes a Python object.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

TOKENIZERS = ("words", "bigcode-v1", "bigcode-v2")
r"""What a token is, as regular expressions over the text (UTF-8, else Latin-1):

- ``words``: ``[A-Za-z_0-9]+``, so that layout does not count;
- ``bigcode-v1``: ``re.split(r"[^A-Za-z_0-9]", text)`` with its empty tokens, as for The Stack v1;
- ``bigcode-v2``: ``re.split(r"\W", text.lower())``, as for The Stack v2; letters are those of Python's Unicode.

Source: bigcode-dataset, near_deduplication/minhash_deduplication.py and bigcode-v2/intra_dedup.py.
"""
LONGEST = 64
"""Most tokens in a shingle."""
FILTER_SIZE = 2048
"""Shingles that the repeat filter remembers: 16 KiB, half a first-level cache; must be a power of two."""

_WORD_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"


def shingle_sets(
    texts: pa.Array, tokenizer: str, length: int, filter_size: int = FILTER_SIZE
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the sorted distinct shingles of all texts, and where each text's begin.

    Args:
        texts: N texts, binary; null and texts with too few tokens have no shingles.
        tokenizer: one of `TOKENIZERS`.
        length: tokens in a shingle.
        filter_size: shingles that the repeat filter remembers; the answer does not depend on it.

    Returns:
        N + 1 offsets into the values, and the values.

    >>> starts, values = shingle_sets(pa.array([b"a b a b a b", b"a"]), "words", 2)
    >>> starts.tolist(), len(values)
    ([0, 2, 2], 2)
    """
    from stackcurate.kernels import shingles_numba as loops

    text, offsets = buffers(lowered(texts, tokenizer))
    starts, values = loops.shingle_rows(text, offsets, valid(texts), shingler(tokenizer, length), filter_size)
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        values[begin:end].sort()  # NumPy sorts 64-bit integers with vector instructions
    starts = loops.drop_equal_neighbours(values, starts)
    return starts, values[: starts[-1]]


def valid(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Say which rows are not null."""
    rows: npt.NDArray[np.bool_] = texts.is_valid().to_numpy(zero_copy_only=False)
    return rows


def buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """View the bytes of a binary array, and where its rows begin in them, without copying a text."""
    width = np.int64 if pa.types.is_large_binary(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    text = np.frombuffer(b"" if data is None else data, np.uint8)
    text.flags.writeable = False  # one compiled version serves all
    if not len(texts) or offsets is None:
        return text, np.zeros(len(texts) + 1, np.int64)
    return text, np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


def lowered(texts: pa.Array, tokenizer: str) -> pa.Array:
    """For bigcode-v2, let Python lower the rare texts that hold a letter whose lower case depends on its place."""
    if tokenizer != "bigcode-v2":
        return texts
    special = pc.fill_null(pc.match_substring_regex(texts, "\u03a3|\u0130"), False)
    if not special.true_count:
        return texts
    rows = zip(texts, special.to_pylist(), strict=True)
    return pa.array([_lower(row.as_py()) if hit else row.as_py() for row, hit in rows], pa.large_binary())


def _lower(text: bytes) -> bytes:
    try:
        return text.decode("utf-8").lower().encode("utf-8")
    except UnicodeDecodeError:  # read as Latin-1, which has none of those letters
        return text


@functools.cache
def shingler(tokenizer: str, length: int) -> tuple[int, Any, Any, Any, Any]:
    """Return what the compiled loops need to know.

    Args:
        tokenizer: one of `TOKENIZERS`.
        length: tokens in a shingle, at most `LONGEST`.

    Returns:
        The kind of tokenizer; which bytes separate tokens, in UTF-8 and in Latin-1; a constant per byte; the lower
        case of each word character, 0 for others; the odd multiplier of each token in a shingle.
    """
    from stackcurate.kernels import shingles_numba as loops

    kind = {"words": loops.WORDS, "bigcode-v1": loops.SPLIT, "bigcode-v2": loops.UNICODE}[tokenizer]
    separator = np.ones((2, 256), np.uint8)
    separator[:, list(_WORD_BYTES)] = 0
    if kind == loops.SPLIT:
        separator[0, 0x80:0xC0] = 2  # a continuation byte belongs to the separator before it
    lower = _lower_case() if kind == loops.UNICODE else np.zeros(0, np.uint32)
    weights = loops.constants(256 + LONGEST)[256 : 256 + length] | np.uint64(1)
    return kind, separator, loops.constants(256), lower, weights


def _lower_case() -> npt.NDArray[np.uint32]:
    table = np.zeros(0x110000, np.uint32)
    for letter in re.findall(r"\w", "".join(map(chr, range(0x110000)))):
        small = letter.lower()
        table[ord(letter)] = ord(small) if len(small) == 1 else ord(letter)
    return table
