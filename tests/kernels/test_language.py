"""Languages: strategies in Linguist's order, `.h`, marks of generated code, laws of a kernel, hostile text."""

import json
import random
import re
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate import schema
from stackcurate.kernels.language import LanguageConfig, detect, detect_one
from stackcurate.kernels.language_classifier import weights
from stackcurate.kernels.language_data import build_rules, build_weights, required_literals
from stackcurate.kernels.language_heuristics import Pattern, load

CASES = [
    # strategy, path, content, language
    ("modeline", "a.txt", "# -*- mode: ruby; coding: utf-8 -*-\n", "Ruby"),
    ("modeline", "a.txt", "/* -*- C++ -*- */\n", "C++"),
    ("modeline", "a.txt", "\n" * 30 + "# vim: set noai ft=perl :\n", "Perl"),
    ("modeline", "a.h", "// vim: ts=4 sw=4 ft=cpp\nint x;\n", "C++"),
    ("extension", "a.py", "# -*- coding: utf-8 -*-\n", "Python"),
    ("extension", "a.py", '"""vim: ft=nosuchthing"""\n', "Python"),
    ("filename", "deep/er/Makefile", "all:\n", "Makefile"),
    ("filename", "Dockerfile", "FROM scratch\n", "Dockerfile"),
    ("filename", "go.mod", "module m\n", "Go Module"),
    ("shebang", "run", "#!/usr/bin/env -S python3.11 -u\n", "Python"),
    ("shebang", "run", "#! /bin/bash -e\n", "Shell"),
    ("shebang", "run", "#!/usr/bin/env A=1 ruby\n", "Ruby"),
    ("shebang", "run", '#!/bin/sh\nexec tclsh "$0" "$@"\n', "Tcl"),
    ("extension", "a.rb", "", "Ruby"),
    ("extension", "UPPER.PY", "x = 1\n", "Python"),
    ("extension", "x.tar.go", "package x\n", "Go"),
    ("extension", "t.html.erb", "<%= x %>\n", "HTML+ERB"),
    ("extension", ".secret.service.py", "{}", "Python"),
    ("xml", "layout.unheard", '<?xml version="1.0"?>\n<a/>\n', "XML"),
    ("heuristics", "model.stl", "solid cube\nendsolid cube\n", "STL"),
    ("classifier", "foo.3zz.in", "words\n", "Roff"),
    ("heuristics", "foo.1", ".TH FOO 1\n.SH NAME\n", "Roff Manpage"),
    ("heuristics", "foo.9", "plain words\n", "Text"),
    ("heuristics", "a.ts", "export const a: number = 1\n", "TypeScript"),
    ("heuristics", "a.ts", '<?xml version="1.0"?>\n<TS version="2.1">\n', "XML"),
    ("heuristics", "list.txt", "[Adblock Plus 2.0]\n||ads.example^\n", "Adblock Filter List"),
    ("heuristics", "a.h", "int f(void);\n", "C"),
    ("heuristics", "a.h", "/* a class of struct, public or private */\nstruct s { int namespace_id; };\n", "C"),
    ("heuristics", "a.h", '#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n', "C"),
    ("heuristics", "a.h", "#include <vector>\n", "C++"),
    ("heuristics", "a.h", "namespace a {\n}\n", "C++"),
    ("heuristics", "a.h", "@interface A : B\n@end\n", "Objective-C"),
    ("heuristics", "a.pl", "foo(X) :- bar(X).\n", "Prolog"),
    ("heuristics", "a.pl", "use strict;\nmy $x = 1;\n", "Perl"),
    (None, "model.stl", "hello\n", None),
    (None, "README.nothing", "words\n", None),
    (None, "noextension", "words\n", None),
]


@pytest.mark.parametrize(("strategy", "path", "content", "language"), CASES)
def test_strategies_decide_in_order(strategy: str | None, path: str, content: str, language: str | None) -> None:
    row = detect([path], [content]).to_pylist()[0]

    assert (row["language"], row["strategy"], row["error"]) == (language, strategy, None)
    assert row["language_type"] == (load().types[language] if language else None)
    assert detect_one(path, content.encode()) == language


