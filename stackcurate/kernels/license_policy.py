"""Licence expressions and what a policy makes of them.

The classes are data (`license_table`); a profile and the user's lists choose among them. A copyleft licence that
passes as permissive is the error that matters, so whatever is unknown, malformed or unfinished is not permissive.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from stackcurate.config import digest, setting
from stackcurate.kernels.license_expressions import known, licensing, normalise, parse
from stackcurate.kernels.license_table import CATEGORIES, EXCEPTIONS, read_data, table, table_version

__all__ = ["Policy", "PolicyConfig", "admits", "choose", "classify", "load_policy", "normalise", "strictest"]

PROFILES = ("permissive", "permissive-strict", "blue-oak", "the-stack-v2")
CLASSES = (
    "permissive", "not_a_license", "unknown", "weak_copyleft", "copyleft", "restricted", "proprietary"
)  # fmt: skip
"""Classes of an expression from the freest to the tightest; `AND` takes the tightest, `OR` the freest."""

ADMISSIBLE = ("resolved", "label_differs")
"""Reasons of the resolver under which a licence may be relied on."""


_RANK = {name: rank for rank, name in enumerate(CLASSES)}
_ENTRY = re.compile(r"([^=]+?)\s*=\s*(\w+)(\s*:.*)?", re.DOTALL)
"""An entry of a user's table: id, class, reason."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Which licences a release takes."""

    profile: str = setting("permissive", "`permissive`, `permissive-strict`, `blue-oak` or `the-stack-v2`")
    table: tuple[str, ...] = setting((), "entries over those of the table: `id = class: reason`")
    extra_allow: tuple[str, ...] = setting((), "SPDX ids, or `id WITH exception`, that count as permissive")
    extra_deny: tuple[str, ...] = setting((), "SPDX ids, or `id WITH exception`, that never do; wins over extra_allow")
    generated_files: bool = setting(False, "take GPL files under the exceptions of Bison, Autoconf, Libtool, Texinfo")
    keep_unlicensed: bool = setting(False, "take files of repositories that state no licence at all")

    def __post_init__(self) -> None:
        """Refuse a profile that does not exist and ids that the table lacks."""
        if self.profile not in PROFILES:
            raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, found {self.profile!r}")
        for text in self.extra_allow + self.extra_deny:
            if not known(text):
                raise ValueError(f"extra_allow, extra_deny: {text!r} is no SPDX id of the policy table")
        for text in self.table:
            entry = _ENTRY.fullmatch(text.strip())
            if entry is None or not known(entry[1]) or entry[2] not in CLASSES:
                raise ValueError(f"table: expected `id = class: reason`, class of {', '.join(CLASSES)}; found {text!r}")


@dataclass(frozen=True, eq=False)
class Policy:
    """A profile of the table: the class of each id.

    Args:
        profile: its name.
        version: of the table.
        digest: SHA-256 of table and config, for manifests.
        classes: class by id; ids of the user's config included, also as `id WITH exception`.
        flatten: every licence named must be permissive, `OR` or not, as the published rule of The Stack v2 has it.
        keep_unlicensed: files without any licence are admitted.
    """

    profile: str
    version: str
    digest: str
    classes: Mapping[str, str] = field(repr=False)
    flatten: bool
    keep_unlicensed: bool


@lru_cache(maxsize=64)
def load_policy(config: PolicyConfig = PolicyConfig()) -> Policy:
    """Make the policy that a config asks for.

    >>> load_policy().classes["MIT"], load_policy(PolicyConfig(extra_deny=("MIT",))).classes["MIT"]
    ('permissive', 'restricted')
    """
    classes = {row["id"]: _profile_class(row, config) for row in table()}
    entries = [match for text in config.table if (match := _ENTRY.fullmatch(text.strip()))]
    classes |= {_canonical(entry[1]): entry[2] for entry in entries}
    classes |= {_canonical(text): "permissive" for text in config.extra_allow}
    classes |= {_canonical(text): "restricted" for text in config.extra_deny}
    marked = hashlib.sha256(f"{read_data('policy.tsv')}{digest(config)}".encode()).hexdigest()
    v2 = config.profile == "the-stack-v2"
    return Policy(config.profile, table_version(), marked, classes, v2, v2 or config.keep_unlicensed)


