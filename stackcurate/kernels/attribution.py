"""Attribution: hashed windows of normalised text, and the verbatim runs that two texts share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stackcurate.config import setting
from stackcurate.kernels.content import as_binary

HASH_BITS = 48
"""Bits of a stored hash. Two in 10^9 windows share one by chance in 300,000 looks; each hit is verified anyway."""
WINDOWS = pa.schema([pa.field("hashes", pa.list_(pa.int64())), pa.field("error", pa.string())])
_WHITESPACE = b" \t\n\r\x0b\x0c"
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_MOST_PLACES = 16
"""Places of one run in a document that are compared for the longest; repeated text has any number of them."""

Text = NDArray[np.uint8]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class AttributionConfig:
    """Which windows of a release are indexed."""

    index: bool = setting(True, "write the index that `stackcurate attribute` reads into the release")
    window: int = setting(50, "bytes of a hashed window, whitespace aside")
    stride: int = setting(50, "bytes from one window to the next")
    bits_per_window: int = setting(24, "size of the Bloom filter; 24 bits let 1 stranger in 6,000 pass")

    def __post_init__(self) -> None:
        if not 16 <= self.window <= 1000 or not 1 <= self.stride <= 1000:
            raise ValueError(f"window must be 16 to 1000 and stride 1 to 1000, not {self.window} and {self.stride}")
        if not 4 <= self.bits_per_window <= 64:
            raise ValueError(f"bits_per_window must be 4 to 64, not {self.bits_per_window}")

    @property
    def guaranteed(self) -> int:
        """Bytes, whitespace aside, of the shortest verbatim run that is always found.

        Source: wherever it starts, such a run holds one whole stored window (Data Portraits, arXiv 2303.03919).
        """
        return self.window + self.stride - 1


def normalise(content: bytes) -> tuple[Text, NDArray[np.int64]]:
    r"""Return the bytes without whitespace, and where each stood.

    >>> text, places = normalise(b"a =\n\t1")
    >>> text.tobytes(), places.tolist()
    (b'a=1', [0, 2, 5])
    """
    text = np.frombuffer(content, np.uint8)
    places = np.flatnonzero(_kept()[text])
    return text[places], places


@cache
def _kept() -> NDArray[np.bool_]:
    kept = np.ones(256, dtype=bool)
    kept[list(_WHITESPACE)] = False
    return kept


def rolling(text: Text, length: int) -> Hashes:
    """Return a 64-bit hash of each stretch of `length` bytes, by its start; equal stretches have equal hashes.

    A polynomial modulo 2^64 over random values of the bytes, so that sums of a prefix give each stretch in two steps.

    Args:
        text: (N,) bytes.
        length: bytes of a stretch.

    Returns:
        (max(N - length + 1, 0),) hashes.
    """
    if text.size < length:
        return np.empty(0, np.uint64)
    powers, inverses = _powers(1 << (text.size - 1).bit_length())
    sums = np.zeros(text.size + 1, np.uint64)
    np.cumsum(_values()[text] * powers[: text.size], out=sums[1:])
    return _mixed((sums[length:] - sums[:-length]) * inverses[: text.size - length + 1])


@cache
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse; `count` is a power of two, so that few are kept."""
    both = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        both.append(np.multiply.accumulate(factors))
    return both[0], both[1]


@cache
def _values() -> Hashes:
    return _mixed(np.arange(1, 257, dtype=np.uint64) * np.uint64(_BASE))


def _mixed(values: Hashes) -> Hashes:
    """Spread the entropy of each value over all its bits. Source: the finaliser of MurmurHash3."""
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xFF51AFD7ED558CCD)
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(values ^ (values >> np.uint64(33)), np.uint64)


def stored(hashes: Hashes) -> NDArray[np.int64]:
    """Return the bits of hashes that an index keeps."""
    return (hashes >> np.uint64(64 - HASH_BITS)).astype(np.int64)


def bloom_keys(hashes: NDArray[np.int64]) -> Hashes:
    """Return stored hashes as keys of a Bloom filter, which wants all bits random."""
    return _mixed(hashes.astype(np.uint64))


def windows(content: pa.Array, config: AttributionConfig = AttributionConfig()) -> pa.RecordBatch:
    r"""Hash the windows of each content that an index keeps.

    Args:
        content: (N,) bytes or text; null gives null.
        config: window and stride.

    Returns:
        `WINDOWS`: distinct hashes in ascending order; none where the text is shorter than a window.

    >>> windows(["x = 1\\n", "y = 2\\n" * 40, None])["hashes"].to_pylist()[::2]
    [[], None]
    """
    found = [None if value is None else _windows(value, config) for value in as_binary(content).to_pylist()]
    nothing = pa.nulls(len(found), pa.string())
    return pa.RecordBatch.from_arrays([pa.array(found, pa.list_(pa.int64())), nothing], schema=WINDOWS)


def _windows(content: bytes, config: AttributionConfig) -> NDArray[np.int64]:
    text, _ = normalise(content)
    return np.unique(stored(rolling(text, config.window)[:: config.stride]))


@dataclass(frozen=True)
class SharedRun:
    """A stretch that stands in two texts: where it starts in each, and its bytes, all without whitespace."""

    start: int
    other: int
    size: int


def shared_runs(text: Text, other: Text, least: int) -> Iterator[SharedRun]:
    """Yield the stretches of at least `least` bytes that both texts hold, by their start in the first.

    Compared byte by byte: what is yielded is equal. Each place of the first text that lies in a shared stretch is
    covered once; where the other text repeats itself, a long place is taken.

    >>> one, two = (np.frombuffer(value, np.uint8) for value in (b"..abcdef..", b"--abcdef!"))
    >>> list(shared_runs(one, two, 4))
    [SharedRun(start=2, other=2, size=6)]
    """
    mine, others = rolling(text, least), rolling(other, least)
    hits = np.flatnonzero(_members(mine, others))
    position = 0
    while True:
        index = int(np.searchsorted(hits, position))
        if index == hits.size:
            return
        start = int(hits[index])
        places = np.flatnonzero(others == mine[start])[:_MOST_PLACES]
        size, place = max((_equal(text[start:], other[place:]), -int(place)) for place in places)
        if size < least:  # two stretches with one hash
            position = start + 1
            continue
        yield SharedRun(start, -place, size)
        position = start + size - least + 1


def _members(values: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Return which values are among the known ones."""
    ordered = np.append(np.sort(known), np.uint64(0))
    return np.asarray(ordered[np.searchsorted(ordered[:-1], values)] == values)


def _equal(left: Any, right: Any) -> int:
    """Return how many leading bytes two texts share."""
    size = min(left.size, right.size)
    different = np.flatnonzero(left[:size] != right[:size])
    return int(different[0]) if different.size else size
