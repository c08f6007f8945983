"""Clusters of near-duplicates: connected components of verified edges, and who is kept in them.

A component says what belongs together, but its ends need not be similar. So a member is only removed where a
kept member is known to be similar to it, and the election can be held again, in another order or among fewer
members, without looking at contents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Nodes: TypeAlias = npt.NDArray[np.integer[Any]]

_STEP = 1 << 15
"""Edges that are joined at once: where their type must change, the copies stay small."""


def components(n: int, left: Nodes, right: Nodes) -> npt.NDArray[np.uint32]:
    """Label each node with the smallest node of its connected component.

    Args:
        n: number of nodes, which are 0 to n - 1.
        left: one end of each edge.
        right: the other end of each edge.

    Returns:
        n labels; the same whatever the order of the edges.

    Raises:
        ValueError: an edge names a node outside of 0 to n - 1, or the ends differ in number.

    >>> components(5, np.array([3, 1]), np.array([4, 3])).tolist()
    [0, 1, 2, 1, 1]
    """
    return components_of_batches(n, [(left, right)])


def components_of_batches(n: int, edges: Iterable[tuple[Nodes, Nodes]]) -> npt.NDArray[np.uint32]:
    """Label the components of edges that arrive in batches: 4 bytes per node, whatever their number.

    Args:
        n: number of nodes, at most 2**32.
        edges: batches of left and right ends.

    Returns:
        As `components`.

    Raises:
        ValueError: as `components`.
    """
    from stackcurate.kernels import clusters_numba

    if not 0 <= n <= 1 << 32:
        raise ValueError(f"expected 0 to 2**32 nodes, found {n}")
    parent = np.arange(n, dtype=np.uint32)
    for left, right in edges:
        _check_ends(n, left, right)
        for start in range(0, len(left), _STEP):
            ends = (np.ascontiguousarray(one[start : start + _STEP], np.uint32) for one in (left, right))
            clusters_numba.join(parent, *ends)
    clusters_numba.flatten(parent)
    return parent


def elect(
    order: Nodes,
    left: Nodes,
    right: Nodes,
    admissible: npt.NDArray[np.bool_] | None = None,
    similarity: npt.NDArray[np.float32] | None = None,
    threshold: float = 0.7,
) -> npt.NDArray[np.int64]:
    """Keep nodes first come first served, and name for each removed node the kept node that stands for it.

    In the given order, a node is removed if a kept node is similar to it, else it is kept. Similar means: an
    edge of at least the threshold joins them, or, where similarities are given, a third node proves it: 1 - J is
    a metric, so J(a, b) >= J(a, c) + J(c, b) - 1. The third node need not be admissible. This decides the
    members of large buckets, which are only compared with a few anchors.

    Args:
        order: a permutation of 0 to n - 1, best first.
        left: one end of each verified edge.
        right: the other end of each verified edge.
        admissible: n flags; a node that is not admissible is neither kept nor stands for another. Default: all.
        similarity: exact Jaccard similarity of each edge. Default: every edge counts as just similar enough.
        threshold: least similarity, which is compared at the precision of 32-bit floats.

    Returns:
        n nodes: the node itself where it is kept, the earliest kept one that is joined to it (or, if there is none,
        proven similar to it) where it is removed, -1 where it is not admissible.

    Raises:
        ValueError: lengths differ, or ``order`` is no permutation, or an end is out of range.

    >>> elect(np.array([2, 0, 1]), np.array([0, 1]), np.array([1, 2])).tolist()
    [0, 2, 2]
    """
    from stackcurate.kernels import clusters_numba

    n = len(order)
    _check_ends(n, left, right)
    if not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError("order: expected a permutation of all nodes")
    allowed = np.ones(n, np.bool_) if admissible is None else np.ascontiguousarray(admissible, np.bool_)
    bar = float(np.float32(threshold)) if similarity is not None else 0.0
    weights = np.zeros(len(left), np.float32) if similarity is None else np.asarray(similarity, np.float32)
    if len(allowed) != n or len(weights) != len(left):
        raise ValueError("admissible needs one value per node, similarity one per edge")
    starts, others, weights = _adjacency(n, left, right, weights)
    ranked = np.ascontiguousarray(order, np.int64)
    kept_by: npt.NDArray[np.int64] = clusters_numba.elect_first(ranked, starts, others, weights, allowed, bar)
    return kept_by


def elect_one_each(order: Nodes, left: Nodes, right: Nodes, admissible: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Keep the first admissible node of each connected component, however unlike the others are.

    This is what deduplication without verification does; nodes that are not admissible still connect others.

    Args:
        order: a permutation of 0 to n - 1, best first.
        left: one end of each edge.
        right: the other end of each edge.
        admissible: n flags.

    Returns:
        n nodes: the kept one of the node's component, -1 where the node is not admissible.

    >>> elect_one_each(np.array([2, 0, 1]), np.array([0, 1]), np.array([1, 2]), np.array([True, True, False])).tolist()
    [0, 0, -1]
    """
    roots = components(len(order), left, right)
    ranked = order[admissible[order]]
    found, first = np.unique(roots[ranked], return_index=True)
    kept = np.full(len(order), -1, np.int64)
    kept[found] = ranked[first]
    return np.where(admissible, kept[roots], -1)


def _adjacency(
    n: int, left: Nodes, right: Nodes, weights: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    from stackcurate.kernels import clusters_numba

    ends = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(ends[0], minlength=n) + np.bincount(ends[1], minlength=n), out=starts[1:])
    others, similarity = np.empty(2 * len(left), np.int64), np.empty(2 * len(left), np.float32)
    clusters_numba.place_edges(*ends, np.ascontiguousarray(weights), starts[:-1].copy(), others, similarity)
    return starts, others, similarity


def _check_ends(n: int, left: Nodes, right: Nodes) -> None:
    if len(left) != len(right):
        raise ValueError(f"expected as many left as right ends, found {len(left)} and {len(right)}")
    for ends in (left, right):
        if len(ends) and (int(ends.min()) < 0 or int(ends.max()) >= n):
            raise ValueError(f"an edge names a node outside of 0 to {n - 1}")
