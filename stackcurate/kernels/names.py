r"""Persons: the names that an attribution holds.

Most names in code stand behind an anchor (a copyright line, an author field, a trailer, an e-mail address), so
rules find them in any script and a language model reads only the anchored lines that the rules leave open. A
whole file is never given to the model: on code it calls identifiers persons.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import regex

from stackcurate.kernels.byte_patterns import Pattern, Span
from stackcurate.kernels.contacts import OBFUSCATED_AT
from stackcurate.kernels.name_blocks import BLOCK_GATES, find_block
from stackcurate.kernels.person_names import (
    AFTER,
    BEFORE,
    FULL_NAME,
    NAME_WORD,
    OTHER_SCRIPT,
    is_known,
    is_person,
    looks_spelled,
    name_end,
    people,
    words,
)

__all__ = ["BLOCK_GATES", "GATES", "find", "find_block"]

_GATE_WORDS = r"(?:[Tt]hanks?(?: you)?|THANKS|[Kk]udos|[Cc]ourtesy|[Cc]redits?|[Ff]rom|[Bb]y|to|of)"

GATES = (
    Pattern(
        "names.field",
        r"(?:author|creator|maintainer|contributor|developer|contact|credits)(?:s|_|name)?[^a-z\n]"
        r"|(?:given|family)[_-]?names?[\"': ]|(?:written|created|made|coded|developed|maintained|authored) by"
        r"|\xe4\xbd\x9c\xe8\x80\x85|^[.]an ",
        caseless=True,
    ),
    Pattern("names.copyright", r"^[ \t]*[#*/;%]+[ \t]{4,}(?:19|20)[0-9]{2}[0-9, \t-]* [A-Z\xc3-\xd0]"),
    Pattern("names.copyright", r"copyright|\(c\)|\xc2\xa9|&copy;|\xa9 ?[12]|copr\.", True),
    Pattern("names.trailer", r"(?:-by|cc): ", True),
    Pattern(
        "names.mail",
        r"[(\[](?:gh: ?)?@[a-z0-9]"
        r"|[^\n(<,]{2}[,(<\[ ]+(?:mailto:)?[a-z0-9._%+\-]+(?:@|" + OBFUSCATED_AT + r"|[ _]at[ _])[a-z0-9]",
        caseless=True,
    ),
    Pattern("names.url", r"[a-z\x80-\xff]\]? ?[(\[<] ?https?://", True),
    Pattern("names.aside", r"\((?:[a-z]+ )?[A-Z\xc3-\xd0][^ \n()]+ [^\n()]*[a-z\x80-\xff]\)[ .\r]*$"),
    Pattern("names.prose", _GATE_WORDS + r"[ :]+(?:also )?(?:to |of |by )?[A-Z\xc3-\xd0][^ \n]* +[a-zA-Z\xc3-\xd0]"),
)
"""Necessary conditions of the rules below, for one pass over the bytes."""

_PLACEHOLDER = regex.compile(r"<NAME(?:_\d+)?>|REDACTED_NAME")


Persons = Callable[[str], list[tuple[int, int]]]
"""Gives start and end of the persons in a text, in characters."""


def find(text: str, fired: set[str], persons: Persons | None = None) -> list[Span]:
    """Return the persons on a line, in characters from its start.

    Args:
        text: one line, or a piece of a long one.
        fired: names of the gates that fired on it.
        persons: reads anchored prose that the rules leave open; None for nobody.

    >>> find("# Copyright (c) 2019 Karin Lindqvist", {"names.copyright"})
    [Span(start=21, end=36, entity='NAME', rule='names.copyright', score=0.9)]
    """
    found = [span for gate, rule in _RULES.items() if gate in fired for span in rule(text)]
    if not found and persons and "names.prose" in fired and _OPEN.search(text) and not _PLACEHOLDER.search(text):
        return list(_model_names(text, persons))
    return found


_FIELD = regex.compile(
    r"(?i)(?<![\p{L}\p{N}.])(?P<key>(?:[@\\]|__|:|s\.)?"
    r"(?:(?:(?:original|first|main|code|package)[ _-])?"
    r"(?:authors?|maintainers?|contributors?|developers?|creators?|credits)"
    r"|(?:author|maintainer|creator|contact|given|family)[_ -]?names?|(?:author|maintainer)[_-]e?mail|contact"
    r"|dc:creator)(?:__)?)"
    r"(?:\([sS]\))?(?P<quote>\\?[\"'])?\s*(?P<sep>=>|:=|[:=：]|(?=[\s{])|>)\s*(?P<open>[\[({]*\s*u?\\?[\"'`\[]*)"
)


def _field_names(text: str) -> Iterator[Span]:
    """Find names in fields: `Author: X`, `@author X`, `__author__ = "X"`, `"author": "X"`, `<author>X</author>`."""
    for match in _FIELD.finditer(text):
        key, quoted = match["key"].lower(), match["open"].strip(" ([{") != ""
        tag = key.startswith(("@", "\\"))
        unquoted = match["sep"] in {"=", ":=", "=>"} and not quoted and not _is_setting(text, match)
        no_tag = match["sep"] == ">" and "<" not in text[: match.start()]
        if unquoted or no_tag or not (match["sep"] or tag):
            continue
        dunder = key.startswith("__") or match["sep"] == ">" or regex.search("[_-]name", key)
        comment = match["sep"] in {":", "："} and not quoted and not match["quote"] and _COMMENT_FIELD.match(text)
        manifest = bool(match["quote"]) and quoted
        end = _value_end(text, match.end(), quoted)
        yield from people(text, match.end(), end, "names.field", lone=bool(tag or dunder or comment or manifest))
    for match in [*_MANUAL.finditer(text), *_ROLE.finditer(text)]:
        if is_person(match["name"]) and (match.re is _MANUAL or is_known(match["name"])):
            yield Span(match.start("name"), match.end("name"), "NAME", "names.field", 0.85)
    for match in _SPELLED.finditer(text):
        yield from people(text, match.end(), min(len(text), match.end() + 200), "names.field", lone=False)


_MANUAL = regex.compile(rf"(?m)^\.An (?:-\w+ )?\"?(?P<name>{FULL_NAME})")
_ROLE = regex.compile(
    rf"{BEFORE}(?P<name>{FULL_NAME}),? (?:is|was) (?:the |an? |one of the )(?:\w+ ){{0,3}}"
    r"(?:authors?|maintainers?|creators?|developers?|contributors?)\b"
)
_COMMENT_FIELD = regex.compile(
    r"\s*+(?:[#%;!|'\"]++|//++|/?\*++|--++|<!--|rem\b|dnl\b)*+\s*+(?:\p{Lu}\p{Ll}* )?(?:\p{Lu}|@|:|\\)[\p{L}() ]*:?:"
)
_SPELLED = regex.compile(r"(?i)\b(?:written|created|made|coded|developed|maintained|authored) by:?\s+|作者\s*[:：]?\s*")


def _is_setting(text: str, match: Any) -> bool:
    """Say whether a line is `author = First Last` of a file of settings, where a value has no quotes."""
    return bool(regex.fullmatch(rf"\s*[\w-]+\s*=\s*{FULL_NAME}[\s,]*", text)) and match.start() <= 1


def _value_end(text: str, start: int, quoted: bool) -> int:
    """Return where a value ends: at the closing quote, else at the end of the line or of the tag."""
    stop = (_QUOTED_END if quoted else _PLAIN_END).search(text, start)
    return min(stop.start() if stop else len(text), start + 400)


_QUOTED_END = regex.compile(r"[\]})]|\\?[\"'`]\s*(?:[:=)\]}]|$)")
_PLAIN_END = regex.compile(r"[{}]|</|\*/|-->|\\n|\\r|https?:")


_COPYRIGHT = regex.compile(
    r"(?i)(?:(?:copyright(?:ed|s|[_-]?(?:holders?|owners?|text|notice))?(?![\p{L}_-])"
    r"|copr\.|&copy;|©|(?<![\p{L}\p{N}_])\(c\)|\N{REPLACEMENT CHARACTER})[\s:,]*)+"
    r"(?:(?:19|20)\d\d\b|present|today|now|[\d\s,/;–—-]|to(?=\s)|by\b|-\*-|©|\(c\)|&copy;|copyright|:)*"
)


def _copyright_names(text: str) -> Iterator[Span]:
    for match in _COPYRIGHT.finditer(text):
        end = regex.compile(r"(?i)\ball rights|\bsee\b|\blicen[sc]ed?\b|https?:|\\n|\*/").search(text, match.end())
        stop = min(end.start() if end else len(text), match.end() + 200)
        yield from people(text, match.end(), stop, "names.copyright", lone=False)
    holder = _NEXT_HOLDER.match(text)
    if holder and is_known(holder["name"]) and is_person(holder["name"]):
        yield Span(holder.start("name"), name_end(text, *holder.span("name")), "NAME", "names.copyright", 0.8)


_NEXT_HOLDER = regex.compile(
    rf"[ \t]*[#*/;%]+[ \t]{{4,}}(?:19|20)\d\d[\d, \t-]*[ \t](?P<name>{FULL_NAME})\s*(?:$|[<(,])"
)
"""Of a list of years and holders that goes on below the word copyright."""

_TRAILER = regex.compile(
    r"(?i)\b(?:signed-off|co-authored|co-developed|reviewed|acked|tested|reported|suggested|requested|helped|approved"
    r"|reported-and-tested|debugged|submitted|thanked|committed|authored)-by:\s+|^\s*(?:[>#*]\s*)?cc:\s+"
)


def _trailer_names(text: str) -> Iterator[Span]:
    for match in _TRAILER.finditer(text):
        mail = regex.compile(r"[<(\"\\]").search(text, match.end())
        yield from people(text, match.end(), mail.start() if mail else len(text), "names.trailer", lone=bool(mail))


_SPELLED_DOT = r"(?:[ \t]*[(\[{<]dot[)\]}>][ \t]*|[ \t]dot[ \t]|_dot_)"
_MAIL = (
    rf"(?i:[\w+%-]+(?:(?:\.|{_SPELLED_DOT})[\w+%-]+)*"
    rf"(?:(?:@|{OBFUSCATED_AT})[\w-]+(?:\.|{_SPELLED_DOT})|[ \t_]at[ \t_][\w-]+{_SPELLED_DOT})\w)"
)
_BEFORE_MAIL = regex.compile(
    rf"{BEFORE}(?P<name>{FULL_NAME}|{OTHER_SCRIPT}|{NAME_WORD})(?:\s*,|\\?[\"'])?\s*"
    rf"(?:[<(\[]\s*(?:mailto:)?|[ \t]+-?-?[ \t]*)(?P<mail>{_MAIL})"
)
_LOCAL = regex.compile(r"[\w-]+")
_TEAM = regex.compile(r"Language-Team: *$")
"""A header of message catalogues; a language stands there."""


_BEFORE_HANDLE = regex.compile(
    rf"{BEFORE}(?P<name>{FULL_NAME}|{OTHER_SCRIPT})\s*[(\[]\s*(?:gh:\s*)?@(?P<user>[\p{{L}}\p{{N}}-]{{2,39}})[)\]]"
)


def _mail_names(text: str) -> Iterator[Span]:
    for match in _BEFORE_HANDLE.finditer(text):
        if is_person(match["name"]) and not regex.fullmatch(r"user\d+", match["user"]):
            if is_known(match["name"]) or not regex.search(r"\p{L}", text[: match.start()]):  # else what the person did
                yield Span(match.start("name"), match.end("name"), "NAME", "names.handle", 0.9)
            yield Span(match.start("user"), match.end("user"), "USERNAME", "names.handle", 0.9)
    for match in _BEFORE_MAIL.finditer(text):
        start, end = match.span("name")
        local = _LOCAL.match(match["mail"])
        of_a_group = " " not in match["name"] and local and local[0].lower() in words("roles")
        if is_person(text[start:end]) and not of_a_group and not _TEAM.search(text, 0, start):
            yield Span(start, name_end(text, start, end), "NAME", "names.mail", 0.95)


_LINKED = regex.compile(rf"{BEFORE}(?P<name>{FULL_NAME})\]?\s?[(\[<]\s?https?://(?P<url>[^\s)>\]]{{4,200}})")


def _linked_names(text: str) -> Iterator[Span]:
    """Find names that link to a page of the person, whose address holds a part of the name."""
    for match in _LINKED.finditer(text):
        name, url = match["name"], match["url"].lower()
        parts = [part for part in _plain(name).split() if len(part) > 2]
        if is_known(name) and is_person(name) and any(part in url for part in parts):
            yield Span(match.start("name"), match.end("name"), "NAME", "names.url", 0.8)


def _plain(name: str) -> str:
    """Return a name without marks above its letters, lower case."""
    return "".join(char for char in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(char))


_ASIDE = regex.compile(
    rf"\((?i:(?:by|from|via|thanks(?: to)?|patch by|thx),? )?(?P<name>{FULL_NAME})"
    rf"(?:(?:,| and|, and| &) (?P<name>{FULL_NAME}))*\)[\s.]*$"
)


def _aside_names(text: str) -> Iterator[Span]:
    """Find who made a change, in brackets at the end of its line."""
    for match in _ASIDE.finditer(text):
        for start, end in match.spans("name"):
            if is_known(text[start:end]) and is_person(text[start:end]):
                yield Span(start, name_end(text, start, end), "NAME", "names.aside", 0.8)


_THANKED = regex.compile(
    r"(?i:\b(?:thanks|thank you|kudos|courtesy|credits?|by|from|of|due to|to))[ :]+(?i:(?:also )?(?:to |of )?)"
    rf"(?P<name>{FULL_NAME})(?:(?:,| and|, and| &)[ ](?P<name>{FULL_NAME}))*{AFTER}"
)


def _prose_names(text: str) -> Iterator[Span]:
    """Find names in acknowledgements, where a known first name makes sure that it is a person."""
    for match in _THANKED.finditer(text):
        for start, end in match.spans("name"):
            if is_known(text[start:end]) and is_person(text[start:end]):
                yield Span(start, name_end(text, start, end), "NAME", "names.prose", 0.8)


_RULES = {
    "names.field": _field_names,
    "names.copyright": _copyright_names,
    "names.trailer": _trailer_names,
    "names.mail": _mail_names,
    "names.url": _linked_names,
    "names.aside": _aside_names,
    "names.prose": _prose_names,
}

_OPEN = regex.compile(
    r"(?i:\b(?:thank(?:s|ed)?|kudos|courtesy|credits?|contribut(?:ed|ions?)|written|authored|maintained|reported|suggested"
    r"|implemented|developed|invented|ported|patch(?:es)?|idea|originally|found|fixed|adapted|translated)\b)"
    rf"[^\n]*{BEFORE}{FULL_NAME}"
)
"""What the model is asked about: a word of thanks or of authorship, then two capitalised words."""


def _model_names(text: str, persons: Persons) -> Iterator[Span]:
    for start, end in persons(text):
        name = regex.compile(rf"{BEFORE}{FULL_NAME}{AFTER}").search(text, start, end)
        if name and is_person(name[0]) and looks_spelled(name[0]):
            yield Span(name.start(), name_end(text, *name.span()), "NAME", "presidio.person", 0.6)
