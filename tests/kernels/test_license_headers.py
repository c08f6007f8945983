"""Copyleft headers planted in repositories under MIT: each must be found, and clean files must stay."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from textwrap import wrap

import pytest

from stackcurate.kernels.license_policy import admits, load_policy
from stackcurate.kernels.license_resolver import resolve
from stackcurate.kernels.license_scan import LicenseScanConfig, scan
from tests.corpus_text import c, javascript, license_text, python

FAMILIES = {
    "GPL": ("GNU General Public License", ("2", "3")),
    "LGPL": ("GNU Lesser General Public License", ("2.1", "3")),
    "AGPL": ("GNU Affero General Public License", ("3",)),
}
FREE_SOFTWARE = (
    "{subject} is free software{colon} you can redistribute it and/or modify it under the terms of the {name} as "
    "published by the Free Software Foundation{version}."
)
NO_WARRANTY = (
    "{subject} is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even the implied "
    "warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the {name} for more details."
)
WHERE = {
    "address": "You should have received a copy of the {name} along with this program; if not, write to the Free "
    "Software Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA.",
    "url": "You should have received a copy of the {name} along with this program. If not, see "
    "<https://www.gnu.org/licenses/>.",
    "none": "",
}
SHORT = (
    "SPDX-License-Identifier: {id}-{version}-only",
    "SPDX-License-Identifier: {id}-{version}-or-later",
    "SPDX-License-Identifier: {id}-{version}+",
    "SPDX-License-Identifier: ({id}-{version}-only)",
    "Licensed under the {name} v{version}.",
    "Licensed under the {name} version {version}",
    "Released under the {name}, version {version}.",
    "This file is licensed under the {name}, version {version} or later.",
    "This program is licensed under the terms of the {name} version {version}.",
    "This software may be used and distributed according to the terms of the {name}, incorporated herein by reference.",
    "This work is licensed under the terms of the {name}, version {version} or later. See the COPYING file in the "
    "top-level directory.",
    "License: {id}-{version}",
    "License: {id}v{version}+",
    "License: {id}",
    "@license {id}-{version}.0",
    "@license http://www.gnu.org/licenses/{lower}-{version}.0.html {name}",
    "{name} v{version}.0 (see LICENSE or https://www.gnu.org/licenses/{lower}-{version}.0.txt)",
    "Distributed under the {id} v{version}",
    "License {id}v{version}+: {name} version {version} or later <https://gnu.org/licenses/{lower}.html>",
)
STYLES = {
    "py": ("", "# ", ""),
    "pyi": ('"""\n', "", '"""'),
    "js": ("", "// ", ""),
    "c": ("/*\n", " * ", " */"),
    "h": ("/* ", "   ", " */"),
    "css": ("/*!\n", " * ", " */"),
    "sql": ("", "-- ", ""),
    "el": ("", ";; ", ""),
    "tex": ("", "% ", ""),
    "html": ("<!--\n", "  ", "-->"),
    "m4": ("", "dnl ", ""),
    "bas": ("", "' ", ""),
    "f90": ("", "! ", ""),
    "java": ("/**\n", " * ", " **/"),
    "pas": ("{\n", "  ", "}"),
    "ml": ("(*\n", "   ", "*)"),
    "bat": ("", "REM ", ""),
}
_COPYLEFT = (b"gpl", b"general public", b"mozilla public", b"mpl-", b"public domain")
PLACES = ("top", "after_shebang", "middle", "end")


def notices() -> list[str]:
    """Return header texts of all families: the long forms, by their clauses, and the short ones."""
    found = []
    for name_of, (name, versions) in FAMILIES.items():
        for version in versions:
            words = {"name": name, "version": version, "id": name_of, "lower": name_of.lower()}
            later = f"; either version {version} of the License, or (at your option) any later version"
            for terms, subject, where in product(
                (later, f", version {version}", f"; version {version}."[:-1]), ("This program", "This file"), WHERE
            ):
                parts = (FREE_SOFTWARE, NO_WARRANTY, WHERE[where])
                more = {"subject": subject, "colon": ":" if version == "3" else ";", "version": terms}
                found.append("\n\n".join(part.format(**words | more) for part in parts if part))
            found += [short.format(**words) for short in SHORT]
    return list(dict.fromkeys(found))


def commented(notice: str, style: str, width: int, random: Random) -> str:
    """Write a notice as a comment, with a line for the holder above it."""
    first, each, last = STYLES[style]
    lines = [f"Copyright (C) {random.randint(1989, 2025)} The Heron Developers", ""]
    for paragraph in notice.split("\n\n"):
        lines += [*wrap(paragraph, width, break_long_words=False, break_on_hyphens=False), ""]
    body = "".join(f"{each}{line}".rstrip() + "\n" for line in lines[:-1])
    return f"{first}{body}{last}\n"


def planted(notice: str, style: str, place: str, random: Random) -> bytes:
    """Return a file whose code says nothing, with a notice at one place of it."""
    code = random.choice((python, c, javascript))(f"{style}{random.random()}").decode()
    header = commented(notice, style, random.choice((60, 72, 78, 100)), random)
    if place == "after_shebang":
        text = f"#!/usr/bin/env run\n\n{header}\n{code}"
    elif place == "middle":
        text = f"{code}\n\n{header}\n{python(place + style).decode()}"
    else:
        text = f"{header}\n{code}" if place == "top" else f"{code}\n{header}"
    return text.replace("\n", "\r\n").encode() if random.random() < 0.1 else text.encode()


def plants(count: int) -> list[tuple[str, bytes]]:
    """Return paths and contents of files with a planted notice: every notice, then every style and place."""
    random = Random(20)
    texts, styles = notices(), list(STYLES)
    chosen = []
    for number in range(count):
        notice, style = texts[number % len(texts)], styles[number % len(styles)]
        chosen.append((f"src/f{number}.{style}", planted(notice, style, random.choice(PLACES), random)))
    return chosen


@cache
def mit() -> dict[str, object]:
    return facts("LICENSE", license_text("mit", "The Heron Developers"))


def facts(path: str, content: bytes) -> dict[str, object]:
    """Return a row as the resolver reads it, scanned."""
    row: dict[str, object] = scan([content], [path], LicenseScanConfig(holders=False)).to_pylist()[0]
    known = {"file_id": path, "path": path, "blob_id": path, "content": None, "host_license": "MIT"}
    return row | known


def excluded(files: list[tuple[str, bytes]], together: int = 200) -> set[str]:
    """Return the paths that a release leaves out, in repositories under MIT most of whose files have no header."""
    policy = load_policy()
    out = set()
    for start in range(0, len(files), together):
        rows = [facts(path, content) for path, content in files[start : start + together]]
        rest = [{"file_id": f"x{n}", "path": f"x{n}.py", "blob_id": "x", "status": None} for n in range(25 * len(rows))]
        for row in resolve([mit(), *rows, *rest]).to_pylist()[1 : 1 + len(rows)]:
            if not admits(row["license"], row["license_reason"], policy):
                out.add(row["file_id"])
    return out


def clean_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield files of installed packages that name no copyleft licence in any form, and no public domain."""
    root = Path(sysconfig.get_path("purelib"))
    found = 0
    for path in sorted(root.rglob("*.py"), key=lambda path: str(path)[::-1]):
        content = path.read_bytes()
        if 500 < len(content) < 20_000 and not any(word in content.lower() for word in _COPYLEFT):
            found += 1
            yield path.relative_to(root).as_posix(), content
        if found == count:
            return


def test_planted_copyleft_is_found() -> None:
    files = plants(360)
    missed = {path for path, _ in files} - excluded(files)
    assert not missed


def test_clean_files_stay() -> None:
    files = [(path.replace("/", "_"), content) for path, content in clean_files(100)]
    assert len(files) == 100
    assert not excluded(files)


@pytest.mark.slow
def test_thousands_of_plants() -> None:
    files = plants(3_000)
    assert len({path for path, _ in files} - excluded(files)) <= len(files) / 1000


@pytest.mark.slow
def test_thousands_of_clean_files() -> None:
    files = [(path.replace("/", "_"), content) for path, content in clean_files(2_000)]
    assert len(excluded(files)) <= len(files) / 1000
