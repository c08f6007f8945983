r"""What a secret looks like: token formats, and what only looks like one.

The formats are rows of ``data/secrets/tokens.tsv``; their expressions stay within the syntax of
`byte_patterns`, so that the same expression finds the candidate lines and, with borders added, the token.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_LEFT = rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=%[0-9A-F]{2}))"
r"""Border before a token: the ``n`` of an escape ``\n`` and a percent-encoded byte end before it."""
_RIGHT = rb"(?![A-Za-z0-9])"

_INTEGRITY = re.compile(rb"sha(?:1|256|384|512)[-:]|md5[-:]|data:[a-z]+/|ssh-(?:rsa|ed25519|dss) ")
_TEMPLATE = re.compile(
    rb"[$%#@]?\{.*\}|\{\{.*|<.*>|\[.*\]|\$\(.*|['\"]?\$[A-Za-z_]\w*['\"]?|%\([^)]*\)[a-z]|%[-\w]*%?|:[a-z_]+|@[A-Za-z_.]+|&.*;"
    rb"|.*(?:\$\{|\{\{|<%|%\(|\{\d*\}|\{[A-Za-z_][\w.]*\}).*"
)
_REFERENCE = re.compile(
    rb"[\w.:>-]+[(\[].*|(?:os|process|sys|env|self|this|config|settings|args|opts|options|params"
    rb"|request|req|ctx|vault|secrets|var|local|data|module|props|state|user|ENV)[.:>\[].*"
    rb"|(?:arn|urn|projects|ref|op|vault|ssm|env|file|https?|ftp|ssh|git|s3|gs|ws)s?:.*|(?:\.{1,2}|~)/.*|/(?:[a-z][\w.@-]*/)+[\w.*-]*"
)
_MONOTONE = re.compile(rb"([A-Za-z0-9])\1{7}")
_WORDS = re.compile(
    rb"(?i)none|null|nil|true|false|undefined|string|str|bytes|int|integer|bool|boolean|any|object|test|value|user"
    rb"|username|login|guest|password[:\d]{0,3}|passwd|passphrase|passw|pass|pwd|pw|secret|token|key|api_?key|api_?token"
    rb"|\d{4}-\d\d-\d\d.{0,20}"
)
_ALPHABETS = tuple(
    text.encode()
    for text in (
        "0123456789" * 2,
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 2,
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=",
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ+/-_=",
        "0123456789ABCDEF" * 2,
        "QWERTYUIOPASDFGHJKLZXCVBNM",
    )
)


class Rule(NamedTuple):
    """A token format: its name, entity, expression for the gate, exact expression and least entropy."""

    name: str
    entity: str
    gate: str
    exact: re.Pattern[bytes]
    entropy: float


@cache
def token_rules() -> dict[str, Rule]:
    """Return the token formats by name; read once per process."""
    rows = (line.split("\t") for line in _data_lines("tokens.tsv")[1:])
    return {
        name: Rule(name, entity, expression, _exact(expression), float(entropy))
        for name, entity, expression, entropy, _template in rows
    }


@cache
def keep_words() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return the words of placeholders and documented examples: long ones in lower case, short ones as written.

    Random characters spell a short word in some mixture of cases far more often than in one that is written.
    """
    words = [line.lower() for line in _data_lines("keep_words.txt")]
    short = [word for word in words if len(word) < _SHORT]
    spelled = (form for word in short for form in (word, word.upper(), word.title()))
    return (
        tuple(word.encode() for word in words if len(word) >= _SHORT),
        tuple(dict.fromkeys(form.encode() for form in spelled)),
    )


_SHORT = 6
"""Letters of a word that a random token of 40 does not hold by accident."""


@cache
def keep_names() -> re.Pattern[bytes]:
    """Return an expression for names, in snake case with outer underscores, of what holds no secret."""
    return re.compile("|".join(_data_lines("keep_names.txt")).encode())


def secret_of(rule: Rule, match: re.Match[bytes]) -> tuple[int, int]:
    """Return where the secret of a match stands: its group, or all of it."""
    return match.span(1 if rule.exact.groups else 0)


def has_checksum(name: str, value: bytes) -> bool:
    """Return whether a token ends in the checksum that its issuer adds: no invented one does.

    GitHub and npm append the CRC-32 of the random part in base 62, six digits.
    Source: GitHub, "Behind GitHub's new authentication token formats" (2021).

    Args:
        name: of the rule; the others have no checksum that is public.
        value: the token.
    """
    if name not in {"github_token", "npm_token"}:
        return False
    body = value.partition(b"_")[2]
    number, digits = zlib.crc32(body[:-6]), []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return body[-6:] == bytes(reversed(digits))


_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def entropy(value: bytes) -> float:
    """Return the Shannon entropy of the bytes of a value, in bits per byte.

    >>> entropy(b"abab")
    1.0
    """
    size = len(value)
    return math.log2(size) - sum(map(_weight, Counter(value).values())) / size if size else 0.0


@cache
def _weight(count: int) -> float:
    return count * math.log2(count)


def is_placeholder(value: bytes, extra: tuple[str, ...] = (), *, by_form: bool = False) -> bool:
    """Return whether a value stands for a secret without being one: an example, a template, a reference.

    Args:
        value: as written between its quotes.
        extra: further words that mark a placeholder, in any case.
        by_form: the value has the form of a token, whose random characters may spell a short word.

    >>> is_placeholder(b"${DB_PASSWORD}"), is_placeholder(b"changeme"), is_placeholder(b"hunter2-Prod")
    (True, True, False)
    """
    value = value[:512]
    lower = value.lower()
    return (
        len(set(lower)) < 4
        or _holds(lower, keep_words()[0])
        or (not by_form and _holds(value, keep_words()[1]))
        or any(word.lower().encode() in lower for word in extra)
        or any(pattern.fullmatch(value) for pattern in (_TEMPLATE, _REFERENCE, _WORDS))
        or bool(_INTEGRITY.match(value) or _MONOTONE.search(value))
        or is_sequence(value)
    )


def _holds(value: bytes, words: tuple[bytes, ...]) -> bool:
    for word in words:  # noqa: SIM110 - a generator takes twice as long
        if word in value:
            return True
    return False


def is_sequence(value: bytes) -> bool:
    """Return whether a value is a run of an alphabet, such as that of base64.

    >>> is_sequence(b"ABCDEFGHIJKLMNOP")
    True
    """
    upper = value.upper()
    return any(upper in alphabet or alphabet[:20] in upper for alphabet in _ALPHABETS)


def _exact(expression: str) -> re.Pattern[bytes]:
    pattern = re.compile(expression.encode())
    return pattern if pattern.groups else re.compile(_LEFT + b"(?:" + pattern.pattern + b")" + _RIGHT)


def _data_lines(name: str) -> list[str]:
    text = files("stackcurate").joinpath("data", "secrets", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
