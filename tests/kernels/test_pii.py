"""Personal data in whole files: the graded cases, encodings, the laws of a kernel."""

import codecs

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels import pii, spans
from stackcurate.kernels.pii import PiiConfig

KEY = b"a key of this test"

CASES = [
    # number, path, source, redacted, kept
    (1, "a.py", "# contact: karin.lindqvist@gmail.com", ["karin", "gmail"], ["# contact: "]),
    (2, "a.py", "# user@example.com, foo@example.org", [], ["user@example.com", "foo@example.org"]),
    (3, "a.md", "Mail karin.lindqvist at gmail dot com!", ["karin", "gmail"], ["Mail ", "!"]),
    (4, "a.txt", "<karin (at) lindqvist (dot) se>", ["karin", "lindqvist"], ["<", ">"]),
    (5, "a.sh", "git clone git@github.com:acme/tool.git", [], ["git@github.com:acme/tool.git"]),
    (6, "a.cfg", "url = ssh://deploy@10.1.2.3/srv", [], ["ssh://deploy@10.1.2.3/srv"]),
    (7, "a.py", "@app.route('/x')\n@pytest.fixture\ndef f(): ...", [], ["@app.route", "@pytest.fixture"]),
    (8, "a.css", "@media (max-width: 9px) { a { background: url(btn@2x.png) } }", [], ["@media (max", "btn@2x.png"]),
    (9, "a.md", "Thanks to @karinlindqvist", ["karinlindqvist"], ["Thanks to @"]),
    (10, "a.json", '{"@babel/core": "^7.0.0"}', [], ['"@babel/core": "^7.0.0"']),
    (
        11,
        "package.json",
        '{"author": "Karin Lindqvist <karin@lindqvist.se> (https://k.se)"}',
        ["Karin", "lindqvist.se"],
        ['{"author": "', "(https://k.se)"],
    ),
    (12, "a.py", 'HOST = "54.12.33.177"', ["54.12.33.177"], ['HOST = "']),
    (13, "a.py", 'DNS = ["8.8.8.8", "1.1.1.1"]', [], ["8.8.8.8", "1.1.1.1"]),
    (14, "a.py", 'X = "127.0.0.1 0.0.0.0 192.168.1.20"', [], ["127.0.0.1 0.0.0.0 192.168.1.20"]),
    (15, "a.py", 'HOST = "192.0.2.7"', [], ["192.0.2.7"]),
    (16, "a.py", '__version__ = "1.2.3.4"', [], ["1.2.3.4"]),
    (17, "a.cs", '[assembly: AssemblyVersion("10.0.19041.1")]', [], ["10.0.19041.1"]),
    (18, "a.js", 'ua = "Mozilla/5.0 chrome/114.0.5735.198 Safari/90.0.44.212"', [], ["114.0.5735.198", "90.0.44.212"]),
    (19, "a.c", "/* OID 1.3.6.1, see section 4.1.2.1 */", [], ["1.3.6.1", "4.1.2.1"]),
    (20, "a.py", 'ADDR = "2a01:4f8:c17:b0f::2"', ["c17"], ['ADDR = "']),
    (21, "a.cc", "std::vector<int> v = a::b::c; // x[1::2]", [], ["std::vector", "a::b::c", "x[1::2]"]),
    (22, "a.py", 'MAC = "00:1B:44:11:3A:B7"  # at 12:34:56', ["00:1B:44:11:3A:B7"], ["12:34:56"]),
    (50, "a.py", "# Copyright (c) 2019 Karin Lindqvist", ["Karin", "Lindqvist"], ["# Copyright (c) 2019 "]),
    (51, "a.py", "# Author: José Müller-Östlund", ["José", "Östlund"], ["# Author: "]),
    (52, "a.py", "# Author: 山田太郎", ["山田太郎"], ["# Author: "]),
    (53, "a.py", "# Bayes, Gauss-Seidel and Newton-Raphson", [], ["Bayes, Gauss-Seidel and Newton-Raphson"]),
    (54, "a.py", "class Jordan(Matrix): pass", [], ["class Jordan(Matrix)"]),
    (55, "a.py", "# call +46 70 123 45 67", ["70 123"], ["# call +"]),
    (56, "a.py", "x = [1234567890, 0.234567, 4111111111111111]", [], ["1234567890, 0.234567, 4111111111111111"]),
    (57, "a.sh", "cd /home/karinl/project", ["karinl"], ["cd /home/", "/project"]),
    (
        58,
        "a.ipynb",
        '{"cells": [{"outputs": ["by karin@firma.se\\n"], "source": ["print(\\"a\\")\\nkarin@firma.se"]}]}',
        ["karin", "firma"],
        ['["by ', '\\n"], "source": ["print(\\"a\\")\\n'],
    ),
    (60, "a.py", "# karin@gm\u0430il.com, k\u0430rin@\u0444ирма.рф", ["karin", "k\u0430rin"], ["# "]),
    (62, "a.txt", "Signed-off-by: Karin Lindqvist <k@lindqvist.se>", ["Karin", "k@"], ["Signed-off-by: "]),
    (63, "a.svg", '<path d="M10.1.2.3 4.5.6.7-8.1.2.5"/>', [], ["M10.1.2.3 4.5.6.7-8.1.2.5"]),
]


def redacted(content, path):
    return spans.redact(content, pii.find_spans(content), path=path, repo_id="r", key=KEY)[0]


@pytest.mark.parametrize(("number", "path", "source", "gone", "kept"), CASES, ids=[f"case{case[0]}" for case in CASES])
def test_graded_case(number, path, source, gone, kept):
    result = redacted(source.encode(), path).decode()
    assert not [value for value in gone if value in result], result
    assert not [value for value in kept if value not in result], result
    assert result == source or gone
    assert redacted(result.encode(), path).decode() == result


