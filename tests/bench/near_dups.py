"""Near-duplicates beside the peers: speed of the sketch, errors, missed pairs and wrong removals, Spark, union-find.

The files are those of the packages that are installed here. Speed is of `SPEED_FILES` of them, the peers on fewer that
are as large on average; the rest is of `TRUTH_FILES`, of which all pairs are compared by Python's own regular
expressions and sets. Everything counts 5-grams of words in sketches of 256 values; `near_dups_peers` says how each
peer does.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stackcurate import schema
from stackcurate.blobs import PackWriter
from stackcurate.kernels.clusters import components, elect
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.minhash import NearDupConfig, estimate, near_duplicates, shingles, signatures
from stackcurate.workspace import Run, commit, open_workspace, runs
from tests.bench.build import is_text, say
from tests.bench.measure import ROOT, Line, measure
from tests.bench.near_dups_peers import PEERS, REQUIREMENTS, THRESHOLD, Pairs, Peer, cpu_seconds, look
from tests.bench.near_dups_peers import shingles as reference_shingles

Truth: TypeAlias = npt.NDArray[np.float64]

SUBJECT, OURS = "near_dups", "stackcurate"
SUFFIXES = {".py", ".js", ".c", ".h", ".java", ".md"}
LARGEST = 1_000_000
"""Bytes of the largest file."""
SPEED_FILES, PEER_FILES, TRUTH_FILES = 2000, 300, 1500
STRATA = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
"""Similarities between which the estimates are tried, on as many pairs in each."""
STRATUM = 100
EDGES, NODES = 27_500_000, 40_000_000
"""Random edges for union-find, about as dense as near-duplicates are."""
PEER_SCALE = 8
"""The peer's union-find sees a smaller graph by this factor, since it holds all edges at once."""
SPARK_MB = 300
GOALS: dict[str, float] = {
    "sketch_docs_per_cpu_s": 20_000,
    "sketch_mb_per_cpu_s": 300,
    "estimate_rmse": 0.0225,
    "pair_recall": 0.999,
    "wrong_removals": 0,
    "spark_cpu_s_per_300mb": 8,
    "incremental_share": 0.1,
    "union_find_edges_per_cpu_s": 20_000_000,
    "affine32_mismatches": 0,
}


def run() -> Iterator[Line]:
    """Measure all of it; each line comes when it is known."""
    texts = installed_texts()
    say_size("files of installed packages", texts)
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        base = Path(folder)
        yield from sketch_lines(texts, base)
        yield line("affine32_mismatches", OURS, affine32_mismatches(evenly(texts, 200)), "values")
        yield from union_find_lines()
        blobs = stored(texts, base / "blobs")
        for name, part in (("spark_cpu_s_per_300mb", "candidates"), ("spark_verified_cpu_s_per_300mb", "edges")):
            yield line(name, OURS, spark_seconds(blobs, sum(map(len, texts)) / 1e6, part), "s")
        yield line("incremental_share", OURS, added_share(str(base), base / "share"), "of a full run")


def line(name: str, who: str, value: float, unit: str) -> Line:
    """Return a line of this benchmark; goals are ours."""
    return Line(SUBJECT, name, who, value, unit, GOALS.get(name) if who == OURS else None)


def say_size(what: str, texts: Sequence[bytes]) -> None:
    """Say how many texts there are, and how large."""
    size = sum(map(len, texts))
    say(f"{what}: {len(texts):,} files, {size / 1e6:,.1f} MB, {size / max(1, len(texts)):,.0f} bytes each")


def installed_texts() -> list[bytes]:
    """Return the distinct UTF-8 sources of the packages that are installed beside NumPy, from the smallest up."""
    folder = Path(np.__file__).parents[1]
    paths = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and 0 < path.stat().st_size <= LARGEST)
    return sorted(
        {content for content in (path.read_bytes() for path in paths) if is_text(content)},
        key=lambda text: (len(text), text),
    )


def evenly(texts: Sequence[bytes], limit: int) -> list[bytes]:
    """Return texts at even distances, at most `limit`: of texts in order of size, as large on average as all."""
    at = (np.arange(min(limit, len(texts))) + 0.5) * len(texts) / max(1, min(limit, len(texts)))
    return [texts[index] for index in at.astype(int).tolist()]


