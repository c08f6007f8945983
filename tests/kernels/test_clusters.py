"""Components and elections against a few plain lines of Python."""

import json
import subprocess
import sys

import numpy as np
import pytest

from stackcurate.kernels.clusters import components, components_of_batches, elect
from stackcurate.kernels.minhash import jaccard_pairs


def labels_by_spreading(n, left, right):
    labels = list(range(n))
    changed = True
    while changed:
        changed = False
        for a, b in zip(left, right, strict=True):
            low = min(labels[a], labels[b])
            changed |= labels[a] != low or labels[b] != low
            labels[a] = labels[b] = low
    return labels


def elected_naively(order, edges, admissible):
    kept_by, kept = dict.fromkeys(order, -1), []
    for node in order:
        if admissible[node]:
            kept_by[node] = next((k for k in kept if (k, node) in edges or (node, k) in edges), node)
            kept += [node] if kept_by[node] == node else []
    return [kept_by[node] for node in range(len(order))]


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    n, size = 120, 40 * (seed + 1)
    left, right = rng.integers(0, n, size), rng.integers(0, n, size)
    labels = components(n, left, right)
    assert labels.dtype == np.uint32
    assert labels.tolist() == labels_by_spreading(n, left, right)
    shuffle = rng.permutation(size)
    assert (components(n, right[shuffle], left[shuffle]) == labels).all()
    halves = [(left[: size // 3], right[: size // 3]), (left[size // 3 :], right[size // 3 :])]
    assert (components_of_batches(n, iter(halves)) == labels).all()

    order, admissible = rng.permutation(n), rng.random(n) < 0.8
    edges = {(int(a), int(b)) for a, b in zip(left, right, strict=True) if a != b}
    kept_by = elect(order, left, right, admissible)
    assert kept_by.tolist() == elected_naively(order.tolist(), edges, admissible)
    assert (elect(order, right[shuffle], left[shuffle], admissible) == kept_by).all()


def test_a_long_chain_is_one_component():
    n = 1_000_000
    order = np.random.default_rng(0).permutation(n - 1)
    assert not components(n, order + 1, order).any()


def test_promotion_after_an_opt_out():
    left, right = np.array([0, 0]), np.array([1, 2])
    assert elect(np.arange(3), left, right).tolist() == [0, 0, 0]
    assert elect(np.arange(3), left, right, np.array([False, True, True])).tolist() == [-1, 1, 2]


def test_a_third_node_proves_similarity():
    left, right = np.array([0, 0]), np.array([1, 2])
    close, far = np.array([0.9, 0.85], np.float32), np.array([0.9, 0.75], np.float32)
    gone = np.array([False, True, True])
    assert elect(np.arange(3), left, right, gone, close).tolist() == [-1, 1, 1]
    assert elect(np.arange(3), left, right, gone, far).tolist() == [-1, 1, 2]
    assert elect(np.arange(3), left, right, None, far, threshold=0.8).tolist() == [0, 0, 2]


def test_similarity_of_exactly_the_threshold_counts():
    shared = np.float32(7) / np.float32(10)
    assert elect(np.arange(2), np.array([0]), np.array([1]), None, np.array([shared])).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_removed_is_similar_even_with_star_edges(seed):
    rng = np.random.default_rng(seed)
    base = [f"w{i}" for i in range(120)]
    texts = []
    for _ in range(80):
        words = [w if rng.random() > 0.012 else "edited" for w in base]
        texts.append(" ".join(words))
    hubs = rng.permutation(80)[:3]
    left, right = np.repeat(hubs, 80), np.tile(np.arange(80), 3)
    similarity = jaccard_pairs(texts, left, right)
    good = similarity >= np.float32(0.7)
    order = rng.permutation(80)
    kept_by = elect(order, left[good], right[good], None, similarity[good])
    direct = elect(order, left[good], right[good])
    lost = np.flatnonzero(kept_by != np.arange(80))
    assert (jaccard_pairs(texts, lost, kept_by[lost]) >= np.float32(0.7)).all()
    assert len(lost) > (direct != np.arange(80)).sum()


def test_empty_graphs():
    none = np.array([], np.int64)
    assert components(0, none, none).tolist() == []
    assert components(3, none, none).tolist() == [0, 1, 2]
    assert elect(none, none, none).tolist() == []


def test_bad_arguments_are_refused():
    one, two = np.array([1]), np.array([2])
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        components(2, one, two)
    with pytest.raises(ValueError, match="outside"):
        components(2, np.array([-1]), one)
    with pytest.raises(ValueError, match="as many"):
        components(3, one, np.array([1, 2]))
    with pytest.raises(ValueError, match="permutation"):
        elect(np.array([0, 0, 1]), one, two)
    with pytest.raises(ValueError, match="one value per node"):
        elect(np.arange(3), one, two, np.array([True]))


UNION_FIND = """
import json, sys, time
import numpy as np
from stackcurate.kernels.clusters import components, components_of_batches

def memory(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def batches(shape, nodes, step=1 << 16):
    for start in range(0, nodes - 1, step):
        right = np.arange(start + 1, min(nodes, start + 1 + step))
        yield (right - 1 if shape == "chain" else np.zeros_like(right)), right

shape, nodes = sys.argv[1], int(sys.argv[2])
components_of_batches(1000, batches(shape, 1000))
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
start = time.process_time()
labels = components_of_batches(nodes, batches(shape, nodes))
seconds, peak = time.process_time() - start, memory("VmHWM")
print(json.dumps({"bytes": peak - before, "all": peak, "seconds": seconds, "root": int(labels.max())}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("shape", "nodes"),
    [("chain", 1_000_000), ("star", 10_000_000), pytest.param("chain", 10**8, marks=pytest.mark.slow)],
)
def test_union_find_takes_four_bytes_per_node(shape, nodes):
    command = [sys.executable, "-c", UNION_FIND, shape, str(nodes)]
    done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert done["root"] == 0
    assert done["bytes"] <= 4.1 * nodes + 3_000_000  # and the batch under way
    assert done["all"] < 2 << 30
    assert (nodes - 1) / done["seconds"] > 20_000_000
