"""Holders are those that ScanCode's detector finds, in time."""

from __future__ import annotations

import time
from pathlib import Path

from stackcurate.kernels import license_holders, license_scancode
from stackcurate.kernels.license_deadline import Deadline
from tests.license_answers import SITE, is_legal, recorded

NOTICE = "Copyright (c) 2019-2021 Example Widgets Inc.\nCopyright 2020 Jane Q. Miller\n\nAll rights reserved.\n"


def test_holders_of_real_files_are_those_of_the_unmodified_detector() -> None:
    license_scancode.load()
    answers = [answer for answer in recorded() if (SITE / answer.path).stat().st_size < 12_000]
    legal = [answer for answer in answers if is_legal(answer.path)][:14]
    named = 0
    for answer in [*legal, *answers[:8]]:
        found, expected = (
            license_holders.holders(str(SITE / answer.path), 8_192, Deadline(60.0), reference=reference)
            for reference in (False, True)
        )
        assert found == expected, answer.path
        named += len(found)
    assert named > 10


def test_holders_are_searched_up_to_a_size_and_a_deadline(tmp_path: Path) -> None:
    path = tmp_path / "LICENSE"
    path.write_text(NOTICE, encoding="utf-8")
    assert license_holders.holders(str(path), 10_000, Deadline(60.0)) == ["Example Widgets Inc.", "Jane Q. Miller"]
    assert license_holders.holders(str(path), 50, Deadline(60.0)) == ["Example Widgets Inc."]
    path.write_text((NOTICE + "\n" * 3) * 50, encoding="utf-8")
    late = Deadline(-1.0)
    start = time.process_time()
    assert license_holders.holders(str(path), 10_000, late) == ["Example Widgets Inc.", "Jane Q. Miller"]
    assert late.hit
    assert time.process_time() - start < 2.0


def test_long_words_and_statements_are_read_though_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "LICENSE"
    word = "Example" + "x" * license_holders.LONGEST_WORD
    path.write_text(f"Copyright 2020 {word} Inc.\n" + "Copyright 2021 Jane Miller, \n" * 200, encoding="utf-8")
    found, expected = (
        license_holders.holders(str(path), 10_000, Deadline(60.0), reference=reference) for reference in (False, True)
    )
    assert found == expected
    assert any("Miller" in holder for holder in found)
