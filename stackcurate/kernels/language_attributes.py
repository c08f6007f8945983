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
from itertools import accumulate, islice
from typing import TypedDict

from stackcurate.kernels.content import decode

MOST_LINES = 1000
"""Lines that count in one repository."""
MOST_TRIES = 20_000_000
"""Lines times files of one repository: each is tried on each. A tree of 400,000 files has 50 lines."""
MOST_BYTES = 4 << 20
"""Bytes of `.gitattributes` that are read of one repository, the files nearest to its root first."""
_MOST_COMPONENTS, _MOST_STARS = 32, 4
"""Components of a pattern, and how many of them are `**`; a line with more says nothing."""
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
    """One line of one `.gitattributes`: where it holds, by component, with None for `**`; and what it says."""

    folder: tuple[str, ...]
    pattern: tuple[re.Pattern[str] | None, ...]
    settings: Mapping[str, Setting]

    def matches(self, parts: tuple[str, ...]) -> bool:
        """Say whether the line is about a path, given by components."""
        below = parts[len(self.folder) :]
        return parts[: len(self.folder)] == self.folder and _matches(self.pattern, below)


def is_attribute_file(path: str) -> bool:
    """Say whether a path is that of a `.gitattributes`."""
    return path.rpartition("/")[2] == ".gitattributes"


def worth_reading(sizes: Mapping[str, int]) -> list[str]:
    """Return the attribute files of a repository that are read, in the order in which they override each other.

    Args:
        sizes: bytes of each file by its path.
    """
    files = sorted(filter(is_attribute_file, sizes), key=_nearest_to_the_root)
    ends = accumulate(sizes[path] for path in files)
    return [path for path, end in zip(files, ends, strict=True) if end <= MOST_BYTES]


def attribute_lines(contents: Mapping[str, bytes], tried_on: int = 1) -> tuple[Line, ...]:
    """Read the attribute files of a repository.

    Args:
        contents: bytes by the path of each `.gitattributes`; binary ones count as empty.
        tried_on: number of files of the repository.

    Returns:
        The lines that say something of Linguist, in the order in which they override each other; `MOST_LINES` of
        them at most, fewer where there are very many files.
    """
    macros: dict[str, dict[str, Setting]] = {}
    files = sorted(contents, key=_nearest_to_the_root)
    lines = (line for path in files for line in _lines(path, decode(contents[path])[0] or "", macros))
    return tuple(islice(lines, min(MOST_LINES, MOST_TRIES // max(tried_on, 1))))


def _nearest_to_the_root(path: str) -> tuple[int, str]:
    return path.count("/"), path


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
            parts = _segments(pattern)
            if len(parts) <= _MOST_COMPONENTS and parts.count("**") <= _MOST_STARS:
                yield Line(folder, tuple(None if part == "**" else _component(part) for part in parts), settings)


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


def _matches(pattern: Sequence[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    """Match components, where None stands for any number of them; takes linear time in each."""
    if len(pattern) == 2 and pattern[0] is None and pattern[1]:  # a name in any folder, as most lines have it
        return bool(parts) and pattern[1].match(parts[-1]) is not None
    reached = _past_stars(pattern, {0})
    for part in parts:
        left = {place: pattern[place] for place in reached if place < len(pattern)}
        stars = {place for place, glob in left.items() if glob is None}
        passed = {place for place, glob in left.items() if glob is None or glob.match(part)}
        reached = _past_stars(pattern, stars | {place + 1 for place in passed})
    return len(pattern) in reached


def _past_stars(pattern: Sequence[re.Pattern[str] | None], places: set[int]) -> set[int]:
    """Add the places behind `**`, which may stand for nothing but at the end: `a/**` is what lies in `a`."""
    found = set(places)
    for place in range(len(pattern) - 1):
        if place in found and pattern[place] is None:
            found.add(place + 1)
    return found


@lru_cache(maxsize=4096)
def _component(glob: str) -> re.Pattern[str]:
    """Compile the pattern of one component as git reads it: `[^a]` negates too, and a backslash quotes."""
    quoted = re.sub(r"\\([*?\[\]])", r"[\1]", glob.replace("[^", "[!"))
    return re.compile(translate(re.sub(r"\\(.)", r"\1", quoted)))
