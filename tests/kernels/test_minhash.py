"""Near-duplicates against Python's own regular expressions, sets and datasketch, on real files."""

import os
import random
import re
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash

from stackcurate import schema
from stackcurate.kernels import minhash, shingles
from stackcurate.kernels.clusters import elect
from stackcurate.kernels.minhash import NearDupConfig, candidate_pairs, exact_jaccard, jaccard_pairs, near_duplicates

SPLIT_V1 = re.compile(r"[^A-Za-z_0-9]")
SPLIT_V2 = re.compile(r"\W")


def real_files(count, largest):
    """Take files of installed packages, spread over all of them, the same ones each time."""
    packages = [Path(pa.__file__).parent, Path(np.__file__).parent, Path(os.__file__).parent / "encodings"]
    paths = sorted(chain.from_iterable(p.rglob("*.[pch]*") for p in packages))
    paths = [p for p in paths if p.suffix in {".py", ".h", ".hpp", ".pxd", ".pyi"} and 64 < p.stat().st_size < largest]
    return [path.read_bytes() for path in random.Random(5).sample(paths, count)]


def edited(text, rng):
    """Replace words and drop lines, more or less of them, so that similarities of all sizes occur."""
    lines = text.split(b"\n")
    share = rng.choice([0.01, 0.02, 0.04, 0.06, 0.1])
    lines = [line for line in lines if rng.random() > share]
    return re.sub(
        rb"\w+",
        lambda word: b"edited%d" % rng.randrange(99) if rng.random() < share / 3 else word[0],
        b"\n".join(lines),
    )


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(7)
    texts = real_files(240, 40_000)
    texts += [edited(text, rng) for text in texts[:160]]
    return list(dict.fromkeys(texts))


@pytest.fixture(scope="module")
def truth(corpus):
    """Exact similarity of all pairs."""
    left, right = np.triu_indices(len(corpus), 1)
    return left, right, jaccard_pairs(pa.array(corpus), left, right)


def decoded(text):
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def reference_tokens(text, tokenizer):
    if tokenizer == "words":
        return re.findall(rb"[A-Za-z_0-9]+", text)
    return SPLIT_V1.split(decoded(text)) if tokenizer == "bigcode-v1" else SPLIT_V2.split(decoded(text).lower())


