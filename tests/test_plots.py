"""The pictures show the numbers that they were given."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import pyarrow as pa
import pytest

mpl.use("agg")  # before pyplot looks for a display

import matplotlib.pyplot as plt

from stackcurate import plots

COUNTS = {
    "files": 100,
    "kept": {"files": 55},
    "dropped": [
        {"stage": "licenses", "reason": "no_license", "files": 20},
        {"stage": "licenses", "reason": "license_copyleft", "files": 10},
        {"stage": "near_dups", "reason": "exact_duplicate", "files": 15},
    ],
}


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


def test_funnel_draws_what_is_left_and_what_went() -> None:
    ax = plots.funnel(COUNTS)
    left, lost = ([bar.get_width() for bar in group] for group in ax.containers)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["read", "licenses", "near_dups"]
    assert left == [100, 70, 55]
    assert lost == [0, 30, 15]
    assert [text.get_text().split() for text in ax.texts] == [["100"], ["70", "(−30)"], ["55", "(−15)"]]
    assert ax.yaxis_inverted()


def test_funnel_of_nothing_is_empty() -> None:
    ax = plots.funnel({"files": 0, "kept": {"files": 0}, "dropped": []})

    assert [bar.get_width() for bar in ax.containers[0]] == [0]


def test_histogram_counts_each_value_once_and_splits_at_the_limit() -> None:
    values = pa.array([10, 20, 40, 80, None, 81, 90])
    ax = plots.histogram(values, limit=80, name="line_length_max")
    within, beyond = ([bar.get_height() for bar in group] for group in ax.containers)

    assert (sum(within), sum(beyond)) == (4, 2)
    assert ax.get_legend().get_texts()[1].get_text() == "beyond it: 2 of 6"
    assert ax.get_xlabel() == "line_length_max"
    assert all(bar.get_x() >= 80 for bar in ax.containers[1] if bar.get_height())


def test_histogram_of_a_wide_range_is_logarithmic() -> None:
    narrow, wide = plots.histogram([0.5, 0.75, 1.0]), plots.histogram([0, 3, 50, 4_000])

    assert (narrow.get_xscale(), wide.get_xscale()) == ("linear", "log")
    assert sum(bar.get_height() for bar in wide.containers[0]) == 4


@pytest.mark.parametrize("values", [[], [None], [7, 7]])
def test_histogram_of_few_values(values: list[int | None]) -> None:
    ax = plots.histogram(values)

    assert sum(bar.get_height() for bar in ax.containers[0]) == len([v for v in values if v is not None])


def test_both_draw_where_they_are_told() -> None:
    _, (top, bottom) = plt.subplots(2)

    assert plots.funnel(COUNTS, top) is top
    assert plots.histogram([1, 2, 3], ax=bottom) is bottom
