"""What `.gitattributes` say of each file, as far as Linguist asks: its language and the four marks.

Git's matching: the last line that names an attribute wins, and files of folders nearer to the path come last. A
pattern without a slash matches names in all folders below; `attr` sets, `-attr` unsets, `!attr` makes unspecified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import islice
from typing import TypedDict

from stackcurate.kernels.content import decode

MOST_LINES = 1000
"""Lines that count in one repository: each is tried on each file."""
LONGEST_LINE = 2048
"""Characters of a line; git ignores longer ones. Source: gitattributes(5)."""
_PREFIX = "linguist-"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(.*)')
_ESCAPES = re.compile(r"\\([0-7]{3}|.)")
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
Setting = str | bool | None
"""Value of an attribute: a text, set, unset, or None for unspecified."""


class Overrides(TypedDict):
    """What `.gitattributes` say of one file; None where they say nothing."""

    language: str | None
    vendored: bool | None
    generated: bool | None
    documentation: bool | None
    detectable: bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one `.gitattributes`: where it holds, and what it says."""

    folder: tuple[str, ...]
    pattern: tuple[str, ...]
    settings: Mapping[str, Setting]

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Say whether the line is about a path, given by components."""
        below = parts[len(self.folder) :]
        return parts[: len(self.folder)] == self.folder and _matches(self.pattern, below)


def is_attribute_file(path: str) -> bool:
    """Say whether a path is that of a `.gitattributes`."""
    return path.rpartition("/")[2] == ".gitattributes"


def attribute_lines(contents: Mapping[str, bytes]) -> tuple[Line, ...]:
    """Read the attribute files of a repository.

    Args:
        contents: bytes by the path of each `.gitattributes`; binary ones count as empty.

    Returns:
        The lines that say something of Linguist, in the order in which they override each other; `MOST_LINES` of
        them at most.
    """
    macros: dict[str, dict[str, Setting]] = {}
    files = sorted(contents, key=lambda path: (path.count("/"), path))
    lines = (line for path in files for line in _lines(path, decode(contents[path])[0] or "", macros))
    return tuple(islice(lines, MOST_LINES))


def overrides(lines: Iterable[Line], path: str) -> Overrides:
    """Return what the attributes say of a path.

    Args:
        lines: as `attribute_lines` gives them.
        path: inside the repository.

    >>> lines = attribute_lines({".gitattributes": b"*.inc linguist-language=PHP -linguist-vendored"})
    >>> overrides(lines, "a/b.inc")["language"]
    'PHP'
    """
    parts = tuple(path.split("/"))
    said: dict[str, Setting] = {}
    for line in lines:
        if line.matches(parts):
            said.update(line.settings)
    language = said.get("language")
    return Overrides(
        language=language if isinstance(language, str) and language else None,
        vendored=_flag(said.get("vendored")),
        generated=_flag(said.get("generated")),
        documentation=_flag(said.get("documentation")),
        detectable=_flag(said.get("detectable")),
    )


def _flag(value: Setting) -> bool | None:
    """Return an attribute as Linguist reads it: whatever is set counts as true, but `false`."""
    return None if value is None else value not in (False, "false")


def _lines(path: str, text: str, macros: dict[str, dict[str, Setting]]) -> Iterator[Line]:
    """Yield the lines that say something of Linguist; macros of the root's file are noted as they come."""
    folder = tuple(path.split("/")[:-1])
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line[0] == "#" or len(line) > LONGEST_LINE:
            continue
        pattern, rest = _split(line)
        settings = _settings(rest.split(), macros)
        if pattern.startswith("[attr]"):
            if not folder:
                macros[pattern.removeprefix("[attr]")] = settings
        elif settings and pattern and pattern[0] != "!" and pattern[-1] != "/":
            yield Line(folder, _segments(pattern), settings)


def _split(line: str) -> tuple[str, str]:
    """Return pattern and attributes of a line; a pattern in quotes is unescaped as in C."""
    if quoted := _QUOTED.match(line):
        return _ESCAPES.sub(_unescape, quoted[1]), quoted[2]
    pattern, _, rest = line.replace("\t", " ").partition(" ")
    return pattern, rest


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8)) if len(code) == 3 else _LETTERS.get(code, code)


def _settings(words: Iterable[str], macros: Mapping[str, Mapping[str, Setting]]) -> dict[str, Setting]:
    """Return Linguist's attributes among some words, macros replaced, by name without prefix."""
    found: dict[str, Setting] = {}
    for word in words:
        name, equals, text = word.lstrip("-!").partition("=")
        value: Setting = text if equals else True
        if word[0] in "-!":
            value = False if word[0] == "-" else None
        elif name in macros:
            found.update(macros[name])
        if name.startswith(_PREFIX):
            found[name.removeprefix(_PREFIX)] = value
    return found


def _segments(pattern: str) -> tuple[str, ...]:
    """Return a pattern by component; one without a slash holds in all folders."""
    return tuple(pattern.removeprefix("/").split("/")) if "/" in pattern else ("**", pattern)


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Match components, where `**` stands for any number of them; takes linear time in each."""
    reached = _past_stars(pattern, {0})
    for part in parts:
        left = {place for place in reached if place < len(pattern)}
        stars = {place for place in left if pattern[place] == "**"}
        passed = {place for place in left if place in stars or _component(pattern[place]).match(part)}
        reached = _past_stars(pattern, stars | {place + 1 for place in passed})
    return len(pattern) in reached


def _past_stars(pattern: Sequence[str], places: set[int]) -> set[int]:
    """Add the places behind `**`, which may stand for nothing but at the end: `a/**` is what lies in `a`."""
    found = set(places)
    for place in range(len(pattern) - 1):
        if place in found and pattern[place] == "**":
            found.add(place + 1)
    return found


@lru_cache(maxsize=4096)
def _component(glob: str) -> re.Pattern[str]:
    """Compile the pattern of one component as git reads it: `[^a]` negates too, and a backslash quotes."""
    quoted = re.sub(r"\\([*?\[\]])", r"[\1]", glob.replace("[^", "[!"))
    return re.compile(translate(re.sub(r"\\(.)", r"\1", quoted)))
