"""The repository as context: `.gitattributes` as git matches them, and what neighbours tell."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest

from stackcurate.kernels.language import LanguageConfig, detect
from stackcurate.kernels.language_attributes import (
    MOST_BYTES,
    MOST_LINES,
    MOST_TRIES,
    attribute_lines,
    overrides,
    worth_reading,
)
from stackcurate.kernels.language_context import CONTEXT, neighbours, repository_context
from stackcurate.kernels.language_tokens import tokens

PATHS = (
    "a.inc", "sub/a.inc", "sub/deep/a.inc", "sub/deep/b c.inc", "other/lib/x.h", "other/lib/y/x.h", "[x].py", "!.py",
)  # fmt: skip
ATTRIBUTES = {
    ".gitattributes": (
        b"# a comment\n"
        b"[attr]ours linguist-generated -linguist-vendored\n"
        b"*.inc linguist-language=PHP\n"
        b"/a.inc linguist-language=C\n"
        b"sub/*.inc linguist-documentation\n"
        b"other/** ours\n"
        b"other/**/y/*.h !linguist-generated linguist-vendored=false\n"
        b"**/deep linguist-vendored\n"
        b"lib/ linguist-vendored\n"
        b"!a.inc linguist-vendored\n"
        b'"b c.inc" linguist-language=Pascal\n'
        b'"sub/deep/b\\040c.inc" linguist-detectable\n'
        b"[[]x].py linguist-detectable=true text eol=lf\n"
        b"[^a-z].py -linguist-detectable\n"
        b"*.inc -linguist-detectable" + b" x" * 1100 + b"\n"
    ),
    "sub/.gitattributes": (
        b"*.inc linguist-language=Perl\n"
        b"[attr]theirs linguist-vendored\n"
        b"/deep/a.* theirs\n"
        b"deep/** linguist-vendored=1\n"
    ),
    "sub/deep/.gitattributes": b"a.inc !linguist-language -linguist-vendored\n",
    "other/.gitattributes": b"\x00\x01 linguist-vendored",
}  # fmt: skip
NAMES = ("language", "vendored", "generated", "documentation", "detectable")


def test_attributes_are_those_that_git_reports(tmp_path: Path) -> None:
    for path, content in ATTRIBUTES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    asked = [*git, "check-attr", "-z", *(f"linguist-{name}" for name in NAMES), "--", *PATHS]
    fields = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.split("\0")[:-1]
    reported = {(path, name): value for path, name, value in zip(*[iter(fields)] * 3, strict=True)}

    lines = attribute_lines({path: content for path, content in ATTRIBUTES.items() if b"\0" not in content})
    found = {path: overrides(lines, path) for path in PATHS}

    flags = {"set": True, "unset": False, "unspecified": None, "true": True, "false": False, "1": True}
    for (path, name), value in reported.items():
        said = found[path][name.removeprefix("linguist-")]  # type: ignore[literal-required]
        expected = None if value == "unspecified" else value
        assert said == (expected if name == "linguist-language" else flags[value]), (path, name)
    assert found["other/lib/x.h"] == {**dict.fromkeys(NAMES), "generated": True, "vendored": False}


def test_attributes_override_what_rules_say() -> None:
    lines = b"*.x linguist-language=objective-c linguist-detectable=false\nvendor/** -linguist-vendored\n"
    said = {".gitattributes": lines}
    paths = ["a.x", "vendor/b.go", "docs/c.md"]

    rows = detect(paths, [b"x"] * 3, repository_context(paths, said)).to_pylist()

    assert (rows[0]["language"], rows[0]["strategy"], rows[0]["detectable"]) == ("Objective-C", "attributes", False)
    assert (rows[1]["language"], rows[1]["vendored"], rows[1]["detectable"]) == ("Go", False, True)
    assert (rows[2]["documentation"], rows[2]["detectable"], rows[2]["ignored_override"]) == (True, False, None)


def test_unknown_language_is_ignored_and_named() -> None:
    context = repository_context(["a.py"], {".gitattributes": b"*.py linguist-language=Parseltongue\n"})

    (row,) = detect(["a.py"], [b"x = 1\n"], context).to_pylist()

    assert (row["language"], row["strategy"], row["ignored_override"]) == ("Python", "extension", "Parseltongue")


def test_hostile_attributes_take_no_time() -> None:
    stars = b"*a" * 400 + b"b linguist-vendored\n" + b"/**" * 300 + b"/x linguist-vendored\n"
    many = b"*.c linguist-language=X\n" * (MOST_LINES + 5)

    assert overrides(attribute_lines({".gitattributes": stars}), "d/" * 200 + "a" * 900)["vendored"] is None
    assert len(attribute_lines({".gitattributes": many})) == MOST_LINES
    assert len(attribute_lines({".gitattributes": many}, 400_000)) == MOST_TRIES // 400_000
    sizes = {"a/.gitattributes": MOST_BYTES, ".gitattributes": 1, "a/b/.gitattributes": 1, "a.c": 1}
    assert worth_reading(sizes) == [".gitattributes"]


def test_hostile_trees_take_neither_time_nor_memory() -> None:
    distinct = "".join("/".join(f"*[!\\{i:03}{j}]*" for j in range(8)) + " linguist-vendored\n" for i in range(600))
    stars = "".join(f"{'**/a/' * 15}{i} linguist-vendored\n" for i in range(1000))
    deep = [f"{'/'.join([f'd{i}'] * 99)}/x.{end}" for i in range(300) for end in ("h", "cc")]

    start = time.process_time()
    for text in (distinct, stars):
        repository_context(["a/" * 99 + "a.c"] * 20, {".gitattributes": text.encode()})
    assert neighbours(deep)[0] == ("C++",)
    assert time.process_time() - start < 5


def test_neighbours_are_nearest_first() -> None:
    paths = ["src/a.h", "src/a.cpp", "src/b.c", "src/c.c", "lib/d.h", "lib/e.hpp", "top.h", "x.py", "n/y/z.h", "p.m"]

    found = dict(zip(paths, neighbours(paths), strict=True))

    assert found["src/a.h"] == ("C++", "C")
    assert found["lib/d.h"] == ("C++", "C")
    assert found["top.h"] == found["n/y/z.h"] == ("C", "C++")
    assert found["x.py"] == found["src/b.c"] == found["p.m"] == ()


CLASS = b"class Shape { public: virtual double area() = 0; };\n"
GUARDED = b"""#ifdef __cplusplus
#if 1
namespace a {
#endif
extern "C" {
#endif
int f(void);
#ifdef __cplusplus
}}
#endif
"""


@pytest.mark.parametrize(
    ("content", "others", "language", "strategy"),
    [
        (CLASS, (), "C++", "heuristics"),
        (CLASS, ("a.c",), "C", "repository"),
        (CLASS, ("a.c", "deep/b.cc"), "C++", "heuristics"),
        (CLASS, ("a.go",), "C++", "heuristics"),
        (GUARDED, (), "C", "heuristics"),
        (GUARDED, ("a.cpp",), "C", "heuristics"),
        (b"#if __cplusplus > 201402L\n#endif\n" + CLASS, ("a.cpp",), "C++", "heuristics"),
        (b"int f(void);\n", ("a.cpp",), "C++", "repository"),
        (b"int f(void);\n", ("a.cpp", "shape.c"), "C", "heuristics"),
        (b"int f(void);\n", ("a.cpp", "x/b.c"), "C++", "repository"),
        (b"@interface A : B\n@end\n", ("a.c",), "Objective-C", "heuristics"),
    ],
)
def test_headers_are_of_the_language_of_their_sources(
    content: bytes, others: tuple[str, ...], language: str, strategy: str
) -> None:
    context = repository_context(["shape.h", *others], {})

    (row,) = detect(["shape.h"], [content], context[:1]).to_pylist()

    assert (row["language"], row["strategy"]) == (language, strategy)


def test_open_files_follow_the_classifier_and_the_repository() -> None:
    perl_like = ["data.inc", "a.php", "b.php"]
    context = repository_context(perl_like, {})

    alone = detect(["data.inc"], [b""]).to_pylist()[0]
    beside = detect(["data.inc"], [b""], context[:1]).to_pylist()[0]
    php = detect(["data.inc"], [b"<?php function f($x) { return $this->y($x); } ?>"], context[:1]).to_pylist()[0]

    assert (alone["strategy"], beside["strategy"], beside["language"]) == ("open", "repository", "PHP")
    assert php["language"] == "PHP"
    unguessed = detect(["data.inc"], [b""], config=LanguageConfig(guess_open=False)).to_pylist()[0]
    assert (unguessed["language"], unguessed["strategy"]) == (None, "open")


def test_context_is_typed_and_null_where_nothing_is_known() -> None:
    context = repository_context(["a.py", "b.h", "c.c"], {})

    assert context.type == CONTEXT
    assert [row["neighbours"] if row else row for row in context.to_pylist()] == [None, ["C"], None]
    assert repository_context([], {}).equals(pa.array([], CONTEXT))


def test_tokens_are_those_that_linguist_counts() -> None:
    text = "#!/usr/bin/env python3\n// x\n\"a string\" 'b' 0x1F 1.5e-3 12ab .5 #define $(x)"
    text += ' <!-- y --> a<=b->c /** d */ (...) """ e'

    assert dict(tokens(text)) == {
        "SHEBANG#!python": 1, "COMMENT//": 1, "12ab": 1, ".5": 1, "#define": 1, "$(": 1, "x": 1, ")": 1,
        "COMMENT<!--": 1, "a": 1, "<=": 1, "b": 1, "->": 1, "c": 1, "COMMENT/**": 1, "(...)": 1, 'COMMENT"""': 1,
    }  # fmt: skip


def test_classifier_tells_languages_of_one_extension_apart() -> None:
    cases = {
        "a.mo": ("actor { public func greet(name : Text) : async Text { return name } }", "Motoko"),
        "a.frag": ("void main() { gl_FragColor = vec4(1.0); }", "GLSL"),
        "a.spec": ("%prep\n%setup -q\n%build\n%configure\nmake\n%install\n%files\n%changelog\n", "RPM Spec"),
        "a.brd": ("PCBNEW-BOARD Version 1\n", "KiCad Legacy Layout"),
    }

    rows = detect([*cases], [text for text, _ in cases.values()]).to_pylist()

    assert [row["language"] for row in rows] == [language for _, language in cases.values()]
    assert [row["strategy"] for row in rows] == ["classifier", "classifier", "classifier", "heuristics"]


def test_classifier_takes_the_time_that_a_text_is_long() -> None:
    hostile = ["/*" * 25_000, '"\\' * 25_000, "(" * 50_000, "<" * 50_000, "#!/" + "a/" * 25_000, "1." * 25_000]
    started = time.process_time()

    assert {row["error"] for row in detect(["a.inc"] * len(hostile), hostile).to_pylist()} == {None}
    assert time.process_time() - started < 5
