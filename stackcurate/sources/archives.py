"""Archives: tar (plain, gzip, bzip2, xz) and zip, read as streams and never unpacked.

Declared sizes may lie: a tar is metered as it expands and stops at a limit, a zip member never expands by more
than one byte beyond what it declares. Zip directories are read here, not by `zipfile`, which gives up a
whole archive for one bad name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import os
import re
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, Protocol

from stackcurate.sources.directories import REGULAR, SYMLINK, Gate, filled, refused, unix_mode
from stackcurate.sources.metadata import Entry, Halt, Reason

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".crate", ".zip", ".whl")
"""File names that count as archives."""

_FREE_BYTES = 64 << 20
"""A stream may expand to this whatever its ratio: it fits in memory."""
_FREE_MEMBER_BYTES = 1 << 20
_HEADER_BYTES = 2 << 20
"""Headers of one tar member, long names and pax records included; real ones are below 10 kB."""
_XZ_MEMORY = 256 << 20
"""The dictionary of `xz -9` takes 65 MiB."""
_BLOCK = 1 << 16

_CORRUPT = (
    tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, struct.error,
    ValueError, OverflowError, RecursionError, LookupError,
)  # fmt: skip
"""What the standard library raises on damaged archives."""

_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
"""Records of a zip. Source: PKWARE APPNOTE 6.3, sections 4.3.7 to 4.3.16."""
_UNIX = 3
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(name: str) -> bool:
    """Tell by its name whether a file is an archive."""
    return name.lower().endswith(SUFFIXES)


def stem(name: str) -> tuple[str, str | None]:
    """Split the name of an archive into name and version.

    >>> stem("six-1.16.0.tar.gz"), stem("Archive.zip")
    (('six', '1.16.0'), ('Archive', None))
    """
    bare = re.sub(r"(?i)(\.tar)?\.[a-z0-9]+$", "", name) if is_archive(name) else name
    match = re.fullmatch(r"(.+?)-(\d[^/-]*)(-.+)?", bare)
    return (match[1], match[2]) if match else (bare, None)


def entries(path: str, gate: Gate) -> Iterator[Entry]:
    """Yield the files of an archive in its own order.

    Args:
        path: the archive; its first bytes tell what it is.
        gate: admits or refuses each member.

    Raises:
        Halt: the rest cannot be read.
        OSError: the file itself cannot be opened.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - names may be no UTF-8
        magic = file.read(4)
        file.seek(0)
        try:
            yield from (_zip if magic in (b"PK\3\4", b"PK\5\6") else _tar)(file, gate)
        except _CORRUPT as error:
            raise Halt(Reason.CORRUPT_ARCHIVE) from error


def _tar(file: BinaryIO, gate: Gate) -> Iterator[Entry]:
    stream = _expanded(file)
    ratio_limit = max(_FREE_BYTES, gate.config.max_ratio * os.fstat(file.fileno()).st_size)
    meter = _Meter(stream, math.inf if stream is file else ratio_limit)
    meter.begin_header()
    opened = tarfile.open(  # noqa: SIM115 - closed below
        mode="r|", fileobj=meter, bufsize=_BLOCK // 4, tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
    )  # type: ignore[call-overload]
    with opened as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # or the list grows with the archive
            meter.end_header()
            if member.size < 0:
                raise Halt(Reason.CORRUPT_ARCHIVE)
            yield from _tar_member(tar, member, gate)
            tar.fileobj.seek(tar.offset)
            meter.begin_header()


def _tar_member(tar: Any, member: tarfile.TarInfo, gate: Gate) -> Iterator[Entry]:
    if member.isdir():
        gate.count()
        return
    raw = member.name.encode("utf-8", "surrogateescape")
    mode, reason = unix_mode(member.mode), None
    if member.issym() or member.islnk():
        mode, reason = (SYMLINK if member.issym() else REGULAR), Reason.LINK
    elif member.issparse() or member.type not in tarfile.REGULAR_TYPES:
        kinds = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}
        mode, reason = kinds.get(member.type, mode), Reason.SPECIAL_FILE
        if member.size > gate.config.max_file_bytes:
            reason = Reason.TOO_LARGE
    entry = gate.admit(raw, mode, member.size, reason, float(member.mtime))
    if not gate.wants(entry):
        yield entry
        return
    try:
        tar.fileobj.seek(member.offset_data)
        content = tar.fileobj.read(member.size)
    except (Halt, *_CORRUPT) as error:
        bomb = isinstance(error, Halt) and error.reason is Reason.BOMB_RATIO
        yield refused(entry, Reason.BOMB_RATIO if bomb else Reason.CORRUPT_FILE)
        raise
    yield filled(entry, content)


class _Header(tarfile.TarInfo):
    """A header that is damaged in the middle of an archive is an error; `tarfile` takes it for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


class _Meter:
    """Count what a stream expands to: stop a bomb, an endless header, and a seek behind the end."""

    def __init__(self, stream: _Readable, limit: float) -> None:
        self._stream, self._limit = stream, limit
        self._count, self._header_limit = 0, math.inf

    def begin_header(self) -> None:
        self._header_limit = self._count + _HEADER_BYTES

    def end_header(self) -> None:
        self._header_limit = math.inf

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._count += len(data)
        if self._count > self._limit:
            raise Halt(Reason.BOMB_RATIO)
        if self._count > self._header_limit or (not data and self._header_limit == math.inf):
            raise Halt(Reason.CORRUPT_ARCHIVE)
        return data


class _Xz:
    """Read xz with a limit on the memory that its header may ask for, which `LZMAFile` lacks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        while True:
            data = self._file.read(_BLOCK) if self._decoder.needs_input else b""
            if self._decoder.eof:
                data = (self._decoder.unused_data + self._file.read(_BLOCK)).lstrip(b"\0")
                if not data:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._decoder.needs_input and not data:
                raise EOFError("xz stream ends early")
            if out := self._decoder.decompress(data, size):
                return out


