"""What typecode is told of a text is what it would have found, as far as ScanCode listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackcurate.kernels import license_filetype
from tests.license_answers import SITE, recorded

HEARD = {
    "picture.xpm": b"/* XPM */\nstatic char *a[] = {\n};\n",
    "picture.pbm": b"P1\n# a comment\n2 2\n0 1 1 0\n",
    "picture.svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>\n',
    "font.sfd": b"SplineFontDB: 3.0\nFontName: A\n",
    "paper.pdf": b"%PDF-1.4\n",
    "run.sh": b"#!/opt/video/player\n",
}
"""Texts that libmagic takes for something else, or quotes when it names them."""


def heard(known: object) -> list[object]:
    """Return what ScanCode asks a type for."""
    names = ("contains_text", "is_media", "is_pdf", "is_binary", "is_text_with_long_lines", "is_compact_js")
    return [getattr(known, name) for name in names]


@pytest.mark.parametrize("name", HEARD)
def test_nothing_is_told_where_libmagic_may_find_more_than_a_text(name: str, tmp_path: Path) -> None:
    from typecode import get_type

    path = tmp_path / name
    path.write_bytes(HEARD[name])
    license_filetype.tell_typecode(str(path), HEARD[name])
    assert get_type(str(path))._mimetype_file is None


def test_real_files_are_read_as_libmagic_says(tmp_path: Path) -> None:
    from typecode import get_type
    from typecode.contenttype import Type

    told = 0
    for number, answer in enumerate(recorded()[:200]):
        content = (SITE / answer.path).read_bytes()
        path = tmp_path / f"{number}{Path(answer.path).suffix}"
        path.write_bytes(content)
        license_filetype.tell_typecode(str(path), content)
        told += get_type(str(path))._filetype_file is not None
        ours, theirs = heard(get_type(str(path))), heard(Type(str(path)))
        if max(map(len, content.split(b"\n"))) <= license_filetype.LONGEST_LINE:
            ours[5] = theirs[5]  # a compact script has its long lines broken, and there are none
        assert ours == theirs, answer.path
    assert told > 120


def test_long_lines_are_left_to_libmagic(tmp_path: Path) -> None:
    from typecode import get_type

    path = tmp_path / "a.py"
    content = b"x = 1\n" + b"# " + b"word " * 80 + b"\n"
    path.write_bytes(content)
    license_filetype.tell_typecode(str(path), content)
    assert get_type(str(path))._filetype_file is None
    assert get_type(str(path)).is_text_with_long_lines


def test_a_database_of_another_version_is_not_read() -> None:
    assert license_filetype._read(b"\0" * 752) == []
