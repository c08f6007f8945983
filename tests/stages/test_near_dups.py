"""Near-duplicates in Spark: later runs add to earlier ones, modes, the same facts however the work is cut."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from stackcurate import load_config
from stackcurate.blobs import PackWriter
from stackcurate.facts import Build, ensure, ensure_clusters
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.minhash import NearDupConfig, exact_jaccard, near_duplicates
from stackcurate.release.election import similar_losers
from stackcurate.stage import Batches
from stackcurate.stages import near_dup_bands, near_dups
from stackcurate.stages.near_dups import added_pairs, candidate_pairs, changed_members
from stackcurate.workspace import Run, commit, open_workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SMALL = ("near_dups.full_bucket=4", "near_dups.anchors=2")
"""So that buckets of a small corpus are hot."""
HOT = NearDupConfig(full_bucket=4, anchors=2)


@cache
def corpus() -> tuple[bytes, ...]:
    """Return sources of NumPy and edits of some: pairs of all similarities, and a lot of near-equal files."""
    rng = random.Random(4)
    paths = sorted(Path(np.__file__).parent.rglob("*.py"))
    texts = [path.read_bytes() for path in paths if 800 < path.stat().st_size < 20_000][:120]
    for text in texts[:40]:
        lines, share = text.split(b"\n"), rng.choice([0.02, 0.05, 0.1])
        texts.append(b"\n".join(line for line in lines if rng.random() > share))
    texts += [texts[0] + b"\n# copy number %d" % number for number in range(30)]
    return tuple(dict.fromkeys(texts))


def build(place: Path, texts: Sequence[bytes], *settings: str) -> Build:
    """Return a build over a workspace that holds texts."""
    workspace = open_workspace(place)
    writer = PackWriter(workspace, "run")
    for text in texts:
        writer.add(blob_id(text), text)
    writer.flush()
    commit(workspace, Run(table="blobs", run_id="run", digest="any", parts=tuple(writer.parts)))
    options = [f'workspace.path="{place}"', "spark.partitions=3", *settings]
    return Build(load_config(None, options), workspace)


def blobs_of(spark: SparkSession, texts: Sequence[bytes]) -> DataFrame:
    rows = [(blob_id(text), len(text)) for text in texts]
    return spark.createDataFrame(rows, "blob_id string, size long")


def files_of(spark: SparkSession, texts: Sequence[bytes]) -> DataFrame:
    return blobs_of(spark, texts).selectExpr("concat('file', blob_id) as file_id", "*")


def clustered(under_way: Build, texts: Sequence[bytes], languages: Sequence[str] = ()) -> tuple[pa.Table, pa.Table]:
    """Run the stage on some texts; return its facts and its edges, in order."""
    spark = under_way.spark
    names = languages or ["Python"] * len(texts)
    rows = [(f"file{blob_id(text)}", name) for text, name in zip(texts, names, strict=True)]
    known = spark.createDataFrame(rows, "file_id string, language string")
    facts, edges = ensure_clusters(under_way, files_of(spark, texts), known)
    ends = [("left_blob_id", "ascending"), ("right_blob_id", "ascending")]
    return facts.toArrow().sort_by("blob_id"), edges.toArrow().sort_by(ends)


def pairs_of(edges: pa.Table) -> set[tuple[str, str]]:
    return set(zip(edges["left_blob_id"].to_pylist(), edges["right_blob_id"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def grown(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """Facts and edges of a run, of a later one that adds to it, and of one on the later blobs alone."""
    texts, place = corpus(), tmp_path_factory.mktemp("near_dups")
    later = [*texts[10:150], *texts[170:], *texts[5:8]]
    one = build(place / "one", texts)
    results = [clustered(one, texts[:170]), clustered(one, later), clustered(build(place / "two", texts), later)]
    results.append(clustered(one, texts[:170]))
    names = [f"{name}_{kind}" for name in ("first", "later", "fresh", "again") for kind in ("facts", "edges")]
    return dict(zip(names, chain.from_iterable(results), strict=True))


def test_a_later_run_adds_what_a_run_on_all_would_find(grown: dict[str, pa.Table]) -> None:
    later, fresh = grown["later_facts"], grown["fresh_facts"]

    assert set(grown["first_facts"]["generation"].to_pylist()) == set(fresh["generation"].to_pylist()) == {0}
    assert set(later["generation"].to_pylist()) == {0, 1}
    assert grown["later_edges"].equals(grown["fresh_edges"])
    assert grown["later_edges"].num_rows > 150
    assert later.drop_columns("generation").equals(fresh.drop_columns("generation"))
    assert grown["again_facts"].equals(grown["first_facts"])
    assert grown["again_edges"].equals(grown["first_edges"])


def test_old_first_decides_as_a_full_run(grown: dict[str, pa.Table]) -> None:
    edges = grown["later_edges"]
    joined = {one for pair in pairs_of(edges) for one in pair}
    order = grown["later_facts"].sort_by([("generation", "ascending"), ("blob_id", "ascending")])["blob_id"].to_pylist()
    ranked = [one for one in order if one in joined]
    contested = pa.table({"blob_id": ranked, "best_file_id": ranked})

    lost = similar_losers(contested, edges, 0.7)

    assert lost.equals(similar_losers(contested, grown["fresh_edges"], 0.7))
    content = {blob_id(text): text for text in corpus()}
    gone, kept = ([content[one] for one in lost[name].to_pylist()] for name in ("blob_id", "kept_file_id"))
    assert len(gone) > 30
    assert (exact_jaccard(gone, kept) >= np.float32(0.7)).all()
    old = set(grown["first_facts"]["blob_id"].to_pylist())
    assert not {one for one, other in zip(*lost.to_pydict().values(), strict=True) if one in old and other not in old}


def test_hot_buckets_keep_their_anchors_over_three_runs(spark: SparkSession, tmp_path: Path) -> None:
    """A run on all blobs, in the order in which they came, looks at the pairs that the three runs looked at."""
    texts = random.Random(2).sample(corpus(), len(corpus()))
    steps = [texts[:110], [*texts[:30], *texts[36:150]], [*texts[3:100], *texts[103:]]]
    under_way = build(tmp_path / "one", texts, *SMALL)
    for step in steps:
        facts, edges = clustered(under_way, step)
    config = under_way.config["near_dups"]
    bands = ensure(under_way, near_dup_bands, blobs_of(spark, texts))
    table = facts.select(["blob_id", "generation"]).append_column("known", pa.array([False] * len(facts)))
    members = spark.createDataFrame(table.append_column("present", pa.array([True] * len(facts))))
    ordered = added_pairs(bands, members, blobs_of(spark, steps[-1]), config).toArrow()

    content = {blob_id(text): text for text in texts}
    left, right = ([content[one] for one in ordered[f"{side}_blob_id"].to_pylist()] for side in ("left", "right"))
    similar = exact_jaccard(left, right, config) >= np.float32(config.threshold)
    assert pairs_of(edges) == pairs_of(ordered.filter(pa.array(similar)))
    assert set(facts["generation"].to_pylist()) == {0, 1, 2}
    assert len(pairs_of(edges)) > 60


def test_five_percent_more_files_cost_less_than_a_tenth(spark: SparkSession, tmp_path: Path) -> None:
    """Counted in pairs that are verified, in files that are read for it, and in bands that are shuffled."""
    texts = random.Random(2).sample(corpus(), len(corpus()))
    old = texts[: len(texts) * 20 // 21]
    under_way = build(tmp_path / "one", texts)
    config = under_way.config["near_dups"]
    everything = blobs_of(spark, texts)
    bands = ensure(under_way, near_dup_bands, everything).persist()
    full = candidate_pairs(bands, everything, config).toArrow()
    earlier = near_dups(spark.createDataFrame([(blob_id(t), t) for t in old], "blob_id string, content binary"), config)
    added = added_pairs(bands, changed_members(everything, earlier), everything, config).toArrow()
    fresh = {blob_id(text) for text in texts[len(old) :]}

    assert all(left in fresh or right in fresh for left, right in pairs_of(added))
    assert 0 < added.num_rows <= full.num_rows / 10
    assert pairs_of(added) == {pair for pair in pairs_of(full) if fresh.intersection(pair)}


def test_bigcode_keeps_one_of_each_component(spark: SparkSession, tmp_path: Path) -> None:
    """Unverified, as The Stack did it: whatever shares a band, directly or not, leaves one file."""
    texts = corpus()
    under_way = build(tmp_path / "one", texts, 'near_dups.mode="bigcode"')
    config = under_way.config["near_dups"]
    facts, edges = clustered(under_way, texts)
    everything = NearDupConfig(tokenizer="bigcode-v1", scheme="affine32", bands=25, rows=10, verify=False,
                               full_bucket=4096)  # fmt: skip
    found = near_duplicates(list(texts), everything)
    clusters = dict(zip(facts["blob_id"].to_pylist(), facts["cluster_id"].to_pylist(), strict=True))
    ids = [blob_id(text) for text in texts]
    ends = [(ids[a], ids[b]) for a, b in zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True)]

    assert (config.bands, config.rows, config.verify, config.tokenizer) == (25, 10, False, "bigcode-v1")
    assert edges["similarity"].null_count == edges.num_rows > 0
    assert edges.num_rows < len(ends)
    assert all(clusters[a] == clusters[b] for a, b in ends)
    joined = {one for pair in pairs_of(edges) for one in pair}
    contested = [one for one in sorted(ids, reverse=True) if one in joined]
    lost = similar_losers(pa.table({"blob_id": contested, "best_file_id": contested}), edges, 0.7)
    assert lost.num_rows == len(joined) - len({clusters[one] for one in joined})
    kept = dict(zip(lost["blob_id"].to_pylist(), lost["kept_file_id"].to_pylist(), strict=True))
    assert all(clusters[one] == clusters[other] and other not in kept for one, other in kept.items())


def test_within_languages_only_files_of_one_meet(spark: SparkSession, tmp_path: Path) -> None:
    base = corpus()[0]
    texts = [base, base + b"\n# two", base + b"\n# three", base + b"\n# four"]
    languages = ["C", "C++", "C", "Cython"]
    within = build(tmp_path / "two", texts, "near_dups.within_language=true")
    facts, edges = clustered(within, texts, languages)
    # another file of the last blob is C++, too
    files = [*texts, texts[3]]
    rows = [(f"{number}", blob_id(text), len(text)) for number, text in enumerate(files)]
    known = spark.createDataFrame(
        [(f"{n}", name) for n, name in enumerate([*languages, "C++"])], "file_id string, language string"
    )
    _, both = ensure_clusters(within, spark.createDataFrame(rows, "file_id string, blob_id string, size long"), known)

    ids = [blob_id(text) for text in texts]
    assert pairs_of(edges) == {tuple(sorted((ids[0], ids[2])))}
    assert pairs_of(both) == {tuple(sorted((ids[0], ids[2]))), tuple(sorted((ids[1], ids[3])))}
    assert len(set(facts["cluster_id"].to_pylist())) == 3


def test_normalized_pairs_short_files_that_differ_in_white_space(spark: SparkSession, tmp_path: Path) -> None:
    texts = [b"x = 1", b"x  =\n1\n", b"x=1", b"\tx = 1 ", b"", b" \n", b"y = 1"]
    facts, edges = clustered(build(tmp_path / "two", texts, "near_dups.normalized=true"), texts)

    ids = [blob_id(text) for text in texts]
    expected = {(0, 1), (0, 3), (1, 3), (4, 5)}
    assert pairs_of(edges) == {tuple(sorted((ids[a], ids[b]))) for a, b in expected}
    assert set(edges["similarity"].to_pylist()) == {1.0}
    assert facts.num_rows == len(texts)


def die_once(batches: Batches, *, flag: str) -> Batches:
    """Kill the worker in the middle of its first task, as the system does when memory is short."""
    for batch in batches:
        yield batch
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(spark: SparkSession) -> pa.Table:
    """Clusters of the corpus, by a run in which nothing happens."""
    return near_dups(frame(spark, corpus(), 2), HOT).toArrow().sort_by("blob_id")


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_facts_are_the_same_however_the_work_is_cut_and_after_a_worker_died(
    partitions: int, whole: pa.Table, spark: SparkSession, tmp_path: Path
) -> None:
    rows = frame(spark, random.Random(partitions).sample(corpus(), len(corpus())), partitions)
    killed = rows.mapInArrow(partial(die_once, flag=str(tmp_path / "died")), rows.schema)

    facts = near_dups(killed, HOT).toArrow().sort_by("blob_id")

    assert (tmp_path / "died").exists()
    assert facts.equals(whole)


def frame(spark: SparkSession, texts: Sequence[bytes | None], partitions: int) -> DataFrame:
    rows = [(f"{number:040x}" if text is None else blob_id(text), text) for number, text in enumerate(texts)]
    return spark.createDataFrame(rows, "blob_id string, content binary").repartition(partitions)


def test_rows_that_cannot_be_compared_are_not_lost(spark: SparkSession) -> None:
    texts = [b"", b"one", b"\xff\xfe\x80 not UTF-8 at all \xc3", None, b"a" * 2_000_000, b" ".join([b"w"] * 9), None]
    facts = near_dups(frame(spark, texts, 3)).toArrow()
    bands = near_dup_bands(frame(spark, texts, 3)).toArrow()

    assert facts.num_rows == bands.num_rows == len(texts)
    assert facts["cluster_id"].to_pylist() == facts["blob_id"].to_pylist()
    assert facts["error"].null_count == len(texts)
    assert sorted(count for count in bands["shingles"].to_pylist() if count is not None) == [0, 0, 0, 1, 1]


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_is_compared(spark: SparkSession, tmp_path: Path) -> None:
    words = b" ".join(b"w%d" % number for number in range(12_000_000))
    texts = [words, words + b" end", b"short"]
    assert len(words) > 100_000_000
    _, edges = clustered(build(tmp_path / "one", texts), texts)

    assert pairs_of(edges) == {tuple(sorted(map(blob_id, texts[:2])))}
