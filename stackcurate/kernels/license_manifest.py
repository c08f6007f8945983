"""The licence that a package manifest declares, by ScanCode's parsers.

Only parsers that read text are used, one per name; nothing is executed (`setup.py` is read as a syntax tree) and
a manifest that a parser cannot read declares nothing.
"""

from __future__ import annotations

import email.parser
import importlib
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import yaml

PARSERS: dict[str, tuple[str, ...]] = {
    "package.json": ("npm:NpmPackageJsonHandler",),
    "bower.json": ("bower:BowerJsonHandler",),
    "composer.json": ("phpcomposer:PhpComposerJsonHandler",),
    "pyproject.toml": ("pypi:PyprojectTomlHandler", "pypi:PoetryPyprojectTomlHandler"),
    "setup.cfg": ("pypi:SetupCfgHandler",),
    "setup.py": ("pypi:PythonSetupPyHandler",),
    "PKG-INFO": ("pypi:PythonSdistPkgInfoFile",),
    "METADATA": ("pypi:PythonInstalledWheelMetadataFile",),
    "Cargo.toml": ("cargo:CargoTomlHandler",),
    "pom.xml": ("maven:MavenPomXmlHandler",),
    "DESCRIPTION": ("cran:CranDescriptionFileHandler",),
    "pubspec.yaml": ("pubspec:DartPubspecYamlHandler",),
    ".gemspec": ("rubygems:GemspecHandler",),
    ".nuspec": ("nuget:NugetNuspecHandler",),
    ".podspec": ("cocoapods:PodspecHandler",),
    ".opam": ("opam:OpamFileHandler",),
}
"""Parsers in `packagedcode`, by name or by extension."""

SUFFIXES = frozenset(name for name in PARSERS if name.startswith(".")) | {".cabal", ".rockspec"}
"""Extensions that make a manifest whatever the rest of its name is."""

_WITH_HEADERS = frozenset(("METADATA", "PKG-INFO", "DESCRIPTION"))
"""Manifests of headers: `packagedcode` 32.5 reads no `License-Expression`, and nothing where other headers lack."""

_LONGEST_NAME = 400
"""Characters above which a licence header holds a text, no name."""

_NOT_SPDX = re.compile(r"LicenseRef-scancode-(unknown|proprietary-license|other)")


def declared(location: str) -> str | None:
    """Return the licence that a manifest declares.

    Args:
        location: the file, under the name of a manifest.

    Returns:
        An SPDX expression where the parser gives one; the statement as it is written where the parser knows it as
        no licence, such as `UNLICENSED` or `SEE LICENSE IN EULA`; None where nothing is declared or read.
    """
    path = Path(location)
    headers = _headers(path)
    return headers.get("License-Expression") or next(_statements(path), None) or _in_headers(headers)


def _headers(path: Path) -> Message:
    text = path.read_text("utf-8", "replace") if path.name in _WITH_HEADERS else ""
    return email.parser.HeaderParser().parsestr(text)


def _in_headers(headers: Message) -> str | None:
    """Return the licence header; where it holds a whole text, the classifiers say what to call it."""
    stated = headers.get("License")
    named = [one for one in headers.get_all("Classifier", []) if one.startswith("License ::")]
    return "\n".join(named) if named and len(stated or "") > _LONGEST_NAME else stated


def _statements(path: Path) -> Iterator[str]:
    for parser in PARSERS.get(path.name) or PARSERS.get(path.suffix, ()):
        for package in _parsed(parser, path):
            expression, statement = package.declared_license_expression_spdx, package.extracted_license_statement
            if expression and not _NOT_SPDX.search(expression):
                yield expression
            elif statement:
                yield _as_written(statement)


def _parsed(parser: str, path: Path) -> list[Any]:
    module, _, name = parser.partition(":")
    handler = getattr(importlib.import_module(f"packagedcode.{module}"), name)
    try:
        return list(handler.parse(str(path)))
    except (Exception, RecursionError):  # noqa: BLE001 the parsers raise whatever a broken manifest makes them
        return []


def _as_written(statement: str) -> str:
    """Undo the YAML in which `packagedcode` wraps the values of a manifest."""
    try:
        value = yaml.safe_load(statement)
    except yaml.YAMLError:
        return statement.strip()
    if isinstance(value, dict) and set(value) == {"license"}:
        value = value["license"]
    items = value if isinstance(value, list) else [value]
    return "; ".join(items) if all(isinstance(item, str) for item in items) else statement.strip()
