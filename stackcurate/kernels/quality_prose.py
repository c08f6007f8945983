"""The signals of prose."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files as package_files

import numpy as np
from numpy.typing import NDArray

from stackcurate.kernels import quality_prose_numba as loops
from stackcurate.kernels.code_points import code_points
from stackcurate.kernels.quality_lines_numba import repeated_lines
from stackcurate.kernels.quality_points import classes, lines_of
from stackcurate.kernels.quality_shared import Signals, share
from stackcurate.kernels.quality_text_numba import hex_words, words

_MORE = (
    "...", "\u2026", "\u5168\u6587", "\u8be6\u60c5", "\u8be6\u7ec6", "\u66f4\u591a",
    "\u0627\u0644\u0645\u0632\u064a\u062f",
    "\u062a\u0641\u0627\u0635\u064a\u0644", "\u0627\u0642\u0631\u0623 \u0627\u0644\u0645\u0632\u064a\u062f",
    "\u3082\u3063\u3068",
    "\u8a73\u7d30", "\u3082\u3063\u3068\u8aad\u3080",
)  # fmt: skip
"""How a line ends that goes on elsewhere, in English, Chinese, Arabic and Japanese."""
_GOES_ON = re.compile(f"(?:{'|'.join(map(re.escape, _MORE))})[]\u3011)>\u300b]*+[^\\S\\n]*+$", re.MULTILINE)
_BULLETS = frozenset(map(chr, [
    0x2022, 0x2023, 0x2043, 0x204C, 0x204D, 0x2219, *range(0x25A0, 0x25B0), *range(0x25C6, 0x25CC), 0x25CF,
    *range(0x25D0, 0x25D7), 0x25D8, 0x25D9, *range(0x25E2, 0x25E7), 0x25EF, 0x2611, 0x2612, 0x29BE, 0x2B1B, 0x2B1C,
    0x2B1E, 0x2B1F, 0x2B24,
]))  # fmt: skip
_SLOTS = 1 << 12
"""For some hundred stop words."""
_RELATED = frozenset(("readme", "notes", "todo", "description", "cmakelists", "read.me"))


def text_signals(text: str, name: str) -> Signals:
    """Return what is measured of prose alone."""
    points, bits, stem = code_points(text), classes(), name.split(".", maxsplit=1)[0].lower()
    spans, repeated = lines_of(points), np.zeros(3, np.int64)
    lines = text.count("\n") + (text[-1:] not in ("", "\n"))
    repeated_lines(points, spans, len(spans), bits, True, repeated)
    hashes, lengths = np.empty(len(points), np.uint64), np.empty(len(points), np.int32)
    stops = loops.listed(hashes, words(points, bits, hashes, lengths), _stop_words())
    total, capitals, brackets = loops.raw_words(points, bits)
    cuts, links = loops.ends(points), loops.addresses_and_tags(points, bits)
    return {
        "frac_lines_dupe_lines": share(repeated[0], len(spans)),
        "frac_chars_dupe_lines": share(repeated[1], repeated[2]),
        "frac_chars_hex_words": share(hex_words(points, bits), len(text)),
        "num_sentences": loops.sentences(points, bits),
        "num_chars_sentence_length_mean": (len(text) - cuts) / (cuts + 1),
        "frac_chars_hyperlink_html_tag": share(links, len(text)),
        "frac_words_full_bracket": share(brackets, total), "frac_words_all_caps": share(capitals, total),
        "frac_words_redpajama_stop": stops / total if total else 0,
        "frac_lines_end_with_readmore": share(len(_GOES_ON.findall(text)) if _may_go_on(text) else 0, lines),
        "frac_lines_start_with_bullet": share(_listed(text), lines),
        "cate_code_related_file_name": "requirement" in stem or stem in _RELATED,
    }  # fmt: skip


def _may_go_on(text: str) -> bool:
    return not text.isascii() or _MORE[0] in text


def _listed(text: str) -> int:
    """Count the lines that begin with a bullet."""
    return 0 if text.isascii() else sum(line.lstrip()[:1] in _BULLETS for line in text.split("\n"))


@cache
def _stop_words() -> NDArray[np.uint64]:
    listed = package_files("stackcurate").joinpath("data", "quality", "stopwords-en.txt").read_text(encoding="utf-8")
    points = code_points("\n".join(word for word in listed.split() if "'" not in word))
    hashes, lengths = np.empty(len(points), np.uint64), np.empty(len(points), np.int32)
    table: NDArray[np.uint64] = loops.hash_table(hashes[: words(points, classes(), hashes, lengths)], _SLOTS)
    return table
