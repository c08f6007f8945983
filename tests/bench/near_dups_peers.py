"""The peers of near-duplicate search, each run by an interpreter that has nothing of ours.

    python near_dups_peers.py PEER JOB RESULT    # a job and its result are JSON

A peer sketches raw texts as it ships: from the same 5-grams of words, but for gaoya and datatrove, which bring
tokenisers of their own. What it finds is then judged on the same 5-grams for all: with its own hashes, its own bands
(for a threshold of 0.7, its default, or, where it has neither, 32 of 8), and its own way to decide what goes.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

WORD = re.compile(r"[A-Za-z_0-9]+")
SHINGLE = 5
VALUES = 256
THRESHOLD = 0.7
BANDS, ROWS = 32, 8
"""All values in bands, for peers without a rule of their own."""
LETTERS = str.maketrans(ascii_uppercase, "абвгдежзийклмнопрстуфхцчшщ")
"""Small letters for capitals, so that a peer that lowers texts sees the same 5-grams."""
REPEATS = 3
REQUIREMENTS: dict[str, list[list[str]]] = {
    "datasketch": [["datasketch==2.0.0"]],
    "rensa": [["rensa==0.5.0"]],
    "gaoya": [["gaoya==0.2.2"]],
    "datatrove": [["datatrove==0.10.1", "xxhash<4", "spacy", "tokenizers", "orjson"]],
    "text-dedup": [
        ["--no-deps", "text-dedup==0.4.0"],
        ["bitarray", "click-option-group", "datasets", "regex", "rich", "scipy", "xxhash<4"],
    ],
}
"""What to install for each peer: text-dedup without its Spark, Bloom filters and neural networks."""

Pairs = set[tuple[int, int]]


class Peer(NamedTuple):
    """How to use a peer.

    Args:
        sketch: sketches raw texts, as fast as the peer can.
        pairs: texts to the pairs, smaller index first, that the peer calls near-duplicates.
        estimate: texts and pairs of them to the estimated similarities.
        chained: what hangs together is one cluster, of which the first text is left; else a text goes if one that
            is left before it is its pair.
    """

    sketch: Callable[[Sequence[str]], Any]
    pairs: Callable[[Sequence[str]], Pairs]
    estimate: Callable[[Sequence[str], Sequence[Sequence[int]]], list[float]]
    chained: bool


def shingles(text: str) -> set[str]:
    """Return the 5-grams of the words of a text.

    >>> sorted(shingles("a b, c d (e) f"))
    ['a b c d e', 'b c d e f']
    """
    words = WORD.findall(text)
    return {" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def datasketch() -> Peer:
    """Return datasketch: MinHash in bulk, candidates of its LSH with the bands that it computes."""
    from datasketch import MinHash, MinHashLSH

    def sketch(texts: Sequence[str]) -> Any:
        return MinHash.bulk([[s.encode() for s in shingles(text)] for text in texts], num_perm=VALUES)

    def pairs(texts: Sequence[str]) -> Pairs:
        index, found = MinHashLSH(threshold=THRESHOLD, num_perm=VALUES), set()
        for at, signature in enumerate(sketch(texts)):
            found |= {(other, at) for other in index.query(signature)}
            index.insert(at, signature)
        return found

    return Peer(sketch, pairs, by_method(sketch), chained=False)


def rensa() -> Peer:
    """Return rensa: RMinHash, and its LSH whose candidates it checks by their sketches."""
    from rensa import RMinHash, RMinHashLSH

    def objects(texts: Sequence[str]) -> Any:
        return RMinHash.from_token_sets([list(shingles(text)) for text in texts], VALUES, 42)

    def sketch(texts: Sequence[str]) -> Any:
        return RMinHash.digest_matrix_from_token_sets([list(shingles(text)) for text in texts], VALUES, 42)

    def pairs(texts: Sequence[str]) -> Pairs:
        index, found, signatures = RMinHashLSH(THRESHOLD, VALUES, BANDS), set(), objects(texts)
        for at, signature in enumerate(signatures):
            near = {other for other in index.query(signature) if signature.jaccard(signatures[other]) >= THRESHOLD}
            found |= {(other, at) for other in near}
            index.insert(at, signature)
        return found

    return Peer(sketch, pairs, by_method(objects), chained=False)


def gaoya() -> Peer:
    """Return gaoya: an index with the bands that it computes, which checks its candidates by their sketches."""
    from gaoya.minhash import MinHashStringIndex

    def listed(text: str) -> list[str]:
        return list(shingles(text))

    def index(threshold: float, bands: int | None, rows: int | None, texts: Sequence[str], **words: Any) -> Any:
        made = MinHashStringIndex(32, threshold, bands, rows, VALUES, **words)
        for at, text in enumerate(texts):
            made.insert_document(at, text)
        return made

    def sketch(texts: Sequence[str]) -> Any:
        return index(THRESHOLD, None, None, texts, analyzer="word", ngram_range=(SHINGLE, SHINGLE))

    def pairs(texts: Sequence[str]) -> Pairs:
        made = index(THRESHOLD, None, None, texts, analyzer=listed)
        return {(other, at) for at, text in enumerate(texts) for other in made.query(text) if other < at}

    def estimate(texts: Sequence[str], of: Sequence[Sequence[int]]) -> list[float]:
        """Ask an index in which two texts meet as soon as one value agrees."""
        asked = sorted({at for pair in of for at in pair})
        made = index(0.0, VALUES, 1, [texts[at] for at in asked], analyzer=listed)
        answers = {at: dict(made.query(texts[at], return_similarity=True)) for at in {left for left, _ in of}}
        return [answers[left].get(asked.index(right), 0.0) for left, right in of]

    return Peer(sketch, pairs, estimate, chained=False)


def datatrove() -> Peer:
    """Return datatrove: its first step's shingles and signatures, chained as its second and third step do."""
    import numpy as np
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    step = MinhashDedupSignature(".", MinhashConfig(num_buckets=BANDS, hashes_per_bucket=ROWS))
    default = MinhashDedupSignature(".")

    def sketch(texts: Sequence[str]) -> Any:
        return [step.get_signature(grams) for grams in map(step.get_shingles, texts) if grams.size]

    def signature(text: str, of: MinhashDedupSignature = step) -> Any:
        hashes = np.fromiter(map(of._hash_func, shingles(text)), dtype=np.uint64).reshape(-1, 1)
        return of.get_signature(hashes) if hashes.size else ()

    def pairs(texts: Sequence[str]) -> Pairs:
        return meeting([list(map(tuple, signature(text, default))) for text in texts])

    def estimate(texts: Sequence[str], of: Sequence[Sequence[int]]) -> list[float]:
        values = {at: np.concatenate(signature(texts[at])) for at in {at for pair in of for at in pair}}
        return [float(np.mean(values[left] == values[right])) for left, right in of]

    return Peer(sketch, pairs, estimate, chained=True)


