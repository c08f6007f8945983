"""Pictures for notebooks: the funnel of a release, and one fact against its limit. Matplotlib is imported on use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stackcurate.errors import MissingDependencyError
from stackcurate.release.report import levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _LOST, _INK = "#2f7d6b", "#d9897b", "#1c2733"
"""Colours of what stays, of what goes, and of text: those of the HTML report."""


def funnel(counts: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Draw a bar for each stage: what is left after it, and what it took out.

    Args:
        counts: a release's funnel, as in its `funnel.json`.
        ax: where to draw; None makes a figure.

    Returns:
        The axes: stages from the top down, files to the right.

    Raises:
        MissingDependencyError: matplotlib is missing.
    """
    rows = levels(counts)
    names, left, lost = zip(*rows, strict=True)
    ax = ax or _axes(height=0.8 + 0.42 * len(rows))
    ax.barh(names, left, color=_LEFT, label="left")
    ax.barh(names, lost, left=left, color=_LOST, label="taken out")
    for row, (_, stays, goes) in enumerate(rows):
        note = f"{stays:,}" + (f"  (−{goes:,})" if goes else "")
        ax.text(stays + goes, row, f" {note}", va="center", color=_INK, fontsize=9)
    ax.invert_yaxis()
    ax.set_xlim(0, max(counts["files"], 1) * 1.15)
    ax.set_xlabel("files")
    return _finish(ax)


def histogram(values: Iterable[Any], limit: float | None = None, *, name: str = "", ax: Axes | None = None) -> Axes:
    """Draw how a fact is spread over files, and where a policy's limit falls.

    Args:
        values: numbers such as `line_length_max` or `similarity`: a list, an Arrow or a pandas column; nulls are
            left out. A range over two powers of ten gets a logarithmic axis, on which 0 stands at 1.
        limit: a line is drawn here, and what lies beyond it is coloured as taken out; None draws none.
        name: label of the axis.
        ax: where to draw; None makes a figure.

    Returns:
        The axes: values to the right, number of files upwards.

    Raises:
        MissingDependencyError: matplotlib is missing.
    """
    ax = ax or _axes(height=2.8)
    numbers = _numbers(values)
    if wide := bool(len(numbers)) and numbers.min() >= 0 and numbers.max() > 100 * max(numbers.min(), 1):
        numbers = numbers.clip(min=1)
    edges = _edges(numbers, limit, wide=wide).tolist()
    within = numbers if limit is None else numbers[numbers <= limit]
    ax.hist(within, bins=edges, color=_LEFT, label="within the limit")
    if limit is not None:
        beyond = numbers[numbers > limit]
        ax.hist(beyond, bins=edges, color=_LOST, label=f"beyond it: {len(beyond):,} of {len(numbers):,}")
        ax.axvline(limit, color=_INK, linewidth=1)
        ax.annotate(
            f"{limit:g}", (limit, 1.02), xycoords=("data", "axes fraction"), ha="center", color=_INK, fontsize=9
        )
    if wide:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel(name)
    ax.set_ylabel("files")
    ax.locator_params(axis="y", integer=True)
    return _finish(ax, legend=limit is not None)


_Numbers = npt.NDArray[np.float64]


def _numbers(values: Iterable[Any]) -> _Numbers:
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    numbers = np.array([np.nan if value is None else value for value in listed], dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def _edges(numbers: _Numbers, limit: float | None, *, wide: bool) -> _Numbers:
    """Return 30 bins over all values; one edge is the limit, so that no bar straddles it."""
    if not len(numbers):
        return np.array([0.0, 1.0])
    spaced = np.geomspace if wide else np.linspace
    edges = spaced(numbers.min(), max(numbers.max(), numbers.min() + 1e-9), 31)
    inside = limit is not None and edges[0] < limit < edges[-1]
    return np.union1d(edges, [limit]) if inside else edges


def _axes(height: float) -> Axes:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingDependencyError('matplotlib is missing: pip install "stackcurate[notebooks]"') from None
    axes: Axes = plt.subplots(figsize=(7.5, height), layout="constrained")[1]
    return axes


def _finish(ax: Axes, *, legend: bool = True) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(frameon=False, fontsize=9, loc="best")
    return ax
