"""Near-duplicates in Spark: later runs add to earlier ones, modes, the same facts however the work is cut."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterable, Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datasketch import MinHash, MinHashLSH
from datasketch.hashfunc import sha1_hash32

from stackcurate import load_config, schema
from stackcurate.blobs import PackWriter
from stackcurate.cluster_facts import _added_on_driver, _new_pairs, ensure_clusters
from stackcurate.facts import Build, ensure
from stackcurate.kernels.additions import joined
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.minhash import NearDupConfig, exact_jaccard, shingles, sketch
from stackcurate.release.election import similar_losers
from stackcurate.stage import Batches
from stackcurate.stages import near_dup_bands, near_dups
from stackcurate.stages.near_dups import added_candidates, candidates, changed_members, clusters
from stackcurate.stages.verification import unverified
from stackcurate.workspace import Run, commit, open_workspace, read_table, runs

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
    texts = [path.read_bytes() for path in paths if 800 < path.stat().st_size < 20_000][:70]
    for text in texts[:30]:
        lines, share = text.split(b"\n"), rng.choice([0.02, 0.05, 0.1])
        texts.append(b"\n".join(line for line in lines if rng.random() > share))
    texts += [texts[0] + b"\n# copy number %d" % number for number in range(20)]
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


def clustered(under_way: Build, texts: Sequence[bytes]) -> tuple[pa.Table, pa.Table]:
    """Run the stage on some texts; return its facts and its edges, in order."""
    rows = [(f"file{blob_id(text)}", "Python") for text in texts]
    known = under_way.spark.createDataFrame(rows, "file_id string, language string")
    facts, edges = ensure_clusters(under_way, files_of(under_way.spark, texts), known)
    ends = [("left_blob_id", "ascending"), ("right_blob_id", "ascending")]
    return facts.toArrow().sort_by("blob_id"), edges.toArrow().sort_by(ends)


def pairs_of(edges: pa.Table, left: str = "left_blob_id", right: str = "right_blob_id") -> set[tuple[str, str]]:
    return set(zip(edges[left].to_pylist(), edges[right].to_pylist(), strict=True))


def ends_of(edges: pa.Table) -> pa.Array:
    return pa.concat_arrays([edges[f"{side}_blob_id"].combine_chunks() for side in ("left", "right")]).unique()


@pytest.fixture(scope="module", params=[True, False], ids=["on the driver", "by Spark"])
def grown(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pa.Table]:
    """Facts and edges of a run, of a later one that adds to it, and of the first one's blobs again.

    Anchors of hot buckets go, others come; then all blobs, where nothing goes. `full` and `full_more`: the edges of
    runs on the later blobs and on all, the earlier ones first.
    """
    texts = random.Random(2).sample(corpus(), len(corpus()))
    first, later = texts[:80], [*texts[6:80], *texts[80:]]
    where = [] if request.param else ["near_dups.driver_documents=0"]
    under_way = build(tmp_path_factory.mktemp("near_dups"), texts, *SMALL, *where)
    results = [clustered(under_way, step) for step in (first, later, first, texts)]
    names = [f"{name}_{kind}" for name in ("first", "later", "again", "more") for kind in ("facts", "edges")]
    found = dict(zip(names, chain.from_iterable(results), strict=True))
    bands = ensure(under_way, near_dup_bands, blobs_of(spark, texts))
    return found | {
        "full": full_edges(bands, found["later_facts"], later),
        "full_more": full_edges(bands, found["more_facts"], texts),
    }


def full_edges(bands: DataFrame, facts: pa.Table, texts: Sequence[bytes]) -> pa.Table:
    """Return the edges of a run on all texts, ordered by the generations of facts."""
    sizes = pa.table({"blob_id": [blob_id(text) for text in texts], "size": [len(text) for text in texts]})
    members = facts.select(["blob_id", "generation"]).join(sizes, "blob_id")
    for flag, value in (("known", False), ("present", True)):
        members = members.append_column(flag, pa.array([value] * len(members)))
    spark = bands.sparkSession
    found = added_candidates(bands.mapInArrow, spark.createDataFrame(members), HOT)
    pairs = unverified(found).toArrow().drop_columns("similarity")
    content = {blob_id(text): text for text in texts}
    ends = [[content[one] for one in pairs[f"{side}_blob_id"].to_pylist()] for side in ("left", "right")]
    similarity = pa.array(exact_jaccard(ends[0], ends[1]))
    edges = pairs.append_column("similarity", similarity)
    return edges.filter(pc.greater_equal(similarity, pa.scalar(0.7, pa.float32())))


def test_a_later_run_adds_what_a_run_with_the_old_first_would_find(grown: dict[str, pa.Table]) -> None:
    facts, edges = grown["later_facts"], grown["later_edges"]
    old = set(grown["first_facts"]["blob_id"].to_pylist())
    generations = dict(zip(facts["blob_id"].to_pylist(), facts["generation"].to_pylist(), strict=True))

    assert set(grown["first_facts"]["generation"].to_pylist()) == {0}
    assert generations == {one: int(one not in old) for one in generations}
    assert set(generations.values()) == {0, 1}
    assert set(zip(*edges.to_pydict().values(), strict=True)) == set(
        zip(*grown["full"].to_pydict().values(), strict=True)
    )
    assert edges.num_rows > 40
    assert (
        facts.select(["blob_id", "cluster_id"])
        .filter(pc.is_in(facts["blob_id"], ends_of(edges)))
        .equals(clusters(grown["full"]))
    )
    assert grown["again_facts"].equals(grown["first_facts"])
    assert grown["again_edges"].equals(grown["first_edges"])


def test_a_run_that_only_adds_repeats_no_edge(grown: dict[str, pa.Table]) -> None:
    edges = grown["more_edges"]

    assert edges.num_rows > grown["again_edges"].num_rows
    assert edges.equals(grown["full_more"].sort_by([(name, "ascending") for name in edges.column_names[:2]]))


def test_spark_takes_over_where_the_driver_has_nothing_to_add_to_or_too_much(
    spark: SparkSession, tmp_path: Path
) -> None:
    texts = corpus()
    under_way = build(tmp_path / "one", texts, *SMALL)
    blobs = blobs_of(spark, texts).toArrow()
    assert not _added_on_driver(under_way, blobs, "first")
    clustered(under_way, texts[:60])
    ensure(under_way, near_dup_bands, blobs_of(spark, texts))
    earlier = read_table(under_way.workspace, schema.NEAR_DUPS, runs(under_way.workspace, "near_dups"))
    members = joined(blobs, earlier)

    found = _new_pairs(under_way, members)

    assert found is not None
    assert len(found) > 20
    assert _new_pairs(under_way, members, len(found) - 1) is None
    assert _added_on_driver(under_way, blobs, "second")
    (run,) = runs(under_way.workspace, "near_dup_edges", inputs="second")
    folder = Path(under_way.workspace.path("tables", "near_dup_edges", run.run_id))
    assert {path.name for path in folder.iterdir()} == {"run.json"} | {part.path for part in run.parts}


def test_old_first_decides_as_a_full_run(grown: dict[str, pa.Table]) -> None:
    edges = grown["later_edges"]
    order = grown["later_facts"].sort_by([("generation", "ascending"), ("blob_id", "ascending")])["blob_id"]
    ranked = order.filter(pc.is_in(order, ends_of(edges)))
    contested = pa.table({"blob_id": ranked, "best_file_id": ranked})

    lost = similar_losers(contested, edges, 0.7)

    assert pairs_of(lost, *lost.column_names) == pairs_of(
        similar_losers(contested, grown["full"], 0.7), *lost.column_names
    )
    content = {blob_id(text): text for text in corpus()}
    gone, kept = ([content[one] for one in lost[name].to_pylist()] for name in lost.column_names)
    assert len(gone) > 20
    assert (exact_jaccard(gone, kept) >= np.float32(0.7)).all()
    old = set(grown["first_facts"]["blob_id"].to_pylist())
    assert not {one for one, other in pairs_of(lost, *lost.column_names) if one in old and other not in old}


def test_five_percent_more_files_cost_less_than_a_tenth(spark: SparkSession) -> None:
    """Counted in pairs that are verified, in files that are read for it, and in bands that are shuffled."""
    texts, config = random.Random(2).sample(corpus(), len(corpus())), NearDupConfig()
    old, everything = texts[: len(texts) * 20 // 21], blobs_of(spark, texts)
    keys = pa.table({"blob_id": [blob_id(text) for text in texts], "bands": sketch(list(texts), config)["bands"]})
    bands = spark.createDataFrame(keys)
    full = pairs_of(unverified(candidates(bands, everything, config)).toArrow())
    earlier = spark.createDataFrame([(blob_id(text), 0) for text in old], "blob_id string, generation int")
    found = added_candidates(bands.mapInArrow, changed_members(everything, earlier), config)
    added = pairs_of(unverified(found).toArrow())
    fresh = {blob_id(text) for text in texts[len(old) :]}

    assert all(left in fresh or right in fresh for left, right in added)
    assert 0 < len(added) <= len(full) / 10
    assert added == {pair for pair in full if fresh.intersection(pair)}


def test_bigcode_removes_what_the_stack_would(spark: SparkSession, tmp_path: Path) -> None:
    """Against datasketch's index as The Stack used it: whatever shares a band, directly or not, leaves one file."""
    texts = corpus()
    under_way = build(tmp_path / "one", texts, 'near_dups.mode="bigcode"')
    config = under_way.config["near_dups"]
    facts, edges = clustered(under_way, texts)
    ids = [blob_id(text) for text in texts]
    same_hashes = lsh_clusters([hashes >> np.uint64(32) for hashes in sets_of(texts, config)], int)
    own_hashes = lsh_clusters([grams_of(text) for text in texts], sha1_hash32)

    found = dict(zip(facts["blob_id"].to_pylist(), facts["cluster_id"].to_pylist(), strict=True))
    assert (config.bands, config.rows, config.verify, config.tokenizer) == (25, 10, False, "bigcode-v1")
    assert edges["similarity"].null_count == edges.num_rows > 0
    assert partition(found[one] for one in ids) == partition(same_hashes)
    contested = [one for one in sorted(ids, reverse=True) if one in ends_of(edges).to_pylist()]
    lost = similar_losers(pa.table({"blob_id": contested, "best_file_id": contested}), edges, 0.7)
    assert lost.num_rows == len(ids) - len(set(same_hashes)) > 20
    assert abs(lost.num_rows - (len(ids) - len(set(own_hashes)))) <= lost.num_rows / 20
    assert all(found[one] == found[other] for one, other in pairs_of(lost, *lost.column_names))


