"""Redaction of real files with planted fakes: what parsed still parses, nothing is left, and it always ends."""

import random
import re
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackcurate.kernels import pii
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.placeholders import edges, is_placeholder, mask
from stackcurate.kernels.spans import RedactionConfig, merge, open_spans, redact, redact_fully
from tests.kernels.redaction_corpus import KINDS, fakes, planted

SUFFIXES = {kind: (kind,) for kind in KINDS} | {"yaml": ("yaml", "yml"), "xml": ("xml", "svg"), "js": ("js", "mjs")}
ROOTS = [Path(sysconfig.get_paths()["purelib"]), Path("/usr/share"), Path("/usr/include")]
CERTAIN = ("mail", "key", "aws", "jwt")
"""What is found wherever it stands."""


def real_files(kind, count):
    files = [
        path
        for root in ROOTS
        if root.is_dir()
        for suffix in SUFFIXES[kind]
        for path in sorted(root.rglob(f"*.{suffix}"))
        if path.is_file() and 20 < path.stat().st_size < 40_000
    ]
    random.Random(kind).shuffle(files)
    return files[:count]


def check(kind, path, content, *, style="typed"):
    """Redact a file and check everything that must hold; return the number of spans."""
    config = RedactionConfig(placeholders=style)
    options = {"path": path.name, "repo_id": "r", "key": b"k", "config": config}
    before = KINDS[kind][1](content)
    result, count = redact_fully(content, pii.find_spans(content), pii.find_spans, **options)
    assert KINDS[kind][1](result) == before, path
    found = pii.find_spans(result)
    assert open_spans(result, found, config) == [], path
    assert redact(result, found, **options) == (result, 0), path
    return count, result


def run(kind, count):
    redacted = 0
    for number, path in enumerate(real_files(kind, 4 * count)):
        content = planted(path, kind)
        if content is None or redacted == count:
            continue
        spans, result = check(kind, path, content, style=("typed", "typed", "words", "indexed")[number % 4])
        values = fakes(random.Random(f"0 {path.name} {path.stat().st_size}"))
        left = [name for name in CERTAIN if values[name].encode() in result]
        assert not left, path
        redacted += spans > 0
    return redacted


@pytest.mark.parametrize("kind", KINDS)
def test_what_parsed_still_parses(kind):
    assert run(kind, 12) >= (12 if kind in {"py", "h"} else 1)


