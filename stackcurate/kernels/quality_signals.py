"""OpenCoder's quality signals of a file, as facts: vectorised, without dice, without a clock.

What each signal measures is in `stackcurate.schema_signals`; a signal that does not apply to a language is null. Texts
count as English, in which OpenCoder counts all languages but Chinese and Japanese.

Source: OpenCoder (arXiv 2411.04905), opc_data_filtering, `quality_signals/`.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from typing import Any

import numpy as np
import pyarrow as pa
import regex
from numpy.typing import NDArray

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels.content import as_binary, decode
from stackcurate.kernels.quality_specific import (
    Signals,
    c_signals,
    csharp_signals,
    go_signals,
    html_signals,
    java_signals,
    python_signals,
    share,
)

CodePoints = NDArray[np.uint32]

_DROPPED = bytes(c for c in range(32) if c not in (8, 9, 10, 11, 12, 13, 27))
_SPACED = bytes(ord(" ") if chr(c) in string.punctuation else c for c in range(256))
_WIDE = re.compile("[\u3001\u3002\u2018\u2019\u201c\u201d\u2009\u200b\u300a-\u300d\u3010\u3011" + "".join(
    re.escape(chr(ord(mark) + 0xFEE0)) for mark in string.punctuation
) + "]")  # fmt: skip
"""Punctuation of Chinese and of full width, which separates words as other punctuation does."""
_GENERATED = re.compile("auto-generated|generate|autogen|do not edit")
_GENERATED_HEAD, _XML_HEAD = 200, 100
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


_MORE = (
    "...", "\u2026", "\u5168\u6587", "\u8be6\u60c5", "\u8be6\u7ec6", "\u66f4\u591a",
    "\u0627\u0644\u0645\u0632\u064a\u062f",
    "\u062a\u0641\u0627\u0635\u064a\u0644", "\u0627\u0642\u0631\u0623 \u0627\u0644\u0645\u0632\u064a\u062f",
    "\u3082\u3063\u3068",
    "\u8a73\u7d30", "\u3082\u3063\u3068\u8aad\u3080",
)  # fmt: skip
"""How a line ends that goes on elsewhere, in English, Chinese, Arabic and Japanese."""
_BULLETS = frozenset(map(chr, [
    0x2022, 0x2023, 0x2043, 0x204C, 0x204D, 0x2219, *range(0x25A0, 0x25B0), *range(0x25C6, 0x25CC), 0x25CF,
    *range(0x25D0, 0x25D7), 0x25D8, 0x25D9, *range(0x25E2, 0x25E7), 0x25EF, 0x2611, 0x2612, 0x29BE, 0x2B1B, 0x2B1C,
    0x2B1E, 0x2B1F, 0x2B24,
]))  # fmt: skip
_RELATED = frozenset(("readme", "notes", "todo", "description", "cmakelists", "read.me"))


@dataclass(frozen=True, kw_only=True)
class SignalsConfig:
    """What is measured; thresholds stand in `quality_policy`."""

    parse: bool = setting(
        False, "measure `parse_errors` as well, which takes as long as all else; needs the extra `parse`"
    )
    parse_bytes: int = setting(1_000_000, "largest file that is parsed for it")

    def __post_init__(self) -> None:
        if self.parse_bytes < 0:
            raise ValueError(f"parse_bytes: expected 0 or more, found {self.parse_bytes}")


def measure_signals(
    content: pa.Array | Sequence[bytes | str | None],
    path: pa.Array | Sequence[str | None],
    language: pa.Array | Sequence[str | None],
    language_type: pa.Array | Sequence[str | None],
    config: SignalsConfig = SignalsConfig(),
) -> pa.RecordBatch:
    r"""Measure each file by the signals of its language.

    Args:
        content: bytes of the files; null and binary content give a row of nulls.
        path: of the files.
        language: as Linguist spells it; null gives a row of nulls.
        language_type: Linguist's type of it, which tells prose and data from code.
        config: what is measured.

    Returns:
        A batch of the columns of ``schema.SIGNALS.adds``, row by row.

    >>> row = measure_signals([b"def f():\n    return 1\n"], ["f.py"], ["Python"], ["programming"])
    >>> row["rules"][0].as_py(), row["signals"][0]["num_words"].as_py()
    ('python', 4.0)
    """
    columns = [as_binary(content), *(pa.array(one, pa.string()) for one in (path, language, language_type))]
    rows = [_row(config, *values) for values in zip(*(column.to_pylist() for column in columns), strict=True)]
    adds = schema.SIGNALS.adds
    found = zip(*rows, strict=True) if rows else [()] * len(adds)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(found, adds, strict=True)], schema=adds)


def _row(
    config: SignalsConfig, content: bytes | None, path: str | None, language: str | None, kind: str | None
) -> tuple[Any, ...]:
    from stackcurate.kernels.quality_parse import parse_errors
    from stackcurate.kernels.quality_styles import group_of

    if content is None or language is None:
        return None, None, None, None
    try:
        text, encoding = decode(content)
        if text is None:
            return None, None, None, None
        if encoding == "utf-8-sig":  # OpenCoder counts the mark
            text = "\ufeff" + text
        group, name = group_of(language, kind), (path or "").rpartition("/")[2]
        signals = _shared(text) | {"size_file_byte": len(content)}
        signals |= _text_signals(text, name) if group == "text" else _code_signals(text, language, group, name)
        wrong = (
            parse_errors(text.encode("utf-8", "surrogatepass"), language, config.parse_bytes) if config.parse else None
        )
        return group, signals, wrong, None
    except Exception:  # noqa: BLE001 - one bad file must not cost its batch
        return None, None, None, "failed"


@cache
def classes() -> NDArray[np.uint8]:
    """Return by code point what Python says of a character, as the bits of `quality_text_numba`."""
    from stackcurate.kernels import quality_text_numba as bits

    every = [chr(c) for c in range(0x110000)]
    found = np.zeros(len(every), np.uint8)
    tests = {
        bits.ALPHA: str.isalpha, bits.DIGIT: str.isdigit, bits.SPACE: str.isspace, bits.UPPER: str.isupper,
        bits.LOWER: str.islower,
    }  # fmt: skip
    for bit, test in tests.items():
        found[np.fromiter(map(test, every), bool, len(every))] |= bit
    found[[ord(c) for c in regex.findall(r"\w", "".join(every))]] |= bits.WORD
    return found


def code_points(text: str) -> CodePoints:
    """Return a text as code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def as_text(points: CodePoints) -> str:
    """Return code points as a text."""
    return points.tobytes().decode("utf-32-le", "surrogatepass")


