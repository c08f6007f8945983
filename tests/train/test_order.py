"""Order and chance: plans that read every row group as often as its weight says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from stackcurate.train.order import MILLION, Epoch, draw_units, permutation, plan_epoch

SIZES = np.full(60, 10, np.int64)
KINDS = np.repeat([0, 1, 2], [40, 15, 5])


def plan(epoch: int, *weights: float, block: int = 40) -> Epoch:
    given = np.array([round(weight * MILLION) for weight in weights], np.int64)
    return plan_epoch(SIZES, KINDS, given, seed=3, epoch=epoch, block=block)


def test_draws_are_the_same_in_every_process() -> None:
    code = "from stackcurate.train.order import permutation; print(permutation(9, 1, 'rows', 2).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(permutation(9, 1, "rows", 2).tolist())


def test_draws_are_uniform_and_differ_by_key() -> None:
    units = draw_units(100_000, 7, "cut")

    assert abs(units.mean() - 0.5) < 0.005
    assert 0 <= units.min() < units.max() < 1
    assert (units != draw_units(100_000, 8, "cut")).all()


def test_an_epoch_reads_every_row_group_once_in_a_new_order() -> None:
    first, second = plan(0, 1, 1, 1), plan(1, 1, 1, 1)

    assert sorted(first.groups) == sorted(second.groups) == list(range(60))
    assert first.groups.tolist() != second.groups.tolist()
    assert set(first.passes) == {0}
    assert set(second.passes) == {1}


def test_weights_count_passes_exactly_over_epochs() -> None:
    times: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for epoch in range(8):
        found = plan(epoch, 0.25, 2, 1.5)
        for group, turn in zip(found.groups.tolist(), found.passes.tolist(), strict=True):
            seen[(group, turn)] += 1  # type: ignore[index]
            times[group] += 1

    assert {times[group] for group in range(40)} == {2}
    assert {times[group] for group in range(40, 55)} == {16}
    assert {times[group] for group in range(55, 60)} == {12}
    assert set(seen.values()) == {1}


def test_a_language_is_spread_evenly_over_an_epoch() -> None:
    kinds = KINDS[plan(0, 1, 1, 1).groups]

    quarters = [np.bincount(part, minlength=3) for part in np.split(kinds, 4)]

    assert all(9 <= counts[0] <= 11 and 3 <= counts[1] <= 5 and counts[2] <= 3 for counts in quarters)


def test_blocks_hold_every_row_group_in_order() -> None:
    found = plan(0, 1, 1, 1)

    assert [pair for number in range(found.blocks) for pair in found.block(number)] == [
        *zip(found.groups.tolist(), found.passes.tolist(), strict=True)
    ]
    assert {len(found.block(number)) for number in range(found.blocks)} == {4}


@pytest.mark.parametrize("weights", [(0, 0, 0), (0, 0, 0.1)])
def test_an_epoch_may_be_empty(weights: tuple[float, ...]) -> None:
    assert plan(0, *weights).blocks == 0
