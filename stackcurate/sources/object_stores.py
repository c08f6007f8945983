"""Object stores: archives below a URI, carried one by one to the worker that reads them; contents by their SHA-1."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs as pafs

from stackcurate.errors import SourceError
from stackcurate.kernels.content import blob_id
from stackcurate.sources.archives import is_archive
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Reason
from stackcurate.workspace import locate

_PIECE = 1 << 20
_SHA1 = re.compile(r"[0-9a-f]{40}")
_GZIP = b"\x1f\x8b"


def files_below(uri: str, suffixes: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return URI, path below the folder and fingerprint of the files with one of some suffixes, in order.

    Args:
        uri: a path or URI of a folder, searched to its end, or of a single file.
        suffixes: endings of names in lower case.

    Raises:
        SourceError: there is nothing of that name, or the store refuses.
    """
    try:
        filesystem, base = locate(uri)
        infos = [filesystem.get_file_info(base)]
        if infos[0].type == pafs.FileType.Directory:
            infos = filesystem.get_file_info(pafs.FileSelector(base, recursive=True))
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{_shown(uri)}: cannot be listed ({type(error).__name__})") from error
    found = [i for i in infos if i.type == pafs.FileType.File and i.base_name.lower().endswith(suffixes)]
    if not found:
        raise SourceError(f"{_shown(uri)}: expected files named {', '.join(suffixes)}, found none")
    return [_named(uri, base, info) for info in sorted(found, key=lambda info: str(info.path))]


def listed(uri: str) -> list[Input]:
    """Return the archives below a URI as inputs.

    Raises:
        SourceError: there are none.
    """
    kinds = {".whl": "wheel", ".tgz": "npm", ".zip": "zip"}
    found = files_below(uri, (".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".crate", ".zip", ".whl"))
    return [
        Input(path=path, name=name, kind=kinds.get(Path(name).suffix.lower(), "tar"), fingerprint=state)
        for path, name, state in found
        if is_archive(name)
    ]


@contextmanager
def carried(one: Input, config: SourcesConfig) -> Iterator[Input]:
    """Bring an archive to a temporary folder while it is read; one that does not come is `unreadable` there."""
    with tempfile.TemporaryDirectory(prefix="stackcurate-") as folder:
        here = Path(folder, "archive")
        with suppress(OSError, pa.ArrowInvalid):
            filesystem, path = locate(one.path)
            with filesystem.open_input_stream(path) as stream, here.open("wb") as copy:
                _copy(stream, copy, config.max_repository_bytes)
        yield replace(one, path=str(here))


def content(store: str, sha1: str, most: int) -> bytes | Reason:
    """Return a content that a store keeps under the SHA-1 of its bytes, gzipped or not, as Software Heritage does.

    Args:
        store: folder or URI.
        sha1: of the bytes, plain or as git counts it; what does not agree with it is not returned.
        most: bytes; a larger content is `too_large`.
    """
    if not _SHA1.fullmatch(sha1):
        return Reason.MISSING_OBJECT
    try:
        filesystem, base = locate(f"{store.rstrip('/')}/{sha1}" if "?" not in store else store)
        path = base if "?" not in store else f"{base}/{sha1}"
        with filesystem.open_input_stream(path) as stream:
            packed = bytes(stream.read(most + _PIECE))
    except FileNotFoundError:
        return Reason.MISSING_OBJECT
    except (OSError, pa.ArrowInvalid):
        return Reason.UNREADABLE
    bare = packed
    if packed.startswith(_GZIP) and hashlib.sha1(packed, usedforsecurity=False).hexdigest() != sha1:
        try:
            bare = zlib.decompressobj(31).decompress(packed, most + 1)
        except zlib.error:
            return Reason.CORRUPT_FILE
    if len(bare) > most:
        return Reason.TOO_LARGE
    agrees = sha1 in (hashlib.sha1(bare, usedforsecurity=False).hexdigest(), blob_id(bare))
    return bare if agrees else Reason.CORRUPT_FILE


def _copy(stream: BinaryIO, copy: BinaryIO, most: int) -> None:
    left = most
    while left > 0 and (piece := stream.read(min(_PIECE, left))):
        copy.write(piece)
        left -= len(piece)


def _named(uri: str, base: str, info: pafs.FileInfo) -> tuple[str, str, str]:
    below = info.path[len(base) :].strip("/")
    state = hashlib.sha1(f"{info.size} {info.mtime_ns}".encode(), usedforsecurity=False).hexdigest()
    if "://" not in uri:
        return info.path, below or info.base_name, state
    head, mark, query = uri.partition("?")
    return "/".join(p for p in (head.rstrip("/"), quote(below)) if p) + mark + query, below or info.base_name, state


def _shown(uri: str) -> str:
    return uri.partition("?")[0]
