"""The signals that are measured of prose and code alike."""

from __future__ import annotations

import re

import numpy as np

from stackcurate.kernels import quality_text_numba as loops
from stackcurate.kernels.code_points import code_points
from stackcurate.kernels.quality_points import as_words, classes

Signals = dict[str, float | None]

_GENERATED = re.compile("auto-generated|generate|autogen|do not edit")
_GENERATED_HEAD, _XML_HEAD = 200, 100


def share(part: float, whole: float) -> float | None:
    """Return a fraction; null where there is nothing to be a part of.

    >>> share(1, 2), share(0, 0)
    (0.5, None)
    """
    return part / whole if whole else None


def shared_signals(text: str) -> Signals:
    """Return what is measured of prose and code alike."""
    points, bits = code_points(text), classes()
    letters, digits, spaces, replaced, braces, lines, longest = loops.characters(points, bits)
    visible, size = len(text) - spaces, len(text)
    head = text[:_GENERATED_HEAD].lower()
    return {
        "num_chars": size, "num_lines": lines, "num_chars_line_max": longest,
        "num_chars_line_mean": size / lines if lines else 0, "frac_chars_alphabet": letters / visible if visible else 0,
        "frac_chars_digital": digits / visible if visible else 1, "frac_chars_whitespace": spaces / size if size else 1,
        "frac_chars_replacement_symbols": share(replaced, size),
        "frac_chars_curly_bracket": braces / size if size else 0,
        "cate_xml_start": "<?xml version=" in text[:_XML_HEAD],
        "cate_autogen": _GENERATED.search(head) is not None or "automatically generated" in head,
        "cate_encoded_data": loops.encoded(points, bits), **_word_signals(text),
    }  # fmt: skip


def _word_signals(text: str) -> Signals:
    points = as_words(text)
    hashes, lengths = np.empty(len(points), np.uint64), np.empty(len(points), np.int32)
    n = loops.words(points, classes(), hashes, lengths)
    measured = np.zeros(loops.GRAMS + 1)
    if n:
        loops.repetition(hashes, lengths, n, measured)
    signals = {
        "num_words": n, "mean_word_length": share(int(lengths[:n].sum()), n),
        "frac_words_unique": share(measured[0], n), "entropy_unigram": measured[1] if n else None,
    }  # fmt: skip
    signals |= {f"frac_chars_top_{length}grams": measured[length] for length in range(2, 5)}
    return signals | {f"frac_chars_dupe_{length}grams": measured[length] for length in range(5, loops.GRAMS + 1)}