def alike(texts: Sequence[bytes], limit: int) -> list[bytes]:
    """Return up to `limit` texts among which many are near-duplicates: whole clusters of random choice.

    64 bands of 4 rows miss one pair of similarity 0.7 in 40 million, and `affine32` is not the scheme that is tried.
    """
    generous = NearDupConfig(scheme="affine32", bands=64, rows=4, threshold=0.5, full_bucket=4096)
    pairs = near_duplicates(texts, generous)
    labels = components(len(texts), pairs["left"].to_numpy(), pairs["right"].to_numpy())
    clusters = [np.flatnonzero(labels == label) for label in np.unique(labels[pairs["left"].to_numpy()])]
    random.Random(3).shuffle(clusters)
    chosen: list[int] = []
    for cluster in clusters:
        if len(cluster) <= limit // 5 and len(chosen) + len(cluster) <= limit:
            chosen += cluster.tolist()
    return [texts[at] for at in sorted(chosen)]


def exact_similarities(texts: Sequence[str]) -> Truth:
    """Return the Jaccard similarity of all pairs: 5-grams as Python strings, counted by a sparse product."""
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    sets = [[numbers.setdefault(s, len(numbers)) for s in reference_shingles(text)] for text in texts]
    sizes = np.array([len(one) for one in sets])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    members = csr_array((np.ones(starts[-1], np.int32), np.concatenate(sets).astype(np.int64), starts))
    common = (members @ members.T).toarray()
    return np.asarray(common / np.maximum(1, sizes[:, None] + sizes[None, :] - common), np.float64)


def stratified(truth: Truth) -> list[tuple[int, int]]:
    """Return random pairs, as many of each stratum of similarity."""
    rng, left, right = np.random.default_rng(5), *np.triu_indices(len(truth), 1)
    chosen: list[tuple[int, int]] = []
    for low, high in pairwise(STRATA):
        inside = np.flatnonzero((truth[left, right] >= low) & (truth[left, right] < high))
        some = rng.permutation(inside)[:STRATUM]
        chosen += zip(left[some].tolist(), right[some].tolist(), strict=True)
    return chosen


def sketch_lines(texts: Sequence[bytes], base: Path) -> Iterator[Line]:
    """Yield speed, error, recall and wrong removals, of ours and of each peer that installs."""
    trial = alike(texts, TRUTH_FILES)
    decoded = [text.decode("utf-8") for text in trial]
    truth = exact_similarities(decoded)
    sample = stratified(truth)
    say_size("searched", trial)
    say(f"pairs of at least {THRESHOLD}: {len(true_pairs(truth)):,}; pairs to estimate: {len(sample)}")
    commands = {OURS: [sys.executable, "-m", "tests.bench.near_dups", OURS]} | peer_commands()
    for who, command in commands.items():
        speed = evenly(texts, SPEED_FILES if who == OURS else PEER_FILES)
        say_size(f"{who} sketches", speed)
        job = {"texts": decoded, "sample": sample, "speed": [text.decode("utf-8") for text in speed]}
        result = done(command, job, base)
        found = len(true_pairs(truth) & set(map(tuple, result["pairs"])))
        say(f"{who}: {found:,} pairs found, {len(result['removed'])} files removed, peak {result['peak_mb']:,.0f} MB")
        yield from result_lines(who, result, speed, truth, sample)


def done(command: Sequence[str], job: dict[str, Any], base: Path) -> dict[str, Any]:
    """Run a job in a process of its own and return its result."""
    given, result = base / "job.json", base / "result.json"
    given.write_text(json.dumps(job), encoding="utf-8")
    subprocess.run([*command, str(given), str(result)], cwd=ROOT, stdout=sys.stderr, check=True)
    answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return answer