def reference_set(text, tokenizer="words", length=5):
    tokens = reference_tokens(text, tokenizer)
    return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def unicode_texts():
    """Every character of Unicode between letters, and Greek words whose last sigma depends on its place."""
    points = [p for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    chunks = [points[i : i + 9000] for i in range(0, len(points), 9000)]
    whole = ["x".join(map(chr, chunk)).encode() for chunk in chunks]
    return [*whole, "ΟΔΟΣ ΟΔΟΣ. Σ ΑΣΑ İstanbul İİ ſt ﬁ Ⅷ ٣ ª".encode(), "\ufeffé é̈ 漢字かな ключ_1".encode()]


def broken_texts(count=400):
    """Bytes that are nearly UTF-8."""
    rng = random.Random(11)
    parts = [b"a", b"B9", b" ", b"_", b"\xc3\xa9", b"\xe6\xbc\xa2", b"\xf0\x9f\x98\x80", b"\xce\xa3", b"\x80", b"\xbf"]
    parts += [
        b"\xc3",
        b"\xe0\x9f\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\xe6\xbc",
        b"\xc0\xaf",
        b"\xb5",
    ]
    return [b"".join(rng.choices(parts[: rng.choice([8, 18])], k=rng.randrange(90))) for _ in range(count)]


def hashes_in_order(texts, tokenizer):
    """Return each text's token hashes in order, runs of one token squeezed to one."""
    from stackcurate.kernels import shingles_numba as loops

    array = shingles.lowered(pa.array(texts, pa.binary()), tokenizer)
    starts, values = loops.shingle_rows(
        *shingles.buffers(array), shingles.valid(array), shingles.shingler(tokenizer, 1), 1
    )
    return [values[a:b].tolist() for a, b in pairwise(starts)]


@pytest.mark.parametrize("tokenizer", shingles.TOKENIZERS)
def test_tokens_are_those_of_the_regular_expression(corpus, tokenizer):
    long_lines = [b"x" * 40_000, b"ab " * 20_000, b"\xc3\xa9a" * 20_000, "漢字".encode() * 9_000]
    texts = corpus[:150] + unicode_texts() + broken_texts() + long_lines + [b"", b" ", b"a"]
    hash_of, token_of = {}, {}
    for text, hashes in zip(texts, hashes_in_order(texts, tokenizer), strict=True):
        tokens = reference_tokens(text, tokenizer)
        tokens = [token for i, token in enumerate(tokens) if i == 0 or token != tokens[i - 1]]
        assert len(tokens) == len(hashes), text[:80]
        for token, value in zip(tokens, hashes, strict=True):
            assert hash_of.setdefault(token, value) == value
            assert token_of.setdefault(value, token) == token


@pytest.mark.parametrize("tokenizer", shingles.TOKENIZERS)
@pytest.mark.parametrize("length", [5, 3])
def test_jaccard_is_that_of_python_sets(corpus, tokenizer, length):
    config = NearDupConfig(tokenizer=tokenizer, shingle_tokens=length)
    texts = corpus[:20] + corpus[240:260]
    sets = [reference_set(text, tokenizer, length) for text in texts]
    left, right = np.triu_indices(len(texts), 1)
    expected = [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in zip(left, right, strict=True)]
    assert jaccard_pairs(texts, left, right, config).tolist() == np.array(expected, np.float32).tolist()
    assert [len(row) for row in minhash.shingles(texts, config)] == [len(s) for s in sets]


@pytest.mark.parametrize("scheme", minhash.SCHEMES)
def test_the_repeat_filter_does_not_change_a_bit(corpus, scheme):
    from stackcurate.kernels import minhash_numba as loops

    config = NearDupConfig(scheme=scheme)
    texts = pa.array(corpus[:100])
    filtered = minhash.signatures(texts, config)
    assert (filtered == minhash._signatures(texts, config, filter_size=1)[0]).all()
    if scheme == "fill":
        bins, row = np.empty(config.num_values, np.uint64), np.empty(config.num_values, np.uint32)
        for signature, distinct in zip(filtered, minhash.shingles(texts, config), strict=True):
            values = distinct.values.to_numpy()
            if len(values):
                loops.fill_sketch(values[::-1].copy(), len(values), bins, row)
                assert (signature == row).all()


def test_affine32_is_datasketch_bit_for_bit(corpus):
    config = NearDupConfig(scheme="affine32")
    texts = [corpus[0], corpus[0] + b"\nan end of its own", corpus[1]]
    ours = minhash.signatures(texts, config)
    theirs = []
    for row in minhash.shingles(texts, config):
        theirs.append(MinHash(num_perm=config.num_values, hashfunc=int))
        theirs[-1].update_batch((row.values.to_numpy() >> np.uint64(32)).tolist())
    assert all((a == b.hashvalues).all() for a, b in zip(ours, theirs, strict=True))
    first, second = (minhash.to_datasketch(row, config) for row in ours[:2])
    assert first == theirs[0]
    assert first.jaccard(theirs[1]) == pytest.approx(float(minhash.estimate(ours[0], ours[1])))
    assert first.jaccard(second) > 0.5
    with pytest.raises(ValueError, match="fill"):
        minhash.to_datasketch(ours[0], NearDupConfig())


@pytest.mark.parametrize("scheme", minhash.SCHEMES)
def test_estimates_are_close(corpus, truth, scheme):
    left, right, exact = truth
    some = exact > 0.3
    values = minhash.signatures(corpus, NearDupConfig(scheme=scheme))
    error = minhash.estimate(values[left[some]], values[right[some]]) - exact[some]
    assert some.sum() > 100
    assert np.sqrt(np.mean(error**2)) < 0.03


def test_all_pairs_are_found_and_nothing_else(corpus, truth):
    left, right, exact = truth
    similar = exact >= np.float32(0.7)
    expected = list(zip(left[similar].tolist(), right[similar].tolist(), exact[similar].tolist(), strict=True))
    found = near_duplicates(corpus).to_pylist()
    assert len(expected) > 80
    assert ((exact > 0.6) & ~similar).sum() > 20
    found = {(row["left"], row["right"], row["similarity"]) for row in found}
    assert found <= set(expected)
    assert len(found) >= 0.999 * len(expected)


def test_removed_files_have_a_similar_kept_file(corpus, truth):
    left, right, exact = truth
    pairs = near_duplicates(corpus)
    order = np.random.default_rng(3).permutation(len(corpus))
    kept_by = elect(
        order, pairs["left"].to_numpy(), pairs["right"].to_numpy(), similarity=pairs["similarity"].to_numpy()
    )
    similarity = {(i, j): s for i, j, s in zip(left.tolist(), right.tolist(), exact.tolist(), strict=True)}
    lost = [i for i in range(len(corpus)) if kept_by[i] != i]
    kept = [i for i in range(len(corpus)) if kept_by[i] == i]
    assert len(lost) > 50
    assert all(similarity[min(i, kept_by[i]), max(i, kept_by[i])] >= np.float32(0.7) for i in lost)
    assert sum(similarity[i, j] >= np.float32(0.7) for i in kept for j in kept if i < j) <= 1


def test_a_hot_bucket_costs_linear_pairs_and_loses_nothing(corpus):
    base = max(corpus, key=len)
    texts = [base + b"\nnumber %d of the lot" % i for i in range(600)]
    config = NearDupConfig(full_bucket=10, anchors=2)
    pairs = near_duplicates(texts, config)
    assert 45 + 590 * 2 <= pairs.num_rows < 2000
    order = np.arange(600)[::-1]
    kept_by = elect(
        order, pairs["left"].to_numpy(), pairs["right"].to_numpy(), similarity=pairs["similarity"].to_numpy()
    )
    assert set(kept_by.tolist()) == {599}


def test_pairs_do_not_depend_on_the_order_of_rows(corpus):
    order = np.random.default_rng(1).permutation(len(corpus))
    shuffled = near_duplicates([corpus[i] for i in order])
    as_texts = {
        frozenset((int(order[a]), int(order[b])))
        for a, b in zip(shuffled["left"].to_pylist(), shuffled["right"].to_pylist(), strict=True)
    }
    plain = near_duplicates(corpus)
    assert as_texts == {frozenset(p) for p in zip(plain["left"].to_pylist(), plain["right"].to_pylist(), strict=True)}


def test_short_texts_are_compared_byte_by_byte():
    texts = [b"", b"a b", b"a b c d", None, b"a  b", b"a b", b"", b"x" * 50_000, None]
    assert minhash.sketch(texts)["bands"].null_count == len(texts)
    assert near_duplicates(texts).to_pydict() == {"left": [0, 1], "right": [6, 5], "similarity": [1.0, 1.0]}
    assert exact_jaccard(["a b", "a b", "", None], ["a b", "a  b", "", None]).tolist() == [1, 0, 1, 0]
    values = minhash.signatures(texts)
    assert minhash.estimate(values[1], values[5]) == 0


def test_normalized_texts_differ_in_white_space_alone(corpus):
    rng, config = random.Random(9), NearDupConfig(normalized=True)
    pieces = [b"a", b"b", b"=", b" ", b"  ", b"\t", b"\r\n", b"\x0b", b"\x0c", b"\xc2\xa0", b"\x85"]
    texts = [b"".join(rng.choices(pieces, k=rng.randrange(7))) for _ in range(400)] + corpus[:20]
    texts += [b" \n" + text.replace(b"\n", b" \r\n\t") for text in corpus[:20]]
    same = [b" ".join(re.split(rb"[ \t\n\r\x0b\x0c]+", text)).strip(b" ") for text in texts]
    expected = {(i, j) for j in range(len(texts)) for i in range(j) if same[i] == same[j]}
    found = near_duplicates(texts, NearDupConfig(normalized=True, full_bucket=500, threshold=1.0))
    assert set(zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True)) >= expected
    assert len(expected) > 300
    short = {(i, j) for i, j in zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True) if j < 400}
    assert short == {(i, j) for i, j in expected if j < 400}
    bands = minhash.sketch([*texts, None], config)["bands"]
    assert bands.null_count == 1
    assert bands[:400].flatten().to_pylist().count(bands[0][0].as_py()) == same[:400].count(same[0])


