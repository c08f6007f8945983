r"""Rule packs: token formats of other scanners, as data in ``data/secrets/<pack>/rules.tsv`` with their notices.

Their expressions are in the syntax of RE2. They are rewritten to that of `byte_patterns`, so that the same
expression finds the candidate lines and the secret, and so that no match leaves its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from stackcurate.kernels.byte_patterns import Pattern

PACKS = ("gitleaks", "betterleaks", "kingfisher")
"""The packs that are shipped; of equal expressions in several the first counts."""

_PIECE = re.compile(r"\\x[0-9A-Fa-f]{2}|\\.|\[:\w+:\]|\[\^?\]?|\(\?P?<\w+>|\(\?[a-z-]+[:)]|.", re.DOTALL)
_POSIX = {"[:alnum:]": "A-Za-z0-9", "[:alpha:]": "A-Za-z", "[:digit:]": "0-9", "[:xdigit:]": "0-9A-Fa-f"}
_IN_CLASS = {r"\s": r" \t\r\x0c", r"\n": "", **_POSIX}
_OUTSIDE = {
    r"\s": r"[ \t\r\x0c]",
    r"\W": r"[^\w\n]",
    r"\D": r"[^\d\n]",
    ".": r"[^\n]",
    r"\n": "$",
    r"\z": "$",
    r"\A": "^",
}


class PackRule(NamedTuple):
    """A rule of a pack: name with its pack, expression for both engines, least entropy, what it lets be."""

    name: str
    expression: str
    entropy: float
    allow: str


@cache
def pack_rules(packs: tuple[str, ...]) -> dict[str, PackRule]:
    """Return the rules of packs by name; of equal expressions the first counts.

    Raises:
        ValueError: there is no such pack.
    """
    if unknown := sorted(set(packs) - set(PACKS)):
        raise ValueError(f"packs: expected some of {', '.join(PACKS)}, found {', '.join(unknown)}")
    rules: dict[str, PackRule] = {}
    for pack in packs:
        text = files("stackcurate").joinpath("data", "secrets", pack, "rules.tsv").read_text(encoding="utf-8")
        for line in text.splitlines():
            if line and not line.startswith(("#", "name\t")):
                name, expression, entropy, allow = line.split("\t")
                rules.setdefault(expression, PackRule(f"{pack}.{name}", rewritten(expression), float(entropy), allow))
    return {rule.name: rule for rule in rules.values()}


@cache
def pack_gate(packs: tuple[str, ...]) -> tuple[Pattern, ...]:
    """Return the conditions of the rules of packs, for one pass over the bytes."""
    return tuple(Pattern(rule.name, _IDLE.sub(r"\1", rule.expression)) for rule in pack_rules(packs).values())


_IDLE = re.compile(r"^(\(\?i:)?\[\\w\.-\]\{0,50\}\?")
"""A first part that may be empty: without it the expression holds on the same lines, and is found much sooner."""


def find(rule: PackRule, content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the secrets of a rule stand on a line, without those that the rule lets be.

    Args:
        rule: of `pack_rules`.
        content: bytes of the file.
        start: first byte of the line.
        end: byte after the line.
    """
    expression, allow = _compiled(rule)
    for match in expression.finditer(content, start, end):
        first, last = next(
            (match.span(group) for group in range(1, expression.groups + 1) if match[group]), match.span()
        )
        if not (allow and allow.search(content, first, last)):
            yield first, last


@cache
def _compiled(rule: PackRule) -> tuple[re.Pattern[bytes], re.Pattern[bytes] | None]:
    """Compile a rule once per process and only when its gate has fired."""
    allow = re.compile(rewritten(rule.allow).encode("latin-1")) if rule.allow else None
    return re.compile(rule.expression.encode("latin-1"), re.MULTILINE), allow


def rewritten(expression: str) -> str:
    r"""Return an RE2 expression in the syntax of `byte_patterns`.

    Classes lose the line feed, a flag in mid-expression becomes a group up to the end of what it governs, and
    named groups become plain ones.

    >>> rewritten(r"\b(x-(?i)[^a]\s|b)\z")
    '\\b(x-(?i:[^\\na][ \\t\\r\\x0c])|(?i:b))$'
    """
    out: list[str] = []
    flags: list[str] = [""]  # of each open group: what a flag opened in it
    in_class = False
    for piece in _PIECE.findall(expression):
        if in_class:
            in_class = piece != "]"
            out.append(_IN_CLASS.get(piece, r"\[" if piece.startswith("[") and piece not in _POSIX else piece))
        elif piece.startswith("[") and piece not in _POSIX:
            in_class = True
            out.append(piece.replace("^", r"^\n", 1) if piece.endswith("^") else _opened(piece))
        else:
            out.append(_outside(piece, flags))
    return "".join([*out, ")" if flags[0] else ""])


def _opened(piece: str) -> str:
    """Return the begin of a class; a bracket right behind it is a member."""
    return piece.replace("]", r"\]").replace("[^", r"[^\n")


def _outside(piece: str, flags: list[str]) -> str:
    """Return a piece that is in no class, and keep account of the flags of the groups it opens and closes."""
    if piece.startswith("(?") and piece.endswith(")"):
        before, flags[-1] = flags[-1], _lasting(piece[2:-1])
        return (")" if before else "") + flags[-1]
    if piece.startswith("("):
        flags.append("")
        return "(" if piece == "(" or "<" in piece else _lasting(piece[2:-1]) or "(?:"
    if piece == ")":
        return ")" * (2 if flags.pop() else 1)
    if piece == "|" and flags[-1]:
        return f")|{flags[-1]}"
    return _OUTSIDE.get(piece, piece)


def _lasting(flags: str) -> str:
    """Return the group that flags open: that of case, as those of dot and line ends mean nothing on one line."""
    return "(?-i:" if re.search("-.*i", flags) else "(?i:" if "i" in flags else ""
