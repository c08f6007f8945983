"""Sets of shingles, in parts and in one piece."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.jaccard import joined, sets_of, similarities
from stackcurate.kernels.minhash import NearDupConfig, jaccard_pairs


@pytest.mark.parametrize("normalized", [False, True])
def test_parts_compare_as_one_piece(normalized: bool) -> None:
    rng = random.Random(4)
    words = [f"w{number}" for number in range(4)]
    texts = [" ".join(rng.choices(words, k=rng.choice([0, 1, 2, 3, 9, 30, 300]))).encode() for _ in range(60)]
    rows = pa.array([*texts, b"w1\n w2", b"w1 w2", None, b"\xff\xfe", b""], pa.large_binary())
    left, right = np.triu_indices(len(rows))
    config = NearDupConfig(shingle_tokens=3, normalized=normalized)

    whole = sets_of(rows, config.tokenizer, config.shingle_tokens)
    parts = joined(sets_of(rows.slice(at, 7), config.tokenizer, config.shingle_tokens) for at in range(0, len(rows), 7))

    found = similarities(parts, left, right, normalized)
    assert np.array_equal(found, similarities(whole, left, right, normalized))
    assert np.array_equal(found, jaccard_pairs(rows, left, right, config))
    assert set(found[left == right].tolist()) == {0.0, 1.0}  # a null is not even like itself
    assert (found > 0).sum() > 400
    assert sum(len(text) for text in parts.texts.to_pylist() if text) < 200


def test_no_parts_are_no_sets() -> None:
    sets = joined([])

    assert len(sets.starts) == 1
    assert len(similarities(sets, np.empty(0, np.int64), np.empty(0, np.int64), False)) == 0
