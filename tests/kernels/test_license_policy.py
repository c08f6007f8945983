"""Licence expressions, the policy table and the profiles."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stackcurate.kernels.license_expressions import UNLICENSED, combine, ids, known, license_pointer, parse
from stackcurate.kernels.license_policy import (
    CLASSES,
    PROFILES,
    PolicyConfig,
    admits,
    choose,
    classify,
    load_policy,
    normalise,
    strictest,
)
from stackcurate.kernels.license_table import base_classes, build_table, read_data, read_rows, table, table_version

STATEMENTS = {
    "MIT/Apache-2.0": "MIT OR Apache-2.0",
    "GPL-3.0+": "GPL-3.0-or-later",
    "MIT License": "MIT",
    "BSD": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "GPL (>= 2)": "GPL-2.0-or-later",
    "GPL-2 | GPL-3": "GPL-2.0-only OR GPL-3.0-only",
    "MIT + file LICENSE": "MIT",
    "GPLv2 or later or MIT": "GPL-2.0-or-later OR MIT",
    "(MIT OR CC0-1.0)": "MIT OR CC0-1.0",
    "BSD-3-Clause, MIT": "BSD-3-Clause AND MIT",
    "perl_5": "GPL-1.0-or-later OR Artistic-1.0-Perl",
    "Apache-2.0 WITH LLVM-exception": "Apache-2.0 WITH LLVM-exception",
    "The Unlicense (Unlicense)": "Unlicense",
    "UNLICENSED": UNLICENSED,
    "License :: Other/Proprietary License": UNLICENSED,
    "- MIT\n- Apache-2.0\n": "MIT AND Apache-2.0",
    "license: MIT\nclassifiers:\n  - 'License :: OSI Approved :: GNU General Public License (GPL)'": "MIT",
    "license: UNKNOWN\nclassifiers:\n  - 'License :: OSI Approved :: ISC License (ISCL)'": "ISC",
    "license: |\n  " + "text of a licence " * 40 + "\nclassifiers:\n - 'License :: OSI Approved :: BSD License'": (
        "BSD-3-Clause"
    ),
    "- MIT\n- Custom\n": None,
    "MIT; ISC": "MIT AND ISC",
    "Custom; License :: OSI Approved :: Apache Software License": None,
    "license: Apache plus our terms\nclassifiers:\n - 'License :: OSI Approved :: Apache Software License'": None,
    "SEE LICENSE IN LICENSE.txt": None,
    "MITT": None,
    "MIT OR": None,
    "(MIT OR ISC": None,
    "Dual License": None,
    "NOASSERTION": None,
    "UNKNOWN": None,
    "": None,
}


@pytest.mark.parametrize(("statement", "expected"), STATEMENTS.items())
def test_statements_of_manifests(statement: str, expected: str | None) -> None:
    assert normalise(statement) == expected
    assert expected is None or known(expected)


def test_normalising_twice_changes_nothing() -> None:
    for expected in filter(None, STATEMENTS.values()):
        assert normalise(expected) in (expected, UNLICENSED)


def test_pointers_name_their_file() -> None:
    assert license_pointer("SEE LICENSE IN docs/LICENSE.txt") == "docs/LICENSE.txt"
    assert license_pointer('{file = "LICENSE"}') == "LICENSE"
    assert license_pointer("MIT") is None
    assert license_pointer(None) is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", "permissive"),
        ("mit", "permissive"),
        ("MIT OR GPL-2.0-only", "permissive"),
        ("MIT AND GPL-2.0-only", "copyleft"),
        ("(MIT OR GPL-2.0-only) AND ISC", "permissive"),
        ("MIT OR ISC AND GPL-2.0-only", "permissive"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "weak_copyleft"),
        ("Apache-2.0 WITH LLVM-exception", "permissive"),
        ("GPL-2.0-or-later WITH Bison-exception-2.2", "weak_copyleft"),
        ("Apache-2.0 WITH LicenseRef-scancode-commons-clause", "restricted"),
        ("MIT AND LicenseRef-scancode-commons-clause", "restricted"),
        ("MIT AND LicenseRef-scancode-dco-1.1", "permissive"),
        ("Apache-2.0 WITH MITT", "unknown"),
        ("LGPL-2.1-only", "weak_copyleft"),
        ("AGPL-3.0-or-later", "copyleft"),
        ("BUSL-1.1", "restricted"),
        (UNLICENSED, "proprietary"),
        ("MITT", "unknown"),
        ("MIT OR", "unknown"),
        ("MIT/Apache-2.0", "unknown"),
        ("(" * 2000 + "MIT" + ")" * 2000, "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_classes(expression: str | None, expected: str) -> None:
    assert classify(expression, load_policy()) == expected


def test_choice_takes_the_freest_branch() -> None:
    policy = load_policy()
    assert choose("GPL-2.0-only OR MIT", policy) == "MIT"
    assert choose("MIT OR Apache-2.0", policy) == "MIT"
    assert choose("(GPL-2.0-only OR MIT) AND (ISC OR LGPL-2.1-only)", policy) == "MIT AND ISC"
    assert choose("MIT AND", policy) is None
    assert choose(None, policy) is None
    assert choose("GPL-2.0-only OR MIT", load_policy(PolicyConfig(profile="the-stack-v2"))) == "GPL-2.0-only OR MIT"


def test_or_is_any_and_and_is_all() -> None:
    policy = load_policy()
    names = ["MIT", "GPL-3.0-only", "MPL-2.0", "BUSL-1.1", UNLICENSED, "MITT", "Apache-2.0"]
    free = {name: classify(name, policy) == "permissive" for name in names}
    for left in names:
        for right in names:
            assert (classify(f"{left} OR {right}", policy) == "permissive") == (free[left] or free[right])
            assert (classify(f"{left} AND {right}", policy) == "permissive") == (free[left] and free[right])


def test_the_user_can_allow_and_deny() -> None:
    with_exception = "GPL-2.0-only WITH Classpath-exception-2.0"
    policy = load_policy(PolicyConfig(extra_allow=("MPL-2.0", with_exception), extra_deny=("mit",)))
    assert classify("MPL-2.0", policy) == "permissive"
    assert classify(with_exception, policy) == "permissive"
    assert classify("GPL-2.0-only", policy) == "copyleft"
    assert classify("MIT", policy) == "restricted"
    both = load_policy(PolicyConfig(extra_allow=("MIT",), extra_deny=("MIT",)))
    assert classify("MIT", both) == "restricted"


def test_the_user_has_a_table_of_their_own() -> None:
    entries = ("MPL-2.0 = permissive: counsel, 2026-03", "cc-by-4.0=restricted", "MIT = copyleft: = odd: but ours")
    policy = load_policy(PolicyConfig(table=entries, extra_allow=("MIT",)))
    kinds = {name: classify(name, policy) for name in ("MPL-2.0", "CC-BY-4.0", "MIT", "ISC")}
    assert kinds == {"MPL-2.0": "permissive", "CC-BY-4.0": "restricted", "MIT": "permissive", "ISC": "permissive"}
    assert policy.digest != load_policy().digest


def test_exceptions_of_generators_are_a_flag() -> None:
    expression = "GPL-3.0-or-later WITH Bison-exception-2.2"
    assert classify(expression, load_policy(PolicyConfig(generated_files=True))) == "permissive"
    assert classify("GPL-3.0-or-later", load_policy(PolicyConfig(generated_files=True))) == "copyleft"


@pytest.mark.parametrize(
    "values",
    [
        {"profile": "free"},
        {"extra_allow": ("MITT",)},
        {"extra_deny": ("MIT OR",)},
        *({"table": (entry,)} for entry in ("MIT", "MITT = copyleft", "MIT = free")),
    ],
)
def test_bad_configs_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        PolicyConfig(**values)


def test_profiles_differ_where_they_should() -> None:
    free = {
        profile: {
            name for name, kind in load_policy(PolicyConfig(profile=profile)).classes.items() if kind == "permissive"
        }
        for profile in PROFILES
    }
    for names in free.values():
        assert {"MIT", "Apache-2.0", "BSD-3-Clause", "ISC"} <= names
        assert not {"GPL-3.0-only", "AGPL-3.0-only", "LGPL-2.1-only", "MPL-2.0", "BUSL-1.1", UNLICENSED} & names
    assert free["permissive-strict"] < free["permissive"]
    assert "CC-BY-4.0" in free["permissive"] - free["permissive-strict"]
    assert {"JSON", "Artistic-2.0", "Ruby", "Vim"} <= free["the-stack-v2"] - free["permissive"]
    assert "Artistic-2.0" in free["blue-oak"]
    assert "CC-BY-4.0" not in free["blue-oak"]


def test_the_published_rule_flattens_choices() -> None:
    v2 = load_policy(PolicyConfig(profile="the-stack-v2"))
    assert classify("MIT OR GPL-2.0-only", v2) == "copyleft"
    assert admits(None, "no_license", v2)
    assert not admits(None, "no_license", load_policy())
    assert admits(None, "no_license", load_policy(PolicyConfig(keep_unlicensed=True)))


def test_only_sound_reasons_admit() -> None:
    policy = load_policy()
    assert admits("MIT", "resolved", policy)
    assert admits("MIT", "label_differs", policy)
    assert not admits("GPL-3.0-only", "resolved", policy)
    for reason in ("needs_review", "scan_incomplete", "header_conflict", "vendored_unlicensed", "explicit_denial"):
        assert not admits("MIT", reason, policy)


def test_row_36_a_blob_of_many_homes_has_the_tightest_class() -> None:
    assert strictest(["MIT", "GPL-3.0-only", "Apache-2.0"], load_policy()) == "copyleft"
    assert strictest(["MIT", "Apache-2.0"], load_policy()) == "permissive"
    assert strictest(["MIT", None], load_policy()) == "unknown"


def test_the_policy_is_marked_by_its_config() -> None:
    plain, denied = load_policy(), load_policy(PolicyConfig(extra_deny=("MIT",)))
    assert re.fullmatch(r"[0-9a-f]{64}", plain.digest)
    assert plain.digest != denied.digest
    assert plain.version.startswith("version ")


def test_the_table_is_what_the_installed_scancode_gives() -> None:
    assert build_table(table_version()) == read_data("policy.tsv")


def test_the_table_is_whole() -> None:
    kinds = {*CLASSES, "exception", "linking_exception", "generator_exception"}
    names = [row["id"] for row in table()]
    assert len(names) == len(set(names)) == len({name.lower() for name in names}) > 2400
    assert all(row["class"] in kinds and row["reason"] and row["source"] for row in table())
    assert all(known(row["license"]) for row in read_rows("statements.tsv"))


def test_each_disagreement_of_the_sources_is_decided() -> None:
    decided = {row["id"] for row in read_rows("decisions.tsv")}
    rated_otherwise = {
        row["id"]
        for row in table()
        if row["blue_oak"] and row["scancode"] not in ("Permissive", "Public Domain") and row["source"] != "decision"
    }
    assert not rated_otherwise
    assert decided <= set(base_classes())


def test_row_39_debated_licences_have_a_class_and_a_reason() -> None:
    rows = {row["id"]: row for row in table()}
    expected = {
        "CC-BY-4.0": "permissive",
        "JSON": "restricted",
        "Artistic-2.0": "weak_copyleft",
        "Ruby": "weak_copyleft",
        "OFL-1.1": "weak_copyleft",
    }
    for name, kind in expected.items():
        assert rows[name]["class"] == kind
        assert rows[name]["source"] == "decision"
        assert len(rows[name]["reason"]) > 20


def test_expressions_join_and_split() -> None:
    assert combine([]) is None
    assert combine(["MIT OR ISC", "Zlib", "Zlib"]) == "(MIT OR ISC) AND Zlib"
    assert ids("MIT AND (ISC OR MIT)") == ("MIT", "ISC")
    assert str(parse("bsl-1.1")) == "BUSL-1.1"
    assert str(parse("BSL-1.0")) == "BSL-1.0"
