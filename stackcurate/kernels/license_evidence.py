"""What one file says about licences, read from ScanCode's detections.

A licence file speaks through its first full text; what is appended (bundled third parties) does not change it, but
restrictions that stand beside it do. A source file speaks through tags, notices and texts, never through mentions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from stackcurate.config import setting
from stackcurate.kernels.license_expressions import UNLICENSED, combine, families, ids, normalise
from stackcurate.kernels.license_policy import CLASSES, classify, load_policy
from stackcurate.kernels.license_table import EXCEPTIONS, base_classes

REASONS = {
    "resolved": "the licence is stated and nothing speaks against it",
    "label_differs": "as resolved, but the host names another licence",
    "no_license": "no licence is stated anywhere; the host's label alone proves nothing",
    "explicit_denial": "the owner says that no licence is given",
    "needs_review": "a licence is stated beside words that restrict it, or too vaguely",
    "unknown_license": "a licence is stated that is not known, or a licence file that cannot be read",
    "unknown_tag": "the file carries a tag that is not known; the licence of its folder is given",
    "scan_incomplete": "the scan of the file, or of its licence file, did not finish",
    "vendored_unlicensed": "third-party code without a licence of its own, which the root's does not cover",
    "label_conflict": "the host names a licence that is not permissive, and only a manifest or README says otherwise",
    "copyleft_mention": "the file names a copyleft licence, and may be under it",
    "header_conflict": "most headers under this licence file name licences that are not permissive",
    "manifest_conflict": "the manifest names a licence that is not permissive, the licence file beside it does",
}
"""Reason codes of `schema.LICENSES` and what they mean."""

_PUBLIC_DOMAIN = "LicenseRef-scancode-public-domain"
UNKNOWN_TAG = "LicenseRef-scancode-unknown-spdx"
_NEUTRAL = frozenset(("LicenseRef-scancode-unknown-license-reference", "LicenseRef-scancode-unknown"))
_DISCUSS_GPL = frozenset(("Python-2.0", "Python-2.0.1", "PSF-2.0", "CNRI-Python", "CNRI-Python-GPL-Compatible"))
"""Licences whose texts, with the history that goes with them, discuss whether they go together with the GPL."""
_VAGUE_COPYLEFT = frozenset(("GPL-1.0-or-later", "LicenseRef-scancode-other-copyleft"))
_RESTRICTIONS = frozenset(("ml_training", "non_commercial", "not_evil", "prohibited", "not_free_software"))
_DENIALS = frozenset(("all_rights_reserved", "not_free_software"))
_RANK = {name: rank for rank, name in enumerate(CLASSES)}

RULES = ("nearest", "the-stack-v2")
_VENDORED = """vendor vendors _vendor third_party third-party thirdparty 3rdparty 3rd_party extern external externals
node_modules bower_components jspm_packages site-packages dist-packages Godeps Pods Carthage"""

Row = Mapping[str, Any]
Detection = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResolverConfig:
    """Which evidence counts."""

    min_coverage: float = setting(60.0, "percent of a rule that an approximate match must cover to count")
    rider_coverage: float = setting(30.0, "percent at which a restriction beside a licence text counts already")
    accept_manifest: bool = setting(True, "take a manifest's statement where there is no licence file")
    accept_readme: bool = setting(True, "take a README's statement where there is neither file nor manifest")
    list_size: int = setting(5, "distinct licences above which a data file is a list of licences, not under them")
    header_lines: int = setting(30, "lines from the top in which the word `proprietary` counts")
    conflict_share: float = setting(0.5, "share of a licence file's headers above which they contradict it")
    conflict_files: float = setting(0.05, "share of its files that must carry such headers")
    vendored: tuple[str, ...] = setting(
        tuple(_VENDORED.split()),
        "names of folders whose contents the licence above does not cover",
    )
    vendored_modules: tuple[str, ...] = setting(
        ("packages",),
        "the same for Python packages within packages, such as `requests.packages`",
    )
    rule: str = setting("nearest", "`nearest`, or `the-stack-v2`: what that dataset published, for comparison")

    def __post_init__(self) -> None:
        """Refuse shares and percentages out of range, and a rule that does not exist."""
        if self.rule not in RULES:
            raise ValueError(f"rule: expected one of {', '.join(RULES)}, found {self.rule!r}")
        for name, most in (
            ("min_coverage", 100),
            ("rider_coverage", 100),
            ("conflict_share", 1),
            ("conflict_files", 1),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected 0 to {most}, found {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Claim:
    """A licence, or the lack of one, and the evidence for it: the columns of `schema.LICENSES`."""

    license: str | None
    source: str | None
    reason: str
    path: str | None = None
    blob_id: str | None = None
    lines: str | None = None
    rule: str | None = None

    @property
    def free(self) -> bool:
        """The licence is permissive by the default policy."""
        return is_free(self.license)


def is_free(expression: str | None) -> bool:
    """Tell whether an expression is permissive by the default policy."""
    return kind_of(expression) == "permissive"


def kind_of(expression: str | None) -> str:
    """Return the class of an expression by the default policy."""
    return classify(expression, load_policy())


def license_claim(row: Row, config: ResolverConfig, manifest: str | None = None) -> Claim | None:
    """Read the licence that a licence file gives.

    Args:
        row: columns path, blob_id, status, detections and unmatched.
        config: which evidence counts.
        manifest: expression of the manifest beside it, which settles what is main and what is bundled.

    Returns:
        A claim; None where the file names no licence and may be a pointer, an empty file or a list of holders.
    """
    if row["status"] != "complete":
        reason = "unknown_license" if row["status"] == "binary" else "scan_incomplete"
        return Claim(None, "directory", reason, row["path"], row["blob_id"])
    unmatched = set(filter(None, (row["unmatched"] or "").split(";")))
    found = counted(row, config)
    expression, evidence = _main_license(found, manifest)
    if expression is None:
        if not unmatched & (_DENIALS | _RESTRICTIONS):
            return None
        reason = "explicit_denial" if unmatched & _DENIALS else "needs_review"
        return Claim(None, "directory", reason, row["path"], row["blob_id"])
    claim = claim_of(row, expression, "directory", evidence)
    riders = _low_riders(row, evidence, config)
    if riders:
        expression = join((expression, *(one["expression"] for one in riders)))
        return replace(claim, license=expression, reason="needs_review")
    return replace(claim, reason="needs_review") if unmatched & _RESTRICTIONS else claim


def manifest_claim(row: Row) -> Claim | None:
    """Read the licence that a package manifest declares; None where it declares none or points to a file."""
    if not (row["declared"] or "").strip():
        return None
    expression = normalise(row["declared"])
    reason = "unknown_license" if expression is None else "resolved"
    if expression == UNLICENSED:
        reason = "explicit_denial"
    return _reviewed(Claim(expression, "manifest", reason, row["path"], row["blob_id"]))


def readme_claim(row: Row, config: ResolverConfig) -> Claim | None:
    """Read the licence that a README states: tags, notices and texts first, sure mentions else."""
    named = [one for one in counted(row, config) if UNKNOWN_TAG not in ids(one["expression"])]
    stated = [one for one in named if one["kind"] in ("text", "notice", "tag")]
    found = stated or [one for one in named if one["score"] >= 95]
    if row["status"] != "complete" or not found:
        return None
    claim = claim_of(row, join(one["expression"] for one in found), "readme", found)
    vague = not stated and len({one["expression"] for one in found}) > 1 and not claim.free
    return replace(claim, reason="needs_review") if vague else claim


def join(expressions: Iterable[str]) -> str | None:
    """Join expressions by `AND`, unless one of them offers all the others as a choice.

    >>> join(["MIT OR Apache-2.0", "MIT", "Apache-2.0"]), join(["MIT", "ISC"])
    ('MIT OR Apache-2.0', 'MIT AND ISC')
    """
    distinct = list(dict.fromkeys(expressions))
    everything = {name for one in distinct for name in ids(one)}
    for one in distinct:
        if " OR " in one and set(ids(one)) >= everything:
            return one
    return combine(distinct)


def _main_license(found: Sequence[Detection], manifest: str | None) -> tuple[str | None, list[Detection]]:
    """Return what a licence file's detections amount to, and those that say so."""
    texts = [one for one in found if one["kind"] == "text"]
    if texts and not _is_for_fonts(texts[0]):  # the licence of fonts that are bundled does not bind the code
        found = [one for one in found if not _is_for_fonts(one)]
        texts = [one for one in texts if not _is_for_fonts(one)]
    plain = [one for one in texts if _kind(one) not in ("restricted", "proprietary")]
    stated = [one for one in found if one["kind"] in ("notice", "tag")]
    if not texts:
        evidence = stated or [one for one in found if one["score"] >= 95]
        return join(one["expression"] for one in evidence), evidence
    main = _before_texts(found, (plain or texts)[0], manifest)
    choice = [one for one in stated if " OR " in one["expression"]]
    distinct = {one["expression"]: one for one in plain or texts}
    choice = [one for one in choice if families([one["expression"]]) >= families(distinct)]
    if choice and len(distinct) > 1:
        return combine(distinct, "OR"), [main]
    end = next((one["start_line"] for one in plain if one["start_line"] > main["end_line"]), float("inf"))
    beside = [one for one in texts + stated if one is not main and one["start_line"] < end and _bars(one, main)]
    backed = manifest is not None and is_free(manifest) and set(ids(manifest)) & set(ids(main["expression"]))
    if backed or choice:
        beside = [one for one in beside if _kind(one) in ("restricted", "proprietary")]
    elif sum(not is_free(name) for name in distinct) * 2 >= len(distinct):  # no list of bundled parts: a second licence
        beside += [one for one in distinct.values() if one is not main]
    evidence = [main, *beside]
    return join(one["expression"] for one in evidence), evidence


