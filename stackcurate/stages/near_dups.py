"""Near-duplicates: sketches, candidate pairs that share a band, verified edges, clusters.

Until pairs have names they are blocks to Spark, since moving a row costs more than pairing it does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.kernels import bloom
from stackcurate.kernels.buckets import bands_of, filter_over, member_blocks, pair_blocks, touching
from stackcurate.kernels.jaccard import sets_of
from stackcurate.kernels.minhash import NearDupConfig
from stackcurate.kernels.pair_ends import blob_blocks, with_right
from stackcurate.stage import Batches, RowFunction, Stage, spark_schema
from stackcurate.stages.tables import PACKED, by_part
from stackcurate.stages.verification import similar, unverified

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Scan: TypeAlias = Callable[[RowFunction, str], "DataFrame"]
"""Runs a function where rows are read, and returns the columns that it leaves; they are spelled as Spark does."""

near_dup_bands = Stage(
    name="near_dup_bands",
    section="near_dups",
    table=schema.NEAR_DUP_BANDS,
    reads=("content",),
    config=NearDupConfig,
    kernel="minhash:sketch",
    modules=(
        "kernels.minhash_numba",
        "kernels.jaccard",
        "kernels.shingles",
        "kernels.shingles_numba",
        "kernels.content",
        "kernels.buckets",
        "kernels.blocks",
        "kernels.bloom",
    ),
    settings=("tokenizer", "shingle_tokens", "scheme", "num_values", "bands", "rows", "normalized"),
    metrics={"sketched": "count_if(bands is not null)"},
)


def candidates(bands: DataFrame, blobs: DataFrame, config: NearDupConfig) -> DataFrame:
    """Return the distinct pairs of blobs that share a band, in blocks: for `unverified` and `verify`.

    In a bucket of more than `full_bucket` members the later ones meet only its first `anchors`: the number of pairs
    grows with the members, not with their square. Without `verify`, the first member of a bucket meets all others,
    which joins the same components. Blobs that share all bands meet in one more bucket, and in that alone; of more than
    `full_bucket` of them the later ones meet nobody else: else a million equal sketches would be there in each band.

    Args:
        bands: blob_id, the keys of its bands and, where only blobs of one language shall meet, `language`: a blob of
            several has a row for each.
        blobs: blob_id and size of the same blobs.
        config: sizes of buckets.
    """
    return _ended(_met(bands, config), blobs)


def added_candidates(bands: Scan, members: DataFrame, config: NearDupConfig) -> DataFrame:
    """Return the pairs that a run on the present members would look at and that on the known ones did not, in blocks.

    Order in a bucket is by generation: what joined it first stays first, so its anchors stay as long as they are
    present. Only buckets that gained or lost a member are looked at.

    Args:
        bands: scans blob_id and the keys of its bands.
        members: as `changed_members` gives them.
        config: sizes of buckets.
    """
    touched = _touched(bands, members.where("known <> present").select("blob_id"))
    near = bands(partial(touching, touched=touched), "blob_id string, bands array<long>, whole long")
    return _ended(_met(near.join(members.drop("size"), "blob_id"), config), members.where("present"))


def _touched(bands: Scan, changed: DataFrame) -> bloom.Blocks | None:
    """Return a filter over all keys of some blobs; None where they are too many."""
    ids = changed.limit(_MOST_SENT + 1).toArrow()["blob_id"].combine_chunks()
    if len(ids) > _MOST_SENT:
        return None
    return filter_over(bands(partial(bands_of, ids=ids), "bands array<long>").toArrow()["bands"].combine_chunks())


def changed_members(blobs: DataFrame, earlier: DataFrame) -> DataFrame:
    """Return what takes part in an earlier run or in this one.

    Args:
        blobs: blob_id and size of what takes part now.
        earlier: `near_dups` of the earlier run.

    Returns:
        blob_id, size, `generation`, and the flags `known` (took part then) and `present` (takes part now).
    """
    now = blobs.selectExpr("blob_id", "size", "true as present")
    then = earlier.selectExpr("blob_id", "generation", "true as known")
    generation = f"coalesce(generation, {next_generation(earlier)}) as generation"
    flags = [f"coalesce({name}, false) as {name}" for name in ("known", "present")]
    return now.join(then, "blob_id", "full_outer").selectExpr("blob_id", "size", generation, *flags)


_MOST_SENT = 250_000
"""Blobs whose keys make a filter that is sent to each task: 20 MB; of more, the keys of all blobs are shuffled."""


def _met(bands: DataFrame, config: NearDupConfig) -> DataFrame:
    """Return the pairs of numbers of blobs that meet, in blocks, packed by the right end."""
    full, anchors = bucket_sizes(config)
    others = [name for name in bands.columns if name not in ("blob_id", "language")]
    language = ["xxhash64(language) as language"] if "language" in bands.columns else []
    rows = bands.selectExpr("xxhash64(blob_id) as id", *others, *language)
    members = by_part(rows.mapInArrow(partial(member_blocks, full=full), PACKED))
    return members.mapInArrow(partial(pair_blocks, full=full, anchors=anchors), PACKED)


def bucket_sizes(config: NearDupConfig) -> tuple[int, int]:
    """Return `full` and `anchors` of `buckets.pair_rows`: without `verify`, the first member meets all others."""
    return (config.full_bucket, config.anchors) if config.verify else (1, 1)


def _ended(pairs: DataFrame, blobs: DataFrame) -> DataFrame:
    """Bring the blobs of right ends to pairs, and put those of left ends beside them."""
    packed = blobs.selectExpr("xxhash64(blob_id) as id", "blob_id", "size").mapInArrow(blob_blocks, PACKED)
    return _beside(packed, _beside(packed, pairs).mapInArrow(with_right, PACKED))


def _beside(blobs: DataFrame, pairs: DataFrame) -> DataFrame:
    """Put the blocks of each part into one task, those of blobs before those of pairs."""
    both = blobs.selectExpr("part", "false as is_pair", "block").union(pairs.selectExpr("part", "true", "block"))
    return by_part(both, "is_pair")


def clusters(edges: pa.Table) -> pa.Table:
    """Return the cluster of each blob that has an edge: the smallest id of its component.

    Args:
        edges: as `near_dup_edges`.

    Returns:
        `blob_id` and `cluster_id`, sorted by blob_id.
    """
    from stackcurate.kernels.clusters import components

    both = pa.chunked_array([*edges["left_blob_id"].chunks, *edges["right_blob_id"].chunks], pa.string())
    ids = both.unique().sort()
    left, right = (pc.index_in(edges[name], ids).combine_chunks() for name in ("left_blob_id", "right_blob_id"))
    roots = components(len(ids), left.to_numpy(), right.to_numpy())
    return pa.table({"blob_id": ids, "cluster_id": ids.take(pa.array(roots))})


def with_clusters(members: DataFrame, labels: DataFrame) -> DataFrame:
    """Return `near_dups`: each blob with its cluster; one without a label is its own.

    Args:
        members: blob_id and generation.
        labels: blob_id and cluster_id of the blobs that have an edge.
    """
    columns = ("blob_id", "coalesce(cluster_id, blob_id) as cluster_id", "generation", "cast(null as string) as error")
    return members.join(labels, "blob_id", "left").selectExpr(*columns)


def next_generation(earlier: DataFrame) -> int:
    """Return the generation of blobs that join those of an earlier run."""
    row: Any = earlier.selectExpr("coalesce(max(generation), -1) + 1 as generation").first()
    return int(row["generation"])


def cluster_contents(df: DataFrame, config: NearDupConfig) -> DataFrame:
    """Cluster the contents of one DataFrame; for samples, since contents are joined to pairs here.

    Args:
        df: blob_id and content.
        config: sketch and threshold.
    """
    distinct = df.dropDuplicates(["blob_id"])
    sizes = distinct.selectExpr("blob_id", "cast(octet_length(content) as long) as size")
    pairs = unverified(candidates(near_dup_bands(distinct, config), sizes, config))
    task = partial(_verify_joined, config=config)
    left, right = (
        distinct.select(*(distinct[name].alias(f"{side}_{name}") for name in ("blob_id", "content")))
        for side in ("left", "right")
    )
    joined = pairs.join(left, "left_blob_id").join(right, "right_blob_id")
    verified = joined.mapInArrow(task, spark_schema(schema.NEAR_DUP_EDGES.columns))
    edges = verified if config.verify else pairs
    members = distinct.selectExpr("blob_id", "0 as generation")
    return with_clusters(members, df.sparkSession.createDataFrame(clusters(edges.toArrow())))


def _verify_joined(batches: Batches, *, config: NearDupConfig) -> Batches:
    for batch in batches:
        ids = pa.concat_arrays([batch["left_blob_id"], batch["right_blob_id"]])
        contents = pa.concat_arrays([batch["left_content"], batch["right_content"]])
        sets = sets_of(contents.cast(pa.large_binary()), config.tokenizer, config.shingle_tokens)
        yield similar(batch["left_blob_id"], batch["right_blob_id"], ids, sets, config)


near_dups = Stage(
    name="near_dups",
    table=schema.NEAR_DUPS,
    reads=("content",),
    config=NearDupConfig,
    transform=cluster_contents,
    modules=tuple(
        f"kernels.{name}"
        for name in ("minhash", "buckets", "blocks", "pair_ends", "additions", "jaccard", "clusters", "clusters_numba")
    ),
    # Where clusters are found does not change them.
    settings=tuple(name for name in NearDupConfig.__dataclass_fields__ if name != "driver_documents"),
    after=(near_dup_bands,),
    metrics={"clustered": "count_if(cluster_id <> blob_id)"},
)