def as_words(text: str) -> CodePoints:
    """Return a text in lower case, spaces in place of punctuation, without control characters."""
    spaced = text.encode("utf-8", "surrogatepass").translate(_SPACED, _DROPPED)
    if text.isascii():
        return np.frombuffer(spaced.lower(), np.uint8).astype(np.uint32)
    wide = _WIDE.sub(" ", spaced.decode("utf-8", "surrogatepass")).replace("\u202c", "").lower()
    return code_points(unicodedata.normalize("NFKC", wide))


def _shared(text: str) -> Signals:
    """Return what is measured of prose and code alike."""
    from stackcurate.kernels import quality_text_numba as loops

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
    from stackcurate.kernels import quality_text_numba as loops

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


def split(text: str, language: str) -> tuple[CodePoints, NDArray[np.uint8]]:
    """Return a text, lines ended by line feeds, and what `quality_code_numba` marks of each character."""
    from stackcurate.kernels import quality_code_numba as loops
    from stackcurate.kernels.quality_styles import stretches

    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removeprefix("\ufeff").strip("\n") + "\n"
    points, marks = code_points(text), np.zeros(len(text), np.uint8)
    for begin, end, style in stretches(text, language):
        if style:
            loops.mark(points, begin, end, style, classes(), _keywords(), marks)
    return points, marks