def test_laws_of_a_kernel(corpus):
    texts = [*corpus[:30], None, b"", b"a b c d e"]
    whole = minhash.sketch(pa.array(texts, pa.binary()))
    assert whole.schema == schema.NEAR_DUP_BANDS.adds
    whole.validate(full=True)
    table = pa.Table.from_batches([minhash.sketch(texts[:7]), minhash.sketch(texts[7:])])
    assert pa.Table.from_batches([whole]).equals(table.combine_chunks())
    assert whole.slice(5, 20).equals(minhash.sketch(pa.array(texts, pa.binary()).slice(5, 20)))
    assert whole.equals(minhash.sketch(pa.array(texts, pa.large_binary())))
    assert whole.slice(30).to_pylist()[:2] == [
        {"shingles": None, "bands": None, "error": None},
        {"shingles": 0, "bands": None, "error": None},
    ]
    assert minhash.sketch(pa.array([], pa.string())).equals(whole.slice(0, 0))
    assert minhash.sketch(["é a b c d e"]).equals(minhash.sketch(["é a b c d e".encode()]))
    hidden = pa.Array.from_buffers(
        pa.binary(), 1, [pa.py_buffer(b"\0"), pa.py_buffer(np.array([0, 9], np.int32)), pa.py_buffer(b"a b c d e")]
    )
    assert minhash.sketch(hidden)["shingles"].to_pylist() == [None]


