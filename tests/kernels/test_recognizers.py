"""Presidio behind the gate: the spans and scores of the unmodified library, on real files and on made-up entities."""

import random
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import presidio_analyzer.predefined_recognizers as presidio
import pytest
import tldextract

from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.recognizers import GATES, on_line, presidio_findings


@cache
def unmodified() -> list[Any]:
    return [getattr(presidio, gate.name)() for gate in GATES]


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Let tldextract use the suffixes that it brings along, as it does where there is no network."""
    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()


def theirs(text: str) -> list[Span]:
    found = [(made, hit) for made in unmodified() for hit in made.analyze(text, made.supported_entities)]
    return sorted(
        Span(hit.start, hit.end, hit.entity_type, type(made).__name__, float(hit.score)) for made, hit in found
    )


PIECES = [
    "karin@firma.se", "a.b+c@x-y.co.uk", "a@b", "@app.route", "jos\u00e9@caf\u00e9.fr", "x@2x.png",
    "git@github.com:a/b", "54.12.33.177", "256.1.1.1", "1.2.3.4.5", "2a01:4f8:c17:b0f::2", "::", "std::vector",
    "fe80::1%eth0", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7",
    "001b.4411.3ab7", "ff:ff:ff:ff:ff:ff", "12:34:56", "4111111111111111", "4111-1111-1111-1111",
    "5500 0000 0000 0004", "4\u0661\u0661\u06611111111111111", "378282246310005", "GB33BUKB20201555555555",
    "DE89 3704 0044 0532 0130 00", "de89370400440532013000", "GB33BUKB20201555555556",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "1\u212a\u017f" + "a" * 30, "3" * 40, " ", "\n", "\r\n", ".", ",", "-", "x", "=", "\u00e9", "\u65e5\u672c",
    "(", ")", '"', "\t", "1", "\ud800",
]  # fmt: skip


def test_findings_are_those_of_presidio_on_made_up_entities() -> None:
    rng = random.Random(3)
    found = 0
    for _ in range(1500):
        text = "".join(rng.choices(PIECES, k=rng.randint(1, 9)))
        assert presidio_findings(text) == theirs(text), text
        found += len(presidio_findings(text))

    assert found > 1500


def test_findings_are_those_of_presidio_on_real_files() -> None:
    root = Path(sysconfig.get_paths()["purelib"])
    paths = sorted(path for path in root.glob("*/*.[phjm][ysd]*") if 50 < path.stat().st_size < 8000)
    found = 0
    for path in paths[:: max(1, len(paths) // 250)]:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert presidio_findings(text) == theirs(text), path
        found += len(presidio_findings(text))

    assert found


@pytest.mark.parametrize("engine", ["hyperscan", "re"])
def test_each_entity_is_found_by_each_engine(engine: str) -> None:
    text = "\n".join(PIECES)

    assert presidio_findings(text, engine) == theirs(text)
    assert {span.rule for span in presidio_findings(text, engine)} == {gate.name for gate in GATES}


def test_a_long_address_and_many_scopes_take_linear_time() -> None:
    scopes = presidio_findings("a::b " * 20_000)

    assert [(span.start, span.end, span.score) for span in scopes] == [
        (5 * at, 5 * at + 3, 0.6) for at in range(20_000)
    ]
    assert presidio_findings("x" * 50_000 + " @ " + "y." * 20_000) == []


def test_nothing_gives_nothing() -> None:
    assert presidio_findings("") == []
    assert list(on_line("IpRecognizer", "x = 1")) == []
