r"""OpenCoder's signals: equal to a plain recomputation and to Pygments on real files, known answers, hostile texts."""

from __future__ import annotations

import random
import re
import sysconfig
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels.code_points import as_text, code_points
from stackcurate.kernels.quality_code import split
from stackcurate.kernels.quality_declarations_numba import CLASSES, declarations
from stackcurate.kernels.quality_functions_numba import JAVA as LANGUAGE
from stackcurate.kernels.quality_functions_numba import mains
from stackcurate.kernels.quality_literals_numba import BLOCK, SLASHES, comment_end
from stackcurate.kernels.quality_opencoder import RULES
from stackcurate.kernels.quality_points import classes, lines_of
from stackcurate.kernels.quality_policy import QualityPolicy, reasons
from stackcurate.kernels.quality_prose_numba import ends
from stackcurate.kernels.quality_signals import SignalsConfig, measure_signals
from stackcurate.kernels.quality_tokens_numba import NONE, number_of, numbers
from tests.plain_signals import lexed, plain_signals

SUFFIXES = {
    ".py": "Python", ".js": "JavaScript", ".html": "HTML", ".c": "C", ".h": "C", ".cpp": "C++", ".hpp": "C++",
    ".json": "JSON",
}  # fmt: skip


def one(text: str | bytes, language: str, path: str = "a", kind: str = "programming", **config: Any) -> dict[str, Any]:
    """Return the signals of one file."""
    (row,) = measure_signals([text], [path], [language], [kind], SignalsConfig(**config)).to_pylist()
    assert row["error"] is None
    return dict(row["signals"])


def real_files() -> Iterator[tuple[str, str]]:
    """Yield language and text of installed files."""
    root, by_suffix = Path(sysconfig.get_path("purelib")), defaultdict(list)
    for path in sorted(root.rglob("*.*")):
        by_suffix[path.suffix].append(path)
    for suffix, language in SUFFIXES.items():
        paths = [path for path in by_suffix[suffix] if 50 < path.stat().st_size < 12_000]
        for path in random.Random(4).sample(paths, min(25, len(paths))):
            content = path.read_bytes()
            if b"\0" not in content:
                yield language, content.decode("utf-8", "replace")


FILES = list(real_files())


def test_signals_equal_a_plain_recomputation() -> None:
    assert len(FILES) > 100
    for language, text in FILES:
        found = one(text, language)
        for name, value in plain_signals(text, language).items():
            assert found[name] == pytest.approx(float(value), abs=1e-9), (language, name, text[:200])


def test_comments_and_code_equal_those_of_pygments() -> None:
    for language, text in FILES:
        points, marks = split(text, language)
        assert (as_text(points[marks == 0]), as_text(points[marks != 0])) == lexed(text, language), text[:200]


