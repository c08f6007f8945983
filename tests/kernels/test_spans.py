"""Merging and replacing: nothing of a value is left, nothing else changes, what parsed still parses."""

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from stackcurate.kernels import pii, spans
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.placeholders import pseudonym
from stackcurate.kernels.spans import RedactionConfig, merge, redact

PEOPLE = "Karin Lindqvist <karin.l@firma.se>"
PLANTED = ["Karin", "karin.l", "54.12.33.177", "bob.b", "123 45 67", "karinl", "44:11:3A"]
LINES = [
    f"Author: {PEOPLE}",
    "Host is 54.12.33.177, mail bob.b@firma.se, call +46 70 123 45 67",
    "See /home/karinl/x and 00:1B:44:11:3A:B7",
]


DEFAULT = RedactionConfig()


def run(content, path, config=DEFAULT, repo_id="r", key=b"k"):
    return redact(content, pii.find_spans(content), path=path, repo_id=repo_id, key=key, config=config)


def clean(content, path):
    """Redact, and check what holds for every file."""
    result, count = run(content, path)
    assert count
    assert not [value for value in PLANTED if value.encode() in result], result
    assert run(result, path) == (result, 0)
    return result


def sources(suffix, count):
    root = Path(sysconfig.get_paths()["purelib"])
    files = (path for path in sorted(root.rglob(f"*{suffix}")) if 500 < path.stat().st_size < 20_000)
    return [path for number, path in enumerate(files) if number % 37 == 0][:count]


def test_merge_unites_what_overlaps_and_only_that():
    found = [Span(0, 4, "NAME", "a", 0.5), Span(2, 6, "KEY", "b", 0.9), Span(5, 9, "NAME", "a", 0.5)]
    apart = [Span(9, 12, "NAME", "a", 0.5), Span(20, 20, "KEY", "b", 1.0)]
    expected = [Span(0, 9, "KEY", "b", 0.9), Span(9, 12, "NAME", "a", 0.5)]
    assert merge(found + apart) == merge(apart + found[::-1]) == expected


def test_nested_and_equal_spans_leave_nothing_behind():
    content = b'x = "abcdefghij"'
    found = [Span(5, 15, "KEY", "a", 0.9), Span(7, 9, "NAME", "b", 1.0), Span(5, 15, "PASSWORD", "c", 0.9)]
    result, count = redact(content, found, path="a.py", repo_id="r", key=b"k")
    assert (count, result.count(b"<")) == (1, 1)
    assert not any(letter in result for letter in b"abcdefghij"[:3])


@pytest.mark.parametrize("path", sources(".py", 25), ids=lambda path: path.name)
def test_python_still_parses(path):
    content = path.read_bytes()
    ast.parse(content)
    comments = "".join(f"# {line}\n" for line in LINES)
    literals = "".join(f"_planted{number} = {line!r}\n" for number, line in enumerate(LINES))
    result = clean(content + b"\n" + comments.encode() + literals.encode(), path.name)
    ast.parse(result)
    assert b"# Author: <NAME> <EMAIL>\n" in result


@pytest.mark.parametrize("path", sources(".json", 8), ids=lambda path: path.name)
def test_json_and_yaml_still_parse(path):
    document = {"source": json.loads(path.read_bytes()), "lines": LINES, "author": PEOPLE, LINES[0]: 1}
    result = clean(json.dumps(document, indent=1).encode(), path.name)
    assert set(json.loads(result)) >= {"source", "lines", "author"}
    result = clean(yaml.safe_dump(document).encode(), "a.yaml")
    assert set(yaml.safe_load(result)) >= {"source", "lines", "author"}


def test_unquoted_yaml_still_parses():
    content = (
        f"author: Karin Lindqvist\nmail: karin.l@firma.se\nhost: 54.12.33.177\nnote: |\n  {LINES[0]}\n  {LINES[1]}\n"
    )
    parsed = yaml.safe_load(clean(content.encode(), "a.yml"))
    assert parsed["mail"].endswith("@redacted.invalid")
    assert parsed["author"].startswith("REDACTED_NAME_")
    assert list(parsed) == ["author", "mail", "host", "note"]


def test_toml_still_parses():
    content = '[project]\nauthors = [\n  {name = "Karin Lindqvist", email = "karin.l@firma.se"},\n]\n'
    (author,) = tomllib.loads(clean(content.encode(), "pyproject.toml").decode())["project"]["authors"]
    assert author["name"].removeprefix("REDACTED_NAME_") + "@redacted.invalid" == author["email"].removeprefix("user")


def test_markup_still_parses():
    content = f"<p a='{LINES[2]}'><author>Karin Lindqvist</author><b>{LINES[1]}</b><!-- {LINES[0]} --></p>"
    assert ET.fromstring(clean(content.encode(), "a.xml")).find("b").text.startswith("Host is ")


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_shell_still_parses():
    content = "".join(f"# {line}\n" for line in LINES)
    content += "MAIL=bob.b@firma.se\nHOST=54.12.33.177\ncd /home/karinl/x\necho 'call +46 70 123 45 67' \"$MAIL\"\n"
    result = clean(content.encode(), "a.sh")
    subprocess.run(["bash", "-n"], input=result, check=True)


