r"""Secrets in the bytes of a file: keys, tokens and passwords, as spans that cover them whole.

One pass over the bytes finds the lines that can hold a secret (`byte_patterns`); the exact rules read only
these: token formats (`secret_rules`), packs of rules of other scanners (`secret_packs`), the plugins of
detect-secrets, assignments by name (`secret_assignments`), JSON Web Tokens, private keys and literals that are
split over several strings. What is found once is found wherever it stands in the file. No pragma in the text
switches anything off.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

from stackcurate.config import setting
from stackcurate.kernels import secret_assignments, secret_packs, secret_plugins
from stackcurate.kernels.byte_patterns import Candidate, Pattern, Span, as_utf8, candidates, source_spans
from stackcurate.kernels.secret_plugins import detect_secrets_findings
from stackcurate.kernels.secret_rules import entropy, has_checksum, is_placeholder, secret_of, token_rules

__all__ = ["SecretsConfig", "detect_secrets_findings", "find"]

_JWT = re.compile(
    rb"(?:(?<![A-Za-z0-9_\-])|(?<=\\[nrt]))(eyJ[A-Za-z0-9_\-]{8,})\.[A-Za-z0-9_\-]{2,}(?:\.[A-Za-z0-9_\-]*){0,3}"
)
_SPELLED_SIGNATURE = re.compile(rb"\.[a-z][a-z_\-]{0,19}$")
"""Of a documented example: 20 random characters are never all lower case."""
_BEGIN = re.compile(rb"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}|PuTTY-User-Key-File-[23]:[^\n]*")
_BORDER = re.compile(rb"(?P<end>-{4,5} ?END |Private-MAC:)|-{4,5} ?BEGIN ")
_PEM_LONGEST = 32_768
_PEM_PIECE = re.compile(rb"\\[a-zA-Z]|[A-Z][A-Za-z\-]{2,30}: [^\n\\]*|([+/]*+[A-Za-z0-9][A-Za-z0-9+/=]*)")
_CHAIN = re.compile(
    rb"""(["'])[A-Za-z0-9_\-.+/=]{2,512}+\1(?:\s{0,20}[+.&\\]?\s{0,200}(["'])[A-Za-z0-9_\-.+/=]{2,512}+\2){1,5000}+"""
)
_LITERAL = re.compile(rb"""(["'])([A-Za-z0-9_\-.+/=]{2,512}+)\1""")
_CHAIN_BEGIN = r"""["'][A-Za-z0-9_\-.+/=]{2,512}["'][ \t]{0,20}[+.&\\]?[ \t\r]{0,20}(?:["'][A-Za-z0-9_\-.+/=]{2}|$)"""
_MIXED = re.compile(rb"\d.*[A-Za-z]|[A-Za-z].*\d", re.DOTALL)
_CHAIN_LONGEST = 65_536


@dataclass(frozen=True, kw_only=True)
class SecretsConfig:
    """What counts as a secret."""

    min_password: int = setting(5, "shortest password that is redacted, in bytes")
    min_entropy: float = setting(3.2, "least entropy of a key known by a weak name (key, token), in bits per byte")
    min_repeat: int = setting(8, "shortest secret that is looked for elsewhere in the file, in bytes")
    keep_words: tuple[str, ...] = setting((), "further words that mark a value as a placeholder")
    packs: tuple[str, ...] = setting(secret_packs.PACKS, "packs of rules of other scanners that are looked for as well")

    def __post_init__(self) -> None:
        secret_packs.pack_rules(self.packs)
        if self.min_password < 1 or self.min_repeat < 4:
            raise ValueError("min_password must be at least 1, min_repeat at least 4")
        if not 0 <= self.min_entropy <= 8:
            raise ValueError(f"min_entropy: expected 0 to 8, found {self.min_entropy}")


def find(content: bytes, config: SecretsConfig = SecretsConfig()) -> list[Span]:
    r"""Return where secrets stand in a file.

    Args:
        content: bytes of one file in any encoding; UTF-16 and UTF-32 are known by their byte order mark.
        config: limits and further placeholders.

    Returns:
        Spans in bytes of `content`, of entity ``KEY`` or ``PASSWORD``, in order, none within another.

    >>> find(b"DB_PASSWORD=s3Cr3t!pAss\n")
    [Span(start=12, end=23, entity='PASSWORD', rule='assignment', score=0.7)]
    """
    spans = _found(content, config)
    text, encoding = as_utf8(content)
    if encoding:  # the mark may also be an accident: the bytes themselves are read in any case
        spans = _outermost([*spans, *source_spans(_found(text, config), text, encoding)])
    return spans


def _found(content: bytes, config: SecretsConfig) -> list[Span]:
    spans = _outermost(_scan(content, candidates(content, _gate(config.packs)), config))
    return _outermost([*spans, *_repeats(content, spans, config)])


@cache
def _gate(packs: tuple[str, ...]) -> tuple[Pattern, ...]:
    return (
        *_token_gate(),
        *secret_packs.pack_gate(packs),
        *secret_assignments.GATE,
        *secret_plugins.gate(),
        Pattern("jwt", r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{2}"),
        Pattern("private_key", r"BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-[23]:"),
        Pattern("split", _CHAIN_BEGIN),
    )


@cache
def _token_gate() -> tuple[Pattern, ...]:
    return tuple(Pattern(rule.name, rule.gate) for rule in token_rules().values())


@cache
def _known_by_form() -> frozenset[str]:
    """Return the rules that find a secret wherever it stands."""
    return frozenset({"jwt", "private_key", *(rule.name for rule in token_rules().values() if not rule.exact.groups)})


def _scan(content: bytes, lines: list[Candidate], config: SecretsConfig) -> list[Span]:
    spans: list[Span] = []
    chain_end = 0
    packs = secret_packs.pack_rules(config.packs)
    for name, start, end in lines:
        if name in token_rules():
            spans += _tokens(name, content, start, end, config)
        elif name in packs:
            spans += _pack_tokens(packs[name], content, start, end, config)
        elif name == "assignment":
            spans += _assignments(content, start, end, config)
        elif name == "jwt":
            spans += _web_tokens(content, start, end)
        elif name == "private_key":
            spans += _private_keys(content, start, end)
        elif name != "split":
            spans += _plugin_tokens(name, content, start, end, config)
        elif end > chain_end:
            found, chain_end = _split_tokens(content, max(start, chain_end), end, config)
            spans += found
    return spans


def _tokens(name: str, content: bytes, start: int, end: int, config: SecretsConfig) -> Iterator[Span]:
    rule = token_rules()[name]
    for match in rule.exact.finditer(content, start, end):
        first, last = secret_of(rule, match)
        value = content[first:last]
        by_form = not rule.exact.groups
        if entropy(value) >= rule.entropy and not is_placeholder(value, config.keep_words, by_form=by_form):
            yield Span(first, last, rule.entity, rule.name, 1.0 if has_checksum(name, value) else 0.95)


def _pack_tokens(
    rule: secret_packs.PackRule, content: bytes, start: int, end: int, config: SecretsConfig
) -> Iterator[Span]:
    for first, last in secret_packs.find(rule, content, start, end):
        value = content[first:last]
        if entropy(value) > rule.entropy and not is_placeholder(value, config.keep_words):
            yield Span(first, last, "KEY", rule.name, 0.85)


def _plugin_tokens(name: str, content: bytes, start: int, end: int, config: SecretsConfig) -> Iterator[Span]:
    for first, last in secret_plugins.find(name, content, start, end):
        value = content[first:last]
        if entropy(value) >= config.min_entropy and not is_placeholder(value, config.keep_words):
            yield Span(first, last, "KEY", name, 0.8)


def _assignments(content: bytes, start: int, end: int, config: SecretsConfig) -> Iterator[Span]:
    found = secret_assignments.assigned(
        content,
        start,
        end,
        least=config.min_password,
        key_entropy=config.min_entropy,
        keep=config.keep_words,
    )
    for entity, pieces, score in found:
        for first, last in pieces:
            yield Span(first, last, entity, "assignment", score)


def _web_tokens(content: bytes, start: int, end: int) -> Iterator[Span]:
    for match in _JWT.finditer(content, start, end):
        if _is_jose_header(match[1]) and not _SPELLED_SIGNATURE.search(match[0]):
            yield Span(match.start(), match.end(), "KEY", "jwt", 0.99)


def _is_jose_header(part: bytes) -> bool:
    try:
        header = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and ("alg" in header or "typ" in header)


def _private_keys(content: bytes, start: int, end: int) -> Iterator[Span]:
    r"""Yield the pieces of base64 between the BEGIN and END lines, so that lines, quotes and escapes stay."""
    for begin in _BEGIN.finditer(content, start, end):
        border = _BORDER.search(content, begin.end(), begin.end() + _PEM_LONGEST)
        limit = border.start() if border else begin.end() + _PEM_LONGEST
        pieces = [piece.span(1) for piece in _PEM_PIECE.finditer(content, begin.end(), limit) if piece[1]]
        if border and border["end"]:
            body = [(first, last) for first, last in pieces if last - first >= 16 or (first, last) == pieces[-1]]
        else:  # cut off: as far as whole lines of base64 go
            body = list(takewhile(lambda piece: piece[1] - piece[0] >= 40, pieces))
        if any(last - first >= 40 and entropy(content[first:last]) > 4.0 for first, last in body):
            yield from (Span(first, last, "KEY", "private_key", 0.99) for first, last in body)


def _split_tokens(content: bytes, start: int, end: int, config: SecretsConfig) -> tuple[list[Span], int]:
    """Return the pieces of tokens written as several literals side by side, and where the last chain ends."""
    spans: list[Span] = []
    reached = start
    for first_literal in _LITERAL.finditer(content, start, end):
        if first_literal.start() < reached:
            continue
        chain = _CHAIN.match(content, first_literal.start(), first_literal.start() + _CHAIN_LONGEST)
        if chain is None:
            continue
        reached = chain.end()
        pieces = [piece.span(2) for piece in _LITERAL.finditer(content, chain.start(), chain.end())]
        joined = b"".join(content[first:last] for first, last in pieces)
        for token in _token_spans(joined, config):
            spans += (token._replace(start=first, end=last) for first, last in _overlapping(pieces, token))
    return spans, reached


def _token_spans(content: bytes, config: SecretsConfig) -> Iterator[Span]:
    for name, start, end in candidates(content, _token_gate()):
        yield from _tokens(name, content, start, end, config)


def _overlapping(pieces: list[tuple[int, int]], token: Span) -> Iterator[tuple[int, int]]:
    position = 0
    for first, last in pieces:
        if position < token.end and position + last - first > token.start:
            yield first, last
        position += last - first


def _outermost(spans: list[Span]) -> list[Span]:
    """Return spans in order without those that lie within another; the surer of equal ones stays."""
    kept: list[Span] = []
    for span in sorted(set(spans), key=lambda s: (s.start, -s.end, -s.score, s.rule)):
        if not kept or span.end > kept[-1].end:
            kept.append(span)
    return kept


def _repeats(content: bytes, spans: list[Span], config: SecretsConfig) -> Iterator[Span]:
    """Yield where else stands what only its surroundings gave away, if it is long enough to be no accident."""
    values = {
        content[span.start : span.end]: span
        for span in reversed(spans)
        if span.rule not in _known_by_form() and span.end - span.start >= config.min_repeat
    }
    values = {value: span for value, span in values.items() if _MIXED.search(value)}
    if not values:
        return
    known = {span.start for span in spans}
    for start, value in _occurrences(content, values):
        if start not in known:
            span = values[value]
            yield Span(start, start + len(value), span.entity, span.rule, span.score)


def _occurrences(content: bytes, values: dict[bytes, Span]) -> Iterator[tuple[int, bytes]]:
    if len(values) == 1:
        value = next(iter(values))
        yield from ((match.start(), value) for match in re.finditer(re.escape(value), content))
        return
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for value in values:
        automaton.add_word(value.decode("latin-1"), value)
    automaton.make_automaton()
    for last, value in automaton.iter(content.decode("latin-1")):
        yield last + 1 - len(value), value
