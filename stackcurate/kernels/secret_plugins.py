r"""The plugins of detect-secrets behind the one-pass gate: their expressions, and their exact findings.

`detect_secrets_findings` gives what `detect_secrets.SecretsCollection.scan_file` gives with its default settings,
about a hundred times as fast: a row of ``data/secrets/detect_secrets_gate.tsv`` states what a line must hold for a
plugin to find anything there, and plugins and filters of the library itself run on such lines only.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from stackcurate.kernels.byte_patterns import Pattern, candidates, holds_any

_OWN_RULES = frozenset(
    {
        "Base64HighEntropyString",
        "BasicAuthDetector",
        "GitHubTokenDetector",
        "GitLabTokenDetector",
        "HexHighEntropyString",
        "IPPublicDetector",
        "JwtTokenDetector",
        "KeywordDetector",
        "NpmDetector",
        "PrivateKeyDetector",
    }
)
"""Plugins whose spans are short or whose findings are noise: `secrets` has rules of its own for these."""
_NO_CONTINUATION = re.compile(rb"^(?=[!-~])[^#;\[:=][^=:\n]*$", re.MULTILINE)
"""A line at the margin without a delimiter: with one of these no INI parser reads the file."""
_MARGIN = re.compile(r"^\s*(?:[#;].*)?$")

Finding = tuple[str, int, str]
"""Type of secret, line counted from 1, SHA-1 of the secret: the key of a finding in a baseline."""


class _Gate(NamedTuple):
    pattern: Pattern
    plugins: frozenset[str]
    views: str


class _NamedText(io.StringIO):
    name = ""


@cache
def _rows() -> tuple[_Gate, ...]:
    text = files("stackcurate").joinpath("data", "secrets", "detect_secrets_gate.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")][1:]
    return tuple(
        _Gate(Pattern(name, expression, caseless == "1"), frozenset(plugins.split(",")), views)
        for name, plugins, views, caseless, expression in lines
    )


@cache
def _patterns(view: str) -> tuple[Pattern, ...]:
    return tuple(row.pattern for row in _rows() if view in row.views)


@cache
def _plugins_of(name: str) -> frozenset[str]:
    return next(row.plugins for row in _rows() if row.pattern.name == name)


@cache
def _plugins() -> dict[str, Any]:
    """Return the plugins of detect-secrets by class name, in their defaults."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    return {plugin.__name__: plugin() for plugin in get_mapping_from_secret_type_to_class().values()}


@cache
def gate() -> tuple[Pattern, ...]:
    """Return the conditions of the plugins that `find` runs."""
    return tuple(
        row.pattern._replace(name=f"detect_secrets.{row.pattern.name}")
        for row in _rows()
        if row.plugins - _OWN_RULES - {"", "*"} and "q" in row.views
    )


