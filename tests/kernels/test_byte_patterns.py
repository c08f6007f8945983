"""The one pass over the bytes: two engines, one answer; encodings and their offsets."""

import codecs
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackcurate.kernels import secret_assignments, secret_plugins
from stackcurate.kernels.byte_patterns import Pattern, Span, as_utf8, candidates, holds_any, source_spans
from stackcurate.kernels.secret_rules import token_rules

WORDS = (
    Pattern("word", "passw(?:or)?d", caseless=True),
    Pattern("margin", "^x[0-9]{3,}$"),
    Pattern("border", r"\bfoo\b"),
    Pattern("byte", r"\xc3[\xb1\x91]"),
    Pattern("word", "secret", caseless=True),
)
SECRETS = (
    *(Pattern(rule.name, rule.gate) for rule in token_rules().values()),
    *secret_assignments.GATE,
    *secret_plugins.gate(),
)


def real_files(count: int, limit: int = 20_000) -> list[bytes]:
    root = Path(sysconfig.get_paths()["purelib"])
    paths = sorted(p for p in root.glob("*/*") if p.suffix in {".py", ".json", ".md", ".txt", ".js"} and p.is_file())
    return [path.read_bytes()[:limit] for path in paths[:: max(1, len(paths) // count)][:count]]


def test_lines_are_given_in_order_and_once() -> None:
    content = b"x12345\nPASSWORD passwd secret\r\nfoox\na foo foo"

    assert candidates(content, WORDS) == [("margin", 0, 6), ("word", 7, 30), ("border", 36, 45)]


@pytest.mark.parametrize("engine", ["hyperscan", "re"])
def test_a_match_at_either_end_counts(engine: str) -> None:
    assert candidates(b"secret\n\nsecret", WORDS, engine) == [("word", 0, 6), ("word", 8, 14)]
    assert candidates(b"\n\n\n", WORDS, engine) == []
    assert candidates(b"", WORDS, engine) == []
    assert candidates(b"secret", (), engine) == []


def test_engines_agree_on_real_files() -> None:
    files = real_files(50)
    patterns = (*SECRETS, *secret_plugins._patterns("q"), *secret_plugins._patterns("r"))
    found = [candidates(content, patterns, "hyperscan") for content in files]

    assert found == [candidates(content, patterns, "re") for content in files]
    assert sum(map(len, found)) > 20


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"password", b"PASSWD", b"foo", b"x123", b"\n", b"\r\n", b" ", b"\xc3\xb1", b"\0", b"_"]))
)
def test_engines_agree_on_anything(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    found = candidates(content, WORDS, "hyperscan")

    assert found == candidates(content, WORDS, "re")
    assert holds_any(content, WORDS, "hyperscan") == holds_any(content, WORDS, "re") == bool(found)


def test_each_line_given_holds_its_pattern() -> None:
    expressions: dict[str, list[re.Pattern[bytes]]] = {}
    for pattern in SECRETS:
        flags = re.MULTILINE | (re.IGNORECASE if pattern.caseless else 0)
        expressions.setdefault(pattern.name, []).append(re.compile(pattern.expression.encode("latin-1"), flags))
    for content in real_files(40):
        for name, start, end in candidates(content, SECRETS):
            assert start == 0 or content[start - 1 : start] == b"\n"
            assert b"\n" not in content[start:end]
            assert any(expression.search(content, start, end) for expression in expressions[name])


def test_the_engine_finds_what_broken_builds_miss() -> None:
    pair = (
        Pattern("address", r':\s*"http:\/\/[^"]+"'),
        Pattern("other", r':\s*"sptthyyyyyyyyyy?:\/\/\d{1,3}\.\d{1,3}', caseless=True),
    )
    content = b'      "NS_GEXF": "http://wexf.ne "N'

    assert candidates(content, pair) == [("address", 0, len(content))]


def test_a_long_line_with_many_ends_is_one_candidate() -> None:
    content = b"a" * 1_000_000

    assert candidates(content, (Pattern("run", "a{20,}"),)) == [("run", 0, len(content))]


def test_what_an_engine_refuses_is_an_error() -> None:
    with pytest.raises(ValueError, match="hyperscan"):
        candidates(b"x", (Pattern("back", r"(a)\1"),), "hyperscan")
    with pytest.raises(ValueError, match="engine"):
        candidates(b"x", WORDS, "grep")


@given(st.text(alphabet=st.characters(), max_size=40), st.data())
def test_spans_of_wide_encodings_lead_back_to_the_source(text: str, data: st.DataObject) -> None:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-le": codecs.BOM_UTF32_LE}
    encoding = data.draw(st.sampled_from(sorted(marks)))
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    content = marks[encoding] + text.encode(encoding, "surrogatepass")
    converted, found = as_utf8(content)
    start, end = (len(text[:place].encode("utf-8", "surrogatepass")) for place in (first, last))
    [span] = source_spans([Span(start, end, "KEY", "test", 1.0)], converted, found)

    if not text.startswith("\0"):  # a mark of UTF-16 and a NUL are a mark of UTF-32
        assert found == encoding
        assert content[span.start : span.end] == text[first:last].encode(encoding, "surrogatepass")


def test_other_bytes_are_taken_as_they_are() -> None:
    for content in (b"", b"key", b"\xff", codecs.BOM_UTF8 + b"key", b"k\0e\0"):
        assert as_utf8(content) == (content, "")


def test_half_a_character_at_the_end_costs_nothing() -> None:
    assert as_utf8(codecs.BOM_UTF16_LE + "key".encode("utf-16-le") + b"x") == (b"key", "utf-16-le")


def test_libraries_load_after_the_engine() -> None:
    use = "from stackcurate.kernels.byte_patterns import *; candidates(b'x', (Pattern('x', 'x'),))"
    subprocess.run([sys.executable, "-c", f"{use}; import pyarrow.compute"], check=True)
