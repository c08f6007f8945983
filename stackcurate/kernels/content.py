"""Content: bytes, their git id and their text."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(rb"[\x00-\x06\x0e-\x1a\x7f]")
"""Bytes that text of no eight-bit encoding holds; BEL to CR and ESC occur in real text."""


def as_binary(values: pa.Array | Sequence[bytes | str | None]) -> pa.Array:
    r"""Return values as a binary array; text is encoded as UTF-8.

    >>> as_binary(["é", None]).to_pylist()
    [b'\xc3\xa9', None]
    """
    if isinstance(values, pa.Array):
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return values.cast(pa.large_binary() if pa.types.is_large_string(values.type) else pa.binary())
        return values
    return pa.array([v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values], pa.binary())


def blob_id(content: bytes) -> str:
    """Return the git id of the bytes, as git, Software Heritage and The Stack use it.

    >>> blob_id(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def decode(content: bytes) -> tuple[str, str] | tuple[None, None]:
    r"""Return text and encoding, or a pair of nulls for binary content.

    A byte order mark decides first, then UTF-8; what is neither but holds no control characters is read as
    Latin-1, which loses nothing. A mark is not part of the text.

    >>> decode(b"caf\xe9")
    ('café', 'latin-1')
    >>> decode(b"\x00\x01")
    (None, None)
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            try:
                text = content.decode(encoding)
                return (None, None) if "\0" in text else (text, encoding)
            except UnicodeDecodeError:
                return None, None
    if b"\0" in content:
        return None, None
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return (None, None) if _CONTROL.search(content) else (content.decode("latin-1"), "latin-1")


def as_text(content: Any) -> str | None:
    """Return the text of one Arrow scalar or bytes value; None for null and for binary content."""
    value = content.as_py() if isinstance(content, pa.Scalar) else content
    return None if value is None else decode(value)[0]