@pytest.mark.parametrize(
    "path",
    [
        "AGENTS.md", "a/CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", ".cursorrules", ".cursor/rules/a/b.mdc",
        ".github/copilot-instructions.md", ".github/instructions/a.instructions.md", ".windsurfrules", ".clinerules",
        "a/.clinerules/b.md", ".aider.conf.yml", ".claude/commands/a.md",
    ],
)  # fmt: skip
def test_agent_files_are_told_by_their_path(path: str) -> None:
    assert detect([path], [b"# a\n"])["agent_file"].to_pylist() == [True]


def test_other_files_are_no_agent_files() -> None:
    paths = ["MY_AGENTS.md", "agents.md", "CLAUDE.md/x", "src/claude/a.md", ".cursor/a", ".github/a.md", "rules/a.md"]

    assert not any(detect(paths, [b"a\n"] * len(paths))["agent_file"].to_pylist())


@pytest.mark.parametrize(
    ("path", "vendored", "generated", "documentation"),
    [
        ("src/main.c", False, False, False),
        ("a/node_modules/b/i.js", True, True, False),
        ("vendor/x/y.go", True, False, False),
        ("lib/jquery-3.1.js", True, False, False),
        ("third_party/z.cc", True, False, False),
        ("docs/index.md", False, False, True),
        ("a/README.md", False, False, True),
        ("web/package-lock.json", False, True, False),
        ("Form1.Designer.cs", False, True, False),
        ("vendored.py", False, False, False),
    ],
)
def test_paths_tell_vendored_generated_and_documentation(
    path: str, vendored: bool, generated: bool, documentation: bool
) -> None:
    row = detect([path], ["x\n"]).to_pylist()[0]

    assert (row["vendored"], row["generated"], row["documentation"]) == (vendored, generated, documentation)


@pytest.mark.parametrize(
    ("path", "content", "generated"),
    [
        ("a.go", "// Code generated by stringer; DO NOT EDIT.\npackage a\n", True),
        ("a.go", "package a\n// Code is generated by hand\n", False),
        ("a_pb2.py", "# -*- x -*-\n# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", True),
        ("a.py", "x = 1\n" * 9 + "# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", False),
        ("a.c", "/* Generated by Cython 3.0 */\nint x;\n", True),
        ("a.js", "var a;\n//# sourceMappingURL=a.js.map\n", True),
        ("a.js", "x" * 111 + "\n" + "x" * 150, True),
        ("a.js", "x" * 111 + "\n\n", False),
        ("a.html", '<html><head>\n<meta content="groff 1.22" name="generator">\n', True),
        ("a.html", '<html><head>\n<meta name="generator" content="Hand 1.0">\n', False),
        ("c.yml", "a: b\nrecorded_with: VCR 2.0\n", True),
        ("a.py", '"""This file was Automatically Generated."""\n', True),
        ("a.py", "\n\n\n\n\n# automatically generated\n", False),
    ],
)
def test_marks_of_generated_code(path: str, content: str, generated: bool) -> None:
    assert detect([path], [content]).column("generated").to_pylist() == [generated]


def test_phrases_are_the_users() -> None:
    content = ["# made by robots\n", "# autogenerated\n"]

    found = detect(["a.py"] * 2, content, config=LanguageConfig(generated_phrases=("made by robots",)))

    assert found.column("generated").to_pylist() == [True, False]
    with pytest.raises(ValueError, match="empty phrase"):
        LanguageConfig(generated_phrases=("",))


def test_open_files_are_guessed_or_null() -> None:
    path, content = ["a.m", "b.inc"], ["", ""]

    assert detect(path, content).select(["language", "strategy"]).to_pylist() == [
        {"language": "Objective-C", "strategy": "open"},
        {"language": "C++", "strategy": "open"},
    ]
    null = detect(path, content, config=LanguageConfig(guess_open=False))
    assert null.select(["language", "strategy"]).to_pylist() == [{"language": None, "strategy": "open"}] * 2


def test_binary_has_no_language_but_a_place() -> None:
    row = detect(["vendor/a.py"], [b"\0\1\2"]).to_pylist()[0]

    assert (row["language"], row["strategy"], row["vendored"], row["error"]) == (None, None, True, None)


def test_utf16_is_read_as_text() -> None:
    assert detect_one("a.h", "namespace x {\n".encode("utf-16")) == "C++"


