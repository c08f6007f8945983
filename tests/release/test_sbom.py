"""The bill of materials is valid SPDX, names each repository once and depends on the rows alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from stackcurate.release.sbom import SBOM, holdings, repositories, write_sbom
from stackcurate.workspace import Workspace
from tests.train.releases import row, write_release

ROWS = [
    row("one/app", "a.py", "a = 1\n"),
    row("one/app", "b.c", "int b;\n", "C") | {"license": "BSD-3-Clause OR Apache-2.0"},
    row("two/lib", "c.py", "c = 1\n") | {"license": "LicenseRef-scancode-public-domain"},
    row("two/lib", "d.py", "d = 1\n") | {"license": None},
]


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def made(place: Workspace, version: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    folder = write_release(Path(place.root) / "releases" / version, rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    write_sbom(place, manifest, repositories(holdings(place, manifest)))
    return json.loads((folder / SBOM).read_text())


def test_document_is_valid_spdx(place: Workspace) -> None:
    made(place, "v1", ROWS)

    document = parse_file(f"{place.root}/releases/v1/{SBOM}")

    assert validate_full_spdx_document(document) == []
    assert [package.name for package in document.packages] == ["one/app", "two/lib"]


def test_licences_of_a_repository_are_joined(place: Workspace) -> None:
    document = made(place, "v1", ROWS)

    assert [package["licenseConcluded"] for package in document["packages"]] == [
        "(BSD-3-Clause OR Apache-2.0) AND MIT",
        "LicenseRef-scancode-public-domain",
    ]
    assert [entry["licenseId"] for entry in document["hasExtractedLicensingInfos"]] == [
        "LicenseRef-scancode-public-domain"
    ]


def test_order_of_rows_does_not_matter(place: Workspace) -> None:
    assert made(place, "v1", ROWS)["packages"] == made(place, "v2", ROWS[::-1])["packages"]
