"""Our decisions beside what maintainers declare: installed wheels with a `License-Expression`."""

from __future__ import annotations

import csv
import sysconfig
from collections import Counter
from email.parser import HeaderParser
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stackcurate.kernels.license_expressions import normalise
from stackcurate.kernels.license_names import is_license_name, is_manifest_name, is_notice_name, is_readme_name
from stackcurate.kernels.license_policy import admits, classify, load_policy
from stackcurate.kernels.license_resolver import resolve
from stackcurate.kernels.license_scan import LicenseScanConfig, scan

SITE = Path(sysconfig.get_path("purelib"))
SCAN = LicenseScanConfig(holders=False)
LEGAL = (is_license_name, is_manifest_name, is_notice_name, is_readme_name)
LARGEST = 60_000
"""Legal documents above it list what a wheel bundles; scanning them takes longer."""

CODE = (".py", ".pyi", ".so", ".c")

Tree = dict[str, Path]


def wheels() -> dict[str, tuple[str, Tree]]:
    """Return the declared expression and the files of each installed wheel that declares one and holds code."""
    found = {}
    for info in sorted(SITE.glob("*.dist-info")):
        headers = HeaderParser().parsestr((info / "METADATA").read_text("utf-8", "replace"))
        declared, record = headers.get("License-Expression"), info / "RECORD"
        if declared and record.exists():
            with record.open(newline="") as lines:
                names = [row[0] for row in csv.reader(lines)]
            found[info.name] = (declared, {name: SITE / name for name in names if not name.startswith("..")})
    return {name: (declared, tree) for name, (declared, tree) in found.items() if any(p.endswith(CODE) for p in tree)}


def decided(tree: Tree, declared: str | None) -> dict[str, Any]:
    """Return the decision on most of a wheel's code, from its legal documents and what its manifest declares."""
    rows = [_row(path, place, declared) for path, place in tree.items() if place.is_file()]
    out = zip(rows, resolve(rows).to_pylist(), strict=True)
    code = [one for row, one in out if row["path"].endswith(CODE)]
    names = ("license", "license_reason", "license_source")
    return dict(
        zip(names, Counter(tuple(one[name] for name in names) for one in code).most_common(1)[0][0], strict=True)
    )


def _row(path: str, place: Path, declared: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"file_id": path, "path": path, "blob_id": path, "status": None}
    if path.endswith(".dist-info/METADATA"):
        return row | {"status": "complete", "detections": [], "declared": declared}
    if any(is_legal(path) for is_legal in LEGAL):
        return row | scanned(path, place)
    return row


@cache
def scanned(path: str, place: Path) -> dict[str, Any]:
    found: dict[str, Any] = scan([place.read_bytes()], [path], SCAN).to_pylist()[0]
    return found


def small(found: dict[str, tuple[str, Tree]]) -> dict[str, tuple[str, Tree]]:
    """Return wheels with few legal documents, none of them large."""
    chosen = {}
    for name, (declared, tree) in found.items():
        legal = [place for path, place in tree.items() if any(is_legal(path) for is_legal in LEGAL)]
        if len(legal) < 8 and all(place.stat().st_size < LARGEST for place in legal if place.is_file()):
            chosen[name] = (declared, tree)
    return chosen


def disagreements(found: dict[str, tuple[str, Tree]], *, blind: bool) -> dict[str, Any]:
    """Return the wheels where the class of our decision is not that of the declared expression."""
    policy, wrong = load_policy(), {}
    for name, (declared, tree) in found.items():
        ours = decided(tree, None if blind else declared)
        stated = normalise(declared)
        assert stated is not None
        if blind and ours["license_reason"] == "no_license":
            continue
        free = admits(ours["license"], ours["license_reason"], policy)
        if free != (classify(stated, policy) == "permissive"):
            wrong[name] = (declared, ours)
    return wrong


def test_small_wheels_are_decided_as_declared() -> None:
    found = dict(list(small(wheels()).items())[:30])
    assert len(found) >= 20
    assert not disagreements(found, blind=False)
    assert not disagreements(found, blind=True)


@pytest.mark.slow
def test_all_wheels_are_decided_as_declared() -> None:
    found = wheels()
    assert len(found) >= 60
    assert len(disagreements(found, blind=False)) <= len(found) / 200
    assert len(disagreements(found, blind=True)) <= len(found) / 200