def find(name: str, content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the expressions of a gate's plugins find a secret on a line.

    Args:
        name: of a pattern of `gate`.
        content: bytes of the file.
        start: first byte of the line.
        end: byte after the line.
    """
    line = content[start:end].decode("latin-1")  # one character per byte, so that offsets stay
    name = name.removeprefix("detect_secrets.")
    if name == "assigned" and " " * 100 in line:
        return  # the expressions are cubic in spaces; assignments by name are found without them
    for plugin in sorted(_plugins_of(name) - _OWN_RULES):
        for expression in _plugins()[plugin].denylist:
            for match in expression.finditer(line):
                first, last = match.span(1 if expression.groups else 0)
                value = line[first:last]
                first += len(value) - len(value.lstrip(' \t"=:'))
                last -= len(value) - len(value.rstrip(' \t"'))
                if not line[last : last + 1].isalnum() and not _runs_on(line, first):
                    yield start + first, start + last


def _runs_on(line: str, first: int) -> bool:
    return line[first - 1 : first].isalnum() and line[max(first - 2, 0) : first] not in {"\\n", "\\r", "\\t"}


def detect_secrets_findings(path: str, content: bytes) -> set[Finding]:
    r"""Return what detect-secrets finds in a file with its default settings.

    Args:
        path: the file's name; its ending decides how it is read, some endings are not read at all.
        content: bytes of the file; what is not UTF-8 has no findings.

    Returns:
        Triples of type, first line (from 1) and SHA-1 of the secret, one per type and secret.

    >>> sorted(kind for kind, line, digest in detect_secrets_findings("a.py", b"password = 'hunter2'\n"))
    ['Secret Keyword']
    """
    from detect_secrets.filters import heuristic

    if heuristic.is_non_text_file(path) or heuristic.is_lock_file(path) or heuristic.is_swagger_file(path):
        return set()
    try:
        text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("utf-8")
    except UnicodeDecodeError:
        return set()
    first: dict[tuple[str, str], int] = {}
    for lines, data in _views(path, text):
        for kind, number, digest in _line_findings(path, lines, data):
            first.setdefault((kind, digest), number)
        if first:
            break
    return {(kind, number, digest) for (kind, digest), number in first.items()}


def _views(path: str, text: str) -> Iterator[tuple[list[str], bytes]]:
    """Yield the lines as detect-secrets reads them, first as they are or parsed, then parsed as INI."""
    from detect_secrets.util.filetype import FileType, determine_file_type

    kind = determine_file_type(path)
    raw = text.encode()
    is_yaml = kind == FileType.YAML
    parsed = _parsed(path, text, raw, eager=False) if is_yaml or _begins_section(text) else None
    yield (parsed, _joined(parsed)) if parsed else (io.StringIO(text).readlines(), raw)
    if kind == FileType.OTHER and not _NO_CONTINUATION.search(raw):
        eager = _parsed(path, text, raw, eager=True)
        if eager:
            yield eager, _joined(eager)


def _parsed(path: str, text: str, raw: bytes, *, eager: bool) -> list[str] | None:
    """Return the lines that detect-secrets' parsers make of a file; None where they can hold no finding."""
    from detect_secrets.transformers import get_transformed_file

    # A parser may put a secret together from pieces: by escapes, folded lines, base64, or references.
    composed = any(mark in raw for mark in (b"\\", b"binary", b"PRIVATE", b"%("))
    if not composed and not holds_any(raw, _patterns("r")):
        return None
    file = _NamedText(text)
    file.name = path
    lines: list[str] | None = get_transformed_file(file, use_eager_transformers=eager)
    return lines


def _begins_section(text: str) -> bool:
    """Return whether the first line that counts opens a section; an INI parser refuses a file otherwise."""
    for line in io.StringIO(text):
        if not _MARGIN.match(line):
            return line.lstrip().startswith("[")
    return False


def _joined(lines: list[str]) -> bytes:
    return "\n".join(line.replace("\n", "\r") for line in lines).encode("utf-8", "surrogatepass")


def _line_findings(path: str, lines: list[str], data: bytes) -> Iterator[Finding]:
    from detect_secrets.filters import allowlist
    from detect_secrets.util.code_snippet import get_code_snippet

    number, position = 1, 0
    for names, start in _by_line(candidates(data, _patterns(_view(path)))):
        number += data.count(b"\n", position, start)
        position = start
        line = lines[number - 1].rstrip()
        context = get_code_snippet(lines=lines, line_number=number)
        found = list(_secrets_on(path, line, number, context, names))
        # Filters on the line come last: they are dear, and findings are rare.
        if found and not allowlist.is_line_allowlisted(path, line, context) and not _indirect_reference().search(line):
            yield from ((secret.type, number, secret.secret_hash) for secret in found)


@cache
def _indirect_reference() -> re.Pattern[str]:
    """Return the expression of the filter of that name without its first part: it may be empty and takes long."""
    from detect_secrets.filters import heuristic

    whole: str = heuristic._get_indirect_reference_regex().pattern  # noqa: SLF001 - the filter has no other form
    return re.compile(whole.removeprefix(r"([^\v=!:]*)\s*"))


def _view(path: str) -> str:
    """Return the view whose keyword condition suits the plugin's expressions for a type of file."""
    from detect_secrets.plugins import keyword
    from detect_secrets.util.filetype import determine_file_type

    unquoted = (keyword.CONFIG_DENYLIST_REGEX_TO_GROUP, keyword.GOLANG_DENYLIST_REGEX_TO_GROUP)
    expressions = keyword.REGEX_BY_FILETYPE.get(determine_file_type(path))
    return "c" if any(expressions is group for group in unquoted) else "q"


def _by_line(found: list[tuple[str, int, int]]) -> Iterator[tuple[set[str], int]]:
    names: set[str] = set()
    for index, (name, start, _end) in enumerate(found):
        names.add(name)
        if index + 1 == len(found) or found[index + 1][1] != start:
            yield names, start
            names = set()


def _secrets_on(path: str, line: str, number: int, context: Any, names: set[str]) -> Iterator[Any]:
    from detect_secrets.filters import heuristic

    chosen = frozenset().union(*(_plugins_of(name) for name in names))
    for name, plugin in _plugins().items():
        if name not in chosen and "*" not in chosen:
            continue
        for secret in plugin.analyze_line(filename=path, line=line, line_number=number, context=context):
            value = secret.secret_value
            if not (
                heuristic.is_sequential_string(value)
                or heuristic.is_potential_uuid(value)
                or heuristic.is_likely_id_string(value, line, plugin)
                or heuristic.is_templated_secret(value)
                or heuristic.is_prefixed_with_dollar_sign(value)
                or heuristic.is_not_alphanumeric_string(value)
            ):
                yield secret
