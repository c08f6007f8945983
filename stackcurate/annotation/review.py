"""Review: a stratified sample of findings and of pages for people to label, and what their labels say.

A sheet holds personal data in clear: it belongs outside every release, with whoever labels it, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from stackcurate.errors import ConfigError
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.content import blob_id
from stackcurate.kernels.pii import PiiConfig, find_spans
from stackcurate.kernels.spans import merge

LABELS = ("right", "wrong")
PAGE_LINES = 40
_CONTEXT = 80

Row = dict[str, Any]


class Source(NamedTuple):
    """A file that is looked at: of which repository, where, in which language, and its bytes."""

    repo_id: str
    path: str
    language: str
    content: bytes


def draw(
    sources: Iterable[Source], config: PiiConfig, *, findings: int = 500, pages: int = 200, seed: int = 0
) -> list[Row]:
    """Draw a sheet: findings evenly over entity, rule and language, and whole pages for what was missed.

    The same files and seed give the same sheet, in whatever order the files come; copies count once.

    Args:
        sources: files; only those in UTF-8 are drawn from.
        config: what is looked for.
        findings: number of findings; each is to be labelled `right` or `wrong`.
        pages: number of pages of up to `PAGE_LINES` lines, half of them with findings; `missed` is to be filled in.
        seed: draws another sheet.
    """
    strata: dict[tuple[str, str, str], list[tuple[str, Row]]] = defaultdict(list)
    with_findings: list[tuple[str, Row]] = []
    without: list[tuple[str, Row]] = []
    seen: set[str] = set()
    for source in sources:
        identity = blob_id(source.content)
        if not _is_text(source.content) or identity in seen:
            continue
        seen.add(identity)
        spans = find_spans(source.content, config)
        for span in spans:
            row = _finding(source, identity, span)
            strata[span.entity, span.rule, source.language].append((_rank(row, seed), row))
        for page in _pages(source, identity, merge(spans)):
            (with_findings if page["fragments"] else without).append((_rank(page, seed), page))
    drawn = [{**row, "stratum": sizes} for row, sizes in _round_robin(strata, findings)]
    half = min(len(with_findings), max(pages // 2, pages - len(without)))
    return drawn + [
        row for _, row in sorted(with_findings, key=_first)[:half] + sorted(without, key=_first)[: pages - half]
    ]


def _first(pair: tuple[str, Row]) -> str:
    return pair[0]


def _is_text(content: bytes) -> bool:
    try:
        return b"\0" not in content and content.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def _rank(row: Row, seed: int) -> str:
    return hashlib.sha256(f"{seed} {row['id']}".encode()).hexdigest()


def _finding(source: Source, identity: str, span: Span) -> Row:
    before = source.content[max(0, span.start - _CONTEXT) : span.start].decode("utf-8", "replace")
    after = source.content[span.end : span.end + _CONTEXT].decode("utf-8", "replace")
    return {
        "kind": "finding", "id": f"{identity}:{span.start}-{span.end}:{span.rule}", "entity": span.entity,
        "rule": span.rule, "language": source.language, "repo_id": source.repo_id, "path": source.path,
        "before": before, "value": source.content[span.start : span.end].decode("utf-8", "replace"), "after": after,
        "label": "",
    }  # fmt: skip


def _pages(source: Source, identity: str, spans: list[Span]) -> Iterator[Row]:
    """Yield the pages of a file; a span that crosses the border of two belongs to neither."""
    lines = source.content.splitlines(keepends=True)
    start = 0
    for first in range(0, len(lines), PAGE_LINES):
        page = b"".join(lines[first : first + PAGE_LINES])
        end = start + len(page)
        inside = [span for span in spans if start <= span.start and span.end <= end]
        yield {
            "kind": "page", "id": f"{identity}:{start}-{end}", "language": source.language, "repo_id": source.repo_id,
            "path": source.path, "text": page.decode("utf-8", "replace"),
            "fragments": [_fragment(page, span, start) for span in inside], "missed": [], "label": "",
        }  # fmt: skip
        start = end


def _fragment(page: bytes, span: Span, offset: int) -> Row:
    """Return a span of a page in characters, as annotators see it."""
    start, end = span.start - offset, span.end - offset
    first = len(page[:start].decode("utf-8", "replace"))
    value = page[start:end].decode("utf-8", "replace")
    return {"category": span.entity, "position": [first, first + len(value)], "value": value, "label": "right"}


def _round_robin(strata: dict[tuple[str, str, str], list[tuple[str, Row]]], most: int) -> Iterator[tuple[Row, int]]:
    """Yield rows one from each stratum in turn, with the size of their stratum."""
    ordered = [[(row, len(rows)) for _, row in sorted(rows, key=_first)] for _, rows in sorted(strata.items())]
    taken = 0
    for turn in zip_longest(*ordered):
        for entry in turn:
            if entry is not None and taken < most:
                taken += 1
                yield entry


def write_sheet(path: Path, rows: list[Row]) -> None:
    """Write a sheet as JSON lines that only its owner may read.

    Raises:
        ConfigError: a file of that name exists: labels are not overwritten.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path}: exists, and may hold labels; give another name") from error
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_sheet(path: Path) -> list[Row]:
    """Read a sheet that people have labelled.

    Raises:
        ConfigError: it is none, or holds a label that is not known; the message quotes no content.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected JSON lines as --review writes them ({type(error).__name__})") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.get("kind") not in {"finding", "page"}:
            raise ConfigError(f"{path}, line {number}: expected a finding or a page of --review")
        allowed = {"", *LABELS} if row["kind"] == "finding" else {"", "done"}
        if row.get("label") not in allowed:
            raise ConfigError(f"{path}, line {number}: expected as label one of {', '.join(sorted(allowed - {''}))}")
        if any(
            {"category", "value"} - set(missed) or missed["value"] not in row["text"]
            for missed in row.get("missed", ())
        ):
            raise ConfigError(
                f"{path}, line {number}: expected in `missed` category and value, as they stand in the text"
            )
    return rows


class Score(NamedTuple):
    """A share that was counted on a sample, with its 95 % interval; `weighted` counts strata by their size."""

    entity: str
    measure: str
    right: int
    labelled: int
    share: float
    low: float
    high: float
    weighted: float | None


def score(rows: Iterable[Row]) -> list[Score]:
    """Return precision and recall for each entity, in order, as far as the labels go.

    Precision counts labelled findings. Recall counts pages that are `done`: what was found there and is right,
    beside what people found missing.
    """
    rows = list(rows)
    labelled = [row for row in rows if row["kind"] == "finding" and row["label"]]
    scores = []
    for entity in sorted({row["entity"] for row in labelled}):
        own = [row for row in labelled if row["entity"] == entity]
        right = sum(row["label"] == "right" for row in own)
        scores.append(_score(entity, "precision", right, len(own), _weighted(own)))
    found, missed = _on_pages(rows)
    scores += [
        _score(entity, "recall", found[entity], found[entity] + missed[entity], None)
        for entity in sorted({*found, *missed})
    ]
    return scores


def _on_pages(rows: list[Row]) -> tuple[Counter[str], Counter[str]]:
    done = [row for row in rows if row["kind"] == "page" and row["label"] == "done"]
    found = Counter(part["category"] for row in done for part in row["fragments"] if part["label"] == "right")
    return found, Counter(part["category"] for row in done for part in row["missed"])


def _weighted(rows: list[Row]) -> float:
    """Return the share of right findings with each stratum counted by its size."""
    strata: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        strata[row["rule"], row["language"]].append(row)
    sizes = [int(own[0]["stratum"]) for own in strata.values()]
    shares: list[float] = [sum(row["label"] == "right" for row in own) / len(own) for own in strata.values()]
    return sum(size * share for size, share in zip(sizes, shares, strict=True)) / sum(sizes)


def _score(entity: str, measure: str, right: int, labelled: int, weighted: float | None) -> Score:
    low, high = wilson(right, labelled)
    return Score(entity, measure, right, labelled, right / labelled, low, high, weighted)


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a share. Source: Wilson, JASA 22 (1927) 209.

    >>> [round(border, 3) for border in wilson(95, 100)]
    [0.888, 0.978]
    """
    if not total:
        return 0.0, 1.0
    share, spread = right / total, z * z / total
    middle = share + spread / 2
    reach = z * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, (middle - reach) / (1 + spread)), min(1.0, (middle + reach) / (1 + spread))
