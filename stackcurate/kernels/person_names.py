"""The grammar of persons' names in any script, and what only looks like one: organisations, roles, stand-ins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources

import regex

from stackcurate.kernels.byte_patterns import Span

_ESCAPED = r"\\u0[0-4][0-9a-fA-F]{2}"  # a letter above U+007F in a JSON string
_LETTER = rf"(?:[\p{{L}}\p{{M}}]|{_ESCAPED})"
_CAPITAL = r"(?:\p{Lu}|\p{Lt}|\\u00[cd][0-9a-fA-F]|\\u0[1-4][0-9a-fA-F]{2})"
NAME_WORD = rf"{_CAPITAL}(?:{_LETTER}|['’.‐-](?={_LETTER}))*+\.?"
_PARTICLE = (
    r"(?:von|van|vom|der|den|de|del|della|di|da|das|dos|du|la|le|bin|bint|ibn|al|el|ten|ter|zu|zum|af|av|y|e|ap)"
)
FULL_NAME = (
    rf"{NAME_WORD}(?:(?<!\p{{L}}{{4}}\.)[ \t]+(?:{_PARTICLE}[ \t]+){{0,2}}{NAME_WORD}){{1,4}}(?:,[ \t]+[JS]r\b\.?)?"
)
OTHER_SCRIPT = r"\p{Lo}[\p{Lo}\p{M}ー々]*(?:[ ·・　]\p{Lo}[\p{Lo}\p{M}ー々]*){0,3}"
BEFORE = r"(?<![\p{L}\p{N}_@./-])"
AFTER = r"(?![\p{L}\p{N}_]|\.[\p{L}_]|\()"
_PERSON = regex.compile(rf"{FULL_NAME}{AFTER}|{OTHER_SCRIPT}(?![\p{{L}}\p{{N}}_])")
_LONE = regex.compile(
    r"[\p{L}](?:[\p{L}\p{N}_.-]{0,37}[\p{L}\p{N}])(?<!\.(?:com|org|net|io|dev))(?=\s*(?:$|[<(\[\"'\\,;*#]))"
)


@cache
def words(kind: str) -> frozenset[str]:
    """Return a list of `data/pii/words.toml`."""
    text = resources.files("stackcurate").joinpath("data/pii/words.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)[kind])


@cache
def _given_names() -> frozenset[str]:
    """Return first names of many countries, lower case. Source: Faker, see `data/pii/NOTICE`."""
    text = resources.files("stackcurate").joinpath("data/pii/given_names.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


_SMALL = rf"(?:[\p{{Ll}}\p{{M}}'’.]|{_ESCAPED})*"
_SPELLED_WORD = regex.compile(
    rf"(?:\p{{Lu}}\.)+|(?:Ma?c|Fitz|[DL][aeiu]|V[ao]n|[ODd]['’])?{_CAPITAL}{_SMALL}(?:-{_CAPITAL}?{_SMALL})*,?"
    r"|\p{Ll}{1,4}|I+|\p{Lo}+|\p{Lu}{5,}"
)


def is_known(name: str) -> bool:
    """Say whether a name is written like one and begins with a first name that is in use somewhere, or initials."""
    first = name.split(maxsplit=1)[0].lower()
    known = first in _given_names() or first.partition("-")[0] in _given_names()
    return looks_spelled(name) and (known or bool(regex.match(r"\p{Lu}\.", name)))


def looks_spelled(name: str) -> bool:
    """Say whether no word of a name is written as an acronym or a compound of code, such as `LFortran ASR`."""
    return all(_SPELLED_WORD.fullmatch(word) for word in name.split())


def is_person(name: str) -> bool:
    """Say whether a well-formed name is not that of an organisation, a role or a stand-in."""
    parts = [word.strip(".,'’").lower() for word in name.split()] + name.lower().split()
    return (
        words("organisations").isdisjoint(parts)
        and words("others").isdisjoint(parts)
        and " ".join(name.lower().split()).rstrip(".") not in words("stand_ins")
        and not any(mark in name for mark in words("company_marks"))
    )


def name_end(text: str, start: int, end: int) -> int:
    """Drop a genitive and what follows, and a full stop that ends a sentence than an initial or suffix."""
    genitive = regex.search(r"['’]s\b", text[start:end])
    end = start + genitive.start() if genitive else end
    last = text[start:end].rsplit(maxsplit=1)[-1]
    if len(last) == 1 and text.startswith("<", end):
        return start + len(text[start : end - 1].rstrip())  # a formatting code of Perl's documentation
    return end - 1 if last.endswith(".") and len(last) > 3 else end


def people(text: str, start: int, end: int, rule: str, *, lone: bool, score: float = 0.9) -> Iterator[Span]:
    """Split a list of persons and yield those that are; an e-mail address belongs to another detector."""
    for part in _PARTS.finditer(text, start, end):
        if _COMPANY_TAIL.match(text, part.end()):
            continue
        name = _PERSON.match(text, *part.span())
        if name and is_person(name[0]):
            yield Span(name.start(), name_end(text, *name.span()), "NAME", rule, score)
        elif (
            not name
            and lone
            and text[part.start() - 1] != "&"
            and (single := _LONE.match(text, *part.span()))
            and is_person(single[0])
        ):
            entity = "NAME" if single[0][0].isupper() else "USERNAME"
            yield Span(single.start(), single.end(), entity, rule, 0.7)


_COMPANY_TAIL = regex.compile(r"(?i),?\s*(?:inc|llc|ltd|gmbh|corp|co|s\.a|b\.v|pty|plc|ag)\b")
_PARTS = regex.compile(
    r"(?<=^|[\s,;&/+|\"'\[(<>{:：=@*#-]|\\n)(?!(?:and|und|et|with|by)\s)(?=[\p{L}\\])"
    r"(?:(?!\s*(?:[,;&|<(\[\"{}\]>]|'(?!\p{L}))|\s+(?:and|und|et|with|/|-)\s|\\(?!u0)).)+"
)
