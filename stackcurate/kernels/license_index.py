"""An exact inverted index over ScanCode's rules: its `compute_candidates` without the loop.

ScanCode intersects every run of a file with each of its 30,000 approximately matchable rules, in Python. A rule
only stays a candidate when enough of its legalese tokens are in the run, so postings from legalese token to rules
and one count over them give the rules that can stay; only those are intersected and ranked by the very
numbers that ScanCode computes. What is found is what unmodified ScanCode finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The approximately matchable rules as arrays; position k stands for rule ``rids[k]``.

    Args:
        rids: ScanCode's rule ids, ascending.
        tokens: distinct token ids of each rule, ascending, one rule after the other.
        counts: how often each of ``tokens`` occurs in its rule.
        offsets: where each rule begins in ``tokens``; one more than there are rules.
        postings: rules that hold a legalese token, one token after the other.
        posting_offsets: where each legalese token begins in ``postings``.
        legalese: number of legalese tokens; their ids come first.
        thresholds: per rule `min_high_unique`, `min_unique`, `length_unique`, `min_high`, `min`, `length`.
        containment: least share of a rule that must be there, 0 where there is no such rule.
        vocabulary: number of token ids.
    """

    rids: Ints
    tokens: Ints
    counts: Ints
    offsets: Longs
    postings: Ints
    posting_offsets: Longs
    legalese: int
    thresholds: dict[str, Ints]
    containment: Floats
    vocabulary: int


def build_rules(index: Any) -> Rules:
    """Lay ScanCode's rules out as arrays.

    Args:
        index: a `licensedcode.index.LicenseIndex`.
    """
    rids = sorted(index.approx_matchable_rids)
    rules = [index.rules_by_rid[rid] for rid in rids]
    vocabulary = max(index.dictionary.values()) + 1
    texts = [np.asarray(index.tids_by_rid[rid], dtype=np.int64) for rid in rids]
    owner = np.repeat(np.arange(len(rids), dtype=np.int64), [len(text) for text in texts])
    keys, counts = np.unique(owner * vocabulary + np.concatenate(texts), return_counts=True)
    owner, tokens = np.divmod(keys, vocabulary)
    legalese = int(index.len_legalese)
    high = tokens < legalese
    by_token = np.argsort(tokens[high], kind="stable")
    return Rules(
        rids=np.array(rids, dtype=np.int32),
        tokens=tokens.astype(np.int32),
        counts=counts.astype(np.int32),
        offsets=np.searchsorted(owner, np.arange(len(rids) + 1)).astype(np.int64),
        postings=owner[high][by_token].astype(np.int32),
        posting_offsets=_starts(np.bincount(tokens[high], minlength=legalese)),
        legalese=legalese,
        thresholds=_thresholds(rules),
        containment=np.array([rule._minimum_containment or 0.0 for rule in rules]),  # noqa: SLF001 ScanCode's own field
        vocabulary=vocabulary,
    )


def _thresholds(rules: list[Any]) -> dict[str, Ints]:
    def column(name: str) -> Ints:
        return np.array([getattr(rule, name) for rule in rules], dtype=np.int32)

    return {
        "min_high_unique": np.maximum(column("min_high_matched_length_unique"), 1),  # ScanCode wants one at least
        "min_unique": column("min_matched_length_unique"),
        "length_unique": column("length_unique"),
        "min_high": np.maximum(column("min_high_matched_length"), 1),
        "min": column("min_matched_length"),
        "length": column("length"),
    }


