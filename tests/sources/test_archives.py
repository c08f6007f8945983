"""Archives: formats, names and top folders."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from stackcurate.sources import archives
from stackcurate.sources.directories import Gate, SourcesConfig
from stackcurate.sources.local import discover, read

from .hostile import GOOD, member, tar_bytes, zip_bytes


def contents(path: Path) -> dict[str, bytes | None]:
    return {entry.path: entry.content for entry in archives.entries(str(path), Gate(SourcesConfig()))}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=str)
def test_tar_under_every_compression_equals_tarfile(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = tar_bytes(member("long/" * 30 + "name.py", b"x" * 70_000), member("ü.py", b""), member("a.bin", b"\0" * 513))
    path = tmp_path / "a.tar"
    path.write_bytes(pack(data))

    with tarfile.open(path) as peer:
        expected = {info.name: peer.extractfile(info).read() for info in peer}  # type: ignore[union-attr]
    assert contents(path) == expected


def test_streams_one_after_the_other_are_one(tmp_path: Path) -> None:
    data = tar_bytes(member("b.py", b"b" * 5000))
    for name, pack in (("a.tar.gz", gzip.compress), ("a.tar.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(data[:1500]) + pack(data[1500:]))
        assert set(contents(tmp_path / name)) == {"good.py", "b.py"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_zip_equals_zipfile(method: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in (("ü/a.py", GOOD * 900), ("empty", b""), ("b.bin", bytes(range(256)) * 20)):
            archive.writestr(name, content)
        with archive.open("large.txt", "w", force_zip64=True) as file:
            file.write(b"zip64\n" * 900)
        archive.comment = b"with a comment"
    path.write_bytes(b"#!stub\n" + path.read_bytes())  # as self-extracting archives begin
    with zipfile.ZipFile(path) as peer:
        expected = {info.filename: peer.read(info) for info in peer.infolist()}

    with path.open("rb") as file:
        found = {entry.path: entry.content for entry in archives._zip(file, Gate(SourcesConfig()))}
    assert found == expected


def test_modes_and_times(tmp_path: Path) -> None:
    (tmp_path / "a-1.0.tar").write_bytes(
        tar_bytes(member("run.sh", mode=0o777, mtime=1_600_000_000), member("x", mtime=1_500_000_000))
    )
    row, files = read(discover([tmp_path])[0])

    assert {entry.path: entry.mode for entry in files} == {"good.py": 0o100644, "run.sh": 0o100755, "x": 0o100644}
    assert row.pushed_at is not None
    assert row.pushed_at.isoformat() == "2020-09-13T12:26:40+00:00"
    assert row.created_at is None  # good.py bears 1970: a placeholder
    assert (row.repo_id, row.version, row.revision) == ("local/a", "1.0", row.revision)


@pytest.mark.parametrize(
    ("name", "prefix", "manifest", "repo_id", "kind", "stripped"),
    [
        ("six-1.0.tar.gz", "six-1.0/", "PKG-INFO", "pypi/six", "sdist", True),
        ("six-1.0.zip", "six-1.0/", "PKG-INFO", "pypi/six", "sdist", True),
        ("core-1.0.tgz", "package/", "package.json", "npm/@scope/six", "npm", True),
        ("node-1.0.tgz", "node/", "package.json", "npm/@scope/six", "npm", True),
        ("six-1.0-py3-none-any.whl", "", "six-1.0.dist-info/METADATA", "pypi/six", "wheel", False),
        ("any-2.0.tar.gz", "any-2.0/", "README", "local/any", "tar", False),
        ("any.zip", "any/", "README", "local/any", "zip", False),
        ("flat-1.0.tar.gz", "", "PKG-INFO", "local/flat", "tar", False),
    ],
)
def test_packages_are_known_by_what_is_in_them(
    name: str, prefix: str, manifest: str, repo_id: str, kind: str, stripped: bool, tmp_path: Path
) -> None:
    text = b'{"name": "@Scope/Six", "version": "1.0"}' if manifest.endswith("json") else b"Name: Six\nVersion: 1.0\n\n"
    files = [(prefix + "pkg/a.py", GOOD), (prefix + manifest, text)]
    (tmp_path / name).write_bytes(packed(name, files))

    row, entries = read(discover([tmp_path])[0])

    assert (row.repo_id, row.source_kind, row.source, row.error) == (repo_id, kind, name, None)
    expected = {("" if stripped else prefix) + path for path in ("pkg/a.py", manifest)}
    assert {entry.path for entry in entries} == expected


def packed(name: str, files: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(out, "w") as archive:
            for path, content in files:
                archive.writestr(path, content)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for path, content in files:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_two_versions_are_two_revisions_of_one_repository(tmp_path: Path) -> None:
    for version in ("1.0", "1.1"):
        info = f"Name: six\nVersion: {version}\n\n".encode()
        (tmp_path / f"six-{version}.tar.gz").write_bytes(
            packed("x.tar.gz", [(f"six-{version}/PKG-INFO", info), (f"six-{version}/six.py", GOOD)])
        )
    rows = [read(one)[0] for one in discover([tmp_path])]

    assert [(row.repo_id, row.version) for row in rows] == [("pypi/six", "1.0"), ("pypi/six", "1.1")]
    assert len({row.revision for row in rows}) == 2


def test_xz_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(tar_bytes()))
    data = bytearray((tmp_path / "a.tar.xz").read_bytes())
    assert data[14] == 0x21  # LZMA2 with one byte of properties: the dictionary's size
    data[16] = 40  # 4 GiB
    data[20:24] = zlib.crc32(data[12:20]).to_bytes(4, "little")
    (tmp_path / "a.tar.xz").write_bytes(data)

    assert read(discover([tmp_path])[0])[0].error == "corrupt_archive"


def damaged(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(out))
        out[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
    return bytes(out[: chance.randint(1, len(out))] if chance.random() < 0.2 else out)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.zip"])
def test_damage_anywhere_never_raises(name: str, tmp_path: Path) -> None:
    text = bytes(range(256)) * 9
    tar = tar_bytes(member("l" * 150, text), member("link", b"", type=tarfile.SYMTYPE, linkname="x" * 200))
    packs = {"a.tar": bytes, "a.tar.gz": gzip.compress, "a.tar.xz": lzma.compress}
    whole = zip_bytes(("b.bin", text), ("ü.py", GOOD)) if name == "a.zip" else packs[name](tar)
    chance = random.Random(1)  # a fixed seed: the same damage in every run
    errors = set()
    for _ in range(150):
        (tmp_path / name).write_bytes(damaged(whole, chance))
        row, files = read(discover([tmp_path])[0])
        list(files)
        errors.add(row.error)
    assert "corrupt_archive" in errors
    assert errors <= {None, "corrupt_archive", "bomb_ratio"}


def test_nested_archives_are_files(tmp_path: Path) -> None:
    inner = zip_bytes()
    (tmp_path / "a.tar").write_bytes(tar_bytes(member("inner.zip", inner)))

    assert contents(tmp_path / "a.tar") == {"good.py": GOOD, "inner.zip": inner}
