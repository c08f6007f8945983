"""The filter passes every key and as few strangers as its documentation says."""

from __future__ import annotations

import numpy as np
import pytest

from stackcurate.kernels import bloom, minhash_numba


def keys(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64)


@pytest.mark.parametrize(("bits", "strangers"), [(10, 1 / 60), (16, 1 / 600), (24, 1 / 4000)])
def test_keys_pass_and_strangers_do_not(bits: int, strangers: float) -> None:
    known = keys(1, 50_000)
    blocks = bloom.build(known, bits)

    assert bloom.contains(blocks, known).all()
    assert bloom.contains(blocks, keys(2, 400_000)).mean() < strangers
    assert blocks.nbytes * 8 <= bits * known.size + bloom.BITS


def test_filter_of_no_keys_passes_nothing() -> None:
    assert not bloom.contains(bloom.build(keys(1, 0), 16), keys(2, 100)).any()


def test_order_does_not_matter() -> None:
    known = keys(3, 1_000)

    assert (bloom.build(known, 12) == bloom.build(known[::-1], 12)).all()


def test_the_compiled_loop_passes_the_same_keys() -> None:
    blocks, asked = bloom.build(keys(4, 5_000), 8), keys(5, 200_000)

    passed = minhash_numba.in_filter(blocks, asked, bloom.SALTS)

    assert (passed == bloom.contains(blocks, asked)).all()
    assert 0 < passed.sum() < 20_000