def sets_of(texts: Sequence[bytes], config: NearDupConfig) -> list[np.ndarray]:
    return [row.values.to_numpy() for row in shingles(list(texts), config)]


def grams_of(text: bytes) -> set[bytes]:
    """Return the 5-grams of The Stack. Source: bigcode-dataset, near_deduplication/minhash_deduplication.py."""
    tokens = re.split("[^A-Za-z_0-9]", text.decode())
    return {" ".join(tokens[at : at + 5]).encode() for at in range(len(tokens) - 4)}


def lsh_clusters(grams: Sequence[Any], hashfunc: Any) -> list[int]:
    """Number the clusters of sets of 5-grams that share a band, in an index of datasketch."""
    index = MinHashLSH(num_perm=256, params=(25, 10))
    parts: list[set[int]] = []
    for number, values in enumerate(grams):
        signature = MinHash(num_perm=256, hashfunc=hashfunc)
        signature.update_batch(values)
        met = set(index.query(signature)) | {number}
        index.insert(number, signature)
        parts = [part for part in parts if not met & part] + [met.union(*(part for part in parts if met & part))]
    return [min(part) for number in range(len(grams)) for part in parts if number in part]


def partition(labels: Iterable[object]) -> list[int]:
    """Return the first place of each label, so that partitions under different names can be compared."""
    first: dict[object, int] = {}
    return [first.setdefault(label, place) for place, label in enumerate(labels)]


