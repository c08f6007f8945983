"""Windows and shared runs, compared with what plain Python says of the same bytes."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.kernels.attribution import AttributionConfig, normalise, rolling, shared_runs, windows

CONFIG = AttributionConfig(window=16, stride=8)


def text(seed: int, size: int, letters: bytes = b"ab (=)\n\t") -> bytes:
    return bytes(random.Random(seed).choices(letters, k=size))


def test_equal_stretches_have_equal_hashes_and_others_do_not() -> None:
    bare, _ = normalise(text(1, 3_000))
    hashes = rolling(bare, 20)
    stretches = [bare[i : i + 20].tobytes() for i in range(bare.size - 19)]

    assert len(hashes) == len(stretches)
    assert len(set(zip(stretches, hashes.tolist(), strict=True))) == len(set(stretches)) == len(set(hashes.tolist()))


def test_each_long_run_holds_a_stored_window() -> None:
    bare, _ = normalise(text(2, 2_000))
    kept = set(windows(pa.array([bare.tobytes()]), CONFIG)["hashes"][0].as_py())
    for start in range(bare.size - CONFIG.guaranteed):
        run = bare[start : start + CONFIG.guaranteed]
        assert kept & set((rolling(run, CONFIG.window) >> np.uint64(16)).astype(np.int64).tolist())


@pytest.mark.parametrize("seed", range(20))
def test_shared_runs_are_shared_and_cover_what_is(seed: int) -> None:
    one, two = (normalise(text(seed * 2 + n, 400, b"abc "))[0] for n in (0, 1))
    runs = list(shared_runs(one, two, 6))
    covered = {place for run in runs for place in range(run.start, run.start + run.size)}
    expected = {
        place
        for start in range(one.size - 5)
        if one[start : start + 6].tobytes() in two.tobytes()
        for place in range(start, start + 6)
    }

    assert all((one[r.start : r.start + r.size] == two[r.other : r.other + r.size]).all() for r in runs)
    assert covered == expected


def test_windows_of_batches_are_those_of_their_rows() -> None:
    rows = [text(5, 300), None, b"", b"short", text(6, 500)]
    together = windows(pa.array(rows, pa.binary()), CONFIG)["hashes"].to_pylist()

    assert together == [windows(pa.array([row], pa.binary()), CONFIG)["hashes"][0].as_py() for row in rows]
    assert together[1] is None
    assert together[2] == together[3] == []


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="window must be"):
        AttributionConfig(window=4)
    with pytest.raises(ValueError, match="bits_per_window"):
        AttributionConfig(bits_per_window=1)
