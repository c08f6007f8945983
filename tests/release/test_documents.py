"""Manifest, card, Croissant, funnel picture and report, from small made-up numbers."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
import yaml

from stackcurate.errors import ConfigError, ReleaseError
from stackcurate.pipeline import load_config
from stackcurate.release import card, report
from stackcurate.release.manifest import MANIFEST, find_release, load_release, make_manifest
from stackcurate.release.policy import TERMS as CHOICES
from stackcurate.release.summary import summary
from stackcurate.release.terms import TERMS, write_terms
from stackcurate.workspace import Workspace, read_bytes, write_json

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
HELD = pa.table({
    "repo": ["o/r", "o/r"], "license": ["MIT", None], "files": [4, 2], "bytes": [400, 200],
})  # fmt: skip
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
    text = card.card(manifest, FUNNEL, HELD)
    header = yaml.safe_load(text.split("---")[1])

    assert [entry["config_name"] for entry in header["configs"]] == ["default", "c-sharp", "python"]
    assert "license_copyleft" in text
    assert "| MIT | 4 | 0.00 |" in text
    assert "extra_gated_fields" not in header


def test_gated_card_asks_to_agree_to_the_terms() -> None:
    config = load_config(None, ["release.terms=responsible-use", "release.gated=true"])
    header = yaml.safe_load(
        card.card(make_manifest("d", config.to_dict(), SHARDS, FUNNEL), FUNNEL, HELD).split("---")[1]
    )

    assert header["license_name"] == "responsible-use-terms"
    assert list(header["extra_gated_fields"].values()).count("checkbox") == 1
    with pytest.raises(ConfigError, match="gated access needs terms"):
        load_config(None, ["release.gated=true"])


def test_terms_are_shipped_where_they_are_chosen(workspace: Workspace, manifest: dict[str, Any]) -> None:
    write_terms(workspace, manifest)
    assert read_bytes(workspace, "releases", "v1", TERMS) is None
    for name in set(CHOICES) - {"none"}:
        manifest["config"]["release"]["terms"] = name
        write_terms(workspace, manifest)
        assert b"under its own licence" in (read_bytes(workspace, "releases", "v1", TERMS) or b"")


def test_summary_adds_up(manifest: dict[str, Any]) -> None:
    repos = pa.table({"repo_id": ["pypi/six", "npm/left", "npm/right"], "revision": ["1", "1", "1"],
                      "files": [1, 2, 3], "bytes": [10, 20, 30],
                      "pushed_at": pa.array([0, None, 86_400_000_000], pa.timestamp("us", "UTC"))})  # fmt: skip
    made = summary(manifest, FUNNEL, repos)

    assert made["sources"]["publicly_available_code"] == [
        {"host": "npm", "repositories": 2, "files": 5, "bytes": 50},
        {"host": "pypi", "repositories": 1, "files": 1, "bytes": 10},
    ]
    assert made["sources"]["largest_repositories"] == [{"repo_id": "npm/right", "files": 3, "bytes": 30}]
    assert made["general"]["newest_content"] == "1970-01-02"
    assert made["processing"]["files_left_out_for_their_license"] == 3


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
