"""Content: git's ids, encodings, and what counts as binary."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from stackcurate.kernels.content import as_binary, as_text, blob_id, decode
from tests.samples import files


def test_ids_are_those_of_git(tmp_path: Path) -> None:
    contents = [content for _, content in files()]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    names = "".join(f"{number}\n" for number in range(len(contents)))
    command = ["git", "hash-object", "--no-filters", "--stdin-paths"]
    done = subprocess.run(command, input=names, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert [blob_id(content) for content in contents] == done.stdout.split()


@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        (b"", "", "utf-8"),
        ("caf\xe9 \U0001f600".encode(), "caf\xe9 \U0001f600", "utf-8"),
        (b"\xef\xbb\xbfname", "name", "utf-8-sig"),
        ("\ufeffname".encode("utf-16-le"), "name", "utf-16"),
        ("\ufeffname".encode("utf-16-be"), "name", "utf-16"),
        ("\ufeffname".encode("utf-32-le"), "name", "utf-32"),
        ("\ufeffname".encode("utf-32-be"), "name", "utf-32"),
        (b"caf\xe9", "caf\xe9", "latin-1"),
        (b"\x1b[1mbold\x1b[0m\a\b\f caf\xe9", "\x1b[1mbold\x1b[0m\a\b\f caf\xe9", "latin-1"),
        (b"\x01\x02", "\x01\x02", "utf-8"),
    ],
)
def test_text_is_decoded(content: bytes, text: str, encoding: str) -> None:
    assert decode(content) == (text, encoding)
    assert as_text(content) == text
    assert as_text(pa.scalar(content)) == text


@pytest.mark.parametrize(
    "content",
    [
        b"name\0",
        b"\0\0\0\0",
        b"\xff\xfea",  # a mark of UTF-16 before an odd number of bytes
        b"\xff\xfe\x00\xd8",  # half a pair
        b"\xef\xbb\xbf\xff",
        b"\xff\x01",
        "name".encode("utf-16-le"),
        b"\x89PNG\r\n\x1a\n\xff",
    ],
)
def test_binary_content_has_no_text(content: bytes) -> None:
    assert decode(content) == (None, None)
    assert as_text(content) is None


def test_latin_1_loses_nothing() -> None:
    content = bytes(byte for byte in range(256) if not (byte < 7 or 14 <= byte <= 26 or byte == 127))

    text, encoding = decode(content)

    assert encoding == "latin-1"
    assert text is not None
    assert text.encode("latin-1") == content


def test_null_has_no_text() -> None:
    assert as_text(None) is None
    assert as_text(pa.scalar(None, pa.binary())) is None


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (["\xe9", None, b"\xff"], pa.binary()),
        (pa.array(["\xe9", None], pa.string()), pa.binary()),
        (pa.array(["\xe9", None], pa.large_string()), pa.large_binary()),
        (pa.array([b"\xff", None], pa.binary()), pa.binary()),
        (pa.array([b"\xff", None], pa.large_binary()), pa.large_binary()),
        ([], pa.binary()),
    ],
    ids=str,
)
def test_values_become_bytes(given: pa.Array | list[str | bytes | None], kind: pa.DataType) -> None:
    values = given.to_pylist() if isinstance(given, pa.Array) else given

    found = as_binary(given)

    assert found.type == kind
    assert found.to_pylist() == [value.encode() if isinstance(value, str) else value for value in values]


def test_slices_are_read_at_their_offset() -> None:
    assert as_binary(pa.array(["a", "b", None, "d"]).slice(1, 2)).to_pylist() == [b"b", None]


def test_undecodable_bytes_in_text_come_back_as_they_were() -> None:
    assert as_binary([b"caf\xe9".decode("utf-8", "surrogateescape")]).to_pylist() == [b"caf\xe9"]