def test_the_same_keys_in_a_fresh_process_and_light_imports():
    program = (
        "import sys, stackcurate.kernels.minhash as m, stackcurate.kernels.clusters;"
        "print(any(name in sys.modules for name in ('numba', 'datasketch', 'pyspark')));"
        "print(m.sketch([b'to be or not to be'])['bands'][0].as_py())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["False", str(minhash.sketch([b"to be or not to be"])["bands"][0].as_py())]


def test_band_keys_depend_on_the_band():
    config = NearDupConfig(num_values=4, bands=2, rows=2)
    from stackcurate.kernels import minhash_numba as loops

    keys = loops.band_keys(np.array([[1, 2, 1, 2], [1, 2, 3, 4]], np.uint32), config.bands, config.rows)
    assert keys[0, 0] == keys[1, 0]
    assert len(set(keys.ravel().tolist())) == 3
    left, right = candidate_pairs(pa.array([None, keys[0], keys[1]], pa.list_(pa.int64())))
    assert (left.tolist(), right.tolist()) == ([1], [2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bands": 52}, "52 bands of 5 rows need 260 values"),
        ({"bands": 0}, "bands: expected 1"),
        ({"num_values": 5000}, "1 to 4096"),
        ({"threshold": 0.0}, "above 0"),
        ({"threshold": 1.01}, "at most 1"),
        ({"threshold": float("nan")}, "at most 1"),
        ({"tokenizer": "word"}, "words"),
        ({"scheme": "affine64"}, "affine32"),
        ({"shingle_tokens": 0}, "1 to 64"),
        ({"num_values": 0}, "num_values"),
        ({"anchors": 65}, "anchors: expected 1 to 64"),
        ({"mode": "big-code"}, "verified, bigcode"),
        ({"mode": "bigcode", "bands": 30}, "mode bigcode stands for 25, found 30"),
    ],
)
def test_bad_configs_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        NearDupConfig(**values)


def test_pairs_out_of_range_are_refused():
    with pytest.raises(IndexError, match="outside of 0 to 0"):
        jaccard_pairs([b"a"], np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="as many"):
        exact_jaccard([b"a"], [])
