"""The signals of code and data: what they share, and those that a language has of its own."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stackcurate.kernels import quality_lines_numba as loops
from stackcurate.kernels.quality_comments_numba import COMMENT, mark
from stackcurate.kernels.quality_points import CodePoints, Spans, as_text, classes, code_points, lines_of
from stackcurate.kernels.quality_python import python_signals
from stackcurate.kernels.quality_shared import Signals, share
from stackcurate.kernels.quality_specific import c_signals, csharp_signals, go_signals, html_signals, java_signals
from stackcurate.kernels.quality_styles import stretches
from stackcurate.kernels.quality_text_numba import hex_words
from stackcurate.kernels.quality_tokens_numba import number

_KEYWORDS = (  # noqa: SIM905 - as a list it fills a screen
    "typeof instanceof in void delete new for while do break return continue switch case default if else throw try "
    "catch finally yield await async this of static export import debugger extends super var let const with function "
    "class"
).split()
"""Words after which a slash begins a regular expression in JavaScript."""
_PROMPTS = ("your code here", "fixme", "todo")
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


@cache
def _needles(words: tuple[str, ...]) -> tuple[CodePoints, NDArray[np.int64]]:
    return code_points("".join(words)), np.array([len(word) for word in words])


def _with(text: CodePoints, spans: Spans, *words: str, fold: bool = False) -> int:
    return int(loops.lines_with(text, spans, len(spans), *_needles(words), fold))


def code_signals(text: str, language: str, group: str, name: str) -> Signals:
    """Return what is measured of code and data alone."""
    points, marks = split(text, language)
    code, comments = points[marks == 0], points[marks != 0]
    bits, spans, size = classes(), lines_of(code), len(code)
    total, all_lines = len(spans), text.count("\n") + (text[-1:] not in ("", "\n"))
    repeated, across, within = (np.zeros(3, np.int64) for _ in range(3))
    loops.repeated_lines(code, spans, total, bits, False, repeated)
    loops.strings(code, bits, False, across)
    loops.strings(code, bits, True, within)
    signals = {
        "frac_chars_comments": share(len(comments), len(text)), "frac_lines_dupe_lines": share(repeated[0], total),
        "frac_lines_long_string": share(across[0], total), "frac_chars_string_length": share(within[1], size),
        "frac_chars_long_word_length": share(within[2], size),
        "frac_chars_hex_words": share(hex_words(code, bits), size),
        "frac_lines_string_concat": share(loops.concatenations(code, spans, total, bits), total),
        "frac_lines_prompt_comments": share(_with(comments, lines_of(comments), *_PROMPTS, fold=True), all_lines),
        "frac_lines_assert": share(_with(code, spans, "assert", fold=True), total),
    }  # fmt: skip
    if group in _PRINTS:
        signals["frac_lines_print"] = share(_with(code, spans, *_PRINTS[group]), total)
    return signals | _specific(text, group, name, code, points[marks == COMMENT], spans)


def _specific(text: str, group: str, name: str, code: CodePoints, comments: CodePoints, spans: Spans) -> Signals:
    """Return the signals that a language has of its own."""
    if group == "python":
        imports, passed = (_with(code, spans, word, fold=True) for word in ("import", "pass"))
        plain = imports + loops.returns(code, spans, classes())
        shares = {"frac_lines_import": imports / (len(spans) or 1), "frac_lines_pass": passed / (len(spans) or 1)}
        return shares | python_signals(text, as_text(comments), len(spans), plain)
    if group == "html":
        return html_signals(text)
    if group in ("c", "cpp"):
        gotos = {"frac_lines_goto": share(_with(code, spans, "goto"), len(spans))}
        return gotos | c_signals(code, as_text(code), spans, name, classes())
    if group == "csharp":
        return csharp_signals(code, spans, classes())
    if group == "go":
        return go_signals(code, spans, name, classes())
    return java_signals(code, as_text(code), spans, classes()) if group == "java" else {}