def text_dedup() -> Peer:
    """Return text-dedup: its signatures, chained in buckets as its script does."""
    import numpy as np
    from text_dedup import minhash

    bands, rows = minhash.optimal_param(THRESHOLD, VALUES)
    prime, most = np.uint64((1 << 61) - 1), np.uint64((1 << 32) - 1)
    parameters = {
        "num_perm": VALUES,
        "ngram_size": SHINGLE,
        "min_length": SHINGLE,
        "permutations": tuple(minhash.RNG.randint(low, prime, size=VALUES, dtype=np.uint64) for low in (1, 0)),
        "hash_func": minhash.xxh3_32hash,
        "dtype": np.uint64,
        "max_hash": most,
        "modulo_prime": prime,
    }

    def parts(texts: Sequence[str], bands: int, rows: int) -> list[list[bytes]]:
        ranges = [(band * rows, band * rows + rows) for band in range(bands)]
        done = [minhash.embed_func(text, at, hashranges=ranges, **parameters) for at, text in enumerate(texts)]
        return [row[minhash.SIGNATURE_COLUMN] for row in done]

    def sketch(texts: Sequence[str]) -> Any:
        return parts(texts, bands, rows)

    def words(text: str) -> str:
        return " ".join(WORD.findall(text)).translate(LETTERS)

    def pairs(texts: Sequence[str]) -> Pairs:
        found = parts(list(map(words, texts)), bands, rows)
        return meeting([row if shingles(text) else [] for row, text in zip(found, texts, strict=True)])

    def estimate(texts: Sequence[str], of: Sequence[Sequence[int]]) -> list[float]:
        asked = sorted({at for pair in of for at in pair})
        values = dict(zip(asked, parts([words(texts[at]) for at in asked], VALUES, 1), strict=True))
        return [float(np.mean([a == b for a, b in zip(values[i], values[j], strict=True)])) for i, j in of]

    return Peer(sketch, pairs, estimate, chained=True)


