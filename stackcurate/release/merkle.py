"""A Merkle tree over the shards of a release: one hash stands for all, and a short path proves that one is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

LEAF, NODE = b"\0", b"\1"
"""Prefixes that keep a leaf from passing for a node. Source: RFC 6962, section 2.1."""


def canonical(value: Any) -> bytes:
    """Return the JSON of a value in one spelling: keys sorted, no spaces.

    >>> canonical({"b": 1, "a": None})
    b'{"a":null,"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def leaf(shard: Mapping[str, Any]) -> str:
    """Return the leaf of a shard: its path, rows and SHA-256."""
    content = canonical({name: shard[name] for name in ("path", "rows", "sha256")})
    return hashlib.sha256(LEAF + content).hexdigest()


def merkle_root(shards: Sequence[Mapping[str, Any]]) -> str:
    """Return the root over the shards of a manifest, in their order."""
    return levels(shards)[-1][0]


def levels(shards: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the tree from the leaves to the root; the last of an odd level moves up as it is."""
    found = [[leaf(shard) for shard in shards] or [hashlib.sha256(b"").hexdigest()]]
    while len(found[-1]) > 1:
        below = found[-1]
        pairs = [_node(*below[i : i + 2]) for i in range(0, len(below) - 1, 2)]
        found.append(pairs + below[len(pairs) * 2 :])
    return found


def merkle_path(tree: Sequence[Sequence[str]], index: int) -> list[tuple[str, str]]:
    """Return the way from a leaf to the root: for each step the side on which the sibling stands, and the sibling.

    Args:
        tree: as `levels`.
        index: number of the leaf.
    """
    steps = []
    for level in tree[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            steps.append(("left" if sibling < index else "right", level[sibling]))
        index //= 2
    return steps


def follow(start: str, path: Sequence[Sequence[str]]) -> str:
    """Return the root to which a path leads from a leaf."""
    for side, sibling in path:
        start = _node(sibling, start) if side == "left" else _node(start, sibling)
    return start


def _node(left: str, right: str) -> str:
    return hashlib.sha256(NODE + bytes.fromhex(left) + bytes.fromhex(right)).hexdigest()
