"""The table of licences: their ids, classes and the reasons for them, as versioned data.

`build_table` makes `data/licenses/policy.tsv` from ScanCode's categories, Blue Oak's ratings and our decisions where
the two disagree or a text had to be read, so that no answer hangs on what is installed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_COLUMNS = ("id", "class", "source", "scancode", "blue_oak", "reason", "aliases")
CATEGORIES = {
    "Permissive": "permissive",
    "Public Domain": "permissive",
    "Copyleft Limited": "weak_copyleft",
    "Copyleft": "copyleft",
    "Free Restricted": "restricted",
    "Source-available": "restricted",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "CLA": "not_a_license",
    "Patent License": "not_a_license",
    "Unstated License": "unknown",
}
"""Class of each ScanCode category. Source: licensedcode.models of ScanCode 32.5."""

EXCEPTIONS = ("exception", "linking_exception", "generator_exception")


@cache
def table() -> tuple[dict[str, str], ...]:
    """Read the policy table: one dict per id with the columns of its header."""
    return tuple(csv.DictReader(read_data("policy.tsv").splitlines()[1:], delimiter="\t", quoting=csv.QUOTE_NONE))


def table_version() -> str:
    """Return the first line of the table, which names its version and sources."""
    return read_data("policy.tsv").split("\n", 1)[0].removeprefix("# ")


@cache
def base_classes() -> Mapping[str, str]:
    """Return the class of each id in the table, whatever the policy."""
    return {row["id"]: row["class"] for row in table()}


def build_table(version: str) -> str:
    """Make the text of `policy.tsv` from the installed ScanCode, Blue Oak's ratings and our decisions.

    Args:
        version: first line of the table.

    Returns:
        A comment line, a header and one tab-separated row per id, sorted; sources and reasons on each.
    """
    from licensedcode.models import load_licenses

    licenses = sorted(load_licenses(with_deprecated=False).values(), key=lambda one: str(one.spdx_license_key).lower())
    ratings, decisions = _ratings(licenses), {row["id"]: row for row in read_rows("decisions.tsv")}
    rows = [_table_row(one, ratings.get(one.spdx_license_key, ""), decisions) for one in licenses]
    present = {row["id"] for row in rows}
    rows += [
        {"id": name, "class": row["class"], "source": "decision", "reason": row["reason"]}
        for name, row in decisions.items()
        if name not in present
    ]
    _settle_aliases(rows)
    lines = ("\t".join(row.get(column, "") for column in _COLUMNS) for row in rows)
    return "\n".join((f"# {version}", "\t".join(_COLUMNS), *lines, ""))


def _table_row(one: Any, rating: str, decisions: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    name, category = one.spdx_license_key, one.category
    decision = decisions.get(name)
    if decision:
        kind, source, reason = decision["class"], "decision", decision["reason"]
    elif one.is_exception and CATEGORIES[category] in ("permissive", "weak_copyleft"):
        kind, source, reason = "linking_exception", "scancode", f"exception, {category}"
    elif one.is_exception and category == "Copyleft":
        kind, source, reason = "exception", "scancode", f"exception, {category}"
    else:
        kind, source, reason = CATEGORIES[category], "both" if rating else "scancode", f"category {category}"
    aliases = "|".join(sorted({*one.other_spdx_license_keys, one.key} - {name}))
    return {
        "id": name,
        "class": kind,
        "source": source,
        "scancode": category,
        "blue_oak": rating,
        "reason": reason,
        "aliases": aliases,
    }


def _ratings(licenses: Iterable[Any]) -> dict[str, str]:
    """Blue Oak's ratings under today's ids; an id's own rating wins over that of a former id."""
    renamed = {old.lower(): one.spdx_license_key for one in licenses for old in one.other_spdx_license_keys}
    own = {row["id"]: row["rating"] for row in read_rows("blue_oak.tsv")}
    return {renamed.get(name.lower(), name): rating for name, rating in own.items()} | own


def _settle_aliases(rows: list[dict[str, str]]) -> None:
    """Drop aliases that are another row's id or alias: `bsl-1.0` is a key of ScanCode and another licence's id."""
    taken = {row["id"].lower(): row["id"] for row in rows}
    counts: dict[str, set[str]] = {}
    for row in rows:
        for alias in filter(None, row.get("aliases", "").split("|")):
            counts.setdefault(alias.lower(), set()).add(row["id"])
    for row in rows:
        own = (a for a in row.get("aliases", "").split("|") if a)
        row["aliases"] = "|".join(a for a in own if a.lower() not in taken and len(counts[a.lower()]) == 1)


@cache
def read_data(name: str) -> str:
    """Read a file of `data/licenses`."""
    return (files("stackcurate") / "data" / "licenses" / name).read_text(encoding="utf-8")


def read_rows(name: str) -> list[dict[str, str]]:
    """Read a tab-separated file of `data/licenses`."""
    return list(csv.DictReader(read_data(name).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
