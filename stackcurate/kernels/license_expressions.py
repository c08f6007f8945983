"""Licence expressions: parsing, joining, and reading what people write in package manifests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from stackcurate.kernels.license_table import EXCEPTIONS, read_rows, table

UNLICENSED = "LicenseRef-stackcurate-unlicensed"
"""What `normalise` makes of a statement that no licence is given."""

_LONGEST = 4096
_DEEPEST = 100
_LONGEST_STATEMENT = 400
_ITEMS = re.compile(r"\n|;\s")
_YAML = re.compile(r"^\s*(- )*\s*((licen[cs]es?|type|name|classifiers)\s*:\s*(?!:))?", re.IGNORECASE)
_SILENT = re.compile(
    r"url:.*|(unknown|classifiers|licen[cs]es?|license ::|license :: osi approved)\s*:?", re.IGNORECASE
)
_POINTER = re.compile(
    r"^\W*(?:(?:see|read)\s+(?:the\s+)?(?:licen[cs]e\s+)?(?:in\s+|file:?\s+)(?:the\s+)?(?:file\s+)?|file\s*[:=]\s*)"
    r"([^\s,;{}]+)",
    re.IGNORECASE,
)
_UNNAMED = re.compile(r"scancode-(unknown|unstated|free-unknown|no-license)")
_FILE_PART = re.compile(r"\s*[+|]\s*file\s+licen[cs]e\s*$", re.IGNORECASE)
"""R's way to name the file with the holders: `MIT + file LICENSE`."""
_AT_LEAST = re.compile(r"\s*\(?>=\s*v?(\d[\d.]*)\s*\)?")
_LATER = re.compile(
    r"(?:\s*\bversions?\b)?\s*(?<![\d.])v?(\d[\d.]*)\s*,?\s*\(?(?:or|and)\s+(?:\(?at your option\)?,?\s*)?"
    r"(?:any\s+)?(?:later|newer|greater|above|higher)(?:\s+versions?)?\)?",
    re.IGNORECASE,
)
_OPERATORS = re.compile(r"([()]|\s*,?\s+(?:or|and|with)\s+|\s*(?:/|\|\|?|&&?|,|;)\s*)", re.IGNORECASE)
_VERSION = re.compile(r"(?<=[a-z])v(?=\d)|\bv(?:ersion)?[\s.]*(?=\d)|\bversion\b|(?<=gpl)(?=\d)")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.]*[a-z0-9])?\+?")
_FILLERS = frozenset(("the", "license", "licence", "licenses", "licences", "licensed", "gnu", "under", "agreement"))