def test_a_notebook_still_parses():
    cell = {"cell_type": "code", "source": [f"# {LINES[0]}\n", f'print("{LINES[1]}")\n'], "outputs": [{"text": LINES}]}
    content = json.dumps({"cells": [cell], "metadata": {"authors": [{"name": "Karin Lindqvist"}]}}).encode()
    parsed = json.loads(clean(content, "a.ipynb"))
    assert parsed["cells"][0]["source"][0].startswith("# Author: REDACTED_NAME_")
    compile("".join(parsed["cells"][0]["source"]), "cell", "exec")


def test_jsx_gets_no_angle_brackets():
    content = b"// mail bob.b@firma.se\nexport const A = () => <p>bob.b@firma.se</p>;\n"
    assert b"<EMAIL>" not in clean(content, "a.js")
    assert clean(b"// mail bob.b@firma.se\nconst a = 1;\n", "a.js") == b"// mail <EMAIL>\nconst a = 1;\n"


def test_every_other_byte_stays():
    content = b"\xff\r\n\t# caf\xe9 bob.b@firma.se \r\n\x0c\x1b[0m  karin.l@firma.se\n\r"
    result, count = run(content, "a.txt")
    pieces = [b"\xff\r\n\t# caf\xe9 ", b" \r\n\x0c\x1b[0m  ", b"\n\r"]
    assert count == 2
    assert [piece in result for piece in pieces] == [True] * 3
    assert result.startswith(pieces[0])
    assert result.endswith(pieces[2])


def test_blanks_at_the_ends_of_a_span_stay():
    content = b"key: |\n  abcd\n  efgh\nnext: 1\n"
    found = [Span(7, 21, "KEY", "private_key", 1.0)]
    result, _ = redact(content, found, path="a.yaml", repo_id="r", key=b"k")
    assert yaml.safe_load(result) == {"key": "REDACTED_KEY\n", "next": 1}


def test_pseudonyms_hold_within_a_repository_and_not_beyond():
    content, path = b"a: karin.l@firma.se\nb: bob.b@firma.se\n", "a.yaml"
    first = run(content, path)[0]
    again = yaml.safe_load(run(b"z: Karin.L@firma.se\n", "b.yaml")[0])["z"]
    assert yaml.safe_load(first)["a"] == again
    assert yaml.safe_load(first)["a"] != yaml.safe_load(first)["b"]
    assert len({run(content, path, repo_id=str(number))[0] for number in range(9)}) == 9
    assert run(content, path, key=b"other")[0] != first


def test_copyright_policies():
    content = b"# Copyright (c) 2019 by Karin Lindqvist\n# Thanks to Karin Lindqvist and to Bob Berg\n"
    gone = b"# Copyright (c) 2019 by <NAME>\n# Thanks to <NAME> and to <NAME>\n"
    kept = gone.replace(b"<NAME>", b"Karin Lindqvist", 1)
    results = {policy: run(content, "a.py", RedactionConfig(copyright_names=policy))[0] for policy in spans.POLICIES}
    assert results == {"keep": kept, "redact": gone, "sidecar": gone}


def test_other_policies():
    content = b'x = "karin.l@firma.se"  # call +46 70 123 45 67\n'
    assert run(content, "a.py", RedactionConfig(placeholders="indexed"))[0].startswith(b'x = "<EMAIL_')
    assert b"@redacted.invalid" in run(content, "a.py", RedactionConfig(placeholders="words"))[0]
    assert run(content, "a.py", RedactionConfig(keep_entities=("EMAIL",)))[0].startswith(content[:24])
    assert run(content, "a.py", RedactionConfig(min_score=1))[0].endswith(b"45 67\n")
    for wrong in ({"placeholders": "x"}, {"copyright_names": "x"}, {"min_score": 2}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RedactionConfig(**wrong)


def test_twice_is_once_on_real_files():
    for path in sources(".py", 25) + sources(".txt", 15) + sources(".md", 15):
        once = run(path.read_bytes(), path.name)[0]
        assert run(once, path.name)[0] == once, path.name


def test_pseudonyms_are_the_same_in_another_process():
    program = (
        "from stackcurate.kernels.placeholders import pseudonym\n"
        "print(pseudonym('NAME', 'Karin  LINDQVIST', 'acme/tool', b'key'))"
    )
    numbers = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert numbers == {f"{pseudonym('NAME', 'karin lindqvist', 'acme/tool', b'key')}\n".encode()}


def test_pseudonyms_of_one_repository_tell_nothing_about_another():
    people = [f"Karin {letter}. Lindqvist" for letter in "ABCDEFGHIJKLMNOPQRST"]
    numbers = {repo: [pseudonym("NAME", name, repo, b"key") for name in people] for repo in ("a/x", "a/y", "b/x")}
    assert len({tuple(sorted(range(20), key=own.__getitem__)) for own in numbers.values()}) == 3
    assert not set(numbers["a/x"]) & set(numbers["a/y"])
