"""What libmagic would say of a text, as far as ScanCode listens, in a twentieth of its time.

ScanCode asks libmagic twice about each file. Of a text it wants to know only whether it is a picture, a sound, a film,
a PDF or a Spline font, and whether its lines are long. So most of libmagic's rules are asked in vain: the few whose
answer ScanCode would hear are copied into a database of their own. Where none of them fits, and no line is long enough
to be broken, the answer of all rules cannot matter; else all are asked, as ever.
"""

from __future__ import annotations

import os
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

LONGEST_LINE = 200
"""Bytes up to which nothing breaks a line: ScanCode breaks those of more characters, libmagic calls 300 long.

Source: `textcode.analysis.break_numbered_unicode_text_lines`; `MAXLINELEN` of file's ascmagic.c.
"""
_TYPES = (
    *("image data", "graphics image", "ms-windows metafont .wmf", "windows enhanced metafile", "png image"),
    *("interleaved image", "microsoft asf", "image text", "photoshop image", "shop pro image", "ogg data", "vorbis"),
    *("mpeg", "theora", "bitmap", "audio", "video", "sound", "riff", "icon", "netpbm", "spline font"),
)
_MIMES = ("image", "picture", "audio", "video", "graphic", "sound", "pdf")
"""What in a description, or in a MIME type, makes a text something else.

Source: `is_media` and `is_pdf` of `typecode.contenttype.Type`, and `textcode.analysis.numbered_text_lines`.
"""

_MAGIC, _VERSION, _ENTRY = 0xF11E041C, 16, 376
"""The first word, the version and the size of an entry of a compiled database.

Source: magic.h of file 5.39: 32 bytes of operation, 128 of value, 64 of description, 80 of MIME type, 72 of others.
"""
_DESCRIPTION, _MIME = slice(160, 224), slice(224, 304)
_INDIRECT, _NAME, _USE = 41, 45, 46
_HEARD = b"HEARD"
_QUOTES = re.compile(r"%[-+ #0-9.]*[sc]")
"""A description that quotes the file."""
_GLUED = re.compile(r"[a-z]%|%[-+ #0-9.]*[sc][a-z]|^(?:\\b|\x08)\w")
"""One that may be half a word."""


class Rule(NamedTuple):
    """One entry of the database: whether it starts a rule, kind of test, value, description, MIME type."""

    entry: bytes
    begins: bool
    kind: int
    value: bytes
    description: str
    mime: str


def tell_typecode(location: str, content: bytes) -> None:
    """Tell `typecode` the type of a text where libmagic's answer cannot matter, before ScanCode asks for it.

    Args:
        location: path of the file, under a name that no parser of manifests looks at.
        content: what it holds; a text, no bytes but characters.
    """
    from typecode import get_type

    known = get_type(location)
    if not known.is_text or _may_be_heard(location, content):
        return
    known._mimetype_file = "text/plain"  # noqa: SLF001 what its property fills
    if max(map(len, content.split(b"\n"))) <= LONGEST_LINE:
        known._filetype_file = "text"  # noqa: SLF001 as above


def _may_be_heard(location: str, content: bytes) -> bool:
    lowered = content.lower()
    detector = _detector(any(word.encode() in lowered for word in _TYPES))
    return detector is None or _HEARD in (detector.get(location) or b"")


@cache
def _detector(quoting: bool) -> Any:
    """Return libmagic with the rules that ScanCode may hear, with or without those that quote the file.

    None where libmagic's database is none that we can read.
    """
    from typecode import magic2

    source = magic2.get_magicdb_location()
    rules = _read(Path(os.fsdecode(source)).read_bytes()) if source else []
    if not rules:
        return None
    with tempfile.TemporaryDirectory(prefix="stackcurate-") as folder:
        database = Path(folder, "magic.mgc")
        database.write_bytes(_database(rules, quoting))
        return magic2.Detector(flags=0, magic_db_location=str(database))


def _read(data: bytes) -> list[Rule]:
    """Return the entries of a compiled database, none where it is of another version."""
    magic, version, first, second = struct.unpack("=4I", data[:16])
    if (magic, version, len(data)) != (_MAGIC, _VERSION, _ENTRY * (1 + first + second)):
        return []
    return [_rule(data[at : at + _ENTRY]) for at in range(_ENTRY, len(data), _ENTRY)]


def _rule(entry: bytes) -> Rule:
    description, mime = (_text(entry[part]).decode("latin-1").lower() for part in (_DESCRIPTION, _MIME))
    level = struct.unpack("=H", entry[:2])[0]
    return Rule(entry, level == 0, entry[6], _text(entry[32:160]), description, mime)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _database(rules: list[Rule], quoting: bool) -> bytes:
    """Compile the rules that may be heard, each saying no more than that."""
    groups = list(_groups(rules))
    named = {group[0].value: group for group in groups if group[0].kind == _NAME}
    heard = [group for group in groups if group[0].kind != _NAME and _is_heard(group, named, quoting, set())]
    sets = [[_marked(rule) for group in part for rule in group] for part in (heard, named.values())]
    header = struct.pack("=4I", _MAGIC, _VERSION, *map(len, sets)).ljust(_ENTRY, b"\0")
    return header + b"".join(sets[0]) + b"".join(sets[1])


def _groups(rules: Iterable[Rule]) -> Iterator[list[Rule]]:
    """Yield each rule with the lines that continue it."""
    number = 0

    def group_of(rule: Rule) -> int:
        nonlocal number
        number += rule.begins
        return number

    for _, group in groupby(rules, key=group_of):
        yield list(group)


def _is_heard(group: list[Rule], named: dict[bytes, list[Rule]], quoting: bool, seen: set[bytes]) -> bool:
    """Say whether a rule, or one that it uses, may say something that ScanCode listens to."""
    for rule in group:
        used = rule.value.lstrip(b"^\\")
        if rule.kind == _INDIRECT or _says(rule, quoting):
            return True
        if rule.kind == _USE and used not in seen:
            seen.add(used)
            if used not in named or _is_heard(named[used], named, quoting, seen):
                return True
    return False


def _says(rule: Rule, quoting: bool) -> bool:
    quotes = quoting and _QUOTES.search(rule.description)
    glued = _GLUED.search(rule.description)
    mimes = any(word in rule.mime for word in (*_MIMES, "%"))
    return bool(quotes or glued or mimes or any(word in rule.description for word in _TYPES))


def _marked(rule: Rule) -> bytes:
    said = _HEARD if rule.description or rule.mime else b""
    blank = said.ljust(_MIME.stop - _DESCRIPTION.start, b"\0")
    return rule.entry[: _DESCRIPTION.start] + blank + rule.entry[_MIME.stop :]
