"""Scanning gives what unmodified ScanCode gives, says when it is unfinished, and never loses a row."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels import license_manifest, license_scancode
from stackcurate.kernels.license_scan import LicenseScanConfig, detections_of, scan, scanned_as
from tests.kernels.license_inputs import dear_inputs, license_list
from tests.license_answers import SITE, Answer, digest, kept_of, kept_of_facts, read, recorded, whole_answer

QUICK = LicenseScanConfig(holders=False)
AI = "\nThe Software may not be used to train machine learning models.\n"


def licence_text(key: str) -> str:
    import licensedcode

    text = (Path(licensedcode.__file__).parent / "data" / "licenses" / f"{key}.LICENSE").read_text()
    return text.split("---\n", 2)[2]


def rows(contents: list[bytes | None], names: list[str | None], config: LicenseScanConfig = QUICK) -> list[Any]:
    return scan(pa.array(contents, pa.binary()), pa.array(names, pa.string()), config).to_pylist()


def row(content: str | bytes, name: str, config: LicenseScanConfig = QUICK) -> Any:
    return rows([content.encode() if isinstance(content, str) else content], [name], config)[0]


def assert_as_recorded(answers: list[Answer]) -> None:
    """Compare the whole JSON of ScanCode with its slow parts replaced, and our facts, with the record."""
    found = rows([read(answer.path) for answer in answers], [answer.path for answer in answers])
    for answer, facts in zip(answers, found, strict=True):
        with license_scancode.running(reference=False):
            assert digest(whole_answer(SITE / answer.path)) == answer.whole, answer.path
        assert digest(kept_of_facts(facts["detections"] or [])) == answer.kept, answer.path


def test_findings_are_those_recorded_of_unmodified_scancode() -> None:
    answers = recorded()
    found = [answer for answer in answers if answer.kept != digest([])]
    nothing = [answer for answer in answers if answer.kept == digest([])]
    chosen = found[:200] + nothing[:320]
    assert len(chosen) >= 500, "the environment is not the one of the lock file"
    assert_as_recorded(chosen)


@pytest.mark.slow
def test_all_findings_are_those_recorded_of_unmodified_scancode() -> None:
    assert_as_recorded(recorded())


def test_the_record_is_what_unmodified_scancode_answers() -> None:
    small = sorted(recorded(), key=lambda answer: len(read(answer.path)))
    found = [answer for answer in small if answer.kept != digest([])]
    for answer in found[len(found) // 3 :: max(1, len(found) // 30)][:10] + small[len(small) // 2 :][:5]:
        with license_scancode.running(reference=True):
            whole = whole_answer(SITE / answer.path)
        assert (digest(whole), digest(kept_of(whole))) == (answer.whole, answer.kept), answer.path


@pytest.mark.parametrize("name", dear_inputs(10))
def test_dear_inputs_are_read_as_unmodified_scancode_reads_them(name: str) -> None:
    text, kind = dear_inputs(4_000)[name]
    assert detections_of(text, kind) == detections_of(text, kind, reference=True)


@pytest.mark.parametrize("name", ["list of licences", "one word", "licences in one line"])
def test_time_is_bounded_and_an_unfinished_scan_says_so(name: str) -> None:
    text, kind = dear_inputs(400_000)[name]
    start = time.process_time()
    found = row(text, kind, LicenseScanConfig(deadline_seconds=0.5, limit_seconds=1.5))
    assert time.process_time() - start < 3.0
    assert (found["status"], found["error"]) in {
        ("deadline", None),
        ("deadline", "deadline"),
        ("deadline", "holders_deadline"),
    }
    assert row(licence_text("mit"), "LICENSE")["detections"][0]["expression"] == "MIT", "nothing is left of the other"


def test_bad_input_has_a_status() -> None:
    mit = licence_text("mit")
    html = "<html><body><p>" + mit.replace("\n\n", "</p><p>") + "</p></body></html>"
    assert row(b"\x7fELF\x00\x01" * 50, "LICENSE")["status"] == "binary"
    assert row("", "LICENSE") | {"unmatched": None} == row("", "LICENSE")
    assert (row("", "LICENSE")["status"], row("", "LICENSE")["detections"]) == ("complete", [])
    assert row(license_list(3_000_000), "licenses.json")["status"] == "skipped_size"
    assert row("x=1;" * 250_000, "a.min.js")["status"] == "complete"
    assert {match["expression"] for match in row(html, "LICENSE.html")["detections"]} == {"MIT"}


def test_reference_mode_gives_the_same() -> None:
    text = licence_text("mit").replace("without restriction", "with every restriction")
    fast, slow = detections_of(text, "LICENSE"), detections_of(text, "LICENSE", reference=True)
    assert fast == slow
    assert fast[0]["matcher"] == "3-seq"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/a.py", ".py"),
        ("a/B.H", ".H"),
        ("Makefile", ""),
        ("a.min.js", ".min.js"),
        ("my-package.json", ".package.json"),
        ("packages/a/package.json", "package.json"),
        ("x.gemspec", ".gemspec"),
        ("a-1.dist-info/METADATA", ".dist-info/METADATA"),
        ("docs/METADATA", ""),
        ("LICENSE-MIT", "LICENSE"),
        ("LICENSES/Apache-2.0.txt", "LICENSE.txt"),
        ("NOTICE.md", "NOTICE.md"),
        ("locale/de/a.po", "locale/.po"),
        ("debian/copyright", "debian/copyright"),
        ("../../etc/x.p/../y", ""),
        ("a.b c", ""),
        ("a." + "x" * 300, ""),
    ],
)
def test_scanned_as(path: str, expected: str) -> None:
    assert scanned_as(path) == expected
    assert scanned_as(expected) == expected, "facts are keyed by it, and scanned by the key"


def test_kinds_and_lines() -> None:
    source = "#!/bin/sh\n# SPDX-License-Identifier: MIT OR GPL-2.0-only\n\n\n# see the GPL\n"
    first = row(source, "a.sh")["detections"][0]
    assert (first["expression"], first["kind"], first["matcher"]) == ("MIT OR GPL-2.0-only", "tag", "1-spdx-id")
    assert (first["start_line"], first["end_line"]) == (2, 2)
    assert row(licence_text("mit"), "LICENSE")["detections"][0]["kind"] == "text"
    gpl = "This program is free software: you can redistribute it under the terms of the GNU General Public License v3."
    assert {match["kind"] for match in row(gpl, "a.c")["detections"]} <= {"notice", "reference"}


def test_status() -> None:
    edited = licence_text("gpl-2.0").replace("freedom", "liberty")
    found = rows(
        [b"\x00\x01\x02", b"x" * 200, b"", edited.encode(), licence_text("mit").encode(), None],
        [".py", ".py", ".py", "LICENSE", "LICENSE", ".py"],
        LicenseScanConfig(holders=False, max_bytes=len(edited) + 100, deadline_seconds=1e-6),
    )
    assert [each["status"] for each in found] == ["binary", "complete", "complete", "deadline", "complete", None]
    assert found[2]["detections"] == []
    assert found[5] == dict.fromkeys(schema.LICENSE_DETECTIONS.adds.names)
    assert row("x" * 11, "a.py", LicenseScanConfig(max_bytes=10))["status"] == "skipped_size"


def test_header_only_cuts_sources_and_nothing_else() -> None:
    late = "x = 1\n" * 4000 + "# SPDX-License-Identifier: MIT\n"
    header = LicenseScanConfig(holders=False, header_only=True)
    assert row(late, "a.py")["detections"]
    assert not row(late, "a.py", header)["detections"]
    assert row(late, "LICENSE", header)["detections"]


def test_utf_16_is_read() -> None:
    assert row(licence_text("mit").encode("utf-16"), "LICENSE")["detections"][0]["expression"] == "MIT"


def test_unmatched_names_what_was_added_to_a_licence() -> None:
    mit, bsd = licence_text("mit"), licence_text("bsd-new")
    texts = {
        mit: None,
        "Copyright (c) 2020 Someone. All rights reserved.\n\n" + bsd: None,
        licence_text("apache-2.0"): None,
        licence_text("gpl-3.0"): None,
        mit + AI: "ml_training;prohibited",
        mit + "\nThe Software shall be used for Good, not Evil.\n": "not_evil",
        "All rights reserved.\n": "all_rights_reserved",
        "This is NOT free software; do not redistribute.\n": "not_free_software",
        mit + "\nUse for surveillance is strictly\nprohibited.\n": "prohibited",
        mit + "\nAI developers must not train models on this.\n": "ml_training",
    }
    for text, expected in texts.items():
        assert row(text, "LICENSE")["unmatched"] == expected, text[-80:]
    noncommercial = row(mit.replace("without restriction", "for non-commercial purposes only"), "LICENSE")
    restricted = {match["expression"] for match in noncommercial["detections"]} != {"MIT"}
    assert restricted or "non_commercial" in noncommercial["unmatched"]
    assert row(mit + AI, "a.py")["unmatched"] is None, "only licence files are looked at"


@pytest.mark.parametrize(
    ("name", "manifest", "expected"),
    [
        ("package.json", '{"name": "a", "version": "1.0", "license": "MIT"}', "MIT"),
        ("package.json", '{"name": "a", "version": "1.0", "license": "UNLICENSED"}', "UNLICENSED"),
        ("package.json", '{"name": "a", "version": "1.0", "license": "SEE LICENSE IN EULA"}', "SEE LICENSE IN EULA"),
        ("package.json", '{"name": "a", "license": ', None),
        ("Cargo.toml", '[package]\nname = "a"\nversion = "1"\nlicense = "MIT/Apache-2.0"\n', "MIT OR Apache-2.0"),
        ("pyproject.toml", '[project]\nname = "a"\nlicense = {text = "BSD-3-Clause"}\n', "BSD-3-Clause"),
        ("pyproject.toml", '[tool.poetry]\nname = "a"\nversion = "1"\nlicense = "MIT"\n', "MIT"),
        (
            "setup.py",
            "import os\nos.mkdir('ran')\nfrom setuptools import setup\nsetup(name='a', license='MIT')\n",
            "MIT",
        ),
        ("setup.cfg", "[metadata]\nname = a\nlicense = MIT\n", "MIT"),
        ("PKG-INFO", "Metadata-Version: 2.4\nName: a\nVersion: 1\nLicense-Expression: MIT OR Zlib\n", "MIT OR Zlib"),
        ("a.dist-info/METADATA", "Name: a\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("DESCRIPTION", "Package: a\nVersion: 1.0\nLicense: GPL (>= 2)\n", "GPL (>= 2)"),
        ("a.gemspec", "Gem::Specification.new do |s|\n s.name='a'\n s.license='MIT'\nend\n", None),
        (
            "b.gemspec",
            "Gem::Specification.new do |s|\n s.name='a'\n s.authors=['B']\n s.email=['b']\n s.license='MIT'\nend\n",
            "MIT",
        ),
        ("dub.json", '{"license": "MIT"}', None),
        ("README.md", "MIT", None),
    ],
)
def test_declared(name: str, manifest: str, expected: str | None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    found = row(manifest, name)
    assert (found["status"], found["declared"]) == ("complete", expected)
    assert not list(tmp_path.iterdir()), "setup.py is read, never run"


def test_every_parser_is_there() -> None:
    import importlib

    for parsers in license_manifest.PARSERS.values():
        for parser in parsers:
            module, _, name = parser.partition(":")
            assert callable(getattr(importlib.import_module(f"packagedcode.{module}"), name).parse)


def test_holders() -> None:
    config = LicenseScanConfig()
    text = "Copyright (c) 2019-2021 Example Widgets Inc.\nCopyright 2020 Jane Q. Miller\n\n" + licence_text("mit")
    assert row(text, "LICENSE", config)["holders"] == ["Example Widgets Inc.", "Jane Q. Miller"]
    header = "# Copyright 2020 Example Widgets Inc.\n# SPDX-License-Identifier: MIT\nx = 1\n"
    assert row(header, "a.py", config)["holders"] == ["Example Widgets Inc."]
    assert row("# Copyright 2020 Example Widgets Inc.\nx = 1\n", "a.py", config)["holders"] is None
    assert row(text, "LICENSE", QUICK)["holders"] is None


def test_laws() -> None:
    contents = [b"# SPDX-License-Identifier: MIT\n", None, b"\x00", licence_text("mit").encode(), b"x = 1\n"]
    names: list[str | None] = [".py", ".py", "LICENSE", "LICENSE", None]
    whole = rows(contents, names)
    assert whole == rows(contents[:2], names[:2]) + rows(contents[2:], names[2:])
    sliced = scan(pa.array([b"no", *contents]).slice(1), pa.array(["x", *names]).slice(1), QUICK)
    assert sliced.to_pylist() == whole
    empty = scan(pa.array([], pa.binary()), pa.array([], pa.string()), QUICK)
    assert (empty.num_rows, empty.schema) == (0, schema.LICENSE_DETECTIONS.adds)
    with pytest.raises(ValueError, match="max_bytes"):
        LicenseScanConfig(max_bytes=0)


def test_the_same_name_may_hold_other_types() -> None:
    """Typecode remembers types by path for ever: what a path once held must not tell how the next is read."""
    from typecode import contenttype

    mit = licence_text("mit")
    size = len(contenttype._registry)
    long_lines = mit.replace("\n", " ") * 3
    first = rows([long_lines.encode(), mit.encode(), b"%PDF-1.4 x", mit.encode()], ["LICENSE"] * 4)
    assert first[1] == first[3] == row(mit, "LICENSE")
    assert len(contenttype._registry) == size


def test_import_is_light_and_hash_seed_does_not_matter() -> None:
    code = (
        "import sys, os; from stackcurate.kernels import license_scan as s; "
        "assert not {'licensedcode', 'packagedcode', 'typecode', 'pyspark'} & set(sys.modules); "
        "rows = s.scan([sys.argv[1].encode()], ['LICENSE']).to_pylist(); "
        "assert os.environ.get('TZ') == 'Asia/Tokyo' and 'SCANCODE_TEMP' in os.environ; print(rows)"
    )
    text = licence_text("bsd-new") + AI
    root = Path(schema.__file__).parents[1]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    found = subprocess.run(
        [sys.executable, "-c", code, text], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str([row(text, "LICENSE", LicenseScanConfig())])


def test_index_is_loaded_once() -> None:
    assert license_scancode.load() is license_scancode.load()
    assert license_scancode.load_candidates() is license_scancode.load_candidates()