def result_lines(
    who: str, result: dict[str, Any], speed: Sequence[bytes], truth: Truth, sample: Sequence[tuple[int, int]]
) -> Iterator[Line]:
    """Yield the lines of one result.

    Args:
        who: ours or a peer.
        result: as `near_dups_peers.look` returns it.
        speed: texts that were sketched.
        truth: similarities of the texts that were searched.
        sample: pairs that were estimated.
    """
    seconds, wanted = result["cpu_seconds"], true_pairs(truth)
    error = np.array(result["estimates"]) - np.array([truth[pair] for pair in sample])
    found = {(left, right) for left, right in result["pairs"]}
    yield line("sketch_docs_per_cpu_s", who, len(speed) / seconds, "files/s")
    yield line("sketch_mb_per_cpu_s", who, sum(map(len, speed)) / 1e6 / seconds, "MB/s")
    yield line("estimate_rmse", who, float(np.sqrt(np.mean(error**2))), "similarity")
    yield line("pair_recall", who, len(wanted & found) / max(1, len(wanted)), "share")
    yield line("wrong_removals", who, wrong_removals(truth, result["removed"]), "files")


def true_pairs(truth: Truth) -> Pairs:
    """Return the pairs whose similarity reaches the threshold."""
    left, right = np.nonzero(np.triu(truth >= THRESHOLD, 1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def wrong_removals(truth: Truth, removed: Sequence[int]) -> int:
    """Count removed files to which no kept one is similar.

    >>> wrong_removals(np.array([[1, 0.8, 0.6], [0.8, 1, 0.8], [0.6, 0.8, 1]]), [1, 2])
    1
    """
    gone = np.isin(np.arange(len(truth)), removed)
    return int(np.sum(~np.any(truth[gone][:, ~gone] >= THRESHOLD, axis=1)))


def peer_commands() -> dict[str, list[str]]:
    """Return the command of each peer that installs, in an environment that is kept for the next time."""
    folder = ROOT / ".demo" / "bench" / "peers"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    script = str(Path(__file__).with_name("near_dups_peers.py"))
    return {name: [str(python), "-P", script, name] for name in PEERS if install(python, name)}


def install(python: Path, name: str) -> bool:
    """Install a peer where that is not done yet, and say whether it is there."""
    stamp, needs = python.parents[1] / f"{name}.installed", json.dumps(REQUIREMENTS[name])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == needs:
        return True
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    for arguments in REQUIREMENTS[name]:
        say(f"installing {' '.join(arguments)}")
        if subprocess.run([*pip, *arguments], stdout=sys.stderr, check=False).returncode:
            say(f"{name} does not install: left out")
            return False
    stamp.write_text(needs, encoding="utf-8")
    return True


def ours() -> Peer:
    """Return ourselves in the form of a peer."""

    def pairs(texts: Sequence[str]) -> Pairs:
        found = near_duplicates(texts)
        return set(zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True))

    def estimates(texts: Sequence[str], of: Sequence[Sequence[int]]) -> list[float]:
        values, (left, right) = signatures(texts), np.array(of).T
        return [float(share) for share in estimate(values[left], values[right])]

    return Peer(signatures, pairs, estimates, chained=False)


def look_at_ours(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job of the peers by the library: texts as Arrow has them, removals as `clusters.elect` decides them."""
    signatures(["compile this first of all"])
    result = look(ours(), {**job, "speed": pa.array(job["speed"])})
    found = near_duplicates(job["texts"])
    order, columns = np.arange(len(job["texts"])), (found["left"].to_numpy(), found["right"].to_numpy())
    kept_by = elect(order, *columns, similarity=found["similarity"].to_numpy(), threshold=THRESHOLD)
    return {**result, "removed": np.flatnonzero(kept_by != order).tolist()}


def affine32_mismatches(texts: Sequence[bytes]) -> int:
    """Count the values in which scheme `affine32` differs from datasketch, given the same hashes of shingles."""
    from datasketch import MinHash

    config = NearDupConfig(scheme="affine32")
    differing = 0
    for ours, row in zip(signatures(texts, config), shingles(texts, config), strict=True):
        theirs = MinHash(num_perm=config.num_values, hashfunc=int)
        theirs.update_batch((row.values.to_numpy() >> np.uint64(32)).tolist())
        differing += int(np.sum(ours != theirs.hashvalues)) if len(row) else 0
    return differing


def union_find_lines(scale: int = 1) -> Iterator[Line]:
    """Yield the edges that are joined per CPU second: ours, and SciPy's on a smaller graph."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = random_edges(EDGES // scale, NODES // scale)
    components(2, left[:0], right[:0])
    seconds = cpu_seconds(lambda: components(NODES // scale, left, right))
    yield line("union_find_edges_per_cpu_s", OURS, len(left) / seconds, "edges/s")
    count = NODES // scale // PEER_SCALE
    left, right = random_edges(EDGES // scale // PEER_SCALE, count)
    ones = np.ones(len(left), np.bool_)
    seconds = cpu_seconds(
        lambda: connected_components(coo_array((ones, (left, right)), shape=(count, count)), directed=False)
    )
    yield line("union_find_edges_per_cpu_s", "scipy", len(left) / seconds, "edges/s")


def random_edges(edges: int, nodes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return the ends of random edges."""
    rng = np.random.default_rng(1)
    return rng.integers(0, nodes, edges, np.uint32), rng.integers(0, nodes, edges, np.uint32)


def spark_seconds(folder: str, size: float, part: str) -> float:
    """Return the CPU seconds from 300 MB in a workspace to distinct pairs, beyond those of a session.

    All texts are gone through once in a new session, with the start of workers and whatever is compiled then. What they
    lack of 300 MB, or have more, is counted at the pace of a second time in the same session.

    Args:
        folder: a workspace.
        size: megabytes of the texts in it.
        part: `candidates`, or `edges` for those of them that are verified.
    """
    command = [sys.executable, "-m", "tests.bench.near_dups", part]
    session, once, twice = (measure([*command, *[folder] * times]).cpu_seconds for times in range(3))
    first, second = once - session, twice - once
    say(f"Spark: {session:.1f} CPU s for a session, {first:.1f} for {size:.0f} MB, {second:.1f} for the same again")
    return first + second * (SPARK_MB - size) / size


def added_share(folder: str, result: Path) -> float:
    """Return what 5 % more files cost as a share of a run on all, measured in a folder and a process of its own."""
    command = [sys.executable, "-m", "tests.bench.near_dups_added", folder, str(result)]
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
    return float(result.read_text(encoding="utf-8"))


def stored(texts: Sequence[bytes], folder: Path) -> str:
    """Write texts to the packs of a workspace, as a build does, and return its folder."""
    workspace = open_workspace(folder)
    writer = PackWriter(workspace, "run")
    for text in random.Random(1).sample(texts, len(texts)):
        writer.add(blob_id(text), text)
    writer.flush()
    commit(workspace, Run(table=schema.BLOBS.name, run_id="run", digest="any", parts=tuple(writer.parts)))
    return str(folder)


def spark(part: str, folders: Sequence[str]) -> None:
    """Count the candidates or edges of the blobs in workspaces, or start a session only where none is given."""
    from stackcurate import load_config
    from stackcurate.session import spark_session, task_count
    from stackcurate.stage import spark_schema
    from stackcurate.stages.near_dups import candidates, near_dup_bands
    from stackcurate.stages.tables import blob_reader, by_blob, read
    from stackcurate.stages.verification import unverified, verify

    config = load_config()
    session, near_dups = spark_session(config["spark"]), config["near_dups"]
    session.range(1).count()
    for folder in folders:
        workspace = open_workspace(folder)
        blobs = read(session, workspace, schema.BLOBS, runs(workspace, schema.BLOBS.name)).select("blob_id", "size")
        blobs = blobs.persist()  # as a build does
        spread = by_blob(blobs, task_count(config["spark"], session))
        sketched = near_dup_bands.rows(near_dups, blob_reader(workspace))
        bands = spread.mapInArrow(sketched, spark_schema(schema.NEAR_DUP_BANDS.columns))
        pairs = candidates(bands, blobs, near_dups)
        found = unverified(pairs) if part == "candidates" else verify(pairs, near_dups, blob_reader(workspace))
        say(f"Spark: {found.count():,} {part}")
    session.stop()


def main(arguments: list[str]) -> None:
    """Run a part that needs a process of its own."""
    part, *rest = arguments
    if part in ("candidates", "edges"):
        spark(part, rest)
        return
    job, result = map(Path, rest)
    result.write_text(json.dumps(look_at_ours(json.loads(job.read_text(encoding="utf-8")))), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
