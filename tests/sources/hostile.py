"""Builders of hostile inputs, each with what must come of it: `CASES`, `build`, and the pieces they are made of."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from .hostile_git import CASES, EXECUTED, GOOD, Case, blob, build, case, commit, git, nested, repository, tree

__all__ = [
    "CASES", "EXECUTED", "GOOD", "Case", "blob", "build", "commit", "git", "member", "nested", "repository",
    "tar_bytes", "tree", "zip_bytes",
]  # fmt: skip


# --- tar ---------------------------------------------------------------------------------------------------


def member(name: str, content: bytes = GOOD, **values: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info, content


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes], layout: int = tarfile.PAX_FORMAT, end: bool = True) -> bytes:
    """Return a tar of `good.py` and the members; `info.size` may lie about the content."""
    out = b""
    for info, content in [member("good.py"), *members]:
        out += info.tobuf(layout, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)
    return out + bytes(1024 * end)


@case("paths.tar", unsafe_path=10, path_too_long=1, too_deep=1)
def _tar_paths(path: Path) -> None:
    names = ["/etc/cron.d/x", "../../executed", "a/../../executed", "C:/x.py", "a\\..\\..\\x", "\\\\server\\x", "a//b"]
    names += [".git/config", "sub/.GIT /hooks/post-checkout", "x/" * 101 + "y", "p" * 5000]
    null = member("n", pax_headers={"path": "n\0ul"})
    path.write_bytes(tar_bytes(*(member(name) for name in names), null))


@case("links.tar", link=2, special_file=5)
def _tar_links(path: Path) -> None:
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"D", b"z")
    members = (member(f"m{i}", b"", type=kind, linkname="/etc/passwd") for i, kind in enumerate(kinds))
    path.write_bytes(tar_bytes(*members))


@case("twice.tar.gz", duplicate_path=2, good=("good.py", "GOOD.PY", "caf\\xe9.py", "zero"))
def _tar_twice(path: Path) -> None:
    names = ("GOOD.PY", "good.py", "./good.py", "caf\udce9.py", "zero")
    members = (member(name, b"\0\n" if name == "zero" else b"other\n") for name in names)
    path.write_bytes(gzip.compress(tar_bytes(*members)))


@case("truncated.tar.gz", error="corrupt_archive", corrupt_file=1)
def _tar_truncated(path: Path) -> None:
    whole = gzip.compress(tar_bytes(member("noise", os.urandom(200_000)), member("after.py")))
    path.write_bytes(whole[: len(whole) // 2])


@case("bomb.tar.gz", error="bomb_ratio", too_large=1)
def _tar_bomb(path: Path) -> None:
    size = 100 << 20
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(tar_bytes(member("zeros", b""), end=False)[:-512])
        file.write(member("zeros", b"", size=size)[0].tobuf())
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))


@case("many.tar", error="too_many_entries", limits={"max_entries": 50})
def _tar_many(path: Path) -> None:
    folders = (member(f"d{i}", b"", type=tarfile.DIRTYPE) for i in range(1000))
    path.write_bytes(tar_bytes(*folders))


@case("sparse.tar", too_large=1, special_file=1, good=("good.py", "after.py"))
def _tar_sparse(path: Path) -> None:
    def sparse(name: str, real: int) -> tuple[tarfile.TarInfo, bytes]:
        header = bytearray(member(name, b"")[0].tobuf(tarfile.GNU_FORMAT))
        header[156:157] = tarfile.GNUTYPE_SPARSE
        header[483:495] = b"%011o\0" % real
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
        return _Raw(bytes(header)), b""

    path.write_bytes(tar_bytes(sparse("huge", 8_000_000_000), sparse("small", 4000), member("after.py")))


class _Raw(tarfile.TarInfo):
    """A header given as bytes."""

    def __init__(self, header: bytes) -> None:
        super().__init__()
        self.header = header

    def tobuf(self, *_: Any) -> bytes:  # type: ignore[override]
        return self.header


@case("size-lie.tar", error="corrupt_archive", too_large=1)
def _tar_size_lie(path: Path) -> None:
    path.write_bytes(tar_bytes(member("lie", GOOD, size=8 << 60), layout=tarfile.GNU_FORMAT))


@case("negative.tar", error="corrupt_archive")
def _tar_negative(path: Path) -> None:
    path.write_bytes(tar_bytes(member("minus", GOOD, size=-512), layout=tarfile.GNU_FORMAT))


@case("header-bomb.tar.gz", error="corrupt_archive")
def _tar_header_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(tar_bytes(member("n", b"x" * (5 << 20), type=tarfile.GNUTYPE_LONGNAME)), 1))


@case("header-chain.tar", error="corrupt_archive")
def _tar_header_chain(path: Path) -> None:
    path.write_bytes(tar_bytes(*(member("n", b"x\0", type=tarfile.GNUTYPE_LONGNAME) for _ in range(1900))))


@case("damaged.tar", error="corrupt_archive")
def _tar_damaged(path: Path) -> None:
    data = bytearray(tar_bytes(member("damaged.py"), member("after.py")))
    data[1024:1400] = b"\xff" * 376
    path.write_bytes(data)


@case("text.tar.gz", error="corrupt_archive", good=())
def _tar_text(path: Path) -> None:
    path.write_bytes(b"<html>404</html>")


@case("pipe.tar", error="special_file", good=())
def _tar_pipe(path: Path) -> None:
    os.mkfifo(path)


@case("empty.tar", error="corrupt_archive", good=())
def _tar_empty(path: Path) -> None:
    path.touch()


# --- zip ---------------------------------------------------------------------------------------------------


def zip_bytes(*members: tuple[str, bytes]) -> bytes:
    """Return a zip of `good.py` and the members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("good.py", GOOD), *members):
            archive.writestr(name, content)
    return out.getvalue()


