"""What a source file says about its own licence: tags, notices and texts, and mentions of copyleft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from posixpath import splitext

from stackcurate.kernels.license_evidence import (
    UNKNOWN_TAG,
    Claim,
    Detection,
    ResolverConfig,
    Row,
    claim_of,
    counted,
    join,
    kind_of,
)
from stackcurate.kernels.license_expressions import families, ids

_GENERIC_DENIALS = frozenset(("LicenseRef-scancode-proprietary-license", "LicenseRef-scancode-commercial-license"))
_DATA = frozenset((".json", ".jsonl", ".lock", ".csv", ".tsv", ".yaml", ".yml", ".xml", ".toml", ".txt", ".html"))
_PROSE = frozenset((".md", ".rst", ".adoc", ".org", ".man"))
_GPL = frozenset(("GPL", "LGPL", "AGPL"))
_BARE_NAMES = frozenset(("GPL-1.0-or-later", "LGPL-2.0-or-later"))
"""What ScanCode makes of the word `GPL` or `LGPL` alone."""
_WHOLE = 95.0
"""Coverage below which the words that matter may be the ones that are missing: ScanCode finds `GPL OR MIT` in GPL."""
_SURE = 80.0
"""Score at which a mention counts beside another licence, and in prose."""


def header_claim(row: Row, config: ResolverConfig) -> Claim | None:
    """Read the licence that a source file states about itself; None where it states none.

    Args:
        row: columns path, blob_id, status and detections.
        config: which evidence counts.
    """
    found = [one for one in counted(row, config) if one["kind"] in ("text", "notice", "tag")]
    tagged = any(one["kind"] == "tag" and UNKNOWN_TAG not in ids(one["expression"]) for one in found)
    found = [one for one in found if not (tagged and _is_loose_denial(one))]
    known = [one for one in found if not set(ids(one["expression"])) <= {UNKNOWN_TAG}]
    if _is_list(row["path"], known, config):
        return None
    if known:
        claim = claim_of(row, _joined(known), "header", known)
        return replace(claim, reason="scan_incomplete") if _unfinished(row) else _beside(claim, row, known, config)
    return _unstated(row, config, tagged=found)


def _unstated(row: Row, config: ResolverConfig, *, tagged: Sequence[Detection]) -> Claim | None:
    """Read a file that states no licence that is known: denials and mentions keep it from what its folder says."""
    denial = [one for one in row["detections"] or () if _is_denial(one, config)]
    if denial:
        return replace(claim_of(row, denial[0]["expression"], "header", denial), reason="needs_review")
    mentions = _mentions(row, config, stated=None)
    if mentions:
        return replace(claim_of(row, _joined(mentions), "header", mentions), reason="copyleft_mention")
    if tagged:
        return replace(claim_of(row, None, "header", tagged), reason="unknown_tag")
    if _unfinished(row) and row["status"] != "binary":
        return Claim(None, None, "scan_incomplete", row["path"], row["blob_id"])
    return None


def _beside(claim: Claim, row: Row, found: Sequence[Detection], config: ResolverConfig) -> Claim:
    """Doubt a permissive choice that was matched loosely, or beside which the file names a licence that is none."""
    if claim.free and not all(_is_free_alone(one) for one in found if one["coverage"] < _WHOLE):
        return replace(claim, reason="needs_review")
    mentions = _mentions(row, config, stated=claim.license) if claim.free else []
    if not mentions:
        return claim
    shown = claim_of(row, join((str(claim.license), str(_joined(mentions)))), "header", mentions)
    return replace(shown, reason="copyleft_mention")


def _is_free_alone(one: Detection) -> bool:
    """Tell whether each licence of a detection is permissive, whatever choice it offers."""
    return all(kind_of(name) == "permissive" for name in ids(one["expression"]))


def _mentions(row: Row, config: ResolverConfig, stated: str | None) -> list[Detection]:
    """Return mentions of copyleft that may be how the file says what it is under: "License: GPLv2+" is one to ScanCode.

    In prose and data only sure ones on top count: they write about others' licences.
    """
    talks = splitext(row["path"])[1].lower() in (_DATA | _PROSE) - {".html"}
    found = [one for one in row["detections"] or () if _names_copyleft(one, alone=stated is None and not talks)]
    other = [one for one in found if not families([one["expression"]]) <= families([stated])]
    return [one for one in other if not talks or one["start_line"] <= config.header_lines]


def _joined(found: Sequence[Detection]) -> str | None:
    return join(one["expression"] for one in found)


def _names_copyleft(one: Detection, *, alone: bool) -> bool:
    """Tell whether a detection that states nothing names a copyleft licence; where it stands alone, less is enough."""
    names = ids(one["expression"])
    if kind_of(one["expression"]) not in ("copyleft", "weak_copyleft") or any("LicenseRef-" in name for name in names):
        return False
    if one["kind"] == "reference":
        return alone or bool(one["score"] >= _SURE)
    return alone and bool(families(names) & _GPL) and not set(names) <= _BARE_NAMES


def _is_loose_denial(one: Detection) -> bool:
    """Tell whether a nameless proprietary notice was matched loosely, as "governed by a BSD license" is."""
    return one["expression"] in _GENERIC_DENIALS and bool(one["coverage"] < _WHOLE)


def _is_denial(one: Detection, config: ResolverConfig) -> bool:
    named = one["expression"] in _GENERIC_DENIALS and one["kind"] == "reference"
    return bool(named and one["score"] >= 100 and one["start_line"] <= config.header_lines)


def _is_list(path: str, found: Sequence[Detection], config: ResolverConfig) -> bool:
    data = splitext(path)[1].lower() in _DATA
    return data and len({one["expression"] for one in found}) > config.list_size


def _unfinished(row: Row) -> bool:
    return row["status"] not in (None, "complete")
