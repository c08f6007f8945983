"""Files that map paths to licences: REUSE.toml, .reuse/dep5 and machine-readable debian/copyright.

Source: REUSE Specification 3.3, https://reuse.software/spec-3.3/; Debian's copyright format 1.0 (DEP-5).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from stackcurate.kernels.license_expressions import combine, normalise

_STANZA = re.compile(r"\n\s*\n")
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_MOST = 10_000


def license_globs(path: str, content: str) -> list[tuple[str, str | None]] | None:
    r"""Read which licences a mapping file gives to which paths.

    Args:
        path: of the mapping file; it tells the format and the folder that globs start from.
        content: its text.

    Returns:
        Pairs of a glob (`*` crosses folders in DEP-5, `**` does in REUSE.toml; always returned in the latter's
        spelling, relative to the repository) and an SPDX expression, null where that is not understood; the last
        pair that matches a path counts. None where the file is not of the format.

    >>> license_globs("REUSE.toml", 'version = 1\n[[annotations]]\npath = "doc/**"\nSPDX-License-Identifier = "MIT"')
    [('doc/**', 'MIT')]
    """
    if path.endswith("REUSE.toml"):
        folder = path[: -len("REUSE.toml")]
        read = _read_reuse(content)
    else:
        folder = path[: -len("debian/copyright")] if path.endswith("debian/copyright") else path[: -len(".reuse/dep5")]
        read = _read_dep5(content)
    return None if read is None else [(_escape(folder) + glob, license_) for glob, license_ in read][:_MOST]


def glob_matches(glob: str, path: str) -> bool:
    r"""Tell whether a REUSE glob matches a path, in time linear in both.

    >>> [glob_matches(g, "a/b.c") for g in ("**", "a/*.c", "*", "a/b.c", r"a/\*.c")]
    [True, True, False, True, False]
    """
    literal = re.split(r"[*\\?]", glob, maxsplit=1)[0]
    if not path.startswith(literal):
        return False
    symbols = re.findall(r"\*\*|\*|\?|\\.|.", glob[len(literal) :], re.DOTALL)
    rest = path[len(literal) :]
    states = _closure({0}, symbols)
    for char in rest:
        states = _closure(set(_step(states, symbols, char)), symbols)
        if not states:
            return False
    return len(symbols) in states


def _step(states: set[int], symbols: list[str], char: str) -> Iterator[int]:
    for state in states:
        symbol = symbols[state] if state < len(symbols) else None
        if symbol == "**" or (symbol == "*" and char != "/"):
            yield state
        elif symbol is not None and symbol != "*" and (symbol == "?" or symbol[-1] == char):
            yield state + 1


def _closure(states: set[int], symbols: list[str]) -> set[int]:
    """Add the states that are reached when stars match nothing."""
    reached = set(states)
    for state in states:
        following = state
        while following < len(symbols) and symbols[following] in ("*", "**"):
            following += 1
            reached.add(following)
    return reached


def _escape(folder: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", folder)


def _read_reuse(content: str) -> list[tuple[str, str | None]] | None:
    try:
        annotations = tomllib.loads(content).get("annotations")
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    if not isinstance(annotations, list):
        return None
    found = []
    for annotation in annotations:
        given = annotation.get("SPDX-License-Identifier") if isinstance(annotation, dict) else None
        if given is not None:
            licenses = [normalise(one) for one in _strings(given)]
            joined = None if None in licenses else combine(filter(None, licenses))
            found += [(glob.replace("?", r"\?"), joined) for glob in _strings(annotation.get("path"))]
    return found


def _strings(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _read_dep5(content: str) -> list[tuple[str, str | None]] | None:
    stanzas = [dict(_fields(stanza)) for stanza in _STANZA.split(content.replace("\r\n", "\n"))]
    if not stanzas or "format" not in stanzas[0]:
        return None
    found = []
    for stanza in stanzas:
        if "files" in stanza:
            first_line = stanza.get("license", "").split("\n", 1)[0]
            license_ = normalise(_dep5_name(first_line))
            found += [(re.sub(r"\*+", "**", glob), license_) for glob in stanza["files"].split()]
    return found


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for match in _FIELD.finditer(stanza):
        yield match[1].lower(), match[2]


def _dep5_name(text: str) -> str:
    """Turn DEP-5's short names into SPDX's: `Expat` is MIT, a comma only sets off `and`."""
    return re.sub(r"\s*,\s*(?=(and|or)\b)", " ", text.strip())