def patched(data: bytes, name: bytes, offset: int, layout: str, value: int) -> bytes:
    """Overwrite a field of a member's record in the central directory."""
    out = bytearray(data)
    at = out.rindex(name) - 46
    assert out[at : at + 4] == b"PK\1\2"
    struct.pack_into(layout, out, at + offset, value)
    return bytes(out)


@case("bomb.zip", bomb_ratio=1)
def _zip_bomb(path: Path) -> None:
    path.write_bytes(zip_bytes(("zeros", bytes(3 << 20))))


@case("slip.zip", unsafe_path=3)
def _zip_slip(path: Path) -> None:
    path.write_bytes(zip_bytes(("../../executed", GOOD), ("/executed", GOOD), ("..\\..\\executed", GOOD)))


@case("encrypted.zip", encrypted=1)
def _zip_encrypted(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("secret", GOOD)), b"secret", 8, "<H", 1))


@case("understated.zip", corrupt_file=1)
def _zip_understated(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("lie", bytes(900_000))), b"lie", 24, "<L", 10))


@case("overstated.zip", corrupt_file=1)
def _zip_overstated(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("lie", os.urandom(5000))), b"lie", 24, "<L", 9000))


@case("checksum.zip", corrupt_file=1)
def _zip_checksum(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("bad.py", GOOD)), b"bad.py", 16, "<L", zlib.crc32(GOOD) ^ 1))


@case("method.zip", unsupported=1)
def _zip_method(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("x.py", GOOD)), b"x.py", 10, "<H", 14))


@case("overlapping.zip", overlapping=1)
def _zip_overlapping(path: Path) -> None:
    path.write_bytes(patched(zip_bytes(("again.py", GOOD)), b"again.py", 42, "<L", 0))


@case("names.zip", good=("good.py", "caf\\xff_.py", "inner.zip"))
def _zip_names(path: Path) -> None:
    data = zip_bytes(("caf\xe9.py", GOOD), ("inner.zip", zip_bytes()))
    path.write_bytes(data.replace("caf\xe9.py".encode(), b"caf\xff_.py"))


@case("links.zip", link=1, special_file=1)
def _zip_links(path: Path) -> None:
    data = zip_bytes(("link", b"/etc/passwd"), ("pipe", b""))
    path.write_bytes(patched(patched(data, b"link", 38, "<L", 0o120777 << 16), b"pipe", 38, "<L", 0o010644 << 16))


@case("truncated.zip", error="corrupt_archive", good=())
def _zip_truncated(path: Path) -> None:
    path.write_bytes(zip_bytes(("a.py", GOOD))[:-40])


@case("half-directory.zip", error="corrupt_archive")
def _zip_half(path: Path) -> None:
    data = bytearray(zip_bytes(("second.py", GOOD)))
    at = data.rindex(b"second.py") - 46
    data[at : at + 4] = b"XXXX"
    path.write_bytes(data)


# --- folders -----------------------------------------------------------------------------------------------


@case("folder", link=3, special_file=1, unsafe_path=1, too_deep=1, good=("good.py", "GOOD.py", "caf\\xe9.py"))
def _folder(path: Path) -> None:
    path.mkdir()
    for name in (b"good.py", b"GOOD.py", b"caf\xe9.py"):
        (path / os.fsdecode(name)).write_bytes(GOOD)
    (path / "leak").symlink_to("/etc/passwd")
    (path / "loop").symlink_to(".")
    (path / "dangling").symlink_to("nowhere")
    os.mkfifo(path / "pipe")
    hooks = path / "sub" / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {path.parent.parent / EXECUTED}\n")
    path.joinpath(*["d"] * 102).mkdir(parents=True)
