"""What Python says of each character, and the lines and words of a text, for the compiled loops of the signals.

Import this module and the others that import it inside functions: numba takes a third of a second.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import cache

import numpy as np
import regex
from numpy.typing import NDArray

from stackcurate.kernels import quality_text_numba as bits
from stackcurate.kernels.code_points import CodePoints, code_points
from stackcurate.kernels.quality_lines_numba import lines

Spans = NDArray[np.int64]

_DROPPED = bytes(c for c in range(32) if c not in (8, 9, 10, 11, 12, 13, 27))
_SPACED = bytes(ord(" ") if chr(c) in string.punctuation else c for c in range(256)).lower()
_WIDE = re.compile("[\u3001\u3002\u2018\u2019\u201c\u201d\u2009\u200b\u300a-\u300d\u3010\u3011" + "".join(
    re.escape(chr(ord(mark) + 0xFEE0)) for mark in string.punctuation
) + "]")  # fmt: skip
"""Punctuation of Chinese and of full width, which separates words as other punctuation does."""


@cache
def classes() -> NDArray[np.uint8]:
    """Return by code point the bits of `quality_text_numba`: what Python says of a character, and its encodings."""
    every = [chr(c) for c in range(0x110000)]
    found = np.zeros(len(every), np.uint8)
    tests = {
        bits.ALPHA: str.isalpha, bits.DIGIT: str.isdigit, bits.SPACE: str.isspace, bits.UPPER: str.isupper,
        bits.LOWER: str.islower,
    }  # fmt: skip
    for bit, test in tests.items():
        found[np.fromiter(map(test, every), bool, len(every))] |= bit
    for bit, listed in ((bits.BASE64, string.ascii_letters + string.digits + "+/=\n"), (bits.HEX, string.hexdigits)):
        found[list(listed.encode())] |= bit
    found[[ord(c) for c in regex.findall(r"\w", "".join(every))]] |= bits.WORD
    return found


def as_words(text: str) -> CodePoints:
    """Return a text in lower case, spaces in place of punctuation, without control characters."""
    spaced = text.encode("utf-8", "surrogatepass").translate(_SPACED, _DROPPED)
    if text.isascii():
        return np.frombuffer(spaced, np.uint8).astype(np.uint32)
    wide = _WIDE.sub(" ", spaced.decode("utf-8", "surrogatepass")).replace("\u202c", "").lower()
    return code_points(unicodedata.normalize("NFKC", wide))


def lines_of(text: CodePoints) -> Spans:
    """Return where lines begin and end that are not blank, shape (N, 2)."""
    spans = np.empty((np.count_nonzero(text == ord("\n")) + 1, 2), np.int64)
    return spans[: lines(text, classes(), spans)]