def _expanded(file: BinaryIO) -> Any:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _Xz(file) if magic == b"\xfd7zXZ\0" else file


class _Member(NamedTuple):
    name: bytes
    flags: int
    method: int
    modified: float | None
    crc: int
    packed: int
    size: int
    mode: int
    offset: int


def _zip(file: BinaryIO, gate: Gate) -> Iterator[Entry]:
    start, length, shift = _directory(file)
    members: list[_Member] = []
    damaged = False
    try:
        members.extend(islice(_members(file, start, length, shift), gate.config.max_entries + 1))
    except _CORRUPT:
        damaged = True
    overlapping = _overlapping(members)
    for index, member in enumerate(members):
        if member.name.endswith(b"/"):
            gate.count()
            continue
        mode, reason = _zip_mode(member)
        reason = reason or (Reason.OVERLAPPING if index in overlapping else _refusal(member, gate.config.max_ratio))
        entry = gate.admit(member.name, mode, member.size, reason, member.modified)
        yield _zip_read(file, member, entry) if gate.wants(entry) else entry
    if damaged:
        raise Halt(Reason.CORRUPT_ARCHIVE)


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """Return start and length of the central directory, and by how much all offsets are off."""
    size = file.seek(0, os.SEEK_END)
    base = file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise Halt(Reason.CORRUPT_ARCHIVE)
    *_, length, start, _comment = _END.unpack_from(tail, at)
    end = base + at
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\6\7"):
        where = end - _LOCATOR.size - _END64.size
        file.seek(max(0, where))
        record = _END64.unpack(file.read(_END64.size))
        if record[0] == b"PK\6\6":
            end, length, start = where, record[8], record[9]
    shift = end - length - start
    if shift < 0 or length > end:
        raise Halt(Reason.CORRUPT_ARCHIVE)
    return start + shift, length, shift


def _members(file: BinaryIO, start: int, length: int, shift: int) -> Iterator[_Member]:
    file.seek(start)
    end = start + length
    while file.tell() < end:
        magic, made, _needs, flags, method, time, date, crc, packed, size, n, m, k, _, _, attributes, offset = (
            _CENTRAL.unpack(file.read(_CENTRAL.size))
        )
        name, extra = file.read(n), file.read(m)
        if magic != b"PK\1\2" or len(name) < n or len(extra) < m:
            raise EOFError("damaged central directory")
        file.seek(k, os.SEEK_CUR)
        size, packed, offset = _long(extra, (size, packed, offset))
        mode = attributes >> 16 if made >> 8 == _UNIX else 0
        yield _Member(name, flags, method, _zip_time(date, time), crc, packed, size, mode, offset + shift)


def _long(extra: bytes, values: tuple[int, ...]) -> tuple[int, ...]:
    """Replace the values that did not fit in 32 bits by those of the zip64 field."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            longs = (value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + length // 8 * 8]))
            return tuple(next(longs, value) if value == 0xFFFFFFFF else value for value in values)
        extra = extra[4 + length :]
    return values


def _zip_time(date: int, time: int) -> float | None:
    try:
        day = datetime((date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, tzinfo=UTC)
    except ValueError:
        return None
    return day.timestamp() + (time & 31) * 2


def _zip_mode(member: _Member) -> tuple[int, Reason | None]:
    kind = stat.S_IFMT(member.mode)
    if kind == stat.S_IFLNK:
        return SYMLINK, Reason.LINK
    return (unix_mode(member.mode), None) if kind in (0, stat.S_IFREG) else (kind, Reason.SPECIAL_FILE)


def _refusal(member: _Member, max_ratio: float) -> Reason | None:
    if member.flags & _ENCRYPTED_FLAGS:
        return Reason.ENCRYPTED
    if member.size > max(_FREE_MEMBER_BYTES, max_ratio * member.packed):
        return Reason.BOMB_RATIO
    return None if member.method in (_STORED, _DEFLATED, _BZIP2) else Reason.UNSUPPORTED


def _overlapping(members: list[_Member]) -> set[int]:
    """Return the indices of members that begin inside an earlier one."""
    found, end = set(), 0
    for index in sorted(range(len(members)), key=lambda i: (members[i].offset, i)):
        if members[index].offset < end:
            found.add(index)
        end = max(end, members[index].offset + _LOCAL.size + len(members[index].name) + members[index].packed)
    return found


def _zip_read(file: BinaryIO, member: _Member, entry: Entry) -> Entry:
    try:
        content = _unpacked(file, member)
    except _CORRUPT:
        return refused(entry, Reason.CORRUPT_FILE)
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        return refused(entry, Reason.CORRUPT_FILE)
    return filled(entry, content)


def _unpacked(file: BinaryIO, member: _Member) -> bytes:
    """Return at most one byte more than the member declares."""
    file.seek(member.offset)
    magic, *_, n, m = _LOCAL.unpack(file.read(_LOCAL.size))
    if magic != b"PK\3\4" or file.read(n) != member.name:
        raise EOFError("the local header is another member's")
    file.seek(m, os.SEEK_CUR)
    if member.packed > 2 * member.size + 1024:  # no encoder wastes that much, and it must fit in memory
        raise EOFError("packed larger than the content")
    data = file.read(member.packed)
    if member.method == _DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    return bz2.BZ2Decompressor().decompress(data, member.size + 1) if member.method == _BZIP2 else data
