"""Quality policies: from the measures of a file to the first reason for leaving it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.errors import SchemaError
from stackcurate.kernels.quality_opencoder import exceeded

STARCODER: Mapping[str, float] = {
    "drop_empty": 1,
    "max_line_length": 1_000,
    "max_mean_line_length": 100,
    "min_alphanumeric": 0.25,
    "drop_xml": 1,
}
"""Source: StarCoder (arXiv 2305.06161), bigcode-dataset `preprocessing/filtering.py`: base limits and XML
filter, without the limits by extension and the visible text of HTML."""

STARCODER2: Mapping[str, float] = {
    "drop_empty": 1,
    "drop_generated": 1,
    "max_lines": 100_000,
    "max_line_length": 1_000,
    "max_mean_line_length": 100,
    "max_long_line_length": 100_000,
    "min_alphabetic": 0.25,
    "max_encoded": 0.5,
    "max_encoded_run": 1_024,
    "max_data_lines": 512,
}
"""Source: StarCoder2 and The Stack v2 (arXiv 2402.19173). Not among the facts on single files, and so left out: visible
text of HTML, names of Text files."""

PRESETS: Mapping[str, Mapping[str, float]] = {
    "starcoder": STARCODER,
    "starcoder2": STARCODER2,
    "opencoder": {"opencoder": 1},
    "none": {},
}
"""Limits by policy; one that is not named is off."""

_SHARES = ("min_alphanumeric", "min_alphabetic", "max_encoded")
_AS_PRESET = -1
_FLOAT = partial(pa.scalar, type=pa.float32())  # as the measures, so that a measure equal to a limit is within it
_READS = ("language", "generated", *(name for name in schema.QUALITY.adds.names if name not in ("ai_mark", "error")))


@dataclass(frozen=True, kw_only=True)
class QualityPolicy:
    """Which measures keep a file out of a release. A limit of -1 is that of the preset, 0 switches it off."""

    preset: str = setting(
        "starcoder2", "`starcoder`, `starcoder2`, `opencoder` or `none`: the limits where none is given"
    )
    drop_empty: int = setting(_AS_PRESET, "1: leave out files without a character in any line")
    drop_generated: int = setting(_AS_PRESET, "1: leave out generated code, also what only says so of itself")
    max_bytes: int = setting(_AS_PRESET, "largest file in bytes; needs the column `size`")
    max_lines: int = setting(_AS_PRESET, "most lines")
    max_line_length: int = setting(_AS_PRESET, "longest line in characters")
    max_mean_line_length: float = setting(-1.0, "longest mean line in characters")
    max_long_line_length: int = setting(
        _AS_PRESET, "longest line in the long_line_languages, in place of the two limits above"
    )
    long_line_languages: tuple[str, ...] = setting(
        ("HTML", "JSON", "Markdown", "Roff", "Roff Manpage", "SMT", "TeX", "Text", "XML"),
        "languages whose lines may be long",
    )
    min_alphanumeric: float = setting(-1.0, "smallest share of letters and digits")
    min_alphabetic: float = setting(-1.0, "smallest share of letters")
    few_letter_languages: tuple[str, ...] = setting(
        ("Motorola 68K Assembly", "WebAssembly"),
        "languages whose letters and digits together must reach min_alphabetic",
    )
    max_encoded: float = setting(-1.0, "largest share of base64, hex or escaped bytes")
    max_encoded_run: int = setting(_AS_PRESET, "longest run of base64, hex or escaped bytes in characters")
    drop_xml: int = setting(_AS_PRESET, "1: leave out what begins as XML and is of no xml_languages")
    xml_languages: tuple[str, ...] = setting(("XML", "XSLT", "SVG"), "languages that are XML by right")
    max_data_lines: int = setting(_AS_PRESET, "most lines in the data_languages")
    data_languages: tuple[str, ...] = setting(
        ("Text", "JSON", "YAML", "Web Ontology Language", "Graphviz (DOT)"), "languages of which long files are data"
    )
    opencoder: int = setting(_AS_PRESET, "1: hold the table `signals` against OpenCoder's thresholds by language")

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {self.preset!r}")
        for name in limits():
            value = getattr(self, name)
            if value != _AS_PRESET and (value < 0 or (name in _SHARES and value > 1)):
                raise ValueError(
                    f"{name}: expected {'a share' if name in _SHARES else '0 or more'} or -1, found {value}"
                )

    def limit(self, name: str) -> float:
        """Return the value of a limit; 0 where it is off.

        >>> QualityPolicy(preset="starcoder", max_line_length=500).limit("max_line_length")
        500
        """
        value: float = getattr(self, name)
        return PRESETS[self.preset].get(name, 0) if value == _AS_PRESET else value


def limits() -> list[str]:
    """Return the names of the values that a preset fills in.

    >>> limits()[:3]
    ['drop_empty', 'drop_generated', 'max_bytes']
    """
    return [field.name for field in fields(QualityPolicy) if field.default == _AS_PRESET]


def reasons(facts: pa.RecordBatch | pa.Table, policy: QualityPolicy = QualityPolicy()) -> pa.Array:
    """Say for each file whether and why a policy leaves it out.

    Args:
        facts: the columns of ``schema.QUALITY.adds`` but ``ai_mark`` and ``error``, and `language` and `generated` of
            ``schema.LANGUAGE``; `size` in bytes where the policy limits it, `rules` and `signals` of ``schema.SIGNALS``
            where it is OpenCoder's. A null measure never counts against a
            file, except that a null `encoding` means binary content, which no policy keeps: it is no text.
        policy: see `QualityPolicy`.

    Returns:
        An array of strings, row by row: null where the file may stay, else the first of `binary`, `too_large`,
        `empty`, `generated`, `too_many_lines`, `long_line`, `long_mean_line`, `low_alphanumeric`,
        `low_alphabetic`, `encoded_data`, `xml`, `data_file`, and `opencoder_` with the name of a signal.

    Raises:
        SchemaError: a column is missing.

    >>> from stackcurate.kernels import language, quality
    >>> text = ["name = 1", "name = 1" * 400]
    >>> facts = pa.Table.from_batches([quality.measure(text)])
    >>> for name in ("language", "generated"):
    ...     facts = facts.append_column(name, language.detect(["a.py", "b.py"], text)[name])
    >>> reasons(facts).to_pylist()
    [None, 'long_line']
    """
    wanted = [*_READS, *["size"] * bool(policy.limit("max_bytes"))]
    wanted += ["rules", "signals"] * bool(policy.limit("opencoder"))
    if not set(wanted) <= set(facts.schema.names):
        raise SchemaError.missing("quality_policy.reasons", wanted, facts.schema.names)
    table = pa.Table.from_batches([facts]) if isinstance(facts, pa.RecordBatch) else facts
    columns = {name: table[name].combine_chunks() for name in wanted}
    codes, tests = zip(*_tests(columns, policy), strict=True)
    hits = pc.make_struct(*(pc.fill_null(test, False) for test in tests), field_names=codes)
    return pc.case_when(hits, *(pa.scalar(code) for code in codes))


def _tests(columns: Mapping[str, Any], policy: QualityPolicy) -> Iterator[tuple[str, Any]]:
    """Yield each reason code that the policy uses and where it holds, in the order in which they count."""
    limit = {name: policy.limit(name) for name in limits()}
    yield "binary", pc.is_null(columns["encoding"])
    if limit["max_bytes"]:
        yield "too_large", pc.greater(columns["size"], limit["max_bytes"])
    if limit["drop_empty"]:
        yield "empty", pc.equal(columns["line_length_max"], 0)
    if limit["drop_generated"]:
        yield "generated", pc.or_kleene(columns["generated"], columns["autogenerated"])
    yield from _line_tests(columns, policy, limit)
    yield from _character_tests(columns, policy, limit)
    if limit["drop_xml"]:
        is_xml = pc.fill_null(
            pc.is_in(columns["language"], value_set=pa.array(policy.xml_languages, pa.string())), False
        )
        yield "xml", pc.and_not(columns["xml_start"], is_xml)
    if limit["max_data_lines"]:
        data = pc.is_in(columns["language"], value_set=pa.array(policy.data_languages, pa.string()))
        yield "data_file", pc.and_(data, pc.greater(columns["lines"], limit["max_data_lines"]))
    if limit["opencoder"]:
        yield from exceeded(columns["rules"], columns["signals"])


def _line_tests(
    columns: Mapping[str, Any], policy: QualityPolicy, limit: Mapping[str, float]
) -> Iterator[tuple[str, Any]]:
    if limit["max_lines"]:
        yield "too_many_lines", pc.greater(columns["lines"], limit["max_lines"])
    longest, mean = columns["line_length_max"], columns["line_length_mean"]
    languages = policy.long_line_languages if limit["max_long_line_length"] else ()
    may_be_long = pc.is_in(columns["language"], value_set=pa.array(languages, pa.string()))
    if limit["max_line_length"]:
        yield "long_line", pc.and_not(pc.greater(longest, limit["max_line_length"]), may_be_long)
    if limit["max_long_line_length"]:
        yield "long_line", pc.and_(pc.greater(longest, limit["max_long_line_length"]), may_be_long)
    if limit["max_mean_line_length"]:
        yield "long_mean_line", pc.and_not(pc.greater(mean, _FLOAT(limit["max_mean_line_length"])), may_be_long)


def _character_tests(
    columns: Mapping[str, Any], policy: QualityPolicy, limit: Mapping[str, float]
) -> Iterator[tuple[str, Any]]:
    alphanumeric = columns["alphanumeric_fraction"]
    if limit["min_alphanumeric"]:
        yield "low_alphanumeric", pc.less(alphanumeric, _FLOAT(limit["min_alphanumeric"]))
    if limit["min_alphabetic"]:
        few = pc.is_in(columns["language"], value_set=pa.array(policy.few_letter_languages, pa.string()))
        letters = pc.if_else(few, alphanumeric, columns["alphabetic_fraction"])
        yield "low_alphabetic", pc.less(letters, _FLOAT(limit["min_alphabetic"]))
    if limit["max_encoded_run"]:
        yield "encoded_data", pc.greater(columns["encoded_run_max"], limit["max_encoded_run"])
    if limit["max_encoded"]:
        yield "encoded_data", pc.greater(columns["encoded_fraction"], _FLOAT(limit["max_encoded"]))
