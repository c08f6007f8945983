"""The signals of code and data: what they share, and those that a language has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stackcurate.kernels import quality_lines_numba as loops
from stackcurate.kernels.code_points import CodePoints, as_text, code_points
from stackcurate.kernels.quality_comments_numba import COMMENT, mark
from stackcurate.kernels.quality_points import Spans, classes, lines_of
from stackcurate.kernels.quality_python import python_signals
from stackcurate.kernels.quality_shared import Signals, share
from stackcurate.kernels.quality_specific import c_signals, csharp_signals, go_signals, html_signals, java_signals
from stackcurate.kernels.quality_styles import stretches
from stackcurate.kernels.quality_tokens_numba import number

_KEYWORDS = (  # noqa: SIM905 - as a list it fills a screen
    "typeof instanceof in void delete new for while do break return continue switch case default if else throw try "
    "catch finally yield await async this of static export import debugger extends super var let const with function "
    "class"
).split()
"""Words after which a slash begins a regular expression in JavaScript."""
_PRINTS = {
    "python": ("print",), "c": ("printf",), "cpp": ("cout", "printf"), "csharp": ("Console.WriteLine",),
    "go": ("fmt.Print",), "java": ("System.out.print",), "javascript": ("console.log",),
}  # fmt: skip
"""What a line that prints holds, by group of languages."""


def split(text: str, language: str) -> tuple[CodePoints, NDArray[np.uint8]]:
    """Return a text, lines ended by line feeds, and what `quality_comments_numba` marks of each character."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff").strip("\n") + "\n"
    points, marks = code_points(text), np.zeros(len(text), np.uint8)
    for begin, end, style in stretches(text, language):
        if style:
            mark(points, begin, end, style, classes(), _keywords(), marks)
    return points, marks


@cache
def _keywords() -> NDArray[np.int64]:
    return np.array(sorted(map(number, _KEYWORDS)), np.int64)


Needles = tuple[tuple[str, ...], CodePoints, NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]


@cache
def _needles(group: str) -> Needles:
    """Return the signals that count the lines with some words of code, and what `lines_with` asks for."""
    by_signal = {"frac_lines_assert": (True, ("assert",)), "frac_lines_print": (False, _PRINTS.get(group, ()))}
    if group == "python":
        by_signal |= {"frac_lines_import": (True, ("import",)), "frac_lines_pass": (True, ("pass",))}
    if group in ("c", "cpp"):
        by_signal["frac_lines_goto"] = (False, ("goto",))
    return _table({signal: (folds, words) for signal, (folds, words) in by_signal.items() if words})


@cache
def _prompts() -> Needles:
    return _table({"frac_lines_prompt_comments": (True, ("your code here", "fixme", "todo"))})


def _table(by_signal: Mapping[str, tuple[bool, tuple[str, ...]]]) -> Needles:
    """Return signals, and by word its code points, whether case counts not, and which signal counts it."""
    rows = [(word, fold, k) for k, (fold, words) in enumerate(by_signal.values()) for word in words]
    table, begins = np.zeros((len(rows), max(len(word) for word, _, _ in rows)), np.uint32), np.zeros(128, np.bool_)
    for row, (word, fold, _) in zip(table, rows, strict=True):
        row[: len(word)] = code_points(word)
        begins[[ord(word[0]), ord(word[0].upper() if fold else word[0])]] = True
    folds, groups = np.array([fold for _, fold, _ in rows]), np.array([k for _, _, k in rows])
    return tuple(by_signal), table, folds, groups, begins


def _lines_with(text: CodePoints, spans: Spans, needles: Needles) -> dict[str, int]:
    """Return by signal the number of lines that hold one of its words."""
    signals, words, folds, groups, begins = needles
    counts = np.empty(len(signals), np.int64)
    loops.lines_with(text, spans, words, folds, groups, begins, counts)
    return dict(zip(signals, counts.tolist(), strict=True))


def code_signals(text: str, language: str, group: str, name: str) -> Signals:
    """Return what is measured of code and data alone."""
    points, marks = split(text, language)
    code, comments = points[marks == 0], points[marks != 0]
    bits, spans, size = classes(), lines_of(code), len(code)
    total, all_lines = len(spans), text.count("\n") + (text[-1:] not in ("", "\n"))
    counts = np.empty(6, np.int64)
    loops.code_counts(code, spans, bits, counts)
    repeated, long_strings, joined, in_strings, in_long_words, hexadecimal = counts.tolist()
    signals = {
        "frac_chars_comments": share(len(comments), len(text)), "frac_lines_dupe_lines": share(repeated, total),
        "frac_lines_long_string": share(long_strings, total), "frac_chars_string_length": share(in_strings, size),
        "frac_chars_long_word_length": share(in_long_words, size),
        "frac_chars_hex_words": share(hexadecimal, size), "frac_lines_string_concat": share(joined, total),
    }  # fmt: skip
    counted = _lines_with(code, spans, _needles(group))
    signals |= {signal: share(count, total) for signal, count in counted.items()}
    prompts = _lines_with(comments, lines_of(comments), _prompts())
    signals |= {signal: share(count, all_lines) for signal, count in prompts.items()}
    if group == "python":
        plain = counted["frac_lines_import"] + loops.returns(code, spans, bits)
        signals |= {signal: signals[signal] or 0 for signal in ("frac_lines_import", "frac_lines_pass")}
        return signals | python_signals(text, points, as_text(points[marks == COMMENT]), total, plain)
    return signals | _specific(text, group, name, code, spans)


def _specific(text: str, group: str, name: str, code: CodePoints, spans: Spans) -> Signals:
    """Return the signals that a language has of its own."""
    if group == "html":
        return html_signals(text)
    if group in ("c", "cpp"):
        return c_signals(code, as_text(code), spans, name, classes())
    if group == "csharp":
        return csharp_signals(code, spans, classes())
    if group == "go":
        return go_signals(code, spans, name, classes())
    return java_signals(code, as_text(code), spans, classes()) if group == "java" else {}
