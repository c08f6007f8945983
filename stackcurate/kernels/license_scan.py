"""What ScanCode finds in a blob: licence detections, declared licence, restrictive words, copyright holders.

The findings are those of unmodified ScanCode on the same file (`scancode.api.get_licenses`), about sixty times sooner
for sources and fourteen times for licence files; `reference=True` runs it unmodified. Two things are ours: UTF-16 and
UTF-32, in which ScanCode finds nothing, are read as UTF-8, and an unfinished scan says so, where ScanCode returns what
it has in silence.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels import content as contents
from stackcurate.kernels import (
    license_filetype,
    license_holders,
    license_manifest,
    license_names,
    license_residual,
    license_scancode,
)
from stackcurate.kernels.license_deadline import Deadline, OutOfTimeError, limited

HEADER_BYTES = 16 * 1024
"""How much of a source file `header_only` scans, and how much is searched for copyright holders."""

_SUFFIXES = ("package.json", ".min.js", ".js.map", ".css.map", ".typeface.json")
"""Endings of more than an extension on which ScanCode's reading of a text depends.

Source: scancode-toolkit 32.5.0, `textcode.analysis.numbered_text_lines` and `typecode.contenttype.Type`.
"""
_LOCALE = "locale"
"""ScanCode breaks the long lines of files with this word anywhere in their path. Source: as above."""
_LONGEST_EXTENSION = 16

_KINDS = ("text", "notice", "tag", "reference", "intro", "clue")
_EVIDENCE = frozenset(("text", "notice", "tag"))

Detections = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class LicenseScanConfig:
    """How a blob is scanned."""

    max_bytes: int = setting(1_048_576, "larger contents are not scanned: status `skipped_size`")
    deadline_seconds: float = setting(
        5.0, "CPU time for one blob; what was found until then is kept: status `deadline`"
    )
    limit_seconds: float = setting(
        9.0, "CPU time after which nothing more of a blob is looked at, nor kept: status `deadline`"
    )
    header_only: bool = setting(False, "scan only the first 16 KiB of files that are neither licence nor manifest")
    holders: bool = setting(True, "find copyright holders where there is a licence text, notice or tag")
    holders_bytes: int = setting(65_536, "how much of a licence file is searched for holders; of others 16 KiB")
    reference: bool = setting(False, "run ScanCode unmodified: the same findings, slowly")

    def __post_init__(self) -> None:
        for name in ("max_bytes", "deadline_seconds", "limit_seconds", "holders_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")


def scanned_as(path: str) -> str:
    """Return the part of a path on which the answer depends, so that blobs of different paths share facts.

    Args:
        path: path in the repository, with `/`; a result of this function is returned as it is.

    Returns:
        The name of a manifest; `LICENSE` or `NOTICE` and the extension for files of such names; else the extension,
        upper and lower case kept since ScanCode tells `.H` from `.h`; empty where there is none. `locale/` comes
        first where the path holds that word.

    >>> [scanned_as(p) for p in ("a/b.py", "x/package.json", "COPYING.LESSER.md", "LICENSES/MIT.txt", "Makefile")]
    ['.py', 'package.json', 'LICENSE.md', 'LICENSE.txt', '']
    """
    return ("locale/" if _LOCALE in path else "") + _name(path)


def _name(path: str) -> str:
    name = PurePosixPath(path).name
    extension = _extension(name)
    if license_names.is_reuse_name(path):
        return {"copyright": "debian/copyright", "dep5": ".reuse/dep5"}.get(name, name)
    if license_names.is_license_name(path):
        return "LICENSE" + extension
    if license_names.is_notice_name(path):
        return "NOTICE" + extension
    if license_names.is_manifest_name(path):
        if name == "METADATA":
            return ".dist-info/METADATA"
        return extension if extension in license_manifest.SUFFIXES else name
    return extension


def _extension(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return "." + suffix.removeprefix(".")
    _, dot, extension = name.rpartition(".")
    plain = extension.replace("+", "").replace("-", "").replace("_", "")
    if not dot or not plain.isascii() or not plain.isalnum() or len(extension) > _LONGEST_EXTENSION:
        return ""
    return dot + extension


def scan(content: pa.Array, scanned_as: pa.Array, config: LicenseScanConfig = LicenseScanConfig()) -> pa.RecordBatch:
    """Scan blobs for licences.

    Args:
        content: the bytes of each blob; null gives a row of nulls.
        scanned_as: what each is read as, of `scanned_as`; a path is as good, null means no name at all.
        config: limits and mode.

    Returns:
        One row per blob with the columns that `license_detections` adds to its key.

    Raises:
        MissingDependencyError: ScanCode is missing, or another release than the one that was read.

    >>> tag = b"# SPDX-License-Identifier: MIT"
    >>> row = scan([tag, None], pa.array([".py", ".py"])).to_pylist()
    >>> row[0]["status"], row[0]["detections"][0]["expression"], row[1]["status"]
    ('complete', 'MIT', None)
    """
    names = scanned_as.to_pylist() if isinstance(scanned_as, pa.Array) else scanned_as
    blobs = contents.as_binary(content)
    rows = [_row(blob.as_py(), name, config) for blob, name in zip(blobs, names, strict=True)]
    return pa.RecordBatch.from_pylist(rows, schema=schema.LICENSE_DETECTIONS.adds)


def detections_of(text: str | bytes, name: str, *, reference: bool = False) -> Detections:
    """Return the licence detections in one text.

    Args:
        text: the content.
        name: name or path of the file that holds it.
        reference: run ScanCode unmodified.

    >>> detections_of("Licensed under the Apache License, Version 2.0", "a.py")[0]["expression"]
    'Apache-2.0'
    """
    row = _row(contents.as_binary([text])[0].as_py(), name, LicenseScanConfig(holders=False, reference=reference))
    return list(row["detections"] or [])


def _row(blob: bytes | None, name: str | None, config: LicenseScanConfig) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(schema.LICENSE_DETECTIONS.adds.names)
    if blob is None:
        return empty
    if len(blob) > config.max_bytes:
        return empty | {"status": "skipped_size"}
    text, encoding = contents.decode(blob)
    if text is None or encoding is None:
        return empty | {"status": "binary"}
    if encoding.startswith(("utf-16", "utf-32")):
        blob = text.encode("utf-8", "replace")
    try:
        with suppress(OSError):  # temporary files have faults of their own: those are not the blob's
            return empty | _scan_file(blob, scanned_as(name or ""), config)
        return empty | _scan_file(blob, scanned_as(name or ""), config)
    except Exception as error:  # noqa: BLE001 one blob that ScanCode chokes on must not cost the others
        return empty | {"status": "error", "error": f"scancode:{type(error).__name__}"}


def _scan_file(blob: bytes, kind: str, config: LicenseScanConfig) -> dict[str, Any]:
    """Scan a blob as a file of its own: a path that was never used, since typecode remembers types by path."""
    if config.header_only and not license_names.is_license_name(kind) and not license_names.is_manifest_name(kind):
        blob = _header(blob)
    row: dict[str, Any] = {"status": "deadline", "detections": []}
    deadline = Deadline(math.inf if config.reference else config.deadline_seconds)
    with license_scancode.running(config.reference, deadline), tempfile.TemporaryDirectory(prefix="stackcurate-") as at:
        location = _write(at, kind, blob)
        try:
            with nullcontext() if config.reference else limited(config.limit_seconds):
                if not config.reference and not license_names.is_manifest_name(kind):
                    license_filetype.tell_typecode(location, blob)
                row |= _findings(location, kind, deadline)
                if config.holders and _is_legal(kind, row["detections"]):
                    row |= _holders(location, kind, config)
        except OutOfTimeError:
            row["error"] = "holders_deadline" if "declared" in row else "deadline"
        finally:
            _forget(location)
    return row


def _findings(location: str, kind: str, deadline: Deadline) -> dict[str, Any]:
    found = list(_detections(location, deadline))
    return {
        "detections": [row for _, row in found],
        "declared": license_manifest.declared(location) if license_names.is_manifest_name(kind) else None,
        "unmatched": _unmatched(location, found) if license_names.is_license_name(kind) else None,
        "status": "deadline" if deadline.hit else "complete",
    }


def _holders(location: str, kind: str, config: LicenseScanConfig) -> dict[str, Any]:
    size = config.holders_bytes if license_names.is_license_name(kind) else HEADER_BYTES
    deadline = Deadline(config.deadline_seconds)
    found = license_holders.holders(location, size, deadline, reference=config.reference)
    return {"holders": found, "error": "holders_deadline" if deadline.hit else None}


def _is_legal(kind: str, detections: Detections) -> bool:
    """Say whether a blob may name holders: a legal text, or one with a notice."""
    named = license_names.is_license_name(kind) or kind.startswith("NOTICE")
    return named or any(row["kind"] in _EVIDENCE for row in detections)


def _header(blob: bytes) -> bytes:
    """Cut at the last line that ends in the first 16 KiB."""
    head = blob[:HEADER_BYTES]
    return head if len(head) == len(blob) else head[: head.rfind(b"\n") + 1] or head


def _write(folder: str, kind: str, blob: bytes) -> str:
    """Write the blob under a name that ScanCode reads as its own, and return the path."""
    path = Path(folder, *PurePosixPath(kind).parts)
    if path.name.startswith(".") and path.name != ".dist-info":
        path = path.with_name(f"blob{path.name}")
    elif not kind:
        path = Path(folder, "blob")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    return str(path)


def _forget(location: str) -> None:
    from typecode import contenttype

    contenttype._registry.pop(os.path.abspath(location), None)  # noqa: SLF001, PTH100 its key, spelled as it does


def _detections(location: str, deadline: Deadline) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each match of ScanCode's detections and its row."""
    from licensedcode.detection import detect_licenses

    for detection in detect_licenses(location=location, min_score=0, deadline=deadline):
        is_clue = detection.license_expression is None
        for match in detection.matches:
            yield (
                match,
                {
                    "expression": _spdx(match.rule.license_expression),
                    "rule": match.rule.identifier,
                    "matcher": match.matcher,
                    "kind": "clue" if is_clue else _kind(match.rule),
                    "score": match.score(),
                    "coverage": match.coverage(),
                    "start_line": match.start_line,
                    "end_line": match.end_line,
                },
            )


def _kind(rule: Any) -> str | None:
    return next((kind for kind in _KINDS if getattr(rule, f"is_license_{kind}")), None)


@cache
def _spdx(expression: str) -> str:
    """Spell an expression of ScanCode's keys with SPDX identifiers; there are some thousands."""
    from licensedcode.cache import build_spdx_license_expression

    return str(build_spdx_license_expression(expression, licensing=license_scancode.load().licensing))


def _unmatched(location: str, found: list[tuple[Any, dict[str, Any]]]) -> str | None:
    from licensedcode.stopwords import STOPWORDS
    from licensedcode.tokenize import query_lines

    matched: set[int] = set()
    for match, row in found:
        if row["kind"] != "clue":
            matched.update(match.qspan)
    lines = (line for _, line in query_lines(location=location))
    vocabulary = license_scancode.load().index.dictionary
    return license_residual.restrictions(lines, vocabulary, STOPWORDS, matched, granted=bool(matched))
