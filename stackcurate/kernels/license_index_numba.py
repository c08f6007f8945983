"""The compiled loops of `license_index` and `license_alignment`. Import this module inside functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.shingles_numba import compiled


@compiled
def count_postings(tokens: Any, offsets: Any, postings: Any, rules: int) -> Any:
    """Count how many of some tokens each rule holds."""
    found = np.zeros(rules, np.int32)
    for token in tokens:
        for at in range(offsets[token], offsets[token + 1]):
            found[postings[at]] += 1
    return found


@compiled
def count_distinct(rules: Any, offsets: Any, tokens: Any, present: Any, legalese: int, least: Any) -> Any:
    """Count the distinct tokens that each rule shares with what is present; 0 where they are too few.

    Args:
        rules: numbers of the rules to look at.
        offsets: where the tokens of each rule begin.
        tokens: distinct tokens of all rules, in order, legalese first.
        present: by token, whether it is there.
        legalese: number of legalese tokens.
        least: by rule, how many legalese tokens and how many tokens must be shared.
    """
    shared = np.zeros(len(rules), np.int64)
    for k in range(len(rules)):
        rule = rules[k]
        at, end, count = offsets[rule], offsets[rule + 1], 0
        while at < end and tokens[at] < legalese:
            count += present[tokens[at]]
            at += 1
        if count < least[0][rule] or count + end - at < least[1][rule]:
            continue
        while at < end:
            count += present[tokens[at]]
            at += 1
        if count >= least[1][rule]:
            shared[k] = count
    return shared


@compiled
def count_shared(rules: Any, offsets: Any, tokens: Any, counts: Any, seen: Any, legalese: int) -> Any:
    """Count the tokens that each rule shares with what was seen, all of them and the legalese alone."""
    shared = np.zeros((2, len(rules)), np.int64)
    for k in range(len(rules)):
        for at in range(offsets[rules[k]], offsets[rules[k] + 1]):
            both = min(seen[tokens[at]], counts[at])
            shared[0, k] += both
            if tokens[at] < legalese:
                shared[1, k] += both
    return shared


@compiled
def extended(query: Any, matchable: Any, rule: Any, place: Any, block: Any) -> Any:
    """Lengthen a block on both sides by whatever tokens are the same."""
    (low, high, rule_low, rule_high), (i, j, size) = place, block
    while i > low and j > rule_low and query[i - 1] == rule[j - 1] and matchable[i - 1]:
        i, j, size = i - 1, j - 1, size + 1
    while i + size < high and j + size < rule_high and query[i + size] == rule[j + size] and matchable[i + size]:
        size += 1
    return i, j, size


@compiled
def longest(query: Any, matchable: Any, places: Any, place: Any, scratch: Any, clock: int) -> Any:
    """Find the longest block of wanted tokens, of equally long ones the first.

    Args:
        query: tokens of the file.
        matchable: which of their positions may be matched.
        places: by wanted token its first position in the rule, and by position the next one.
        place: first position and position after the last, in the file and in the rule.
        scratch: lengths of the blocks that end at each position of the rule, for this position of the file and the one
            before, and the clock at which each was written.
        clock: a number above all that were written.
    """
    (low, high, rule_low, rule_high), (first, following), (lengths, written) = place, places, scratch
    best_i, best_j, size = low, rule_low, 0
    for i in range(low, high):
        clock += 1
        if not matchable[i] or query[i] >= len(first):
            continue
        now, j = clock & 1, first[query[i]]
        while 0 <= j < rule_high:
            if j >= rule_low:
                grows = j > 0 and written[1 - now, j - 1] == clock - 1
                k = lengths[1 - now, j - 1] + 1 if grows else 1
                lengths[now, j], written[now, j] = k, clock
                if k > size:
                    best_i, best_j, size = i - k + 1, j - k + 1, k
            j = following[j]
    return (best_i, best_j, size), clock


@compiled
def blocks(query: Any, matchable: Any, rule: Any, wanted: Any, start: int, end: int) -> Any:
    """Find the blocks that two sequences of tokens share, longest first; see `license_alignment`.

    Args:
        query: tokens of the file.
        matchable: which of their positions may be matched.
        rule: tokens of the rule.
        wanted: by token, whether a block may begin with it.
        start: first position in the file.
        end: position after the last.

    Returns:
        Position in the file, position in the rule, length; in no order.
    """
    first, following = np.full(len(wanted), -1, np.int64), np.full(len(rule), -1, np.int64)
    for j in range(len(rule) - 1, -1, -1):
        if rule[j] < len(wanted) and wanted[rule[j]]:
            following[j] = first[rule[j]]
            first[rule[j]] = j
    scratch = np.zeros((2, len(rule)), np.int64), np.full((2, len(rule)), -1, np.int64)
    todo, found, clock = [(start, end, 0, len(rule))], [(0, 0, 0)], 1
    while len(todo) > 0:
        place = todo.pop()
        low, high, rule_low, rule_high = place
        block, clock = longest(query, matchable, (first, following), place, scratch, clock + 1)
        if block[2] == 0:
            continue
        i, j, size = extended(query, matchable, rule, place, block)
        found.append((i, j, size))
        if low < i and rule_low < j:
            todo.append((low, i, rule_low, j))
        if i + size < high and j + size < rule_high:
            todo.append((i + size, high, j + size, rule_high))
    return found[1:]