PEERS: dict[str, Callable[[], Peer]] = {
    "datasketch": datasketch,
    "rensa": rensa,
    "gaoya": gaoya,
    "datatrove": datatrove,
    "text-dedup": text_dedup,
}
"""Each peer by the name of its package."""


def by_method(
    sketch: Callable[[Sequence[str]], Any],
) -> Callable[[Sequence[str], Sequence[Sequence[int]]], list[float]]:
    """Return estimates by the `jaccard` method of a peer's sketches."""

    def estimate(texts: Sequence[str], of: Sequence[Sequence[int]]) -> list[float]:
        signatures = sketch(texts)
        return [float(signatures[left].jaccard(signatures[right])) for left, right in of]

    return estimate


def meeting(bands: Sequence[Sequence[Hashable]]) -> Pairs:
    """Return the pairs of texts that share a band.

    >>> sorted(meeting([["a", "b"], ["b", "a"], ["a", "c"]]))
    [(0, 2)]
    """
    buckets: dict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for text, row in enumerate(bands):
        for band, key in enumerate(row):
            buckets[band, key].append(text)
    return {(a, b) for texts in buckets.values() for at, b in enumerate(texts) for a in texts[:at]}


def removed(count: int, pairs: Pairs, *, chained: bool) -> list[int]:
    """Return the texts that go.

    >>> removed(4, {(0, 1), (1, 2)}, chained=True), removed(4, {(0, 1), (1, 2)}, chained=False)
    ([1, 2], [1])
    """
    first = list(range(count))
    near: dict[int, list[int]] = defaultdict(list)
    for left, right in sorted(pairs):
        near[right].append(left)
        ends = root(first, left), root(first, right)
        first[max(ends)] = min(ends)
    if chained:
        return [text for text in range(count) if root(first, text) != text]
    gone: set[int] = set()
    for text in range(count):
        if any(other not in gone for other in near[text]):
            gone.add(text)
    return sorted(gone)


def root(first: list[int], text: int) -> int:
    """Follow a text to the first of its cluster."""
    while first[text] != text:
        text = first[text]
    return text


def cpu_seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the CPU seconds, of all threads, of the fastest of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def peak_mb() -> float:
    """Return the most memory that this process has used, without what it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def look(peer: Peer, job: dict[str, Any]) -> dict[str, Any]:
    """Run a job.

    Args:
        peer: who does it.
        job: `speed`, texts to sketch for time; `texts` to search; `sample`, pairs of these to estimate.

    Returns:
        `cpu_seconds` of the sketches, `pairs`, `removed` and `estimates`, and `peak_mb` of this process.
    """
    seconds = cpu_seconds(lambda: peer.sketch(job["speed"]))
    pairs = peer.pairs(job["texts"])
    return {
        "cpu_seconds": seconds,
        "pairs": sorted(pairs),
        "removed": removed(len(job["texts"]), pairs, chained=peer.chained),
        "estimates": peer.estimate(job["texts"], job["sample"]),
        "peak_mb": peak_mb(),
    }


def main(arguments: list[str]) -> None:
    """Do a job and write the result."""
    name, job, result = arguments
    done = look(PEERS[name](), json.loads(Path(job).read_text(encoding="utf-8")))
    Path(result).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
