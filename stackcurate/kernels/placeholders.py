r"""Placeholders: what stands in a file instead of personal data and secrets, so that it still parses.

A placeholder is chosen by where the span stands: ``<EMAIL>`` inside strings and comments of programming
languages, words, reserved addresses and numbers of the same shape elsewhere. Detectors may still fire on
some of them; `is_placeholder` says that there is nothing to replace.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from stackcurate.kernels.byte_patterns import Span

_PLACEHOLDER = re.compile(
    r"<?(?:NAME|EMAIL|KEY|PASSWORD)(?:_\d+)?>?|_?REDACTED_(?:NAME|KEY|PASSWORD)(?:_\d+)?"
    r"|(?:[_bfnrt]?user\d+)?(?:@?redacted\.invalid)?|(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+|2001:db8::[0-9a-f]+|0x9+"
)
_KEPT_SHAPE = re.compile(r"\\[bfnrtu]|&(?:amp|apos|gt|lt|quot);")
_LIVE = re.compile(r"[^\W_X9]|\N{REPLACEMENT CHARACTER}")


def is_placeholder(text: str) -> bool:
    """Say whether nothing of a value is left: a placeholder, or no letter or digit but those of `mask`.

    >>> [is_placeholder(text) for text in ("<NAME>", "user7@redacted.invalid", "XX@XX.XX", "+99 (99)", "Karin")]
    [True, True, True, True, False]
    """
    return bool(_PLACEHOLDER.fullmatch(text)) or not _LIVE.search(_KEPT_SHAPE.sub("", text))


_MASKED = re.compile(rb"(\\[bfnrtu]|&(?:amp|apos|gt|lt|quot);)|([A-Za-z]|[\xc0-\xff][\x80-\xbf]*|[\x80-\xbf])|[0-9]")


def mask(text: bytes, *, escapes: bool = True) -> bytes:
    r"""Turn each letter into ``X`` and each digit into ``9``; signs stay, and escapes where they may.

    >>> mask(b'"K\xc3\xa5re 7\\n"')
    b'"XXXX 9\\n"'
    """
    return _MASKED.sub(lambda match: (escapes and match[1]) or _stand_in(match[0]), text)


def _stand_in(piece: bytes) -> bytes:
    return b"9" if piece.isdigit() else re.sub(rb"\w", b"X", piece) if piece[0] < 0x80 else b"X"


def placeholder(span: Span, value: str, index: int, before: bytes, after: bytes, *, quoted: bool, indexed: bool) -> str:
    """Return what replaces a span.

    Args:
        span: what was found.
        value: the text of the span.
        index: number of the value within the repository.
        before: bytes in front of the span, at least 200 where there are.
        after: the byte behind it.
        quoted: it stands in a string or a comment, where angle brackets mean nothing.
        indexed: names and addresses in strings and comments show the number.
    """
    if span.entity in _SHAPED:
        token = _SHAPED[span.entity](value, index)
    elif not quoted or (span.entity == "EMAIL" and _ADDRESS.search(before)):
        token = _bare(span.entity, value, index)
    else:
        name = f"{span.entity}_{index}" if indexed and span.entity in {"NAME", "EMAIL"} else span.entity
        token = name if before.endswith(b"<") and after == b">" else f"<{name}>"
    return "_" + token if token[0] == "u" and _escaping(before) else token  # `\u` and four digits are one character


_ADDRESS = re.compile(rb"(?:mailto:|://[^\s\"'<>]*)$")
"""A URL has to stay one."""

_WORDS = {
    "NAME": "REDACTED_NAME_{}",
    "EMAIL": "user{}@redacted.invalid",
    "KEY": "REDACTED_KEY",
    "PASSWORD": "REDACTED_PASSWORD",
}


def _bare(entity: str, value: str, index: int) -> str:
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", value):
        return "0x" + "9" * (len(value) - 2)
    return _masked(value, index) if value.isdecimal() else _WORDS[entity].format(index)


def _escaping(before: bytes) -> bool:
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


_ESCAPES = re.compile(r"[bfnrt\"'0](?!$)")
_CODED = re.compile(r"u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}")


def edges(value: str, before: bytes) -> tuple[int, int]:
    r"""Return how many characters at both ends of a span stay: blanks, escapes; -1 takes one more in front.

    Blanks may be the indentation of a block; the letter of an escape such as ``\n`` is not that of a value.

    Args:
        value: the text of the span.
        before: bytes in front of it.

    >>> edges(" karin\n", b""), edges("nkarin", b"\\"), edges("u00e9ric", b"\\"), edges("karin\\", b"")
    ((1, 1), (1, 0), (-1, 0), (0, 1))
    """
    left, right = len(value) - len(value.lstrip()), len(value) - len(value.rstrip())
    tail = value.rstrip()
    right += (len(tail) - len(tail.rstrip("\\"))) % 2
    if not left and _escaping(before):
        left = -1 if _CODED.match(value) else int(bool(_ESCAPES.match(value)))
    return left, right


def _documentation_ip(value: str, index: int) -> str:
    """Return an address reserved for documentation. Source: RFC 5737, RFC 3849."""
    if ":" in value and ipaddress.ip_address(value.partition("%")[0]).version == 6:
        return f"2001:db8::{index:x}"
    network, host = divmod(index % 762, 254)
    return f"{('192.0.2', '198.51.100', '203.0.113')[network]}.{host + 1}"


def _documentation_mac(value: str, index: int) -> str:
    """Return a MAC address reserved for documentation, written alike. Source: RFC 7042."""
    digits = iter(f"00005e0053{index % 256:02x}")
    return "".join(next(digits) if char.isalnum() else char for char in value)


def _masked(value: str, _index: int) -> str:
    """Return a number that nobody has, of the same shape: no issuer, country or code begins with 9 or X."""
    return "".join("9" if char.isdigit() else "X" if char.isalpha() else char for char in value)


def _user(_value: str, index: int) -> str:
    return f"user{index}"


_SHAPED: dict[str, Callable[[str, int], str]] = {
    "IP_ADDRESS": _documentation_ip,
    "MAC_ADDRESS": _documentation_mac,
    "PHONE": _masked,
    "CREDIT_CARD": _masked,
    "IBAN": _masked,
    "USERNAME": _user,
}
_PEOPLE = 1_000_000


def pseudonym(entity: str, value: str, repo_id: str, key: bytes) -> int:
    """Return a small number for a value, the same throughout a repository and not linkable to another.

    >>> pseudonym("NAME", "Karin  L", "r", b"k") == pseudonym("NAME", "karin l", "r", b"k")
    True
    """
    folded = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    message = "\0".join((repo_id, entity, folded)).encode("utf-8", "surrogatepass")
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return 1 + int.from_bytes(digest[:8], "big") % _PEOPLE


_BESIDE = re.compile(
    rb"(?:[ \t<(\[,\"'\\:-]|mailto:){0,16}|\\?[\"'>]?(?:</name>)?[\s,]{0,40}(?:\\?[\"'<])?"
    rb"(?:author_?)?e-?mail\\?[\s\"'=:>]{0,8}",
    re.IGNORECASE,
)
"""Between a name and the address of the same person: brackets, or the next field of a manifest."""


def numbering(
    content: bytes, spans: list[Span], text: Callable[[Span], str], repo_id: str, key: bytes
) -> Callable[[Span], int]:
    """Return the numbers of the values; an address right behind a name is that person's, wherever it stands.

    Args:
        content: bytes of the file.
        spans: in order of start, none overlapping.
        text: the text of a span.
        repo_id: numbers are the same throughout one repository.
        key: secret of the release.
    """
    owner = {
        text(mail).casefold(): name
        for name, mail in pairwise(spans)
        if (name.entity, mail.entity) == ("NAME", "EMAIL")
        and _BESIDE.fullmatch(content[name.end : mail.start].replace(b"\0", b""))
    }

    def number(span: Span) -> int:
        who = owner.get(text(span).casefold()) if span.entity == "EMAIL" else None
        return pseudonym((who or span).entity, text(who or span), repo_id, key)

    return number
