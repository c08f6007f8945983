"""ScanCode's alignment of a rule with a part of a file, over arrays: its `match_blocks` in machine code.

It finds the longest block of tokens that both share, then goes on left and right of it. ScanCode calls it once per
repetition of a rule and walks the rest of the file each time, which is what long lists of licences cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcurate.kernels import license_spans

Block = tuple[int, int, int]


@dataclass(kw_only=True)
class Aligner:
    """What calls on the same file share.

    Args:
        legalese: number of legalese tokens; their ids come first.
        is_late: says whether the time for the file is over; nothing more is found then.
    """

    legalese: int
    is_late: Callable[[], bool]
    _highs: dict[int, Any] = field(default_factory=dict)
    _source: Any = None
    _query: npt.NDArray[np.int32] = field(init=False)
    _positions: Any = None
    _matchable: npt.NDArray[np.bool_] = field(init=False)

    def match_sequence(
        self,
        idx: Any,
        rule: Any,
        query_run: Any,
        high_postings: Mapping[int, Sequence[int]],
        start_offset: int = 0,
        match_blocks: Any = None,  # noqa: ARG002 always the one below
    ) -> list[Any]:
        """Return what ScanCode's `match_sequence` returns: a match for each block that a run shares with a rule.

        Args:
            idx: ScanCode's index.
            rule: the rule to align.
            query_run: the part of the file.
            high_postings: positions in the rule by legalese token.
            start_offset: where in the part to begin.
            match_blocks: not used.
        """
        from licensedcode.match import LicenseMatch
        from licensedcode.match_seq import MATCH_SEQ, MATCH_SEQ_ORDER
        from licensedcode.spans import Span

        begin, finish, query = query_run.start + start_offset, query_run.end, query_run.query
        if begin > finish or not query_run.is_matchable(include_low=False):
            return []
        tokens, own, highs = query.tokens, idx.tids_by_rid[rule.rid], self._high_positions(idx, rule.rid)
        matchables, start, matches = query_run.matchables, begin, []
        while start <= finish:
            found = self.match_blocks(tokens, own, start, finish + 1, high_postings, self.legalese, matchables)
            if not found:
                break
            for at, place, size in found:
                if size > 1 or tokens[at] < self.legalese:
                    positions = Span(list(range(place, place + size)))
                    matches.append(
                        LicenseMatch(
                            rule=rule,
                            qspan=Span(list(range(at, at + size))),
                            ispan=positions,
                            hispan=license_spans.of(Span, positions.set & highs),
                            query_run_start=begin,
                            matcher=MATCH_SEQ,
                            matcher_order=MATCH_SEQ_ORDER,
                            query=query,
                        )
                    )
            start = max(start, found[-1][0] + found[-1][2])
        return matches

    def _high_positions(self, idx: Any, rid: int) -> Any:
        """Return the positions of legalese in a rule."""
        from intbitset import intbitset

        if rid not in self._highs:
            tokens = idx.tids_by_rid[rid]
            self._highs[rid] = intbitset([at for at, token in enumerate(tokens) if token < self.legalese])
        return self._highs[rid]

    def match_blocks(
        self,
        a: Sequence[int],
        b: Sequence[int],
        a_start: int,
        a_end: int,
        b2j: Mapping[int, Sequence[int]],
        len_good: int,  # noqa: ARG002 always the number of legalese tokens
        matchables: Any,
    ) -> list[Block]:
        """Return what ScanCode's `match_blocks` returns: the blocks of tokens that a file shares with a rule.

        Args:
            a: tokens of the file.
            b: tokens of the rule.
            a_start: first position in the file.
            a_end: position after the last.
            b2j: positions in the rule by legalese token; all positions of a token or none.
            len_good: number of legalese tokens.
            matchables: positions in the file that may be matched.

        Returns:
            Position in the file, position in the rule, length; in order, adjacent blocks joined.
        """
        from stackcurate.kernels.license_index_numba import blocks

        if self.is_late():
            return []
        self._set_query(a, matchables)
        wanted = np.zeros(self.legalese, dtype=np.bool_)
        wanted[np.fromiter(b2j, dtype=np.int64, count=len(b2j))] = True
        rule = np.asarray(b, dtype=np.int32)
        return joined(sorted(blocks(self._query, self._matchable, rule, wanted, a_start, a_end)))

    def _set_query(self, tokens: Sequence[int], matchables: Any) -> None:
        if self._source is not tokens:
            self._source, self._positions = tokens, None
            self._query = np.array(tokens, dtype=np.int32)
        if self._positions is None or self._positions != matchables:
            self._positions = matchables
            self._matchable = np.zeros(len(tokens), dtype=np.bool_)
            self._matchable[np.array(matchables.tolist(), dtype=np.int64)] = True


def joined(blocks: list[Block]) -> list[Block]:
    """Join blocks of which one begins where the other ends, in the file and in the rule.

    >>> joined([(3, 0, 2), (5, 2, 1), (9, 3, 1)])
    [(3, 0, 3), (9, 3, 1)]
    """
    result: list[Block] = []
    for block in blocks:
        i, j, size = result[-1] if result else (-1, -1, 0)
        if (i + size, j + size) == block[:2]:
            result[-1] = (i, j, size + block[2])
        else:
            result.append(block)
    return result
