r"""Persons: the names that an attribution holds.

Most names in code stand behind an anchor (a copyright line, an author field, a trailer, an e-mail address), so
rules find them in any script and a language model reads only the anchored lines that the rules leave open. A
whole file is never given to the model: on code it calls identifiers persons.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import regex

from stackcurate.kernels.byte_patterns import Pattern, Span
from stackcurate.kernels.contacts import OBFUSCATED_AT

_GATE_WORDS = r"(?:[Tt]hanks?(?: you)?|THANKS|[Kk]udos|[Cc]ourtesy|[Cc]redits?|[Ff]rom|[Bb]y|to|of)"

GATES = (
    Pattern(
        "names.field",
        r"(?:author|creator|maintainer|contributor|developer|contact|credits)(?:s|_|name)?[^a-z\n]"
        r"|(?:given|family)[_-]?names?[\"': ]|(?:written|created|made|coded|developed|maintained|authored) by"
        r"|\xe4\xbd\x9c\xe8\x80\x85",
        caseless=True,
    ),
    Pattern("names.copyright", r"copyright|\(c\)|\xc2\xa9|&copy;|\xa9 ?[12]|copr\.", True),
    Pattern("names.trailer", r"(?:-by|cc): ", True),
    Pattern(
        "names.mail",
        r"[(\[](?:gh: ?)?@[a-z0-9]"
        r"|[^\n(<,]{2}[,(<\[ ]+(?:mailto:)?[a-z0-9._%+\-]+(?:@|" + OBFUSCATED_AT + r"|[ _]at[ _])[a-z0-9]",
        caseless=True,
    ),
    Pattern("names.prose", _GATE_WORDS + r"[ :]+(?:also )?(?:to |of |by )?[A-Z\xc3-\xd0][^ \n]* +[a-zA-Z\xc3-\xd0]"),
)
"""Necessary conditions of the rules below, for one pass over the bytes."""

BLOCK_GATES = (
    Pattern("names.block", r"(?:authors?|contributors|maintainers|developers)[\"']? ?(?:[:=]|=>) ?[\[{(]", True),
    Pattern("names.block", r"<(?:author|contributor|developer)s?>[ \t\r]*$", True),
    Pattern("names.block", r"^(?:authors?|contributors|maintainers):[ \t\r]*$", True),
)
"""Where a list of persons begins that may go on for several lines."""

_ESCAPED = r"\\u0[0-4][0-9a-fA-F]{2}"  # a letter above U+007F in a JSON string
_LETTER = rf"(?:[\p{{L}}\p{{M}}]|{_ESCAPED})"
_CAPITAL = r"(?:\p{Lu}|\p{Lt}|\\u00[cd][0-9a-fA-F]|\\u0[1-4][0-9a-fA-F]{2})"
_NAME_WORD = rf"{_CAPITAL}(?:{_LETTER}|['’.‐-](?={_LETTER}))*+\.?"
_PARTICLE = (
    r"(?:von|van|vom|der|den|de|del|della|di|da|das|dos|du|la|le|bin|bint|ibn|al|el|ten|ter|zu|zum|af|av|y|e|ap)"
)
_FULL_NAME = rf"{_NAME_WORD}(?:[ \t]+(?:{_PARTICLE}[ \t]+){{0,2}}{_NAME_WORD}){{1,4}}"
_OTHER_SCRIPT = r"\p{Lo}[\p{Lo}\p{M}ー々]*(?:[ ·・　]\p{Lo}[\p{Lo}\p{M}ー々]*){0,3}"
_BEFORE = r"(?<![\p{L}\p{N}_@./-])"
_AFTER = r"(?![\p{L}\p{N}_]|\.[\p{L}_]|\()"
_PERSON = regex.compile(rf"{_FULL_NAME}{_AFTER}|{_OTHER_SCRIPT}(?![\p{{L}}\p{{N}}_])")
_LONE = regex.compile(
    r"[\p{L}](?:[\p{L}\p{N}_.-]{0,37}[\p{L}\p{N}])(?<!\.(?:com|org|net|io|dev))(?=\s*(?:$|[<(\[\"'\\,;*#]))"
)
_PLACEHOLDER = regex.compile(r"<NAME(?:_\d+)?>|REDACTED_NAME")


def find(text: str, fired: set[str], model: str = "") -> list[Span]:
    """Return the persons on a line, in characters from its start.

    Args:
        text: one line, or a piece of a long one.
        fired: names of the gates that fired on it.
        model: spaCy model for anchored prose that the rules leave open; "" for none.

    >>> find("# Copyright (c) 2019 Karin Lindqvist", {"names.copyright"})
    [Span(start=21, end=36, entity='NAME', rule='names.copyright', score=0.9)]
    """
    found = [span for gate, rule in _RULES.items() if gate in fired for span in rule(text)]
    if not found and model and "names.prose" in fired and _OPEN.search(text) and not _PLACEHOLDER.search(text):
        return list(_model_names(text, model))
    return found


@cache
def _words(kind: str) -> frozenset[str]:
    text = resources.files("stackcurate").joinpath("data/pii/words.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)[kind])


@cache
def _given_names() -> frozenset[str]:
    """Return first names of many countries, lower case. Source: Faker, see `data/pii/NOTICE`."""
    text = resources.files("stackcurate").joinpath("data/pii/given_names.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _is_known(name: str) -> bool:
    """Say whether a name begins with a first name that is in use somewhere, or with initials."""
    first = name.split(maxsplit=1)[0].lower()
    return first in _given_names() or first.partition("-")[0] in _given_names() or bool(regex.match(r"\p{Lu}\.", name))


def _is_person(name: str) -> bool:
    """Say whether a well-formed name is not that of an organisation, a role or a stand-in."""
    words = [word.strip(".,'’").lower() for word in name.split()] + name.lower().split()
    return (
        _words("organisations").isdisjoint(words)
        and _words("others").isdisjoint(words)
        and " ".join(name.lower().split()).rstrip(".") not in _words("stand_ins")
        and not any(mark in name for mark in _words("company_marks"))
    )


def _trim(text: str, start: int, end: int) -> int:
    """Drop a genitive and what follows, and a full stop that ends a sentence rather than an initial or a suffix."""
    genitive = regex.search(r"['’]s\b", text[start:end])
    end = start + genitive.start() if genitive else end
    last = text[start:end].rsplit(maxsplit=1)[-1]
    return end - 1 if last.endswith(".") and len(last) > 3 else end


def _people(text: str, start: int, end: int, rule: str, *, lone: bool, score: float = 0.9) -> Iterator[Span]:
    """Split a list of persons and yield those that are; an e-mail address belongs to another detector."""
    for part in _PARTS.finditer(text, start, end):
        if _COMPANY_TAIL.match(text, part.end()):
            continue
        name = _PERSON.match(text, *part.span())
        if name and _is_person(name[0]):
            yield Span(name.start(), _trim(text, *name.span()), "NAME", rule, score)
        elif not name and lone and (single := _LONE.match(text, *part.span())) and _is_person(single[0]):
            entity = "NAME" if single[0][0].isupper() else "USERNAME"
            yield Span(single.start(), single.end(), entity, rule, 0.7)


_COMPANY_TAIL = regex.compile(r"(?i),?\s*(?:inc|llc|ltd|gmbh|corp|co|s\.a|b\.v|pty|plc|ag)\b")
_PARTS = regex.compile(
    r"(?<=^|[\s,;&/+|\"'\[(<>{:：=@*#-]|\\n)(?!(?:and|und|et|with|by)\s)(?=[\p{L}\\])"
    r"(?:(?!\s*(?:[,;&|<(\[\"{}\]>]|'(?!\p{L}))|\s+(?:and|und|et|with|/|-)\s|\\(?!u0)).)+"
)

_FIELD = regex.compile(
    r"(?i)(?<![\p{L}\p{N}.])(?P<key>(?:[@\\]|__|:|s\.)?"
    r"(?:(?:(?:original|first|main|code|package)[ _-])?"
    r"(?:authors?|maintainers?|contributors?|developers?|creators?|credits)"
    r"|(?:author|maintainer|creator|contact|given|family)[_ -]?names?|contact|dc:creator)(?:__)?)"
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
        yield from _people(text, match.end(), end, "names.field", lone=bool(tag or dunder or comment or manifest))
    for match in _SPELLED.finditer(text):
        yield from _people(text, match.end(), min(len(text), match.end() + 200), "names.field", lone=False)


_COMMENT_FIELD = regex.compile(
    r"\s*+(?:[#%;!|'\"]++|//++|/?\*++|--++|<!--|rem\b|dnl\b)*+\s*+(?:\p{Lu}\p{Ll}* )?(?:\p{Lu}|@|:|\\)[\p{L}() ]*:?:"
)
_SPELLED = regex.compile(r"(?i)\b(?:written|created|made|coded|developed|maintained|authored) by:?\s+|作者\s*[:：]?\s*")


def _is_setting(text: str, match: Any) -> bool:
    """Say whether a line is `author = First Last` of a file of settings, where a value has no quotes."""
    return bool(regex.fullmatch(rf"\s*[\w-]+\s*=\s*{_FULL_NAME}[\s,]*", text)) and match.start() <= 1


def _value_end(text: str, start: int, quoted: bool) -> int:
    """Return where a value ends: at the closing quote, else at the end of the line or of the tag."""
    stop = (_QUOTED_END if quoted else _PLAIN_END).search(text, start)
    return min(stop.start() if stop else len(text), start + 400)


_QUOTED_END = regex.compile(r"[\]})]|\\?[\"'`]\s*(?:[:=)\]}]|$)")
_PLAIN_END = regex.compile(r"[{}]|</|\*/|-->|\\n|\\r|https?:")


_COPYRIGHT = regex.compile(
    r"(?i)(?:(?:copyright|copr\.|&copy;|©|\(c\)|\N{REPLACEMENT CHARACTER})[\s:,]*)+"
    r"(?:(?:19|20)\d\d\b|present|today|now|[\d\s,/;–—-]|to(?=\s)|by\b|-\*-|©|\(c\)|&copy;|copyright|:)*"
)


def _copyright_names(text: str) -> Iterator[Span]:
    for match in _COPYRIGHT.finditer(text):
        end = regex.compile(r"(?i)\ball rights|\bsee\b|\blicen[sc]ed?\b|https?:|\\n|\*/").search(text, match.end())
        stop = min(end.start() if end else len(text), match.end() + 200)
        yield from _people(text, match.end(), stop, "names.copyright", lone=False)


_TRAILER = regex.compile(
    r"(?i)\b(?:signed-off|co-authored|co-developed|reviewed|acked|tested|reported|suggested|requested|helped|approved"
    r"|reported-and-tested|debugged|submitted|thanked|committed|authored)-by:\s+|^\s*(?:[>#*]\s*)?cc:\s+"
)


def _trailer_names(text: str) -> Iterator[Span]:
    for match in _TRAILER.finditer(text):
        mail = regex.compile(r"[<(\"\\]").search(text, match.end())
        yield from _people(text, match.end(), mail.start() if mail else len(text), "names.trailer", lone=bool(mail))


_SPELLED_DOT = r"(?:[ \t]*[(\[{<]dot[)\]}>][ \t]*|[ \t]dot[ \t]|_dot_)"
_MAIL = (
    rf"(?i:[\w+%-]+(?:(?:\.|{_SPELLED_DOT})[\w+%-]+)*"
    rf"(?:(?:@|{OBFUSCATED_AT})[\w-]+(?:\.|{_SPELLED_DOT})|[ \t_]at[ \t_][\w-]+{_SPELLED_DOT})\w)"
)
_BEFORE_MAIL = regex.compile(
    rf"{_BEFORE}(?P<name>{_FULL_NAME}|{_OTHER_SCRIPT}|{_NAME_WORD})(?:\s*,)?\s*"
    rf"(?:[<(\[]\s*(?:mailto:)?|[ \t]+-?-?[ \t]*){_MAIL}"
)


_BEFORE_HANDLE = regex.compile(
    rf"{_BEFORE}(?P<name>{_FULL_NAME}|{_OTHER_SCRIPT})\s*[(\[]\s*(?:gh:\s*)?@(?P<user>[\p{{L}}\p{{N}}-]{{2,39}})[)\]]"
)


def _mail_names(text: str) -> Iterator[Span]:
    for match in _BEFORE_HANDLE.finditer(text):
        if _is_person(match["name"]) and not regex.fullmatch(r"user\d+", match["user"]):
            yield Span(match.start("name"), match.end("name"), "NAME", "names.handle", 0.9)
            yield Span(match.start("user"), match.end("user"), "USERNAME", "names.handle", 0.9)
    for match in _BEFORE_MAIL.finditer(text):
        start, end = match.span("name")
        if _is_person(text[start:end]):
            yield Span(start, _trim(text, start, end), "NAME", "names.mail", 0.95)


_THANKED = regex.compile(
    r"(?i:\b(?:thanks|thank you|kudos|courtesy|credits?|by|from|of|due to|to))[ :]+(?i:(?:also )?(?:to |of )?)"
    rf"(?P<name>{_FULL_NAME})(?:(?:,| and|, and| &)[ ](?P<name>{_FULL_NAME}))*{_AFTER}"
)


def _prose_names(text: str) -> Iterator[Span]:
    """Find names in acknowledgements, where a known first name makes sure that it is a person."""
    for match in _THANKED.finditer(text):
        for start, end in match.spans("name"):
            if _is_known(text[start:end]) and _is_person(text[start:end]):
                yield Span(start, _trim(text, start, end), "NAME", "names.prose", 0.8)


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
    found: list[Span] = []
    for match in _BLOCK_VALUE.finditer(text, 0, _block_end(text)):
        found += _people(text, match.start("value"), match.end("value"), "names.block", lone=False)
    return found


def _block_end(text: str) -> int:
    """Return where the list ends: at the closing bracket or tag, or where indentation does."""
    line = text.find("\n") if "\n" in text else len(text)
    opened = regex.compile(r"[\[{(]").search(text, 0, line)
    if not opened:
        closed = regex.compile(r"</(?:author|contributor|developer)|\n(?=[^\s-])", regex.IGNORECASE).search(text, line)
        return closed.start() if closed else len(text)
    depth = 0
    for bracket in regex.finditer(r"[\[\](){}]", text[opened.start() :]):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return int(opened.start() + bracket.end())
    return len(text)


_RULES = {
    "names.field": _field_names,
    "names.copyright": _copyright_names,
    "names.trailer": _trailer_names,
    "names.mail": _mail_names,
    "names.prose": _prose_names,
}

_OPEN = regex.compile(
    r"(?i:\b(?:thank(?:s|ed)?|kudos|courtesy|credits?|contribut(?:ed|ions?)|written|authored|maintained|reported|suggested"
    r"|implemented|developed|invented|ported|patch(?:es)?|idea|originally|found|fixed|adapted|translated)\b)"
    rf"[^\n]*{_BEFORE}{_FULL_NAME}"
)
"""What the model is asked about: a word of thanks or of authorship, then two capitalised words."""


@cache
def _pipeline(model: str) -> Any:
    """Load the model once per process, with its entity recogniser alone."""
    import spacy

    return spacy.load(model, exclude=["parser", "tagger", "attribute_ruler", "lemmatizer", "senter"])


def _model_names(text: str, model: str) -> Iterator[Span]:
    nlp = _pipeline(model)
    with nlp.memory_zone():  # else the vocabulary grows with every file
        persons = [(e.start_char, e.end_char) for e in nlp(text).ents if e.label_ == "PERSON"]
    for start, end in persons:
        name = regex.compile(rf"{_BEFORE}{_FULL_NAME}{_AFTER}").search(text, start, end)
        if name and _is_person(name[0]):
            yield Span(name.start(), _trim(text, *name.span()), "NAME", "spacy.person", 0.6)
