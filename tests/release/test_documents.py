"""Manifest, card, Croissant, funnel picture and report, from small made-up numbers."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
import yaml

from stackcurate.errors import ReleaseError
from stackcurate.pipeline import load_config
from stackcurate.release import card, report
from stackcurate.release.manifest import MANIFEST, find_release, load_release, make_manifest
from stackcurate.workspace import Workspace, write_json

FUNNEL = {
    "files": 10,
    "bytes": 1000,
    "kept": {"files": 6, "bytes": 600},
    "dropped": [
        {"stage": "licenses", "reason": "license_copyleft", "files": 3, "bytes": 300},
        {"stage": "quality", "reason": "<script>", "files": 1, "bytes": 100},
    ],
    "repositories": {"read": 2, "errors": {"corrupt_archive": 1}},
}
SHARDS = [
    {"path": f"data/{name}/train-00000-of-00001.parquet", "language": language, "rows": 3, "bytes": 9,
     "content_bytes": 300, "redactions": 1, "sha256": "0" * 64}
    for name, language in (("c-sharp", "C#"), ("python", "Python"))
]  # fmt: skip
CONFIG = load_config(None)


@pytest.fixture
def manifest() -> dict[str, object]:
    return make_manifest("d" * 64, CONFIG.to_dict(), SHARDS, FUNNEL)


def test_manifest_adds_up_and_names_no_place(manifest: dict[str, object]) -> None:
    assert (manifest["rows"], manifest["content_bytes"], manifest["redactions"]) == (6, 600, 2)
    assert set(manifest["languages"]) == {"C#", "Python"}  # type: ignore[arg-type]
    assert not {"workspace", "sources", "spark"} & set(manifest["config"])  # type: ignore[arg-type]
    assert json.loads(json.dumps(manifest)) == json.loads(
        json.dumps(make_manifest("d" * 64, CONFIG.to_dict(), SHARDS, FUNNEL))
    )


def test_card_has_a_config_per_language(manifest: dict[str, object]) -> None:
    text = card.card(manifest, FUNNEL)
    header = yaml.safe_load(text.split("---")[1])

    assert [entry["config_name"] for entry in header["configs"]] == ["default", "c-sharp", "python"]
    assert "license_copyleft" in text


def test_croissant_describes_each_column_once(manifest: dict[str, object]) -> None:
    fields = [field["name"] for field in card.croissant(manifest)["recordSet"][0]["field"]]

    assert len(fields) == len(set(fields))
    assert {"content", "license", "blob_id"} <= set(fields)


def test_funnel_picture_is_svg_and_ends_with_what_is_kept() -> None:
    root = ET.fromstring(report.svg(FUNNEL))

    assert root.tag.endswith("svg")
    assert report.levels(FUNNEL) == [("read", 10, 0), ("licenses", 7, 3), ("quality", 6, 1)]


def test_report_escapes_what_it_shows(manifest: dict[str, object]) -> None:
    page = report.html(manifest, FUNNEL)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "corrupt_archive" in page


def test_a_release_without_a_manifest_does_not_exist(workspace: Workspace, manifest: dict[str, object]) -> None:
    assert load_release(workspace, "v1") is None
    write_json(workspace, manifest, "releases", "v1", MANIFEST)

    assert find_release(workspace, "v1", "d" * 64) is not None
    assert find_release(workspace, "v1", "e" * 64, replace=True) is None
    with pytest.raises(ReleaseError, match="made from other"):
        find_release(workspace, "v1", "e" * 64)
