r"""Measures of a text: encoding, lines, characters, encoded data. What to do about them is `quality_policy`.

Lines and characters are those of Python's `str.splitlines`, `isalnum` and `isalpha`, which The Stack,
StarCoder and StarCoder2 count with. Encoded data are runs of at least 64 characters of base64 on one line, of
eight byte values such as ``0x1f,`` and of eight escapes such as ``\x1f`` or ``\u00ff``.

Source: StarCoder2 (arXiv 2402.19173), filter for encoded data; line breaks do not count as base64 here, since
lists of words would then be encoded data, and a run must hold a letter or digit, since rulers would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.kernels.content import as_binary, decode

_CHUNK = 1 << 20
"""Characters that are split into lines at a time: a file of line breaks alone must not fill the memory."""

_VALUES = 8
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
_BASE64_MASK = bytes(ord("a") if byte in _LETTERS + _DIGITS + b"+/" else ord(" ") for byte in range(256))
_BASE64_RUN = b"a" * 64
_BYTE_LIST = re.compile(r"(?:0[xX][0-9a-fA-F]{1,16}[uUlL]{0,3}\s{0,80},\s{0,80}){8,}+")
_ESCAPES = re.compile(r"\\(?:x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2}){7,}+|u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4}){7,}+)")
_ASCII_RUN = re.compile(r"[\x00-\x7f]+")


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Nothing to choose: measures are facts, thresholds stand in `quality_policy.QualityPolicy`."""


def measure(
    content: pa.Array | Sequence[bytes | str | None], config: QualityConfig = QualityConfig()
) -> pa.RecordBatch:
    r"""Measure each text.

    Args:
        content: bytes of the files; null gives a row of nulls, and so does binary content.
        config: see `QualityConfig`.

    Returns:
        A batch of the columns of ``schema.QUALITY.adds``, row by row. Means and fractions of an empty text are 0.

    >>> measure([b"a = 1\n\nb = 2\n"]).select(["lines", "line_length_max", "alphabetic_fraction"]).to_pylist()
    [{'lines': 3, 'line_length_max': 5, 'alphabetic_fraction': 0.1538461595773697}]
    """
    del config  # the same for all kernels
    rows = [_row(value) for value in as_binary(content).to_pylist()]
    adds = schema.QUALITY.adds
    columns = zip(*rows, strict=True) if rows else [()] * len(adds)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, adds, strict=True)], schema=adds)


def _row(content: bytes | None) -> tuple[Any, ...]:
    if content is None:
        return (None,) * 8
    try:
        text, encoding = decode(content)
        if text is None:
            return (None,) * 8
        utf8 = content if encoding == "utf-8" else text.encode("utf-8", "surrogatepass")
        lines, longest, total = _lines(text)
        alphanumeric, alphabetic = _letters(text, utf8)
        size = len(text) or 1
        encoded = _encoded(text, utf8)
        mean = total / (lines or 1)
        return encoding, lines, longest, mean, alphanumeric / size, alphabetic / size, encoded / size, None
    except Exception:  # noqa: BLE001 - one bad file must not cost its batch
        return (None,) * 7 + ("failed",)


def _lines(text: str) -> tuple[int, int, int]:
    """Return number of lines, longest line and characters in lines."""
    lines = longest = total = open_length = start = 0
    while start < len(text):
        end = start + _CHUNK
        if text[end - 1 : end + 1] == "\r\n":
            end += 1
        # The mark keeps the last line open, so that the next chunk can go on with it.
        lengths = [len(line) for line in (text[start:end] + "|").splitlines()]
        lengths[0] += open_length
        open_length = lengths.pop() - 1
        if lengths:
            lines, longest, total = lines + len(lengths), max(longest, *lengths), total + sum(lengths)
        start = end
    return (lines + 1, max(longest, open_length), total + open_length) if open_length else (lines, longest, total)


def _letters(text: str, utf8: bytes) -> tuple[int, int]:
    """Return the number of letters and digits, and of letters."""
    letters = len(utf8) - len(utf8.translate(None, _LETTERS))
    digits = len(utf8) - len(utf8.translate(None, _DIGITS))
    if len(utf8) == len(text):
        return letters + digits, letters
    others = _ASCII_RUN.sub("", text)
    return letters + digits + sum(map(str.isalnum, others)), letters + sum(map(str.isalpha, others))


def _encoded(text: str, utf8: bytes) -> int:
    """Return the number of characters in runs of encoded data; the three kinds never overlap."""
    found = _base64(utf8)
    # Counts rule most files out; the expressions then measure exactly.
    if utf8.count(b"0x") + utf8.count(b"0X") >= _VALUES:
        found += sum(len(match[0]) for match in _BYTE_LIST.finditer(text))
    if utf8.count(b"\\") >= _VALUES:
        found += sum(len(match[0]) for match in _ESCAPES.finditer(text))
    return found


def _base64(utf8: bytes) -> int:
    """Return the number of characters in runs of base64 and up to two signs of padding."""
    mask = utf8.translate(_BASE64_MASK)
    found = 0
    start = mask.find(_BASE64_RUN)
    while start >= 0:
        end = mask.find(b" ", start)
        end = len(mask) if end < 0 else end
        padding = utf8[end : end + 2]
        if utf8[start:end].strip(b"+/"):
            found += end - start + len(padding) - len(padding.lstrip(b"="))
        start = mask.find(_BASE64_RUN, end)
    return found
