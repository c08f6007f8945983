"""Authors of a repository in its files: known by hashes alone, whole names only, in any encoding, in linear time."""

import codecs
import time

import pytest

from stackcurate.kernels import pii
from stackcurate.kernels.author_names import find
from stackcurate.kernels.opt_out_targets import author
from tests.corpus_text import author_note

NAMES = """Karin Lindqvist|José Müller|Ludwig van Beethoven|Karin R. Lindqvist Jr.|Иван Петров|Jean-Luc O'Neil
GitHub Actions|Acme Inc|karinl"""
MAILS = ["karin@laptop", "root@localhost", "12345+karinl@users.noreply.github.com"]


def spelled(value: str) -> str:
    return " ".join(value.lower().split())


KNOWN = {*map(spelled, NAMES.replace("\n", "|").split("|")), *(spelled(author(mail)) for mail in MAILS)}


def found(content: bytes) -> list[bytes]:
    return [content[span.start : span.end] for span in find(content, KNOWN, spelled)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Karin Lindqvist said so", "Karin Lindqvist"),
        ("The Karin  Lindqvist Method", "Karin  Lindqvist"),
        ("Karin Lindqvist's code.", "Karin Lindqvist"),
        ("x = {'Jos\\u00e9 M\\u00fcller': 1}", "Jos\\u00e9 M\\u00fcller"),
        ("with Ludwig van Beethoven.\nHe", "Ludwig van Beethoven"),
        ("Karin R. Lindqvist Jr. wrote", "Karin R. Lindqvist Jr."),
        ("сказал Иван Петров", "Иван Петров"),
        ("(Jean-Luc O'Neil)", "Jean-Luc O'Neil"),
        ("on karin@laptop.", "karin@laptop"),
        ("<7+karinl@users.noreply.github.com>", "7+karinl@users.noreply.github.com"),
    ],
)
def test_an_author_is_found(text: str, expected: str) -> None:
    assert found(text.encode()) == [expected.encode()]
    [wide] = found(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    assert wide.decode("utf-16-le") == expected


@pytest.mark.parametrize(
    "text",
    [
        "karin lindqvist, KarinLindqvist, Karin LindqvistX, xKarin Lindqvist, Karin/Lindqvist",
        "Karin\nLindqvist",
        "Karin Other Lindqvist",
        "GitHub Actions by Acme Inc, karinl",
        "root@localhost",
        "\0Karin Lindqvist",
        "",
    ],
)
def test_what_is_no_author_stays(text: str) -> None:
    assert found(text.encode()) == []


def test_bytes_that_are_no_utf_8_cost_nothing() -> None:
    assert found(b"# caf\xe9 of Karin Lindqvist") == [b"Karin Lindqvist"]
    assert find(b"Karin Lindqvist", (), spelled) == []


def test_the_corpus_names_an_author_where_no_other_rule_looks() -> None:
    assert pii.find_spans(author_note().encode()) == []


@pytest.mark.parametrize("piece", ["A ", "Aa-", "A.", "\\u00c9", "a@", "A b ", "Aa'", "Aa van "])
def test_a_hostile_line_takes_linear_time(piece: str) -> None:
    content = (piece * 50_000 + "_ Karin Lindqvist").encode()
    start = time.process_time()
    assert found(content)[-1:] == [b"Karin Lindqvist"]
    assert time.process_time() - start < 2
