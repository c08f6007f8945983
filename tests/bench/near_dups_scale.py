"""How near-duplicates grow from 10^4 to 10^6 files, and what that makes of 6 and 100 TB: JSON lines as of a benchmark.

`python -m tests.bench.near_dups_scale [FILES ...]`, or `... bucket 10000000` for so many equal sketches in Spark's heap
of 2 GB. Files are generated: 40 words each, and in 4 families of 10 there are three files that differ in one word from
the first: Jaccard similarity 0.76, and 0.57 to each other. So the similar pairs are known.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stackcurate.kernels.buckets import MEMBER, PAIR
from stackcurate.kernels.clusters import components, elect
from stackcurate.kernels.minhash import NearDupConfig, candidate_pairs, jaccard_pairs, sketch
from stackcurate.kernels.pair_ends import BLOB, HALF, NAMED
from tests.bench.build import say
from tests.bench.measure import Line, as_json, measure
from tests.bench.near_dups import evenly, installed_texts

SUBJECT, OURS = "near_dups_scale", "stackcurate"
SIZES = (10_000, 100_000, 1_000_000)
FAMILY, WORDS, LETTERS = 4, 40, 6
SPARK_FILES, REAL_FILES = 100_000, 1_000
CHUNK = 100_000

FILE_BYTES = 10_900
"""Bytes of a file: 6 TB are 550 million files. Source: The Stack v1."""
PAIRS_PER_FILE, EDGES_PER_FILE, SHARE_WITH_EDGES = 0.94, 0.375, 0.25
"""Candidates and verified pairs per distinct file, and files with one. Source: 15,676 files of installed packages, and
12 % more candidates for bands of five rows than for the six that these were counted with."""
DRIVER_BYTES, TASK_BYTES = 380, 600
"""Peak per verified edge of what the driver clusters, and of an election: ids as Arrow strings, and their numbers.
Source: 2 million edges."""
TASKS = 1000
"""Tasks of an election in the worked costs."""


@dataclass(frozen=True)
class Rates:
    """What was measured, in CPU seconds: per byte sketched, band key, candidate, and edge of the driver's steps."""

    byte: float
    key: float
    candidate: float
    edge: float


