"""Linguist's rules as data: read and compiled lazily; `language_data` makes them.

The rules come as JSON, which loads thirty times faster than the YAML they are made from. A heuristic is slow
where it does not match, so each pattern stores literals of which a match must hold one: a substring search
rules most patterns out and cannot change the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

CONSIDERED = 50 * 1024
"""Characters that heuristics look at. Source: Linguist, `HEURISTICS_CONSIDER_BYTES`."""

TIMEOUT = 5.0
"""Seconds for one pattern on one file: matches take under a millisecond, backtracking for ever."""

MANPAGES = ("Roff Manpage", "Roff")
"""Languages of manual pages. Source: Linguist, strategy `manpage`."""

_RUBY_M = re.compile(r"\(\?([ix]*)m\)")
_BLANK_LINES = re.compile(r"((?:^(?:\(\?[is]+\))?|\|)(?:\((?:\?i?:)?)*)\^\\s\*")
_PATH_START = re.compile(r"^\((?:\?:)?\^\|\\?/\)")
Names = tuple[str, ...]
Mark = tuple[int, re.Pattern[str]]
"""What generators write: number of first (negative: last) lines, pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression in Ruby's dialect and literals (lower case) of which every match holds one."""

    source: str
    literals: Names

    def found_in(self, text: str, lower: str) -> bool:
        """Say whether the text matches; ``lower`` is the text in lower case.

        Raises:
            TimeoutError: the pattern backtracks without end.
        """
        # Looking for one sign is much faster than for a string, and many begin with a rare one.
        if self.literals and not any(literal[0] in lower and literal in lower for literal in self.literals):
            return False
        return _compiled(self.source).search(text, timeout=TIMEOUT) is not None


@cache
def _compiled(source: str) -> Any:
    import regex

    # In Ruby ^ and $ stand at lines, \w is ASCII, flag m is Python's s, and \g<name> calls a group.
    python = _RUBY_M.sub(r"(?\1s)", source.replace("(?-m)", ""))
    python = re.sub(r"\\g<(\w+)>", r"(?&\1)", python)
    # Blank space in front decides nothing, but reading it over lines takes quadratic time.
    python = _BLANK_LINES.sub(r"\1^[ \\t\\r\\f\\v]*", python.removeprefix(r"\s*"))
    return regex.compile(python, regex.V1 | regex.MULTILINE | regex.ASCII)


@dataclass(frozen=True, slots=True)
class Clause:
    """True when any pattern matches, or, negated, when none does; short ones, which are fast, come first."""

    patterns: tuple[Pattern, ...]
    negated: bool

    def holds(self, text: str, lower: str) -> bool:
        """Evaluate the clause on a text."""
        return any(pattern.found_in(text, lower) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True)
class Rule:
    """Languages to choose when all clauses hold; no clause means always."""

    languages: Names
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class Linguist:
    """The rules of one version of Linguist; ``on_path`` tells `vendored`, `documentation` and `generated` paths."""

    types: Mapping[str, str]
    filenames: Mapping[str, Names]
    extensions: Mapping[str, Names]
    interpreters: Mapping[str, Names]
    aliases: Mapping[str, str]
    primary: frozenset[tuple[str, str]]
    on_path: Mapping[str, Callable[[str], bool]]
    groups: tuple[tuple[Rule, ...], ...]
    group_of: Mapping[str, int]
    between: Sequence[tuple[frozenset[str], Sequence[Rule]]]
    unsure: frozenset[str]
    popular: Sequence[str]
    marks: Mapping[str, Sequence[Mark]]

    def disambiguate(self, suffixes: Iterable[str], text: str) -> Names:
        """Return what the heuristics of a file name's suffixes say; empty where they say nothing.

        Raises:
            TimeoutError: a pattern backtracks without end.
        """
        known = [self.group_of[suffix] for suffix in suffixes if suffix in self.group_of]
        if not known:
            return ()
        return _first_that_holds(self.groups[min(known)], text)

    def tell_apart(self, candidates: Names, text: str) -> Names:
        """Return what our own rules say of candidates that Linguist leaves to its classifier; empty for nothing.

        Raises:
            TimeoutError: a pattern backtracks without end.
        """
        rules = (rules for languages, rules in self.between if languages.issuperset(candidates))
        return _first_that_holds(next(rules, ()), text)


def _first_that_holds(rules: Iterable[Rule], text: str) -> Names:
    head = text[:CONSIDERED]
    lower = head.lower()
    for rule in rules:
        if all(clause.holds(head, lower) for clause in rule.clauses):
            return rule.languages
    return ()


