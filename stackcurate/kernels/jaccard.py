"""Exact similarity of texts: the sets of their shingles, held in the place of the texts, are compared in pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.kernels.shingles import buffers, shingle_sets, valid

_Rows: TypeAlias = npt.NDArray[np.integer[Any]]


class Sets(NamedTuple):
    """The shingles of N texts: three quarters of the bytes of source code.

    Args:
        starts: (N + 1,) where the shingles of each text begin in `values`.
        values: sorted and distinct within a text.
        texts: (N,) large binary; empty where a text has shingles, null where there is no text.
    """

    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint64]
    texts: pa.LargeBinaryArray


def sets_of(texts: pa.Array, tokenizer: str, length: int) -> Sets:
    """Return the sets of shingles of texts.

    Args:
        texts: (N,) large binary.
        tokenizer: one of `shingles.TOKENIZERS`.
        length: tokens in a shingle.
    """
    starts, values = shingle_sets(texts, tokenizer, length)
    bare = pa.array(np.diff(starts) == 0)
    return Sets(starts, values, pc.if_else(bare, texts, pa.scalar(b"", pa.large_binary())))


def joined(parts: Iterable[Sets]) -> Sets:
    """Return the sets of several parts as one, in their order."""
    held = [Sets(np.zeros(1, np.int64), np.empty(0, np.uint64), pa.array([], pa.large_binary())), *parts]
    begins = np.cumsum([0, *(part.starts[-1] for part in held)])
    starts = [part.starts[1:] + begin for part, begin in zip(held, begins[:-1], strict=True)]
    values = np.concatenate([part.values for part in held])
    return Sets(np.concatenate([[0], *starts]), values, pa.concat_arrays([part.texts for part in held]))


def similarities(sets: Sets, left: _Rows, right: _Rows, normalized: bool) -> npt.NDArray[np.float32]:
    """Return the Jaccard similarity of pairs of sets.

    Args:
        sets: N sets.
        left: (P,) which set is one end of each pair.
        right: (P,) which is the other.
        normalized: texts without shingles are equal if only white space tells them apart.

    Returns:
        (P,) similarities. Two texts without shingles have 1 if their bytes are equal and else 0; a null has 0.

    >>> sets = sets_of(pa.array([b"a b c d", b"a b d c"], pa.large_binary()), "words", 2)
    >>> similarities(sets, np.array([0]), np.array([1]), False).tolist()
    [0.20000000298023224]
    """
    from stackcurate.kernels import minhash_numba as loops

    ends, others = left.astype(np.int64), right.astype(np.int64)
    text, offsets = buffers(sets.texts)
    result: npt.NDArray[np.float32] = loops.similarities(
        ends, others, sets.values, sets.starts, text, offsets, normalized
    )
    there = valid(sets.texts)
    return result * (there[left] & there[right])