def _real_files(number: int) -> tuple[list[str], list[bytes]]:
    root = Path(sysconfig.get_paths()["purelib"])
    folders = [root / name for name in ("numpy", "pyarrow", "pygments", "spacy")]
    paths = sorted(p for f in folders for p in f.rglob("*") if p.is_file() and p.suffix not in {".so", ".pyc"})
    chosen = random.Random(7).sample(paths, min(number, len(paths)))
    return [str(p.relative_to(root)) for p in chosen], [p.read_bytes() for p in chosen]


def test_laws_of_a_kernel() -> None:
    path, content = _real_files(60)
    paths, contents = pa.array([*path, None, "a.py"]), pa.array([*content, b"x", None], pa.large_binary())

    whole = detect(paths, contents)

    assert whole.schema.equals(schema.LANGUAGE.adds, check_metadata=True)
    assert detect(pa.array([], pa.string()), pa.array([], pa.binary())).schema.equals(schema.LANGUAGE.adds)
    parts = [detect(paths[:17], contents[:17]), detect(paths[17:], contents[17:])]
    assert pa.Table.from_batches(parts).combine_chunks() == pa.Table.from_batches([whole])
    assert whole.to_pylist()[-2:] == [dict.fromkeys(whole.schema.names)] * 2


def test_same_in_a_fresh_process_with_another_hash_seed() -> None:
    program = (
        "from stackcurate.kernels.language import detect\n"
        "import json, sys\n"
        "print(json.dumps(detect(['a.m', 'b.inc', 'c.h', 'd.pl'], ['x', 'y', 'class a', 'z']).to_pylist()))\n"
        "assert not {'pyspark', 'yaml'} & set(sys.modules)"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_literals_never_change_what_a_pattern_finds() -> None:
    texts = [content.decode("latin-1")[:6000] for content in _real_files(40)[1]]
    patterns = {p for group in load().groups for rule in group for clause in rule.clauses for p in clause.patterns}

    skipped = 0
    for pattern in sorted(patterns, key=lambda p: p.source):
        if not pattern.literals:
            continue
        for text in texts:
            lower = text.lower()
            ruled_out = not any(literal in lower for literal in pattern.literals)
            skipped += ruled_out
            if ruled_out:
                assert not Pattern(pattern.source, ()).found_in(text, lower), pattern
    assert skipped > 1000


def test_paths_match_as_one_expression_would() -> None:
    root = Path(sysconfig.get_paths()["purelib"])
    real = [path.relative_to(root).as_posix() for path in random.Random(3).sample(sorted(root.rglob("*")), 3000)]
    paths = [
        *real, "jquery/a.js", "Vendor/x", "a/VENDOR/x", "x/Docs/build/y", "docs", "a/docs/", "Documentation/a",
        "Cargo.lock", "min.js", "x/node_modules/z.js",
    ]  # fmt: skip
    folder = files("stackcurate").joinpath("data", "linguist")
    rules, own = (json.loads(folder.joinpath(f"{name}.json").read_text()) for name in ("paths", "additions"))
    for kind, rows in rules.items():
        patterns = [pattern for pattern, _ in rows] + own["generated_paths"] * (kind == "generated")
        plain = [any(re.search(pattern, path) for pattern in patterns) for path in paths]

        assert [load().on_path[kind](path) for path in paths] == plain
        assert 0 < sum(plain) < len(paths)


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"std::\w+", ["std::"]),
        (r"^[ \t]*(private|public):$", ["private:", "public:"]),
        (r"(?i)END!", ["end!"]),
        (r"(a|\d)x*", []),
        (r"(?:foo)?bar+", ["ba"]),
        (r"(?:foo){2,}|quux", ["foo", "quux"]),
        (r"[\s&&[^\n]]+abc", []),
        (r"(?<name>x)", []),
    ],
)
def test_required_literals(pattern: str, literals: list[str]) -> None:
    assert required_literals(pattern) == literals


def test_endless_backtracking_ends_and_costs_only_its_row() -> None:
    found = detect(["a.alg", "b.py"], ["begin\n" * 8500, "x = 1"]).to_pylist()

    assert found[0]["error"] == "timeout"
    assert found[0]["language"] is None
    assert found[1]["language"] == "Python"


def test_blank_lines_take_no_time() -> None:
    assert detect_one("a.h", "\n" * 49_000 + " " * 1000 + "// class public: @end catch template <") == "C"
    assert detect_one("a.h", "\n" * 49_000 + "\r\n \t @end class") == "Objective-C"