def _starts(lengths: npt.NDArray[Any]) -> Longs:
    """Return where each of consecutive pieces begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@dataclass(kw_only=True)
class QueryState:
    """What the runs of one file share.

    Args:
        query: ScanCode's query.
        tokens: its token ids.
        rules: rules that may be candidates of any run: no run holds more than the whole file does.
        matched: how many distinct tokens of the file each of them has.
        distinct: how many the file has.
    """

    query: Any
    tokens: Ints
    rules: Longs
    matched: Longs
    distinct: int


@dataclass(kw_only=True)
class Candidates:
    """ScanCode's `compute_candidates` over arrays.

    Args:
        rules: the rules as arrays.
        seen: scratch: per token id its count in the run, all zero between calls.
        present: scratch: the same, whether it is in the run at all.
        state: what the runs of the current file share.
    """

    rules: Rules
    seen: Ints = field(init=False)
    present: npt.NDArray[np.uint8] = field(init=False)
    state: QueryState | None = None

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.rules.vocabulary, dtype=np.int32)
        self.present = np.zeros(self.rules.vocabulary, dtype=np.uint8)

    def compute(
        self,
        query_run: Any,
        idx: Any,
        matchable_rids: Any,  # noqa: ARG002 always all approximately matchable rules
        top: int = 50,
        high_resemblance: bool = False,
        high_resemblance_threshold: float = 0.8,
        _use_bigrams: bool = False,
    ) -> list[tuple[Any, int, Any, Any]]:
        """Return what ScanCode's `compute_candidates` returns: the best rules to align with a run."""
        if not query_run.high_matchables:
            return []
        if self.state is None or self.state.query is not query_run.query:
            self.state = self._begin(query_run.query)
        if not len(self.state.rules):
            return []
        positions = np.array(query_run.matchables.tolist(), dtype=np.int64)
        tokens, counts = np.unique(self.state.tokens[positions], return_counts=True)
        rules, matched = self.state.rules, self.state.matched
        if len(tokens) < self.state.distinct:
            rules, matched = self._by_sets(rules, tokens)
        if high_resemblance:
            resemblance = matched / (len(tokens) + self.rules.thresholds["length_unique"][rules] - matched)
            alike = resemblance >= high_resemblance_threshold
            rules, matched = rules[alike], matched[alike]
        if len(rules) > 10 * top:
            rules = rules[self._rank(rules, matched, len(tokens), high_resemblance_threshold)[: 10 * top]]
        if not len(rules):
            return []
        rules, matched = self._by_multisets(rules, tokens, counts)
        scored = self._scored(idx, rules, matched, int(counts.sum()), high_resemblance_threshold)
        if high_resemblance:
            scored = [c for c in scored if c[0][0].is_highly_resemblant and c[0][1].is_highly_resemblant]
        return self._best(scored, tokens, top)

    def forget(self) -> None:
        """Let go of the file; what an interrupted call had written goes too."""
        self.state = None
        self.seen.fill(0)
        self.present.fill(0)

    def _begin(self, query: Any) -> QueryState:
        """Find the rules that may be candidates of some run of a file.

        All tokens count, matched ones too: a run that was asked before something was matched keeps what it had.
        """
        from stackcurate.kernels.license_index_numba import count_postings

        tokens = np.array(query.tokens, dtype=np.int32)
        present = np.unique(tokens)
        high = present[: np.searchsorted(present, self.rules.legalese)]
        found = count_postings(high, self.rules.posting_offsets, self.rules.postings, len(self.rules.rids))
        rules = np.flatnonzero(found >= self.rules.thresholds["min_high_unique"])
        rules, matched = self._by_sets(rules, present)
        return QueryState(query=query, tokens=tokens, rules=rules, matched=matched, distinct=len(present))

    def _by_sets(self, rules: Longs, tokens: Ints) -> tuple[Longs, Longs]:
        """Return the rules that share enough distinct tokens, and how many they share."""
        from stackcurate.kernels.license_index_numba import count_distinct

        here = self.rules
        least = here.thresholds["min_high_unique"], here.thresholds["min_unique"]
        self.present[tokens] = 1
        matched = count_distinct(rules, here.offsets, here.tokens, self.present, here.legalese, least)
        self.present[tokens] = 0
        keep = (matched > 0) & (matched / here.thresholds["length_unique"][rules] >= here.containment[rules])
        return rules[keep], matched[keep]

    def _by_multisets(self, rules: Longs, tokens: Ints, counts: Longs) -> tuple[Longs, Longs]:
        """Return the rules that share enough tokens, repeats counted, and how many they share."""
        from stackcurate.kernels.license_index_numba import count_shared

        limits = {name: self.rules.thresholds[name][rules] for name in ("min_high", "min", "length")}
        here = self.rules
        self.seen[tokens] = counts
        matched, high = count_shared(rules, here.offsets, here.tokens, here.counts, self.seen, here.legalese)
        self.seen[tokens] = 0
        keep = (high >= limits["min_high"]) & (matched >= limits["min"])
        keep &= matched / limits["length"] >= here.containment[rules]
        return rules[keep], matched[keep]

    def _rank(self, rules: Longs, matched: Longs, size: int, threshold: float) -> Longs:
        """Return the order of ScanCode's first sort, best first."""
        length = self.rules.thresholds["length_unique"][rules]
        resemblance = matched / (size + length - matched)
        containment = matched / length
        amplified = np.array([value**2 for value in resemblance.tolist()])  # numpy's square differs in the last bit
        rounded = TENTHS.searchsorted(resemblance, side="right") >= round(threshold * 10)
        order = np.lexsort(
            (
                rules,
                matched,
                amplified,
                containment,
                resemblance >= threshold,
                np.array([round(value / 20, 1) for value in range(int(matched.max()) + 1)])[matched],
                TENTHS.searchsorted(amplified, side="right"),
                TENTHS.searchsorted(containment, side="right"),
                rounded,
            )
        )
        return order[::-1]

    def _scored(self, idx: Any, rules: Longs, matched: Longs, size: int, threshold: float) -> list[Any]:
        """Attach ScanCode's score vectors, computed by the same operations on the same numbers."""
        lengths = self.rules.thresholds["length"][rules].tolist()
        rids = self.rules.rids[rules].tolist()
        return [
            (_score_vectors(shared, length, size, threshold), rid, idx.rules_by_rid[rid], None)
            for rid, shared, length in zip(rids, matched.tolist(), lengths, strict=True)
        ]

    def _best(self, scored: list[Any], tokens: Ints, top: int) -> list[Any]:
        from licensedcode.match_set import filter_dupes

        best = sorted(filter_dupes(scored), key=lambda candidate: candidate[:2], reverse=True)[:top]
        # ScanCode only asks which legalese tokens of the rule are in the run; its own are known to it.
        high = set(tokens[: np.searchsorted(tokens, self.rules.legalese)].tolist())
        return [(scores, rid, rule, high) for scores, rid, rule, _ in best]


def _score_vectors(matched: int, length: int, size: int, threshold: float) -> tuple[Any, Any]:
    from licensedcode.match_set import ScoresVector

    resemblance = matched / (size + length - matched)
    containment, amplified = matched / length, resemblance**2
    rounded = (round(resemblance, 1) >= threshold, round(containment, 1), round(amplified, 1), round(matched / 20, 1))
    return ScoresVector(*rounded), ScoresVector(resemblance >= threshold, containment, amplified, matched)


def _tenths() -> Floats:
    """Return the smallest number that rounds to each of 0.1, 0.2, ... 1.0."""
    breaks = []
    for tenth in range(1, 11):
        value = (tenth - 0.5) / 10
        while round(value, 1) >= tenth / 10:
            value = float(np.nextafter(value, -1))
        while round(value, 1) < tenth / 10:
            value = float(np.nextafter(value, 2))
        breaks.append(value)
    return np.array(breaks)


TENTHS = _tenths()
