"""Connected components as DataFrames: for graphs that are too large for the driver's union-find.

Large-star and small-star in turn: each node hands its neighbours to the smallest of them, first the larger ones, then
the smaller ones, until only stars are left, each around the smallest node of its component.
Source: Kiveris, Lattanzi, Mirrokni, Rastogi and Vassilvitskii, Connected Components in MapReduce and Beyond, 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackcurate.errors import WorkspaceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROUNDS = 60
"""Most rounds. A chain of 10**4 nodes takes a dozen; their number grows at most with the square of the logarithm."""


def components(edges: DataFrame, rounds: int = ROUNDS) -> DataFrame:
    """Label each node that has an edge with the smallest node of its connected component.

    Each round is kept on the executors and cuts the plan: it needs no checkpoint folder, and no plan grows. A lost
    executor fails the job, and the next attempt starts from the edges. A node with many neighbours is sorted by one
    task, on its disk where need be.

    Args:
        edges: two columns of one type, string or integer: both ends of each edge; repeats and loops change nothing.
        rounds: most rounds.

    Returns:
        `node` and `root`, one row per node; the same whatever the order, direction and partitions of the edges.

    Raises:
        WorkspaceError: the rounds were not enough.
    """
    one, other = (f"`{name}`" for name in edges.columns)
    oriented = edges.selectExpr(f"greatest({one}, {other}) as child", f"least({one}, {other}) as parent")
    stars, print_before = oriented.where("child > parent").distinct(), None
    for _ in range(rounds):
        stars = small_star(large_star(stars)).localCheckpoint()
        print_after = _fingerprint(stars)
        if print_after == print_before:
            roots = stars.selectExpr("parent as node", "parent as root").distinct()
            return stars.toDF("node", "root").union(roots)
        print_before = print_after
    raise WorkspaceError(f"components: not connected after {rounds} rounds; allow more")


def large_star(edges: DataFrame) -> DataFrame:
    """Link the larger neighbours of each node to the smallest of its neighbours and itself.

    Args:
        edges: child and parent, child > parent.

    Returns:
        The new edges, in the same form.
    """
    both = edges.selectExpr(
        "inline(array(struct(child as node, parent as other), struct(parent as node, child as other)))"
    )
    return (
        both.selectExpr("node", "other", "min(least(node, other)) over (partition by node) as parent")
        .where("other > node")
        .selectExpr("other as child", "parent")
        .distinct()
    )


def small_star(edges: DataFrame) -> DataFrame:
    """Link each node and its smaller neighbours to the smallest of these; arguments as for `large_star`."""
    return (
        edges.selectExpr("child", "parent", "min(parent) over (partition by child) as least")
        .selectExpr("inline(array(struct(child, least as parent), struct(parent as child, least as parent)))")
        .where("child > parent")
        .distinct()
    )


def _fingerprint(edges: DataFrame) -> tuple[int, ...]:
    row = edges.selectExpr("count(*)", "bit_xor(xxhash64(child, parent))", "bit_xor(xxhash64(parent, child))").first()
    return tuple(row or ())
