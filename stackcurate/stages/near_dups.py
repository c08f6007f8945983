"""Near-duplicates: sketches, candidate pairs that share a band, verified edges, clusters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.blobs import CHUNK_BYTES, BlobReader
from stackcurate.kernels.minhash import NearDupConfig
from stackcurate.stage import Batches, Stage, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

near_dup_bands = Stage(
    name="near_dup_bands",
    section="near_dups",
    table=schema.NEAR_DUP_BANDS,
    reads=("content",),
    config=NearDupConfig,
    kernel="minhash:sketch",
    modules=("kernels.minhash_numba", "kernels.shingles", "kernels.shingles_numba", "kernels.content"),
    settings=("tokenizer", "shingle_tokens", "scheme", "num_values", "bands", "rows"),
    metrics={"sketched": "count_if(bands is not null)"},
)


def candidate_pairs(bands: DataFrame, config: NearDupConfig) -> DataFrame:
    """Return the distinct pairs of blobs that share a band, smaller id on the left.

    In a bucket of more than `full_bucket` members the later ones meet only its first `anchors`: the number of pairs
    grows with the members, not with their square.

    Args:
        bands: blob_id and the keys of its bands.
        config: sizes of buckets.
    """
    from pyspark.sql import functions as F

    buckets = (
        bands.selectExpr("blob_id", "explode(bands) as key")
        .groupBy("key")
        .agg(F.sort_array(F.collect_set("blob_id")).alias("ids"))
        .where("size(ids) > 1")
    )
    met = f"if(at <= {config.full_bucket}, at, {config.anchors})"
    return (
        buckets.selectExpr("ids", "posexplode(ids) as (at, right_blob_id)")
        .selectExpr("right_blob_id", f"explode(slice(ids, 1, {met})) as left_blob_id")
        .select("left_blob_id", "right_blob_id")
        .distinct()
    )


def verify(pairs: DataFrame, config: NearDupConfig, blobs: BlobReader) -> DataFrame:
    """Return the pairs whose exact similarity reaches the threshold, with that similarity.

    Args:
        pairs: left_blob_id, right_blob_id and `size`, the bytes of both together; sorted by the left id.
        config: tokeniser, shingles, threshold.
        blobs: where the contents are.
    """
    task = partial(_verify, config=config, blobs=blobs)
    return pairs.mapInArrow(task, spark_schema(schema.NEAR_DUP_EDGES.columns))


def _verify(batches: Batches, *, config: NearDupConfig, blobs: BlobReader) -> Batches:
    for batch in batches:
        for pairs in _bounded(batch):
            ids = pa.concat_arrays([pairs["left_blob_id"], pairs["right_blob_id"]]).unique().sort()
            yield similar(pairs, ids, blobs.read(ids), config)


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut pairs so that the contents of one cut stay below a chunk."""
    at = pc.cast(pc.divide(pc.cumulative_sum(batch["size"]), CHUNK_BYTES), pa.int64()).to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(at)) + 1).tolist(), batch.num_rows]
    for start, end in pairwise(edges):
        yield batch.slice(start, end - start)


def similar(pairs: pa.RecordBatch, ids: pa.Array, contents: pa.Array, config: NearDupConfig) -> pa.RecordBatch:
    """Return the pairs of a batch that are verified, as `near_dup_edges`.

    Args:
        pairs: left_blob_id, right_blob_id.
        ids: (N,) ids of the contents.
        contents: (N,) binary.
        config: tokeniser, shingles, threshold.
    """
    from stackcurate.kernels.minhash import jaccard_pairs

    left, right = (pc.index_in(pairs[name], ids).to_numpy() for name in ("left_blob_id", "right_blob_id"))
    similarity = jaccard_pairs(contents, left, right, config)
    keep = pa.array(similarity >= np.float32(config.threshold))
    columns = [pairs["left_blob_id"], pairs["right_blob_id"], pa.array(similarity, pa.float32())]
    return pa.RecordBatch.from_arrays(columns, schema=schema.NEAR_DUP_EDGES.columns).filter(keep)


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


def with_clusters(blobs: DataFrame, edges: pa.Table) -> DataFrame:
    """Return `near_dups`: each blob with its cluster; one without edges is its own."""
    from pyspark.sql import functions as F

    labels = blobs.sparkSession.createDataFrame(clusters(edges))
    return (
        blobs.select("blob_id")
        .distinct()
        .join(labels, "blob_id", "left")
        .select(
            "blob_id",
            F.coalesce("cluster_id", "blob_id").alias("cluster_id"),
            F.lit(None).cast("string").alias("error"),
        )
    )


def cluster_contents(df: DataFrame, config: NearDupConfig) -> DataFrame:
    """Cluster the contents of one DataFrame; for samples, since contents are joined to pairs here.

    Args:
        df: blob_id and content.
        config: sketch and threshold.
    """
    distinct = df.dropDuplicates(["blob_id"])
    pairs = candidate_pairs(near_dup_bands(distinct, config), config)
    task = partial(_verify_joined, config=config)
    left, right = (
        distinct.select(*(distinct[name].alias(f"{side}_{name}") for name in ("blob_id", "content")))
        for side in ("left", "right")
    )
    joined = pairs.join(left, "left_blob_id").join(right, "right_blob_id")
    edges = joined.mapInArrow(task, spark_schema(schema.NEAR_DUP_EDGES.columns)).toArrow()
    return with_clusters(df, edges)


def _verify_joined(batches: Batches, *, config: NearDupConfig) -> Batches:
    for batch in batches:
        ids = pa.concat_arrays([batch["left_blob_id"], batch["right_blob_id"]])
        contents = pa.concat_arrays([batch["left_content"], batch["right_content"]])
        yield similar(batch, ids, contents, config)


near_dups = Stage(
    name="near_dups",
    table=schema.NEAR_DUPS,
    reads=("content",),
    config=NearDupConfig,
    transform=cluster_contents,
    modules=("kernels.minhash", "kernels.clusters", "kernels.clusters_numba"),
    after=(near_dup_bands,),
    metrics={"clustered": "count_if(cluster_id <> blob_id)"},
)
