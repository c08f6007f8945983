"""Presidio's recognizers of patterns behind a gate: the findings of a whole text, read from candidate lines only.

The findings are those of the unmodified library, spans and scores, with the public suffixes that tldextract brings
along. What of these is personal data is decided in `contacts` and `network_addresses`.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import regex

from stackcurate.kernels.byte_patterns import Pattern, Span, candidates

_DIGIT = r"(?:[0-9]|[\xc2-\xf4][\x80-\xbf]{1,3})"
r"""One of any script: ``\d`` of the recognizers is that of Unicode."""

GATES = (
    Pattern(
        "EmailRecognizer", r"[0-9A-Za-z_!#$%&'*+\-/=?^`{|}~\x80-\xff]@[0-9A-Za-z_.\-\x80-\xff]*\.[0-9A-Za-z_\x80-\xff]"
    ),
    Pattern("IpRecognizer", r"::|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]|[0-9](?:\.[0-9]{1,3}){2}\.[0-9]"),
    Pattern("CreditCardRecognizer", rf"[13456]{_DIGIT}{{3}}[- ]?{_DIGIT}{{3,4}}[- ]?{_DIGIT}{{3,4}}[- ]?{_DIGIT}{{3}}"),
    Pattern("IbanRecognizer", r"[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){2}"),
    Pattern("CryptoRecognizer", r"(?:bc1|[13])[a-z0-9\x80-\xff]{25}", caseless=True),
    Pattern("MacAddressRecognizer", r"(?:[0-9A-Fa-f]{2}[:\-]){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"),
)
"""What a line must hold for a recognizer, by the name of its class, to find anything there."""

_ADDRESS_RUN = regex.compile(r"[\w!#$%&'*+\-/=?^`{|}~.@]++")
"""Characters of an e-mail address: the recognizer's expression is quadratic in all others that it is given."""


def presidio_findings(text: str, engine: str = "") -> list[Span]:
    """Return what Presidio's recognizers of patterns find in a text, in characters, in order.

    Args:
        text: of any length; findings never cross a line feed.
        engine: of `byte_patterns`; by default the fastest that is installed.

    Returns:
        Spans with Presidio's names of entities and scores without context; the rule is the recognizer.

    >>> [(span.entity, span.score) for span in presidio_findings("std::x of karin@firma.se")]
    [('IP_ADDRESS', 0.6), ('EMAIL_ADDRESS', 1.0)]
    """
    content = text.encode("utf-8", "surrogatepass")
    found: list[Span] = []
    seen = offset = 0
    for name, start, end in candidates(content, GATES, engine):
        offset += len(content[seen:start].decode("utf-8", "surrogatepass"))
        seen = start
        line = content[start:end].decode("utf-8", "surrogatepass")
        found += [hit._replace(start=offset + hit.start, end=offset + hit.end) for hit in on_line(name, line)]
    return sorted(found)


def on_line(name: str, line: str) -> Iterator[Span]:
    """Yield what a recognizer finds on a line, in characters from its start.

    Args:
        name: of the recognizer's class.
        line: text without a line feed.
    """
    pieces = [(0, line)]
    if name == "EmailRecognizer":
        pieces = [(run.start(), run[0]) for run in _ADDRESS_RUN.finditer(line) if "@" in run[0]]
    for first, piece in pieces:
        for start, end, score in _matches(name, piece):
            yield Span(first + start, first + end, recognizer(name).supported_entities[0], name, score)


_NEEDS = {"IPv4": ".", "IPv6": ":"}
"""What a pattern cannot match without, by its name."""


def _matches(name: str, piece: str) -> list[tuple[int, int, float]]:
    """Return start, end and score of each result: `analyze` without the explanation that it writes of each."""
    made = recognizer(name)
    if name == "IbanRecognizer":  # it tries the groups of a match one by one
        return [(hit.start, hit.end, float(hit.score)) for hit in made.analyze(piece, made.supported_entities)]
    hits = [
        (*match.span(), score)
        for need, expression, base in _patterns(name)
        if need in piece
        for match in expression.finditer(piece)
        if (score := _score(name, match[0], base)) > 0
    ]
    return _outermost(sorted(hits, key=lambda hit: (-hit[2], hit[0], hit[0] - hit[1])))


@lru_cache(maxsize=4096)  # of `std::`, `d::` is an address
def _score(name: str, value: str, base: float) -> float:
    made = recognizer(name)
    valid = made.validate_result(value)
    score = base if valid is None else float(valid)
    return 0.0 if made.invalidate_result(value) else score


def _outermost(hits: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Drop results within one that is as sure; those are sorted by start, and only the last before one can hold it."""
    kept: list[tuple[int, int, float]] = []
    for hit in hits:
        place = bisect_right(kept, (hit[0], sys.maxsize))
        if not place or kept[place - 1][1] < hit[1]:
            kept.insert(place, hit)
    return kept


@cache
def _patterns(name: str) -> tuple[tuple[str, regex.Pattern[str], float], ...]:
    made = recognizer(name)
    return tuple(
        (_NEEDS.get(pattern.name, ""), regex.compile(pattern.regex, made.global_regex_flags), pattern.score)
        for pattern in made.patterns
    )


@cache
def recognizer(name: str) -> Any:
    """Make a recognizer once per process, by the name of its class: no AnalyzerEngine, no language model."""
    from presidio_analyzer import predefined_recognizers as presidio

    class EmailRecognizer(presidio.EmailRecognizer):  # type: ignore[misc]
        """Presidio's, with the public suffixes that tldextract brings along instead of those of the network."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes()(pattern_text).fqdn)

    return {"EmailRecognizer": EmailRecognizer}.get(name, getattr(presidio, name))()


@cache
def suffixes() -> Any:
    """Return tldextract's parser of hosts with the list of public suffixes that it brings along."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