def files(start: int, stop: int) -> pa.LargeBinaryArray:
    """Return generated files: of letters and blanks, the same ones for a number whatever the range."""
    number = np.arange(start, stop, dtype=np.uint64)
    family, place = number // np.uint64(FAMILY), number % np.uint64(FAMILY)
    alike = mixed(family) % np.uint64(10) < 4
    seed = np.where(alike, family, number + np.uint64(1 << 40)) * np.uint64(1 << 16)
    value = mixed(np.add.outer(seed, np.arange(WORDS, dtype=np.uint64)))
    edited = np.flatnonzero(alike & (place > 0))
    value[edited, (place[edited] * np.uint64(WORDS // FAMILY)).astype(np.int64)] = mixed(
        number[edited] + np.uint64(1 << 62)
    )
    text = np.full((len(number), WORDS, LETTERS + 1), ord(" "), np.uint8)
    for letter in range(LETTERS):
        text[:, :, letter] = ord("a") + (value >> np.uint64(8 * letter)) % np.uint64(26)
    offsets = np.arange(len(number) + 1, dtype=np.int64) * WORDS * (LETTERS + 1)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(number), [None, pa.py_buffer(offsets), pa.py_buffer(text.reshape(-1))]
    )


def mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return well mixed bits. Source: fmix64 of MurmurHash3."""
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    return value


def similar_pairs(count: int) -> int:
    """Return how many pairs of the first files are similar: the first of a family and each of the others."""
    families = np.arange(count // FAMILY, dtype=np.uint64)
    return int(np.sum(mixed(families) % np.uint64(10) < 4)) * (FAMILY - 1)


def growth(count: int, config: NearDupConfig) -> Iterator[tuple[str, float]]:
    """Yield each step and its CPU seconds for a number of files.

    Raises:
        AssertionError: more than one similar pair in 1000 was not found, or another was.
    """
    chunks = [files(start, min(count, start + CHUNK)) for start in range(0, count, CHUNK)]
    clock = process_time()

    def lap(step: str) -> tuple[str, float]:
        nonlocal clock
        before, clock = clock, process_time()
        return step, clock - before

    bands = pa.concat_arrays([sketch(chunk, config)["bands"] for chunk in chunks])
    yield lap("sketch")
    left, right = candidate_pairs(bands, config)
    yield lap("pairs")
    content = pa.concat_arrays(chunks)
    similarity = jaccard_pairs(content, left, right, config)
    good = similarity >= np.float32(config.threshold)
    left, right, similarity = left[good], right[good], similarity[good]
    yield lap("verify")
    components(count, left, right)
    yield lap("union_find")
    kept = elect(np.arange(count), left, right, similarity=similarity, threshold=config.threshold)
    yield lap("elect")
    known, removed = similar_pairs(count), int(np.sum(kept != np.arange(count)))
    say(f"{count:,} files: {len(left):,} similar pairs of {known:,}, {removed:,} removed")
    if not 0.999 * known <= len(left) == removed <= known:
        raise AssertionError(f"expected {known} similar pairs and removals, found {len(left)} and {removed}")


def real_file_rates(config: NearDupConfig) -> tuple[float, float]:
    """Return the CPU seconds per byte sketched, and per pair verified, of files of the packages that are here."""
    texts = evenly(installed_texts(), REAL_FILES)
    content, rows = pa.array(texts, pa.binary()), np.arange(0, len(texts) // 2 * 2, 2)
    start = process_time()
    sketch(content, config)
    sketched = process_time()
    jaccard_pairs(content, rows, rows + 1, config)
    return (sketched - start) / sum(map(len, texts)), (process_time() - sketched) / len(rows)


def spark_seconds_per_key(config: NearDupConfig) -> float:
    """Return the CPU seconds per band key from stored bands to distinct candidates, beyond those of a session."""
    command = [sys.executable, "-m", "tests.bench.near_dups_scale", "spark"]
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        names = pa.array([f"{number:040x}" for number in mixed(np.arange(SPARK_FILES, dtype=np.uint64)).tolist()])
        size = pa.array(np.full(SPARK_FILES, WORDS), pa.int64())
        columns = {"blob_id": names, "bands": sketch(files(0, SPARK_FILES), config)["bands"], "size": size}
        pq.write_table(pa.table(columns), f"{folder}/bands.parquet")
        session, both = (measure([*command, *paths]).cpu_seconds for paths in ((), (folder,)))
    return (both - session) / (SPARK_FILES * config.bands)


def spark(folders: list[str]) -> None:
    """Count the candidate pairs of stored bands, or start a session only."""
    from stackcurate.session import SparkConfig, spark_session
    from stackcurate.stages.near_dups import candidates
    from stackcurate.stages.verification import unverified

    session = spark_session(SparkConfig())
    session.range(1).count()
    for folder in folders:
        stored = session.read.parquet(folder)
        bands, blobs = stored.select("blob_id", "bands"), stored.select("blob_id", "size")
        say(f"Spark: {unverified(candidates(bands, blobs, NearDupConfig())).count():,} candidate pairs")
    session.stop()


def bucket(count: int) -> None:
    """Count the candidate pairs of equal sketches, in the heap that a session has by default."""
    from stackcurate.session import SparkConfig, spark_session
    from stackcurate.stages.near_dups import candidates
    from stackcurate.stages.verification import unverified

    config, spark_config = NearDupConfig(), SparkConfig()
    keys = f"transform(sequence(1, {config.bands}), band -> xxhash64(band)) as bands"
    rows = spark_session(spark_config).range(count).selectExpr("sha1(cast(id as string)) as blob_id", keys)
    found = candidates(rows, rows.selectExpr("blob_id", f"{WORDS}L as size"), config)
    pairs = unverified(found).count()
    say(f"{count:,} equal sketches in {spark_config.driver_memory}: {pairs:,} candidate pairs")


def cost(size: float, rates: Rates, bands: int) -> dict[str, tuple[float, str]]:
    """Return what near-duplicates of a corpus take, reading aside, from the rates of small ones.

    Args:
        size: bytes of the distinct files.
        rates: CPU seconds of each step.
        bands: keys per file.

    >>> cost(FILE_BYTES * 1e6, Rates(0, 0, 0, 0), 42)["band_index"]
    (0.336, 'GB')
    """
    count = size / FILE_BYTES
    keys, candidates, edges = count * bands, count * PAIRS_PER_FILE, count * EDGES_PER_FILE
    steps = {"sketch": size * rates.byte, "pairs": keys * rates.key, "verify": candidates * rates.candidate}
    seconds = steps | {"clusters": edges * rates.edge}
    on_the_way = PAIR.itemsize + HALF.itemsize + NAMED.itemsize
    return {
        "files": (count / 1e6, "million"),
        "band_index": (keys * 8 / 1e9, "GB"),
        "shuffle": ((keys * MEMBER.itemsize + candidates * on_the_way + 2 * count * BLOB.itemsize) / 1e9, "GB"),
        **{f"{step}_cpu": (value / 3600, "CPU-h") for step, value in seconds.items()},
        "cpu": (sum(seconds.values()) / 3600, "CPU-h"),
        "union_find": (4 * count * SHARE_WITH_EDGES / 1e9, "GB"),
        "driver": (min(count, NearDupConfig().driver_documents) * EDGES_PER_FILE * DRIVER_BYTES / 1e9, "GB"),
        "election_task": (edges * TASK_BYTES / TASKS / 1e9, "GB"),
    }


def run(sizes: tuple[int, ...] = SIZES) -> Iterator[Line]:
    """Measure growth, then yield the worked costs."""
    config, spent = NearDupConfig(), {"union_find": 0.0, "elect": 0.0}
    dict(growth(1000, config))  # compiles
    for count in sizes:
        for step, seconds in growth(count, config):
            spent[step] = seconds
            yield Line(SUBJECT, f"{step}_cpu_us_per_file_of_{count}", OURS, seconds / count * 1e6, "us")
    byte, candidate = real_file_rates(config)
    edge = (spent["union_find"] + spent["elect"]) / max(1, similar_pairs(sizes[-1]))
    rates = Rates(byte, spark_seconds_per_key(config), candidate, edge)
    say(f"CPU seconds per {rates}")
    for name, size in (("6tb", 6e12), ("100tb", 100e12)):
        for what, (value, unit) in cost(size, rates, config.bands).items():
            yield Line(SUBJECT, f"{what}_{name}", OURS, value, unit)


def main(arguments: list[str]) -> None:
    """Print the lines, for sizes that are given or for all."""
    if arguments[:1] == ["spark"]:
        spark(arguments[1:])
        return
    if arguments[:1] == ["bucket"]:
        bucket(int(arguments[1]))
        return
    for line in run(tuple(map(int, arguments)) or SIZES):
        sys.stdout.write(f"{as_json(line)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