def _before_texts(found: Sequence[Detection], text: Detection, manifest: str | None) -> Detection:
    """Return the first text, or what stands before it and names the manifest's licence in words of its own."""
    declared = set(ids(manifest)) if is_free(manifest) and is_free(text["expression"]) else set()
    if declared & set(ids(text["expression"])):
        return text
    earlier = (
        one for one in found if one["start_line"] < text["start_line"] and declared & set(ids(one["expression"]))
    )
    return next(earlier, text)


def _is_for_fonts(one: Detection) -> bool:
    return all(name.startswith("OFL-") for name in ids(one["expression"]))


def _bars(one: Detection, main: Detection) -> bool:
    """A statement beside the main text is tighter than permissive, and more than a remark of that very text."""
    names = set(ids(one["expression"]))
    remark = names <= _VAGUE_COPYLEFT and set(ids(main["expression"])) <= _DISCUSS_GPL
    return not is_free(one["expression"]) and not remark


def _low_riders(row: Row, evidence: Sequence[Detection], config: ResolverConfig) -> list[Detection]:
    """Restrictions near the main text that were matched too loosely to be sure of."""
    last = max(one["end_line"] for one in evidence) + config.header_lines
    return [
        one
        for one in row["detections"] or ()
        if one["kind"] in ("text", "notice")
        and _is_side_match(one, config)
        and one["coverage"] >= config.rider_coverage
        and one["start_line"] <= last
        and _kind(one) in ("restricted", "proprietary")
    ]