@lru_cache(maxsize=65536)
def parse(expression: str) -> Any | None:
    """Parse an SPDX expression with the ids and aliases of the table; None where it is malformed.

    >>> str(parse("mit and gpl-3.0+")), parse("MIT/Apache-2.0")
    ('MIT AND GPL-3.0-or-later', None)
    """
    from license_expression import ExpressionError

    if len(expression) > _LONGEST or expression.count("(") > _DEEPEST:
        return None
    try:
        return licensing().parse(expression)
    except (ExpressionError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def ids(expression: str | None) -> tuple[str, ...]:
    """Return the ids in an expression, in order, an exception together with its licence.

    >>> ids("MIT OR GPL-2.0-only WITH Classpath-exception-2.0")
    ('MIT', 'GPL-2.0-only WITH Classpath-exception-2.0')
    """
    tree = None if expression is None else parse(expression)
    return () if tree is None else tuple(dict.fromkeys(leaf.render() for leaf in tree.get_literals()))


def known(expression: str | None) -> bool:
    """Tell whether an expression is well formed and the table has all its ids."""
    tree = None if expression is None else parse(expression)
    return tree is not None and not licensing().unknown_license_keys(tree)


def families(expressions: Iterable[str | None]) -> set[str]:
    """Return the ids in expressions without versions, since a text does not tell `-only` from `-or-later`.

    >>> sorted(families(["MIT OR GPL-2.0-only"]))
    ['GPL', 'MIT']
    """
    return {re.split(r"-v?\d", name)[0] for one in expressions for name in ids(one)}


def combine(expressions: Iterable[str], operator: str = "AND") -> str | None:
    """Join distinct expressions by an operator, in the order given; None where there is none.

    >>> combine(["MIT OR ISC", "Zlib", "Zlib"])
    '(MIT OR ISC) AND Zlib'
    """
    distinct = list(dict.fromkeys(expressions))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    tree = parse(f" {operator} ".join(f"({expression})" for expression in distinct))
    return None if tree is None else str(tree.render())


def normalise(statement: str | None) -> str | None:
    """Read a licence statement of a package manifest as an SPDX expression.

    Args:
        statement: one expression, name or trove classifier, or a list of them, one to a line or set off by
            semicolons: names and expressions count before classifiers, and several of a kind are joined by `AND`.

    Returns:
        The expression; `UNLICENSED` where the statement denies a licence; None where it is null, a pointer to a file
        (`license_pointer`) or not understood, in whole or in part.

    >>> [normalise(s) for s in ("MIT/Apache-2.0", "GPL-3.0+", "License :: OSI Approved :: MIT License", "MITT")]
    ['MIT OR Apache-2.0', 'GPL-3.0-or-later', 'MIT', None]
    """
    if statement is None:
        return None
    lines = [_YAML.sub("", line).strip(" '\"|>") for line in _ITEMS.split(statement)]
    lines = [line for line in lines if line and not _SILENT.fullmatch(line)]
    stated = [line for line in lines if "::" not in line]
    if sum(map(len, stated)) > _LONGEST_STATEMENT:  # the text of a licence, not its name
        stated = []
    read = [_normalise(line) for line in stated or lines if "::" in line or line in stated]
    return None if None in read else combine(filter(None, read))


def license_pointer(statement: str | None) -> str | None:
    """Return the file that a statement such as npm's `SEE LICENSE IN x` names.

    >>> license_pointer("SEE LICENSE IN docs/LICENSE.txt"), license_pointer("MIT")
    ('docs/LICENSE.txt', None)
    """
    found = _POINTER.search(statement or "")
    return found[1].strip(" '\"<>`") if found else None


@lru_cache(maxsize=65536)
def _normalise(text: str) -> str | None:
    text = _FILE_PART.sub("", " ".join(text.split())).rpartition("::")[2].strip()
    if not text or len(text) > _LONGEST_STATEMENT or _POINTER.search(text):
        return None
    text = _LATER.sub(r" \1+", _AT_LEAST.sub(r" \1+", text))
    whole = _leaf(text)
    if whole:
        return whole
    parts = [part for part in _OPERATORS.split(text) if part and part.strip()]
    read = [_operator(part) or _leaf(part.strip()) for part in parts]
    if len(parts) < 2 or None in read:
        return None
    joined = " ".join(filter(None, read))
    tree = parse(joined)
    return str(tree.render()) if tree is not None and known(joined) else None


def _operator(part: str) -> str | None:
    word = part.strip().strip(",").strip().upper()
    if word in ("(", ")", "OR", "AND", "WITH"):
        return word
    return {"/": "OR", "|": "OR", "||": "OR", "&": "AND", "&&": "AND", "": "AND", ";": "AND"}.get(word)


def _leaf(text: str) -> str | None:
    named = _statements().get(_squeeze(text))
    if named:
        return named
    for candidate in (text, text.removesuffix("+")):
        tree = parse(candidate) if known(candidate) else None
        if tree is not None and len(ids(candidate)) == 1 and not _UNNAMED.search(ids(candidate)[0]):
            return str(tree.render())
    return None


def _squeeze(text: str) -> str:
    """Strip a licence's name of what varies from one spelling to the next."""
    text = _VERSION.sub(" ", text.lower())
    return " ".join(word for word in _WORD.findall(text) if word not in _FILLERS)


@cache
def _statements() -> dict[str, str]:
    names: dict[str, set[str]] = {}
    for row in table():
        names.setdefault(_squeeze(row["id"]), set()).add(row["id"])
    unique = {name: min(found) for name, found in names.items() if len(found) == 1}
    return unique | {row["statement"]: row["license"] for row in read_rows("statements.tsv")}


@cache
def licensing() -> Any:
    """Return the algebra of `license_expression` over the ids and aliases of our table."""
    from license_expression import LicenseSymbol, Licensing

    return Licensing(
        [
            LicenseSymbol(
                row["id"],
                aliases=tuple(filter(None, (row["aliases"] or "").split("|"))),
                is_exception=row["class"] in EXCEPTIONS,
            )
            for row in table()
        ]
    )
