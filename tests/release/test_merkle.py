"""Merkle trees: each shard has a path to the root, and nothing else has."""

from __future__ import annotations

import pytest

from stackcurate.release.merkle import digest, follow, leaf, levels, merkle_path, merkle_root


def shards(count: int) -> list[dict[str, object]]:
    return [{"path": f"data/c/{n}", "rows": n, "sha256": f"{n:064x}", "bytes": n} for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_each_leaf_leads_to_the_root(count: int) -> None:
    tree = levels(shards(count))

    for index, shard in enumerate(shards(count)):
        assert follow(leaf(shard), merkle_path(tree, index)) == merkle_root(shards(count))
        assert follow(leaf({**shard, "rows": 99}), merkle_path(tree, index)) != merkle_root(shards(count))


def test_root_tells_order_and_number_of_shards() -> None:
    some = shards(6)

    assert len({merkle_root(s) for s in (some, some[::-1], some[:5], [*some, some[-1]], [])}) == 5


def test_node_does_not_pass_for_a_leaf() -> None:
    tree = levels(shards(4))

    assert tree[1][0] not in (leaf(shard) for shard in shards(4))
    assert follow(tree[1][0], merkle_path(tree, 0)) != tree[-1][0]


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
