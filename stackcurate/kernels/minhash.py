"""Near-duplicates: sketches from raw bytes, bands, candidate pairs, and the exact similarity that decides.

A text is a set of shingles, each a run of tokens; two texts are near-duplicates where the Jaccard similarity
of their sets reaches the threshold. Sketches find candidates, exact similarity decides. Texts with fewer tokens
than a shingle have no sketch: they are compared byte by byte and never thrown together.

Nothing here needs Spark, and no row becomes a Python object: compiled loops read the Arrow buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels.buckets import Indices, pair_rows
from stackcurate.kernels.content import as_binary
from stackcurate.kernels.jaccard import sets_of, similarities
from stackcurate.kernels.shingles import (
    FILTER_SIZE,
    LONGEST,
    TOKENIZERS,
    buffers,
    lowered,
    shingle_sets,
    shingler,
    valid,
)

Signatures: TypeAlias = npt.NDArray[np.uint32]
Texts: TypeAlias = pa.Array | Sequence[bytes | str | None]

SCHEMES = ("fill", "affine32")

MODES: dict[str, dict[str, Any]] = {
    "verified": {},
    "bigcode": {"tokenizer": "bigcode-v1", "scheme": "affine32", "bands": 25, "rows": 10, "verify": False},
}
"""Names for settings that belong together. `bigcode` is for comparison: each shared band joins two texts, unverified,
and a component keeps one; texts with too few tokens, which it throws together, are left alone here as elsewhere.
Source: bigcode-dataset, near_deduplication/minhash_deduplication.py, at threshold 0.7 and 256 permutations."""

_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class NearDupConfig:
    """How near-duplicates are found.

    >>> NearDupConfig(bands=64, rows=6)
    Traceback (most recent call last):
    ...
    ValueError: 64 bands of 6 rows need 384 values, but num_values is 256
    """

    mode: str = setting("verified", "`verified`, or `bigcode`: tokens, bands and unverified components of The Stack")
    tokenizer: str = setting("words", "what a token is: `words`, `bigcode-v1` or `bigcode-v2`")
    shingle_tokens: int = setting(5, "tokens in a shingle")
    scheme: str = setting("fill", "sketch: `fill` (FillSketch) or `affine32` (MinHash as datasketch 2 computes it)")
    num_values: int = setting(256, "32-bit values in a sketch")
    bands: int = setting(
        42,
        "bands of a sketch; texts that agree in one are compared. 42 of 5 rows miss 1 pair in 2,300 at similarity 0.7, "
        "1 in 87,000 at 0.75; 42 of 6 rows make fewer comparisons and miss 1 in 190 at 0.7",
    )
    rows: int = setting(5, "values in a band")
    threshold: float = setting(0.7, "least Jaccard similarity of near-duplicates")
    verify: bool = setting(True, "compute the exact similarity of every candidate pair; else each pair is an edge")
    normalized: bool = setting(False, "pair also texts, however short, that differ in white space alone")
    within_language: bool = setting(False, "compare blobs only where they share a language of a candidate file")
    full_bucket: int = setting(64, "members of a bucket that are all paired with each other")
    anchors: int = setting(8, "members of a larger bucket with which the others are paired")
    driver_documents: int = setting(20_000_000, "most blobs that are clustered on the driver, else by Spark")

    def __post_init__(self) -> None:
        """Check names and ranges, and set what the mode stands for."""
        for name, known in (("mode", tuple(MODES)), ("tokenizer", TOKENIZERS), ("scheme", SCHEMES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, found {getattr(self, name)!r}")
        for name, value in MODES[self.mode].items():
            if getattr(self, name) not in (value, type(self).__dataclass_fields__[name].default):
                raise ValueError(f"{name}: mode {self.mode} stands for {value!r}, found {getattr(self, name)!r}")
            object.__setattr__(self, name, value)
        limits = {"shingle_tokens": LONGEST, "num_values": 4096, "bands": 4096, "rows": 4096, "full_bucket": 4096}
        for name, most in (limits | {"anchors": self.full_bucket}).items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected 1 to {most}, found {getattr(self, name)}")
        needed = self.bands * self.rows
        if needed > self.num_values:
            shape = f"{self.bands} bands of {self.rows} rows"
            raise ValueError(f"{shape} need {needed} values, but num_values is {self.num_values}")
        if self.driver_documents < 0:
            raise ValueError(f"driver_documents must not be negative, found {self.driver_documents}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: expected above 0 and at most 1, found {self.threshold}")


_DEFAULT = NearDupConfig()


def sketch(content: Texts, config: NearDupConfig = _DEFAULT) -> pa.RecordBatch:
    """Sketch texts and hash the bands of the sketches: the index in which near-duplicates meet.

    Args:
        content: N source texts in any encoding; null gives nulls.
        config: tokenizer, scheme and bands.

    Returns:
        N rows of `schema.NEAR_DUP_BANDS.adds`; ``bands`` is null where a text has too few tokens, and a key
        already depends on the index of its band. With ``normalized``, a last key stands for the text itself, runs of
        white space as one and none at its ends; a short text has that key alone.

    >>> batch = sketch([b"def f(a, b): return a + b", b"def f( a, b ):  return a+b", b"x = 1", None])
    >>> batch["shingles"].to_pylist()
    [3, 3, 0, None]
    >>> batch["bands"][0] == batch["bands"][1], batch["bands"].null_count
    (True, 2)
    """
    from stackcurate.kernels import minhash_numba as loops

    texts = as_binary(content)
    values, counts = _signatures(texts, config)
    sketched, whole = counts > 0, valid(texts) & config.normalized
    keys = np.empty((len(texts), config.bands + 1), np.int64)
    keys[sketched, :-1] = loops.band_keys(values[sketched], config.bands, config.rows)
    if config.normalized:
        keys[:, -1] = loops.normalized_keys(*buffers(texts))
    chosen = np.repeat(sketched[:, None], config.bands + 1, axis=1)
    chosen[:, -1] = whole
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(chosen.sum(axis=1), out=offsets[1:])
    return pa.RecordBatch.from_arrays(
        [
            pa.array(counts, pa.int64(), mask=~valid(texts)),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(keys[chosen]), mask=pa.array(~(sketched | whole))),
            pa.nulls(len(texts), pa.string()),
        ],
        schema=schema.NEAR_DUP_BANDS.adds,
    )


def bands_for(threshold: float, num_values: int) -> tuple[int, int]:
    """Return the bands and rows that make the S-curve's errors on both sides of a threshold smallest together.

    For unverified use; with ``verify`` more and shorter bands cost candidates but lose no pair.
    Source: datasketch, MinHashLSH with its default weights; The Stack uses 25 x 10 for 0.7 and 256 values.

    >>> bands_for(0.7, 256)
    (25, 10)
    """
    similarity = (np.arange(1000) + 0.5) / 1000
    above = similarity >= threshold

    def error(shape: tuple[int, int]) -> float:
        found = 1 - (1 - similarity ** shape[1]) ** shape[0]
        return float(np.where(above, 1 - found, found).sum())

    return min(((b, r) for b in range(1, num_values + 1) for r in range(1, num_values // b + 1)), key=error)


def signatures(content: Texts, config: NearDupConfig = _DEFAULT) -> Signatures:
    """Sketch texts.

    Args:
        content: N texts; null and texts with too few tokens give a row of 2**32 - 1 only.
        config: tokenizer and scheme.

    Returns:
        N x num_values values; the share of equal values estimates the Jaccard similarity.

    >>> signatures([b"to be or not to be"], NearDupConfig(num_values=8, bands=2, rows=4)).shape
    (1, 8)
    """
    return _signatures(as_binary(content), config)[0]


def estimate(a: Signatures, b: Signatures) -> npt.NDArray[np.float32]:
    """Estimate the Jaccard similarity from signatures of one configuration.

    Args:
        a: signatures along the last axis.
        b: signatures of the same shape, or of one that broadcasts.

    Returns:
        Shares of equal values; 0 where a text was too short for a sketch.
    """
    share = np.mean(a == b, axis=-1, dtype=np.float32)
    empty = np.all(a == _EMPTY, axis=-1) | np.all(b == _EMPTY, axis=-1)
    return np.where(empty, np.float32(0), share)


def shingles(content: Texts, config: NearDupConfig = _DEFAULT) -> pa.LargeListArray:
    """Return the set of shingles of each text as sorted distinct 64-bit hashes.

    Args:
        content: N texts; null and texts with too few tokens give an empty list.
        config: tokenizer and length of a shingle.

    >>> [len(row) for row in shingles([b"a b c d e f a b c d e f", b"a b"])]
    [6, 0]
    """
    starts, values = shingle_sets(as_binary(content), config.tokenizer, config.shingle_tokens)
    return pa.LargeListArray.from_arrays(pa.array(starts), pa.array(values))


def jaccard_pairs(
    content: Texts, left: Indices, right: Indices, config: NearDupConfig = _DEFAULT
) -> npt.NDArray[np.float32]:
    """Compute the exact Jaccard similarity of pairs of rows; each set is built once.

    Args:
        content: N texts; only the rows that are named are read.
        left: row of one text of each pair.
        right: row of the other.
        config: tokenizer and length of a shingle.

    Returns:
        One similarity per pair. Two texts without shingles have 1 if their bytes are equal (``normalized``: but for
        white space) and else 0; a null has 0. Compare with ``np.float32(threshold)``: 7/10 in 32 bits is < 0.7 in 64.

    Raises:
        IndexError: a pair names a row that is not there.

    >>> jaccard_pairs([b"a b c d e f g", b"a b c d e f h"], np.array([0]), np.array([1])).tolist()
    [0.5]
    """
    texts = as_binary(content)
    rows, ends = np.unique(np.concatenate([left, right]).astype(np.int64), return_inverse=True)
    if len(rows) and not 0 <= rows[0] <= rows[-1] < len(texts):
        raise IndexError(f"a pair names a row outside of 0 to {len(texts) - 1}")
    chosen = texts.take(pa.array(rows)).cast(pa.large_binary())
    sets = sets_of(chosen, config.tokenizer, config.shingle_tokens)
    return similarities(sets, ends[: len(left)], ends[len(left) :], config.normalized)


def exact_jaccard(left: Texts, right: Texts, config: NearDupConfig = _DEFAULT) -> npt.NDArray[np.float32]:
    """Compute the exact Jaccard similarity of pairs of texts, row by row; see `jaccard_pairs`.

    >>> exact_jaccard(["a b c d e f"], ["a  b  c  d  e  f"]).tolist()
    [1.0]
    """
    ours, theirs = as_binary(left), as_binary(right)
    if len(ours) != len(theirs):
        raise ValueError(f"expected as many left as right texts, found {len(ours)} and {len(theirs)}")
    both, rows = [half.cast(pa.large_binary()) for half in (ours, theirs)], np.arange(len(ours))
    return jaccard_pairs(pa.concat_arrays(both), rows, rows + len(ours), config)


def candidate_pairs(bands: pa.ListArray, config: NearDupConfig = _DEFAULT) -> tuple[Indices, Indices]:
    """Pair the rows that share a band key.

    In each bucket, in row order, the first ``full_bucket`` members are paired with each other and every later
    one with the first ``anchors`` of them: linear in the size of a hot bucket. Two later members whose buckets
    are all hot are not paired themselves; `clusters.elect` decides on them through their similarity to an anchor.

    Args:
        bands: N lists of keys as `sketch` makes them; null has no partner.
        config: how large buckets are cut down.

    Returns:
        Rows left < right of distinct pairs, in order.
    """
    sizes = pc.fill_null(pc.list_value_length(bands), 0).to_numpy(zero_copy_only=False)
    keys, rows = bands.flatten().to_numpy(zero_copy_only=False), np.repeat(np.arange(len(bands)), sizes)
    return pair_rows(keys, rows, config.full_bucket, config.anchors)


def near_duplicates(texts: Texts, config: NearDupConfig = _DEFAULT) -> pa.Table:
    """Find the pairs of near-duplicates among texts in memory.

    Args:
        texts: N texts; null has no partner. Texts too short for a sketch pair with equal ones only.
        config: all of it. Without ``verify``, all candidates are returned with their estimated similarity.

    Returns:
        Columns ``left`` and ``right`` (rows, left < right, in order) and ``similarity``.

    >>> near_duplicates(["a b c d e f g h i", "a, b, c, d, e, f, g, h, i", "x", "x", "y"]).to_pydict()
    {'left': [0, 2], 'right': [1, 3], 'similarity': [1.0, 1.0]}
    """
    content = as_binary(texts)
    found = sketch(content, config)
    left, right = candidate_pairs(found["bands"], config)
    if config.verify:
        similarity = jaccard_pairs(content, left, right, config)
        similar = similarity >= np.float32(config.threshold)
        left, right, similarity = left[similar], right[similar], similarity[similar]
    else:
        values = signatures(content, config)
        similarity = estimate(values[left], values[right])
    short = pc.and_(pc.equal(found["shingles"], 0), not config.normalized)  # those have keys of their own
    short_left, short_right = _equal_pairs(content, short, config)
    columns = {
        "left": np.concatenate([left, short_left]),
        "right": np.concatenate([right, short_right]),
        "similarity": np.concatenate([similarity, np.ones(len(short_left), np.float32)]),
    }
    return pa.table(columns).sort_by([("left", "ascending"), ("right", "ascending")])


def to_datasketch(signature: Signatures, config: NearDupConfig) -> Any:
    """Hand a signature of scheme ``affine32`` over to datasketch.

    Args:
        signature: one row of `signatures`.
        config: the one it was made with.

    Returns:
        A ``datasketch.MinHash`` with seed 1, equal to one that was updated with the upper 32 bits of each shingle.

    Raises:
        ValueError: another scheme, which datasketch does not know.
    """
    from datasketch import MinHash

    if config.scheme != "affine32":
        raise ValueError(f"datasketch knows no scheme {config.scheme!r}; use affine32")
    return MinHash(hashvalues=signature, scheme="affine32", seed=1)


def _signatures(
    texts: pa.Array, config: NearDupConfig, filter_size: int = FILTER_SIZE
) -> tuple[Signatures, npt.NDArray[np.int64]]:
    from stackcurate.kernels import minhash_numba as loops

    values = np.full((len(texts), config.num_values), _EMPTY)
    text, offsets = buffers(lowered(texts, config.tokenizer))
    a, b = loops.permutations(config.num_values if config.scheme == "affine32" else 0)
    plan = shingler(config.tokenizer, config.shingle_tokens)
    counts = loops.sketch_rows(text, offsets, valid(texts), plan, a, b, filter_size, values)
    return values, counts


def _equal_pairs(content: pa.Array, chosen: pa.BooleanArray, config: NearDupConfig) -> tuple[Indices, Indices]:
    """Pair equal texts among the chosen rows, in buckets like any others."""
    rows = np.flatnonzero(pc.fill_null(chosen, False).to_numpy(zero_copy_only=False))
    keys = content.take(pa.array(rows)).dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return pair_rows(keys, rows, config.full_bucket, config.anchors)
