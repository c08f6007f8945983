"""OpenCoder's signals of code as plainly as the definitions read, with the comments that Pygments sees."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter

import regex
from pygments import lex  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Comment, Literal  # type: ignore[import-untyped]

PUNCTUATION = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2018\u2019\u201c\u201d\u3001\u3002\u300a\u300b\u300c\u300d\u3010\u3011"
)
RUNS = (r"[a-zA-Z0-9+/\n=]{64,}", r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}", r"(?:\\u[0-9a-fA-F]{4}){8,}")
"""Encoded data. Source: StarCoder2 (arXiv 2402.19173)."""
QUOTED = r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|'([^\n]*?)'|\"([^\n]*?)\""
COMMENTS = (Comment.Multiline, Comment.Single, Comment.Hashbang, Comment.Special, Literal.String.Doc)


def plain_signals(text: str, language: str) -> dict[str, float]:
    """Measure a text that is code of a language; what only one language has is left out.

    Args:
        text: with one letter, digit or mark at least.
        language: as Linguist spells it; Pygments must know it.
    """
    code, comments = lexed(text, language)
    signals = plain(text)
    if code.strip():
        signals |= of_code(code, comments, text)
    if language != "Python":  # whose docstrings count as comments
        signals["frac_chars_comments"] = len(comments) / len(text)
    return signals


def words_of(text: str) -> list[str]:
    """Return the words of a text; marks on letters are part of them, as `regex` has it."""
    spaced = "".join(" " if c in PUNCTUATION else c for c in text if ord(c) > 31 or c in "\b\t\n\x0b\f\r\x1b")
    return regex.findall(r"\w+|[^\w\s]+", unicodedata.normalize("NFKC", spaced.lower()))


def plain(text: str) -> dict[str, float]:
    """Measure what code and prose share, as plainly as the definitions read."""
    words, lines = words_of(text), re.findall(r"[^\n]*\n|[^\n]+", text)
    seen, visible, size = Counter(words), re.sub(r"\s", "", text), len(text)
    total = sum(map(len, words))
    signals: dict[str, float] = {
        "num_chars": size, "num_lines": len(lines), "num_words": len(words),
        "num_chars_line_max": max(map(len, lines)), "num_chars_line_mean": size / len(lines),
        "mean_word_length": total / len(words), "frac_words_unique": len(seen) / len(words),
        "entropy_unigram": -sum(n / len(words) * math.log(n / len(words)) for n in seen.values()),
        "frac_chars_alphabet": sum(map(str.isalpha, visible)) / len(visible),
        "frac_chars_digital": sum(map(str.isdigit, visible)) / len(visible),
        "frac_chars_whitespace": 1 - len(visible) / size, "frac_chars_replacement_symbols": text.count("\ufffd") / size,
        "cate_xml_start": "<?xml version=" in text[:100],
        "frac_chars_curly_bracket": sum(c in "{}" for c in text) / size,
    }  # fmt: skip
    for length in range(2, 11):
        grams = Counter(zip(*(words[i:] for i in range(length)), strict=False))
        if length < 5:
            gram, count = grams.most_common(1)[0] if grams else ((), 0)
            signals[f"frac_chars_top_{length}grams"] = sum(map(len, gram)) * count / total if count > 1 else 0
            continue
        again = [i for i in range(len(words) - length + 1) if grams[tuple(words[i : i + length])] > 1]
        held = {i + k for i in again for k in range(length)}
        signals[f"frac_chars_dupe_{length}grams"] = sum(len(words[i]) for i in held) / total
    runs = [len(match[0]) for run in RUNS for match in re.finditer(run, text)]
    return signals | {"cate_encoded_data": max(runs, default=0) > 1024 or sum(runs) > size / 2}


def lexed(text: str, language: str) -> tuple[str, str]:
    """Return code and comments as Pygments tells them apart."""
    parts = {True: "", False: ""}
    for kind, token in lex(text, get_lexer_by_name({"C++": "cpp"}.get(language, language.lower()))):
        parts[kind in COMMENTS] += token
    return parts[False], parts[True]


def of_code(code: str, comments: str, text: str) -> dict[str, float]:
    """Measure code and comments, as plainly as the definitions read."""
    lines, size = [line for line in code.split("\n") if line.strip()], len(code)
    packed = ["".join(line.split()) for line in lines]
    again = [line for line in packed if packed.count(line) > 1 and len(line) > 1 and line != "},"]
    strings = [group for found in re.findall(QUOTED, code, re.DOTALL) for group in found if group]
    across = [group for found in re.findall(QUOTED.replace(r"[^\n]", "."), code, re.DOTALL) for group in found if group]
    long = [part for group in across for part in group.split("\n") if len(re.findall(r"\w+|[^\w\s]+", part)) > 20]
    words = [w for group in strings for w in group.split() if len(w) > 20 and not re.search(r"https?://\S", w)]
    asked = [line for line in comments.lower().split("\n") if re.search("todo|fixme|your code here", line)]
    joined = [line for line in lines if re.search(r"=\s*[\"'].+?[\"']\s*\+\s*[\"'].+?[\"']", line)]
    return {
        "frac_lines_dupe_lines": len(again) / len(lines), "frac_chars_string_length": sum(map(len, strings)) / size,
        "frac_lines_long_string": len(long) / len(lines), "frac_chars_long_word_length": sum(map(len, words)) / size,
        "frac_lines_prompt_comments": len(asked) / len(re.findall(r"[^\n]*\n|[^\n]+", text)),
        "frac_lines_string_concat": len(joined) / len(lines),
        "frac_chars_hex_words": sum(map(len, re.findall(r"\b0[xX][0-9a-fA-F]+\b", code))) / size,
        "frac_lines_assert": sum("assert" in line.lower() for line in lines) / len(lines),
    }  # fmt: skip