def test_case_11_name_and_address_share_their_number():
    source = b'{"author": "Karin Lindqvist <karin@lindqvist.se>", "bugs": "karin@lindqvist.se"}'
    result = redacted(source, "package.json").decode()
    number = result.split("REDACTED_NAME_")[1].split()[0]
    assert result.count(f"user{number}@redacted.invalid") == 2


def test_case_65_a_bad_byte_elsewhere():
    content = b"# caf\xe9\n# mail karin@firma.se\n# Author: Jos\xe9 M\xfcller\n# Author: " + "José Berg\n".encode()
    result = redacted(content, "a.py")
    assert result.startswith(b"# caf\xe9\n# mail <EMAIL>\n# Author: <NAME>\n")
    assert b"Berg" not in result


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_case_66_wide_encodings_keep_encoding_and_line_ends(encoding):
    mark = {
        "utf-16-le": codecs.BOM_UTF16_LE,
        "utf-16-be": codecs.BOM_UTF16_BE,
        "utf-32-le": codecs.BOM_UTF32_LE,
        "utf-32-be": codecs.BOM_UTF32_BE,
    }[encoding]
    text = "// \N{GRINNING FACE} hello\r\n// mail karin@firma.se now\r\n"
    content = mark + text.encode(encoding)
    (span,) = pii.find_spans(content)
    assert content[span.start : span.end].decode(encoding) == "karin@firma.se"
    result = redacted(content, "a.cs")
    assert result.startswith(mark)
    before, _, after = result[len(mark) :].decode(encoding).partition("user")
    assert before == "// \N{GRINNING FACE} hello\r\n// mail "
    assert after.endswith("@redacted.invalid now\r\n")


def test_case_66_carriage_returns_and_a_mark_stay():
    content = codecs.BOM_UTF8 + b"# a\r\n# Author: Karin Lindqvist\r\n\r\n"
    assert redacted(content, "a.py") == codecs.BOM_UTF8 + b"# a\r\n# Author: <NAME>\r\n\r\n"


def test_case_67_at_the_first_byte_and_at_the_last():
    assert redacted(b"karin@firma.se", "AUTHORS") == b"<EMAIL>"
    assert redacted(b"#!/home/karinl/bin/python\n", "a.py").startswith(b"#!/home/user")


def test_spans_are_bytes_in_order_and_inside_the_file():
    content = "# é Author: José Müller <jose@firma.se>, 山田太郎 <taro@firma.jp>\nx = 'karin@firma.se'\n".encode()
    found = pii.find_spans(content)
    assert found == sorted(found)
    values = {content[span.start : span.end].decode() for span in found}
    assert values == {"José Müller", "jose@firma.se", "山田太郎", "taro@firma.jp", "karin@firma.se"}


def test_a_name_is_found_again_where_no_anchor_stands():
    content = b"# Author: Karin Lindqvist\n\n# see the notes of Karin Lindqvist, not Karin Lindqvistson\n"
    assert redacted(content, "a.py") == b"# Author: <NAME>\n\n# see the notes of <NAME>, not Karin Lindqvistson\n"


@pytest.mark.parametrize("fill", ["x = 1; ", "日本語 "])
def test_long_lines_are_read_in_pieces(fill):
    filler = fill * 700
    content = f"{filler}'karin@firma.se'{filler}'bob@firma.se'{filler}".encode()
    values = [content[span.start : span.end] for span in pii.find_spans(content)]
    assert values == [b"karin@firma.se", b"bob@firma.se"]


@pytest.mark.parametrize("gap", range(3_500, 4_200, 7))
def test_nothing_is_lost_between_two_pieces(gap):
    content = b"y" * gap + b" karin@firma.se " + b"y" * 4_500
    assert [(span.start, span.end) for span in pii.find_spans(content)] == [(gap + 1, gap + 15)]


def test_the_batch_has_the_schema_and_rows_stand_alone():
    rows = [b"# karin@firma.se", None, b"\0binary karin@firma.se", b"", b"x = 1", b"# Author: Karin Lindqvist" * 9]
    whole = pii.find(pa.array(rows, pa.binary()))
    assert whole.schema == schema.PII.adds
    assert whole.column("spans").to_pylist()[1] is None
    assert whole.column("spans").to_pylist()[2:5] == [[], [], []]
    assert whole.column("error").null_count == len(rows)
    parts = [pii.find(pa.array(rows, pa.binary()).slice(at, 2)) for at in range(0, len(rows), 2)]
    assert pa.Table.from_batches(parts).to_pylist() == pa.Table.from_batches([whole]).to_pylist()
    assert pii.find(pa.array([], pa.large_binary())).num_rows == 0


def test_config_limits_what_is_reported():
    content = [b"# Author: Karin Lindqvist <karin@firma.se>"]
    only = pii.find(content, PiiConfig(entities=("EMAIL",)))
    assert {span["entity"] for span in only.column("spans").to_pylist()[0]} == {"EMAIL"}
    assert pii.find(content, PiiConfig(max_bytes=5)).to_pylist() == [{"spans": None, "error": "too_large"}]
    failed = pii.find([b"issue reported by Xiuying Zhangqiong"], PiiConfig(model="no_such_model")).to_pylist()
    assert failed == [{"spans": None, "error": "detector_failed"}]
    with pytest.raises(ValueError, match="entities"):
        PiiConfig(entities=("PET",))
    with pytest.raises(ValueError, match="min_score"):
        PiiConfig(min_score=2)
