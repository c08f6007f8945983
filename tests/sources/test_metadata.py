"""What manifests declare, and that hostile ones declare nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackcurate.sources.metadata import (
    Declared,
    account,
    declared,
    file_id,
    is_manifest,
    npm_name,
    pypi_name,
)

PKG_INFO = """Metadata-Version: 2.1
Name: Some_Thing
Version: 1.2.3
Author: Ada Example, Ben Example
Author-email: Ada <ada@example.org>
License: {license}
Classifier: License :: OSI Approved :: MIT License
Classifier: Programming Language :: Python
Project-URL: Funding, https://github.com/sponsors/ada
Project-URL: Documentation, https://thing.readthedocs.io
{url}

Description with Name: Other and License: GPL
"""


def one(name: str, content: str | bytes) -> Declared:
    return declared({name: content.encode() if isinstance(content, str) else content}, (name,))


def test_core_metadata_reads_headers_only() -> None:
    url = "Project-URL: Source, https://github.com/Acme/thing/tree/main"
    assert one("PKG-INFO", PKG_INFO.format(license="MIT", url=url)) == Declared(
        name="Some_Thing", version="1.2.3", license="MIT", owner="Acme"
    )
    assert one("PKG-INFO", PKG_INFO.format(license="UNKNOWN", url="X: y")).license == "MIT License"
    assert one("PKG-INFO", PKG_INFO.format(license="long " * 99, url="X: y")).license == "MIT License"
    assert one("PKG-INFO", PKG_INFO.format(license="MIT", url="License-Expression: MIT OR BSD-3-Clause")).license == (
        "MIT OR BSD-3-Clause"
    )
    assert one("PKG-INFO", PKG_INFO.format(license="MIT", url="X: y")).owner is None  # persons are not published
    assert one("METADATA", "Name: x\nAuthor-email: a@example.org\n").owner is None


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (
            {"name": "@babel/core", "version": "7.1.0", "license": "MIT",
             "repository": {"url": "git+https://github.com/b/c.git"}},
            ("@babel/core", "7.1.0", "MIT", "b"),
        ),
        ({"name": "@babel/core", "author": "Ada <a@example.org>"}, ("@babel/core", None, None, "babel")),
        ({"name": "x", "repository": "who/x", "license": {"type": "ISC"}}, ("x", None, "ISC", "who")),
        (
            {"name": "x", "author": {"name": "Ada"}, "licenses": [{"type": "MIT"}, {"type": "GPL"}]},
            ("x", None, "MIT OR GPL", None),
        ),
        ({"name": 5, "version": [1], "license": {"type": {}}, "repository": [[]], "author": [3]}, (None,) * 4),
    ],
)  # fmt: skip
def test_package_json(manifest: object, expected: tuple[str | None, ...]) -> None:
    found = one("package.json", json.dumps(manifest))
    assert (found.name, found.version, found.license, found.owner) == expected


def test_toml_manifests() -> None:
    project = '[project]\nname = "a"\nversion = "1"\nlicense = {text = "MIT"}\nauthors = [{name = "Ada"}]\n'
    assert one("pyproject.toml", project) == Declared(name="a", version="1", license="MIT")
    urls = project + '[project.urls]\nrepository = "https://gitlab.com/group/sub/a"\n'
    assert one("pyproject.toml", urls).owner == "group"
    poetry = '[tool.poetry]\nname = "p"\nlicense = "BSD"\nauthors = ["Ada <a@example.org>"]\n'
    assert one("pyproject.toml", poetry) == Declared(name="p", license="BSD")
    assert one("Cargo.toml", "[package]\nname = 'c'\nversion.workspace = true\n") == Declared(name="c")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b"{" * 100_000, b"[[a]]\na.b=1", b'"x"', b"a = " + b"[" * 50_000]
)
@pytest.mark.parametrize("name", ["PKG-INFO", "METADATA", "package.json", "pyproject.toml", "Cargo.toml"])
def test_what_does_not_parse_declares_nothing(name: str, content: bytes) -> None:
    assert one(name, content) == Declared()


@given(st.binary(max_size=200), st.sampled_from(["PKG-INFO", "package.json", "pyproject.toml"]))
def test_any_bytes_are_survived(content: bytes, name: str) -> None:
    for value in vars_of(one(name, content)):
        assert value is None or (len(value) <= 200 and value.isprintable())


def vars_of(found: Declared) -> tuple[str | None, ...]:
    return (found.name, found.version, found.license, found.owner)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/Owner/name", ("Owner", "name")),
        ("git@github.com:owner/name.git", ("owner", "name")),
        ("ssh://git@gitlab.com:22/group/sub/name.git", ("group", "name")),
        ("github:owner/name", ("owner", "name")),
        ("https://github.com/owner", ("owner", None)),
        ("https://www.github.com/owner/name#readme", ("owner", "name")),
        ("https://github.com/sponsors/owner", None),
        ("https://github.com.evil.org/owner/name", None),
        ("https://example.org/github.com/owner", None),
        ("javascript:alert(1)", None),
        ("", None),
        ("a" * 100_000, None),
    ],
)
def test_account(url: str, expected: tuple[str, str | None] | None) -> None:
    assert account(url) == expected


def test_credentials_in_an_address_go_nowhere() -> None:
    word = "pass" + "word"
    assert account(f"https://me:{word}@git.example.org/owner/name.git", forges=None) == ("owner", "name")
    assert account(f"https://me:{word}@github.com/owner/name.git") == ("owner", "name")


def test_names() -> None:
    assert pypi_name("Foo.Bar__baz") == "foo-bar-baz"
    assert npm_name("@Scope/Name") == "@scope/name"
    assert [pypi_name(bad) for bad in ("../x", "a b", "", None, "x" * 300)] == [None] * 5
    assert [npm_name(bad) for bad in ("../x", "@a/../b", "a/b", "", None, "x" * 300)] == [None] * 6


def test_manifests_count_near_the_root() -> None:
    yes = ("PKG-INFO", "six-1.0/PKG-INFO", "package/package.json", "six-1.0.dist-info/METADATA", "Cargo.toml")
    assert all(map(is_manifest, yes))
    assert not any(map(is_manifest, ("a/b/package.json", "METADATA", "x/METADATA", "setup.py", "my-package.json")))


def test_file_ids_differ_by_each_part() -> None:
    assert len({file_id("a", "b", "c"), file_id("x", "b", "c"), file_id("a", "x", "c"), file_id("a", "b", "x")}) == 4