def test_build_rules_converts_yaml(tmp_path: Path) -> None:
    source, target = tmp_path / "ext", tmp_path / "json"
    source.mkdir()
    target.mkdir()
    (source / "languages.yml").write_text(
        "Foo:\n  type: programming\n  color: '#fff'\n  aliases: [FooScript]\n  extensions: ['.Foo', .f]\n"
        "Bar:\n  type: data\n  filenames: [BARFILE]\n  interpreters: [bar]\n"
    )
    (source / "heuristics.yml").write_text(
        "disambiguations:\n- extensions: ['.f']\n  rules:\n"
        "  - language: Foo\n    and:\n    - named_pattern: foo\n    - negative_pattern: '^never'\n"
        "  - language: [Bar, Foo]\n"
        "named_patterns:\n  foo: ['^start', 'x+']\n"
    )
    for name, pattern in {"vendor.yml": "(^|/)cache/", "documentation.yml": "^docs/", "generated.rb": "x.lock"}.items():
        (source / name).write_text(f"- {pattern}\n")

    built = {path.stem: json.loads(path.read_text()) for path in build_rules(source, target)}

    assert built["languages"] == {
        "Foo": {
            "type": "programming",
            "extensions": [".foo", ".f"],
            "filenames": [],
            "interpreters": [],
            "aliases": ["fooscript"],
        },
        "Bar": {"type": "data", "extensions": [], "filenames": ["BARFILE"], "interpreters": ["bar"], "aliases": []},
    }
    first, second = built["heuristics"][0]["rules"]
    assert first["all"] == [
        {"any": [["^start", ["start"]], ["x+", []]], "not": False},
        {"any": [["^never", ["never"]]], "not": True},
    ]
    assert second == {"languages": ["Bar", "Foo"], "all": []}
    assert built["paths"] == {
        "vendored": [["(^|/)cache/", ["cache/"]]],
        "documentation": [["^docs/", ["docs/"]]],
        "generated": [["x.lock", ["lock"]]],
    }


def test_build_rules_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vendor\.yml"):
        build_rules(tmp_path, tmp_path)


SAMPLES = r"""# frozen_string_literal: true
DATA = {"extnames"=>
  {"Foo"=>[".f"]},
 "vocabulary"=>
  {"\""=>1, "let"=>0,
   "\\\\"=>2},
 "icf"=>
  [1.5, 2.0, 1.0e-1],
 "centroids"=>
  {"Foo Fs"=>
    {0=>0.5,
     1=>0.25},
   "Bar"=>{2=>0.5},
   "Alone"=>{0=>1.0}},
 "sha256"=>"00"}
"""


def test_build_weights_converts_ruby(tmp_path: Path) -> None:
    (tmp_path / "languages.yml").write_text(
        "Foo*:\n  type: data\n  fs_name: Foo Fs\n  extensions: ['.F']\n"
        "Bar:\n  type: data\n  extensions: ['.f']\n"
        "Alone:\n  type: data\n  extensions: ['.g']\n"
    )
    (tmp_path / "samples_data.rb").write_text(SAMPLES)

    table = pq.read_table(build_weights(tmp_path / "samples_data.rb", tmp_path, tmp_path))

    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("Bar", "\\\\", 50),
        ("Foo*", '"', 500),
        ("Foo*", "let", 750),
    ]
    (tmp_path / "samples_data.rb").write_text("DATA = {}")
    with pytest.raises(ValueError, match="'vocabulary' is missing"):
        build_weights(tmp_path / "samples_data.rb", tmp_path, tmp_path)


def test_packaged_data_is_whole_and_licensed() -> None:
    folder = files("stackcurate").joinpath("data", "linguist")
    rules = load()

    assert len(rules.types) == 829
    assert set(rules.types.values()) == {"programming", "markup", "data", "prose"}
    assert all(c in rules.types for group in rules.groups for rule in group for c in rule.languages)
    assert all(language in rules.types for language in rules.popular)
    assert len(weights()) > 250
    assert set(weights()) <= set(rules.types)
    assert all(languages <= set(rules.types) for languages, _ in rules.between)
    assert "MIT licence" in folder.joinpath("NOTICE").read_text()
    assert "Copyright (c) 2017 GitHub, Inc." in folder.joinpath("LICENSE").read_text()