def test_within_languages_only_files_of_one_meet(spark: SparkSession, tmp_path: Path) -> None:
    """Files of the last blob are of two languages."""
    base = corpus()[0]
    texts = [base, base + b"\n# two", base + b"\n# three", base + b"\n# four"]
    under_way = build(tmp_path / "one", texts, "near_dups.within_language=true")
    files = [(f"{number}", blob_id(text), len(text)) for number, text in enumerate([*texts, texts[3]])]
    languages = [(f"{number}", name) for number, name in enumerate(["C", "C++", "C", "Cython", "C++"])]
    facts, edges = ensure_clusters(
        under_way,
        spark.createDataFrame(files, "file_id string, blob_id string, size long"),
        spark.createDataFrame(languages, "file_id string, language string"),
    )

    ids = [blob_id(text) for text in texts]
    assert pairs_of(edges.toArrow()) == {tuple(sorted((ids[0], ids[2]))), tuple(sorted((ids[1], ids[3])))}
    assert len(set(facts.toArrow()["cluster_id"].to_pylist())) == 2


def test_normalized_pairs_short_files_that_differ_in_white_space(spark: SparkSession) -> None:
    texts = [b"x = 1", b"x  =\n1\n", b"x=1", b"\tx = 1 ", b"", b" \n", b"y = 1"]
    facts = near_dups(frame(spark, texts, 2), NearDupConfig(normalized=True)).toArrow()

    found = dict(zip(facts["blob_id"].to_pylist(), facts["cluster_id"].to_pylist(), strict=True))
    assert partition(found[blob_id(text)] for text in texts) == [0, 0, 2, 0, 4, 4, 6]


def die_once(batches: Batches, *, flag: str) -> Batches:
    """Kill the worker in the middle of its first task, as the system does when memory is short."""
    for batch in batches:
        yield batch
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def test_facts_are_the_same_in_another_order_and_after_a_worker_died(spark: SparkSession, tmp_path: Path) -> None:
    texts = corpus()[-70:]
    whole = near_dups(frame(spark, texts, 2), HOT).toArrow().sort_by("blob_id")
    rows = frame(spark, random.Random(3).sample(texts, len(texts)), 5)
    killed = rows.mapInArrow(partial(die_once, flag=str(tmp_path / "died")), rows.schema)

    facts = near_dups(killed, HOT).toArrow().sort_by("blob_id")

    assert (tmp_path / "died").exists()
    assert facts.equals(whole)
    assert len(set(facts["cluster_id"].to_pylist())) < len(texts) - 15


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


@pytest.mark.parametrize("mode", ["verified", "bigcode"])
def test_nothing_and_what_resembles_nothing_have_no_edges(spark: SparkSession, tmp_path: Path, mode: str) -> None:
    texts = [f"{' '.join(f'{word}_{number}' for number in range(20))}\n".encode() for word in ("one", "two", "six")]
    under_way = build(tmp_path / "one", texts, f'near_dups.mode="{mode}"')

    for count in (0, 2, 3, 0):
        facts, edges = clustered(under_way, texts[:count])
        assert facts["cluster_id"].to_pylist() == facts["blob_id"].to_pylist() == sorted(map(blob_id, texts[:count]))
        assert edges.num_rows == 0
