"""Configuration: a TOML file to frozen dataclasses, one section per subject.

A section's dataclass stands beside the code that reads it and declares each value with `setting`. Unknown
sections and keys are refused with the nearest known name, and values are checked against their types, so a
config that loads is a config that runs.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from stackcurate.errors import ConfigError

Section = TypeVar("Section")


def setting(default: Any, doc: str) -> Any:
    """Declare a value of a section: its default, its doc for the reference."""
    return field(default=default, metadata={"doc": doc})


def digest(section: Any) -> str:
    """Return a SHA-256 of a section's values, the same in every process."""
    return hashlib.sha256(json.dumps(asdict(section), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Config:
    """The sections of one build, by name.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Quality:
    ...     longest_line: int = setting(1000, "longest line that is kept")
    >>> load(None, {"quality": Quality}, ["quality.longest_line=80"])["quality"].longest_line
    80
    """

    sections: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """Return the section of that name."""
        return self.sections[name]

    def digest(self, *names: str) -> str:
        """Return a SHA-256 of the sections named, or of all."""
        chosen = {name: asdict(self.sections[name]) for name in names or self.sections}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain values, for manifests."""
        return {name: asdict(section) for name, section in self.sections.items()}


def load(path: str | Path | None, sections: Mapping[str, type], overrides: Iterable[str] = ()) -> Config:
    """Read a TOML file and apply overrides of the form ``section.key=value``.

    Args:
        path: the file; None means all defaults.
        sections: the dataclass of each section.
        overrides: values in TOML's spelling; a bare word counts as a string.

    Raises:
        ConfigError: the file is missing or no TOML, or a name or a type is wrong.
    """
    where = str(path) if path else "--set"
    values = _read_toml(Path(path)) if path else {}
    for override in overrides:
        _apply(values, override, sections)
    for name in values:
        if name not in sections:
            raise ConfigError.unknown("section", name, sections, where)
    return Config({name: _section(kind, values.get(name, {}), f"{where} [{name}]") for name, kind in sections.items()})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _apply(values: dict[str, Any], override: str, sections: Mapping[str, type]) -> None:
    name, separator, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not separator or not dot:
        raise ConfigError(f"--set {override}: expected section.key=value")
    if section not in sections:
        raise ConfigError.unknown("section", section, sections, "--set")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    given = values.setdefault(section, {})
    if isinstance(given, dict):  # anything else is refused where sections are read
        given[key] = value


def _section(kind: type[Section], values: Any, where: str) -> Section:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a table of values, found {values!r}")
    known = {f.name for f in fields(cast("Any", kind))}
    hints = get_type_hints(kind)
    for key in values:
        if key not in known:
            raise ConfigError.unknown("key", key, known, where)
    try:
        return kind(**{key: _value(hints[key], value, f"{where} {key}") for key, value in values.items()})
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    """Check a TOML value against a type: bool, int, float, str, or a tuple of one of them."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        return tuple(_value(get_args(hint)[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is str and type(value) is date:  # TOML has days of its own
        return value.isoformat()
    if type(value) is not hint:
        raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r} ({type(value).__name__})")
    return value