PYTHON = '''"""Tides."""
import os

LIMIT = 3


class Port:
    """A port."""

    name = "x"
    depth: int = 4

    def half(self):
        return self.depth / 2


def tide(hours):
    # by the moon
    if hours > LIMIT:
        return None
    print(hours)
    pass
'''
GO = """package port

import "fmt"

type Port struct {
\tname string
}

var depth int

func (p *Port) Name() string {
\treturn p.name
}

func main() {
\tfmt.Println("x")
}
"""
JAVA = """import java.util.List;

public class Port {
    private int depth;
    String Name = "x";

    public int depth() {
        return depth;
    }

    void print(String text) throws IOException {
        System.out.println(text);
    }
}
"""
C_CODE = """#include <stdio.h>
#define LIMIT 3
struct port { int depth; };

static int *half(int depth) {
    int rest;
    if (depth > LIMIT) goto end;
    printf("%d", depth);
end:
    return 0;
}

int main(void) {
    return half(2);
}
"""
CSHARP = """using System;

public class Port {
    int depth;

    public static int Half(int x) {
        return x / 2;
    }

    void Print() {
        Console.WriteLine(depth);
    }
}
"""
HTML = """<html><head><title>Port</title><script>let a = "<b>"</script></head>
<body class="a > b"><!-- none --><p>High &amp; low</p></body></html>"""
KNOWN = [
    (PYTHON, "Python", {"cate_ast": 1, "frac_lines_func_ratio": 2 / 12, "frac_lines_simplefunc": 1 / 12,
                        "score_lines_no_logic": (2 + 1 + 1 + 2 + 2) / 12, "cate_var_zero": 0,
                        "frac_lines_import": 1 / 12, "frac_lines_pass": 1 / 12, "frac_lines_print": 1 / 12,
                        "frac_chars_comments": len("A port.\nTides.\n by the moon") / len(PYTHON)}),
    ("x = (1\n# why\n", "Python", {"cate_ast": 0, "frac_chars_comments": 0, "frac_lines_func_ratio": None}),
    ("print 1 # why\n", "Python", {"cate_ast": 0, "frac_chars_comments": len("why") / 14}),
    ("#!/usr/bin/node\nlet a\n", "JavaScript", {"frac_chars_comments": 15 / 22}),
    ("import os\nprint(os)\n", "Python", {"cate_var_zero": 1, "frac_lines_import": 0.5}),
    (GO, "Go", {"cate_testfile": 0, "frac_lines_func_ratio": 2 / 12, "cate_var_zero": 0, "frac_lines_print": 1 / 12,
                "score_lines_no_logic": (2 + 1 + 1 + 1 + 1) / 12}),
    (JAVA, "Java", {"frac_lines_func_ratio": 2 / 11, "cate_var_zero": 0, "frac_lines_print": 1 / 11,
                    "score_lines_no_logic": (2 + 1 + 1 + 1 + 1) / 11, "frac_words_no_modifier": 1 / 3,
                    "frac_words_legal_class_name": 1, "frac_words_legal_var_name": 1,
                    "frac_words_legal_func_name": 1}),
    (C_CODE, "C", {"frac_lines_func_ratio": 3 / 13, "nums_lines_main": 1, "frac_lines_goto": 1 / 13,
                   "cate_bitsstdc": 0, "cate_var_zero": 0, "frac_lines_print": 1 / 13,
                   "frac_lines_preprocessor_directives": 3 / 13,
                   "score_lines_no_logic": (3 + 1 + 1 + 1) / 13}),
    ("#include <bits/stdc++.h>\n", "C++", {"cate_bitsstdc": 1, "cate_var_zero": 1, "nums_lines_main": 0}),
    (CSHARP, "C#", {"frac_lines_func_ratio": 2 / 10, "cate_var_zero": 0, "frac_lines_print": 1 / 10,
                    "score_lines_no_logic": (2 + 1 + 1 + 1 + 1) / 10}),
    (HTML, "HTML", {"cate_ast": 1, "num_chars_text": len("Port") + 1 + len("High & low"),
                    "frac_words_text": 15 / len(HTML)}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language", "wanted"), KNOWN)
def test_signals_of_single_languages(text: str, language: str, wanted: dict[str, float | None]) -> None:
    found = one(text, language)

    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_declarations_are_found_where_they_stand() -> None:
    points = np.array([ord(c) for c in JAVA], np.uint32)
    spans = lines_of(points)
    out = np.empty_like(spans)

    found = declarations(points, spans, LANGUAGE, CLASSES, classes(), out)
    assert [JAVA[begin:end] for begin, end in out[:found]] == ["public class Port"]
    assert mains(points, classes()) == 0


def test_comments_end_where_their_style_says() -> None:
    points = code_points("/* a */ b // c\n")

    assert comment_end(points, 0, len(points), BLOCK) == 7
    assert comment_end(points, 8, len(points), BLOCK | SLASHES) == 8
    assert comment_end(points, 10, len(points), SLASHES) == 14


def test_sentences_end_with_marks_and_lines() -> None:
    assert ends(code_points("a. b? c\n")) == 3


def test_names_of_files_count() -> None:
    assert one(GO, "Go", "a/port_Test.go")["cate_testfile"] == 1
    assert one("int a;\n", "C", "port.h")["frac_lines_preprocessor_directives"] is None
    assert one("a", "Text", "requirements.txt", "prose")["cate_code_related_file_name"] == 1


def test_prose() -> None:
    text = "The PORT is here. Is it? Yes!\n\n\u2022 one\n\u2022 one\nmore...\n(https://a.b/c) <b>x</b> \u3010 0x1F\n"
    found = one(text, "Markdown", "notes.md", "prose")
    tokens = re.findall(r"\w+|[^\w\s]+", text)
    wanted = {
        "num_sentences": len(re.findall(r"\b[^.!?]+[.!?]*", text)), "frac_lines_dupe_lines": 2 / 5,
        "frac_lines_end_with_readmore": 1 / 6,
        "frac_lines_start_with_bullet": 2 / 6, "frac_words_full_bracket": 1 / len(tokens),
        "frac_words_all_caps": 1 / len(tokens), "frac_chars_hyperlink_html_tag": (15 + 3 + 4) / len(text),
        "frac_chars_hex_words": 4 / len(text), "cate_code_related_file_name": 1, "frac_chars_comments": None,
        "num_chars_sentence_length_mean": sum(map(len, re.split(r"[.?!\n]", text))) / len(re.split(r"[.?!\n]", text)),
        "frac_words_redpajama_stop": sum(w in {"is", "here", "it", "one", "more", "a", "b", "c",
        "x"} for w in tokens) / len(tokens),
    }  # fmt: skip

    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


@pytest.mark.parametrize("language", ["C", "C#", "Go", "HTML", "Java", "JavaScript", "PHP", "Python", "Shell", "Text"])
def test_hostile_texts_take_time_in_proportion_to_their_length(language: str) -> None:
    rng = random.Random(7)
    noise = "".join(rng.choices("/*'\"`#<>!-\\@ \n(){}=;aZ09_\u00e9?", k=50_000))
    bombs = ["/*", "'''", '"""', "<!--", "<a ", '<a b="', "(http://", "//", "#if 0\n", "`", "return ", "func (", "a b(",
             "public ", "0x", "\\u00", "class ", "'", "\n"]  # fmt: skip
    start = time.process_time()
    texts = [noise, *(bomb * (60_000 // len(bomb)) for bomb in bombs)]
    count, kind = len(texts), "prose" if language == "Text" else "programming"
    rows = measure_signals(texts, ["a"] * count, [language] * count, [kind] * count)

    assert rows["error"].null_count == count
    assert rows["signals"].null_count == 0
    assert time.process_time() - start < 60


def test_unknown_languages_binary_and_null_content_give_nulls() -> None:
    rows = measure_signals([b"a", b"\0", None], ["a"] * 3, [None, "Python", "Python"], [None, "programming", None])

    assert rows.to_pylist() == [dict.fromkeys(schema.SIGNALS.adds.names)] * 3


def judged(**changes: Any) -> str | None:
    """Return the reason of OpenCoder's policy for a Python file with some signals changed."""
    signals = one(PYTHON, "Python") | {"num_words": 40.0, "frac_lines_pass": 0.0, "score_lines_no_logic": 0.2} | changes
    facts = {
        "language": "Python", "generated": False, "encoding": "utf-8", "rules": "python", "signals": signals,
    }  # fmt: skip
    fields = [schema.LANGUAGE.columns.field(name) for name in ("language", "generated")]
    columns = pa.schema([*schema.QUALITY.adds, *fields, *[f for f in schema.SIGNALS.adds if f.name != "error"]])
    (code,) = reasons(pa.Table.from_pylist([facts], columns), QualityPolicy(preset="opencoder")).to_pylist()
    return None if code is None else str(code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None), ({"num_words": 29.0}, "num_words"), ({"frac_chars_whitespace": 0.5}, None),
        ({"frac_chars_whitespace": 0.51}, "frac_chars_whitespace"), ({"cate_ast": 0.0}, "cate_ast"),
        ({"cate_ast": None}, None), ({"score_lines_no_logic": 0.51}, "score_lines_no_logic"),
        ({"num_lines": 9.0}, "num_lines"), ({"frac_chars_alphabet": 0.49}, "frac_chars_alphabet"),
    ],
)  # fmt: skip
def test_thresholds_of_opencoder(changes: dict[str, float | None], code: str | None) -> None:
    simple = {"frac_lines_simplefunc": 0.1, "mean_word_length": 4.0, "frac_lines_func_ratio": 0.1}

    assert judged(**simple | changes) == (code and f"opencoder_{code}")


def test_rules_name_signals_and_differ_by_language() -> None:
    known = set(schema.SIGNALS.adds.field("signals").type.names)

    assert {name for limits in RULES.values() for name in limits} <= known
    active = {group: sum(limit != (None, None) for limit in limits.values()) for group, limits in RULES.items()}
    assert active == {
        "others": 31, "data": 28, "shell": 28, "sql": 31, "python": 39, "c": 36, "cpp": 36, "csharp": 35, "go": 35,
        "html": 28, "java": 35, "javascript": 36, "text": 26,
    }  # fmt: skip


def test_parse_errors_need_a_grammar() -> None:
    ask = {"parse": True}
    wrong = measure_signals(["x = = 1\n", "x = 1\n", "x"], ["a"] * 3, ["Python", "Python", "COBOL"], [None] * 3,
                            SignalsConfig(**ask))["parse_errors"].to_pylist()  # fmt: skip
    try:
        import tree_sitter_python  # type: ignore[import-not-found]  # noqa: F401 - says whether the grammar is there
    except ImportError:
        assert wrong == [None] * 3
    else:
        assert 0 < wrong[0] <= 1
        assert wrong[1:] == [0, None]


def test_facts_are_numbers_of_one_kind() -> None:
    """Means of floats must not depend on how NumPy adds."""
    first, second = (one(PYTHON, "Python") for _ in range(2))

    assert first == second
    assert all(value is None or np.isfinite(value) for value in first.values())


def test_words_are_told_apart_by_numbers() -> None:
    points = np.array([ord(c) for c in "static void x"], np.uint32)

    assert number_of(points, 0, 6) in numbers("public static")
    assert number_of(points, 7, 11) not in numbers("public static")
    assert number_of(points, 0, 13) == NONE
