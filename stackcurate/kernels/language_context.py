"""What the repository tells of a file's language: `.gitattributes`, and the files beside it.

A header, or a file whose extension several languages share, is most likely of the language of its neighbours. Only
neighbours count whose extension is above all of one language, so that the answer needs no contents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache

import pyarrow as pa

from stackcurate.kernels.language_attributes import attribute_lines, overrides
from stackcurate.kernels.language_heuristics import Names, load, suffixes

CONTEXT = pa.struct([
    ("language", pa.string()), ("vendored", pa.bool_()), ("generated", pa.bool_()), ("documentation", pa.bool_()),
    ("detectable", pa.bool_()), ("neighbours", pa.list_(pa.string())),
])  # fmt: skip
"""What `.gitattributes` say of a file, null for nothing, and the languages of its neighbours, the likeliest first."""

_MOST_ABOVE = 8
"""Folders above a file that are looked through, beside the root: each is remembered for each folder below it."""
Evidence = Counter[tuple[str, str]]
"""Number of files by the language that their name tells, and by extension."""


def repository_context(paths: Sequence[str], attributes: Mapping[str, bytes]) -> pa.Array:
    """Return the context of each file of a repository.

    Args:
        paths: all paths of one revision.
        attributes: contents of its `.gitattributes` by path, of those that are `worth_reading` and can be read.

    Returns:
        A (N,) array of `CONTEXT`; null where nothing is known.

    >>> repository_context(["a.h", "b.c"], {})[0]["neighbours"].as_py()
    ['C']
    """
    lines = attribute_lines(attributes, len(paths))
    rows = zip(paths, neighbours(paths), strict=True)
    said = [{**overrides(lines, path), "neighbours": list(beside)} for path, beside in rows]
    return pa.array([row if any(value not in (None, []) for value in row.values()) else None for row in said], CONTEXT)


def neighbours(paths: Sequence[str]) -> list[Names]:
    """Return for each path the languages that it may be of and its repository holds.

    First those of files of the same name but for the extension, then those of the same folder, of what lies below
    it, of the folder above, and so on, and last of the whole; within each, the one with most files first.

    Args:
        paths: all paths of one revision.

    >>> neighbours(["x/a.h", "x/b.cpp", "y/c.c", "y/d.h"])
    [('C++', 'C'), (), (), ('C', 'C++')]
    """
    primary = load().primary
    found: dict[str, Evidence] = defaultdict(Counter)
    by_folder: dict[str, Evidence] = defaultdict(Counter)
    for path in paths:
        extension, names = _extension(path)
        owners = [name for name in names if len(names) == 1 or (extension, name) in primary]
        if len(owners) == 1:
            found[path.rpartition(".")[0]][owners[0], extension] += 1
            by_folder[path.rpartition("/")[0]][owners[0], extension] += 1
    for folder, evidence in by_folder.items():
        for place in _places(f"{folder}/" if folder else "")[1:]:
            found[place].update(evidence)
    around = cache(lambda folder, extension: _ordered(_places(f"{folder}/" if folder else "")[1:], extension, found))
    answers = []
    for path in paths:
        extension, names = _extension(path)
        if len(names) > 1:
            beside = _ordered([path.rpartition(".")[0]], extension, found)
            answers.append(tuple(dict.fromkeys((*beside, *around(path.rpartition("/")[0], extension)))))
        else:
            answers.append(())
    return answers


def _extension(path: str) -> tuple[str, Names]:
    """Return the known extension of a path, and the languages that have it."""
    return _known_end(path[path.rfind("/") + 1 :].partition(".")[2])


@lru_cache(maxsize=4096)
def _known_end(ends: str) -> tuple[str, Names]:
    """Return the longest known extension of a name of which all behind the first dot is given."""
    known = load().extensions
    return next(((end, known[end]) for end in suffixes(f".{ends}") if end in known), ("", ()))


def _ordered(places: Iterable[str], own: str, found: Mapping[str, Evidence]) -> Names:
    """Return the languages of an extension in the order of the places where other extensions speak for them."""
    candidates = load().extensions[own]
    order: dict[str, None] = {}
    for place in places:
        numbers: Counter[str] = Counter()
        for (language, extension), number in found.get(place, {}).items():
            if language in candidates and extension != own:
                numbers[language] += number
        order |= dict.fromkeys(sorted(numbers, key=lambda language: (-numbers[language], language)))
    return tuple(order)


def _places(path: str) -> list[str]:
    """Return where the neighbours of a path are looked for, the nearest first; a dot means the folder alone.

    >>> _places("a/b/c.h")
    ['a/b/c', 'a/b/.', 'a/b/', 'a/', '']
    """
    folders = path.split("/")[:-1]
    depths = [*range(len(folders), max(len(folders) - _MOST_ABOVE, 0), -1), 0]
    above = ["".join(f"{folder}/" for folder in folders[:depth]) for depth in depths]
    return [path.rpartition(".")[0], f"{above[0]}.", *above]
