"""Restrictive words that a licence file adds to the licence that was recognised in it.

ScanCode calls "MIT, but not for training" plain MIT: what is left over between and around its matches must be
looked at. A phrase counts where at least one of the words that make it restrictive lies outside all matches.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

_WORD_OR_STOP = re.compile(r"[^_\W]+\+?[^_\W]*|[.;!?](?=\s|$)")
"""ScanCode's token, or the end of a sentence.

Source: scancode-toolkit 32.5.0, `licensedcode.tokenize.query_pattern`.
"""

_BAN = r"prohibit\w*|forbid\w*"
_NO = rf"(not|no|never|nor|neither|without|except|exclud\w+|{_BAN})"
_MUST_NOT = rf"(no|not|never|{_BAN})"
_DENIED = r"((?:strictly |expressly )?(?:prohibited|forbidden|disallowed)|not (?:be )?(?:permitted|allowed|granted))"
_LEARNING = (
    r"(train|training|trained|fine tun\w+|machine learning|deep learning|artificial intelligence|ai|llms?"
    r"|(?:language|ai|ml|generative) models?|neural net\w*|data mining|scrap(?:e|ed|ing)|data ?sets?)"
)
_HARM = r"(military|weapons?|warfare|surveillance|nuclear|torture|law enforcement)"
_PRIVATE = r"(?:personal|academic|research|educational|evaluation|internal)"
_ACTS = r"(?:us|copy|copi|modif|distribut|redistribut|sell|sold|publish|host|shar)\w*"
_GAP = r"\b[^.]{0,160}?\b"
_BOUND = r"(?![^.]{0,80}\bexcept (?:according to|in compliance with|as permitted)\b)"
"""Not: the phrase by which a notice binds a file to the licence that it names."""

_PHRASES = (
    ("ml_training", rf"{_NO}{_GAP}{_LEARNING}"),
    ("ml_training", rf"{_LEARNING}{_GAP}{_DENIED}"),
    ("non_commercial", r"(?<!commercial and )(?<!commercial or )non ?commercial(?! (?:and|or) commercial)"),
    ("non_commercial", rf"{_NO} (?:\w+ ){{0,5}}(commercial(?:ly)?|for profit|for money|monetary gain)"),
    ("non_commercial", rf"(commercial (?:use|usage|purposes?|redistribution|exploitation)){_GAP}{_DENIED}"),
    ("non_commercial", rf"{_PRIVATE} (?:use|purposes?) only"),
    ("non_commercial", rf"only (?:be used )?for {_PRIVATE}"),
    ("not_evil", r"good not evil"),
    ("prohibited", rf"{_NO}{_GAP}{_HARM}"),
    ("prohibited", rf"{_MUST_NOT} (?:\w+ ){{0,3}}(derivatives?|derivative works?|modif\w+)\b{_BOUND}"),
    ("not_free_software", r"not (?:a |an )?(?:free software|open source|public domain)|proprietary|confidential"),
    ("prohibited", r"prohibited|forbidden"),
    ("prohibited", rf"may not (?:be )?{_ACTS}(?! (?:this file|to endorse|in advertising)){_BOUND}"),
    ("prohibited", r"no (?:permission|right|licen[cs]e)s? (?:is |are )?(?:hereby |implicitly )?(?:granted|given)"),
    ("all_rights_reserved", r"all rights? (?:are )?reserved"),
)
RESTRICTIONS = tuple((name, re.compile(rf"\b(?:{phrase})\b")) for name, phrase in _PHRASES)
"""Classes of restriction and the phrases, in lower-case words and sentence stops, that tell them.

The groups of a phrase, where it has any, are the words that make it one; what lies between them may be anything.
Source: the residual-text cases collected from opt-out requests and licence files: no-AI clauses, the JSON licence,
non-commercial edits of MIT, denials of any licence.
"""


def restrictions(
    lines: Iterable[str],
    vocabulary: Mapping[str, int],
    stopwords: Collection[str],
    matched: Collection[int],
    granted: bool,
) -> str | None:
    """Name the restrictions that a text holds outside of what was matched.

    Args:
        lines: the lines of the text, as ScanCode read them.
        vocabulary: ScanCode's known tokens; only these have positions.
        stopwords: tokens that ScanCode skips.
        matched: positions of known tokens that lie in a match.
        granted: some licence was found; "all rights reserved" then is a phrase of copyright lines and no restriction.

    Returns:
        Classes joined by `;`, in order of `RESTRICTIONS`; None where there are none.

    >>> restrictions(["It may not be used to train AI."], {}, (), (), True)
    'ml_training;prohibited'
    """
    words, left_over = _words(lines, vocabulary, stopwords, matched)
    text = " ".join(words)
    starts = [0, *accumulate(len(word) + 1 for word in words)]

    def is_left_over(found: re.Match[str]) -> bool:
        spans = [found.span(group) for group in range(1, found.re.groups + 1)] or [found.span()]
        return any(
            any(left_over[bisect_right(starts, start) - 1 : bisect_right(starts, end - 1)]) for start, end in spans
        )

    names = dict.fromkeys(
        name for name, pattern in RESTRICTIONS if any(is_left_over(found) for found in pattern.finditer(text))
    )
    if granted:
        names.pop("all_rights_reserved", None)
    return ";".join(names) or None


def _words(
    lines: Iterable[str], vocabulary: Mapping[str, int], stopwords: Collection[str], matched: Collection[int]
) -> tuple[list[str], list[bool]]:
    """Return words and sentence stops in order, and which of them lie outside all matches."""
    words: list[str] = []
    left_over: list[bool] = []
    position = -1
    for line in lines:
        for word in _WORD_OR_STOP.findall(line.lower()):
            known = word in vocabulary and word not in stopwords
            position += known
            words.append("." if word in ".;!?" else word)
            left_over.append(word not in stopwords and word not in ".;!?" and not (known and position in matched))
    return words, left_over