def counted(row: Row, config: ResolverConfig) -> list[Detection]:
    """The detections that name a licence and were matched well."""
    return [
        one
        for one in row["detections"] or ()
        if one["kind"] not in ("clue", "intro")
        and not _is_side_match(one, config)
        and not _says_nothing(one["expression"])
    ]


def _is_side_match(one: Detection, config: ResolverConfig) -> bool:
    return bool(one["matcher"] == "3-seq" and one["coverage"] < config.min_coverage)


@lru_cache(maxsize=65536)
def _says_nothing(expression: str | None) -> bool:
    """No licence is named: references to unnamed files, contributor agreements, exceptions standing alone."""
    classes = base_classes()
    return all(
        name in _NEUTRAL or classes.get(name) == "not_a_license" or classes.get(name) in EXCEPTIONS
        for name in ids(expression)
    )


def _kind(one: Detection) -> str:
    return kind_of(one["expression"])


def claim_of(row: Row, expression: str | None, source: str, evidence: Sequence[Detection]) -> Claim:
    """Make a claim that shows the tightest of its detections, the first among equals."""
    shown = max(evidence, key=lambda one: _RANK[_kind(one)])
    lines = f"{shown['start_line']}-{shown['end_line']}"
    claim = Claim(expression, source, "resolved", row["path"], row["blob_id"], lines, shown["rule"])
    return _reviewed(claim)


def _reviewed(claim: Claim) -> Claim:
    """A bare mention of the public domain is for people to judge."""
    vague = claim.reason == "resolved" and _PUBLIC_DOMAIN in ids(claim.license)
    return replace(claim, reason="needs_review") if vague else claim