def any_path(patterns: Sequence[tuple[str, Sequence[str]]]) -> Callable[[str], bool]:
    """Return a function that says whether a path matches one of some patterns.

    A pattern that ends with a slash looks at the folders alone, which are remembered. The others are tried where a
    path holds one of their literals.

    Args:
        patterns: each with strings, in lower case, of which every match holds one; none where nothing is certain.
    """
    folders = [pattern for pattern, _ in patterns if pattern.endswith("/")]
    starting = [_PATH_START.sub("", p) for p in folders if _PATH_START.match(p)]  # tried at components alone
    joined = [f"(?:^|/)(?:{'|'.join(starting)})"] * bool(starting) + [p for p in folders if not _PATH_START.match(p)]
    search_folder = re.compile("|".join(joined) or r"(?!)").search
    others = [(re.compile(p).search, literals) for p, literals in patterns if not p.endswith("/")]
    by_literal = [(literal, search) for search, literals in others for literal in literals or [""]]
    in_folder = lru_cache(maxsize=1 << 16)(lambda folder: search_folder(folder) is not None)

    def matches(path: str) -> bool:
        if in_folder(path[: path.rfind("/") + 1]):
            return True
        lower = path.lower()
        for literal, search in by_literal:  # noqa: SIM110 - a generator doubles the time
            if literal in lower and search(path):
                return True
        return False

    return matches


@cache
def load() -> Linguist:
    """Read the packaged rules, once per process.

    >>> len(load().types) > 800
    True
    """
    languages, heuristics, paths, additions = (
        json.loads(files("stackcurate").joinpath("data", "linguist", f"{name}.json").read_text(encoding="utf-8"))
        for name in ("languages", "heuristics", "paths", "additions")
    )
    return _assemble(languages, heuristics, paths, additions)


def _assemble(languages: Any, heuristics: Any, paths: Any, additions: Any) -> Linguist:
    aliases: dict[str, str] = {}
    primary: set[tuple[str, str]] = set()
    extensions = _index(languages, "extensions")
    paths["generated"] += [(pattern, ()) for pattern in additions["generated_paths"]]
    for name, language in languages.items():
        primary.update((extension, name) for extension in language["extensions"][:1])
        for alias in [name.lower().replace(" ", "-"), *language["aliases"]]:
            aliases.setdefault(alias, name)
    return Linguist(
        types={name: language["type"] for name, language in languages.items()},
        filenames=_index(languages, "filenames"),
        extensions=extensions,
        interpreters=_index(languages, "interpreters"),
        aliases=aliases,
        primary=frozenset(primary),
        on_path={kind: any_path(patterns) for kind, patterns in paths.items()},
        groups=tuple(tuple(map(_rule, group["rules"])) for group in heuristics),
        group_of={e: i for i, group in reversed([*enumerate(heuristics)]) for e in group["extensions"]},
        between=[(frozenset(row["between"]), tuple(map(_rule, row["rules"]))) for row in additions["between"]],
        unsure=_unsure(heuristics, extensions),
        popular=additions["popular"],
        marks=_marks(additions["generated_marks"]),
    )


def _index(languages: Mapping[str, Any], key: str) -> dict[str, Names]:
    found: dict[str, list[str]] = {}
    for name, language in languages.items():
        for value in language[key]:
            found.setdefault(value, []).append(name)
    return {value: tuple(names) for value, names in found.items()}


def _unsure(heuristics: Iterable[Any], extensions: Mapping[str, Names]) -> frozenset[str]:
    """Return extensions of one language that has to be confirmed: why else heuristics without a default?"""
    return frozenset(
        extension
        for group in heuristics
        for extension in group["extensions"]
        if len(extensions.get(extension, ())) == 1 and all(rule["all"] for rule in group["rules"])
    )


def _rule(rule: Mapping[str, Any]) -> Rule:
    clauses = (
        Clause(
            tuple(Pattern(source, tuple(literals)) for source, literals in sorted(clause["any"], key=_length)),
            clause["not"],
        )
        for clause in rule["all"]
    )
    return Rule(tuple(rule["languages"]), tuple(clauses))


def _length(pattern: Sequence[str]) -> int:
    return len(pattern[0])


def _marks(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    for row in rows:
        for extension in row["extensions"]:
            found.setdefault(extension, []).append((row["lines"], re.compile(row["pattern"], re.MULTILINE)))
    return found


def suffixes(name: str) -> list[str]:
    """Return the ends of a file name that begin at a dot, longest first.

    >>> suffixes("a.d.TS")
    ['.d.ts', '.ts']
    """
    parts = name.lower().split(".")[1:]
    return ["." + ".".join(parts[i:]) for i in range(len(parts))]