@cache
def _keywords() -> NDArray[np.int64]:
    hashes = []
    for word in _KEYWORDS:
        h = 0
        for char in word:
            h = h * 31 + ord(char)
        hashes.append(h)
    return np.array(sorted(hashes), np.int64)


@cache
def _needles(words: tuple[str, ...]) -> tuple[CodePoints, NDArray[np.int64]]:
    return code_points("".join(words)), np.array([len(word) for word in words])


def lines_of(text: CodePoints) -> NDArray[np.int64]:
    """Return where lines begin and end that are not blank, shape (N, 2)."""
    from stackcurate.kernels import quality_lines_numba as loops

    spans = np.empty((np.count_nonzero(text == ord("\n")) + 1, 2), np.int64)
    return spans[: loops.lines(text, classes(), spans)]


def _with(text: CodePoints, spans: NDArray[np.int64], *words: str, fold: bool = False) -> int:
    from stackcurate.kernels import quality_lines_numba as loops

    return int(loops.lines_with(text, spans, len(spans), *_needles(words), fold))


def _code_signals(text: str, language: str, group: str, name: str) -> Signals:
    """Return what is measured of code and data alone."""
    from stackcurate.kernels import quality_lines_numba as loops
    from stackcurate.kernels.quality_text_numba import hex_words

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
    return signals | _specific(text, group, name, code, points[marks == 1], spans)


def _specific(
    text: str, group: str, name: str, code: CodePoints, comments: CodePoints, spans: NDArray[np.int64]
) -> Signals:
    """Return the signals that a language has of its own."""
    if group == "python":
        imports, passed = (_with(code, spans, word, fold=True) for word in ("import", "pass"))
        shares = {"frac_lines_import": imports / (len(spans) or 1), "frac_lines_pass": passed / (len(spans) or 1)}
        return shares | python_signals(text, as_text(code), as_text(comments), len(spans), imports)
    if group == "html":
        return html_signals(text)
    if group in ("c", "cpp"):
        gotos = {"frac_lines_goto": share(_with(code, spans, "goto"), len(spans))}
        return gotos | c_signals(code, as_text(code), spans, name, classes())
    if group == "csharp":
        return csharp_signals(code, spans, classes())
    if group == "go":
        return go_signals(code, spans, name, classes())
    return java_signals(code, spans, classes()) if group == "java" else {}


def _text_signals(text: str, name: str) -> Signals:
    """Return what is measured of prose alone."""
    from stackcurate.kernels import quality_prose_numba as loops
    from stackcurate.kernels.quality_lines_numba import repeated_lines
    from stackcurate.kernels.quality_text_numba import hex_words, words

    points, bits, stem = code_points(text), classes(), name.split(".", maxsplit=1)[0].lower()
    spans, lines, repeated = lines_of(points), text.split("\n"), np.zeros(3, np.int64)
    lines = lines[: len(lines) - (lines[-1] == "")]
    repeated_lines(points, spans, len(spans), bits, True, repeated)
    hashes, lengths = np.empty(len(points), np.uint64), np.empty(len(points), np.int32)
    stops = np.isin(hashes[: words(points, bits, hashes, lengths)], _stop_words()).sum()
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
        "frac_lines_end_with_readmore": share(sum(map(_goes_on, lines)), len(lines)),
        "frac_lines_start_with_bullet": share(sum(line.lstrip()[:1] in _BULLETS for line in lines), len(lines)),
        "cate_code_related_file_name": "requirement" in stem or stem in _RELATED,
    }  # fmt: skip


def _goes_on(line: str) -> bool:
    return line.rstrip().rstrip("]\u3011)>\u300b").endswith(_MORE)


@cache
def _stop_words() -> NDArray[np.uint64]:
    from stackcurate.kernels.quality_text_numba import words

    listed = package_files("stackcurate").joinpath("data", "quality", "stopwords-en.txt").read_text(encoding="utf-8")
    points = code_points("\n".join(word for word in listed.split() if "'" not in word))
    hashes, lengths = np.empty(len(points), np.uint64), np.empty(len(points), np.int32)
    return hashes[: words(points, classes(), hashes, lengths)]
