"""Order and chance without state: every draw is a hash of what it is for, the same in any process and version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

Bits = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""SplitMix64. Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014."""
MILLION = 1_000_000
"""Weights are counted in millionths, so that plans are exact."""


def draw_bits(count: int, *key: int | str) -> Bits:
    """Return `count` random words of 64 bits that depend on the key alone.

    >>> bool((draw_bits(3, 7, "cut") == draw_bits(5, 7, "cut")[:3]).all())
    True
    """
    base = np.uint64(xxhash.xxh3_64_intdigest("/".join(map(str, key)).encode()))
    bits = base + np.arange(1, count + 1, dtype=np.uint64) * _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _MULTIPLIERS[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MULTIPLIERS[1]
    return bits ^ (bits >> np.uint64(31))


def draw_units(count: int, *key: int | str) -> npt.NDArray[np.float64]:
    """Return `count` numbers in [0, 1) that depend on the key alone."""
    return (draw_bits(count, *key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(count: int, *key: int | str) -> Integers:
    """Return the numbers below `count` in an order that depends on the key alone."""
    return np.argsort(draw_bits(count, *key), kind="stable")


@dataclass(frozen=True)
class Epoch:
    """The row groups of one epoch in reading order, cut into blocks.

    Args:
        groups: index of each row group that is read; one of weight 2 stands there twice.
        passes: how often the row group was read before, in this epoch and in earlier ones.
        bounds: where each block begins, and the end of the last; as long as the number of blocks, and one.
    """

    groups: Integers
    passes: Integers
    bounds: Integers

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.bounds) - 1

    def block(self, number: int) -> list[tuple[int, int]]:
        """Return (row group, pass) of each row group of a block."""
        cut = slice(self.bounds[number], self.bounds[number + 1])
        return list(zip(self.groups[cut].tolist(), self.passes[cut].tolist(), strict=True))


def plan_epoch(sizes: Integers, kinds: Integers, weights: Integers, *, seed: int, epoch: int, block: int) -> Epoch:
    """Lay out an epoch: each kind spread evenly over it, its row groups in a new order.

    After e epochs a row group of weight w was read e * w times, rounded up or down; a fixed draw decides which row
    groups of a kind come first where w is no whole number.

    Args:
        sizes: bytes of text per row group.
        kinds: the language of each row group, as an index into `weights`.
        weights: passes per epoch of each kind, in millionths.
        seed: of the run.
        epoch: number of the epoch.
        block: bytes of text per block, roughly.
    """
    groups, passes, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for kind, weight in enumerate(weights.tolist()):
        members = np.flatnonzero(kinds == kind)
        count = len(members)
        if not count or not weight:
            continue
        phase = permutation(count, seed, "phase", kind) * MILLION
        before = (epoch * weight * count + phase) // (MILLION * count)
        after = ((epoch + 1) * weight * count + phase) // (MILLION * count)
        times = after - before
        copies = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        shuffled = permutation(len(copies), seed, "order", kind, epoch)
        groups.append(np.repeat(members, times)[shuffled])
        passes.append((np.repeat(before, times) + copies)[shuffled])
        jitter = draw_units(len(copies), seed, "place", kind, epoch)
        places.append((np.arange(len(copies)) + jitter) / max(1, len(copies)))
    order = np.argsort(np.concatenate(places), kind="stable")
    read, again = np.concatenate(groups)[order], np.concatenate(passes)[order]
    ends = np.cumsum(sizes[read])
    starts = np.unique((ends - sizes[read]) // block, return_index=True)[1]
    return Epoch(read, again, np.append(starts, len(read)))