MANY = {"py": 7000, "h": 2200, "json": 1000, "yaml": 800, "xml": 1000, "js": 400, "toml": 200, "sh": 200, "html": 200}
"""Over 10,000 files together; of the smaller kinds as many as there are."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_what_parsed_still_parses_on_ten_thousand_files(kind):
    assert run(kind, MANY[kind]) >= (MANY[kind] if kind in {"py", "h"} else 1)


WORDS = """Karin Lindqvist|karin.l@firma.se|54.12.33.177|+46 70 123 45 67|password=|hunter2-Prod|Author: |Copyright 2019
/home/karinl/|\\n|\\|"|'|<|>|#| |@karinl|thanks to |user1|REDACTED_NAME_1|redacted.invalid|@|://|:|X|9
4539578763621486|eyJhbGciOiJIUzI1NiJ9|.|abcDEF123ghiJKL456mnoPQR789|&lt;""".replace("\n", "|").split("|")
WORDS += ["\N{LATIN SMALL LETTER E WITH ACUTE}", "\n", "\r\n", "\0", "\ufeff", "AKIA" + "Q3T7XW2RJ5KD6P4H"]
WORDS += [f"-----{edge} RSA " + "PRIVATE KEY-----" for edge in ("BEGIN", "END")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=40),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
    st.sampled_from("abc"),
)
def test_a_soup_of_tokens_comes_to_rest(tokens, encoding, suffix):
    content = "".join(tokens).encode(encoding, "replace")
    path = {"a": "a.py", "b": "b.json", "c": "c.txt"}[suffix]
    options = {"path": path, "repo_id": "r", "key": b"k"}
    result, count = redact_fully(content, pii.find_spans(content), pii.find_spans, **options)
    found = pii.find_spans(result)
    assert open_spans(result, found) == []
    assert redact(result, found, **options) == (result, 0)
    assert count or result == content


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.data())
def test_only_what_a_span_covers_changes(content, data):
    places = st.integers(0, len(content))
    spans = [
        Span(min(pair), max(pair), entity, "x", 1.0)
        for *pair, entity in data.draw(
            st.lists(
                st.tuples(places, places, st.sampled_from(["NAME", "EMAIL", "KEY", "PHONE", "USERNAME"])), max_size=6
            )
        )
    ]
    result, _ = redact(content, spans, path="a.py", repo_id="r", key=b"k")
    kept = re.split(b"\0cut\0", _without(content, merge(spans)))
    position = 0
    for piece in kept:
        assert piece in result[position:]
        position = result.index(piece, position) + len(piece)


def _without(content, spans):
    pieces, done = [], 0
    for span in spans:
        pieces.append(content[done : max(done, span.start - 1)])  # an escape in front of a span may go with it
        done = span.end
    return b"\0cut\0".join([*pieces, content[done:]])


class Never:
    """A detector that never lets go: it finds every word that is no longer what it was."""

    def __init__(self, found):
        self.found = found

    def __call__(self, content):
        return [Span(*match.span(), self.found, "x", 1.0) for match in re.finditer(rb"\S+", content)]


@pytest.mark.parametrize("entity", ["NAME", "KEY", "PHONE", "EMAIL"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_it_ends_whatever_a_detector_says(entity, encoding):
    content = "k\u00e9y = 'caf\u00e9 \\n &amp; 12'\n\n!!! {x}\n".encode(encoding)
    look = Never(entity)
    result, count = redact_fully(content, look(content), look, path="a.py", repo_id="r", key=b"k")
    assert count
    assert open_spans(result, look(result)) == []


def test_a_detector_that_moves_gets_the_whole_file():
    def look(content):
        place = re.search(rb"[A-WYZa-z0-8]{2}", content)
        return [Span(place.start(), place.start() + 1, "NAME", "x", 1.0)] if place else []

    content = b"one two three\nfour five six\n" * 20
    result, _ = redact_fully(content, look(content), look, path="a.txt", repo_id="r", key=b"k")
    assert open_spans(result, look(result)) == []
    assert result.count(b"\n") == content.count(b"\n")


def test_masks_are_placeholders_wherever_they_are_cut():
    masked = mask(
        "k\u00e9y = 'caf\u00e9' &amp; \\n 12 \xd8".encode("latin-1") + "\u5f20".encode(), escapes=False
    ).decode()
    assert all(is_placeholder(masked[start:end]) for start in range(len(masked)) for end in range(start, len(masked)))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", rb"x = 'D:\karin.l@firma.se'", rb"x = 'D:\<EMAIL>'"),
        ("a.py", rb"x = '\x41 \nkarin.l@firma.se\n'", rb"x = '\x41 \n<EMAIL>\n'"),
        ("a.py", rb"x = karin.l@firma.se", None),
        ("a.json", rb'{"a": "\nkarin.l@firma.se\n"}', None),
        ("a.c", b'char *a = "/home/karinl/x";', None),
        ("a.toml", b"secret_key = 0x1f3a99bb77cc88dd", b"secret_key = 0x9999999999999999"),
    ],
)
def test_escapes_and_numbers_stay_what_they_are(path, before, after):
    spans = pii.find_spans(before)
    if after and after.startswith(b"secret_key"):
        spans = [Span(13, len(before), "KEY", "x", 1.0)]
    result, count = redact(before, spans, path=path, repo_id="r", key=b"k")
    assert count
    assert b"karin" not in result
    if after:
        assert result == after
    if path.endswith(".json"):
        assert KINDS["json"][1](result) is dict


def test_the_ends_of_a_span():
    assert edges("  a b \n", b"") == (2, 2)
    assert edges("nkarin", b"x\\") == (1, 0)
    assert edges("nkarin", b"x\\\\") == (0, 0)
    assert edges("u00e9ric", b"\\") == (-1, 0)
    assert edges("karin\\", b"") == (0, 1)
    assert edges("karin\\\\", b"") == (0, 0)
