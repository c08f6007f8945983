"""The decision table of licences, row by row, and the laws of the resolver.

Detections are written as ScanCode gives them; those of numpy, pandas, glob and typing_extensions are as it gave them
for the packages' own files, shortened.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time
from typing import Any

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels.license_evidence import REASONS
from stackcurate.kernels.license_names import is_license_name, is_manifest_name, is_notice_name, is_readme_name
from stackcurate.kernels.license_policy import ADMISSIBLE, PolicyConfig, admits, load_policy
from stackcurate.kernels.license_resolver import ResolverConfig, needs_content, resolve
from stackcurate.kernels.license_reuse import glob_matches, license_globs

Row = dict[str, Any]
LINK = 0o120777
DEFAULTS = ResolverConfig()


def hit(
    expression: str, kind: str = "text", lines: tuple[int, int] = (1, 20), matcher: str = "2-aho", coverage: float = 100
) -> Row:
    return {
        "expression": expression,
        "rule": f"{expression.lower()}.RULE",
        "matcher": matcher,
        "kind": kind,
        "score": coverage,
        "coverage": coverage,
        "start_line": lines[0],
        "end_line": lines[1],
    }


def file(path: str, *detections: Row, **facts: Any) -> Row:
    row = {"file_id": f"id:{path}", "path": path, "blob_id": f"blob:{path}", "status": "complete"}
    return row | {"detections": list(detections), "declared": None, "unmatched": None, "host_license": None} | facts


def weak(expression: str, kind: str, coverage: float, lines: tuple[int, int]) -> Row:
    return hit(expression, kind, lines, "3-seq", coverage)


def decide(*rows: Row, label: str | None = None, config: ResolverConfig = DEFAULTS) -> dict[str, Row]:
    given = [row | {"host_license": label} for row in rows]
    return {row["path"]: out for row, out in zip(given, resolve(given, config).to_pylist(), strict=True)}


def free(out: Row) -> bool:
    return admits(out["license"], out["license_reason"], load_policy())


def brief(out: Row) -> tuple[str | None, str | None, str]:
    return out["license"], out["license_source"], out["license_reason"]


MIT, GPL = file("LICENSE", hit("MIT")), file("COPYING", hit("GPL-3.0-only"))
CODE = file("src/a.py")
GPL_NOTICE = hit("GPL-3.0-or-later", "notice", (2, 9))


def test_row_01_root_license() -> None:
    out = decide(MIT, CODE)["src/a.py"]
    assert brief(out) == ("MIT", "root", "resolved")
    assert (out["license_path"], out["license_blob_id"]) == ("LICENSE", "blob:LICENSE")
    assert (out["license_lines"], out["license_rule"]) == ("1-20", "mit.RULE")


def test_row_02_header_beats_label_and_root() -> None:
    out = decide(MIT, CODE, file("src/gpl.py", GPL_NOTICE), *map(file, "bcdefgh"), label="mit")
    assert brief(out["src/gpl.py"]) == ("GPL-3.0-or-later", "header", "resolved")
    assert not free(out["src/gpl.py"])
    assert out["src/gpl.py"]["license_lines"] == "2-9"


def test_row_03_most_headers_contradict_the_license_file() -> None:
    headers = [file(f"{name}.c", GPL_NOTICE) for name in "abc"]
    out = decide(MIT, *headers, file("x.c"), file("y.c", hit("MIT", "notice")))
    assert not any(free(out[row["path"]]) for row in headers)
    assert brief(out["x.c"]) == ("MIT", "root", "header_conflict")
    assert free(out["y.c"])


def test_row_03_a_single_odd_header_does_not_condemn_the_rest() -> None:
    out = decide(MIT, file("odd.c", GPL_NOTICE), *[file(f"f{n}.c") for n in range(30)])
    assert free(out["f1.c"])
    assert not free(out["odd.c"])
    few = decide(MIT, file("odd.c", GPL_NOTICE), file("f.c"))
    assert free(few["f.c"])
    assert not free(few["odd.c"])


def test_row_04_installed_packages_decide_for_themselves() -> None:
    site = "venv/lib/python3.7/site-packages"
    out = decide(
        MIT,
        file(f"{site}/x/a.py"),
        file(f"{site}/x-1.0.dist-info/METADATA", declared="GPL-3.0-or-later"),
        file(f"{site}/six.py"),
        file(f"{site}/six-1.16.dist-info/METADATA", declared="MIT"),
        file(f"{site}/other/b.py"),
    )
    assert brief(out[f"{site}/x/a.py"]) == ("GPL-3.0-or-later", "manifest", "resolved")
    assert brief(out[f"{site}/six.py"]) == ("MIT", "manifest", "resolved")
    assert brief(out[f"{site}/other/b.py"]) == (None, None, "vendored_unlicensed")


def test_row_05_nearest_wins() -> None:
    out = decide(GPL, CODE, file("vendor/foo/LICENSE", hit("MIT")), file("vendor/foo/deep/er/b.go"))
    assert brief(out["vendor/foo/deep/er/b.go"]) == ("MIT", "directory", "resolved")
    assert not free(out["src/a.py"])


def test_row_06_the_root_does_not_cover_third_parties() -> None:
    out = decide(MIT, file("third_party/bar/b.c"), file("vendor/foo/third_party/c.c"), file("vendor/foo/LICENSE"))
    assert brief(out["third_party/bar/b.c"]) == (None, None, "vendored_unlicensed")
    assert out["vendor/foo/third_party/c.c"]["license_reason"] == "vendored_unlicensed"
    assert free(decide(MIT, file("third_party/b.c", hit("ISC", "notice")))["third_party/b.c"])
    assert free(decide(MIT, file("third_party/LICENSE", hit("ISC")), file("third_party/b.c"))["third_party/b.c"])


BOTH = (file("LICENSE-MIT", hit("MIT")), file("LICENSE-APACHE", hit("Apache-2.0")), CODE)


def test_row_06_a_module_of_modules_holds_the_code_of_others() -> None:
    chardet = [
        file(f"requests/packages/chardet/{name}.py", hit("LGPL-2.1-or-later", "notice")) for name in ("a", "b", "c")
    ]
    own = [file(path) for path in ("requests/__init__.py", "requests/api.py", "setup.py", "tests/test_api.py")]
    modules = [file("requests/packages/__init__.py"), file("requests/packages/idna/core.py")]
    out = decide(file("LICENSE", hit("Apache-2.0")), *own, *chardet, *modules)
    assert all(brief(out[row["path"]]) == ("Apache-2.0", "root", "resolved") for row in own)
    assert not any(free(out[row["path"]]) for row in (*chardet, *modules))
    assert out["requests/packages/idna/core.py"]["license_reason"] == "vendored_unlicensed"
    monorepo = decide(MIT, file("packages/a/__init__.py"), file("packages/a/b.py"))
    assert free(monorepo["packages/a/b.py"])


def test_row_07_dual_permissive() -> None:
    assert decide(*BOTH)["src/a.py"]["license"] == "Apache-2.0 AND MIT"
    stated = decide(*BOTH, file("Cargo.toml", declared="MIT OR Apache-2.0"))["src/a.py"]
    assert stated["license"] == "MIT OR Apache-2.0"
    readme = decide(*BOTH, file("README.md", hit("Apache-2.0 OR MIT", "notice")))["src/a.py"]
    assert readme["license"] == "Apache-2.0 OR MIT"
    assert all(free(out) for out in (decide(*BOTH)["src/a.py"], stated, readme))


def test_row_08_a_choice_with_copyleft_is_permissive() -> None:
    rows = (file("LICENSE-MIT", hit("MIT")), file("COPYING", hit("GPL-2.0-only")), CODE)
    out = decide(*rows, file("README.md", hit("MIT OR GPL-2.0-or-later", "notice")))["src/a.py"]
    assert out["license"] == "GPL-2.0-only OR MIT"
    assert free(out)
    stated = decide(*rows, file("package.json", declared="(GPL-2.0-or-later OR MIT)"))["src/a.py"]
    assert free(stated)


def test_row_09_without_a_statement_both_bind() -> None:
    out = decide(file("LICENSE-MIT", hit("MIT")), GPL, CODE)["src/a.py"]
    assert out["license"] == "GPL-3.0-only AND MIT"
    assert not free(out)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT OR GPL-2.0-only", True),  # row 10
        ("MIT AND GPL-2.0-only", False),  # row 11
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),  # row 12
        ("Apache-2.0 WITH LLVM-exception", True),
    ],
)
def test_rows_10_to_12_expressions_in_headers(expression: str, expected: bool) -> None:
    out = decide(GPL, file("a.c", hit(expression, "tag", (1, 1), "1-spdx-id")))["a.c"]
    assert brief(out) == (expression, "header", "resolved")
    assert free(out) == expected


def test_row_13_slash_in_a_manifest() -> None:
    out = decide(file("Cargo.toml", declared="MIT/Apache-2.0"), CODE)["src/a.py"]
    assert brief(out) == ("MIT OR Apache-2.0", "manifest", "resolved")


def test_row_14_explicit_denial_in_a_manifest() -> None:
    out = decide(file("package.json", declared="UNLICENSED"), CODE)["src/a.py"]
    assert out["license_reason"] == "explicit_denial"
    assert decide(file("package.json"), CODE)["src/a.py"]["license_reason"] == "no_license"
    both = decide(file("package.json", declared="UNLICENSED"), MIT, CODE)["src/a.py"]
    assert both["license_reason"] == "manifest_conflict"
    v2 = load_policy(PolicyConfig(keep_unlicensed=True))
    assert not admits(out["license"], out["license_reason"], v2)


def test_row_15_see_license_in() -> None:
    manifest = file("pkg/package.json", declared="SEE LICENSE IN legal/TERMS.txt")
    out = decide(manifest, file("pkg/legal/TERMS.txt", hit("ISC")), file("pkg/a.js"))["pkg/a.js"]
    assert brief(out) == ("ISC", "manifest", "resolved")
    assert out["license_path"] == "pkg/legal/TERMS.txt"
    assert brief(decide(MIT, manifest, file("pkg/a.js"))["pkg/a.js"]) == (None, "manifest", "unknown_license")


@pytest.mark.parametrize("words", ["all_rights_reserved", "not_free_software", "all_rights_reserved;prohibited"])
def test_row_16_explicit_denial_in_the_license_file(words: str) -> None:
    out = decide(file("LICENSE", unmatched=words), CODE, label="NOASSERTION")["src/a.py"]
    assert brief(out) == (None, "root", "explicit_denial")


def test_row_16_all_rights_reserved_beside_a_license_is_usual() -> None:
    assert free(decide(file("LICENSE", hit("BSD-3-Clause"), unmatched="all_rights_reserved"), CODE)["src/a.py"])
    assert free(decide(MIT, file("COPYRIGHT", unmatched="all_rights_reserved"), CODE)["src/a.py"])


def test_row_17_no_license() -> None:
    out = decide(CODE, file("README.md"))["src/a.py"]
    assert brief(out) == (None, None, "no_license")
    assert not free(out)
    assert admits(None, "no_license", load_policy(PolicyConfig(keep_unlicensed=True)))


def test_row_18_readme_alone() -> None:
    readme = file("README.md", hit("MIT", "reference", (9, 9)))
    assert brief(decide(readme, CODE)["src/a.py"]) == ("MIT", "readme", "resolved")
    assert decide(readme, CODE, config=ResolverConfig(accept_readme=False))["src/a.py"]["license"] is None
    assert brief(decide(readme, GPL, CODE)["src/a.py"]) == ("GPL-3.0-only", "root", "resolved")


def test_row_19_mentions_of_others_do_not_veto() -> None:
    mention = hit("GPL-1.0-or-later", "reference", (3, 3), coverage=50)
    out = decide(file("README.md", mention, hit("MIT", "reference", (3, 3))), CODE)["src/a.py"]
    assert brief(out) == ("MIT", "readme", "resolved")
    stated = file("README.md", hit("GPL-2.0-only", "reference"), hit("MIT", "notice"))
    assert free(decide(stated, CODE)["src/a.py"])
    unclear = file("README.md", hit("GPL-2.0-only", "reference"), hit("MIT", "reference"))
    assert decide(unclear, CODE)["src/a.py"]["license_reason"] == "needs_review"


def test_row_20_pointers() -> None:
    pointer = hit("LicenseRef-scancode-unknown-license-reference", "reference", (1, 1))
    note = file("LICENSE", pointer, content=b"See COPYING for the terms.\n")
    out = decide(note, file("COPYING", hit("ISC")), CODE)["src/a.py"]
    assert brief(out) == ("ISC", "root", "resolved")
    assert out["license_path"] == "COPYING"
    child = file("packages/a/LICENSE", content=b"See ../../LICENSE\n")
    assert decide(MIT, child, file("packages/a/x.js"))["packages/a/x.js"]["license"] == "MIT"
    lost = file("packages/a/LICENSE", content=b"See ../../../LICENSE\n")
    assert decide(MIT, lost, file("packages/a/x.js"))["packages/a/x.js"]["license_reason"] == "unknown_license"


@pytest.mark.parametrize(
    "path",
    ["MIT-LICENCE", "COPYRIGHT.txt", "license/mit.txt", "LICENSES/MIT.txt", "Licence.md", "LICENSE.MIT", "UNLICENSE"],
)
def test_row_21_names(path: str) -> None:
    assert is_license_name(path)
    assert brief(decide(file(path, hit("MIT")), CODE)["src/a.py"]) == ("MIT", "root", "resolved")


def test_row_21_names_that_are_none() -> None:
    for path in (
        "license.py",
        "src/license/mod.rs",
        "licenses.json",
        "NOTICE",
        "THIRD-PARTY-LICENSES",
        "README.license",
    ):
        assert not is_license_name(path)
    assert is_notice_name("LICENSES_bundled.txt")
    assert is_manifest_name("x-1.dist-info/METADATA")
    assert is_readme_name("README")


REUSE = b"""version = 1
[[annotations]]
path = "**"
SPDX-License-Identifier = "MIT"
[[annotations]]
path = ["img/**", "snd/*.ogg"]
SPDX-License-Identifier = "CC-BY-SA-4.0"
"""


def test_rows_21_and_31_reuse_maps_paths() -> None:
    rows = [file(path) for path in ("src/a.py", "img/deep/x.png", "snd/y.ogg", "snd/deep/z.ogg")]
    tree = (file("REUSE.toml", content=REUSE), file("LICENSES/MIT.txt", hit("MIT")), GPL)
    out = decide(*tree, *rows, file("h.c", hit("ISC", "tag")))
    assert brief(out["src/a.py"]) == ("MIT", "reuse", "resolved")
    assert out["src/a.py"]["license_path"] == "REUSE.toml"
    assert [out[row["path"]]["license"] for row in rows[1:]] == ["CC-BY-SA-4.0", "CC-BY-SA-4.0", "MIT"]
    assert brief(out["h.c"]) == ("ISC", "header", "resolved")


def test_row_31_reuse_companions_and_dep5() -> None:
    dep5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: A\n"
    dep5 += "License: Expat\n Permission is granted\n\nFiles: contrib/* tools/?.c\nCopyright: B\nLicense: GPL-2+\n"
    rows = (file("src/deep/a.c"), file("contrib/deep/b.c"), file("tools/x.c"))
    out = decide(file("debian/copyright", content=dep5.encode()), *rows)
    assert [out[row["path"]]["license"] for row in rows] == ["MIT", "GPL-2.0-or-later", "GPL-2.0-or-later"]
    out = decide(GPL, file("logo.png", status=None), file("logo.png.license", hit("CC0-1.0", "tag")))
    assert brief(out["logo.png"]) == ("CC0-1.0", "reuse", "resolved")


def test_row_22_commons_clause() -> None:
    loose = file(
        "LICENSE", hit("MIT", "text", (5, 21)), weak("LicenseRef-scancode-commons-clause", "text", 46, (23, 24))
    )
    exact = file("LICENSE", hit("LicenseRef-scancode-commons-clause", "text", (1, 9)), hit("MIT", "text", (11, 30)))
    manifest = file("package.json", declared="MIT")
    for rows in ((loose,), (exact,), (loose, manifest), (exact, manifest)):
        out = decide(*rows, CODE)["src/a.py"]
        assert not free(out)
        assert "commons-clause" in out["license"]


def test_row_23_edited_to_non_commercial() -> None:
    text = weak("MIT", "text", 99, (5, 21))
    notice = hit("LicenseRef-scancode-proprietary-license", "notice", (7, 7))
    assert not free(decide(file("LICENSE", text, notice), CODE)["src/a.py"])
    assert not free(decide(file("LICENSE", text, notice), file("package.json", declared="MIT"), CODE)["src/a.py"])


@pytest.mark.parametrize("words", ["ml_training", "non_commercial", "not_evil", "prohibited;ml_training"])
def test_row_24_residual_text(words: str) -> None:
    out = decide(file("LICENSE", hit("MIT"), unmatched=words), CODE)["src/a.py"]
    assert brief(out) == ("MIT", "root", "needs_review")
    assert not free(out)


def test_rows_25_and_32_a_readable_text_with_an_introduction() -> None:
    intro = hit("LicenseRef-scancode-unknown-license-reference", "intro", (1, 2))
    tree = (file("LICENSE", intro, hit("MIT", "reference", (3, 3)), hit("MIT", "text", (5, 25))), CODE)
    for label in (None, "NOASSERTION", "Other", "other"):
        assert brief(decide(*tree, label=label)["src/a.py"]) == ("MIT", "root", "resolved")


def test_row_26_history_of_python() -> None:
    license_ = file(
        "LICENSE",
        hit("Python-2.0", "reference", (23, 24)),
        hit("LicenseRef-scancode-other-copyleft", "clue", (44, 44)),
        hit("GPL-1.0-or-later", "notice", (44, 45)),
        hit("GPL-1.0-or-later", "reference", (45, 45)),
        hit("Python-2.0", "notice", (62, 63)),
        weak("Python-2.0", "text", 78, (73, 265)),
        hit("0BSD", "text", (270, 279)),
    )
    out = decide(license_, CODE)["src/a.py"]
    assert out["license"] == "Python-2.0"
    assert free(out)


def test_row_27_side_matches_of_low_coverage() -> None:
    side = weak("GPL-2.0-only WITH Classpath-exception-2.0 OR CDDL-1.1", "notice", 50, (2, 5))
    out = decide(file("LICENSE.md", side, hit("BlueOak-1.0.0", "text", (9, 63))), CODE)["src/a.py"]
    assert brief(out) == ("BlueOak-1.0.0", "root", "resolved")
    alone = decide(file("LICENSE.md", side), CODE)["src/a.py"]
    assert brief(alone) == (None, "root", "unknown_license")


NUMPY = (
    weak("BSD-3-Clause", "text", 97, (4, 30)),
    hit("BSD-3-Clause", "tag", (44, 44)),
    hit("BSD-3-Clause", "text", (48, 73)),
    hit("BSD-3-Clause-Open-MPI", "text", (95, 128)),
    hit("GPL-3.0-or-later", "tag", (135, 135)),
    hit("GPL-3.0-or-later WITH GCC-exception-3.1", "notice", (148, 155)),
    hit("GPL-3.0-only", "text", (240, 913)),
    hit("LGPL-2.1-or-later", "tag", (919, 919)),
)


def test_row_28_bundled_lists() -> None:
    out = decide(file("LICENSE.txt", *NUMPY), CODE)["src/a.py"]
    assert brief(out) == ("BSD-3-Clause", "root", "resolved")
    wheel = "numpy-2.0.dist-info"
    expression = "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0"
    rows = (file(f"{wheel}/licenses/LICENSE.txt", *NUMPY), file(f"{wheel}/METADATA", declared=expression))
    assert free(decide(*rows, file("numpy/core.py"))["numpy/core.py"])


def test_row_28_a_second_text_of_copyleft_is_no_bundle() -> None:
    two = file("LICENSE", hit("MIT", "text", (1, 20)), hit("GPL-3.0-only", "text", (30, 700)))
    out = decide(two, CODE)["src/a.py"]
    assert out["license"] == "MIT AND GPL-3.0-only"
    assert not free(out)
    assert decide(two, file("package.json", declared="MIT"), CODE)["src/a.py"]["license"] == "MIT"
    choice = hit("MIT OR GPL-3.0-or-later", "tag", (1, 1))
    dual = file("LICENSE", choice, hit("MIT", "text", (3, 20)), hit("GPL-3.0-only", "text", (30, 700)))
    assert decide(dual, CODE)["src/a.py"]["license"] == "MIT OR GPL-3.0-only"


def test_row_28_a_folder_of_bundled_texts_inside_a_package() -> None:
    names = ("MIT", "GPL-2.0-only", "CDDL-1.1", "EPL-2.0", "ISC", "Zlib")
    texts = [file(f"spark/licenses/LICENSE-{name}.txt", hit(name)) for name in names]
    out = decide(file("LICENSE", hit("Apache-2.0")), *texts, file("spark/sql/a.py"))
    assert brief(out["spark/sql/a.py"]) == ("Apache-2.0", "root", "resolved")
    own = decide(*texts, file("spark/package.json", declared="MIT"), file("spark/a.js"))
    assert not free(own["spark/a.js"])
    assert not free(decide(MIT, file("sub/license/GPL.txt", hit("GPL-3.0-only")), file("sub/a.c"))["sub/a.c"])


def test_row_28_the_license_of_fonts_does_not_bind_code() -> None:
    listed = (
        hit("LicenseRef-scancode-matplotlib-1.3.0", "text", (1, 99)),
        hit("OFL-1.1", "tag", (108, 108)),
        hit("OFL-1.1", "text", (259, 348)),
    )
    assert free(decide(file("LICENSE", *listed), CODE)["src/a.py"])
    font = (*listed[1:], hit("MIT", "reference", (400, 400)))
    assert not free(decide(file("LICENSE", *font), CODE)["src/a.py"])
    assert not free(decide(file("LICENSE", listed[0], hit("LGPL-2.1-only", "tag", (108, 108))), CODE)["src/a.py"])


def test_row_28_what_stands_before_the_first_text_and_in_the_manifest() -> None:
    pillow = (
        hit("MIT-CMU", "reference", (10, 10)),
        hit("BSD-2-Clause", "text", (39, 62)),
        hit("MIT", "text", (71, 87)),
    )
    manifest = file("PKG-INFO", declared="MIT-CMU")
    assert decide(file("LICENSE", *pillow), manifest, CODE)["src/a.py"]["license"] == "MIT-CMU"
    assert decide(file("LICENSE", *pillow), CODE)["src/a.py"]["license"] == "BSD-2-Clause"
    gpl = file("LICENSE", hit("MIT", "reference", (1, 1)), hit("GPL-3.0-only", "text", (3, 600)))
    assert not free(decide(gpl, file("PKG-INFO", declared="MIT"), CODE)["src/a.py"])


def test_row_29_notices_never_decide() -> None:
    notice = file("NOTICE", hit("GPL-3.0-only"), hit("LGPL-2.1-only", "notice"))
    third = file("THIRD-PARTY-LICENSES.txt", hit("GPL-3.0-only"))
    out = decide(MIT, notice, third, CODE)
    assert brief(out["src/a.py"]) == ("MIT", "root", "resolved")
    assert decide(notice, third, CODE)["src/a.py"]["license_reason"] == "no_license"


def test_row_30_documentation_of_its_own_license() -> None:
    rows = [file(path, status=None) for path in ("docs/guide.md", "README.md", "assets/logo.svg")]
    out = decide(MIT, file("LICENSE-docs", hit("CC-BY-SA-4.0")), CODE, *rows)
    assert free(out["src/a.py"])
    assert {out[row["path"]]["license"] for row in rows} == {"CC-BY-SA-4.0"}


def test_row_33_the_text_wins_over_the_label() -> None:
    busl = file("LICENSE", hit("BUSL-1.1"))
    out = decide(busl, CODE, label="MIT")["src/a.py"]
    assert brief(out) == ("BUSL-1.1", "root", "label_differs")
    assert not free(out)
    other = decide(MIT, CODE, label="GPL-3.0")["src/a.py"]
    assert brief(other) == ("MIT", "root", "label_differs")
    assert free(other)
    manifest = decide(file("package.json", declared="MIT"), CODE, label="AGPL-3.0")["src/a.py"]
    assert manifest["license_reason"] == "label_conflict"
    assert not free(manifest)


def test_rows_34_and_35_a_label_proves_nothing() -> None:
    out = decide(CODE, label="MIT")["src/a.py"]
    assert brief(out) == (None, None, "no_license")


def test_row_37_generated_files_are_out_unless_asked_for() -> None:
    out = decide(MIT, file("parser.c", hit("GPL-3.0-or-later WITH Bison-exception-2.2", "notice")), CODE)
    assert not free(out["parser.c"])
    asked = load_policy(PolicyConfig(generated_files=True))
    assert admits(out["parser.c"]["license"], out["parser.c"]["license_reason"], asked)
    assert free(out["src/a.py"])


@pytest.mark.parametrize("name", ["blessing", "Unlicense", "CC0-1.0"])
def test_row_38_dedications(name: str) -> None:
    assert free(decide(file("LICENSE", hit(name)), CODE)["src/a.py"])


def test_row_38_unclear_public_domain() -> None:
    vague = hit("LicenseRef-scancode-public-domain", "text", (1, 1))
    assert decide(file("LICENSE", vague), CODE)["src/a.py"]["license_reason"] == "needs_review"
    assert decide(MIT, file("e.c", vague))["e.c"]["license_reason"] == "needs_review"


def test_row_40_unknown_tag() -> None:
    tag = hit("LicenseRef-scancode-unknown-spdx", "tag", (1, 1), "1-spdx-id")
    out = decide(MIT, file("a.c", tag))["a.c"]
    assert brief(out) == ("MIT", "header", "unknown_tag")
    assert not free(out)


@pytest.mark.parametrize("status", ["deadline", "error", "skipped_size"])
def test_row_41_unfinished_scans_never_admit(status: str) -> None:
    out = decide(MIT, file("a.c", status=status), file("b.c", hit("MIT", "notice"), status=status), CODE)
    assert out["a.c"]["license_reason"] == "scan_incomplete"
    assert not free(out["a.c"])
    assert not free(out["b.c"])
    assert free(out["src/a.py"])
    unread = decide(file("LICENSE", hit("MIT"), status=status), file("package.json", declared="MIT"), CODE)
    assert unread["src/a.py"]["license_reason"] == "scan_incomplete"


def test_row_41_files_that_hold_no_header() -> None:
    out = decide(MIT, file("x.png", status="binary", detections=None), file("y.bin", status=None, detections=None))
    assert free(out["x.png"])
    assert free(out["y.bin"])
    assert decide(file("LICENSE", status="binary"), CODE)["src/a.py"]["license_reason"] == "unknown_license"


def test_row_42_lists_of_licenses_do_not_decide() -> None:
    names = ("MIT", "GPL-3.0-only", "ISC", "MPL-2.0", "LGPL-2.1-only", "AGPL-3.0-only")
    listed = [hit(name, "tag", (n, n)) for n, name in enumerate(names, 1)]
    out = decide(MIT, file("spdx.json", *listed), file("package-lock.json", *listed), CODE)
    assert all(free(one) for one in out.values())
    assert not free(decide(MIT, file("a.c", *listed))["a.c"])


def test_row_43_packages_of_a_monorepo() -> None:
    out = decide(
        file("packages/a/package.json", declared="MIT"),
        file("packages/b/package.json", declared="AGPL-3.0-only"),
        *[file(f"packages/{name}/src/x.js") for name in "abc"],
    )
    assert brief(out["packages/a/src/x.js"]) == ("MIT", "manifest", "resolved")
    assert brief(out["packages/b/src/x.js"]) == ("AGPL-3.0-only", "manifest", "resolved")
    assert out["packages/c/src/x.js"]["license_reason"] == "no_license"


def test_row_44_links() -> None:
    inside = file("pkg/LICENSE", mode=LINK, content=b"../LICENSE")
    assert decide(MIT, inside, file("pkg/a.c"))["pkg/a.c"]["license"] == "MIT"
    for target in (b"../../LICENSE", b"/LICENSE", b"gone", b"../pkg/LICENSE", None):
        link = file("pkg/LICENSE", mode=LINK, content=target)
        assert brief(decide(MIT, link, file("pkg/a.c"))["pkg/a.c"]) == (None, "directory", "unknown_license")


def test_a_mention_of_copyleft_keeps_a_file_out_but_is_no_header() -> None:
    mention = hit("GPL-3.0-only", "reference", (3, 3))
    clue = hit("GPL-3.0-only", "clue", (3, 3))
    loose = weak("GPL-3.0-only", "notice", 40, (3, 9))
    for detection in (mention, clue, loose):
        out = decide(MIT, *(file(f"{name}.c", detection) for name in "abc"), CODE)
        assert brief(out["a.c"]) == ("GPL-3.0-only", "header", "copyleft_mention")
        assert free(out["src/a.py"])
    beside = decide(MIT, file("a.c", hit("ISC", "notice"), mention))["a.c"]
    assert brief(beside) == ("ISC AND GPL-3.0-only", "header", "copyleft_mention")
    assert free(decide(MIT, file("a.c", hit("MIT OR GPL-2.0-or-later", "notice"), mention))["a.c"])
    assert free(decide(MIT, file("a.c", hit("ISC", "notice"), loose))["a.c"])
    word = hit("GPL-1.0-or-later", "clue", (30, 30))
    assert free(decide(MIT, file("a.c", word))["a.c"])


def test_a_choice_that_was_matched_loosely_is_no_choice() -> None:
    loose = weak("GPL-1.0-or-later OR MIT", "notice", 88, (3, 9))
    assert brief(decide(MIT, file("a.c", loose))["a.c"]) == ("GPL-1.0-or-later OR MIT", "header", "needs_review")
    assert free(decide(MIT, file("a.c", weak("Apache-2.0 OR MIT", "notice", 88, (3, 9))))["a.c"])
    assert free(decide(MIT, file("a.c", weak("GPL-1.0-or-later OR MIT", "notice", 99, (3, 9))))["a.c"])


def test_a_tag_outweighs_a_nameless_notice_that_was_matched_loosely() -> None:
    notice = weak("LicenseRef-scancode-proprietary-license", "notice", 74, (3, 4))
    tag = hit("BSD-2-Clause", "tag", (5, 5), "1-spdx-id")
    assert brief(decide(MIT, file("a.c", notice, tag))["a.c"]) == ("BSD-2-Clause", "header", "resolved")
    assert not free(decide(MIT, file("a.c", notice))["a.c"])
    assert not free(decide(MIT, file("a.c", notice | {"coverage": 100}, tag))["a.c"])


def test_prose_and_data_may_mention_copyleft_below_their_top() -> None:
    low, top = hit("GPL-3.0-only", "reference", (90, 90)), hit("GPL-3.0-only", "reference", (3, 3))
    out = decide(MIT, file("docs/a.md", low), file("b.json", low), file("docs/c.md", top), file("d.py", low))
    assert {path for path, one in out.items() if free(one)} == {"LICENSE", "docs/a.md", "b.json"}


def test_headers_need_more_than_a_mention() -> None:
    mention = hit("Apache-2.0", "reference", (3, 3))
    clue = hit("LicenseRef-scancode-other-copyleft", "clue", (3, 3))
    loose = weak("Apache-2.0", "notice", 40, (3, 9))
    governed = hit("LicenseRef-scancode-unknown-license-reference", "notice", (1, 3))
    agreement = hit("LicenseRef-scancode-dco-1.1", "text", (1, 3))
    for detection in (mention, clue, loose, governed, agreement):
        assert brief(decide(MIT, file("a.c", detection))["a.c"]) == ("MIT", "root", "resolved")
    secret = hit("LicenseRef-scancode-proprietary-license", "reference", (1, 1))
    assert decide(MIT, file("a.c", secret))["a.c"]["license_reason"] == "needs_review"


def test_a_notice_in_the_middle_of_a_file_counts() -> None:
    out = decide(MIT, file("bundle.js", hit("MIT", "notice", (1, 3)), hit("GPL-2.0-only", "notice", (900, 910))))
    assert out["bundle.js"]["license"] == "MIT AND GPL-2.0-only"
    assert out["bundle.js"]["license_lines"] == "900-910"


def test_a_manifest_that_contradicts_the_file_beside_it() -> None:
    out = decide(MIT, file("package.json", declared="GPL-3.0-only"), CODE)["src/a.py"]
    assert brief(out) == ("MIT", "root", "manifest_conflict")
    assert not free(decide(GPL, file("package.json", declared="MIT"), CODE)["src/a.py"])


def test_bundled_files_beside_a_backed_license() -> None:
    rows = (file("LICENSE", hit("PSF-2.0")), file("LICENSE_STIX", hit("OFL-1.1")), CODE)
    assert not free(decide(*rows)["src/a.py"])
    assert free(decide(*rows, file("setup.cfg", declared="PSF-2.0"))["src/a.py"])
    gpl = (file("LICENSE", hit("MIT")), file("LICENSE.GPL", hit("GPL-2.0-only")), CODE)
    assert not free(decide(*gpl, file("setup.cfg", declared="MIT"))["src/a.py"])


def test_a_choice_is_spelled_as_the_manifest_spells_it() -> None:
    rows = (
        file("LICENSE", hit("BSD-3-Clause OR Apache-2.0", "notice")),
        file("LICENSE.APACHE", hit("Apache-2.0")),
        file("LICENSE.BSD", hit("BSD-2-Clause")),
        file("pyproject.toml", declared="Apache-2.0 OR BSD-2-Clause"),
    )
    assert decide(*rows, CODE)["src/a.py"]["license"] == "Apache-2.0 OR BSD-2-Clause"


def test_year_and_holder_alone_fill_in_a_template() -> None:
    stub = file("LICENSE", content=b"YEAR: 2017\nCOPYRIGHT HOLDER: Jane Doe\n")
    out = decide(stub, file("DESCRIPTION", declared="MIT + file LICENSE"), CODE)["src/a.py"]
    assert brief(out) == ("MIT", "manifest", "resolved")
    assert out["license_blob_ids"] == ["blob:LICENSE"]
    assert not free(decide(stub, CODE)["src/a.py"])
    terms = file("LICENSE", content=b"YEAR: 2017\nAsk the owner.\n")
    assert not free(decide(terms, file("DESCRIPTION", declared="MIT"), CODE)["src/a.py"])


def test_a_license_split_over_files() -> None:
    split = (file("LICENSE", hit("GPL-3.0-only")), file("LICENSE.part2", hit("LicenseRef-scancode-unknown")))
    assert not free(decide(*split, CODE)["src/a.py"])
    halves = (file("LICENSE.1", weak("MIT", "text", 45, (1, 9))), file("LICENSE.2", weak("MIT", "text", 40, (1, 9))))
    out = decide(*halves, CODE)["src/a.py"]
    assert not free(out)
    assert out["license_reason"] == "unknown_license"


def test_texts_and_notices_travel_along() -> None:
    tree = (
        *BOTH,
        file("NOTICE"),
        file("h.c", hit("ISC", "notice")),
        file("lib/NOTICE.txt"),
        file("lib/a.c"),
        file("vendor/x/a.c"),
        file("vendor/y/COPYING", hit("ISC")),
        file("vendor/y/b.c"),
        file("x-1.dist-info/licenses/LICENSE", hit("MIT")),
        file("x-1.dist-info/METADATA", declared="MIT"),
        file("x/a.py"),
    )
    out = decide(*tree)
    both = ["blob:LICENSE-MIT", "blob:LICENSE-APACHE"]
    texts = {path: one["license_blob_ids"] for path, one in out.items()}
    assert sorted(texts["src/a.py"]) == sorted(texts["h.c"]) == sorted(texts["lib/a.c"]) == sorted(both)
    assert texts["vendor/x/a.c"] == []
    assert texts["vendor/y/b.c"] == ["blob:vendor/y/COPYING"]
    assert texts["x/a.py"] == ["blob:x-1.dist-info/licenses/LICENSE"]
    notices = {path: one["notice_blob_ids"] for path, one in out.items()}
    assert notices["src/a.py"] == notices["h.c"] == ["blob:NOTICE"]
    assert notices["lib/a.c"] == ["blob:lib/NOTICE.txt"]
    assert notices["vendor/y/b.c"] == []
    assert all(out[path]["license_blob_id"] in texts[path] for path in ("src/a.py", "vendor/y/b.c", "x/a.py"))


PUBLISHED = ResolverConfig(rule="the-stack-v2")
V2 = load_policy(PolicyConfig(profile="the-stack-v2"))


def published(*rows: Row, label: str | None = None) -> dict[str, bool]:
    out = decide(*rows, label=label, config=PUBLISHED)
    return {path: admits(one["license"], one["license_reason"], V2) for path, one in out.items()}


def test_the_published_rule_of_the_stack_v2() -> None:
    gpl = file("src/gpl.py", GPL_NOTICE)
    assert published(MIT, gpl)["src/gpl.py"]  # row 2: no headers
    assert published(GPL, CODE, label="mit")["src/a.py"]  # row 33: the label wins
    assert not published(MIT, CODE, label="gpl-3.0")["src/a.py"]
    assert not published(GPL, file("vendor/x/LICENSE", hit("MIT")), file("vendor/x/a.c"))[
        "vendor/x/a.c"
    ]  # row 5: union
    assert published(CODE)["src/a.py"]  # row 17: no licence is kept
    assert published(file("LICENSE", unmatched="all_rights_reserved"), CODE)["src/a.py"]  # row 16
    assert not published(MIT, file("NOTICE", hit("GPL-3.0-only")), CODE, label="NOASSERTION")["src/a.py"]  # row 29
    assert not published(file("README.md", hit("GPL-1.0-or-later", "reference")), MIT, CODE)["src/a.py"]  # row 19
    assert not published(file("LICENSE", hit("MIT OR GPL-2.0-only")), CODE)["src/a.py"]  # choices are flattened
    assert published(MIT, file("third_party/bar/b.c"))["third_party/bar/b.c"]  # row 6


def test_an_empty_license_file_is_none() -> None:
    empty = file("LICENSE") | {"blob_id": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}
    assert decide(empty, CODE)["src/a.py"]["license_reason"] == "no_license"
    assert decide(file("LICENSE"), CODE)["src/a.py"]["license_reason"] == "unknown_license"
    assert decide(MIT, file("docs/licensing.md"), file("docs/a.md"))["docs/a.md"]["license"] == "MIT"


def test_malformed_expressions_are_not_permissive() -> None:
    out = decide(file("a.c", hit("MIT AND (", "tag")), file("package.json", declared="MIT AND ("), CODE)
    assert not any(free(one) for one in out.values())


def test_globs() -> None:
    cases = {
        ("**", "a/b"): True,
        ("*", "a/b"): False,
        ("a/*/c", "a/b/c"): True,
        ("a/*/c", "a/b/b/c"): False,
        ("**/x*/y", "a/xz/x/y"): True,
        (r"a\*", "a*"): True,
        (r"a\*", "ab"): False,
        ("a?", "ab"): True,
        ("", ""): True,
    }
    assert {case: glob_matches(*case) for case in cases} == cases
    started = time.process_time()
    assert not glob_matches("*a" * 50 + "b", "a" * 2000)
    assert time.process_time() - started < 5


def test_path_mappings_in_bad_shape() -> None:
    assert license_globs("REUSE.toml", "not = [toml") is None
    assert license_globs("REUSE.toml", "version = 1") is None
    assert license_globs("debian/copyright", "This package was debianized by") is None
    odd = 'annotations = [1, {path = 3, SPDX-License-Identifier = 4}, {path = "a", SPDX-License-Identifier = "MITT"}]'
    assert license_globs("x/REUSE.toml", odd) == [("x/a", None)]
    out = decide(file("REUSE.toml", content=odd.encode()), MIT, file("a"))["a"]
    assert brief(out) == (None, "reuse", "unknown_license")


def test_which_files_the_resolver_reads() -> None:
    assert needs_content("REUSE.toml", None, None)
    assert needs_content("LICENSE", 30, 0o100644)
    assert needs_content("LICENSE", 5000, LINK)
    assert not needs_content("LICENSE", 5000, 0o100644)
    assert not needs_content("a.py", 30, 0o100644)


def test_reasons_are_documented() -> None:
    assert set(ADMISSIBLE) <= set(REASONS)
    assert all(REASONS.values())


def test_bad_settings_are_refused() -> None:
    bad: list[Row] = [{"min_coverage": 101.0}, {"conflict_share": -0.1}, {"rule": "best"}]
    for values in bad:
        with pytest.raises(ValueError, match="expected"):
            ResolverConfig(**values)


TREE = [
    MIT,
    CODE,
    file("src/gpl.py", GPL_NOTICE),
    file("vendor/x/a.go"),
    file("vendor/y/COPYING", hit("ISC")),
    file("vendor/y/b.go"),
    file("README.md", hit("MIT", "notice")),
    file("packages/a/package.json", declared="AGPL-3.0"),
    file("packages/a/index.js"),
    file("docs/x.md", status=None, detections=None),
]


def test_order_of_the_files_does_not_matter() -> None:
    expected = decide(*TREE)
    for seed in range(5):
        shuffled = random.Random(seed).sample(TREE, len(TREE))
        assert decide(*shuffled) == expected
        assert resolve(shuffled).column("file_id").to_pylist() == [row["file_id"] for row in shuffled]


def test_tables_batches_and_rows_give_the_same() -> None:
    types = {name: schema.LICENSE_DETECTIONS.columns.field(name).type for name in ("status", "detections", "unmatched")}
    table = pa.Table.from_pylist(TREE, pa.schema([(name, types.get(name, pa.string())) for name in TREE[0]]))
    batch = table.combine_chunks().to_batches()[0]
    assert resolve(table) == resolve(batch) == resolve(TREE)
    assert resolve(table).schema == schema.LICENSES.columns
    assert resolve(batch.slice(1)) == resolve(TREE[1:])


def test_an_empty_repository_gives_an_empty_batch() -> None:
    assert resolve([]).num_rows == 0
    assert resolve([]).schema == schema.LICENSES.columns


def test_the_answer_does_not_hang_on_the_hash_seed() -> None:
    code = textwrap.dedent("""
        import hashlib, sys
        sys.path.insert(0, "tests/kernels")
        from test_license_resolver import TREE, NUMPY, BOTH, file, resolve
        rows = [*TREE, *BOTH[:2], file("lib/LICENSE.txt", *NUMPY), file("lib/a.c")]
        print(hashlib.sha256(repr(resolve(rows).to_pylist()).encode()).hexdigest())
    """)
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "7")
    }
    assert len(answers) == 1


def test_large_and_deep_repositories() -> None:
    deep = "/".join(["d"] * 1500)
    rows = [MIT, file(f"{deep}/a.c"), *[file(f"p{n % 97}/q{n % 13}/f{n}.c") for n in range(20_000)]]
    started = time.process_time()
    out = resolve(rows)
    assert time.process_time() - started < 10
    assert set(out.column("license").to_pylist()) == {"MIT"}
