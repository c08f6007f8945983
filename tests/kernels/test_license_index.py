"""The inverted index chooses the rules that ScanCode chooses, in its order, with its scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stackcurate.kernels import license_index, license_scancode


@pytest.fixture(scope="module")
def index() -> Any:
    return license_scancode.load().index


@pytest.fixture(scope="module")
def rules(index: Any) -> license_index.Rules:
    return license_index.build_rules(index)


def licence_text(key: str) -> str:
    import licensedcode

    text = (Path(licensedcode.__file__).parent / "data" / "licenses" / f"{key}.LICENSE").read_text()
    return text.split("---\n", 2)[2]


def queries(index: Any) -> Iterator[Any]:
    from licensedcode.query import build_query

    mit, bsd, lgpl = licence_text("mit"), licence_text("bsd-new"), licence_text("lgpl-2.1")
    edited = mit.replace("without restriction", "with every restriction that we like")
    every_third = " ".join(lgpl.split()[::3])
    code = Path(license_index.__file__).read_text()
    for text in (
        edited,
        f"{mit[:700]}\n\n\n\n\n{bsd[200:]}",
        every_third,
        code,
        "no rights at all, all rights reserved",
    ):
        yield build_query(query_string=text, idx=index)


def described(candidates: list[Any]) -> list[tuple[Any, int]]:
    return [(scores, rid) for scores, rid, _, _ in candidates]


def test_candidates_are_those_of_scancode(index: Any, rules: license_index.Rules) -> None:
    from licensedcode.match_set import compute_candidates

    compared = truncated = 0
    for query in queries(index):
        ours = license_index.Candidates(rules=rules)
        for run, top, alike in (
            (query.whole_query_run(), 10, True),
            *((run, 3, False) for run in query.query_runs[:2]),
        ):
            arguments = (run, index, index.approx_matchable_rids, top, alike)
            expected, found = compute_candidates(*arguments), ours.compute(*arguments)
            assert described(found) == described(expected)
            for (*_, high), (_, rid, _, _) in zip(found, expected, strict=True):
                legalese = {token for token in index.sets_by_rid[rid] if token < index.len_legalese}
                assert high & legalese == legalese & set(run.tokens)
            compared += len(found)
            truncated += not alike and len(found) == top
    assert compared > 20
    assert truncated > 3, "the first sort must have had to choose"


def test_candidates_after_a_part_was_matched(index: Any, rules: license_index.Rules) -> None:
    """A run that was looked at before keeps what was subtracted since, a new one does not."""
    from licensedcode.match_set import compute_candidates
    from licensedcode.spans import Span

    for query in queries(index):
        ours = license_index.Candidates(rules=rules)
        whole = query.whole_query_run()
        assert whole.matchables
        query.subtract(Span(range(len(query.tokens) // 3, len(query.tokens))))
        for run in (whole, query.query_runs[0]):
            arguments = (run, index, index.approx_matchable_rids, 5)
            assert described(ours.compute(*arguments)) == described(compute_candidates(*arguments))


def test_scratch_is_left_clean(index: Any, rules: license_index.Rules) -> None:
    ours = license_index.Candidates(rules=rules)
    for query in queries(index):
        ours.compute(query.whole_query_run(), index, None, 10, True)
        assert not ours.seen.any()


def test_rules_as_arrays_hold_what_the_index_holds(index: Any, rules: license_index.Rules) -> None:
    for k in range(0, len(rules.rids), 997):
        here = slice(rules.offsets[k], rules.offsets[k + 1])
        multiset = {token: count for token, count in index.msets_by_rid[rules.rids[k]].items() if count}
        assert dict(zip(rules.tokens[here].tolist(), rules.counts[here].tolist(), strict=True)) == multiset
    token = 17
    holders = rules.rids[rules.postings[rules.posting_offsets[token] : rules.posting_offsets[token + 1]]]
    assert holders.tolist() == [rid for rid in sorted(index.approx_matchable_rids) if token in index.sets_by_rid[rid]]


def test_tenths_round_as_python_rounds() -> None:
    for number in range(20_000):
        value = number / 19_999
        assert license_index.TENTHS.searchsorted(value, side="right") == round(value, 1) * 10


def test_another_scancode_fails_loudly() -> None:
    name = next(iter(license_scancode.UPSTREAM))
    other = hashlib.sha256(b"another release").hexdigest()[:16]
    with pytest.raises(license_scancode.MissingDependencyError, match=r"compute_candidates.*scancode-toolkit"):
        license_scancode.check_upstream({name: other})
    license_scancode.check_upstream()


def test_what_was_replaced_is_put_back() -> None:
    from licensedcode import detection, match_set, query

    before = [match_set.compute_candidates, detection.is_false_positive, query.QueryRun.high_matchables]
    with license_scancode.running(reference=False):
        assert match_set.compute_candidates is not before[0]
    assert [match_set.compute_candidates, detection.is_false_positive, query.QueryRun.high_matchables] == before
    with license_scancode.running(reference=True):
        assert match_set.compute_candidates is before[0]