def classify(expression: str | None, policy: Policy) -> str:
    """Return the class of an SPDX expression.

    Args:
        expression: as SPDX writes it; null means that no licence was found.
        policy: made by `load_policy`.

    Returns:
        One of `CLASSES`: permissive(A OR B) if either is, permissive(A AND B) if both are, `A WITH E` by A, where an
        exception turns copyleft into weak copyleft; `unknown` for null, malformed input and ids that are not known.

    >>> [classify(e, load_policy()) for e in ("MIT OR GPL-2.0-only", "MIT AND GPL-2.0-only", "MITT", None)]
    ['permissive', 'copyleft', 'unknown', 'unknown']
    """
    return "unknown" if expression is None else _classify(expression, policy)


def choose(expression: str | None, policy: Policy) -> str | None:
    """Return the part of an expression that is relied on: of each `OR` the freest branch, the first among equals.

    >>> choose("(GPL-2.0-only OR MIT) AND ISC", load_policy())
    'MIT AND ISC'
    """
    tree = None if expression is None else parse(expression)
    if tree is None:
        return None
    return str((tree if policy.flatten else _chosen(tree, policy)).render())


def admits(expression: str | None, reason: str, policy: Policy, classes: Collection[str] = ("permissive",)) -> bool:
    """Tell whether a decision of the resolver lets a file into a release.

    Args:
        expression: column `license`.
        reason: column `license_reason`.
        policy: made by `load_policy`.
        classes: those that a release keeps.

    >>> admits("MIT", "resolved", load_policy()), admits("MIT", "needs_review", load_policy())
    (True, False)
    """
    if reason == "no_license":
        return policy.keep_unlicensed
    return reason in ADMISSIBLE and classify(expression, policy) in classes


def strictest(expressions: Iterable[str | None], policy: Policy) -> str:
    """Return the tightest class among the licences of one blob's occurrences.

    >>> strictest(["MIT", "GPL-3.0-only"], load_policy())
    'copyleft'
    """
    return max((classify(expression, policy) for expression in expressions), key=_RANK.__getitem__, default="unknown")


def _profile_class(row: Mapping[str, str], config: PolicyConfig) -> str:
    kind, rated = row["class"], bool(row["blue_oak"])
    if kind in EXCEPTIONS:
        return "permissive_exception" if kind == "generator_exception" and config.generated_files else kind
    free = CATEGORIES.get(row["scancode"], kind) == "permissive"
    takes = {
        "permissive": kind == "permissive",
        "permissive-strict": kind == "permissive" and rated and row["blue_oak"] != "Lead",
        "blue-oak": rated,
        "the-stack-v2": free or rated,
    }[config.profile]
    if takes:
        return "permissive"
    return "unknown" if kind == "permissive" else kind


@lru_cache(maxsize=65536)
def _classify(expression: str, policy: Policy) -> str:
    tree = parse(expression)
    return "unknown" if tree is None else _class_of(tree, policy)


def _class_of(tree: Any, policy: Policy) -> str:
    algebra = licensing()
    if isinstance(tree, algebra.OR | algebra.AND):
        kinds = [_class_of(arg, policy) for arg in tree.args]
        if isinstance(tree, algebra.OR) and not policy.flatten:
            return min(kinds, key=_RANK.__getitem__)
        real = [kind for kind in kinds if kind != "not_a_license"]
        return max(real, key=_RANK.__getitem__, default="not_a_license")
    return _class_of_leaf(tree, policy)


def _class_of_leaf(leaf: Any, policy: Policy) -> str:
    whole = leaf.render()
    if whole in policy.classes or not hasattr(leaf, "exception_symbol"):
        kind = policy.classes.get(whole, "unknown")
        return "not_a_license" if kind.endswith("exception") else kind
    base = policy.classes.get(leaf.license_symbol.key, "unknown")
    exception = policy.classes.get(leaf.exception_symbol.key, "unknown")
    if exception == "permissive_exception":
        return "permissive"
    if exception not in EXCEPTIONS:  # a restriction that is written as an exception, or no exception at all
        return max(base, "unknown" if exception not in _RANK else exception, key=_RANK.__getitem__)
    return "weak_copyleft" if base == "copyleft" and exception != "exception" else base


def _chosen(tree: Any, policy: Policy) -> Any:
    algebra = licensing()
    if isinstance(tree, algebra.OR):
        best = min(tree.args, key=lambda arg: _RANK[_class_of(arg, policy)])
        return _chosen(best, policy)
    if isinstance(tree, algebra.AND):
        return algebra.AND(*(_chosen(arg, policy) for arg in tree.args))
    return tree


def _canonical(text: str) -> str:
    tree = parse(text)
    return text if tree is None else str(tree.render())
