"""Blocks are those that ScanCode's own alignment finds."""

from __future__ import annotations

import random
from array import array

from stackcurate.kernels.license_alignment import Aligner, joined

LEGALESE = 12


def test_blocks_are_those_of_cyseq() -> None:
    """Random sequences of few tokens, so that blocks repeat, overlap and touch; some positions are taken."""
    from cyseq import match_blocks
    from intbitset import intbitset

    rng = random.Random(4)
    aligner = Aligner(legalese=LEGALESE, is_late=lambda: False)
    found = 0
    for _ in range(400):
        query = [rng.randrange(20) for _ in range(rng.randrange(1, 120))]
        rule = array("h", [rng.randrange(20) for _ in range(rng.randrange(1, 40))])
        if rng.random() < 0.5:
            query[5:5] = rule[: rng.randrange(len(rule) + 1)]
        wanted = {token for token in set(rule) if token < LEGALESE and rng.random() < 0.9}
        places = {token: array("h", [at for at, own in enumerate(rule) if own == token]) for token in wanted}
        start = rng.randrange(len(query))
        free = intbitset([at for at in range(len(query)) if rng.random() < 0.95])
        arguments = (query, rule, start, len(query), places, LEGALESE, free)
        expected = [tuple(block) for block in match_blocks(*arguments)]
        assert aligner.match_blocks(*arguments) == expected
        found += len(expected)
    assert found > 500


def test_nothing_is_found_when_the_time_is_over() -> None:
    from intbitset import intbitset

    late = Aligner(legalese=LEGALESE, is_late=lambda: True)
    assert late.match_blocks([1], [1], 0, 1, {1: [0]}, LEGALESE, intbitset([0])) == []


def test_blocks_are_joined_only_where_both_sides_touch() -> None:
    assert joined([(0, 0, 1), (1, 2, 1), (2, 3, 2)]) == [(0, 0, 1), (1, 2, 3)]
    assert joined([]) == []


def test_matches_are_those_of_scancode() -> None:
    """An edited licence, twice, so that a rule is aligned again behind its first place."""
    from licensedcode import match_seq
    from licensedcode.query import build_query

    from stackcurate.kernels import license_scancode

    index = license_scancode.load().index
    rule = next(rule for rule in index.rules_by_rid if rule.identifier == "mit.LICENSE")
    words = rule.text.split()
    edited = " ".join(word for at, word in enumerate(words) if at % 9)
    query = build_query(query_string=f"{edited}\n\nand again, for the merchantability of it:\n\n{edited}", idx=index)
    aligner = Aligner(legalese=index.len_legalese, is_late=lambda: False)
    arguments = (index, rule, query.whole_query_run(), index.high_postings_by_rid[rule.rid])
    for start in (0, 40):
        ours, theirs = (
            [(m.qspan, m.ispan, m.hispan, m.query_run_start, m.matcher_order) for m in match(*arguments, start)]
            for match in (aligner.match_sequence, match_seq.match_sequence)
        )
        assert ours == theirs
        assert len(ours) > 10
