r"""Authors of a repository's commits, found in its files by keyed hashes: their names are kept nowhere.

Every run of up to four words that is written like a full name, and every address, is hashed and looked up: the same
answer as from a dictionary of the names in clear, and as fast however many they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import cache

from stackcurate.kernels.byte_patterns import Pattern, Span, as_utf8, candidates, decoded, moved, source_spans
from stackcurate.kernels.network_addresses import kept
from stackcurate.kernels.opt_out_targets import author
from stackcurate.kernels.person_names import is_person, words

_CAPITAL = r"(?:[A-Z\xc3-\xd6]|\\u0[0-4])"  # first byte of what may be a capital; JSON escapes letters
GATES = (
    Pattern("authors.name", rf"{_CAPITAL}[^ \t\r\n]{{0,80}}[ \t]+(?:[^A-Z \t\r\n]{{1,8}}[ \t]+){{0,2}}{_CAPITAL}"),
    Pattern("authors.mail", r"[^ \t\r\n]@[^ \t\r\n]"),
)

_ESCAPE = r"\\u0[0-4][0-9a-fA-F]{2}"
_LETTER = rf"(?:[^\W\d_]|{_ESCAPE})"
_WORD = rf"(?:[^\W\d_a-z]|{_ESCAPE})(?:{_LETTER}|['’.‐-](?={_LETTER}))*+\.?"
_RUN = re.compile(rf"(?<![\w@./-]){_WORD}(?:[ \t]+(?:[^\W\d_A-Z]{{1,4}}[ \t]+){{0,2}}{_WORD})*+")
_FULL = re.compile(rf"(?:(?<=[ \t])|\A){_WORD}")
_MAIL = re.compile(r"(?<![\w.+%-])([\w.+%-]{1,64}+)@\w(?:[\w.-]*\w)?")
_MOST_WORDS = 4
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_TAIL = re.compile(r"(?:\.|['’]s)?$")
"""What may follow a name without being of it."""

_HashOf = Callable[[str], str]


def find(content: bytes, known: Collection[str], hash_of: _HashOf) -> list[Span]:
    """Return where authors of a repository are named or addressed in one of its files.

    A name of one word is no evidence, nor is one of an organisation, a role or a bot.

    Args:
        content: bytes of the file, in any encoding; nothing is found in binary ones.
        known: hashes of the authors' names and of what `opt_out_targets.author` says of their e-mails.
        hash_of: gives such a hash, whatever the case of a name.

    >>> find(b"# ask Karin Lindqvist.", {"karin lindqvist"}, str.lower)
    [Span(start=6, end=21, entity='NAME', rule='authors.name', score=0.95)]
    """
    text, encoding = as_utf8(content)
    if not known or (not encoding and b"\0" in content):
        return []
    found: list[Span] = []
    for gate, start, end in candidates(text, GATES):
        line, codec = decoded(text[start:end])
        spans = (_named if gate == "authors.name" else _addressed)(line, known, hash_of)
        found += [moved(span, line, codec, start) for span in spans]
    return source_spans(sorted(set(found)), text, encoding)


def _named(line: str, known: Collection[str], hash_of: _HashOf) -> Iterator[Span]:
    for run in _RUN.finditer(line):
        text, offset = run[0], run.start()
        parts = [word.span() for word in _FULL.finditer(text)]
        for first, (start, _) in enumerate(parts):
            for _, last in parts[first + 1 : first + _MOST_WORDS]:
                for end in {last, start + len(_TAIL.sub("", text[start:last]))}:
                    name = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text[start:end])
                    if hash_of(name) in known and is_person(name):
                        yield Span(offset + start, offset + end, "NAME", "authors.name", 0.95)


def _addressed(line: str, known: Collection[str], hash_of: _HashOf) -> Iterator[Span]:
    for match in _MAIL.finditer(line):
        if match[1].lower() not in _nobody() and hash_of(author(match[0])) in known:
            yield Span(match.start(), match.end(), "EMAIL", "authors.mail", 0.95)


@cache
def _nobody() -> frozenset[str]:
    """Return what stands before the at sign where no person reads."""
    return kept("mailboxes") | kept("users") | words("roles")
