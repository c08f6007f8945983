"""Lists of persons that go on for several lines: manifests, author files, holders below their copyright line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import regex

from stackcurate.kernels.byte_patterns import Pattern, Span
from stackcurate.kernels.person_names import FULL_NAME, OTHER_SCRIPT, is_known, is_person, name_end, people

_HEADING = (
    r"(?:^[ \t#/*;.%=-]*(?:the )?(?:(?:main|original|core|lead|primary|other|major|package|project|current) )?"
    r"(?:authors?|contributors?|credits|maintainers?|creators?|acknowledge?ments?|thanks|developers?)"
    r"(?: and [a-z]{4,14})?"
    r"|(?:written|maintained|developed|contributed|created|code|contributions|patches) (?:and [a-z]{4,14} )?by"
    r"|(?:developers|authors|contributors|thanks to)[ \t]*):?"
)

_OPENED = r"(?:authors?|contributors|maintainers|developers|contacts|copyright)[\"']? ?(?:[:=]|=>) ?[\[{(]"

BLOCK_GATES = (
    Pattern("names.block", _OPENED, True),
    Pattern("names.block", r"<(?:author|contributor|developer)s?>[ \t\r]*$", True),
    Pattern("names.block", r"^(?:authors?|contributors|maintainers):[ \t\r]*$", True),
    Pattern("names.block", _HEADING + r"[ \t\r*:#]*$", True),
    Pattern(
        "names.block", r"(?:copyright|\(c\))[^a-z\n]{1,12}[0-9]{4}[0-9, \t\r-]*$|(?:^|[^a-z0-9_])\(c\)[ \t\r]*$", True
    ),
)
"""Where a list of persons begins that may go on for several lines."""

_BLOCK_VALUE = regex.compile(
    r"(?im)(?:(?<=^|[\s{,\"'(])(?:full_?)?name\\?[\"']?\s*(?:=>|[:=])\s*\\?[\"']?|<name>\s*"
    r"|^\s*-\s+[\"']?(?!\w+:)|[\[,(]\s*\\?[\"'](?=[^\"'\n]*\\?[\"']\s*(?:[,\])]|$)))(?P<value>[^\"'\n<>]+)"
)


def find_block(text: str) -> list[Span]:
    r"""Return the persons of a list that may go on for several lines, in characters from the start of the text.

    Args:
        text: what begins with the line on which one of `BLOCK_GATES` fired.

    >>> find_block('authors = [{name = "Karin Lindqvist"}]')
    [Span(start=20, end=35, entity='NAME', rule='names.block', score=0.9)]
    """
    line = text.partition("\n")[0]
    if _BELOW_HEADING.search(line):
        return list(_listed(text, len(line) + 1))
    if _BELOW_YEARS.search(line):
        return list(_holders(text, len(line) + 1))
    brackets = list(islice(_BRACKET.finditer(line), _MOST_LISTS))
    lists = [(match.start(), _closed(text, match.end() - 1)) for match in brackets] or [(0, _dedented(text, len(line)))]
    found: list[Span] = []
    for start, end in lists:
        for match in _BLOCK_VALUE.finditer(text, start, end):
            found += people(text, match.start("value"), match.end("value"), "names.block", lone=False)
    return found


_BRACKET = regex.compile(_OPENED, regex.IGNORECASE)
_MOST_LISTS = 20
"""Lists on one line that are read: what is written by a program may have thousands."""
_DEDENTED = regex.compile(r"</(?:author|contributor|developer)|\n(?=[^\s-])", regex.IGNORECASE)


def _dedented(text: str, start: int) -> int:
    """Return where a list without brackets ends: at the closing tag, or where indentation does."""
    end = _DEDENTED.search(text, start)
    return end.start() if end else len(text)


def _closed(text: str, start: int) -> int:
    """Return where the bracket at the start is closed."""
    depth = 0
    for bracket in regex.compile(r"[\[\](){}]").finditer(text, start):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return int(bracket.end())
    return len(text)


_BELOW_HEADING = regex.compile(_HEADING + r"[\s*:#]*$", regex.IGNORECASE)
_BELOW_YEARS = regex.compile(r"(?i)(?:copyright|\(c\))[^a-z\n]{1,12}[0-9]{4}[0-9,\s-]*$|(?:^|[^a-z0-9_])\(c\)\s*$")
_OPENING = regex.compile(r"[\s#/*;%!|'\"]*+(?:(?P<bullet>[-*+\N{BULLET}]|\d+[.)])\s+)?[\[`]?")
_YEARS = regex.compile(r"(?:(?:19|20)\d\d[\d,\s-]*(?:by )?)?")
_NOTHING = regex.compile(r"[\W_]*")
_LISTED = regex.compile(
    rf"(?P<name>{FULL_NAME}|{OTHER_SCRIPT})(?:(?:,| and|, and| &) (?P<name>{FULL_NAME}))*"
    r"(?=\s*+(?:$|[,.]?$|[(<\[@:;\]`]|--?\s|[\N{EN DASH}\N{EM DASH}]|,|for\s|[\w.+-]+@))",
    regex.MULTILINE,
)
_MOST_OTHER = 2
"""Lines in a row without a name that end a list."""


def _listed(text: str, start: int) -> Iterator[Span]:
    """Find the names that begin the lines below a heading such as `Authors`, as far as the list goes."""
    other, names = 0, 0
    for line in regex.finditer(r"[^\n]+", text[start:]):
        if _NOTHING.fullmatch(line[0]):
            continue
        first, end = start + line.start(), start + line.end()
        opening = _OPENING.match(text, first, end)
        match = _LISTED.match(text, opening.end(), end)
        if match and (names or opening["bullet"] or is_known(match["name"])):
            spans = [span for span in match.spans("name") if is_person(text[slice(*span)])]
            yield from (Span(s, name_end(text, s, e), "NAME", "names.block", 0.85) for s, e in spans)
            other, names = 0, names + len(spans)
        elif (other := other + 1) > _MOST_OTHER:
            return


def _holders(text: str, start: int) -> Iterator[Span]:
    """Find the holder on the line below a copyright line that ends with the years."""
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    years = _YEARS.match(text, _OPENING.match(text, start, end).end(), end)
    match = _LISTED.match(text, years.end(), end)
    if match and not regex.search(r"(?i)\b(?:rights|licen[sc]e)", text[start:end]):
        for s, e in match.spans("name"):
            if is_person(text[s:e]):
                yield Span(s, name_end(text, s, e), "NAME", "names.copyright", 0.8)
