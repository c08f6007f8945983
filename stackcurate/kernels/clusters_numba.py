"""The compiled loops of `clusters`: union-find and election. Import this module inside functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import compiled


@compiled
def join(parent: Any, left: Any, right: Any) -> None:
    """Union by smaller root, halving paths on the way."""
    for edge in range(len(left)):
        x, y = left[edge], right[edge]
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        while parent[y] != y:
            parent[y] = parent[parent[y]]
            y = parent[y]
        if x < y:
            parent[y] = x
        else:
            parent[x] = y


@compiled
def flatten(parent: Any) -> None:
    """Point each node at its root: parents are never larger, so one ascending pass is enough."""
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]


@compiled
def elect_first(order: Any, starts: Any, others: Any, similarity: Any, admissible: Any, threshold: float) -> Any:
    """Keep nodes first come first served; see `clusters.elect`."""
    kept_by = np.full(len(order), -1, np.int64)
    rank = np.empty(len(order), np.int64)
    bound, kept_near = np.zeros(len(order), np.float64), np.full(len(order), -1, np.int64)
    for position in range(len(order)):
        node, best = order[position], position
        rank[node] = position
        if not admissible[node]:
            continue
        for edge in range(starts[node], starts[node + 1]):
            other = others[edge]
            if similarity[edge] >= threshold and kept_by[other] == other and rank[other] < best:
                best = rank[other]
        if best == position:
            for edge in range(starts[node], starts[node + 1]):
                hub = others[edge]
                # A margin for the rounding of three 32-bit similarities: what is removed is similar for certain.
                if kept_near[hub] >= 0 and similarity[edge] + bound[hub] - 1.0 > threshold + 1e-6:
                    best = min(best, rank[kept_near[hub]])
        kept_by[node] = order[best]
        if best == position:
            for edge in range(starts[node], starts[node + 1]):
                if similarity[edge] > bound[others[edge]]:
                    bound[others[edge]], kept_near[others[edge]] = similarity[edge], node
    return kept_by


@compiled
def place_edges(left: Any, right: Any, weights: Any, free: Any, others: Any, similarity: Any) -> None:
    """Enter each edge at both of its ends; `free` holds the next free place of each node."""
    for edge in range(len(left)):
        for here, there in ((left[edge], right[edge]), (right[edge], left[edge])):
            others[free[here]], similarity[free[here]] = there, weights[edge]
            free[here] += 1
